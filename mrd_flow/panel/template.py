"""Panel templates: tubes, markers, transforms and the hierarchy of gates, from TOML.

A template is people's text, so it is validated strictly: an unknown key, a gate whose
parent comes later, or a dimension no tube has is refused with the file and the key.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from mrd_flow.panel.checks import problems_of_gates
from mrd_flow.panel.gates import (
    ROOT_GATE,
    Bounds,
    CombinationGate,
    Gate,
    Landmark,
    Part,
    PolygonGate,
    RectangleGate,
)
from mrd_flow.panel.populations import ExpectedPopulation, HemodilutionTable
from pipeline.formats.shipped import shipped_or_own
from pipeline.formats.toml_models import read_model

__all__ = [
    "Bounds",
    "CombinationGate",
    "Gate",
    "Landmark",
    "Logicle",
    "Panel",
    "PolygonGate",
    "RectangleGate",
    "RouteFlag",
    "Tube",
    "Unverified",
    "load_panel",
    "panel_path",
]

_FOLDER = "panels"


class Unverified(Part):
    """Something in the template that no published source available confirmed."""

    what: str
    note: str


class Logicle(Part):
    """Logicle scale (Moore and Parks 2012): top T, linear decades W, decades M, extra negative A."""

    t: Annotated[float, Field(gt=0)] = 262144.0
    w: Annotated[float, Field(ge=0)] = 0.5
    m: Annotated[float, Field(gt=0)] = 4.5
    a: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.w > self.m / 2 or self.a > self.m - 2 * self.w:
            raise ValueError("logicle needs w <= m / 2 and a <= m - 2 w")
        return self


class Tube(Part):
    """One tube: ``markers`` maps each marker to the detector (fluorochrome) it is expected on."""

    name: str
    markers: Annotated[dict[str, str], Field(min_length=1)]


class RouteFlag(Part):
    """Two ways to the same cells, and when it is flagged that the usual one misses them.

    ``code`` is flagged where ``second`` holds at least ``min_events`` events that ``usual``
    does not, and these are at least ``share`` of the events of either; and where the rule
    of ``usual`` for ``dimension`` came to a boundary below its limits, so that the
    landmark is dim too.
    """

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    usual: str
    second: str
    dimension: str = ""
    min_events: Annotated[int, Field(ge=1)] = 20
    share: Annotated[float, Field(gt=0, le=1)]
    tubes: tuple[int, ...] = ()


class Blank(Part):
    """What 95 % of marrows without disease stay below, as ``command`` measured it.

    False aberrant cells are normal plasma cells, so their number goes with those present:
    ``events_per_thousand_plasma_cells``.
    """

    events_per_thousand_plasma_cells: Annotated[float, Field(ge=0)]
    command: str


class Panel(Part):
    """A panel template. Gates stand in order: parents, and gates combined, before their use."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    version: str
    title: str
    decision_count: Annotated[int, Field(ge=1)]
    loq_count: Annotated[int, Field(ge=1)]
    blank: Blank | None = None
    scatter: Annotated[tuple[str, ...], Field(min_length=1)]
    range: Annotated[float, Field(gt=0)]
    nucleated_gate: str
    plasma_cell_gate: str
    unverified: tuple[Unverified, ...] = ()
    aliases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    logicle: Logicle = Logicle()
    marker_logicle: dict[str, Logicle] = Field(default_factory=dict)
    tubes: Annotated[tuple[Tube, ...], Field(min_length=1)]
    landmarks: tuple[Landmark, ...] = ()
    gates: Annotated[tuple[Gate, ...], Field(min_length=1)]
    route_flags: tuple[RouteFlag, ...] = ()
    hemodilution: HemodilutionTable | None = None
    expected: tuple[ExpectedPopulation, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> list[str]:
        found = []
        for tube in range(1, len(self.tubes) + 1):
            found += self._problems_of_tube(tube)
        numbers = set(range(1, len(self.tubes) + 1))
        parts = [("gate", g.name, g.tubes) for g in self.gates]
        parts += [("landmark", m.name, m.tubes) for m in self.landmarks]
        parts += [("route flag", f.code, f.tubes) for f in self.route_flags]
        found += [
            f"{what} '{name}' names a tube there is not"
            for what, name, tubes in parts
            if set(tubes) - numbers
        ]
        known = {g.name for g in self.gates}
        marrow = self.hemodilution.populations if self.hemodilution else ()
        named = [("hemodilution", m.gate) for m in marrow] + [("expected", e.gate) for e in self.expected]
        found += [
            f"{what} names gate '{gate}', which is not there" for what, gate in named if gate not in known
        ]
        return found

    def _problems_of_tube(self, tube: int) -> list[str]:
        gates = self.gates_of(tube)
        known = {*self.scatter, *self.tubes[tube - 1].markers}
        found, lineages = problems_of_gates(
            gates, self.landmarks_of(tube), known, tube=tube, scatter=self.scatter
        )
        wanted = (ROOT_GATE, self.nucleated_gate, self.plasma_cell_gate)
        for outer, inner in pairwise(wanted):
            if outer not in lineages.get(inner, ()):
                found.append(f"gate '{inner}' must exist in tube {tube} and descend from '{outer}'")
        found += [
            f"route flag '{flag.code}' names gate '{name}', which tube {tube} does not have"
            for flag in self.route_flags_of(tube)
            for name in (flag.usual, flag.second)
            if name not in lineages
        ]
        ruled = {
            (gate.name, dimension)
            for gate in gates
            if isinstance(gate, RectangleGate)
            for dimension, bounds in gate.bounds.items()
            if bounds.min_rule is not None
        }
        found += [
            f"route flag '{flag.code}' needs a min_rule of gate '{flag.usual}' for '{flag.dimension}'"
            for flag in self.route_flags_of(tube)
            if flag.dimension and (flag.usual, flag.dimension) not in ruled
        ]
        return found

    def gates_of(self, tube: int) -> tuple[RectangleGate | PolygonGate | CombinationGate, ...]:
        """Gates of one tube (1-based), in the template's order."""
        return tuple(g for g in self.gates if not g.tubes or tube in g.tubes)

    def landmarks_of(self, tube: int) -> tuple[Landmark, ...]:
        """Landmarks of one tube (1-based), in the template's order."""
        return tuple(m for m in self.landmarks if not m.tubes or tube in m.tubes)

    def route_flags_of(self, tube: int) -> tuple[RouteFlag, ...]:
        """Route flags of one tube (1-based), in the template's order."""
        return tuple(f for f in self.route_flags if not f.tubes or tube in f.tubes)

    def logicle_of(self, marker: str) -> Logicle:
        """The scale of one marker."""
        return self.marker_logicle.get(marker, self.logicle)


def load_panel(name_or_path: str | Path) -> Panel:
    """Read a panel template that ships with nadir (``euroflow``, ``srl``) or a TOML file.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    ConfigRefused
        If the file cannot be read, is no TOML, or has an unknown key or a wrong value.

    Examples
    --------
    >>> [tube.name for tube in load_panel("euroflow").tubes]
    ['surface', 'cytoplasmic']
    """
    return read_model(
        panel_path(name_or_path), Panel, remedy="see the templates in configs/panels for every key"
    )


def panel_path(name_or_path: str | Path) -> Path:
    """File of a panel template; it need not exist.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    """
    return shipped_or_own(name_or_path, _FOLDER, "panel template")
