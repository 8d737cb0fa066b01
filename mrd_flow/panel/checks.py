"""Whether the gates and landmarks of one tube of a template stand in an order that can be worked off."""

from collections.abc import Sequence

from mrd_flow.panel.gates import (
    ROOT_GATE,
    CombinationGate,
    Landmark,
    LandmarkQuantileRule,
    PolygonGate,
    RectangleGate,
)

__all__ = ["problems_of_gates"]

AnyGate = RectangleGate | PolygonGate | CombinationGate


def problems_of_gates(
    gates: Sequence[AnyGate],
    landmarks: Sequence[Landmark],
    known: set[str],
    *,
    tube: int,
    scatter: Sequence[str] = (),
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """What is wrong, in words, and the ancestors of every gate with the gate itself last.

    Parameters
    ----------
    gates, landmarks
        Of one tube, in the template's order.
    known
        Scatter parameters and markers of the tube.
    tube, scatter
        Its number, for the words, and which dimensions are scatter.
    """
    found: list[str] = []
    seen: dict[str, tuple[str, ...]] = {ROOT_GATE: (ROOT_GATE,)}
    names = [g.name for g in gates] + [m.name for m in landmarks]
    if ROOT_GATE in names or len(set(names)) != len(names):
        found.append(f"names of gates and landmarks must differ from each other and from '{ROOT_GATE}'")
    for gate in gates:
        if gate.parent not in seen:
            found.append(f"gate '{gate.name}' comes before its parent '{gate.parent}'")
        combined = gate.gates if isinstance(gate, CombinationGate) else ()
        found += [f"gate '{gate.name}' combines '{g}' before it stands" for g in combined if g not in seen]
        found += [
            f"gate '{gate.name}' uses '{d}', which tube {tube} does not have"
            for d in gate.dimensions
            if d not in known
        ]
        found += _problems_of_rules(gate, landmarks, seen, scatter)
        seen[gate.name] = (*seen.get(gate.parent, ()), gate.name)
    for landmark in landmarks:
        if landmark.parent not in seen:
            found.append(f"landmark '{landmark.name}' lies in '{landmark.parent}', which is no gate")
        found += [
            f"landmark '{landmark.name}' uses '{d}', which tube {tube} does not have"
            for d in landmark.bounds
            if d not in known
        ]
    return found, seen


def _problems_of_rules(
    gate: AnyGate, landmarks: Sequence[Landmark], seen: dict[str, tuple[str, ...]], scatter: Sequence[str]
) -> list[str]:
    if not isinstance(gate, RectangleGate):
        return []
    ready = {m.name for m in landmarks if m.parent in seen}
    found = []
    for dimension, bounds in gate.bounds.items():
        for _, rule, _ in bounds.ruled():
            if isinstance(rule, LandmarkQuantileRule):
                population, there = rule.landmark, ready
            else:
                population, there = rule.population or ROOT_GATE, ready | set(seen)
                if dimension in scatter and rule.limits[0] <= 0:
                    found.append(f"a rule of gate '{gate.name}' on scatter needs limits above 0")
            if population not in there:
                found.append(
                    f"a rule of gate '{gate.name}' needs '{population}', which does not stand before it"
                )
    return found
