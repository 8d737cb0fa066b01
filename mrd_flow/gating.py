"""The hierarchy of gates applied to a tube, in chunks, computing only what a gate needs.

Scatter is used as stored. A marker is compensated in float64 on the events that reached
a gate which asks for it. A rectangle on the logicle scale is compared on the linear
scale, at the inverse of its bounds, because the scale is strictly increasing; values too
near a bound for the inverse's rounding are put through the logicle itself, so that
membership equals that of the direct computation. Polygons always use the logicle.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.evidence import GateTally
from mrd_flow.fcs import DEFAULT_CHUNK_EVENTS, DataSet
from mrd_flow.panel import Bounds, CombinationGate, Logicle, Panel, PolygonGate, RectangleGate

__all__ = ["GatedTube", "describe", "gate_paths", "gate_tube"]

_NEAR = 1e-9  # relative distance to a bound below which the logicle itself decides

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedTube:
    """Counts per gate and the plasma cells of a tube.

    ``plasma_cells`` is float64 (n_plasma_cells, n_dimensions): markers compensated and
    on the logicle scale, scatter linear, columns ``dimensions``; ``plasma_cell_events``
    their 0-based event numbers; ``aberrant`` one bool for each. ``membership`` holds a
    bool per event and gate where it was asked for.
    """

    events: int
    tallies: tuple[GateTally, ...]
    dimensions: tuple[str, ...]
    plasma_cells: NDArray[np.float64]
    plasma_cell_events: NDArray[np.int64]
    aberrant: Mask
    membership: dict[str, Mask]

    def count(self, gate: str) -> int:
        """Events of one gate."""
        return next(t.count for t in self.tallies if t.gate == gate)


class _Chunk:
    """Columns of a run of events, compensated and transformed when first asked for."""

    def __init__(self, raw: NDArray[np.float32], source: "_Columns") -> None:
        self.raw = raw
        self.source = source

    def linear(self, dimension: str, rows: Rows | None) -> NDArray[np.float64]:
        weights = self.source.weights.get(dimension)
        if weights is None:
            column = self.raw[:, self.source.position[dimension]]
            return (column if rows is None else column[rows]).astype(np.float64)
        # Term by term rather than by a matrix product, whose last bits depend on the library
        # and on how many events are at hand: membership must not.
        block = self.raw if rows is None else self.raw[rows]
        total = np.zeros(len(block))
        for position, weight in enumerate(weights):
            total += block[:, position] * weight
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """How each dimension comes from the columns read, those of the spillover first.

    ``weights`` is the dimension's column of S^-1, ``position`` its own column.
    """

    read: tuple[int, ...]
    position: dict[str, int]
    weights: dict[str, NDArray[np.float64]]


def gate_tube(
    data: DataSet,
    panel: Panel,
    tube: int,
    columns: dict[str, int],
    *,
    keep_membership: bool = False,
    chunk_events: int = DEFAULT_CHUNK_EVENTS,
) -> GatedTube:
    """Apply the gates of one tube (1-based) to a data set.

    Parameters
    ----------
    data, panel, tube
        The events, the template, and which of its tubes this is.
    columns
        Column of every scatter parameter and marker (`assign_detectors`).
    keep_membership
        Keep a bool per event and gate: one byte each.
    chunk_events
        Events handled at a time; it bounds the memory, not the result.

    Returns
    -------
    GatedTube
        The same for any ``chunk_events``. An event with a value that is not a number is
        in no gate that looks at it.
    """
    source = _columns(data, columns)
    gates = panel.gates_of(tube)
    counts = {g.name: 0 for g in gates}
    kept: dict[str, list[Mask]] = {g.name: [] for g in gates}
    tables, numbers, flags = [], [], []
    dimensions = tuple(columns)
    first = 0
    for raw in data.chunks(source.read, events=chunk_events):
        chunk = _Chunk(raw, source)
        members = _members(chunk, panel, tube)
        for name, rows in members.items():
            counts[name] += len(rows)
            if keep_membership:
                kept[name].append(_as_mask(rows, len(raw)))
        rows = members[panel.plasma_cell_gate]
        tables.append(_table(chunk, panel, dimensions, rows))
        numbers.append(rows.astype(np.int64) + first)
        flags.append(np.isin(rows, members[panel.aberrant_gate], assume_unique=True))
        first += len(raw)
    return GatedTube(
        events=data.events,
        tallies=_tallies(panel, tube, counts, data.events),
        dimensions=dimensions,
        plasma_cells=np.concatenate([np.empty((0, len(dimensions))), *tables]),
        plasma_cell_events=np.concatenate([np.empty(0, np.int64), *numbers]),
        aberrant=np.concatenate([np.empty(0, np.bool_), *flags]),
        membership={n: np.concatenate([np.empty(0, np.bool_), *m]) for n, m in kept.items()}
        if keep_membership
        else {},
    )


def gate_paths(panel: Panel, tube: int) -> dict[str, str]:
    """Chain of parents of every gate of a tube, from the root, joined by ``/``."""
    paths: dict[str, str] = {}
    for gate in panel.gates_of(tube):
        above = paths.get(gate.parent)
        paths[gate.name] = f"{above}/{gate.parent}" if above else gate.parent
    return paths


def describe(gate: RectangleGate | PolygonGate | CombinationGate) -> str:
    """A gate's boundary in words.

    >>> describe(CombinationGate(name="a", kind="any_of", gates=("b", "c")))
    'any of b, c'
    """
    if isinstance(gate, CombinationGate):
        return f"{gate.kind.replace('_', ' ')} {', '.join(gate.gates)}"
    if isinstance(gate, PolygonGate):
        corners = " ".join(f"({x:g}, {y:g})" for x, y in gate.vertices)
        return f"{gate.x} x {gate.y} inside {corners}"
    return "; ".join(_range_in_words(d, b) for d, b in gate.bounds.items())


def _range_in_words(dimension: str, bounds: Bounds) -> str:
    lower = [] if bounds.min is None else [f"{dimension} >= {bounds.min:g}"]
    upper = [] if bounds.max is None else [f"{dimension} < {bounds.max:g}"]
    return " and ".join(lower + upper)


def _columns(data: DataSet, columns: dict[str, int]) -> _Columns:
    """Read the spillover block side by side, so that one product compensates a marker."""
    spillover = data.spillover
    block = spillover.columns if spillover is not None else ()
    others = tuple(dict.fromkeys(c for c in columns.values() if c not in block))
    read = block + others
    unmixing = spillover.unmixing() if spillover is not None else np.empty((0, 0))
    return _Columns(
        read=read,
        position={d: read.index(c) for d, c in columns.items()},
        weights={d: unmixing[:, block.index(c)] for d, c in columns.items() if c in block},
    )


def _members(chunk: _Chunk, panel: Panel, tube: int) -> dict[str, Rows]:
    size = len(chunk.raw)
    found: dict[str, Rows] = {}
    for gate in panel.gates_of(tube):
        parent = found.get(gate.parent)
        if isinstance(gate, CombinationGate):
            inside = _combined(gate, found, parent, size)
        elif isinstance(gate, PolygonGate):
            inside = _in_polygon(gate, chunk, panel, parent)
        else:
            found[gate.name] = _in_rectangle(gate, chunk, panel, parent)
            continue
        found[gate.name] = np.flatnonzero(inside) if parent is None else parent[inside]
    return found


def _combined(gate: CombinationGate, found: dict[str, Rows], parent: Rows | None, size: int) -> Mask:
    masks = [_as_mask(found[name], size) for name in gate.gates]
    joined = np.logical_and.reduce(masks) if gate.kind == "all_of" else np.logical_or.reduce(masks)
    joined = ~joined if gate.kind == "none_of" else joined
    return np.asarray(joined if parent is None else joined[parent])


def _in_polygon(gate: PolygonGate, chunk: _Chunk, panel: Panel, parent: Rows | None) -> Mask:
    from flowutils.gating import points_in_polygon

    points = np.column_stack([_scaled(d, chunk.linear(d, parent), panel) for d in gate.dimensions])
    if not len(points):
        return np.empty(0, np.bool_)
    inside = np.asarray(points_in_polygon(np.array(gate.vertices), points), np.bool_)
    return np.asarray(inside & np.isfinite(points).all(axis=1))


def _in_rectangle(gate: RectangleGate, chunk: _Chunk, panel: Panel, parent: Rows | None) -> Rows:
    rows = parent
    for dimension, bounds in gate.bounds.items():
        values = chunk.linear(dimension, rows)
        scale = None if dimension in panel.scatter else panel.logicle_of(dimension)
        inside = _within(values, bounds, scale)
        rows = np.flatnonzero(inside) if rows is None else rows[inside]
    assert rows is not None
    return rows


def _within(values: NDArray[np.float64], bounds: Bounds, scale: Logicle | None) -> Mask:
    inside = np.ones(len(values), np.bool_)
    if bounds.min is not None:
        inside &= _at_least(values, bounds.min, scale)
    if bounds.max is not None:
        inside &= ~_at_least(values, bounds.max, scale) & ~np.isnan(values)
    return inside


def _at_least(values: NDArray[np.float64], bound: float, scale: Logicle | None) -> Mask:
    if scale is None:
        return np.asarray(values >= bound)
    from flowutils.transforms import logicle_inverse

    turn = float(logicle_inverse(np.array([bound]), None, **_logicle_arguments(scale))[0])
    above = np.asarray(values >= turn)
    near = np.flatnonzero(np.abs(values - turn) <= _NEAR * max(scale.t, abs(turn)))
    if len(near):
        above[near] = _logicle(values[near], scale) >= bound
    return above


def _scaled(dimension: str, values: NDArray[np.float64], panel: Panel) -> NDArray[np.float64]:
    return values if dimension in panel.scatter else _logicle(values, panel.logicle_of(dimension))


def _logicle(values: NDArray[np.float64], scale: Logicle) -> NDArray[np.float64]:
    from flowutils.transforms import logicle

    transform: Callable[..., NDArray[np.float64]] = logicle
    return transform(values, None, **_logicle_arguments(scale))


def _logicle_arguments(scale: Logicle) -> dict[str, float]:
    return {"t": scale.t, "w": scale.w, "m": scale.m, "a": scale.a}


def _table(chunk: _Chunk, panel: Panel, dimensions: tuple[str, ...], rows: Rows) -> NDArray[np.float64]:
    return np.column_stack([_scaled(d, chunk.linear(d, rows), panel) for d in dimensions])


def _as_mask(rows: Rows, size: int) -> Mask:
    mask = np.zeros(size, np.bool_)
    mask[rows] = True
    return mask


def _tallies(panel: Panel, tube: int, counts: dict[str, int], events: int) -> tuple[GateTally, ...]:
    paths = gate_paths(panel, tube)
    return tuple(
        GateTally(
            gate=gate.name,
            path=paths[gate.name],
            count=counts[gate.name],
            parent_count=counts.get(gate.parent, events),
            rule=gate.rule.kind,
            detail=describe(gate),
            unverified=gate.unverified or bool(panel.unverified),
        )
        for gate in panel.gates_of(tube)
    )
