"""Correlation and line from ranks alone, with values below limits: Kendall's tau-b, Akritas-Theil-Sen.

The check on the bivariate normal: no distribution is assumed. A value below its limit is
ordered against another only where every value it can have gives the same order.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.concordance.difference import Estimate
from pipeline.concordance.series import PAIRS_MIN, Bools, Floats, flags, paired
from pipeline.detection import Interval

__all__ = ["RankLine", "akritas_theil_sen", "censored_tau"]

PAIRS_MAX = 5_000
_Orders = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankLine:
    """Slope at which x tells nothing about the order of residuals, and their median.

    ``intercept`` is None where the median residual lies below every seen one. ``pairs``
    counts those with x seen, on which the line rests.
    """

    slope: float
    slope_ci: Interval
    intercept: float | None
    intercept_ci: Interval | None
    pairs: int


def censored_tau(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_censored: npt.ArrayLike,
    y_censored: npt.ArrayLike,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Kendall's tau-b of values some of which lie below a limit; unordered pairs count as ties.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite; where censored, the limit.
    x_censored, y_censored
        Shape (pairs,), true where the value lies below its limit.
    confidence
        Two-sided coverage, in (0, 1); jackknife, normal.

    Returns
    -------
    Estimate
        In [-1, 1].

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold fewer than 10 or more than 5,000 pairs or a
        value that is not finite, or if no two values of a method can be ordered.

    References
    ----------
    Helsel, Statistics for Censored Environmental Data, 2nd ed., 2012, chapter 11 (ties).
    """
    from scipy.special import ndtri

    xs, ys, cut_x, cut_y = _checked(x, y, x_censored, y_censored)
    of_x, of_y = _orders(xs, cut_x), _orders(ys, cut_y)
    concordant = np.sum(of_x * of_y, axis=1, dtype=np.float64)
    known_x, known_y = (np.count_nonzero(o, axis=1).astype(np.float64) for o in (of_x, of_y))
    if not (np.any(known_x) and np.any(known_y)):
        raise ValueError("no two values of a method can be ordered")
    tau = float(np.sum(concordant) / np.sqrt(np.sum(known_x) * np.sum(known_y)))
    # Leaving one pair out removes its row and its column.
    without = (np.sum(known_x) - 2 * known_x) * (np.sum(known_y) - 2 * known_y)
    if np.any(without <= 0):
        raise ValueError("the order of values rests on a single pair")
    left_out = (np.sum(concordant) - 2 * concordant) / np.sqrt(without)
    error = float(np.sqrt((len(xs) - 1) / len(xs) * np.sum((left_out - np.mean(left_out)) ** 2)))
    half = float(ndtri((1 + confidence) / 2)) * error
    return Estimate(value=tau, ci=Interval(max(-1.0, tau - half), min(1.0, tau + half)), pairs=len(xs))


def akritas_theil_sen(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_censored: npt.ArrayLike,
    y_censored: npt.ArrayLike,
    *,
    confidence: float = 0.95,
) -> RankLine:
    """Theil-Sen line of y on x with values of y below a limit.

    Pairs whose x lies below its limit are left out of the line: selection by the
    regressor does not bend it, while one-sided knowledge of x would.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite; where censored, the limit.
    x_censored, y_censored
        Shape (pairs,), true where the value lies below its limit.
    confidence
        Two-sided coverage, in (0, 1); inversion of Kendall's test with the permutation
        variance of the censored orders.

    Returns
    -------
    RankLine
        The slope is the middle of the zero of Kendall's statistic between x and residuals.

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold fewer than 10 or more than 5,000 pairs with x
        seen or a value that is not finite, or if the orders do not bound a slope.

    References
    ----------
    Akritas, Murphy and LaValley, J Am Stat Assoc 1995;90:170.
    Daniels, Biometrika 1944;33:129 (permutation variance).
    """
    from scipy.special import ndtri

    xs, ys, cut_x, cut_y = _checked(x, y, x_censored, y_censored)
    xs, ys, cut = xs[~cut_x], ys[~cut_x], cut_y[~cut_x]
    if len(xs) < PAIRS_MIN:
        raise ValueError(f"fewer than {PAIRS_MIN} pairs with x seen: {len(xs)}")
    rising, falling = _slopes(xs, ys, cut)
    bounds = _crossing(rising, falling, 0.0)
    if bounds is None:
        raise ValueError("the orders of values do not bound a slope")
    slope = (bounds[0] + bounds[1]) / 2
    of_x = _orders(xs, np.zeros(len(xs), dtype=np.bool_))
    spread = _permutation_deviation(of_x, _orders(ys - slope * xs, cut))
    outer = _crossing(rising, falling, float(ndtri((1 + confidence) / 2)) * spread)
    if outer is None:
        raise ValueError("the orders of values do not bound the interval of the slope")
    medians = [_median(ys - b * xs, cut) for b in (slope, *outer)]
    ends = [m for m in medians[1:] if m is not None]
    return RankLine(
        slope=slope,
        slope_ci=Interval(*outer),
        intercept=medians[0],
        intercept_ci=Interval(min(ends), max(ends)) if medians[0] is not None and len(ends) == 2 else None,
        pairs=len(xs),
    )


