"""What the gates and the classifier found in a tube, as evidence."""

from collections.abc import Sequence

from mrd_flow.evidence import CallRules, TubeEvidence
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.gating.tube import GatedTube
from mrd_flow.hemodilution import DilutionRules, MarrowCells
from mrd_flow.opened import OpenedTube
from mrd_flow.panel.template import Panel
from mrd_flow.plasma_cells.classified import ClassifiedTube
from mrd_flow.tubes import PhenotypeDistance, phenotype_distances

__all__ = ["call_rules", "counted_tube", "distances_between", "uncounted_tube"]

_ENOUGH_TO_EXPECT = 10_000  # nucleated cells


def call_rules(panel: Panel) -> CallRules:
    """What a template says about calling."""
    marrow = panel.hemodilution
    return CallRules(
        panel=panel.name,
        version=panel.version,
        tubes=len(panel.tubes),
        decision_count=panel.decision_count,
        loq_count=panel.loq_count,
        unverified=tuple(u.what for u in panel.unverified),
        blank_per_thousand=panel.blank.events_per_thousand_plasma_cells if panel.blank else 0.0,
        compared=(panel.plasma_cell_gate, *(m.gate for m in marrow.populations)) if marrow else (),
        dilution=DilutionRules(suspected_below=marrow.suspected_below, diluted_below=marrow.diluted_below)
        if marrow
        else DilutionRules(),
    )


def counted_tube(tube: OpenedTube, gated: GatedTube, found: ClassifiedTube, panel: Panel) -> TubeEvidence:
    """The counts of one tube, and whatever is odd about it."""
    others = int(found.not_plasma_cell.sum())
    return TubeEvidence(
        tube=tube.tube,
        name=tube.name,
        events=tube.events,
        nucleated=gated.count(panel.nucleated_gate),
        plasma_cells=len(found.aberrant) - others,
        aberrant=int(found.aberrant.sum()),
        not_plasma_cells=others,
        compensated=tube.compensated,
        gates=gated.tallies,
        anomalies=(
            *tube.anomalies,
            *tube.acquisition_anomalies,
            *gated.anomalies,
            *_unexpected(gated, panel),
            *_far_from_reference(found),
        ),
        mismatch="",
        acquisition=tube.acquisition,
        marrow_cells=_marrow_cells(gated, panel),
    )


def uncounted_tube(tube: OpenedTube) -> TubeEvidence:
    """A tube that does not fit the panel, without counts."""
    return TubeEvidence(
        tube=tube.tube,
        name=tube.name,
        events=tube.events,
        nucleated=0,
        plasma_cells=0,
        aberrant=0,
        not_plasma_cells=0,
        compensated=False,
        gates=(),
        anomalies=tube.anomalies,
        mismatch=tube.mismatch,
    )


def distances_between(
    gated: Sequence[GatedTube | None], found: dict[int, ClassifiedTube], panel: Panel
) -> tuple[PhenotypeDistance, ...]:
    """Compare the normal plasma cells of two tubes in the markers both have."""
    if len(gated) != 2 or gated[0] is None or gated[1] is None:
        return ()
    first, second = gated[0], gated[1]
    markers = [d for d in first.dimensions if d in second.dimensions and d not in panel.scatter]
    tables = []
    for tube, one in ((1, first), (2, second)):
        normal = ~(found[tube].aberrant | found[tube].not_plasma_cell)
        tables.append(one.plasma_cells[normal][:, [one.dimensions.index(m) for m in markers]])
    return phenotype_distances(tables[0], tables[1], markers)


def _unexpected(gated: GatedTube, panel: Panel) -> tuple[Anomaly, ...]:
    """Populations that every sample has, or none, and this tube does not."""
    nucleated = gated.count(panel.nucleated_gate)
    if nucleated < _ENOUGH_TO_EXPECT:
        return ()
    there = {t.gate for t in gated.tallies}
    found = []
    for population in panel.expected:
        share = (
            gated.count(population.gate) / nucleated if population.gate in there else population.min_fraction
        )
        if not population.min_fraction <= share <= population.max_fraction:
            text = (
                f"{population.gate} are {share:.2%} of nucleated cells, "
                f"{population.min_fraction:.2%} to {population.max_fraction:.2%} expected: "
                "detectors exchanged, stain missing or compensation wrong?"
            )
            found.append(Anomaly(code="impossible_population", text=text, grave=True))
    return tuple(found)


def _marrow_cells(gated: GatedTube, panel: Panel) -> tuple[MarrowCells, ...]:
    """The marrow's own cells, of the gates that this tube has."""
    populations = panel.hemodilution.populations if panel.hemodilution else ()
    there = {t.gate for t in gated.tallies}
    return tuple(
        MarrowCells(
            gate=p.gate,
            count=gated.count(p.gate),
            examined=gated.count(panel.nucleated_gate),
            reference=p.reference,
        )
        for p in populations
        if p.gate in there
    )


def _far_from_reference(found: ClassifiedTube) -> tuple[Anomaly, ...]:
    """Markers that lie further from the reference than any marrow does: gain, dye or detector changed."""
    if not found.shift_at_limit:
        return ()
    text = f"{', '.join(found.shift_at_limit)} of the plasma cells lie too far from the reference"
    return (Anomaly(code="far_from_reference", text=text),)
