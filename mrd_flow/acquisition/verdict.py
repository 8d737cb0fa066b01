"""Which runs of bins deviate from a file's own course.

The course of each score (`mrd_flow.acquisition.bins`) and of the rate is a line fitted to
the blocks about each block by repeated medians, so that faults in less than half of them
do not move it: a slow drift belongs to the course. What is left is averaged over windows
of 1, 2, 4 ... bins and compared with its own robust spread over the file at that length,
or with the spread that counting alone gives, if that is larger. From a window that deviates
a run grows to where the deviation along its own direction begins and ends; its bins are
set aside before longer windows are looked at.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mrd_flow.acquisition.bins import BinnedEvents
from mrd_flow.acquisition.result import AcquisitionSettings

__all__ = ["BinRun", "Course", "course_of", "deviating_runs"]

_BLOCKS = 64
_BINS_A_BLOCK = 4
_MEDIAN_BINS = 128  # of a block, enough for its median
_NEIGHBOURS = 25  # blocks about a block through which its line is fitted
_MAD_TO_SD = 1.4826  # of a normal distribution
_TICK_SD = 0.41  # sqrt(1/6): a duration read from a clock of whole ticks, in ticks
_LARGEST_Z = 12.0  # one feature's say in where a run ends
_PADDING = 1  # bins on either side of a run
_OVER = 4.0  # deviation lost, in bins of the fault, at which a run is over
_LONGEST_GAP = 16  # bins between two pieces of one run
_GAP_SHARE = 0.25  # of both pieces' length that the gap may be
_SPREAD_ROWS = 4_000  # windows that are enough for a robust spread

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is expected of each bin: scores (n_bins, n_scores) and ticks (n_bins,).

    ``change`` (n_scores,) and ``rate_factor`` are how much the course itself changes over
    the file.
    """

    scores: Floats
    ticks: Floats
    change: Floats
    rate_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BinRun:
    """Bins ``first`` to ``last`` (included), and how far they deviate.

    ``shift`` (n_scores,) and ``rate_ratio`` (None where the rate is not known) between the
    unpadded ends; ``statistic`` is the largest deviation of a window that began it;
    ``shifted`` the scores (places) and ``rate_deviates`` whether the rate is beyond the
    smallest change that matters.
    """

    first: int
    last: int
    shift: Floats
    rate_ratio: float | None
    statistic: float
    shifted: tuple[int, ...]
    rate_deviates: bool


@dataclass(slots=True, kw_only=True)
class _Rest:
    """What is left of the bins after the course; runs already found are set aside as it goes."""

    bin_events: int
    residual: Floats
    ticks: Floats
    due: Floats
    score_sd: Floats
    z: Floats
    aside: Mask
    pieces: list[tuple[int, int, float, Mask]] = field(default_factory=list)


