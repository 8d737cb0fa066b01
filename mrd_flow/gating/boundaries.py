"""The gates applied to a tube: the template's, with boundaries that rules and people chose."""

from collections.abc import Mapping, Sequence

from mrd_flow.evidence import BoundaryUsed
from mrd_flow.gating.overrides import Override, overrides_of
from mrd_flow.panel.program import AppliedGate
from mrd_flow.panel.template import Bounds, Panel, PolygonGate, RectangleGate
from pipeline.errors import UsageError

__all__ = ["Boundaries", "applied_gates", "overridden", "with_boundaries"]

Boundaries = Mapping[str, tuple[BoundaryUsed, ...]]
"""Gate to its boundaries that a rule or a person placed."""


def applied_gates(panel: Panel, tube: int, boundaries: Boundaries) -> tuple[AppliedGate, ...]:
    """Gates of a tube (1-based) with the boundaries found by their rules."""
    return tuple(with_boundaries(gate, boundaries.get(gate.name, ())) for gate in panel.gates_of(tube))


def with_boundaries(gate: AppliedGate, used: Sequence[BoundaryUsed]) -> AppliedGate:
    """A gate with new values in place of the template's, and without rules."""
    if not isinstance(gate, RectangleGate):
        return gate
    values = {(b.dimension, b.side): b.value for b in used}
    bounds = {
        name: Bounds(min=values.get((name, "min"), old.min), max=values.get((name, "max"), old.max))
        for name, old in gate.bounds.items()
    }
    return gate.model_copy(update={"bounds": bounds})


def overridden(
    gates: Sequence[AppliedGate], boundaries: Boundaries, overrides: Sequence[Override], *, tube: int
) -> tuple[tuple[AppliedGate, ...], Boundaries]:
    """Applied gates and their boundaries after an analyst's corrections.

    Parameters
    ----------
    gates, boundaries
        As the rules left them.
    overrides
        In their order; of several of the same boundary the last counts.
    tube
        1-based; overrides of other tubes are left out.

    Raises
    ------
    UsageError
        If an override names a gate or dimension that there is not, or leaves no room
        between min and max.
    """
    by_name = {g.name: g for g in gates}
    used = dict(boundaries)
    for override in overrides_of(overrides, tube):
        gate = by_name.get(override.gate)
        if isinstance(gate, PolygonGate) and override.vertices:
            by_name[gate.name] = gate.model_copy(update={"vertices": override.vertices})
            used[gate.name] = (_set(f"{gate.x} x {gate.y}", "vertices", None, None),)
        elif isinstance(gate, RectangleGate) and override.dimension in gate.bounds:
            by_name[gate.name], used[gate.name] = _moved(gate, used.get(gate.name, ()), override)
        else:
            raise UsageError(f"an override of tube {tube} names a gate or dimension that there is not")
    return tuple(by_name[g.name] for g in gates), used


def _moved(
    gate: RectangleGate, used: Sequence[BoundaryUsed], override: Override
) -> tuple[RectangleGate, tuple[BoundaryUsed, ...]]:
    old = gate.bounds[override.dimension]
    low = old.min if override.min is None else override.min
    high = old.max if override.max is None else override.max
    if low is not None and high is not None and low >= high:
        raise UsageError(
            f"an override of gate '{gate.name}' must leave the min of {override.dimension} below its max"
        )
    bounds = gate.bounds | {override.dimension: Bounds(min=low, max=high)}
    moved = [(s, v) for s, v in (("min", override.min), ("max", override.max)) if v is not None]
    kept = [b for b in used if (b.dimension, b.side) not in {(override.dimension, s) for s, _ in moved}]
    template = {(b.dimension, b.side): b.template_value for b in used}
    made = [
        _set(override.dimension, s, v, template.get((override.dimension, s), getattr(old, s)))
        for s, v in moved
    ]
    return gate.model_copy(update={"bounds": bounds}), (*kept, *made)


def _set(dimension: str, side: str, value: float | None, template: float | None) -> BoundaryUsed:
    return BoundaryUsed(
        dimension=dimension,
        side=side,
        rule="override",
        value=value,
        template_value=template,
        overridden=True,
    )
