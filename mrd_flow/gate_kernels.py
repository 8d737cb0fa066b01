"""Compiled kernel of the gating engine: compensation, scales and gates of one event in one pass.

An event is walked through the gates in an order in which parents and references come
first. Values are made when a gate asks for them and kept for the event's other gates.
Where a value lies so near to a boundary that rounding could decide, the event is marked
and left to `mrd_flow.engine`, which decides it in the reference's own arithmetic.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit

from mrd_flow.gate_codes import (
    ANY_OF,
    ARCSINH,
    COMPENSATED,
    ELLIPSOID,
    IDENTITY,
    LINEAR,
    LOG,
    LOG_CLAMPED,
    NONE_OF,
    POLYGON,
    RECTANGLE,
    STORED,
)

__all__ = ["gate_events"]

Array: TypeAlias = Any  # of numpy where Python calls, of numba in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True, error_model="numpy"))

_OUT, _IN, _UNSURE = 0, 1, 2
_ROUNDING = 1e-12  # relative; double arithmetic of a few operations stays far below


@kernel
def _ratio(row: Array, columns: Array, numbers: Array) -> float:
    above = row[columns[0]] * numbers[3] - numbers[1]
    below = row[columns[1]] * numbers[4] - numbers[2]
    return float(numbers[0] * (above / below))


@kernel
def _scaled(
    x: float, kind: int, n0: float, n1: float, n2: float, last: float, table: Array, first: int
) -> float:
    """The value on an axis; NaN where its table does not reach."""
    if kind == IDENTITY:
        return x
    if kind == LINEAR:
        return (x + n0) / n1
    if kind == LOG:
        return n0 * math.log10(x / n1) + 1.0 if x > 0.0 else math.nan
    if kind == LOG_CLAMPED:
        return (math.log10(max(x, n0)) - n1) * n2
    if kind == ARCSINH:
        return (math.asinh(x * n0) + n1) / n2
    # a table: 1 / unit, asinh of the first node, 1 / distance of nodes, last node
    place = (_asinh(x * n0) - n1) * n2
    if not 0.0 <= place < last:
        return math.nan
    node = int(place)
    low = table[first + node]
    return float(low + (place - node) * (table[first + node + 1] - low))


@kernel
def _asinh(x: float) -> float:
    """Faster than the library's, and near enough for a place in a table."""
    size = abs(x)
    if size < 1e-3:
        return x * (1.0 - x * x / 6.0)
    found = math.log(size + math.sqrt(size * size + 1.0))
    return found if x > 0.0 else -found


@kernel
def _in_range(x: float, low: float, high: float, low_band: float, high_band: float, reach: float) -> int:
    if not abs(x) <= reach:  # NaN as well
        return _UNSURE
    if low_band > 0.0 and abs(x - low) <= low_band:
        return _UNSURE
    if high_band > 0.0 and abs(x - high) <= high_band:
        return _UNSURE
    return _IN if low <= x < high else _OUT


