"""Compiled kernels of the acquisition check: one pass over the events, then one over the bins.

A value's cell is looked up by the first `CODE_BITS` of its float32: sign, exponent and
two bits of the mantissa. So there are four cells to an octave, and no logarithm.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit

__all__ = ["bin_scores", "count_cells", "count_time", "group_cells"]

_BITS_BELOW_CODE = np.uint32(21)
_ENDLESS = 1e30  # ticks; no clock reaches it, NaN and infinity do not lie below it

Array: TypeAlias = Any  # of numpy where Python calls, of numba in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True, error_model="numpy"))


@kernel
def count_cells(
    events: Array,
    bits: Array,
    places: Array,
    scale: Array,
    cell_of: Array,
    edges: Array,
    begin: int,
    bin_events: int,
    cells: Array,
    off_scale: Array,
) -> None:
    """Add the values of a chunk to the cells of its bins, and mark those off scale.

    Parameters
    ----------
    events, bits
        float32 (n_events, n_columns) and the same memory as uint32.
    places
        int64 (n_channels,), columns of the channels.
    scale
        float32 (2, n_channels): a value is on scale above the first and below the second.
    cell_of
        uint8 (n_channels, 2048), cell of each code.
    edges
        int64 (2, n_channels): a value off scale lies in a cell up to the first or from the
        second on. Events are compared with ``scale`` only in bins that have one there.
    begin
        Number of the chunk's first event.
    bin_events
        Events of a bin; those left over at the end go into one more.
    cells
        unsigned (n_bins + 1, n_channels, n_cells), added to.
    off_scale
        uint64 (n_events,), filled: the bit of every channel in which the event is off scale.
    """
    off_scale[:] = 0
    first = 0
    while first < len(events):
        at = (begin + first) // bin_events
        last = min(len(events), (at + 1) * bin_events - begin)
        for c in range(len(places)):
            place, low, high = places[c], scale[0, c], scale[1, c]
            row, lookup, bit = cells[at, c], cell_of[c], np.uint64(1) << np.uint64(c)
            for i in range(first, last):
                row[lookup[bits[i, place] >> _BITS_BELOW_CODE]] += 1
            if not row[: edges[0, c] + 1].any() and not row[edges[1, c] :].any():
                continue
            for i in range(first, last):
                value = events[i, place]
                if not value > low or not value < high:
                    off_scale[i] |= bit
        first = last


@kernel
def count_time(times: Array, jitter: float, begin: int, bin_events: int, clock: Array, state: Array) -> None:
    """Add the times of a chunk to its bins.

    Parameters
    ----------
    times
        float32 (n_events,), ticks.
    jitter
        Ticks by which the clock may step back.
    begin, bin_events
        As in `count_cells`.
    clock
        float64 (n_bins + 1, 2), of zeros at first, filled: the time of a bin's last event,
        and the longest wait for an event of the bin, in ticks.
    state
        float64 (5,), of zeros at first, carried from chunk to chunk: first and last time,
        steps back, times that are no number, and the shortest wait above 0 (0 for none).
    """
    if begin == 0 and len(times):
        state[0] = times[0]
        state[1] = times[0]
    last, steps_back, unusable = state[1], 0, 0
    shortest = state[4] if state[4] > 0.0 else _ENDLESS
    first = 0
    while first < len(times):
        at = (begin + first) // bin_events
        end = min(len(times), (at + 1) * bin_events - begin)
        longest = clock[at, 1]
        for i in range(first, end):
            time = np.float64(times[i])
            if not abs(time) < _ENDLESS:
                unusable += 1
                continue
            wait = time - last
            steps_back += wait < -jitter
            longest = max(longest, wait)
            shortest = wait if 0.0 < wait < shortest else shortest
            last = time
        clock[at, 0] = last
        clock[at, 1] = longest
        first = end
    state[1] = last
    state[2] += steps_back
    state[3] += unusable
    state[4] = shortest if shortest < _ENDLESS else 0.0


@kernel
def group_cells(cells: Array, groups: Array, out: Array) -> None:
    """Add every bin's cells to those of its group.

    Parameters
    ----------
    cells
        unsigned (n_bins, n_channels, n_cells).
    groups
        int64 (n_bins,), group of each bin.
    out
        int32 (n_groups, n_channels, n_cells), added to.
    """
    for b in range(len(cells)):
        for c in range(cells.shape[1]):
            for k in range(cells.shape[2]):
                out[groups[b], c, k] += cells[b, c, k]


@kernel
def bin_scores(cells: Array, tables: Array, out: Array) -> None:
    """Sum of the scores of every bin's events in every channel.

    Parameters
    ----------
    cells
        unsigned (n_bins, n_channels, n_cells).
    tables
        int32 (2, n_channels, n_cells), two scores of a cell; whole numbers, whose sums
        neither round nor depend on their order.
    out
        int32 (n_bins, 2 * n_channels), filled: the first score of all channels, then the
        second. A bin's events times the largest score must stay below 2^31.
    """
    channels = cells.shape[1]
    for b in range(len(cells)):
        for c in range(channels):
            first, second = np.int32(0), np.int32(0)
            for k in range(cells.shape[2]):
                count = np.int32(cells[b, c, k])
                first += count * tables[0, c, k]
                second += count * tables[1, c, k]
            out[b, c] = first
            out[b, channels + c] = second
