"""Differences of two methods against closed forms, definitions and simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from pipeline.concordance import bland_altman, lin_ccc, share_within, total_deviation_index
from pipeline.detection import wilson


@pytest.fixture
def pair():
    rng = np.random.default_rng(8)
    x = rng.normal(-4.5, 0.8, 60)
    return x, x + rng.normal(0.1, 0.3, 60)


def test_bias_and_limits_are_mean_and_196_standard_deviations(pair):
    x, y = pair
    found, d = bland_altman(x, y), y - x
    assert found.bias.value == pytest.approx(d.mean())
    assert found.sd.value == pytest.approx(d.std(ddof=1))
    assert found.limit_low.value == pytest.approx(d.mean() - 1.959963984540054 * d.std(ddof=1))
    assert found.limit_high.value == pytest.approx(d.mean() + 1.959963984540054 * d.std(ddof=1))
    half = 2.000995378088259 * d.std(ddof=1) / 60**0.5  # t(59), 97.5 %
    assert found.bias.ci == pytest.approx((d.mean() - half, d.mean() + half))


def test_exchanging_the_methods_mirrors_the_limits(pair):
    x, y = pair
    there, back = bland_altman(x, y), bland_altman(y, x)
    assert there.limit_low.ci == pytest.approx([-b for b in back.limit_high.ci[::-1]])
    assert there.sd.ci == pytest.approx(back.sd.ci)


def test_intervals_cover_their_truth():
    """800 samples of 20 differences: the exact intervals miss in 5 %, standard error 0.8 points."""
    rng = np.random.default_rng(2)
    truth = {"bias": 0.1, "sd": 0.25, "limit_high": 0.1 + 1.959964 * 0.25}
    held = dict.fromkeys(truth, 0)
    for _ in range(800):
        found = bland_altman(np.zeros(20), rng.normal(0.1, 0.25, 20))
        for name, value in truth.items():
            held[name] += getattr(found, name).ci.low <= value <= getattr(found, name).ci.high
    assert all(0.926 <= h / 800 <= 0.974 for h in held.values()), held


def test_total_deviation_index_holds_its_share_of_a_normal():
    rng = np.random.default_rng(4)
    d = rng.normal(size=50)
    d = 0.3 + 0.2 * (d - d.mean()) / d.std(ddof=1)
    found = total_deviation_index(np.zeros(50), d)
    assert norm.cdf((found.value - 0.3) / 0.2) - norm.cdf((-found.value - 0.3) / 0.2) == pytest.approx(0.9)
    assert found.ci.low < found.value < found.ci.high


def test_share_within_counts_the_bound_itself():
    x = np.log10([1e-5] * 12)
    y = np.log10([1e-5] * 8 + [1e-4] * 4)
    assert share_within(x, y, 1.0).value == 1.0
    found = share_within(x, y, 0.5)
    assert found.value == pytest.approx(8 / 12)
    assert found.ci == wilson(8, 12)


def test_concordance_correlation_equals_its_definition(pair):
    x, y = pair
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    found = lin_ccc(x, y)
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.ci.low < expected < found.ci.high
    assert abs(found.value) <= abs(np.corrcoef(x, y)[0, 1])


def test_interval_of_the_concordance_correlation_covers():
    """800 samples of 60 pairs with a shift; standard error of the coverage 0.8 points."""
    rng = np.random.default_rng(6)
    sx, noise, shift = 0.8, 0.3, 0.2
    truth = 2 * sx**2 / (2 * (sx**2 + noise**2) + shift**2)
    held = 0
    for _ in range(800):
        latent = rng.normal(0, sx, 60)
        found = lin_ccc(latent + rng.normal(0, noise, 60), latent + shift + rng.normal(0, noise, 60))
        held += found.ci.low <= truth <= found.ci.high
    assert 0.925 <= held / 800 <= 0.975


def test_data_without_spread_are_refused():
    x = np.arange(12.0)
    with pytest.raises(ValueError, match="every difference is the same"):
        bland_altman(x, x + 1)
    with pytest.raises(ValueError, match="every difference is the same"):
        total_deviation_index(x, x + 1)
    with pytest.raises(ValueError, match="a method does not vary"):
        lin_ccc(np.ones(12), x)
    with pytest.raises(ValueError, match="straight line"):
        lin_ccc(x, 2 * x)
    with pytest.raises(ValueError, match="fewer than 10 pairs"):
        bland_altman(x[:5], x[:5])
