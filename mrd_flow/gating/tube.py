"""The gates of a panel template applied to a tube, by the gating engine, in chunks.

Rules look at evenly spaced events first and place their boundaries
(`mrd_flow.gating.thresholds`); then every event goes through the compiled gates once, and of
those in the plasma-cell gate all dimensions are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine.run import GatedChunk, columns_of, gated_chunks
from mrd_flow.evidence import BoundaryUsed, GateTally
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.data_sets import DEFAULT_CHUNK_EVENTS, DataSet
from mrd_flow.gating.boundaries import Boundaries, applied_gates, overridden
from mrd_flow.gating.overrides import Override
from mrd_flow.gating.thresholds import find_boundaries
from mrd_flow.panel.program import AppliedGate, dimensions_of, panel_program
from mrd_flow.panel.template import Bounds, CombinationGate, Panel, PolygonGate, RouteFlag

__all__ = ["GatedTube", "describe", "gate_paths", "gate_tube"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedTube:
    """Counts per gate and the plasma cells of a tube.

    ``events`` are all of the file, ``excluded`` those that ``kept`` left out; these are
    in no gate. ``gates`` are the gates as applied, ``boundaries`` what rules chose before
    any override. ``plasma_cells`` is float64 (n_plasma_cells, n_dimensions): markers
    compensated and on the logicle scale, scatter linear, columns ``dimensions``;
    ``plasma_cell_events`` their 0-based event numbers.
    ``membership`` holds a bool per event and gate where it was asked for. ``anomalies``
    are the template's route flags that were raised.
    """

    events: int
    excluded: int
    gates: tuple[AppliedGate, ...]
    boundaries: Boundaries
    tallies: tuple[GateTally, ...]
    dimensions: tuple[str, ...]
    plasma_cells: NDArray[np.float64]
    plasma_cell_events: NDArray[np.int64]
    membership: dict[str, Mask]
    anomalies: tuple[Anomaly, ...]

    def count(self, gate: str) -> int:
        """Events of one gate."""
        return next(t.count for t in self.tallies if t.gate == gate)


def gate_tube(
    data: DataSet,
    panel: Panel,
    tube: int,
    columns: dict[str, int],
    *,
    kept: Mask | None = None,
    boundaries: Boundaries | None = None,
    overrides: Sequence[Override] = (),
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
    kept
        Bool (n_events,): events left out are in no gate, and no rule looks at them.
        None keeps all.
    boundaries
        What the rules chose in an earlier run (``GatedTube.boundaries``); None lets them
        choose.
    overrides
        Boundaries moved by an analyst, applied after the rules.
    keep_membership
        Keep a bool per event and gate: one byte each.
    chunk_events
        Events handled at a time; it bounds the memory, not the result.

    Returns
    -------
    GatedTube
        The same for any ``chunk_events``. An event with a value that is not a number is
        in no gate that looks at it.

    Raises
    ------
    ValueError
        If ``kept`` is not of the data's length.
    UsageError
        If an override does not fit.
    """
    if kept is not None and kept.shape != (data.events,):
        raise ValueError(f"kept must have {data.events} entries, one per event")
    offered = columns_of(data)
    dimensions = dimensions_of(panel, columns, offered)
    if boundaries is None:
        boundaries = find_boundaries(data, panel, tube, dimensions, kept=kept)
    gates, used = overridden(applied_gates(panel, tube, boundaries), boundaries, overrides, tube=tube)
    program = panel_program(gates, dimensions, offered)
    collected = _Collected(panel, tube, gates, keep_membership=keep_membership)
    for chunk in gated_chunks(data, program, also=dimensions.needed(), events=chunk_events):
        if kept is not None:
            np.logical_and(chunk.members, kept[chunk.first :][: len(chunk.events)], out=chunk.members)
        rows = collected.add(chunk)
        collected.tables.append(dimensions.table(chunk, rows))
    return GatedTube(
        events=data.events,
        excluded=0 if kept is None else data.events - int(np.count_nonzero(kept)),
        gates=gates,
        boundaries=boundaries,
        tallies=collected.tallies(used, data.events),
        dimensions=tuple(columns),
        plasma_cells=np.concatenate([np.empty((0, len(columns))), *collected.tables]),
        plasma_cell_events=np.concatenate([np.empty(0, np.int64), *collected.numbers]),
        membership=collected.membership(),
        anomalies=collected.anomalies(boundaries),
    )


