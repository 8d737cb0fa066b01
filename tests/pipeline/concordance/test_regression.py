"""Lines against the published fits of mcr, and what a change of unit or sign must not change."""

import time

import numpy as np
import pytest

from pipeline.concordance import deming, passing_bablok, weighted_deming
from references import reference

FITS = (passing_bablok, deming, weighted_deming)


def published(name: str) -> tuple[np.ndarray, np.ndarray]:
    found = np.genfromtxt(reference("method_comparison", name), delimiter=",", skip_header=1)
    return tuple(found[np.isfinite(found).all(axis=1)].T)


def numbers(fit) -> list[float]:
    return [fit.intercept, *fit.intercept_ci, fit.slope, *fit.slope_ci]


# mcr 1.3.3.1 (R 4.2.2): intercept, low, high, slope, low, high. Weighted fits there stop at 1e-6.
PUBLISHED = {
    ("creatinine.csv", passing_bablok, None, 1e-12): (
        -0.11717286443298, -0.20011494807756, -0.0200000000000013, 1.08800890272179, 1.0, 1.17300462437155),
    ("creatinine.csv", deming, 1.0, 1e-12): (
        -0.058913410440957, -0.127065736898081, 0.00923891601616679,
        1.0545393412771, 1.00520712433902, 1.10387155821517),
    ("creatinine.csv", deming, 1.21, 1e-12): (
        -0.0659548988173533, -0.135180376037318, 0.00327057840261166,
        1.06030580127596, 1.00941523311882, 1.11119636943311),
    ("creatinine.csv", weighted_deming, 1.0, 1e-6): (
        -0.125494494959702, -0.216594722995755, -0.0343942669236482,
        1.11195634073303, 1.02923782528214, 1.19467485618392),
    ("AnaIT_TD15.csv", passing_bablok, None, 1e-8): (
        -0.639752985, -2.333080818, 0.840973103, 1.020588521, 0.958488786, 1.092320098),
    ("AnaIT_TD15.csv", deming, 1.0, 1e-6): (
        -0.505729735057073, -3.06557290114323, 2.05411343102908,
        0.998922574014433, 0.904225546852836, 1.09361960117603),
    ("AnaIT_TD15.csv", deming, 1.21, 1e-6): (
        -0.708594035342613, -3.2419770759952, 1.82478900530997,
        1.00329228321811, 0.909809514645456, 1.09677505179076),
    ("AnaIT_TD15.csv", weighted_deming, 1.0, 1e-6): (
        0.349800410110783, -0.112327006235422, 0.811927826456988,
        0.971286182711744, 0.917923153034657, 1.02464921238883),
    ("AnaIT_TD15.csv", weighted_deming, 1.21, 1e-6): (
        0.346600763341327, -0.118104609558275, 0.811306136240929,
        0.970221482846277, 0.91666676502975, 1.0237762006628),
}  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), PUBLISHED.items(), ids=lambda c: str(c[0])[:10])
def test_published_fit_is_reproduced_to_its_digits(case, expected):
    name, fit, ratio, tolerance = case
    found = fit(*published(name)) if ratio is None else fit(*published(name), error_ratio=ratio)
    assert numbers(found) == pytest.approx(expected, abs=tolerance, rel=0)
    assert found.pairs == len(published(name)[0])


@pytest.mark.parametrize("factor", [1e-5, 1e7, 3.7])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", ["creatinine.csv", "AnaIT_TD15.csv"])
def test_unit_of_the_data_moves_the_intercept_only(name, fit, factor):
    x, y = published(name)
    plain, scaled = fit(x, y), fit(x * factor, y * factor)
    assert [scaled.slope, *scaled.slope_ci] == pytest.approx([plain.slope, *plain.slope_ci], rel=1e-9)
    expected = np.array([plain.intercept, *plain.intercept_ci]) * factor
    assert [scaled.intercept, *scaled.intercept_ci] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("fit", [passing_bablok, deming])
def test_mirrored_data_give_the_mirrored_line(fit):
    x, y = published("creatinine.csv")
    plain, mirrored = fit(x, y), fit(x, -y)
    assert mirrored.slope == pytest.approx(-plain.slope, rel=1e-12)
    assert mirrored.slope_ci == pytest.approx([-b for b in plain.slope_ci[::-1]], rel=1e-12)
    assert mirrored.intercept == pytest.approx(-plain.intercept, rel=1e-12)
    assert mirrored.intercept_ci == pytest.approx([-b for b in plain.intercept_ci[::-1]], rel=1e-12)


