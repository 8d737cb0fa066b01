"""Boundaries found in a run's own events: the valley of a density, and the main group of events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.parts import Cut

__all__ = ["ChosenCut", "choose_cut", "main_group"]

_STEP = 0.05  # width of a bin on the arcsinh scale
_SMOOTH_BINS = 3.0  # standard deviation of the smoothing
_EVENTS_LEAST = 200  # fewer, and a density is not looked at
_DEPTH = 0.6  # a valley lies below this share of the lower of its two sides
_SIDE_LEAST = 1.0  # smoothed events per bin: less is no group
_FLOOR = 1.25  # bins up to this multiple of the lowest belong to the valley's floor
_ROUNDS = 50
_QUARTER = 0.6373  # standard deviations of a normal's densest quarter
_WITHIN_TWO = 1.2783  # and between the quartiles of what lies within two of them


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCut:
    """Where a boundary was laid; ``fallback`` says why the template's value was taken, or is empty."""

    at: float
    template: float
    events: int
    fallback: str = ""


def choose_cut(values: NDArray[np.floating], cut: Cut, *, step: float = _STEP) -> ChosenCut:
    """Lay a boundary into a density.

    The valley is the middle of the lowest stretch of the smoothed histogram between the
    cut's limits. It must be lower than both sides by a margin; otherwise, or with fewer
    than 200 events, the template's value is taken.

    Parameters
    ----------
    values
        Shape (n_events,), on the cut's own scale.
    cut
        The template's rule.
    step
        Width of a bin; the smoothing is three bins.
    """
    if cut.kind == "fixed" or cut.low is None or cut.high is None:
        return ChosenCut(at=cut.at, template=cut.at, events=len(values))
    if len(values) < _EVENTS_LEAST:
        reason = f"only {len(values)} events to look for a valley in"
        return ChosenCut(at=cut.at, template=cut.at, events=len(values), fallback=reason)
    at = _valley(values, cut.low, cut.high, step)
    if at is None:
        reason = f"no valley between {cut.low:g} and {cut.high:g}"
        return ChosenCut(at=cut.at, template=cut.at, events=len(values), fallback=reason)
    return ChosenCut(at=at, template=cut.at, events=len(values))


def main_group(values: NDArray[np.floating]) -> tuple[float, float]:
    """Median and standard deviation of the group most events belong to.

    Begins with the shortest stretch that holds a quarter of the events, so that up to
    half of them may be debris or doublets. Then the quartiles of the events within two
    standard deviations of the median give both anew, until nothing changes. The
    standard deviation is 0 where all are the same.
    """
    if not len(values):
        return 0.0, 0.0
    ordered = _spread_ties(np.sort(np.asarray(values, dtype=np.float64)))
    reach = len(ordered) // 4
    first = int(np.argmin(ordered[reach:] - ordered[: len(ordered) - reach]))
    middle = float(ordered[first + reach // 2])
    spread = float(ordered[first + reach] - ordered[first]) / _QUARTER
    for _ in range(_ROUNDS):
        low, high = np.searchsorted(ordered, (middle - 2 * spread, middle + 2 * spread), side="left")
        inside = ordered[low : max(int(high), int(low) + 1)]
        quartiles = inside[[len(inside) // 4, len(inside) // 2, 3 * len(inside) // 4]]
        before = (middle, spread)
        middle, spread = float(quartiles[1]), float(quartiles[2] - quartiles[0]) / _WITHIN_TWO
        if (middle, spread) == before:
            break
    return middle, spread


def _spread_ties(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted values with equal ones spread evenly over one step, so that quartiles of whole numbers move."""
    steps = np.diff(ordered)
    if not (steps > 0).any():
        return ordered
    first = np.searchsorted(ordered, ordered, side="left")
    count = np.searchsorted(ordered, ordered, side="right") - first
    place = (np.arange(len(ordered)) - first + 0.5) / count - 0.5
    return np.asarray(ordered + place * steps[steps > 0].min())


def _valley(values: NDArray[np.floating], low: float, high: float, step: float) -> float | None:
    top = max(float(np.max(values)), high) + step
    bottom = min(float(np.min(values)), low) - step
    # Far outliers must not ask for millions of bins: what lies beyond is of no use for a valley.
    bottom, top = max(bottom, low - 400 * step), min(top, high + 400 * step)
    edges = np.arange(bottom, top + step, step)
    counts, _ = np.histogram(values, edges)
    density = _smoothed(counts.astype(np.float64))
    centres = (edges[:-1] + edges[1:]) / 2
    within = np.flatnonzero((centres >= low) & (centres <= high))
    if not len(within):
        return None
    lowest = int(within[np.argmin(density[within])])
    left, right = density[:lowest], density[lowest + 1 :]
    if not len(left) or not len(right):
        return None
    side = min(float(left.max()), float(right.max()))
    if side < _SIDE_LEAST or density[lowest] > _DEPTH * side:
        return None
    floor = density <= _FLOOR * density[lowest] + 0.5
    begin = end = lowest
    while begin > within[0] and floor[begin - 1]:
        begin -= 1
    while end < within[-1] and floor[end + 1]:
        end += 1
    return round(float((centres[begin] + centres[end]) / 2), 4)


def _smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = int(4 * _SMOOTH_BINS)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTH_BINS) ** 2)
    return np.convolve(counts, weights / weights.sum(), mode="same")