class _Collected:
    """What is kept of each chunk."""

    def __init__(
        self, panel: Panel, tube: int, gates: Sequence[AppliedGate], *, keep_membership: bool
    ) -> None:
        self.panel, self.tube, self.gates = panel, tube, gates
        self.index = {g.name: i for i, g in enumerate(gates)}
        self.counts = np.zeros(len(gates), np.int64)
        self.flags = panel.route_flags_of(tube)
        self.only_second = np.zeros(len(self.flags), np.int64)
        self.keep_membership = keep_membership
        self.members: list[Mask] = []
        self.tables: list[NDArray[np.float64]] = []
        self.numbers: list[NDArray[np.int64]] = []

    def add(self, chunk: GatedChunk) -> NDArray[np.intp]:
        """Count a chunk's members; the rows of its plasma cells."""
        members = chunk.members
        self.counts += [np.count_nonzero(m) for m in members]
        for i, flag in enumerate(self.flags):
            usual, second = members[self.index[flag.usual]], members[self.index[flag.second]]
            self.only_second[i] += np.count_nonzero(second & ~usual)
        if self.keep_membership:
            self.members.append(members)
        rows = np.flatnonzero(members[self.index[self.panel.plasma_cell_gate]])
        self.numbers.append(rows.astype(np.int64) + chunk.first)
        return rows

    def membership(self) -> dict[str, Mask]:
        if not self.keep_membership:
            return {}
        none = np.empty((len(self.gates), 0), np.bool_)
        return dict(zip(self.index, np.concatenate([none, *self.members], axis=1), strict=True))

    def anomalies(self, boundaries: Boundaries) -> tuple[Anomaly, ...]:
        """The route flags raised."""
        found = []
        for flag, only_second in zip(self.flags, self.only_second, strict=True):
            either = int(only_second + self.counts[self.index[flag.usual]])
            missed = only_second >= max(flag.min_events, flag.share * either)
            dim = _landmark_dim(flag, boundaries.get(flag.usual, ()))
            if missed or dim:
                text = (
                    f"{only_second} of {either} cells are in gate {flag.second} and not in gate {flag.usual}"
                )
                found.append(Anomaly(code=flag.code, text="; ".join([text, *dim])))
        return tuple(found)

    def tallies(self, used: Boundaries, events: int) -> tuple[GateTally, ...]:
        paths = gate_paths(self.panel, self.tube)
        counts = dict(zip(self.index, map(int, self.counts), strict=True))
        return tuple(
            GateTally(
                gate=gate.name,
                path=paths[gate.name],
                count=counts[gate.name],
                parent_count=counts.get(gate.parent, events),
                rule=", ".join(dict.fromkeys(b.rule for b in used.get(gate.name, ()))) or "fixed",
                detail=describe(gate, used.get(gate.name, ())),
                unverified=gate.unverified or bool(self.panel.unverified),
                boundaries=used.get(gate.name, ()),
            )
            for gate in self.gates
        )


def _landmark_dim(flag: RouteFlag, used: Sequence[BoundaryUsed]) -> list[str]:
    """In words, where the usual route's landmark is dimmer than the rule's limits allow."""
    return [
        f"{b.dimension} of {b.population} puts the boundary at {b.found:g}, below {b.low:g}"
        for b in used
        if b.dimension == flag.dimension and b.side == "min"
        if b.found is not None and b.low is not None and b.found < b.low
    ]


def gate_paths(panel: Panel, tube: int) -> dict[str, str]:
    """Chain of parents of every gate of a tube, from the root, joined by ``/``."""
    paths: dict[str, str] = {}
    for gate in panel.gates_of(tube):
        above = paths.get(gate.parent)
        paths[gate.name] = f"{above}/{gate.parent}" if above else gate.parent
    return paths


def describe(gate: AppliedGate, used: Sequence[BoundaryUsed] = ()) -> str:
    """A gate's boundary in words, and where those came from that are not the template's.

    >>> describe(CombinationGate(name="a", kind="any_of", gates=("b", "c")))
    'any of b, c'
    """
    if isinstance(gate, CombinationGate):
        return f"{gate.kind.replace('_', ' ')} {', '.join(gate.gates)}"
    if isinstance(gate, PolygonGate):
        corners = " ".join(f"({x:g}, {y:g})" for x, y in gate.vertices)
        words = f"{gate.x} x {gate.y} inside {corners}"
    else:
        words = "; ".join(_range_in_words(d, b) for d, b in gate.bounds.items())
    sources = [_source_in_words(b) for b in used]
    return f"{words} ({'; '.join(sources)})" if sources else words


def _range_in_words(dimension: str, bounds: Bounds) -> str:
    lower = [] if bounds.min is None else [f"{dimension} >= {bounds.min:g}"]
    upper = [] if bounds.max is None else [f"{dimension} < {bounds.max:g}"]
    return " and ".join(lower + upper)


def _source_in_words(used: BoundaryUsed) -> str:
    boundary = f"{used.dimension} {used.side}"
    template = "none" if used.template_value is None else f"{used.template_value:g}"
    if used.overridden:
        return boundary + " set by a person" + (f", template {template}" if used.value is not None else "")
    rule = used.rule.replace("_", " ")
    if used.fell_back:
        return f"{boundary}: {rule} found none, {used.reason}; template's value"
    return (
        f"{boundary}: {rule} of {used.population_events} {used.population} events, "
        f"limits {used.low:g} to {used.high:g}, template {template}"
    )