@kernel
def _in_polygon(
    x: float, y: float, x_tol: float, y_tol: float, numbers: Array, first: int, corners: int
) -> int:
    """Parity of edges crossed; ``numbers`` holds xmin, xmax, ymin, ymax, then the corners."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return _UNSURE
    if x < numbers[first] - x_tol or x > numbers[first + 1] + x_tol:
        return _OUT
    if y < numbers[first + 2] - y_tol or y > numbers[first + 3] + y_tol:
        return _OUT
    base = first + 4
    inside = False
    x0 = numbers[base + 2 * (corners - 1)]
    y0 = numbers[base + 2 * (corners - 1) + 1]
    for c in range(corners):
        x1 = numbers[base + 2 * c]
        y1 = numbers[base + 2 * c + 1]
        if abs(y - y1) <= y_tol:
            return _UNSURE
        along, across = (x1 - x0) * (y - y0), (y1 - y0) * (x - x0)
        cross = along - across
        doubt = abs(x1 - x0) * y_tol + abs(y1 - y0) * x_tol + _ROUNDING * (abs(along) + abs(across))
        if (
            abs(cross) <= doubt
            and min(x0, x1) - x_tol <= x <= max(x0, x1) + x_tol
            and min(y0, y1) - y_tol <= y <= max(y0, y1) + y_tol
        ):
            return _UNSURE
        if (y0 <= y) != (y1 <= y) and (cross < 0.0) == (y1 > y0):
            inside = not inside
        x0, y0 = x1, y1
    return _IN if inside else _OUT


@kernel
def _in_ellipsoid(values: Array, doubts: Array, size: int, numbers: Array, first: int) -> int:
    """Squared distance; ``numbers`` holds its limit, the centre, then the inverse covariance by row."""
    limit = numbers[first]
    distance, doubt = 0.0, 1e-9 * abs(limit)
    for r in range(size):
        slope = 0.0
        for c in range(size):
            entry = numbers[first + 1 + size + r * size + c]
            slope += entry * (values[c] - numbers[first + 1 + c])
        part = slope * (values[r] - numbers[first + 1 + r])
        distance += part
        doubt += 2.0 * abs(slope) * doubts[r] + _ROUNDING * abs(part)
    if not abs(distance - limit) > doubt:  # NaN as well
        return _UNSURE
    return _IN if distance < limit else _OUT


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
        The arrays of `mrd_flow.gate_program.GateProgram`.
    out
        bool, shape (n_gates, n_events), all False; filled.
    unsure
        bool, shape (n_events,); set where rounding could decide. Such an event's
        column of ``out`` means nothing.
    """
    source_kind, columns, source_numbers, weight_first, weight_column, weight = sources
    axis_source, scale, numerals, table_first, tables, axis_doubt = axes
    kind, parent, complement, first, place = gates
    low, high, low_band, high_band, reach = limits
    values, made = np.empty(len(source_kind)), np.full(len(source_kind), -1)
    scaled, scaled_made = np.empty(len(axis_source)), np.full(len(axis_source), -1)
    widest = 1
    for g in range(len(kind)):
        widest = max(widest, first[g + 1] - first[g])
    point, doubts = np.empty(widest), np.empty(widest)
    for i in range(len(events)):
        for g in range(len(kind)):
            if parent[g] >= 0 and not out[parent[g], i]:
                continue
            found = _IN
            if kind[g] <= ELLIPSOID:
                for d in range(first[g], first[g + 1]):
                    a = operands[d, 0]
                    k = a if kind[g] == RECTANGLE else axis_source[a]
                    if made[k] != i:
                        made[k] = i
                        if source_kind[k] == STORED:
                            values[k] = events[i, columns[k, 0]] * source_numbers[k, 0]
                        elif source_kind[k] == COMPENSATED:
                            total = 0.0
                            for j in range(weight_first[k], weight_first[k + 1]):
                                total += events[i, weight_column[j]] * weight[j]
                            values[k] = total
                        else:
                            values[k] = _ratio(events[i], columns[k], source_numbers[k])
                    if kind[g] == RECTANGLE:
                        found = _in_range(values[k], low[d], high[d], low_band[d], high_band[d], reach[d])
                        if found != _IN:
                            break
                        continue
                    if scaled_made[a] != i:
                        scaled_made[a] = i
                        n = numerals[a]
                        scaled[a] = _scaled(
                            values[k], scale[a], n[0], n[1], n[2], n[3], tables, table_first[a]
                        )
                    point[d - first[g]] = scaled[a]
                    doubts[d - first[g]] = axis_doubt[a]
                if kind[g] == POLYGON:
                    corners = operands[first[g], 1]
                    found = _in_polygon(point[0], point[1], doubts[0], doubts[1], numbers, place[g], corners)
                elif kind[g] == ELLIPSOID:
                    found = _in_ellipsoid(point, doubts, first[g + 1] - first[g], numbers, place[g])
            else:
                wanted = kind[g] != ANY_OF
                found = _IN if wanted else _OUT
                for d in range(first[g], first[g + 1]):
                    member = out[operands[d, 0], i] != (operands[d, 1] == 1)
                    if kind[g] == NONE_OF:
                        member = not member
                    if member != wanted:
                        found = _OUT if wanted else _IN
                        break
            if found == _UNSURE:
                unsure[i] = True
                break
            out[g, i] = (found == _IN) != complement[g]
