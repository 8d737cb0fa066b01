"""The plasma cells of a sample's tubes through the classifier, and its findings as evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_flow.evidence import Classification, FlowSettings
from mrd_flow.gating.tube import GatedTube
from mrd_flow.panel.template import Logicle, Panel, load_panel, panel_path
from mrd_flow.plasma_cells.archetypes import Archetypes, load_archetypes
from mrd_flow.plasma_cells.classified import ClassifiedSample, ClassifiedTube, Expectation, PlasmaCellTable
from mrd_flow.plasma_cells.classifier import classify_plasma_cells
from mrd_flow.plasma_cells.clonality import ClonalityTest, clonality_test
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype
from mrd_flow.plasma_cells.merged import TubeCells
from mrd_flow.plasma_cells.phenotype_at_diagnosis import diagnostic_phenotype
from mrd_flow.reference.normal_reference import NormalReference
from mrd_flow.reference.panel_reference import panel_reference, reference_files
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS
from pipeline.formats.shipped import shipped_or_own

__all__ = ["Classified", "Knowledge", "classify_tubes", "files_used", "knowledge_of", "tube_cells"]

_CLASSES = np.array(["normal", "aberrant", "not_plasma_cell"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the classifier knows before it sees a sample."""

    references: dict[int, NormalReference]
    archetypes: Archetypes
    scales: dict[str, Logicle]
    diagnosis: DiagnosticPhenotype | None

    @property
    def reference_in_words(self) -> str:
        """Which normal plasma cells a sample is held against."""
        first = next(iter(self.references.values()))
        return f"{first.panel} {first.version}: {first.marrows} marrows; {first.unverified}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """The classifier's findings, as evidence and cell by cell (by 1-based tube)."""

    evidence: Classification
    tubes: dict[int, ClassifiedTube]


def files_used(name_or_path: str, settings: FlowSettings) -> tuple[Path, ...]:
    """Every configuration file on which a sample of a panel depends.

    Raises
    ------
    UsageError, ConfigRefused
        If the panel or the archetypes are not known or not valid.
    """
    archetypes = shipped_or_own(settings.archetypes, "flow_archetypes", "set of archetypes")
    references = reference_files(load_panel(name_or_path), settings.reference)
    return (panel_path(name_or_path), archetypes, *references)


def knowledge_of(panel: Panel, settings: FlowSettings, diagnosis: DiagnosticPhenotype | None) -> Knowledge:
    """Load what the classifier needs for a panel.

    Raises
    ------
    UsageError
        If no reference ships for the panel and none is given.
    ConfigRefused
        If a file is not what it should be.
    """
    references = panel_reference(panel, settings.reference)
    markers = {m for tube in panel.tubes for m in tube.markers}
    return Knowledge(
        references={r.tube: r for r in references},
        archetypes=load_archetypes(settings.archetypes),
        scales={m: panel.logicle_of(m) for m in sorted(markers)},
        diagnosis=diagnosis if diagnosis is not None and diagnosis.panel == panel.name else None,
    )


def classify_tubes(gated: Sequence[GatedTube | None], panel: Panel, known: Knowledge) -> Classified | None:
    """Classify the plasma cells of all usable tubes together.

    Parameters
    ----------
    gated
        By tube, in order; None where a tube could not be counted.
    panel, known
        The template, and what is known beforehand.

    Returns
    -------
    Classified or None
        None where no tube can be used.
    """
    tables = [
        PlasmaCellTable(tube=number, dimensions=g.dimensions, cells=g.plasma_cells)
        for number, g in enumerate(gated, start=1)
        if g is not None
    ]
    if not tables:
        return None
    found = classify_plasma_cells(
        tables, known.references, known.archetypes, scales=known.scales, diagnosis=known.diagnosis
    )
    evidence = Classification(
        evidence=found.evidence,
        origin=found.origin,
        archetype=found.archetype,
        light_chain=found.light_chain,
        clusters=found.clusters,
        antigens=found.antigens,
        estimated_events=found.estimated_events,
        estimated_events_sd=found.estimated_events_sd,
        expectations=_expectations(found),
        diagnosis_known=known.diagnosis is not None,
        reference=known.reference_in_words,
        clonality=_clonality(tables, found),
        phenotype=_phenotype(panel, tables, found, known),
    )
    return Classified(evidence=evidence, tubes={t.tube: t for t in found.tubes})


def tube_cells(tube: int, gated: GatedTube, found: ClassifiedTube) -> TubeCells:
    """The cells of one tube with what the classifier said of each."""
    code: NDArray[np.int64] = np.where(found.aberrant, 1, np.where(found.not_plasma_cell, 2, 0))
    return TubeCells(
        tube=tube,
        dimensions=gated.dimensions,
        values=gated.plasma_cells,
        events=gated.plasma_cell_events,
        classes=_CLASSES[code],
        deviation=-np.log10(found.deviation_p),
        likelihood_ratio=found.log_ratio,
        cohesion=found.cohesion,
    )


def _expectations(found: ClassifiedSample) -> tuple[Expectation, ...]:
    """Of a clone that was found, what its own cells' probabilities say: every rule of the call is in them."""
    if not found.origin:
        return found.expectations
    (at_size,) = found.expectations
    return (
        replace(
            at_size,
            clone_events=found.estimated_events,
            recall=found.expected_recall,
            precision=found.expected_precision,
            false_events=found.expected_false_events,
        ),
    )


def _phenotype(
    panel: Panel, tables: Sequence[PlasmaCellTable], found: ClassifiedSample, known: Knowledge
) -> DiagnosticPhenotype | None:
    """The clone's phenotype for later samples; None where too few cells were called."""
    if not found.origin:
        return None
    try:
        return diagnostic_phenotype(panel.name, tables, found, known.references, scales=known.scales)
    except ValueError:
        return None


def _clonality(tables: Sequence[PlasmaCellTable], found: ClassifiedSample) -> ClonalityTest | None:
    """The test where light chains were stained; None where they were not."""
    stained = [
        tube
        for table, tube in zip(tables, found.tubes, strict=True)
        if set(LIGHT_CHAINS) <= set(table.dimensions)
    ]
    if not stained:
        return None
    cluster, normal, background = np.zeros(2, np.int64), np.zeros(2, np.int64), 0.0
    for tube in stained:
        others = ~(tube.cluster | tube.aberrant | tube.not_plasma_cell)
        chains = np.array([tube.kappa, tube.lambda_])
        cluster += np.count_nonzero(chains & tube.cluster, axis=1)
        normal += np.count_nonzero(chains & others, axis=1)
        background += float((1 - tube.posterior[tube.cluster]).sum())
    return clonality_test(
        (int(cluster[0]), int(cluster[1])), (int(normal[0]), int(normal[1])), background_events=background
    )
