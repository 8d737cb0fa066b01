"""The gating engine: a file's events through compiled gates, in chunks.

Events are decided by one compiled kernel (`mrd_flow.engine.kernels`). The few that lie so
near to a boundary that rounding could decide are decided again here by the reference's
arithmetic: FlowKit's transforms, FlowUtils' polygon and ellipsoid, numpy's solver. So
the result is FlowKit's, event for event, at the kernel's speed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine import gate_codes
from mrd_flow.engine.program import Columns, Gate, GateProgram, Matrix
from mrd_flow.fcs.data_sets import DEFAULT_CHUNK_EVENTS, DataSet

__all__ = [
    "Gated",
    "GatedChunk",
    "columns_of",
    "decide_exactly",
    "gate_events_at_hand",
    "gated_chunks",
    "run_gates",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """Memberships of one file.

    ``members`` is bool of shape (n_gates, n_events), in the program's order of work;
    ``decided_exactly`` counts the events that the reference's arithmetic decided.
    """

    members: NDArray[np.bool_]
    decided_exactly: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedChunk:
    """Memberships of a run of events, and the events.

    ``first`` is the number of the first event, ``events`` stored values of shape
    (n_events, some columns), ``place`` maps a column of the file to one of them,
    ``members`` is bool of shape (n_gates, n_events); ``decided_exactly`` as in `Gated`.
    """

    first: int
    events: NDArray[np.float32] | NDArray[np.float64]
    place: dict[int, int]
    members: NDArray[np.bool_]
    decided_exactly: int

    def stored(self, column: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Stored values of one column of the file at some rows of the chunk."""
        return np.asarray(self.events[rows, self.place[column]], np.float64)


def columns_of(data: DataSet) -> Columns:
    """What a data set offers to gates; time is in $TIMESTEP units where that is a number."""
    factors = [1.0] * len(data.parameters)
    computed = {i for i, p in enumerate(data.parameters) if p.decades > 0 or p.gain not in (0.0, 1.0)}
    for i, parameter in enumerate(data.parameters):
        if parameter.name.lower() == "time" and data.time_step is not None:
            factors[i] = data.time_step
            computed.add(i)
    spillover = None
    if data.spillover is not None:
        columns = data.spillover.columns
        spillover = Matrix(rows=columns, detectors=columns, values=data.spillover.matrix)
    return Columns(
        names=tuple(p.name for p in data.parameters),
        stains=tuple(p.stain for p in data.parameters),
        factors=tuple(factors),
        computed=frozenset(computed),
        spillover=spillover,
        spillover_stated=data.spillover_stated,
    )


def run_gates(data: DataSet, program: GateProgram, *, events: int = DEFAULT_CHUNK_EVENTS) -> Gated:
    """Decide every gate of a program for every event of a file.

    Parameters
    ----------
    data
        The events.
    program
        Compiled for `columns_of` of the same data set.
    events
        Rows per chunk, >= 1; it bounds the memory, not the result.

    Raises
    ------
    DamagedFile
        If the file became shorter since it was opened.
    """
    members = np.zeros((len(program.gates), data.events), np.bool_)
    exact = 0
    for chunk in gated_chunks(data, program, events=events):
        members[:, chunk.first : chunk.first + len(chunk.events)] = chunk.members
        exact += chunk.decided_exactly
    return Gated(members=members, decided_exactly=exact)


def gated_chunks(
    data: DataSet, program: GateProgram, *, also: tuple[int, ...] = (), events: int = DEFAULT_CHUNK_EVENTS
) -> Iterator[GatedChunk]:
    """As `run_gates`, a chunk at a time, so that memory does not grow with the file.

    Parameters
    ----------
    also
        Columns (0-based) wanted beside those that a gate needs.

    Yields
    ------
    GatedChunk
        In the order of the file.
    """
    needed = tuple(sorted({*program.needed(), *also})) or (0,)
    first = 0
    arrays: tuple[Any, Any, Any, Any, Any, Any] | None = None
    for chunk, places in data.precise_chunks(needed, events=events):
        place = dict(zip(needed, places, strict=True))
        arrays = arrays or program.arrays(place)  # the same for every chunk of a file
        yield _decided(program, arrays, chunk, place, first)
        first += len(chunk)


