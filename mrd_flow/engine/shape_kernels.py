"""Compiled arithmetic of one event: ratios, scales, polygons and ellipsoids.

Each of the last two also says where rounding could decide.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from numba import njit

from mrd_flow.engine.gate_codes import ARCSINH, IDENTITY, LINEAR, LOG, LOG_CLAMPED

__all__ = ["IN", "OUT", "UNSURE", "Array", "in_ellipsoid", "in_polygon", "kernel", "ratio", "scaled"]

Array: TypeAlias = Any  # of numpy where Python calls, of numba in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True, error_model="numpy"))

OUT, IN, UNSURE = 0, 1, 2
_ROUNDING = 1e-12  # relative; double arithmetic of a few operations stays far below


@kernel
def ratio(row: Array, columns: Array, numbers: Array) -> float:
    """A (x - B) / (y - C) of two columns; ``numbers`` holds A, B, C and the columns' factors."""
    above = row[columns[0]] * numbers[3] - numbers[1]
    below = row[columns[1]] * numbers[4] - numbers[2]
    return float(numbers[0] * (above / below))


@kernel
def scaled(
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
def in_polygon(
    x: float, y: float, x_tol: float, y_tol: float, numbers: Array, first: int, corners: int
) -> int:
    """Parity of edges crossed; ``numbers`` holds xmin, xmax, ymin, ymax, then the corners."""
    if not (math.isfinite(x) and math.isfinite(y)):
        return UNSURE
    if x < numbers[first] - x_tol or x > numbers[first + 1] + x_tol:
        return OUT
    if y < numbers[first + 2] - y_tol or y > numbers[first + 3] + y_tol:
        return OUT
    base = first + 4
    inside = False
    x0 = numbers[base + 2 * (corners - 1)]
    y0 = numbers[base + 2 * (corners - 1) + 1]
    for c in range(corners):
        x1 = numbers[base + 2 * c]
        y1 = numbers[base + 2 * c + 1]
        if abs(y - y1) <= y_tol:
            return UNSURE
        if max(y0, y1) + y_tol < y or y < min(y0, y1) - y_tol:  # neither crossed nor near
            x0, y0 = x1, y1
            continue
        along, across = (x1 - x0) * (y - y0), (y1 - y0) * (x - x0)
        cross = along - across
        doubt = abs(x1 - x0) * y_tol + abs(y1 - y0) * x_tol + _ROUNDING * (abs(along) + abs(across))
        if (
            abs(cross) <= doubt
            and min(x0, x1) - x_tol <= x <= max(x0, x1) + x_tol
            and min(y0, y1) - y_tol <= y <= max(y0, y1) + y_tol
        ):
            return UNSURE
        if (y0 <= y) != (y1 <= y) and (cross < 0.0) == (y1 > y0):
            inside = not inside
        x0, y0 = x1, y1
    return IN if inside else OUT


@kernel
def in_ellipsoid(values: Array, doubts: Array, size: int, numbers: Array, first: int) -> int:
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
        return UNSURE
    return IN if distance < limit else OUT
