"""Slopes of all pairs of points, ranked and averaged as angles."""

import numpy as np

from pipeline.concordance.series import Floats

__all__ = ["differences", "shifted_median_slope"]

_EQUAL = 1e-12  # values closer than this, relative to their size, differ by rounding only
_EQUAL_ANGLE = 1e-11


def differences(values: Floats) -> Floats:
    """All pairwise differences i < j; 0 where they are rounding errors of decimal input."""
    count = len(values)
    difference = np.empty(count * (count - 1) // 2)
    start = 0
    for i in range(count - 1):
        end = start + count - 1 - i
        np.subtract(values[i], values[i + 1 :], out=difference[start:end])
        start = end
    # Equal decimals read from a file are equal numbers; only computed values (logarithms) differ by
    # rounding, and never by more than this.
    difference[np.abs(difference) < _EQUAL * float(np.median(np.abs(values)))] = 0.0
    return difference


def shifted_median_slope(
    dx: Floats, dy: Floats, points: int, confidence: float
) -> tuple[float, float, float]:
    """Lower bound, slope and upper bound of Passing and Bablok from differences of all pairs of points.

    Parameters
    ----------
    dx, dy
        Shape (pairs of points,): differences of both methods.
    points
        Number of points the differences come from.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    tuple of float
        Slopes, rising with the rank of their angle.

    Raises
    ------
    ValueError
        If one of the three is vertical or lies past the vertical.
    """
    from scipy.special import ndtri

    # A vertical pair points upwards, and so do two identical points: mcr's published fit of the
    # creatinine data (54 vertical pairs, one of identical points) comes out in this way.
    angles = np.full(len(dx), np.pi / 2)
    np.divide(dy, dx, out=angles, where=dx != 0)
    np.arctan(angles, out=angles, where=dx != 0)
    at_or_below = int(np.count_nonzero(angles <= -np.pi / 4 + _EQUAL_ANGLE))
    below = int(np.count_nonzero(angles < -np.pi / 4 - _EQUAL_ANGLE))
    middle = (len(angles) + 1 + at_or_below + below) / 2
    # Kendall's variance of the number of discordant pairs gives the distance of the bounds in ranks.
    deviation = (points * (points - 1) * (2 * points + 5) / 18) ** 0.5
    half = round(float(ndtri((1 + confidence) / 2)) * deviation) / 2
    found = _at_ranks(angles, (middle - half, middle, middle + half))
    if max(abs(a) for a in found) >= np.pi / 2 - 1e-9:
        raise ValueError("the slope or its interval reaches the vertical: no bounds to give")
    low, slope, high = (float(np.tan(a)) for a in found)
    return low, slope, high


def _at_ranks(angles: Floats, ranks: tuple[float, ...]) -> list[float]:
    """Order statistics at 1-based ranks, interpolated; past the last angle the circle goes on."""
    count = len(angles)
    wanted = sorted({int(np.floor(r)) for r in ranks} | {int(np.ceil(r)) for r in ranks})
    places = sorted({(w - 1) % count for w in wanted})
    ordered = np.partition(angles, places)

    def angle(rank: int) -> float:
        turns, place = divmod(rank - 1, count)
        return float(ordered[place]) + turns * float(np.pi)

    found = []
    for rank in ranks:
        floor = int(np.floor(rank))
        share = rank - floor
        found.append((1 - share) * angle(floor) + (share * angle(floor + 1) if share else 0.0))
    return found