def gate_events_at_hand(
    events: NDArray[np.float32] | NDArray[np.float64], place: dict[int, int], program: GateProgram
) -> GatedChunk:
    """Decide every gate of a program for stored events in memory.

    Parameters
    ----------
    events
        Stored values, shape (n_events, some columns).
    place
        Column of the file to column of ``events``, for all that the program needs.
    program
        Compiled for the file the events come from.
    """
    return _decided(program, program.arrays(place), events, place, 0)


def _decided(
    program: GateProgram,
    arrays: tuple[Any, Any, Any, Any, Any, Any],
    events: NDArray[np.float32] | NDArray[np.float64],
    place: dict[int, int],
    first: int,
) -> GatedChunk:
    from mrd_flow.engine.kernels import gate_events

    members = np.zeros((len(program.gates), len(events)), np.bool_)
    unsure = np.zeros(len(events), np.bool_)
    gate_events(events, *arrays, members, unsure)
    doubtful = np.flatnonzero(unsure)
    if len(doubtful):
        stored = {c: events[doubtful, p].astype(np.float64) for c, p in place.items()}
        members[:, doubtful] = decide_exactly(program, stored)
    return GatedChunk(first=first, events=events, place=place, members=members, decided_exactly=len(doubtful))


def decide_exactly(program: GateProgram, stored: dict[int, NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Decide events by the reference's arithmetic.

    Parameters
    ----------
    program
        Compiled gates.
    stored
        Column (0-based) to its stored values, float64 of shape (n_events,).

    Returns
    -------
    numpy.ndarray
        bool, shape (n_gates, n_events).
    """
    linear = {c: values * program.columns.factors[c] for c, values in stored.items()}
    compensated = {name: _compensated(m, linear) for name, m in program.matrices.items()}
    events = len(next(iter(linear.values())))
    axes = []
    for source, scale in program.axes:
        entry = program.sources[source]
        if entry.kind == gate_codes.STORED:
            values = linear[entry.columns[0]]
        elif entry.kind == gate_codes.COMPENSATED:
            values = compensated[entry.matrix][entry.columns[0]]
        else:
            a, b, c = entry.ratio
            with np.errstate(all="ignore"):
                values = a * ((linear[entry.columns[0]] - b) / (linear[entry.columns[1]] - c))
        axes.append(scale.exact(values))
    members = np.zeros((len(program.gates), events), np.bool_)
    for g, gate in enumerate(program.gates):
        inside = _inside(gate, axes, members) != gate.complement
        members[g] = inside if gate.parent < 0 else inside & members[gate.parent]
    return members


def _compensated(matrix: Matrix, linear: dict[int, NDArray[np.float64]]) -> dict[int, NDArray[np.float64]]:
    seen = np.array([linear[c] for c in matrix.detectors])
    if matrix.spectral:
        true = np.linalg.lstsq(matrix.values.T, seen, rcond=-1)[0]
    else:
        true = np.linalg.solve(matrix.values.T, seen)
    return dict(zip(matrix.rows, true, strict=True))


def _inside(gate: Gate, axes: list[NDArray[np.float64]], members: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from flowutils import gating

    if gate.kind in (gate_codes.ALL_OF, gate_codes.ANY_OF, gate_codes.NONE_OF):
        referred = np.array([members[g] != complement for g, complement in gate.references])
        if gate.kind == gate_codes.NONE_OF:
            return np.asarray(~referred.any(axis=0))
        return np.asarray(referred.all(axis=0) if gate.kind == gate_codes.ALL_OF else referred.any(axis=0))
    values = [axes[a] for a in gate.axes]
    if gate.kind == gate_codes.RECTANGLE:
        inside = np.ones(members.shape[1], np.bool_)
        for axis, (low, high) in zip(values, gate.bounds, strict=True):
            inside &= True if low is None else axis >= low
            inside &= True if high is None else axis < high
        return inside
    points = np.column_stack(values)
    if gate.kind == gate_codes.POLYGON:
        return np.asarray(gating.points_in_polygon(gate.corners, points), np.bool_)
    with np.errstate(all="ignore"):
        found = gating.points_in_ellipsoid(gate.covariance, gate.centre, gate.distance_square, points)
    return np.asarray(found, np.bool_)
