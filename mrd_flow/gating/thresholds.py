"""Boundaries that the rules of a panel template find in a tube's own events.

Rules look at evenly spaced runs of events, at most half a million in all, so a boundary
depends on the file (and on which of its events are kept) and on nothing else. A boundary
that cannot be found, or lies outside its limits, is the template's, and says why.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine.program import Columns
from mrd_flow.engine.run import GatedChunk, columns_of, gate_events_at_hand
from mrd_flow.evidence import BoundaryUsed
from mrd_flow.fcs.data_sets import DataSet
from mrd_flow.gating.boundaries import with_boundaries
from mrd_flow.gating.density_cuts import Cut, mixture_cut, valley
from mrd_flow.panel.gates import ROOT_GATE, LandmarkQuantileRule, MixtureCutRule, Rule, ValleyRule
from mrd_flow.panel.program import AppliedGate, Dimensions, panel_program
from mrd_flow.panel.template import Panel, RectangleGate

__all__ = ["find_boundaries"]

_MOST_EVENTS = 500_000
_RUN_EVENTS = 1_000
_DIGITS = 6  # of a boundary: what is shown is what is used, whatever the machine's last bits

Mask = NDArray[np.bool_]
Stored = NDArray[np.float32] | NDArray[np.float64]


def find_boundaries(
    data: DataSet,
    panel: Panel,
    tube: int,
    dimensions: Dimensions,
    *,
    kept: Mask | None = None,
    most_events: int = _MOST_EVENTS,
) -> dict[str, tuple[BoundaryUsed, ...]]:
    """Let the rules of one tube (1-based) choose their boundaries.

    Parameters
    ----------
    data, panel, tube, dimensions
        The events, the template, and the panel's dimensions in the file.
    kept
        Bool (n_events,): rules look at these events only. None: at all.
    most_events
        Events looked at, evenly spaced, about.

    Returns
    -------
    dict
        Gate to its boundaries; gates without a rule are left out.
    """
    gates = panel.gates_of(tube)
    ruled = [g for g in gates if isinstance(g, RectangleGate) and any(b.ruled() for b in g.bounds.values())]
    if not ruled:
        return {}
    seen, place = _evenly_spaced(data, dimensions.needed(), kept, most_events)
    sample = _Sample(seen, place, panel, tube, dimensions, columns_of(data))
    found: dict[str, tuple[BoundaryUsed, ...]] = {}
    for gate in ruled:
        before = [with_boundaries(g, found.get(g.name, ())) for g in gates[: gates.index(gate)]]
        found[gate.name] = tuple(
            sample.boundary(gate, dimension, side, rule, value, before)
            for dimension, bounds in gate.bounds.items()
            for side, rule, value in bounds.ruled()
        )
    return found


class _Sample:
    """The events that rules look at, and which of them are in a gate or landmark."""

    def __init__(
        self,
        events: Stored,
        place: dict[int, int],
        panel: Panel,
        tube: int,
        dimensions: Dimensions,
        offered: Columns,
    ) -> None:
        self.panel, self.dimensions, self.offered = panel, dimensions, offered
        self.landmarks = panel.landmarks_of(tube)
        self.least = {m.name: m.min_events for m in self.landmarks}
        none = np.empty((0, len(events)), np.bool_)
        self.chunk = GatedChunk(first=0, events=events, place=place, members=none, decided_exactly=0)
        self.members: dict[str, Mask] = {ROOT_GATE: np.ones(len(events), np.bool_)}

    def rows(self, name: str, before: Sequence[AppliedGate]) -> NDArray[np.intp]:
        """Rows of a gate among those that stand already, or of a landmark that lies in one of them."""
        if name not in self.members:
            names = {ROOT_GATE, *(g.name for g in before)}
            gates = [*before, *(m.gate() for m in self.landmarks if m.parent in names)]
            program = panel_program(gates, self.dimensions, self.offered)
            decided = gate_events_at_hand(self.chunk.events, self.chunk.place, program)
            self.members |= {g.name: m for g, m in zip(gates, decided.members, strict=True)}
        return np.flatnonzero(self.members[name])

    def boundary(
        self,
        gate: RectangleGate,
        dimension: str,
        side: str,
        rule: Rule,
        template: float | None,
        before: Sequence[AppliedGate],
    ) -> BoundaryUsed:
        """Where one rule puts one boundary."""
        name = _population(rule, gate)
        rows = self.rows(name, before)
        cut = self._cut(dimension, rule, name, rows)
        value = None if cut.value is None else float(f"{cut.value:.{_DIGITS}g}")
        low, high = rule.limits
        reason = cut.reason
        if value is not None and not low <= value <= high:
            reason = f"{value:g} lies outside the limits {low:g} to {high:g}"
        return BoundaryUsed(
            dimension=dimension,
            side=side,
            rule=rule.kind,
            value=template if reason else value,
            template_value=template,
            low=low,
            high=high,
            found=value,
            population=name,
            population_events=len(rows),
            fell_back=bool(reason),
            reason=reason,
        )

    def _cut(self, dimension: str, rule: Rule, name: str, rows: NDArray[np.intp]) -> Cut:
        least = self.least.get(name, 0)
        if not isinstance(rule, LandmarkQuantileRule):
            least = max(least, rule.min_events)
        values = self.dimensions.linear(dimension, self.chunk, rows)
        values = values[np.isfinite(values)]
        if len(values) < least:
            return Cut(None, f"{len(values)} {name} events where {least} are needed")
        scale = self.dimensions.scales[dimension]
        if isinstance(rule, LandmarkQuantileRule):
            # the value of one event: its place among the others is the same on every scale
            at = np.quantile(values, rule.quantile, method="inverted_cdf")
            return Cut(rule.factor * float(scale.exact(np.array([at]))[0]) + rule.offset)
        if dimension not in self.panel.scatter:
            return _density_cut(scale.exact(values), rule, rule.limits)
        # Scatter is linear, and its populations are the wider the larger their cells.
        logs = np.log10(values[values > 0])
        cut = _density_cut(logs, rule, (float(np.log10(rule.limits[0])), float(np.log10(rule.limits[1]))))
        return cut if cut.value is None else Cut(10.0**cut.value)


def _density_cut(
    values: NDArray[np.float64], rule: ValleyRule | MixtureCutRule, limits: tuple[float, float]
) -> Cut:
    if isinstance(rule, ValleyRule):
        return valley(values, limits, bandwidth=rule.bandwidth, most_depth=rule.most_depth)
    return mixture_cut(values, limits, separation=rule.separation)


def _population(rule: Rule, gate: RectangleGate) -> str:
    return rule.landmark if isinstance(rule, LandmarkQuantileRule) else rule.population or gate.parent


def _evenly_spaced(
    data: DataSet, columns: tuple[int, ...], kept: Mask | None, most_events: int
) -> tuple[Stored, dict[int, int]]:
    """Stored values of evenly spaced runs of events, and where each column of the file stands in them."""
    parts: list[Stored] = []
    for begin, end in _runs(data.events, most_events):
        run = replace(data, first_byte=data.first_byte + begin * data.layout.event_bytes, events=end - begin)
        for chunk, places in run.precise_chunks(columns, events=end - begin):
            rows = slice(None) if kept is None else np.flatnonzero(kept[begin:end])
            parts.append(chunk[rows][:, places])
    place = {column: i for i, column in enumerate(columns)}
    events = np.concatenate(parts) if parts else np.empty((0, len(columns)))
    return cast("Stored", events), place


def _runs(events: int, most_events: int) -> list[tuple[int, int]]:
    """Begin and end of runs spread evenly over a file, at most about ``most_events`` in all.

    >>> _runs(10_000_000, 3_000)
    [(0, 1000), (4999500, 5000500), (9999000, 10000000)]
    """
    if events <= most_events:
        return [(0, events)] if events else []
    runs = max(2, most_events // _RUN_EVENTS)
    begins = [round(i * (events - _RUN_EVENTS) / (runs - 1)) for i in range(runs)]
    return [(b, b + _RUN_EVENTS) for b in begins]
