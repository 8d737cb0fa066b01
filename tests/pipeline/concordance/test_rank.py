"""Rank methods against plain twins that compare two values at a time."""

import numpy as np
import pytest
from scipy.stats import kendalltau, theilslopes

from pipeline.concordance import akritas_theil_sen, censored_tau


def censored(seed, pairs=40, decimals=1):
    rng = np.random.default_rng(seed)
    truth = rng.normal(-5, 1, pairs)
    x, y = truth + rng.normal(0, 0.3, pairs), 0.2 + truth + rng.normal(0, 0.3, pairs)
    limits = np.round(rng.normal(-5.4, 0.3, (2, pairs)), decimals)
    x, y = np.round(x, decimals), np.round(y, decimals)
    cut_x, cut_y = x < limits[0], y < limits[1]
    return np.where(cut_x, limits[0], x), np.where(cut_y, limits[1], y), cut_x, cut_y


def order(value, cut, other, other_cut):
    """1 or -1 where every pair of possible values is ordered so, else 0."""
    if not cut and (value > other or (value == other and other_cut)):
        return 1
    if not other_cut and (other > value or (value == other and cut)):
        return -1
    return 0


def plain_tau(x, y, cut_x, cut_y):
    score = known_x = known_y = 0
    for i in range(len(x)):
        for j in range(i):
            a, b = order(x[i], cut_x[i], x[j], cut_x[j]), order(y[i], cut_y[i], y[j], cut_y[j])
            score, known_x, known_y = score + a * b, known_x + abs(a), known_y + abs(b)
    return score / np.sqrt(known_x * known_y)


def plain_statistic(slope, x, y, cut_y):
    residual = y - slope * x
    return sum(
        np.sign(x[i] - x[j]) * order(residual[i], cut_y[i], residual[j], cut_y[j])
        for i in range(len(x))
        for j in range(i)
    )


def plain_slope(x, y, cut_y):
    """Both ends of the zero by bisection of the statistic, which never rises."""

    def edge(over):
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if over(plain_statistic(middle, x, y, cut_y)) else (low, middle)
        return low

    return (edge(lambda s: s > 0) + edge(lambda s: s >= 0)) / 2


@pytest.mark.parametrize("seed", range(6))
def test_tau_equals_its_twin(seed):
    data = censored(seed)
    assert data[2].sum() >= 3
    assert censored_tau(*data).value == pytest.approx(plain_tau(*data), abs=1e-12)


@pytest.mark.parametrize("seed", [0, 2, 3, 4])
def test_slope_equals_its_twin(seed):
    x, y, cut_x, cut_y = censored(seed, pairs=24, decimals=6)
    cut_y = cut_y | (y < -5)  # some values of y below their limits where x is seen
    seen = ~cut_x
    assert 1 <= cut_y[seen].sum() <= 12
    expected = plain_slope(x[seen], y[seen], cut_y[seen])
    found = akritas_theil_sen(x, y, cut_x, cut_y)
    assert found.slope == pytest.approx(expected, abs=1e-6)
    assert found.pairs == seen.sum()


@pytest.mark.parametrize("pairs", [20, 21])
def test_without_censoring_both_are_the_classical_ones(pairs):
    rng = np.random.default_rng(pairs)
    x = np.round(rng.normal(size=pairs), 1)
    y = np.round(x + rng.normal(size=pairs), 1)
    nothing = np.zeros(pairs, bool)
    assert censored_tau(x, y, nothing, nothing).value == pytest.approx(kendalltau(x, y).statistic, abs=1e-12)
    line = akritas_theil_sen(x, y, nothing, nothing)
    assert line.slope == pytest.approx(theilslopes(y, x).slope, abs=1e-12)
    assert line.intercept == pytest.approx(np.median(y - line.slope * x), abs=1e-12)


def test_line_is_found_where_a_third_of_values_lie_below_their_limits():
    """60 trials of 150 pairs: the slope's mean is that of regression dilution, 1 / (1 + 0.1^2)."""
    slopes, intercepts, held = [], [], 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 1, 150)
        x, y = truth + rng.normal(0, 0.1, 150), 0.3 + truth + rng.normal(0, 0.3, 150)
        limit = rng.normal(-0.4, 0.3, 150)
        cut = y < limit
        line = akritas_theil_sen(x, np.where(cut, limit, y), x < -2, cut)
        slopes.append(line.slope)
        intercepts.append(line.intercept)
        held += line.slope_ci.low <= 1 / 1.01 <= line.slope_ci.high
    assert np.mean(slopes) == pytest.approx(1 / 1.01, abs=0.02)
    assert np.mean(intercepts) == pytest.approx(0.3, abs=0.02)
    assert held >= 53


def test_median_below_every_seen_residual_is_not_said():
    rng = np.random.default_rng(1)
    x, residual = rng.normal(size=60), rng.normal(0, 0.3, 60)
    cut = residual < np.quantile(residual, 0.6)
    limit = np.quantile(residual, 0.6)
    line = akritas_theil_sen(x, x + np.where(cut, limit, residual), np.zeros(60, bool), cut)
    assert line.slope == pytest.approx(1, abs=0.2)
    assert line.intercept is None
    assert line.intercept_ci is None


def test_data_without_order_are_refused():
    x, y, cut_x, cut_y = censored(1)
    every = np.ones(len(x), bool)
    with pytest.raises(ValueError, match="no two values of a method can be ordered"):
        censored_tau(x, y, every, cut_y)
    with pytest.raises(ValueError, match="fewer than 10 pairs with x seen: 0"):
        akritas_theil_sen(x, y, every, cut_y)
    with pytest.raises(ValueError, match="do not bound a slope"):
        akritas_theil_sen(x, y, ~every, every)
    with pytest.raises(ValueError, match="fewer than 10 pairs"):
        censored_tau(x[:9], y[:9], cut_x[:9], cut_y[:9])
