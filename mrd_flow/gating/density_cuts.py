"""Where to cut one dimension in two: the valley of a density, or the crossing of two Gaussians."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cut", "mixture_cut", "valley"]

_BINS_PER_BANDWIDTH = 4
_REACH = 4.0  # beyond the limits, on the scale; values further out are no part of either mode
_FEWEST_ON_A_SIDE = 50
_MIXTURE_BINS = 1000
_MOST_STEPS = 500
_SETTLED = 1e-9


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut; or ``reason``, why there is none, and ``value`` is None."""

    value: float | None
    reason: str = ""


def valley(
    values: NDArray[np.float64], limits: tuple[float, float], *, bandwidth: float, most_depth: float
) -> Cut:
    """Lowest point of the smoothed density within limits, if there is a mode on either side.

    Parameters
    ----------
    values
        Finite values on a scale, shape (n_events,).
    limits
        The cut lies within.
    bandwidth
        Standard deviation of the Gaussian smoothing, on the scale.
    most_depth
        The density at the cut must be at most this share of the lower mode's.

    Returns
    -------
    Cut
        The middle of the lowest stretch where several bins are equally low.

    Examples
    --------
    >>> both = np.concatenate([np.linspace(0.1, 0.3, 500), np.linspace(0.7, 0.9, 500)])
    >>> round(valley(both, (0.2, 0.8), bandwidth=0.02, most_depth=0.5).value, 2)
    0.5
    """
    step = bandwidth / _BINS_PER_BANDWIDTH
    low = max(float(values.min(initial=limits[0])), limits[0] - _REACH) - 4 * bandwidth
    high = min(float(values.max(initial=limits[1])), limits[1] + _REACH) + 4 * bandwidth
    bins = max(8, math.ceil((high - low) / step))
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    density = _smoothed(counts, bandwidth / (edges[1] - edges[0]))
    centres = (edges[:-1] + edges[1:]) / 2
    inside = np.flatnonzero((centres >= limits[0]) & (centres <= limits[1]))
    if not len(inside):
        return Cut(None, "the limits are closer together than the smoothing")
    floor = density[inside].min()
    lowest = inside[density[inside] <= floor + 1e-9 * density.max()]
    place = int(lowest[len(lowest) // 2])
    if min(density[max(place - 1, 0)], density[min(place + 1, bins - 1)]) < floor * (1 - 1e-9):
        return Cut(None, "the density has no valley within the limits")
    sides = counts[:place].sum(), counts[place + 1 :].sum()
    if min(sides) < _FEWEST_ON_A_SIDE:
        return Cut(None, f"fewer than {_FEWEST_ON_A_SIDE} events on one side of the lowest point")
    modes = density[:place].max(), density[place + 1 :].max()
    if density[place] > most_depth * min(modes):
        return Cut(None, "the density has no clear valley within the limits")
    return Cut(float(centres[place]))


def mixture_cut(values: NDArray[np.float64], limits: tuple[float, float], *, separation: float) -> Cut:
    """Where two Gaussians fitted to the values are equally likely.

    Fitted by expectation-maximisation on a histogram, started from the values below and
    above the middle of the limits.

    Parameters
    ----------
    values
        Finite values on a scale, shape (n_events,).
    limits
        The cut lies within.
    separation
        Smallest Ashman's D, sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2), of two clear components.
    """
    counts, edges = np.histogram(values, bins=_MIXTURE_BINS)
    at = (edges[:-1] + edges[1:]) / 2
    upper = (at > sum(limits) / 2).astype(np.float64)
    if min(counts[upper == 0].sum(), counts[upper == 1].sum()) < _FEWEST_ON_A_SIDE:
        return Cut(None, f"fewer than {_FEWEST_ON_A_SIDE} events on one side of the limits' middle")
    share, means, spreads = _fitted(at, counts, upper, least_spread=float(edges[1] - edges[0]))
    distance = math.sqrt(2) * float(means[1] - means[0]) / math.hypot(*map(float, spreads))
    if distance < separation or share.min() * counts.sum() < _FEWEST_ON_A_SIDE:
        return Cut(None, "the two components are not clearly apart")

    def excess(x: float) -> float:
        logs = np.log(share / spreads) - 0.5 * ((x - means) / spreads) ** 2
        return float(logs[1] - logs[0])

    low, high = float(means[0]), float(means[1])
    if not excess(low) < 0 < excess(high):
        return Cut(None, "one component covers the other")
    while high - low > _SETTLED:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return Cut(high)


def _fitted(
    at: NDArray[np.float64],
    counts: NDArray[np.int64],
    upper: NDArray[np.float64],
    *,
    least_spread: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shares, means and standard deviations of the lower and the upper component."""
    belongs = np.array([1 - upper, upper])
    means = np.full(2, np.inf)
    for _ in range(_MOST_STEPS):
        weights = belongs * counts
        total = np.maximum(weights.sum(axis=1), 1e-12)
        before, means = means, weights @ at / total
        spreads = np.sqrt(
            np.maximum((weights * (at - means[:, None]) ** 2).sum(axis=1) / total, least_spread**2)
        )
        share = total / total.sum()
        logs = np.log(share / spreads)[:, None] - 0.5 * ((at - means[:, None]) / spreads[:, None]) ** 2
        logs -= logs.max(axis=0)
        belongs = np.exp(logs) / np.exp(logs).sum(axis=0)
        if np.abs(means - before).max() < _SETTLED:
            break
    return share, means, spreads


def _smoothed(counts: NDArray[np.int64], bandwidth_bins: float) -> NDArray[np.float64]:
    half = math.ceil(4 * bandwidth_bins)
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / bandwidth_bins) ** 2)
    return np.convolve(counts, kernel / kernel.sum())[half : half + len(counts)]
