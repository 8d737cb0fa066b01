"""An assay's limits: against closed forms, brute-force twins, and what they promise in simulation."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom, norm, poisson

from pipeline.detection.blank import blank_limit_by_moments, blank_limit_by_rank, small_sample_factor
from pipeline.detection.hit_rate import NotEstimable, poisson_limit, probit_limit
from pipeline.detection.linearity import fit_linearity
from pipeline.detection.precision import (
    VarianceFunction,
    classical_detection_limit,
    fit_variance,
    precision_quantification_limit,
    total_error,
    total_error_quantification_limit,
)
from pipeline.detection.study import run_study
from pipeline.detection.study_rows import StudyGoals, StudyResults

LEVELS = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])


def test_rank_limit_lies_between_two_results():
    # B = 70: rank 0.5 + 66.5 = 67, the 67th result
    assert blank_limit_by_rank(np.arange(1.0, 71)).value == 67.0
    assert blank_limit_by_rank(np.arange(1.0, 70)).value == pytest.approx(66.05)


def test_rank_interval_covers_the_quantile():
    rng = np.random.default_rng(1)
    limits = [blank_limit_by_rank(rng.normal(size=200)) for _ in range(1000)]
    covered = sum(limit.ci.low <= norm.ppf(0.95) <= limit.ci.high for limit in limits)
    assert covered >= 950 - 2 * math.sqrt(1000 * 0.95 * 0.05)


def test_moments_interval_covers_the_quantile():
    rng = np.random.default_rng(2)
    limits = [blank_limit_by_moments([rng.normal(size=15) for _ in range(4)]) for _ in range(2000)]
    covered = np.mean([limit.ci.low <= norm.ppf(0.95) <= limit.ci.high for limit in limits])
    assert covered == pytest.approx(0.95, abs=2 * math.sqrt(0.95 * 0.05 / 2000))


def test_too_few_blanks_are_said():
    with pytest.raises(ValueError, match="9 blanks are too few; the rank needs at least 10"):
        blank_limit_by_rank([0.0] * 9)
    with pytest.raises(ValueError, match="no repeated results"):
        blank_limit_by_moments([np.array([1.0]), np.array([2.0])])


def test_small_sample_factor_is_that_of_the_guideline():
    assert small_sample_factor(56) == pytest.approx(1.6448536 / (1 - 1 / 224))


def _drawn(rng, slope=4.0, middle=0.5, tested=30):
    n = np.full(len(LEVELS), tested)
    return rng.binomial(n, norm.cdf(slope * (np.log10(LEVELS) - middle))), n


def test_probit_is_the_maximum_of_its_likelihood():
    found, tested = _drawn(np.random.default_rng(3))

    def loss(beta):
        p = norm.cdf(beta[0] + beta[1] * np.log10(LEVELS))
        return -binom.logpmf(found, tested, np.clip(p, 1e-12, 1 - 1e-12)).sum()

    best = minimize(loss, [-1.0, 2.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    expected = 10 ** ((norm.ppf(0.95) - best[0]) / best[1])
    assert probit_limit(LEVELS, found, tested).limit == pytest.approx(expected, rel=1e-5)


def test_probit_interval_is_where_the_band_crosses_the_power():
    found, tested = _drawn(np.random.default_rng(4))
    fit = probit_limit(LEVELS, found, tested)

    def loss(beta):
        p = norm.cdf(beta[0] + beta[1] * np.log10(LEVELS))
        return -binom.logpmf(found, tested, p).sum()

    best = minimize(loss, [-2.0, 4.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}).x
    x = np.column_stack([np.ones_like(LEVELS), np.log10(LEVELS)])
    eta = x @ best
    weight = tested * norm.pdf(eta) ** 2 / (norm.cdf(eta) * norm.sf(eta))
    covariance = np.linalg.inv((x.T * weight) @ x)
    for bound, sign in ((fit.ci.low, 1), (fit.ci.high, -1)):
        at = np.array([1.0, math.log10(bound)])
        band = at @ best + sign * norm.ppf(0.975) * math.sqrt(at @ covariance @ at)
        assert band == pytest.approx(norm.ppf(0.95), abs=1e-4)


def test_probit_interval_covers():
    rng, truth = np.random.default_rng(5), 10 ** (0.5 + norm.ppf(0.95) / 4)
    fits = [probit_limit(LEVELS, *_drawn(rng)) for _ in range(600)]
    covered = np.mean([fit.ci.low <= truth <= fit.ci.high for fit in fits])
    assert covered == pytest.approx(0.95, abs=0.03)


def test_single_target_limit_and_its_interval():
    rng = np.random.default_rng(6)
    tested = np.full(len(LEVELS), 20)
    truth, covered, fits = -math.log(0.05) / 0.5, 0, []
    for _ in range(600):
        fit = poisson_limit(LEVELS, rng.binomial(tested, -np.expm1(-0.5 * LEVELS)), tested)
        covered += fit.ci.low <= truth <= fit.ci.high
        fits.append(fit.limit)
    assert np.median(fits) == pytest.approx(truth, rel=0.02)
    assert covered / 600 == pytest.approx(0.95, abs=0.025)


def test_single_target_limit_at_one_level_has_the_closed_form():
    fit = poisson_limit(np.array([2.0]), np.array([15]), np.array([20]))
    assert fit.limit == pytest.approx(-math.log(0.05) / (-math.log(0.25) / 2.0), rel=1e-9)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([0, 0, 0, 0, 0, 0], "no level was found"),
        ([20] * 6, "every level was always found"),
        ([0, 0, 0, 20, 20, 20], "do not overlap"),
        ([0, 0, 7, 20, 20, 20], "do not overlap"),
        ([20, 18, 15, 9, 4, 2], "not found more often"),
    ],
)
def test_probit_says_why_there_is_no_limit(found, why):
    with pytest.raises(NotEstimable, match=why):
        probit_limit(LEVELS, np.array(found), np.full(6, 20))


def test_classical_limit_adds_the_pooled_spread():
    groups = [np.array([2.0, 3.0, 4.0]), np.array([3.0, 5.0]), np.array([9.0])]
    pooled = math.sqrt((2 * 1.0 + 1 * 2.0) / 3)
    expected = 1.5 + 1.6448536 / (1 - 1 / 12) * pooled
    assert classical_detection_limit(1.5, groups).value == pytest.approx(expected)


def test_variance_function_is_the_maximum_of_its_likelihood():
    rng = np.random.default_rng(7)
    groups = [rng.normal(m, math.sqrt(4 + 2 * m + 0.01 * m * m), 25) for m in (3, 10, 30, 100, 300, 1000)]
    fitted = np.array(fit_variance(groups).coefficients)
    mean = np.array([g.mean() for g in groups])
    variance = np.array([g.var(ddof=1) for g in groups])

    def loss(coefficients):
        expected = np.column_stack([np.ones(6), mean, mean**2]) @ coefficients
        return (12 * (np.log(expected) + variance / expected)).sum()

    for factor in (0.97, 1.03):
        for i in range(3):
            moved = fitted * np.where(np.arange(3) == i, factor, 1.0)
            assert loss(moved) >= loss(fitted)
    assert fitted[2] == pytest.approx(0.01, rel=0.5)


def test_quantification_limit_of_pure_counting_is_known():
    # variance = mean (counts): cv = 1 / sqrt(mean), 20 % at 25 counts
    profile = VarianceFunction((0.0, 1.0, 0.0))
    limit = precision_quantification_limit(profile, lowest=1.0, highest=1000.0, goal_cv=0.2)
    assert limit == pytest.approx(25.0, rel=1e-3)
    assert precision_quantification_limit(profile, lowest=30.0, highest=99.0, goal_cv=0.2) == 30.0
    with pytest.raises(NotEstimable, match=r"stays above 0\.2 at every level"):
        precision_quantification_limit(profile, lowest=1.0, highest=20.0, goal_cv=0.2)


def test_a_level_that_fails_above_moves_the_total_error_limit_up():
    good = np.array([0.95, 1.0, 1.05])
    groups = [good, good * 2 * np.array([0.1, 1, 1.9]), good * 4, good * 8]
    assert total_error(1.0, good) == pytest.approx(2 * 0.05)
    assert total_error_quantification_limit(np.array([1.0, 2, 4, 8]), groups, goal=0.3) == 4.0
    with pytest.raises(NotEstimable, match="at the highest level"):
        total_error_quantification_limit(np.array([1.0, 2]), groups[:2], goal=0.3)


def test_linearity_of_a_line_and_of_a_plateau():
    rng = np.random.default_rng(8)
    levels = np.array([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    line = [x * 10 ** rng.normal(0, 0.03, 8) for x in levels]
    flat = [np.minimum(x, 2e-3) * 10 ** rng.normal(0, 0.03, 8) for x in levels]
    good, bad = (fit_linearity(levels, g, allowed=0.15) for g in (line, flat))
    assert good.slope_ci.low < 1 < good.slope_ci.high
    assert all(level.within for level in good.levels)
    assert (good.range_low, good.range_high) == (1e-6, 1e-1)
    assert bad.curvature_p < 1e-6
    assert bad.curvature_deviation > 0.3
    assert not bad.levels[-1].within


def test_linearity_slope_interval_covers():
    rng, levels = np.random.default_rng(9), np.geomspace(1e-6, 1e-2, 5)
    covered = 0
    for _ in range(600):
        groups = [
            x * 10 ** rng.normal(0, s, 5) for x, s in zip(levels, (0.2, 0.1, 0.05, 0.05, 0.05), strict=True)
        ]
        fit = fit_linearity(levels, groups, allowed=0.2)
        covered += fit.slope_ci.low <= 1 <= fit.slope_ci.high
    assert covered / 600 == pytest.approx(0.95, abs=0.035)


def _study(rng, lots=1, cells=1e6):
    rows = [(0.0, 0.0, lot) for lot in range(lots) for _ in range(60)]
    for level in (3e-7, 1e-6, 2e-6, 3e-6, 5e-6, 1e-5, 1e-4, 1e-3):
        rows += [(level, rng.poisson(level * cells) / cells, lot) for lot in range(lots) for _ in range(30)]
    level, value, lot = zip(*rows, strict=True)
    return StudyResults(
        level=np.array(level),
        value=np.array(value),
        detected=np.full(len(rows), -1, np.int8),
        lot=tuple(map(str, lot)),
        sample=("",) * len(rows),
    )


def _limit(study, parameter, method, lot="all"):
    return next(x for x in study.limits if (x.parameter, x.method, x.lot) == (parameter, method, lot))


def test_a_counting_assay_reaches_the_poisson_floor():
    study = run_study(_study(np.random.default_rng(10)), StudyGoals(), rng=np.random.default_rng(1))
    assert _limit(study, "lob", "rank").estimate == 0
    found = _limit(study, "lod", "poisson")
    assert found.ci.low <= 2.996e-6 <= found.ci.high
    assert _limit(study, "lod", "probit").estimate == pytest.approx(2.996e-6, rel=0.4)
    # counting alone: cv 35 % at 8.2 cells
    assert _limit(study, "loq", "precision_profile").estimate == pytest.approx(8.2e-6, rel=0.35)
    hits = {x.level: x.detected / x.results for x in study.levels}
    assert hits[0.0] == 0
    assert hits[3e-6] == pytest.approx(poisson.sf(0, 3), abs=0.12)


def test_of_two_lots_the_larger_limit_holds_and_a_lot_without_one_is_named():
    goals, rng = StudyGoals(resamples=100), np.random.default_rng(1)
    study = run_study(_study(np.random.default_rng(11), lots=2), goals, rng=rng)
    each = [_limit(study, "lod", "poisson", lot).estimate for lot in ("0", "1")]
    assert _limit(study, "lod", "poisson", "largest").estimate == max(each)
    results = _study(np.random.default_rng(11), lots=2)
    unblanked = results.rows((results.level > 0) | (np.array(results.lot) == "0"))
    limit = _limit(run_study(unblanked, goals, rng=rng), "lob", "rank", "largest")
    assert limit.estimate is None
    assert "lot 1: 0 blanks are too few" in limit.reason


def test_goals_out_of_range_are_refused():
    with pytest.raises(ValueError, match="alpha must lie between"):
        StudyGoals(alpha=0)
    with pytest.raises(ValueError, match="at least 100 resamples"):
        StudyGoals(resamples=1)
