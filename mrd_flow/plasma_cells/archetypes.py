"""Phenotypes of aberrant plasma cells to look for where the diagnosis is not known, as versioned files."""

from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS
from pipeline.formats.shipped import shipped_or_own
from pipeline.formats.toml_models import read_model

__all__ = ["Archetype", "Archetypes", "Level", "Place", "load_archetypes"]

_FOLDER = "flow_archetypes"
Level = Literal["low", "high", "dim", "moderate", "bright"]
Place = Literal["dim", "moderate", "bright"]
_Share = Annotated[float, Field(gt=0, le=1)]
_Spread = Annotated[float, Field(gt=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Archetype(_Part):
    """One phenotype: the levels of each antigen that are tried, and its share of patients.

    It is not looked for in a tube without the markers it ``needs``, where it would be
    nothing but a normal phenotype.
    """

    name: Annotated[str, Field(min_length=1)]
    share: _Share
    needs: tuple[str, ...] = ()
    antigens: Annotated[dict[str, Annotated[tuple[Level, ...], Field(min_length=1)]], Field(min_length=1)]

    def variants(self, markers: tuple[str, ...]) -> tuple[dict[str, Level], ...]:
        """Every combination of levels over the markers a tube has, and of light chains where it has both."""
        if set(self.needs) - set(markers):
            return ()
        names = [m for m in self.antigens if m in markers]
        sets = [dict(zip(names, c, strict=True)) for c in product(*(self.antigens[m] for m in names))]
        if not set(LIGHT_CHAINS) <= set(markers):
            return tuple(sets)
        chains: list[dict[str, Level]] = [
            {one: "high", other: "low"} for one, other in (LIGHT_CHAINS, LIGHT_CHAINS[::-1])
        ]
        return tuple(s | c for s, c in product(sets, chains))


class Positions(_Part):
    """Where an antigen at a place of its own lies, in channels of a scale that ends at ``top_channels``."""

    top_channels: Annotated[float, Field(gt=0)]
    dim: dict[str, Annotated[float, Field(gt=0)]] = {}
    moderate: dict[str, Annotated[float, Field(gt=0)]] = {}
    bright: dict[str, Annotated[float, Field(gt=0)]] = {}


class Archetypes(_Part):
    """A set of archetypes.

    ``position_channels`` says where "dim", "moderate" and "bright" lie; spreads are
    standard deviations, of markers in units of a scale of 4.5 decades, of scatter in ln
    units, ``cell_spread`` that between the cells of one clone at such a place.
    """

    name: str
    version: str
    unverified: str
    patient_spread: _Spread
    scatter_spread: _Spread
    cell_spread: dict[Place, _Spread]
    position_channels: Positions
    archetypes: Annotated[tuple[Archetype, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for place in get_args(Place):
            tried = {m for a in self.archetypes for m, levels in a.antigens.items() if place in levels}
            if tried - set(getattr(self.position_channels, place)) or (
                tried and place not in self.cell_spread
            ):
                raise ValueError(f"every antigen that is tried at {place} needs a position and a spread")
        if any(set(a.antigens) & set(LIGHT_CHAINS) for a in self.archetypes):
            raise ValueError("light chains are tried by themselves and may not be named")
        return self


def load_archetypes(name_or_path: str | Path = "myeloma") -> Archetypes:
    """A set that ships, by its name, or one of the user's own.

    Raises
    ------
    UsageError
        If none has that name.
    ConfigRefused
        If the file is not a set of archetypes.
    """
    path = shipped_or_own(name_or_path, _FOLDER, "set of archetypes")
    return read_model(path, Archetypes, remedy="see configs/flow_archetypes/myeloma.toml for every key")
