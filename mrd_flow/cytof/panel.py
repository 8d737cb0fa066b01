"""Mass cytometry templates: channels by metal, beads, barcodes, clean-up gates, populations, from TOML.

A template is people's text, so it is validated strictly: an unknown key, a population
whose parent comes later, or a marker without a channel is refused with the file and key.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from mrd_flow.cytof.parts import (
    LIVE_CELLS,
    Barcodes,
    Beads,
    CleanUp,
    Cut,
    Metal,
    Name,
    Part,
    Population,
    Unverified,
)
from pipeline.formats.shipped import shipped_or_own
from pipeline.formats.toml_models import read_model

__all__ = ["CytofPanel", "cytof_panel_path", "load_cytof_panel"]

_FOLDER = "cytof"
_SAMPLE_IDS = "barcodes.key"


class CytofPanel(Part):
    """A mass cytometry template; populations stand in order, parents first.

    ``channels`` gives the metal of every marker, of DNA and of viability; ``cut_doubt``
    is how far another analyst might lay a cut, on the arcsinh scale; ``masking``
    names the marker a therapeutic antibody hides; it is ``masking_competes`` unless the
    laboratory stains with a clone that does not compete with it. ``comparisons`` are
    pairs of sample ids, first and second.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    version: str
    title: str
    cofactor: Annotated[float, Field(gt=0)] = 5.0
    unverified: tuple[Unverified, ...] = ()
    channels: Annotated[dict[Name, Metal], Field(min_length=1)]
    aliases: Annotated[dict[str, tuple[str, ...]], Field(default_factory=dict)]
    beads: Beads | None = None
    barcodes: Barcodes | None = None
    clean_up: Annotated[tuple[CleanUp, ...], Field(min_length=1)]
    cuts: dict[str, Cut]
    cut_doubt: Annotated[float, Field(ge=0)] = 0.3
    masking: str
    masking_competes: bool = True
    comparisons: tuple[tuple[str, str], ...] = ()
    populations: Annotated[tuple[Population, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in (*self._problems_of_channels(), *self._problems_of_populations()):
            raise ValueError(problem)
        return self

    def _problems_of_channels(self) -> list[str]:
        metals = list(self.channels.values())
        found = [f"two channels have the metal '{m}'" for m in sorted(set(metals)) if metals.count(m) > 1]
        barcoded = set(self.barcodes.metals) if self.barcodes else set()
        found += [f"'{m}' is both a barcode and a channel" for m in sorted(barcoded & set(metals))]
        found += [f"'{m}' has a cut and no channel" for m in self.cuts if m not in self.channels]
        if self.beads is not None:
            found += [f"the beads' DNA '{d}' is no channel" for d in self.beads.dna if d not in self.channels]
        if self.masking not in self.cuts:
            found.append(f"'{self.masking}' (masking) has no cut")
        names = [g.name for g in self.clean_up]
        if len(set(names)) != len(names):
            found.append("two gates of the clean-up have the same name")
        return found

    def _problems_of_populations(self) -> list[str]:
        found, seen = [], {LIVE_CELLS}
        for population in self.populations:
            name = population.name
            if name in seen:
                found.append(f"two populations are named '{name}'")
            above = (population.parent, population.denominator, *population.any_of)
            found += [f"population '{name}' comes before '{other}'" for other in above if other not in seen]
            for marker in (*population.positive, *population.negative):
                cut = self.cuts.get(marker)
                if cut is None:
                    found.append(f"population '{name}' uses '{marker}', which has no cut")
                elif cut.landmark not in seen:
                    found.append(f"the cut of '{marker}' needs '{cut.landmark}' before '{name}'")
            if population.denominator not in (LIVE_CELLS, *self.ancestors(population)):
                found.append(f"the denominator of '{name}' must be one of its ancestors")
            seen.add(name)
        if self.masking in self.cuts and self.cuts[self.masking].landmark not in seen:
            found.append("the masking marker's cut names a population there is not")
        return found

    def ancestors(self, population: Population) -> tuple[str, ...]:
        """Populations above one, from the root down."""
        parents = {p.name: p.parent for p in self.populations}
        names: list[str] = []
        at = population.parent
        while at != LIVE_CELLS and at in parents and at not in names:
            names.insert(0, at)
            at = parents[at]
        return (LIVE_CELLS, *names)

    def path_of(self, population: Population) -> str:
        """Its place in the tree, from the root, with slashes."""
        return "/".join((*self.ancestors(population), population.name))


def load_cytof_panel(name_or_path: str | Path) -> CytofPanel:
    """Read a template that ships with nadir (``marrow``) or a TOML file.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    ConfigRefused
        If the file cannot be read, is no TOML, or has an unknown key or a wrong value.

    Examples
    --------
    >>> panel = load_cytof_panel("marrow")
    >>> panel.barcodes.positive, len(panel.barcodes.metals), len(panel.barcodes.key)
    (3, 6, 20)
    """
    return read_model(
        cytof_panel_path(name_or_path),
        CytofPanel,
        remedy="see configs/cytof/marrow.toml for every key",
        shown_key=_without_sample_ids,
    )


def cytof_panel_path(name_or_path: str | Path) -> Path:
    """File of a template; it need not exist.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    """
    return shipped_or_own(name_or_path, _FOLDER, "mass cytometry template")


def _without_sample_ids(key: str) -> str:
    """What follows may be a person's name."""
    return _SAMPLE_IDS if key.startswith(_SAMPLE_IDS) else key
