"""Parts of a mass cytometry template: cuts, clean-up gates, beads, barcodes, populations.

Each is checked by itself; `mrd_flow.cytof.panel` checks how they go together.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.model import is_identifier, looks_personal

__all__ = [
    "LIVE_CELLS",
    "UNASSIGNED_NAME",
    "Barcodes",
    "Beads",
    "CleanUp",
    "Cut",
    "Metal",
    "Name",
    "Part",
    "Population",
    "Unverified",
]

LIVE_CELLS = "live_cells"
"""What the clean-up gates leave of a sample: the root of every population."""

UNASSIGNED_NAME = "unassigned"
"""Where a sample would stand, of cells that belong to none."""

_CODES_MOST = 256

Metal = Annotated[str, Field(pattern=r"^[A-Z][a-z]?[0-9]{2,3}$")]
"""Symbol and mass, such as Ir191."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
"""Of a gate, channel or population: it may stand in a path."""


class Part(BaseModel):
    """A table of the template: frozen, strict, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Unverified(Part):
    """Something in the template that no published source available confirmed."""

    what: str
    note: str


class Cut(Part):
    """One boundary: fixed, or the valley of the density between ``low`` and ``high``.

    ``at`` is the fixed place, and where a valley falls back to. ``landmark`` names the
    population in whose events the valley is looked for. On the scale of what is cut:
    arcsinh for metals.
    """

    kind: Literal["fixed", "valley"]
    at: float
    low: float | None = None
    high: float | None = None
    landmark: str = LIVE_CELLS

    @model_validator(mode="after")
    def _possible(self) -> Self:
        limits = (self.low, self.high)
        if self.kind == "fixed" and limits != (None, None):
            raise ValueError("a fixed cut has no low and high")
        if self.kind == "valley":
            if self.low is None or self.high is None:
                raise ValueError("a valley needs low and high")
            if not self.low <= self.at <= self.high:
                raise ValueError("a valley needs low <= at <= high")
        return self


class CleanUp(Part):
    """One gate of the clean-up, on one dimension: a file's column or a channel.

    ``main``: within ``below`` and ``above`` standard deviations of the main group of
    events. ``under``: below the cut. A gate whose column the file does not have is left
    out, and flagged, where it is ``optional``.
    """

    name: Name
    dimension: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.+-]*$")]
    kind: Literal["main", "under"]
    below: Annotated[float, Field(gt=0)] = 3.0
    above: Annotated[float, Field(gt=0)] = 3.0
    cut: Cut | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (self.kind == "under") != (self.cut is not None):
            raise ValueError("'under' needs a cut, 'main' has none")
        return self


class Beads(Part):
    """Bead channels, by metal, and how beads are told: all of them above ``cut``, DNA below ``dna_most``.

    ``window_beads`` beads make one moving median; fewer than ``beads_least`` in a file,
    and its drift is not checked. ``residual_most`` is the share that may remain.
    """

    metals: Annotated[tuple[Metal, ...], Field(min_length=2)]
    cut: Cut
    dna: Annotated[tuple[str, ...], Field(min_length=1)]
    dna_most: float
    window_beads: Annotated[int, Field(ge=20)] = 200
    beads_least: Annotated[int, Field(ge=100)] = 400
    residual_most: Annotated[float, Field(gt=0, lt=1)] = 0.05


class Barcodes(Part):
    """Barcode channels and the key: sample id to one 0 or 1 per channel, ``positive`` of them 1.

    ``separation`` cuts the gap between the dimmest positive and the brightest negative
    channel; ``mahalanobis_most`` bounds the squared distance from the code's own events
    (0: not looked at).
    """

    metals: Annotated[tuple[Metal, ...], Field(min_length=2)]
    positive: Annotated[int, Field(ge=1)]
    cofactor: Annotated[float, Field(gt=0)] = 10.0
    separation: Cut
    mahalanobis_most: Annotated[float, Field(ge=0)] = 30.0
    key: Annotated[dict[str, str], Field(min_length=1, max_length=_CODES_MOST)]

    @model_validator(mode="after")
    def _possible(self) -> Self:
        wanted = "".join("1" for _ in range(self.positive)).ljust(len(self.metals), "0")
        if not 0 < self.positive < len(self.metals):
            raise ValueError("positive must lie above 0 and below the number of channels")
        for code in self.key.values():
            if sorted(code, reverse=True) != list(wanted):
                raise ValueError(
                    f"a code must have {self.positive} of {len(self.metals)} channels, as 0 and 1"
                )
        if len(set(self.key.values())) != len(self.key):
            raise ValueError("two samples have the same code")
        if not all(is_identifier(s) and looks_personal(s) is None and s != UNASSIGNED_NAME for s in self.key):
            raise ValueError("a sample id of the key is no pseudonym of letters, digits, '-' or '_'")
        return self

    @property
    def codes(self) -> tuple[tuple[int, ...], ...]:
        """Positive channels of each sample, in the key's order."""
        return tuple(tuple(i for i, c in enumerate(code) if c == "1") for code in self.key.values())


class Population(Part):
    """Events of ``parent`` that are positive and negative for markers, or in any of other populations.

    ``denominator`` names the population whose events the fraction is of.
    """

    name: Name
    parent: str = LIVE_CELLS
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    denominator: str = LIVE_CELLS

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if bool(self.positive or self.negative) == bool(self.any_of):
            raise ValueError("a population has markers, or any_of, and not both")
        if set(self.positive) & set(self.negative):
            raise ValueError("a marker is both positive and negative")
        return self
