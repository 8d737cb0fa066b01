"""A data set as bins of consecutive events: clock, and a coarse distribution of every channel.

Everything the acquisition check looks at comes from one pass over the file. A bin keeps
how many of its events fell into each cell of each channel (four cells to an octave), not
the values. From the whole file's cells each cell has two scores: the mean rank of its
events among all of the channel (0 lowest, 1 highest), and how far that is from the middle
(0 the median, 1 either end). A bin's mean scores say how far its events lie above or below
the file's and how widely they scatter; both are about 0.5, bounded, and need no scale,
compensation or knowledge of the stain.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.data_sets import DataSet
from mrd_flow.fcs.layout import Parameter

__all__ = ["BinnedEvents", "Group", "binned", "median_of_cells"]

CELLS = 64
_BELOW_ZERO = 8  # cells of negative values, one to an octave
_SCORE_STEPS = 1 << 15  # scores are whole numbers of this size while they are summed
_CODES = 2048  # sign, 8 bits of exponent, 2 of mantissa
_BITS_BELOW_CODE = np.uint32(21)
_NOT_FINITE = 255 * 4  # codes from here, either sign: infinite or no number
_EXPONENT_BIAS = 127
_PASS_EVENTS = 1 << 15  # events of 14 float32 that stay in a processor's cache
_CLOCKS = ("time", "hdr-t")
_NO_RANGE = 262_144.0  # where a file states no $PnR
_FINE_BINS_WANTED, _FINEST_EVENTS, _FINE_EVENTS, _MOST_BINS = 2_000, 50, 250, 80_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Bins added up: ``first_bin`` of each group and its cells, int32 (n_groups, n_channels, 64)."""

    first_bin: NDArray[np.int64]
    cells: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedEvents:
    """The bins of one data set.

    ``channels`` are names, ``scatter`` says which of them are scatter, ``tops`` are the
    smallest values above their scales. Bin ``b`` holds the events from ``b * bin_events``;
    fewer than ``bin_events`` are left over behind the last.

    ``scores`` float64 (n_bins, 2 * n_channels) are the mean ranks, then the mean distances
    from the middle; ``score_sd`` (2 * n_channels,) the standard deviations of one event's.

    ``timed`` says whether there is a clock. ``ticks`` (n_bins,) is how long a bin took,
    ``longest_wait`` (n_bins,) the longest time without an event in it, both in steps of the
    clock: ticks, or the shortest wait between two events where times are not whole.
    ``bounds`` are the times of the first event and of the last event of every bin, of what
    is left over too, as stored: a wait belongs to the event that ends it. ``steps_back``
    and ``times_unusable`` count events.

    ``off_scale_events`` int64 (n,) are the events off a scale, ``off_scale_channels`` uint64
    (n,) the channels, one bit each; of a channel with too many, as many as show that.
    """

    events: int
    bin_events: int
    channels: tuple[str, ...]
    scatter: tuple[bool, ...]
    tops: NDArray[np.float64]
    timed: bool
    scores: NDArray[np.float64]
    score_sd: NDArray[np.float64]
    ticks: NDArray[np.float64]
    longest_wait: NDArray[np.float64]
    bounds: NDArray[np.float64]
    steps_back: int
    times_unusable: int
    off_scale_events: NDArray[np.int64]
    off_scale_channels: NDArray[np.uint64]
    trace: Group

    @property
    def bins(self) -> int:
        """Whole bins."""
        return len(self.scores)


def _clock_column(parameters: tuple[Parameter, ...]) -> int | None:
    """Column of the clock, by its name; None where no parameter, or more than one, bears it."""
    found = [i for i, p in enumerate(parameters) if p.name.strip().lower() in _CLOCKS]
    return found[0] if len(found) == 1 else None


