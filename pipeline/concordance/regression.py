"""Lines through two measurements of the same samples: Passing-Bablok, Deming, weighted Deming.

Both methods are measured with error, so least squares is not offered.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.concordance.angles import differences, shifted_median_slope
from pipeline.concordance.series import PAIRS_MIN, Floats, paired
from pipeline.detection import Interval

__all__ = ["Regression", "deming", "leave_one_out", "passing_bablok", "weighted_deming"]

PAIRS_MAX = 5_000  # Passing-Bablok holds every pair of pairs: 12.5 million angles
_EQUAL = 1e-12  # values closer than this, relative to their size, differ by rounding only
_ITERATIONS_MAX = 1_000
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A line y = intercept + slope x with 95 % intervals (by default) and its number of pairs."""

    slope: float
    intercept: float
    slope_ci: Interval
    intercept_ci: Interval
    pairs: int


def passing_bablok(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    negative: bool | None = None,
    confidence: float = 0.95,
) -> Regression:
    """Shifted median of the slopes of all pairs of points (Passing and Bablok 1983).

    Slopes are ranked and averaged as angles, so a vertical pair is an ordinary value and
    ranks between two slopes are interpolated on the angle scale. Angles below -45 degrees
    shift the median by one rank, angles at it by half a rank. Anticorrelated data need
    the mirror image of that convention (shift at +45 degrees).

    Parameters
    ----------
    x, y
        Shape (pairs,), finite; the comparator and the tested method on one scale.
    negative
        Use the variant for anticorrelated data; by default the sign of Kendall's tau decides.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Regression
        The line and its intervals.

    Raises
    ------
    ValueError
        If the arrays differ in shape, hold a value that is not finite, hold fewer than 10
        or more than 5,000 pairs, if x does not vary, or if the interval of
        the slope reaches the vertical.

    References
    ----------
    Passing and Bablok, J Clin Chem Clin Biochem 1983;21:709.
    """
    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    if len(xs) > PAIRS_MAX:
        raise ValueError(f"more than {PAIRS_MAX} pairs: {len(xs)}")
    _check_spread(xs)
    dx, dy = differences(xs), differences(ys)
    if negative is None:
        negative = float(np.sign(dx) @ np.sign(dy)) < 0
    sign = -1.0 if negative else 1.0
    low, slope, high = shifted_median_slope(dx, sign * dy, len(xs), confidence)
    slope, slope_ci = sign * slope, _ordered(sign * low, sign * high)
    intercepts = [float(np.median(ys - b * xs)) for b in slope_ci]
    return Regression(
        slope=slope,
        intercept=float(np.median(ys - slope * xs)),
        slope_ci=slope_ci,
        intercept_ci=_ordered(*intercepts),
        pairs=len(xs),
    )


def deming(
    x: npt.ArrayLike, y: npt.ArrayLike, *, error_ratio: float = 1.0, confidence: float = 0.95
) -> Regression:
    """Line with errors of constant size in both methods (Deming), jackknife intervals.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, on one scale.
    error_ratio
        Error variance of x divided by that of y, > 0.
    confidence
        Two-sided coverage, in (0, 1); Student's t with pairs - 2 degrees of freedom.

    Returns
    -------
    Regression
        The line and its intervals.

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold fewer than 10 pairs or a value that is not
        finite, if x does not vary or the covariance is 0.

    References
    ----------
    Linnet, Clin Chem 1990;36:2010 (jackknife); 1993;39:424.
    """
    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    _check_spread(xs)
    _check_error_ratio(error_ratio)
    ones = np.ones((1, len(xs)))
    slope, intercept = _deming_rows(xs, ys, ones, error_ratio)
    slopes, intercepts = leave_one_out(xs, ys, error_ratio, weighted=False)
    return _jackknifed(slope[0], intercept[0], slopes, intercepts, confidence)


def weighted_deming(
    x: npt.ArrayLike, y: npt.ArrayLike, *, error_ratio: float = 1.0, confidence: float = 0.95
) -> Regression:
    """Deming with errors proportional to the value (Linnet's weights), jackknife intervals.

    Each pair weighs 1 / (estimated true value)^2; estimates and weights are iterated until
    the line stands still.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, all of one sign, on one scale.
    error_ratio
        Squared coefficient of variation of x divided by that of y, > 0.
    confidence
        Two-sided coverage, in (0, 1); Student's t with pairs - 2 degrees of freedom.

    Returns
    -------
    Regression
        The line and its intervals.

    Raises
    ------
    ValueError
        As `deming`; also if values have both signs or are 0, or the iteration does not settle.

    References
    ----------
    Linnet, Clin Chem 1993;39:424.
    """
    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    _check_spread(xs)
    _check_error_ratio(error_ratio)
    both = np.concatenate([xs, ys])
    if not (np.all(both > 0) or np.all(both < 0)):
        raise ValueError("weights proportional to the value need values of one sign and none at 0")
    slope, intercept = _weighted_rows(xs, ys, np.ones((1, len(xs))), error_ratio)
    slopes, intercepts = leave_one_out(xs, ys, error_ratio, weighted=True)
    return _jackknifed(slope[0], intercept[0], slopes, intercepts, confidence)


