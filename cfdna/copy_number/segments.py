"""Bins cut into segments of one level, arm by arm, and levels explained by purity and copies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.copy_number.bins import Bins
from cfdna.copy_number.count_model import design_of, fit_counts

__all__ = ["Level", "Levels", "cut", "measure_levels"]

Floats = NDArray[np.float64]
_PENALTY = 12.0  # gain in deviance that a cut has to bring, beyond 2 log(bins): few cuts in noise
_SHORTEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A stretch of one arm with one level.

    ``ratio`` is its depth over that of a typical bin, ``standard_error`` the error of that.
    """

    chrom: str
    arm: str
    start: int
    end: int
    bins: int
    ratio: float
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """Segments of a sample; ``ratios`` corrected, of the ``bins`` used; ``spread`` of one bin.

    ``inflation`` is how much more the mean of neighbouring bins varies than that of independent ones.
    """

    segments: tuple[Level, ...]
    bins: Bins
    ratios: Floats
    spread: float
    inflation: float


def measure_levels(bins: Bins, *, mappability_min: float, rounds: int = 3) -> Levels:
    """Correct bins for GC and mappability and cut them into segments, in turn.

    The smooth function of GC is fitted with the segments found so far held apart, so that a gained
    chromosome rich in GC is not taken for GC.

    Raises
    ------
    ValueError
        If fewer than 50 bins are usable.
    """
    used = bins.select(bins.usable(mappability_min))
    if len(used) < 50:
        raise ValueError(f"only {len(used)} usable bins, at least 50 are needed")
    arms = used.arms
    design = design_of(used)
    offset = np.zeros(len(used))
    for _ in range(rounds):
        fit = fit_counts(used.counts, design, offset=offset)
        ratios = used.counts / (fit.expected / np.exp(offset))
        middle = float(np.median(ratios))
        ratios = ratios / middle
        spread = 1.4826 * float(np.median(np.abs(np.diff(ratios)))) / math.sqrt(2)
        edges = cut(ratios, arms, spread)
        offset = np.log(_means(ratios, edges))
        offset -= np.median(offset)
    inflation = _inflation(ratios - np.exp(offset) * _typical(ratios, offset), arms, edges)
    segments = tuple(_level(used, arms, ratios, a, b, spread, inflation) for a, b in edges)
    return Levels(segments=segments, bins=used, ratios=ratios, spread=spread, inflation=inflation)


def cut(ratios: Floats, arms: Sequence[str], spread: float) -> list[tuple[int, int]]:
    """Segments of each arm by least squares with a penalty a cut (optimal partitioning).

    Jackson et al., IEEE Signal Process Lett 2005;12:105; deviations beyond four spreads count as four.
    """
    edges: list[tuple[int, int]] = []
    first = 0
    penalty = _PENALTY + 2 * math.log(len(ratios))
    for last in range(1, len(ratios) + 1):
        if last == len(ratios) or arms[last] != arms[first]:
            part = ratios[first:last]
            middle = np.median(part)
            kept = np.clip(part, middle - 0.6 - 4 * spread, middle + 0.6 + 4 * spread) / spread
            edges += [(first + a, first + b) for a, b in _partition(kept, penalty)]
            first = last
    return edges


def _partition(values: Floats, penalty: float) -> list[tuple[int, int]]:
    size = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    best = np.full(size + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(size + 1, dtype=np.int64)
    for end in range(1, size + 1):
        starts = np.arange(0, max(1, end - _SHORTEST + 1))
        length = end - starts
        cost = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / length
        total = best[starts] + cost + penalty
        choice = int(total.argmin())
        best[end], previous[end] = total[choice], starts[choice]
    edges, end = [], size
    while end > 0:
        edges.append((int(previous[end]), end))
        end = int(previous[end])
    return edges[::-1]


def _means(ratios: Floats, edges: Sequence[tuple[int, int]]) -> Floats:
    means = np.empty(len(ratios))
    for a, b in edges:
        means[a:b] = max(float(np.median(ratios[a:b])), 0.05)
    return means


def _typical(ratios: Floats, offset: Floats) -> float:
    return float(np.median(ratios / np.exp(offset)))


def _inflation(residuals: Floats, arms: Sequence[str], edges: Sequence[tuple[int, int]]) -> float:
    """1 + 2 sum of autocorrelations (Bartlett, 20 bins), at least 1."""
    names = np.array(arms)
    clipped = np.clip(residuals, *np.quantile(residuals, [0.01, 0.99]))
    variance = float((clipped**2).mean())
    if variance == 0 or len(edges) == 0:
        return 1.0
    total = 1.0
    for lag in range(1, 21):
        same = names[lag:] == names[:-lag]
        if same.any():
            total += 2 * (1 - lag / 21) * float((clipped[lag:] * clipped[:-lag])[same].mean()) / variance
    return max(1.0, total)


def _level(
    bins: Bins, arms: Sequence[str], ratios: Floats, a: int, b: int, spread: float, inflation: float
) -> Level:
    part = ratios[a:b]
    middle = float(np.median(part))
    mean = float(np.clip(part, middle - 4 * spread, middle + 4 * spread).mean())
    return Level(
        chrom=bins.chroms[a],
        arm=arms[a],
        start=int(bins.starts[a]),
        end=int(bins.ends[b - 1]),
        bins=b - a,
        ratio=mean,
        standard_error=spread * math.sqrt(inflation / (b - a)),
    )
