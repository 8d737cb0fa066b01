"""What a clone is expected to look like in one tube, before its cells are looked for."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.plasma_cells.archetypes import Archetypes, Level
from mrd_flow.plasma_cells.diagnostic_phenotype import TubePhenotype
from mrd_flow.reference.adaptation import AdaptedReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS, SCATTER_FEATURES, marker_position

__all__ = ["CloneTemplate", "archetype_templates", "diagnostic_template", "other_light_chain"]

Floats = NDArray[np.float64]
_Place = tuple[float, float]

_DRIFT = 0.015  # standard deviation of a clone's antigen between two time points, after adaptation
_SCATTER_DRIFT = 0.03  # the same for ln scatter
_ROUNDNESS_DRIFT = 0.01  # of the ratio of height to area
_ARCHETYPE_CELLS = 200.0  # cells that the template's spread counts for
_DIAGNOSTIC_CELLS = 500.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneTemplate:
    """Expected mean (n_features,) and covariance of a clone, and how surely they are known.

    ``mean_spread`` (n_features,) is the standard deviation of the mean between patients,
    ``covariance_cells`` how many cells the covariance counts for, ``prior`` the
    template's probability among all tried. ``levels`` are the antigens' levels in words;
    empty for a diagnostic phenotype.
    """

    name: str
    origin: str
    light_chain: str
    levels: tuple[tuple[str, Level], ...]
    mean: Floats
    covariance: Floats
    mean_spread: Floats
    covariance_cells: float
    prior: float


def archetype_templates(archetypes: Archetypes, adapted: AdaptedReference) -> tuple[CloneTemplate, ...]:
    """Templates of every variant of every archetype at the levels this sample's normal cells show.

    Variants that this tube cannot tell apart are one template, with the sum of their shares.
    """
    names = adapted.reference.features
    places = {f: (adapted.level(f, 0), adapted.level(f, 1)) for f in names}
    correlation = _correlation(adapted)
    made: dict[tuple[tuple[str, Level], ...], CloneTemplate] = {}
    for archetype in archetypes.archetypes:
        variants = archetype.variants(names)
        for levels in variants:
            key = tuple(sorted(levels.items()))
            share = archetype.share / len(variants) + (made[key].prior if key in made else 0.0)
            made[key] = _archetype_template(archetype.name, levels, share, archetypes, places, correlation)
    return tuple(made.values())


def diagnostic_template(phenotype: TubePhenotype, adapted: AdaptedReference) -> CloneTemplate:
    """The template of the patient's own clone, moved as this sample's normal cells are.

    Raises
    ------
    ValueError
        If the phenotype has other features than the sample.
    """
    names = adapted.reference.features
    if phenotype.features != names:
        raise ValueError("a diagnostic phenotype can be used with the markers it was learned from")
    mean = np.array(phenotype.mean)
    return CloneTemplate(
        name="diagnosis",
        origin="diagnosis",
        light_chain=phenotype.light_chain,
        levels=(),
        mean=mean + adapted.shift_at(mean),
        covariance=np.array(phenotype.covariance),
        mean_spread=_spreads(names, _DRIFT, _SCATTER_DRIFT),
        covariance_cells=min(_DIAGNOSTIC_CELLS, float(phenotype.cells)),
        prior=1.0,
    )


def other_light_chain(template: CloneTemplate, adapted: AdaptedReference) -> CloneTemplate | None:
    """The same phenotype with the other light chain, or None where the template has none.

    A clone makes one of them; cells that the reference accounts for badly make both.
    """
    if not template.light_chain:
        return None
    (other,) = (c for c in LIGHT_CHAINS if c != template.light_chain)
    mean = template.mean.copy()
    for chain, level in ((template.light_chain, 0), (other, 1)):
        mean[adapted.reference.features.index(chain)] = adapted.level(chain, level)[0]
    return replace(template, light_chain=other, mean=mean)


def _archetype_template(
    name: str,
    levels: dict[str, Level],
    share: float,
    archetypes: Archetypes,
    places: dict[str, tuple[_Place, _Place]],
    correlation: Floats,
) -> CloneTemplate:
    """One variant; ``places`` has position and spread of the low and the high level of every feature."""
    names = tuple(places)
    mean, cell_spread = np.empty(len(names)), np.empty(len(names))
    for f, feature in enumerate(names):
        level = levels.get(feature)
        if level is None or level == "low" or level == "high":
            mean[f], cell_spread[f] = places[feature][int(level == "high")]
        else:
            positions = archetypes.position_channels
            channels = np.array(getattr(positions, level)[feature])
            mean[f] = float(marker_position(channels, positions.top_channels))
            cell_spread[f] = archetypes.cell_spread[level]
    return CloneTemplate(
        name=name,
        origin="archetype",
        light_chain=next((c for c in LIGHT_CHAINS if levels.get(c) == "high"), ""),
        levels=tuple(levels.items()),
        mean=mean,
        covariance=correlation * np.outer(cell_spread, cell_spread),
        mean_spread=_spreads(names, archetypes.patient_spread, archetypes.scatter_spread),
        covariance_cells=_ARCHETYPE_CELLS,
        prior=share,
    )


def _spreads(names: tuple[str, ...], of_markers: float, of_scatter: float) -> Floats:
    """Spread of each feature's mean; roundness is the instrument's, not the clone's."""
    spread = dict.fromkeys(SCATTER_FEATURES, of_scatter) | {SCATTER_FEATURES[1]: _ROUNDNESS_DRIFT}
    return np.array([spread.get(n, of_markers) for n in names])


def _correlation(adapted: AdaptedReference) -> Floats:
    """Correlation within the commonest sort of normal plasma cell."""
    covariance = adapted.gaussians.covariances[int(np.argmax(adapted.log_weights[:-1]))]
    spread = np.sqrt(np.diagonal(covariance))
    return np.asarray(covariance / np.outer(spread, spread))
