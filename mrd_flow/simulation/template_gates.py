"""A template's own boundaries applied to simulated cells, and the ways into them.

The plain twin of `mrd_flow.gating.tube` for events that lie in memory, without a file: only the
boundaries the template states, no rule moves them.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Bounds, Logicle, Panel, PolygonGate, RectangleGate
from mrd_flow.simulation.events import ELECTRONIC_NOISE, PHOTON_GAIN, TOP
from mrd_flow.simulation.populations import CellKinds, spillover_matrix

__all__ = [
    "NOISE_TAIL",
    "error_bound",
    "from_logicle",
    "inside_gate",
    "needed_dimensions",
    "routes_to",
    "to_logicle",
]

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]

_TAIL_SD = 7.0
NOISE_TAIL = 1.3e-12
"""Probability that a normal deviate exceeds 7 standard deviations."""


def to_logicle(values: Values, scale: Logicle) -> Values:
    """Linear values (n,) on the logicle scale."""
    from flowutils.transforms import logicle

    return np.asarray(logicle(values, None, t=scale.t, w=scale.w, m=scale.m, a=scale.a), np.float64)


def from_logicle(values: Values, scale: Logicle) -> Values:
    """Values (n,) on the logicle scale as linear ones."""
    from flowutils.transforms import logicle_inverse

    return np.asarray(logicle_inverse(values, None, t=scale.t, w=scale.w, m=scale.m, a=scale.a), np.float64)


def needed_dimensions(panel: Panel, tube: int, gate: str) -> set[str]:
    """Scatter parameters and markers that decide membership of a gate of one tube (1-based)."""
    by_name = {g.name: g for g in panel.gates_of(tube)}
    if gate not in by_name:
        return set()
    found = by_name[gate]
    if isinstance(found, PolygonGate | RectangleGate):
        return set(found.dimensions) | needed_dimensions(panel, tube, found.parent)
    return set().union(*(needed_dimensions(panel, tube, g) for g in (found.parent, *found.gates)))


def inside_gate(panel: Panel, tube: int, gate: str, linear: Mapping[str, Values]) -> Mask:
    """Membership of a gate of one tube (1-based).

    Parameters
    ----------
    panel, tube, gate
        Whose boundaries.
    linear
        Scatter parameter or marker to its values (n,), markers compensated, before the
        logicle; those of `needed_dimensions` must be there.

    Returns
    -------
    numpy.ndarray
        bool (n,).
    """
    size = len(next(iter(linear.values())))
    by_name = {g.name: g for g in panel.gates_of(tube)}
    if gate not in by_name:
        return np.ones(size, np.bool_)
    found = by_name[gate]
    inside = inside_gate(panel, tube, found.parent, linear)
    if isinstance(found, RectangleGate):
        for name, bounds in found.bounds.items():
            inside &= _within(linear[name], *_linear_bounds(panel, name, bounds))
    elif isinstance(found, PolygonGate):
        inside[inside] = _in_polygon(panel, found, linear, inside)
    else:
        members = np.array([inside_gate(panel, tube, g, linear) for g in found.gates])
        joined = members.all(axis=0) if found.kind == "all_of" else members.any(axis=0)
        inside &= ~joined if found.kind == "none_of" else joined
    return inside


def routes_to(panel: Panel, tube: int, gate: str) -> list[dict[str, float]]:
    """Ways into a gate: each the markers whose compensated value must reach a level (channels).

    Who satisfies no way is not in the gate; scatter, polygons, upper bounds and gates to
    be outside of are left out, so who satisfies one may still not be in it.
    """
    by_name = {g.name: g for g in panel.gates_of(tube)}
    if gate not in by_name:
        return [{}]
    found = by_name[gate]
    above = routes_to(panel, tube, found.parent)
    if isinstance(found, RectangleGate):
        levels = {
            name: _linear_bounds(panel, name, bounds)[0]
            for name, bounds in found.bounds.items()
            if name not in panel.scatter and bounds.min is not None
        }
        return [_both(route, levels) for route in above]
    if isinstance(found, PolygonGate) or found.kind == "none_of":
        return above
    options = [routes_to(panel, tube, g) for g in found.gates]
    if found.kind == "any_of":
        return [_both(a, route) for a in above for routes in options for route in routes]
    for routes in options:
        above = [_both(a, route) for a in above for route in routes]
    return above


def _both(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {m: max(first.get(m, -np.inf), second.get(m, -np.inf)) for m in (*first, *second)}


def error_bound(panel: Panel, tube: int, kinds: CellKinds) -> Values:
    """What the error of a compensated value exceeds with p <= `NOISE_TAIL`, (n_kinds, n_markers), channels.

    It rests on the variance that neighbours at the top of their range would give. What a
    saturated neighbour adds (a few thousandths of the light cut off) is left out.
    """
    spillover = spillover_matrix(tuple(panel.tubes[tube - 1].markers.values()))
    unmixing = np.linalg.inv(spillover)
    high = np.minimum(np.exp(kinds.median_ln + _TAIL_SD * kinds.spread.astype(np.float64)), float(TOP))
    raw = np.minimum(high @ spillover, float(TOP))
    errors = np.empty_like(raw)
    for marker in range(raw.shape[1]):
        variance = (PHOTON_GAIN * raw + ELECTRONIC_NOISE**2) @ unmixing[:, marker] ** 2
        errors[:, marker] = _TAIL_SD * np.sqrt(variance)
    return errors


def _linear_bounds(panel: Panel, name: str, bounds: Bounds) -> tuple[float, float]:
    ends = np.array(
        [-np.inf if bounds.min is None else bounds.min, np.inf if bounds.max is None else bounds.max]
    )
    finite = np.isfinite(ends)
    if name not in panel.scatter:
        ends[finite] = from_logicle(ends[finite], panel.logicle_of(name))
    return float(ends[0]), float(ends[1])


def _within(values: Values, low: float, high: float) -> Mask:
    return np.asarray((values >= low) & (values < high))


def _in_polygon(panel: Panel, gate: PolygonGate, linear: Mapping[str, Values], rows: Mask) -> Mask:
    from flowutils.gating import points_in_polygon

    points = [
        linear[d][rows] if d in panel.scatter else to_logicle(linear[d][rows], panel.logicle_of(d))
        for d in gate.dimensions
    ]
    if not rows.any():
        return np.empty(0, np.bool_)
    return np.asarray(points_in_polygon(np.array(gate.vertices), np.column_stack(points)), np.bool_)