def _deming_rows(xs: Floats, ys: Floats, weights: Floats, ratio: float) -> tuple[Floats, Floats]:
    """Slope and intercept for each row of ``weights``, shape (fits, pairs)."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ xs / total, weights @ ys / total
    from_x, from_y = xs - mean_x[:, None], ys - mean_y[:, None]
    sxx = np.sum(weights * from_x * from_x, axis=1)
    syy = np.sum(weights * from_y * from_y, axis=1)
    sxy = np.sum(weights * from_x * from_y, axis=1)
    if np.any(np.abs(sxy) <= 1e-14 * np.sqrt(sxx * syy)):
        raise ValueError("the two methods do not vary together: no line")
    tilt = ratio * syy - sxx
    slope = (tilt + np.sqrt(tilt * tilt + 4 * ratio * sxy * sxy)) / (2 * ratio * sxy)
    return slope, mean_y - slope * mean_x


def _weighted_rows(xs: Floats, ys: Floats, kept: Floats, ratio: float) -> tuple[Floats, Floats]:
    slope, intercept = _deming_rows(xs, ys, kept, ratio)
    scale = float(np.mean(np.abs(ys)))
    for _ in range(_ITERATIONS_MAX):
        distance = ys - intercept[:, None] - slope[:, None] * xs
        pull = distance / (1 + ratio * slope[:, None] ** 2)
        middle = (xs + ratio * slope[:, None] * pull + ratio * (ys - pull)) / (1 + ratio)
        if np.any((middle == 0) & (kept > 0)):
            break
        with np.errstate(divide="ignore"):
            weights = np.where(kept > 0, (middle / scale) ** -2.0, 0.0)
        before = slope, intercept
        slope, intercept = _deming_rows(xs, ys, weights, ratio)
        moved = max(
            float(np.max(np.abs(slope - before[0]) / np.maximum(np.abs(slope), 1e-300))),
            float(np.max(np.abs(intercept - before[1]))) / scale,
        )
        if moved < 1e-12:
            return slope, intercept
    raise ValueError("the weights do not settle: errors are not proportional to the value")


def leave_one_out(xs: Floats, ys: Floats, ratio: float, *, weighted: bool) -> tuple[Floats, Floats]:
    """Slope and intercept of Deming's line without each pair in turn, shape (pairs,) each.

    Raises
    ------
    ValueError
        As `deming` or `weighted_deming`.
    """
    count = len(xs)
    fit = _weighted_rows if weighted else _deming_rows
    slopes, intercepts = np.empty(count), np.empty(count)
    step = max(1, _CHUNK_CELLS // count)
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        kept = np.ones((len(rows), count))
        kept[np.arange(len(rows)), rows] = 0.0
        slopes[rows], intercepts[rows] = fit(xs, ys, kept, ratio)
    return slopes, intercepts


def _jackknifed(
    slope: float, intercept: float, slopes: Floats, intercepts: Floats, confidence: float
) -> Regression:
    from scipy.special import stdtrit

    count = len(slopes)
    t = float(stdtrit(count - 2, (1 + confidence) / 2))

    def interval(estimate: float, left_out: Floats) -> Interval:
        pseudo = count * estimate - (count - 1) * left_out
        half = t * float(np.std(pseudo, ddof=1)) / count**0.5
        return Interval(estimate - half, estimate + half)

    return Regression(
        slope=float(slope),
        intercept=float(intercept),
        slope_ci=interval(float(slope), slopes),
        intercept_ci=interval(float(intercept), intercepts),
        pairs=count,
    )


def _ordered(one: float, other: float) -> Interval:
    return Interval(min(one, other), max(one, other))


def _check_spread(xs: Floats) -> None:
    if float(np.ptp(xs)) <= _EQUAL * float(np.max(np.abs(xs))):
        raise ValueError("x does not vary")


def _check_error_ratio(ratio: float) -> None:
    if not (np.isfinite(ratio) and ratio > 0):
        raise ValueError(f"the ratio of error variances must be above 0, not {ratio}")