@pytest.mark.parametrize("fit", FITS)
def test_anticorrelated_methods_have_a_falling_line(fit):
    rng = np.random.default_rng(5)
    truth = rng.uniform(1, 3, 200)
    found = fit(truth + rng.normal(0, 0.02, 200), 10 - 2 * truth + rng.normal(0, 0.02, 200))
    assert found.slope == pytest.approx(-2, abs=0.05)
    assert found.intercept == pytest.approx(10, abs=0.1)
    assert found.slope_ci.low < found.slope < found.slope_ci.high


@pytest.mark.parametrize("fit", FITS)
def test_order_of_pairs_changes_nothing(fit):
    x, y = published("AnaIT_TD15.csv")
    order = np.random.default_rng(1).permutation(len(x))
    assert numbers(fit(x[order], y[order])) == pytest.approx(numbers(fit(x, y)), rel=1e-9)


def test_exact_line_is_found_exactly():
    x = np.linspace(1, 5, 12)
    for fit in FITS:
        assert numbers(fit(x, 0.5 + 2 * x)) == pytest.approx([0.5] * 3 + [2] * 3, abs=1e-9)


def test_passing_bablok_equals_its_definition_on_data_without_ties():
    """A plain twin: slopes sorted as numbers, shifted by those below -1 (odd count of slopes)."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=15)
    y = 1.3 * x + rng.normal(0, 0.8, 15)
    slopes = sorted((y[i] - y[j]) / (x[i] - x[j]) for i in range(15) for j in range(i))
    below = sum(s < -1 for s in slopes)
    # The shift carries the median past the top into the negative end only if half the slopes are below -1.
    assert passing_bablok(x, y).slope == pytest.approx(slopes[(len(slopes) - 1) // 2 + below], rel=1e-12)


def test_jackknife_equals_refitting_without_each_pair():
    x, y = published("AnaIT_TD15.csv")
    for fit in (deming, weighted_deming):
        whole = fit(x, y)
        others = np.array([fit(np.delete(x, i), np.delete(y, i)).slope for i in range(len(x))])
        pseudo = len(x) * whole.slope - (len(x) - 1) * others
        half = 2.010634757624232 * pseudo.std(ddof=1) / len(x) ** 0.5  # t(48), 97.5 %
        assert whole.slope_ci == pytest.approx((whole.slope - half, whole.slope + half), rel=1e-7)


def test_passing_bablok_of_1204_pairs_is_quick():
    rng = np.random.default_rng(3)
    x = rng.normal(size=1204)
    y = x + rng.normal(0, 0.2, 1204)
    passing_bablok(x, y)
    spent = []
    for _ in range(3):
        start = time.process_time()
        passing_bablok(x, y)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.15


@pytest.mark.parametrize("fit", FITS)
def test_input_that_holds_no_line_is_refused(fit):
    x = np.arange(1.0, 13.0)
    with pytest.raises(ValueError, match="fewer than 10 pairs: 9"):
        fit(x[:9], x[:9])
    with pytest.raises(ValueError, match="missing or infinite"):
        fit(np.where(x == 3, np.nan, x), x)
    with pytest.raises(ValueError, match="equally long"):
        fit(x, x[:-1])
    with pytest.raises(ValueError, match="x does not vary"):
        fit(np.full(12, 2.0), x)


def test_limits_of_each_method_are_said():
    x = np.arange(-5.0, 7.0)
    with pytest.raises(ValueError, match="values of one sign"):
        weighted_deming(x, x)
    with pytest.raises(ValueError, match="error variances must be above 0"):
        deming(x, x, error_ratio=0.0)
    with pytest.raises(ValueError, match="do not vary together"):
        deming(x, np.ones(12))
    with pytest.raises(ValueError, match="more than 5000 pairs"):
        passing_bablok(np.arange(5001.0), np.arange(5001.0))
    with pytest.raises(ValueError, match="reaches the vertical"):
        passing_bablok([1.0] * 11 + [2.0], np.arange(12.0))


def test_interval_that_passes_the_vertical_is_refused_and_never_turned_round():
    """Data without relation: the bounds are finite and in order, or there are none."""
    outcomes = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 12))
        try:
            found = passing_bablok(x, y)
        except ValueError as refused:
            outcomes.add(str(refused).partition(":")[0])
        else:
            assert found.slope_ci.low <= found.slope <= found.slope_ci.high
            outcomes.add("fitted")
    assert outcomes == {"the slope or its interval reaches the vertical", "fitted"}
