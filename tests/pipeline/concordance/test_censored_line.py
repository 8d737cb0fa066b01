"""The line of the censored likelihood, the simulated trial, and what sampling alone would give."""

import numpy as np
import pytest

from pipeline.concordance import (
    censored_bivariate,
    censored_line,
    deming,
    deming_band,
    expected_agreement_range,
)
from pipeline.concordance.simulate import SimulatedAssay, simulate_trial


def draw(n=60, slope=1.3, seed=2):
    rng = np.random.default_rng(seed)
    true = rng.normal(-4, 1, n)
    return true + rng.normal(0, 0.2, n), slope * true + 0.4 + rng.normal(0, 0.2, n)


def test_without_a_limit_it_is_demings_line():
    x, y = draw()
    never = np.zeros(len(x), np.bool_)
    line, fit = censored_line(censored_bivariate(x, y, never, never)), deming(x, y)
    assert line.slope == pytest.approx(fit.slope, rel=1e-7)
    assert line.intercept == pytest.approx(fit.intercept, rel=1e-6)
    assert line.slope_ci.low < 1.3 < line.slope_ci.high


def test_a_limit_of_one_method_bends_a_line_through_detected_pairs_and_not_this_one():
    slopes = []
    for seed in range(12):
        x, y = draw(n=300, slope=1.0, seed=seed)
        y = y + np.random.default_rng(seed + 100).normal(0, 0.35, len(y)) - 0.4
        x = x + np.random.default_rng(seed + 200).normal(0, 0.35, len(x))
        cut_x, cut_y = np.zeros(len(x), np.bool_), y < -4.0
        fit = censored_bivariate(x, np.maximum(y, -4.0), cut_x, cut_y)
        slopes.append((censored_line(fit).slope, deming(x[~cut_y], y[~cut_y]).slope))
    of_all, of_seen = np.mean(slopes, axis=0)
    assert abs(of_all - 1.0) < 0.03
    assert abs(of_seen - 1.0) > 0.08


def test_methods_that_run_against_each_other_have_no_such_line():
    x, y = draw(slope=-1.0)
    never = np.zeros(len(x), np.bool_)
    with pytest.raises(ValueError, match="do not correlate positively"):
        censored_line(censored_bivariate(x, y, never, never))


def test_demings_band_is_its_interval_at_zero():
    x, y = draw()
    band, fit = deming_band(x, y, np.array([0.0, -4.0])), deming(x, y)
    assert (band.low[0], band.high[0]) == pytest.approx(tuple(fit.intercept_ci), rel=1e-9)
    assert band.high[1] - band.low[1] < band.high[0] - band.low[0]


def test_range_of_expected_agreement_holds_95_percent_of_draws():
    rng = np.random.default_rng(7)
    low, high = expected_agreement_range(0.08, 150)
    shares = 1 - rng.binomial(150, 0.08, 20_000) / 150
    assert 0.95 <= np.mean((shares >= low) & (shares <= high)) < 0.975
    with pytest.raises(ValueError, match="at least one pair"):
        expected_agreement_range(0.1, 0)


def test_simulated_trial_measures_its_truth_and_is_the_same_again():
    assay = SimulatedAssay(name="a", cells=2e7, cells_log10_sd=0.0, decision_count=20)
    first, second = (simulate_trial(np.random.default_rng(3), patients=40, assays=(assay,)) for _ in range(2))
    found = first.results["a"]
    assert np.array_equal(found.numerator, second.results["a"].numerator)
    assert len(first.patients) == 200
    assert found.evaluable.all()
    deep = found.numerator > 1000
    assert np.std(np.log10(found.value[deep]) - first.true_log10[deep]) < 0.02
    assert (found.detected == (found.numerator >= 20)).all()