def _bin_events(events: int) -> int:
    """Events of a bin: 250, fewer in a file below half a million, more in one above 20 million."""
    fine = min(max(events // _FINE_BINS_WANTED, _FINEST_EVENTS), _FINE_EVENTS)
    return max(fine, -(-events // _MOST_BINS))


def binned(
    data: DataSet, columns: dict[str, int], *, jitter_ticks: float, margin_share_max: float, trace_points: int
) -> BinnedEvents:
    """Put all events of a data set into bins.

    Parameters
    ----------
    data
        The events; read once, in order.
    columns
        Column of every channel looked at, at most 64; names that begin with FS or SS are scatter.
    jitter_ticks
        A step back in time by no more than this is not counted.
    margin_share_max
        Once more than this share of the file is off a channel's scale, no more of it is listed.
    trace_points
        Groups of bins whose cells are kept, at most.

    Raises
    ------
    ValueError
        If there is no channel, or more than 64.
    DamagedFile
        If the file became shorter since it was opened.
    """
    from mrd_flow.acquisition.kernels import bin_scores, group_cells

    if not 1 <= len(columns) <= 64:
        raise ValueError("1 to 64 channels can be checked")
    scale = _scale(data, columns)
    passed = _pass(data, columns, scale, jitter_ticks, margin_share_max * data.events)
    rows, bins = len(passed.cells), data.events // passed.bin_events
    groups = np.arange(rows, dtype=np.int64) * min(trace_points, rows) // max(rows, 1)
    grouped = np.zeros((min(trace_points, rows), len(columns), CELLS), np.int32)
    group_cells(passed.cells, groups, grouped)
    tables, score_sd = _scores(grouped.sum(axis=0))
    sums = np.empty((bins, 2 * len(columns)), np.int32)
    bin_scores(passed.cells[:bins], np.rint(tables * _SCORE_STEPS).astype(np.int32), sums)
    first_time, _, steps_back, times_unusable, shortest_wait = passed.state.tolist()
    bounds, tick = np.append(first_time, passed.clock[:, 0]), min(shortest_wait, 1.0) or 1.0
    return BinnedEvents(
        events=data.events,
        bin_events=passed.bin_events,
        channels=tuple(columns),
        scatter=_is_scatter(columns),
        tops=scale[1].astype(np.float64),
        timed=_clock_column(data.parameters) is not None,
        scores=sums / (passed.bin_events * _SCORE_STEPS),
        score_sd=score_sd,
        ticks=np.maximum(np.diff(bounds[: bins + 1]), 0.0) / tick,
        longest_wait=passed.clock[:bins, 1] / tick,
        bounds=bounds,
        steps_back=int(steps_back),
        times_unusable=int(times_unusable),
        off_scale_events=passed.off_scale_events,
        off_scale_channels=passed.off_scale_channels,
        trace=Group(first_bin=np.searchsorted(groups, np.arange(len(grouped))), cells=grouped),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    """What one pass over the events leaves; the last row of cells may be of a bin that is not full."""

    bin_events: int
    cells: NDArray[np.uint8] | NDArray[np.uint16]
    clock: NDArray[np.float64]
    state: NDArray[np.float64]
    off_scale_events: NDArray[np.int64]
    off_scale_channels: NDArray[np.uint64]


def _pass(
    data: DataSet,
    columns: dict[str, int],
    scale: NDArray[np.float32],
    jitter_ticks: float,
    most_off_scale: float,
) -> _Passed:
    from mrd_flow.acquisition.kernels import count_cells, count_time

    size = _bin_events(data.events)
    rows = -(-data.events // size)
    cell_of = np.array([_cells_of(top) for top in scale[1].tolist()])
    edges = _edge_cells(scale, cell_of)
    # One byte counts the events of a bin in a cell as long as a bin has no more than it holds.
    cells = np.zeros((rows, len(columns), CELLS), np.uint8 if size < 256 else np.uint16)
    clock, state = np.zeros((rows, 2)), np.zeros(5)
    numbers, channels = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    bits_of_channels = np.uint64(1) << np.arange(len(columns), dtype=np.uint64)
    counts = np.zeros(len(columns), np.int64)
    begin = 0
    for chunk, places, time_place in _chunks(data, tuple(columns.values()), _clock_column(data.parameters)):
        off_scale = np.empty(len(chunk), np.uint64)
        count_cells(
            chunk, chunk.view(np.uint32), places, scale, cell_of, edges, begin, size, cells, off_scale
        )
        if time_place is not None:
            count_time(chunk[:, time_place], jitter_ticks, begin, size, clock, state)
        at = np.flatnonzero(off_scale)
        numbers.append(at + begin)
        channels.append(off_scale[at])
        counts += ((channels[-1][:, None] & bits_of_channels) != 0).sum(axis=0)
        edges[:, counts > most_off_scale] = [[-1], [CELLS]]
        begin += len(chunk)
    return _Passed(
        bin_events=size,
        cells=cells,
        clock=clock,
        state=state,
        off_scale_events=np.concatenate(numbers),
        off_scale_channels=np.concatenate(channels),
    )


def _is_scatter(columns: dict[str, int]) -> tuple[bool, ...]:
    return tuple(name.upper().startswith(("FS", "SS")) for name in columns)


def _scale(data: DataSet, columns: dict[str, int]) -> NDArray[np.float32]:
    """Largest value below and smallest above each channel's scale, (2, n_channels); light has no bottom."""
    chosen = [data.parameters[c] for c in columns.values()]
    lowest = [p.log_zero if p.decades > 0 else 0.0 for p in chosen]
    bottoms = np.where(_is_scatter(columns), lowest, -np.inf)
    return np.array([bottoms, [_top(p) for p in chosen]], np.float32)


def _edge_cells(scale: NDArray[np.float32], cell_of: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Cells of the two ends of each channel's scale, (2, n_channels); -1 for no bottom."""
    bounded = np.isfinite(scale)
    codes = (np.where(bounded, scale, 0).view(np.uint32) >> _BITS_BELOW_CODE).astype(np.int64)
    cells = np.take_along_axis(cell_of, codes.T, axis=1).T.astype(np.int64)
    return np.where(bounded, cells, -1)


def median_of_cells(cells: NDArray[np.int32], tops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of grouped cells, float64 (n_groups, n_channels), to within a cell (a fifth of the value)."""
    below = np.cumsum(cells, axis=2)
    at = np.argmax(2 * below >= below[:, :, -1:], axis=2)
    return np.stack([_middles(top)[at[:, c]] for c, top in enumerate(tops)], axis=1)


def _chunks(
    data: DataSet, columns: tuple[int, ...], timer: int | None
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64], int | None]]:
    """Events as float32, the columns of the channels in them, and that of the clock."""
    wanted = columns if timer is None else (*columns, timer)
    for chunk, places in data.precise_chunks(wanted, events=_PASS_EVENTS):
        single = np.ascontiguousarray(chunk, np.float32)
        time_place = None if timer is None else places[-1]
        yield single, np.array(places[: len(columns)], np.int64), time_place


def _top(parameter: Parameter) -> float:
    """Smallest value that counts as the top of a channel's scale."""
    if parameter.decades > 0:  # the largest of $PnR stored values, amplified
        stored = (parameter.range - 1.0) / parameter.range
        return float(parameter.log_zero * 10 ** (parameter.decades * stored))
    gain = parameter.gain if parameter.gain > 0 else 1.0
    return ((parameter.range if parameter.range > 1 else _NO_RANGE) - 1.0) / gain


def _first_code(top: float) -> int:
    """Largest code of the first positive cell; the last cell ends with the octave of ``top``."""
    octave = int(np.ceil(np.log2(top))) if top > 0 else 18
    return max(1, (octave + _EXPONENT_BIAS) * 4 - (CELLS - _BELOW_ZERO))


def _cells_of(top: float) -> NDArray[np.uint8]:
    """Cell of every code: negative values falling from 7 to 0, positive ones rising from 8 to 63."""
    code = np.arange(_CODES)
    above = np.maximum((code % (_CODES // 2)) - _first_code(top), 0)
    negative = _BELOW_ZERO - 1 - np.minimum(above // 4, _BELOW_ZERO - 1)
    positive = _BELOW_ZERO + np.minimum(above, CELLS - _BELOW_ZERO - 1)
    cell = np.where(code >= _CODES // 2, negative, positive)
    cell[code % (_CODES // 2) >= _NOT_FINITE] = CELLS - 1
    return cell.astype(np.uint8)


def _middles(top: float) -> NDArray[np.float64]:
    """A value in the middle of each cell."""
    first = _first_code(top)
    code = np.arange(first, first + CELLS - _BELOW_ZERO)
    ends = np.append(code, code[-1] + 1).astype(np.uint32) << _BITS_BELOW_CODE
    values = ends.view(np.float32).astype(np.float64)
    positive = (values[:-1] + values[1:]) / 2
    positive[0] = values[1] / 2
    negative = -values[0] * 2.0 ** np.arange(_BELOW_ZERO - 1, -1, -1) * 1.5
    negative[-1] = -values[0] / 2
    return np.concatenate([negative, positive])


def _scores(cells: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both scores of each cell, (2, n_channels, n_cells), and one event's SD, (2 * n_channels,)."""
    total = np.maximum(cells.sum(axis=1, keepdims=True), 1)
    ranks = (np.cumsum(cells, axis=1) - cells / 2) / total
    tables = np.stack([ranks, np.abs(2 * ranks - 1)])
    means = (cells * tables).sum(axis=2, keepdims=True) / total
    variance = (cells * (tables - means) ** 2).sum(axis=2) / total[:, 0]
    return tables, np.sqrt(variance).ravel()