def course_of(found: BinnedEvents) -> Course:
    """Fit the course of a file; it needs at least 20 bins."""
    blocks = min(_BLOCKS, found.bins // _BINS_A_BLOCK)
    edges = np.linspace(0, found.bins, blocks + 1).astype(int)
    ends = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    scores = np.stack([np.median(found.scores[a : b : 1 + (b - a) // _MEDIAN_BINS], axis=0) for a, b in ends])
    pace = np.maximum(np.add.reduceat(found.ticks, edges[:-1]), 0.5) / np.diff(edges)
    lines = _local_lines(np.column_stack([scores, np.log(pace)]))
    middles, bins = (edges[:-1] + edges[1:] - 1) / 2, np.arange(found.bins)
    smooth = np.stack([np.interp(bins, middles, column) for column in lines.T], axis=1)
    spread = lines.max(axis=0) - lines.min(axis=0)
    return Course(
        scores=smooth[:, :-1],
        ticks=np.exp(smooth[:, -1]),
        change=spread[:-1],
        rate_factor=float(np.exp(spread[-1])),
    )


def deviating_runs(
    found: BinnedEvents, course: Course, settings: AcquisitionSettings
) -> tuple[list[BinRun], bool]:
    """Runs of bins at fault in order, not touching one another; and whether the rate was looked at."""
    widths = _widths(found, settings)
    rated = [float(np.median(course.ticks)) * w >= settings.clock_ticks for w in widths]
    rate_known = any(rated)
    residual = found.scores - course.scores
    rest = _Rest(
        bin_events=found.bin_events,
        residual=residual.copy(),
        ticks=found.ticks.copy(),
        due=course.ticks,
        score_sd=found.score_sd,
        z=_bin_z(found, course, residual, rate_known=rate_known),
        aside=np.zeros(found.bins, np.bool_),
    )
    for width, with_rate in zip(widths, rated, strict=True):
        _search(rest, width, settings, with_rate=with_rate)
    runs = [
        _run(found, course, residual, rest, ends, settings, rate_known=rate_known) for ends in _joined(rest)
    ]
    return runs, rate_known


def _local_lines(values: Floats) -> Floats:
    """Repeated-median line (Siegel 1982) through the blocks about each block, at the block."""
    blocks = len(values)
    width = min(_NEIGHBOURS, blocks)
    firsts = np.clip(np.arange(blocks) - width // 2, 0, blocks - width)
    others = np.array([[j for j in range(width) if j != i] for i in range(width)])
    apart = (others - np.arange(width)[:, None])[:, :, None]
    fitted = np.empty_like(values)
    for block, first in enumerate(firsts):
        near = values[first : first + width]
        slope = np.median(np.median((near[others] - near[:, None, :]) / apart, axis=1), axis=0)
        at = np.arange(width)[:, None] + (first - block)
        fitted[block] = np.median(near - slope * at, axis=0)
    return fitted


def _widths(found: BinnedEvents, settings: AcquisitionSettings) -> list[int]:
    longest = max(1, min(settings.longest_window_events // found.bin_events, found.bins // 8))
    return [1 << k for k in range(longest.bit_length())]


def _robust_sd(values: Floats) -> Floats:
    """Robust standard deviation of each column, from rows spread over all."""
    some = np.ascontiguousarray(values[:: max(1, len(values) // _SPREAD_ROWS)].T)
    middle = np.median(some, axis=1, keepdims=True)
    return np.asarray(_MAD_TO_SD * np.median(np.abs(some - middle), axis=1))


def _time_sd(due: Floats, events: int) -> Floats:
    """Standard deviation of the time spent over the time due, as counting and the clock's ticks give it."""
    return np.asarray(np.sqrt(1 / events + (_TICK_SD / np.maximum(due, 0.5)) ** 2))


def _bin_z(found: BinnedEvents, course: Course, residual: Floats, *, rate_known: bool) -> Floats:
    """Deviation of each bin in standard deviations, (n_bins, n_scores + 1), lateness last.

    Lateness is not logarithmic here, so that the errors of a coarse clock cancel in sums.
    """
    spread = np.maximum(_robust_sd(residual), found.score_sd / np.sqrt(found.bin_events))
    late = found.ticks / course.ticks - 1.0
    late_sd = np.maximum(_time_sd(course.ticks, found.bin_events), _robust_sd(late[:, None])[0])
    z = np.column_stack([residual / np.where(spread > 0, spread, np.inf), late / late_sd * rate_known])
    return np.asarray(np.clip(z, -_LARGEST_Z, _LARGEST_Z))


def _search(rest: _Rest, width: int, settings: AcquisitionSettings, *, with_rate: bool) -> None:
    """Find what deviates over windows of ``width`` bins, the strongest first, and set it aside."""
    start, z, passed = _windows(rest, width, settings, with_rate=with_rate)
    strength = np.where(passed, np.abs(z), 0.0).max(axis=1)
    for i in np.lexsort((start, -strength)):
        inside = slice(start[i], start[i] + width)
        if np.count_nonzero(rest.aside[inside]) * 2 >= width:
            continue
        first, end = _ends(rest.z, int(start[i]), width)
        rest.pieces.append((first, end, float(strength[i]), passed[i]))
        rest.aside[max(0, first - _PADDING) : end + _PADDING] = True
    rest.residual[rest.aside] = 0.0
    rest.ticks[rest.aside] = rest.due[rest.aside]


def _windows(
    rest: _Rest, width: int, settings: AcquisitionSettings, *, with_rate: bool
) -> tuple[NDArray[np.intp], Floats, Mask]:
    """Windows that deviate: first bins, deviations of each feature (lateness last), which pass."""
    start = np.arange(0, len(rest.residual) - width + 1, max(1, width // 4))
    events = width * rest.bin_events
    shift = _sums(rest.residual, start, width) / width
    spread = np.maximum(_robust_sd(shift), rest.score_sd / np.sqrt(events))
    due = _sums(rest.due, start, width)
    late = np.log(np.maximum(_sums(rest.ticks, start, width), 0.5) / np.maximum(due, 0.5))
    late_sd = np.maximum(_time_sd(due, events), _robust_sd(late[:, None])[0])
    large = np.abs(shift) >= settings.shift
    off_pace = with_rate & (np.abs(late) >= np.log(settings.rate_change))
    rows = np.flatnonzero(large.any(axis=1) | off_pace)  # few, as a rule
    z = np.column_stack([shift[rows] / np.where(spread > 0, spread, np.inf), (late / late_sd)[rows]])
    passed = np.column_stack([large[rows], off_pace[rows]]) & (np.abs(z) >= settings.z_limit)
    chosen = passed.any(axis=1)
    return start[rows[chosen]], z[chosen], passed[chosen]


def _sums(values: Floats, start: NDArray[np.intp], width: int) -> Floats:
    if width == 1:
        return values
    summed = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    return np.asarray(summed[start + width] - summed[start])


def _ends(z: Floats, start: int, width: int) -> tuple[int, int]:
    """Trim and grow a window to where the deviation along its own direction begins and ends."""
    direction = z[start : start + width].mean(axis=0)
    squared = float(direction @ direction)
    threshold = min(0.5, max(0.15, 2 / np.sqrt(squared)))
    weights = direction / squared
    first, end = _best_stretch(z[start : start + width] @ weights - threshold)
    first, end = start + first, start + end
    return first - _grown(z[:first][::-1], weights, threshold), end + _grown(z[end:], weights, threshold)


def _grown(z: Floats, weights: Floats, threshold: float) -> int:
    """Bins up to the largest sum of what they gain, looking no further than where it is plainly over."""
    total, best, length = 0.0, 0.0, 0
    for begin in range(0, len(z), 256):
        gained = total + np.cumsum(z[begin : begin + 256] @ weights - threshold)
        highest = np.maximum.accumulate(np.maximum(gained, best))
        over = np.flatnonzero(highest - gained > _OVER)
        reach = gained[: over[0] + 1] if len(over) else gained
        at = int(np.argmax(reach))
        if reach[at] > best:
            best, length = float(reach[at]), begin + at + 1
        if len(over):
            break
        total = float(gained[-1])
    return length


def _best_stretch(gain: Floats) -> tuple[int, int]:
    """First and end of the stretch with the largest sum."""
    summed = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(summed)
    end = int(np.argmax(summed[1:] - lowest[:-1])) + 1
    return int(np.argmin(summed[:end])), end


def _joined(rest: _Rest) -> list[tuple[int, int]]:
    """First bins and ends of what was set aside.

    Neighbours are one run where the gap between them is short: a faint fault is found in pieces.
    """
    steps = np.diff(rest.aside.astype(np.int8), prepend=0, append=0)
    joined: list[tuple[int, int]] = []
    for first, end in zip(
        np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True
    ):
        if joined:
            before = joined[-1][1] - joined[-1][0]
            if first - joined[-1][1] <= min(_LONGEST_GAP, (before + end - first) * _GAP_SHARE):
                joined[-1] = (joined[-1][0], end)
                continue
        joined.append((first, end))
    return joined


def _run(
    found: BinnedEvents,
    course: Course,
    residual: Floats,
    rest: _Rest,
    ends: tuple[int, int],
    settings: AcquisitionSettings,
    *,
    rate_known: bool,
) -> BinRun:
    first, end = ends
    pieces = [p for p in rest.pieces if first <= p[0] < end]
    core = slice(min(p[0] for p in pieces), max(p[1] for p in pieces))
    shift = residual[core].mean(axis=0)
    ratio = float(course.ticks[core].sum() / max(found.ticks[core].sum(), 0.5))
    # What began the run, and what the whole of it shows.
    passed = np.logical_or.reduce([p[3] for p in pieces])
    shifted = passed[:-1] | (np.abs(shift) >= settings.shift)
    slow_or_fast = rate_known and abs(np.log(ratio)) >= np.log(settings.rate_change)
    return BinRun(
        first=first,
        last=end - 1,
        shift=shift,
        rate_ratio=ratio if rate_known else None,
        statistic=max(p[2] for p in pieces),
        shifted=tuple(np.flatnonzero(shifted).tolist()),
        rate_deviates=bool(passed[-1]) or slow_or_fast,
    )
