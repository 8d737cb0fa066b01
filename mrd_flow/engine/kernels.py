"""Compiled kernel of the gating engine: compensation, scales and gates of a chunk of events.

Events are taken through the gates a block at a time, gate by gate, in an order in which
parents and references come first. Values are made when a gate asks for them and kept for
the block's other gates. Where a value lies so near to a boundary that rounding could
decide, the event is marked and left to `mrd_flow.engine.run`, which decides it in the
reference's own arithmetic.
"""

from typing import Any

import numpy as np

from mrd_flow.engine.gate_codes import ANY_OF, COMPENSATED, ELLIPSOID, NONE_OF, POLYGON, RECTANGLE, STORED
from mrd_flow.engine.shape_kernels import (
    IN,
    OUT,
    UNSURE,
    Array,
    in_ellipsoid,
    in_polygon,
    kernel,
    ratio,
    scaled,
)

__all__ = ["gate_events"]

_ABSENT = 3  # not in the parent, beside IN, OUT and UNSURE
_BLOCK = 1024  # events worked on together: their values stay in the processor's cache
_DENSE = 4  # where more than one in so many events is in question, all are computed side by side


@kernel
def gate_events(
    events: Any,
    sources: Any,
    axes: Any,
    gates: Any,
    operands: Any,
    limits: Any,
    numbers: Any,
    out: Any,
    unsure: Any,
) -> None:
    """Membership of each event of a chunk in each gate.

    Parameters
    ----------
    events
        Stored values, float32 or float64, shape (n_events, n_columns).
    sources, axes, gates, operands, limits, numbers
        The arrays of `mrd_flow.engine.program.GateProgram`.
    out
        bool, shape (n_gates, n_events), all False; filled.
    unsure
        bool, shape (n_events,); set where rounding could decide. Such an event's
        column of ``out`` means nothing.
    """
    kind, parent, complement, first, place = gates
    low, high, low_band, high_band, reach = limits
    n_sources, n_axes = len(sources[0]), len(axes[0])
    columns = np.empty((events.shape[1], _BLOCK))
    values, on_scale = np.empty((n_sources, _BLOCK)), np.empty((n_axes, _BLOCK))
    has_column, full = np.empty(events.shape[1], np.bool_), np.empty(n_sources, np.bool_)
    made, scaled_made = np.empty((n_sources, _BLOCK), np.bool_), np.empty((n_axes, _BLOCK), np.bool_)
    widest = 1
    for g in range(len(kind)):
        widest = max(widest, first[g + 1] - first[g])
    state, point, doubts = np.empty(_BLOCK, np.uint8), np.empty(widest), np.empty(widest)
    for begin in range(0, len(events), _BLOCK):
        size = min(_BLOCK, len(events) - begin)
        has_column[:], full[:], made[:], scaled_made[:] = False, False, False, False
        for g in range(len(kind)):
            inside = out[parent[g], begin : begin + size] if parent[g] >= 0 else out[g, begin : begin + size]
            alive = 0
            for j in range(size):
                state[j] = IN if parent[g] < 0 or inside[j] else _ABSENT
                alive += state[j] == IN
            if alive == 0:
                continue
            if kind[g] == RECTANGLE:
                for d in range(first[g], first[g + 1]):
                    k = operands[d, 0]
                    _fill(
                        events, begin, size, sources, k, state, alive, columns, has_column, values, full, made
                    )
                    _narrow(values[k], size, low[d], high[d], low_band[d], high_band[d], reach[d], state)
                    alive = 0
                    for j in range(size):
                        alive += state[j] == IN
                    if alive == 0:
                        break
            elif kind[g] <= ELLIPSOID:
                width = first[g + 1] - first[g]
                for d in range(first[g], first[g + 1]):
                    a = operands[d, 0]
                    k = axes[0][a]
                    doubts[d - first[g]] = axes[5][a]
                    _fill(
                        events, begin, size, sources, k, state, alive, columns, has_column, values, full, made
                    )
                    _scale(values[k], size, axes, a, state, on_scale[a], scaled_made[a])
                for j in range(size):
                    if state[j] != IN:
                        continue
                    for d in range(width):
                        point[d] = on_scale[operands[first[g] + d, 0], j]
                    if kind[g] == POLYGON:
                        corners = operands[first[g], 1]
                        state[j] = in_polygon(
                            point[0], point[1], doubts[0], doubts[1], numbers, place[g], corners
                        )
                    else:
                        state[j] = in_ellipsoid(point, doubts, width, numbers, place[g])
            else:
                _combine(kind[g], operands[first[g] : first[g + 1]], out, begin, size, state)
            for j in range(size):
                if state[j] == UNSURE:
                    unsure[begin + j] = True
                elif state[j] != _ABSENT:
                    out[g, begin + j] = (state[j] == IN) != complement[g]


