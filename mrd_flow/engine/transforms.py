"""Scales of Gating-ML 2.0 and FlowJo, made ready for the compiled kernel.

Every scale here rises, so a range on it is a range of linear values and needs no
transformation at all: `linear_bound` finds the linear value at which the scale reaches a
bound. Polygons and ellipsoids need the scaled value. Linear, log and arcsinh have a
formula; logicle, hyperlog and FlowJo's biex have none, and are tabulated over
asinh(x / unit), with the table's largest error measured and kept.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine import gate_codes
from pipeline.errors import InputRefused, printable

__all__ = ["Scale", "linear_bound", "logicle_scale", "scale_of"]

_NODES = 1 << 14
_REACH = 1e4  # in tops of scale: linear values beyond are left to the reference
_TABLE_REACH = 4.0
_SAFETY = 4.0
_SECTIONS = 64  # of a range at a time: each call of the reference costs as much as many values


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One scale: ``kind`` and ``numbers`` as the kernel reads them, and the reference.

    ``reference`` is FlowKit's transform (None: none), ``reach`` the largest absolute
    linear value for which the scale was made, ``doubt`` a bound of the kernel's error on
    the scale, ``floor`` the smallest linear value the scale is defined for.
    """

    kind: int
    numbers: tuple[float, ...]
    table: NDArray[np.float64]
    reference: Any
    reach: float
    doubt: float
    floor: float

    def exact(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The reference's values for linear ``values`` of shape (n,)."""
        if self.reference is None:
            return values
        with np.errstate(all="ignore"):
            return np.asarray(self.reference.apply(values.reshape(-1, 1)), np.float64).reshape(-1)


def scale_of(transform: Any) -> Scale:
    """Make a FlowKit transform (None: no transform) ready.

    Raises
    ------
    InputRefused
        If the transform is of a kind that the engine does not know.
    """
    if transform is None:
        return _scale(gate_codes.IDENTITY, (), None, math.inf, doubt=0.0)
    match type(transform).__name__:
        case "LinearTransform":
            t, a = transform.param_t, transform.param_a
            return _scale(gate_codes.LINEAR, (a, t + a), transform, _REACH * abs(t))
        case "LogTransform":
            t, m = transform.param_t, transform.param_m
            return _scale(gate_codes.LOG, (1.0 / m, t), transform, _REACH * t, floor=0.0)
        case "AsinhTransform":
            t, m, a = transform.param_t, transform.param_m, transform.param_a
            ln10 = math.log(10.0)
            return _scale(
                gate_codes.ARCSINH, (math.sinh(m * ln10) / t, a * ln10, (m + a) * ln10), transform, _REACH * t
            )
        case "WSPLogTransform":
            offset, decades = transform.offset, transform.decades
            top = _REACH * offset * 10.0**decades
            return _scale(gate_codes.LOG_CLAMPED, (offset, math.log10(offset), 1.0 / decades), transform, top)
        case "LogicleTransform" | "HyperlogTransform":
            return _tabulated(transform, float(transform.param_t))
        case "WSPBiexTransform":
            return _tabulated(transform, float(transform.max_value))
        case other:
            raise InputRefused(
                f"transform {printable(other)[:40]} is not known to the gating engine",
                expected="linear, log, arcsinh, logicle, hyperlog, ratio or FlowJo's biex",
            )


def logicle_scale(t: float, w: float, m: float, a: float) -> Scale:
    """The logicle scale as `scale_of` makes it of FlowKit's, without FlowKit, which takes seconds to import.

    Parameters
    ----------
    t, w, m, a
        Top of the scale, linear decades, decades and extra negative decades.
    """
    return _tabulated(_Logicle(t, w, m, a), t)


def linear_bound(scale: Scale, bound: float) -> float:
    """Smallest linear value at which the scale reaches ``bound``; infinite where it does so always or never.

    Examples
    --------
    >>> linear_bound(scale_of(None), 12.5)
    12.5
    """
    if scale.reference is None:
        return bound
    low, high = max(-scale.reach, scale.floor), scale.reach
    at_low, at_high = scale.exact(np.array([low, high])) >= bound
    if at_low:
        return scale.floor
    if not at_high:
        return math.inf
    while high - low > 1e-13 * max(abs(low), abs(high), 1e-6):
        between = np.unique(np.linspace(low, high, _SECTIONS + 1)[1:-1])
        between = between[(between > low) & (between < high)]
        if not len(between):
            break
        # not before the first that reached it, as a bisection would find
        first = int(np.argmax(np.append(scale.exact(between) >= bound, True)))
        ends = np.concatenate(([low], between, [high]))
        low, high = float(ends[first]), float(ends[first + 1])
    return high


@dataclass(frozen=True, slots=True)
class _Logicle:
    """FlowUtils' logicle, which FlowKit's transform of that name calls."""

    t: float
    w: float
    m: float
    a: float

    def apply(self, values: NDArray[np.float64]) -> Any:
        from flowutils.transforms import logicle

        return logicle(values, None, t=self.t, w=self.w, m=self.m, a=self.a)


def _scale(
    kind: int,
    numbers: tuple[float, ...],
    reference: Any,
    reach: float,
    *,
    doubt: float = 1e-11,
    floor: float = -math.inf,
    table: NDArray[np.float64] | None = None,
) -> Scale:
    return Scale(
        kind=kind,
        numbers=tuple(float(v) for v in numbers) + (0.0,) * (4 - len(numbers)),
        table=np.empty(0) if table is None else table,
        reference=reference,
        reach=float(reach),
        doubt=doubt,
        floor=floor,
    )


def _tabulated(transform: Any, top: float) -> Scale:
    bare = _scale(gate_codes.TABLE, (), transform, _REACH * top)
    # The unit is a tenth of the distance over which the scale, continued straight from
    # zero, would rise from bottom to top: the table is then fine where the scale is linear.
    step = 1e-4 * top
    rise = bare.exact(np.array([-step, step, 0.0, top]))
    unit = 0.1 * 2.0 * step * (rise[3] - rise[2]) / max(rise[1] - rise[0], 1e-12)
    ends = np.arcsinh(np.array([-_TABLE_REACH * top, _TABLE_REACH * top]) / unit)
    nodes = np.linspace(ends[0], ends[1], _NODES)
    table = bare.exact(unit * np.sinh(nodes))
    doubt = 0.0
    for share in (0.25, 0.5, 0.75):
        between = bare.exact(unit * np.sinh(nodes[:-1] + share * (nodes[1] - nodes[0])))
        straight = table[:-1] + share * np.diff(table)
        doubt = max(doubt, float(np.abs(between - straight).max()))
    numbers = (1.0 / unit, ends[0], 1.0 / (nodes[1] - nodes[0]), _NODES - 1.0)
    return _scale(
        gate_codes.TABLE, numbers, transform, _REACH * top, doubt=_SAFETY * doubt + 1e-11, table=table
    )
