"""What a panel template may say about a gate: boundaries, the rules that place them, landmarks."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "ROOT_GATE",
    "Bounds",
    "CombinationGate",
    "Gate",
    "Landmark",
    "LandmarkQuantileRule",
    "MixtureCutRule",
    "Part",
    "PolygonGate",
    "RectangleGate",
    "Rule",
    "ValleyRule",
]

ROOT_GATE = "root"


class Part(BaseModel):
    """A table of a template: no unknown key, no value of another type, no infinite number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _RuleBase(Part):
    """A rule's boundary is taken only within ``limits``, both included."""

    limits: Annotated[tuple[float, float], Field(min_length=2)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.limits[0] < self.limits[1]:
            raise ValueError("limits must be [low, high] with low below high")
        return self


class ValleyRule(_RuleBase):
    """Lowest point of the smoothed density between two modes.

    ``population`` is a gate or landmark, the gate's parent if absent; ``bandwidth`` the
    standard deviation of the smoothing, on the scale (scatter: in log10 units); the
    density there must be at most ``most_depth`` of the lower mode's.
    """

    kind: Literal["valley"]
    population: str | None = None
    min_events: Annotated[int, Field(ge=1)] = 1000
    bandwidth: Annotated[float, Field(gt=0)] = 0.015
    most_depth: Annotated[float, Field(gt=0, lt=1)] = 0.5


class LandmarkQuantileRule(_RuleBase):
    """``factor`` times a quantile of a landmark's values, plus ``offset``."""

    kind: Literal["landmark_quantile"]
    landmark: str
    quantile: Annotated[float, Field(gt=0, lt=1)]
    factor: Annotated[float, Field(gt=0)] = 1.0
    offset: float = 0.0


class MixtureCutRule(_RuleBase):
    """Where the two halves of a two-component Gaussian mixture are equally likely.

    ``population`` as in `ValleyRule`; the components must lie at least ``separation``
    apart (Ashman's D, Ashman, Bird and Zepf, Astron J 1994;108:2348).
    """

    kind: Literal["mixture_cut"]
    population: str | None = None
    min_events: Annotated[int, Field(ge=1)] = 1000
    separation: Annotated[float, Field(gt=0)] = 2.0


Rule = Annotated[ValleyRule | LandmarkQuantileRule | MixtureCutRule, Field(discriminator="kind")]


class Bounds(Part):
    """Half-open range of one dimension: min <= value < max, either may be absent.

    Where a rule stands beside a boundary, the boundary is what is used if the rule finds none.
    """

    min: float | None = None
    max: float | None = None
    min_rule: Rule | None = None
    max_rule: Rule | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a bound needs min or max")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must lie below max")
        for side, rule, value in self.ruled():
            if value is None or not rule.limits[0] <= value <= rule.limits[1]:
                raise ValueError(f"{side}_rule needs a {side} within its limits to fall back to")
        low_end = self.min_rule.limits[1] if self.min_rule is not None else self.min
        high_end = self.max_rule.limits[0] if self.max_rule is not None else self.max
        if low_end is not None and high_end is not None and low_end >= high_end:
            raise ValueError("a rule's limits must leave min below max")
        return self

    def ruled(self) -> tuple[tuple[Literal["min", "max"], Rule, float | None], ...]:
        """Side, rule and template value of every side that has a rule."""
        sides: tuple[tuple[Literal["min", "max"], Rule | None, float | None], ...] = (
            ("min", self.min_rule, self.min),
            ("max", self.max_rule, self.max),
        )
        return tuple((side, rule, value) for side, rule, value in sides if rule is not None)


class _GateBase(Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
    parent: str = ROOT_GATE
    tubes: tuple[int, ...] = ()
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


class Landmark(Part):
    """Cells inside the sample that anchor boundaries: a small gate with fixed, loose bounds.

    With fewer than ``min_events`` of them among the events looked at, no boundary is
    taken from them.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
    parent: str = ROOT_GATE
    tubes: tuple[int, ...] = ()
    bounds: Annotated[dict[str, Bounds], Field(min_length=1)]
    min_events: Annotated[int, Field(ge=1)] = 200

    @model_validator(mode="after")
    def _fixed(self) -> Self:
        if any(bounds.ruled() for bounds in self.bounds.values()):
            raise ValueError("the bounds of a landmark are fixed: they take no rule")
        return self

    def gate(self) -> RectangleGate:
        """The landmark as a gate."""
        return RectangleGate(
            name=self.name, parent=self.parent, tubes=self.tubes, kind="rectangle", bounds=self.bounds
        )
