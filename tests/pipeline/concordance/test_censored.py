"""Censored correlation against a brute-force likelihood, simulation, and what must not change it."""

import time

import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.optimize import minimize
from scipy.special import ndtr

from pipeline.concordance import censored_bivariate
from pipeline.concordance.bivariate_normal import log_both_below
from pipeline.concordance.likelihood import CensoredPairs


def trial(seed, patients=139, visits=5, *, rho_between=0.45):
    """Log10 values of two assays (bias 0.1, SD 0.25) with a limit for every value, by patient."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), visits)
    level = rng.normal(0, rho_between**0.5, patients)[patient]
    truth = -5 + 1.3 * (level + rng.normal(0, (1 - rho_between) ** 0.5, len(patient)))
    x = truth + rng.normal(0, 0.25, len(patient))
    y = truth + 0.1 + rng.normal(0, 0.25, len(patient))
    limit_x, limit_y = rng.normal(-5.3, 0.3, len(patient)), rng.normal(-5.7, 0.3, len(patient))
    cut_x, cut_y = x < limit_x, y < limit_y
    return np.where(cut_x, limit_x, x), np.where(cut_y, limit_y, y), cut_x, cut_y, patient


TRUE_RHO = 1.3**2 / (1.3**2 + 0.25**2)


def both_below(h, k, rho, steps=4000):
    """P(U < h, V < k) as a sum of 4,000 slices of its definition (Simpson)."""
    t = np.linspace(h - 14, h, steps + 1)
    heights = np.exp(-t * t / 2) / np.sqrt(2 * np.pi) * ndtr((k - rho * t) / np.sqrt(1 - rho**2))
    return simpson(heights, x=t)


def brute_force_rho(x, y, cut_x, cut_y):
    """Maximum of the likelihood written out pair by pair, by a search that knows no gradient."""

    def log_density(u):
        return -u * u / 2 - np.log(2 * np.pi) / 2

    def negative(p):
        mx, my, sx, sy, rho = p[0], p[1], np.exp(p[2]), np.exp(p[3]), np.tanh(p[4])
        rest, total = np.sqrt(1 - rho**2), 0.0
        for xi, yi, ci, di in zip(x, y, cut_x, cut_y, strict=True):
            a, b = (xi - mx) / sx, (yi - my) / sy
            if ci and di:
                total += np.log(both_below(a, b, rho))
            elif ci:
                total += log_density(b) - p[3] + np.log(ndtr((a - rho * b) / rest))
            elif di:
                total += log_density(a) - p[2] + np.log(ndtr((b - rho * a) / rest))
            else:
                total += log_density(a) - p[2] + log_density((b - rho * a) / rest) - np.log(rest) - p[3]
        return -total

    start = [np.mean(x), np.mean(y), np.log(np.std(x)), np.log(np.std(y)), 1.0]
    options = {"xatol": 1e-5, "fatol": 1e-7, "maxiter": 4000, "maxfev": 4000}
    found = minimize(negative, start, method="Nelder-Mead", options=options)
    return np.tanh(found.x[4]), -found.fun


@pytest.mark.parametrize("seed", [1, 2])
def test_correlation_equals_a_brute_force_likelihood(seed):
    x, y, cut_x, cut_y, _ = trial(seed, patients=7, visits=4)
    assert cut_x.sum() >= 3
    assert (cut_x & cut_y).sum() >= 2
    rho, log_likelihood = brute_force_rho(x, y, cut_x, cut_y)
    fit = censored_bivariate(x, y, cut_x, cut_y)
    assert fit.rho == pytest.approx(rho, abs=5e-4)
    assert fit.log_likelihood >= log_likelihood - 1e-9
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-3)


@pytest.mark.parametrize("rho", [-0.95, -0.3, 0.0, 0.5, 0.97, 0.999])
def test_probability_of_both_below_equals_its_integral(rho):
    limits = [(-1.0, 0.5), (0.0, 0.0), (2.0, 3.0), (0.0, -1.0), (-4.0, -4.5), (1.0, -2.0), (-2.0, 1.0)]
    h, k = (np.array(v) for v in zip(*limits, strict=True))
    expected = [both_below(a, b, rho) for a, b in limits]
    found = np.exp(log_both_below(h, k, rho))
    assert found == pytest.approx(np.array(expected), rel=1e-5, abs=1e-80)
    assert np.all(np.isfinite(log_both_below(h, k, rho)))


def test_gradient_equals_differences_of_the_likelihood():
    x, y, cut_x, cut_y, _ = trial(4)
    data = CensoredPairs(x=x, y=y, x_censored=cut_x, y_censored=cut_y)
    for at in (np.array([-5, -4.9, 0.3, 0.2, 1.4]), np.array([-4.0, -6.0, -0.5, 0.9, -0.4])):
        steps = np.eye(5) * 1e-6
        expected = [(data.negative(at + s)[0] - data.negative(at - s)[0]) / 2e-6 for s in steps]
        assert data.negative(at)[1] == pytest.approx(np.array(expected), rel=1e-5, abs=1e-3)


def test_profile_bounds_lie_where_the_likelihood_has_fallen_by_192():
    x, y, cut_x, cut_y, _ = trial(5)
    fit = censored_bivariate(x, y, cut_x, cut_y)
    data = CensoredPairs(x=x, y=y, x_censored=cut_x, y_censored=cut_y)
    for bound in fit.rho_ci:
        z = np.arctanh(bound)

        def negative(p, z=z):
            value, gradient = data.negative(np.append(p, z))
            return value, gradient[:4]

        start = [fit.mean_x, fit.mean_y, np.log(fit.sd_x), np.log(fit.sd_y)]
        best = minimize(negative, start, jac=True, method="BFGS", options={"gtol": 1e-4}).fun
        assert best + fit.log_likelihood == pytest.approx(1.920729, abs=2e-4)


def test_no_censoring_gives_the_sample_moments():
    rng = np.random.default_rng(9)
    x = rng.normal(-4, 1, 80)
    y = 0.8 * x + rng.normal(0, 0.4, 80)
    nothing = np.zeros(80, dtype=bool)
    fit = censored_bivariate(x, y, nothing, nothing)
    assert fit.rho == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-7)
    assert fit.bias_log10 == pytest.approx(np.mean(y - x), abs=1e-7)
    assert (fit.sd_x, fit.sd_y) == pytest.approx((x.std(), y.std()), rel=1e-6)
    expected = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + np.mean(y - x) ** 2)
    assert fit.ccc == pytest.approx(expected, abs=1e-7)


def test_unit_exchange_and_order_leave_the_correlation():
    x, y, cut_x, cut_y, _ = trial(6)
    fit = censored_bivariate(x, y, cut_x, cut_y)
    shifted = censored_bivariate(x + 7, y + 7, cut_x, cut_y)
    swapped = censored_bivariate(y, x, cut_y, cut_x)
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = censored_bivariate(x[order], y[order], cut_x[order], cut_y[order])
    stretched = censored_bivariate(x * 2.302585, y * 2.302585, cut_x, cut_y)
    for other in (shifted, swapped, shuffled, stretched):
        assert [other.rho, *other.rho_ci] == pytest.approx([fit.rho, *fit.rho_ci], abs=1e-7)
    assert swapped.bias_log10 == pytest.approx(-fit.bias_log10, abs=1e-7)
    assert shifted.mean_x == pytest.approx(fit.mean_x + 7, abs=1e-7)
    assert stretched.bias_log10 == pytest.approx(fit.bias_log10 * 2.302585, abs=1e-6)


def test_estimates_are_unbiased_and_intervals_cover():
    """60 trials of 695 pairs, 5 visits a patient; standard error of a coverage is 2.8 points."""
    fits = []
    for seed in range(60):
        x, y, cut_x, cut_y, patient = trial(seed + 1000)
        fits.append(censored_bivariate(x, y, cut_x, cut_y, clusters=patient))
    assert np.mean([f.rho for f in fits]) == pytest.approx(TRUE_RHO, abs=0.003)
    assert np.mean([f.bias_log10 for f in fits]) == pytest.approx(0.1, abs=0.01)
    covered = {
        "rho": np.mean([f.rho_ci.low <= TRUE_RHO <= f.rho_ci.high for f in fits]),
        "bias": np.mean([f.bias_ci.low <= 0.1 <= f.bias_ci.high for f in fits]),
        "mean": np.mean([f.mean_x_ci.low <= -5 <= f.mean_x_ci.high for f in fits]),
    }
    assert all(c >= 0.87 for c in covered.values()), covered


def test_patients_who_come_back_widen_the_interval_of_the_mean():
    x, y, cut_x, cut_y, patient = trial(7)
    single = censored_bivariate(x, y, cut_x, cut_y)
    clustered = censored_bivariate(x, y, cut_x, cut_y, clusters=patient)
    assert clustered.rho == single.rho
    assert clustered.clusters == 139
    assert np.diff(clustered.mean_x_ci) > 1.2 * np.diff(single.mean_x_ci)


def test_clusters_of_one_pair_are_the_robust_variance():
    x, y, cut_x, cut_y, _ = trial(8)
    model = censored_bivariate(x, y, cut_x, cut_y)
    robust = censored_bivariate(x, y, cut_x, cut_y, clusters=np.arange(len(x)))
    assert robust.bias_ci == pytest.approx(model.bias_ci, abs=0.01)


def test_fit_of_692_pairs_is_quick():
    x, y, cut_x, cut_y, _ = (v[:692] for v in trial(3))
    censored_bivariate(x, y, cut_x, cut_y)
    spent = []
    for _ in range(3):
        start = time.process_time()
        censored_bivariate(x, y, cut_x, cut_y)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1


def test_data_that_cannot_tell_a_correlation_are_refused():
    x, y, cut_x, cut_y, patient = trial(1)
    every = np.ones(len(x), dtype=bool)
    with pytest.raises(ValueError, match="fewer than 3 pairs with both values seen: 0"):
        censored_bivariate(x, y, every, cut_y)
    with pytest.raises(ValueError, match="fewer than 10 pairs"):
        censored_bivariate(x[:9], y[:9], cut_x[:9], cut_y[:9])
    with pytest.raises(ValueError, match="straight line"):
        censored_bivariate(x, x, cut_x, cut_x)
    with pytest.raises(ValueError, match="do not vary"):
        censored_bivariate(np.full(20, -5.0), y[:20], np.zeros(20, bool), cut_y[:20])
    with pytest.raises(ValueError, match="missing or infinite"):
        censored_bivariate(np.where(cut_x, -np.inf, x), y, cut_x, cut_y)
    with pytest.raises(ValueError, match="one flag per pair"):
        censored_bivariate(x, y, cut_x[:-1], cut_y)
    with pytest.raises(ValueError, match="neither true nor false"):
        censored_bivariate(x, y, np.full(len(x), 2), cut_y)
    with pytest.raises(ValueError, match="fewer than 10 clusters: 1"):
        censored_bivariate(x, y, cut_x, cut_y, clusters=np.zeros(len(x)))
    with pytest.raises(ValueError, match="one cluster per pair"):
        censored_bivariate(x, y, cut_x, cut_y, clusters=patient[:-1])