def _checked(
    x: npt.ArrayLike, y: npt.ArrayLike, x_censored: npt.ArrayLike, y_censored: npt.ArrayLike
) -> tuple[Floats, Floats, Bools, Bools]:
    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    if len(xs) > PAIRS_MAX:
        raise ValueError(f"more than {PAIRS_MAX} pairs: {len(xs)}")
    return xs, ys, flags(x_censored, len(xs)), flags(y_censored, len(xs))


def _orders(values: Floats, cut: Bools) -> _Orders:
    """Sign of value i - value j where it is certain, else 0; shape (pairs, pairs)."""
    above = (values[:, None] > values[None, :]) | ((values[:, None] == values[None, :]) & cut[None, :])
    certain = above & ~cut[:, None]  # a value below its limit is never certainly the larger
    found: _Orders = certain.astype(np.int8) - certain.T.astype(np.int8)
    return found


def _slopes(xs: Floats, ys: Floats, cut: Bools) -> tuple[Floats, Floats]:
    """Slopes of pairs of points that can show the residual falling short, and exceeding.

    With i the point of larger x: b below a slope of the first list orders residual i over j,
    b above a slope of the second list orders it under j. A censored y_i can only be lower, a
    censored y_j can only make i the higher.
    """
    order = np.argsort(xs, kind="stable")
    xs, ys, cut = xs[order], ys[order], cut[order]
    j, i = np.triu_indices(len(xs), 1)
    apart = xs[i] > xs[j]
    i, j = i[apart], j[apart]
    slope = (ys[i] - ys[j]) / (xs[i] - xs[j])
    return np.sort(slope[~cut[i]]), np.sort(slope[~cut[j]])


def _crossing(rising: Floats, falling: Floats, level: float) -> tuple[float, float] | None:
    """Last b at which Kendall's statistic exceeds ``level``, first b at which it is under -``level``."""
    every = np.unique(np.concatenate([rising, falling]))
    before = len(rising) - np.searchsorted(rising, every, "left") - np.searchsorted(falling, every, "left")
    after = len(rising) - np.searchsorted(rising, every, "right") - np.searchsorted(falling, every, "right")
    over, under = np.flatnonzero(before > level), np.flatnonzero(after < -level)
    if not (len(over) and len(under)):
        return None
    return float(every[over[-1]]), float(every[under[0]])


def _permutation_deviation(a: _Orders, b: _Orders) -> float:
    """Standard deviation of the sum over i < j of a_ij b_ij when rows are paired at random (Daniels)."""
    n = len(a)

    def sums(orders: _Orders) -> tuple[float, float]:
        known = float(np.count_nonzero(orders))
        return float(np.sum(np.sum(orders, axis=1, dtype=np.float64) ** 2)) - known, known

    (spread_a, known_a), (spread_b, known_b) = sums(a), sums(b)
    variance = 4 * spread_a * spread_b / (n * (n - 1) * (n - 2)) + 2 * known_a * known_b / (n * (n - 1))
    return float(variance**0.5) / 2


def _median(values: Floats, cut: Bools) -> float | None:
    """Median of values some of which lie below a limit: product-limit estimate from the top down."""
    order = np.lexsort((cut, -values))  # at one value the seen come before the censored
    values, cut = values[order], cut[order]
    left = np.arange(len(values), 0, -1)
    share_below = np.cumprod(np.where(cut, 1.0, 1 - 1 / left))
    reached = np.flatnonzero(~cut & (share_below <= 0.5 + 1e-12))
    if not len(reached):
        return None
    first = int(reached[0])
    below = np.flatnonzero(~cut[first + 1 :])
    if share_below[first] >= 0.5 - 1e-12 and len(below):
        return float(values[first] + values[first + 1 + int(below[0])]) / 2
    return float(values[first])
