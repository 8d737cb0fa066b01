"""Panel templates: tubes, markers, transforms and the hierarchy of gates, from TOML.

A template is people's text, so it is validated strictly: an unknown key, a gate whose
parent comes later, or a dimension no tube has is refused with the file and the key.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import ConfigRefused, printable
from pipeline.formats.shipped import shipped_or_own
from pipeline.formats.toml_tables import read_toml

__all__ = [
    "Bounds",
    "CombinationGate",
    "FixedRule",
    "Gate",
    "Logicle",
    "Panel",
    "PolygonGate",
    "RectangleGate",
    "Tube",
    "Unverified",
    "load_panel",
    "panel_path",
]

_FOLDER = "panels"
ROOT_GATE = "root"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Unverified(_Part):
    """Something in the template that no published source available confirmed."""

    what: str
    note: str


class Logicle(_Part):
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


class Tube(_Part):
    """One tube: ``markers`` maps each marker to the detector (fluorochrome) it is expected on.

    ``background_per_million_nucleated`` is the number of aberrant events found per
    million nucleated cells of a blank that holds ``background_plasma_cell_fraction``
    plasma cells; ``efficiency`` the share of the clone's cells the gates keep. Both were
    measured by ``background_command``.
    """

    name: str
    markers: Annotated[dict[str, str], Field(min_length=1)]
    background_per_million_nucleated: Annotated[float, Field(ge=0)]
    background_plasma_cell_fraction: Annotated[float, Field(gt=0, le=1)]
    efficiency: Annotated[float, Field(gt=0, le=1)]
    background_command: str


class FixedRule(_Part):
    """The boundary stands in the template. Other kinds of rule will join this one."""

    kind: Literal["fixed"] = "fixed"


class Bounds(_Part):
    """Half-open range of one dimension: min <= value < max, either may be absent."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a bound needs min or max")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must lie below max")
        return self


class _GateBase(_Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
    parent: str = ROOT_GATE
    tubes: tuple[int, ...] = ()
    rule: FixedRule = FixedRule()
    unverified: bool = False


class RectangleGate(_GateBase):
    """Bounds on one or more dimensions; markers on the logicle scale, scatter in linear units."""

    kind: Literal["rectangle"]
    bounds: Annotated[dict[str, Bounds], Field(min_length=1)]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Scatter parameters or markers it looks at."""
        return tuple(self.bounds)


class PolygonGate(_GateBase):
    """A polygon in two dimensions (even-odd rule, edge included)."""

    kind: Literal["polygon"]
    x: str
    y: str
    vertices: Annotated[tuple[tuple[float, float], ...], Field(min_length=3)]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Scatter parameters or markers it looks at."""
        return (self.x, self.y)


class CombinationGate(_GateBase):
    """Events of the parent that are in all, any or none of other gates."""

    kind: Literal["all_of", "any_of", "none_of"]
    gates: Annotated[tuple[str, ...], Field(min_length=1)]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """None of its own."""
        return ()


Gate = Annotated[RectangleGate | PolygonGate | CombinationGate, Field(discriminator="kind")]


class Panel(_Part):
    """A panel template. Gates stand in order: parents, and gates combined, before their use."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    version: str
    title: str
    phenotype: str
    decision_count: Annotated[int, Field(ge=1)]
    loq_count: Annotated[int, Field(ge=1)]
    scatter: Annotated[tuple[str, ...], Field(min_length=1)]
    range: Annotated[float, Field(gt=0)]
    nucleated_gate: str
    plasma_cell_gate: str
    aberrant_gate: str
    unverified: tuple[Unverified, ...] = ()
    aliases: dict[str, tuple[str, ...]] = {}
    logicle: Logicle = Logicle()
    marker_logicle: dict[str, Logicle] = {}
    tubes: Annotated[tuple[Tube, ...], Field(min_length=1)]
    gates: Annotated[tuple[Gate, ...], Field(min_length=1)]

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
        found += [f"gate '{g.name}' names a tube there is not" for g in self.gates if set(g.tubes) - numbers]
        return found

    def _problems_of_tube(self, tube: int) -> list[str]:
        found, seen = [], {ROOT_GATE: (ROOT_GATE,)}
        known = {*self.scatter, *self.tubes[tube - 1].markers}
        names = [g.name for g in self.gates_of(tube)]
        if ROOT_GATE in names or len(set(names)) != len(names):
            found.append(f"gate names of tube {tube} must differ from each other and from '{ROOT_GATE}'")
        for gate in self.gates_of(tube):
            if gate.parent not in seen:
                found.append(f"gate '{gate.name}' comes before its parent '{gate.parent}' in tube {tube}")
            combined = gate.gates if isinstance(gate, CombinationGate) else ()
            found += [
                f"gate '{gate.name}' combines '{g}' before it stands" for g in combined if g not in seen
            ]
            found += [
                f"gate '{gate.name}' uses '{d}', which tube {tube} does not have"
                for d in gate.dimensions
                if d not in known
            ]
            seen[gate.name] = (*seen.get(gate.parent, ()), gate.name)
        lineage = (ROOT_GATE, self.nucleated_gate, self.plasma_cell_gate, self.aberrant_gate)
        for outer, inner in pairwise(lineage):
            if outer not in seen.get(inner, ()):
                found.append(f"gate '{inner}' must exist in tube {tube} and descend from '{outer}'")
        return found

    def gates_of(self, tube: int) -> tuple[RectangleGate | PolygonGate | CombinationGate, ...]:
        """Gates of one tube (1-based), in the template's order."""
        return tuple(g for g in self.gates if not g.tubes or tube in g.tubes)

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
    path = panel_path(name_or_path)
    values, _ = read_toml(path)
    try:
        return Panel.model_validate(_tupled(values))
    except ValidationError as error:
        raise _refusal(error, path) from error


def panel_path(name_or_path: str | Path) -> Path:
    """File of a panel template; it need not exist.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    """
    return shipped_or_own(name_or_path, _FOLDER, "panel template")


def _tupled(value: object) -> object:
    """TOML arrays as tuples and whole numbers as they are: strict models take no lists for tuples."""
    if isinstance(value, dict):
        return {k: _tupled(v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(_tupled(v) for v in value)
    return value


def _refusal(error: ValidationError, path: Path) -> ConfigRefused:
    first = error.errors(include_url=False, include_context=False)[0]
    key = printable(".".join(str(part) for part in first["loc"]))
    unknown = first["type"] == "extra_forbidden"
    what = "unknown key" if unknown else printable(first["msg"]).removeprefix("Value error, ")
    return ConfigRefused(
        what, path=path, column=key or None, remedy="see the templates in configs/panels for every key"
    )