@kernel
def _fill(
    events: Array,
    begin: int,
    size: int,
    sources: Array,
    k: int,
    state: Array,
    alive: int,
    columns: Array,
    has_column: Array,
    values: Array,
    full: Array,
    made: Array,
) -> None:
    """Values of a source for the events of a block that are still in question, or for all where most are."""
    kind, places, numbers, weight_first, weight_column, weight = sources
    if full[k]:
        return
    if kind[k] == STORED:
        for j in range(size):
            values[k, j] = events[begin + j, places[k, 0]] * numbers[k, 0]
        full[k] = True
    elif kind[k] != COMPENSATED:
        for j in range(size):
            values[k, j] = ratio(events[begin + j], places[k], numbers[k])
        full[k] = True
    elif _DENSE * alive < size:
        for j in range(size):
            if state[j] == IN and not made[k, j]:
                made[k, j] = True
                total = 0.0
                for w in range(weight_first[k], weight_first[k + 1]):
                    total += events[begin + j, weight_column[w]] * weight[w]
                values[k, j] = total
    else:
        for j in range(size):
            values[k, j] = 0.0
        for w in range(weight_first[k], weight_first[k + 1]):
            c = weight_column[w]
            if not has_column[c]:
                has_column[c] = True
                for j in range(size):
                    columns[c, j] = events[begin + j, c]
            _add(values[k], columns[c], weight[w], size)
        full[k] = True


@kernel
def _add(total: Array, column: Array, weight: float, size: int) -> None:
    for j in range(size):
        total[j] += column[j] * weight


@kernel
def _narrow(
    values: Array,
    size: int,
    low: float,
    high: float,
    low_band: float,
    high_band: float,
    reach: float,
    state: Array,
) -> None:
    """Put the events in question to a range; without branches, which half the events would take."""
    low_band = low_band if low_band > 0.0 else -1.0  # a band of 0 holds not even its boundary
    high_band = high_band if high_band > 0.0 else -1.0
    for j in range(size):
        x = values[j]
        near = (
            (abs(x - low) <= low_band) | (abs(x - high) <= high_band) | (not abs(x) <= reach)
        )  # NaN as well
        inside = (x >= low) & (x < high)
        found = UNSURE if near else (IN if inside else OUT)
        state[j] = found if state[j] == IN else state[j]


@kernel
def _scale(values: Array, size: int, axes: Array, a: int, state: Array, on_scale: Array, made: Array) -> None:
    """Scaled values of the events in question."""
    _, scale, numerals, table_first, tables, _ = axes
    n = numerals[a]
    for j in range(size):
        if state[j] == IN and not made[j]:
            made[j] = True
            on_scale[j] = scaled(values[j], scale[a], n[0], n[1], n[2], n[3], tables, table_first[a])


@kernel
def _combine(kind: int, operands: Array, out: Array, begin: int, size: int, state: Array) -> None:
    """Put the events in question to memberships in other gates: each that decides, decides for good."""
    for j in range(size):
        if state[j] == IN:
            found = OUT if kind == ANY_OF else IN
            for d in range(len(operands)):
                member = out[operands[d, 0], begin + j] != (operands[d, 1] == 1)
                if kind == ANY_OF and member:
                    found = IN
                    break
                if kind != ANY_OF and member == (kind == NONE_OF):
                    found = OUT
                    break
            state[j] = found
