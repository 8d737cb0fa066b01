"""From counted tubes to results: value, interval, limit of detection, status and why.

The value is the aberrant events of all tubes over the nucleated cells of all tubes. The
expected background is not subtracted from it; it raises the count that is needed for
DETECTED instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrd_flow.evidence import FlowEvidence, FlowSettings, TubeEvidence
from mrd_flow.tubes import tube_agreement
from pipeline.detection import (
    DETECTION_POWER,
    decision_count_above_background,
    decision_threshold,
    garwood,
    sample_lod,
)
from pipeline.model import DenominatorUnit, GateCount, MrdResult, Reason, Status, format_fraction

__all__ = ["METHOD_VERSION", "TARGET_ID", "Flag", "FlowCalls", "call_patient"]

METHOD_VERSION = "flow-gates-1"
TARGET_ID = "aberrant_plasma_cells"

# A marrow without any plasma cell among so many nucleated cells points to a failed stain or
# to CD38 hidden by a therapeutic antibody; "not detected" would then be false. Both numbers
# are run choices of this project, not published cut-offs.
_ENOUGH_FOR_A_PLASMA_CELL = 10_000
_MANY_PLASMA_CELLS = 0.02  # of nucleated cells; marrows without myeloma hold fewer (choice of this project)
_FEW_PLASMA_CELLS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something a reader of the result must know: a stable ``code`` and a sentence."""

    patient_id: str
    timepoint: str
    panel: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCalls:
    """Results, gate counts and flags of one patient, in the order of the evidence."""

    results: tuple[MrdResult, ...]
    gates: tuple[GateCount, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Totals:
    """Sums over the tubes; ``decision_count`` is what this sample needs for DETECTED."""

    nucleated: int
    aberrant: int
    background_mean: float
    efficiency: float
    decision_count: int
    lod: float | None


def call_patient(
    evidence: Sequence[FlowEvidence], *, settings: FlowSettings, baseline: str | None = None
) -> FlowCalls:
    """Call every sample of a patient.

    Parameters
    ----------
    evidence
        Samples of one patient.
    settings
        Run choices.
    baseline
        Code of the time point of diagnosis. The clone is known to be there: where the
        panel's gate does not hold it, the gate cannot see this clone, and a later sample
        in which the gate is empty is INDETERMINATE, not negative. None where samples
        stand alone.

    Returns
    -------
    FlowCalls
        One result per sample, never a number where the panel did not fit.
    """
    results, gates, flags = [], [], []
    for sample in evidence:
        diagnosis = _diagnosis(sample, evidence, baseline)
        noted = _flags(sample, settings)
        if baseline is not None and not diagnosis:
            noted.append(_flag(sample, "no_baseline", "it is not known whether the gate sees this clone"))
        result = _result(sample, noted, settings)
        unseen = bool(diagnosis) and not any(_holds_the_clone(d, settings) for d in diagnosis)
        if unseen and result.status is Status.NOT_DETECTED:
            result = replace(result, status=Status.INDETERMINATE, reason=Reason.CLONE_OUTSIDE_GATE)
        results.append(result)
        gates += _gate_counts(sample)
        flags += noted
    return FlowCalls(results=tuple(results), gates=tuple(gates), flags=tuple(flags))


def _diagnosis(
    sample: FlowEvidence, evidence: Sequence[FlowEvidence], baseline: str | None
) -> list[FlowEvidence]:
    """The samples of diagnosis by the same panel that could be counted."""
    return [
        e
        for e in evidence
        if e.sample.timepoint == baseline
        and e.rules.panel == sample.rules.panel
        and not any(t.mismatch for t in e.tubes)
    ]


def _holds_the_clone(diagnosis: FlowEvidence, settings: FlowSettings) -> bool:
    """Whether the aberrant gate caught the clone that diagnosis says is there.

    It must be called, and where plasma cells are many (so most are the clone's) the gate
    must hold at least half of them.
    """
    totals = _totals(diagnosis, settings)
    plasma_cells = sum(t.plasma_cells for t in diagnosis.tubes)
    many = plasma_cells >= _MANY_PLASMA_CELLS * totals.nucleated
    return totals.aberrant >= totals.decision_count and not (many and 2 * totals.aberrant < plasma_cells)


def _totals(evidence: FlowEvidence, settings: FlowSettings) -> _Totals:
    nucleated = sum(t.nucleated for t in evidence.tubes)
    background = sum(t.background_mean for t in evidence.tubes)
    weighted = sum(t.nucleated * t.efficiency for t in evidence.tubes)
    efficiency = weighted / nucleated if nucleated else 1.0
    needed = decision_count_above_background(
        background, minimum=evidence.rules.decision_count, alpha=settings.accepted_false_calls
    )
    return _Totals(
        nucleated=nucleated,
        aberrant=sum(t.aberrant for t in evidence.tubes),
        background_mean=background,
        efficiency=efficiency,
        decision_count=needed,
        lod=sample_lod(nucleated, needed, efficiency=efficiency, background_mean=background),
    )


def _result(evidence: FlowEvidence, flags: Sequence[Flag], settings: FlowSettings) -> MrdResult:
    totals = _totals(evidence, settings)
    status, reason = _status(evidence, totals, settings)
    shown = status is not Status.NOT_EVALUABLE
    interval = garwood(totals.aberrant)
    n = totals.nucleated
    sample = evidence.sample
    return MrdResult(
        study_id=sample.study_id,
        patient_id=sample.patient_id,
        timepoint=sample.timepoint,
        collected_on=sample.collected_on,
        material=sample.material,
        assay=sample.assay,
        panel=evidence.rules.panel,
        target_id=TARGET_ID,
        value=totals.aberrant / n if shown else None,
        ci_low=min(1.0, interval.low / n) if shown else None,
        ci_high=min(1.0, interval.high / n) if shown else None,
        numerator=totals.aberrant,
        denominator=n,
        denominator_unit=DenominatorUnit.NUCLEATED_CELLS,
        lod=totals.lod if shown else None,
        loq=decision_threshold(n, evidence.rules.loq_count) if shown else None,
        lod_basis=_lod_basis(evidence, totals),
        status=status,
        reason=reason,
        qc="; ".join(dict.fromkeys(f.code for f in flags)) or "pass",
        run_id=sample.run_id,
        input_sha256=evidence.input_sha256,
        method_version=METHOD_VERSION,
    )


def _status(evidence: FlowEvidence, totals: _Totals, settings: FlowSettings) -> tuple[Status, Reason]:
    if any(t.mismatch for t in evidence.tubes):
        return Status.NOT_EVALUABLE, Reason.PANEL_MISMATCH
    if any(t.nucleated == 0 for t in evidence.tubes):
        return Status.NOT_EVALUABLE, Reason.NO_CELLS
    if totals.lod is None:
        return Status.NOT_EVALUABLE, Reason.TOO_FEW_CELLS
    if _failures(evidence):
        return Status.INDETERMINATE, Reason.FAILED_QC
    if _discordance(evidence, settings):
        return Status.INDETERMINATE, Reason.DISCORDANT_TUBES
    if totals.aberrant >= totals.decision_count:
        return Status.DETECTED, Reason.AT_OR_ABOVE_DECISION_COUNT
    if totals.aberrant >= evidence.rules.decision_count:
        return Status.NOT_DETECTED, Reason.EXPLAINED_BY_BACKGROUND
    return Status.NOT_DETECTED, Reason.BELOW_DECISION_COUNT


def _lod_basis(evidence: FlowEvidence, totals: _Totals) -> str:
    if any(t.mismatch for t in evidence.tubes):
        return "none: the files do not fit the panel, so no cells were counted"
    if totals.lod is None:
        return (
            f"{totals.nucleated} nucleated cells are too few: even a pure clone would not reach "
            f"{totals.decision_count} aberrant events with {DETECTION_POWER:.0%} probability"
        )
    basis = (
        f"{totals.decision_count} or more aberrant events with {DETECTION_POWER:.0%} probability among "
        f"{totals.nucleated} nucleated cells, {totals.efficiency:.0%} of a clone's cells kept by the gates"
    )
    if totals.background_mean:
        basis += f", {totals.background_mean:.2g} false events expected (simulated background)"
    threshold = decision_threshold(totals.nucleated, totals.decision_count)
    return (
        f"{basis}; decision threshold {totals.decision_count}/n = {format_fraction(threshold)}; "
        f"holds for clones of phenotype {evidence.rules.phenotype}; others are not counted"
    )


def _discordance(evidence: FlowEvidence, settings: FlowSettings) -> str:
    """Why two tubes contradict each other, or empty text."""
    tubes = evidence.tubes
    if len(tubes) != 2 or any(t.mismatch or t.nucleated == 0 for t in tubes):
        return ""
    first, second = tubes
    found = tube_agreement(
        (first.aberrant, second.aberrant),
        (first.nucleated * first.efficiency, second.nucleated * second.efficiency),
    )
    large = found.ratio is None or found.ratio > settings.discordance_ratio
    if found.p >= settings.discordance_p or not large:
        return ""
    return (
        f"{first.aberrant} aberrant of {first.nucleated} nucleated cells in tube 1, {second.aberrant} of "
        f"{second.nucleated} in tube 2 (p = {found.p:.1g}): are both tubes of this sample?"
    )


def _failures(evidence: FlowEvidence) -> list[tuple[str, str]]:
    """What forbids a call although the cells could be counted, as code and sentence."""
    found = [(a.code, f"tube {t.tube}: {a.text}") for t in evidence.tubes for a in t.anomalies if a.grave]
    found += [
        ("not_compensated", f"tube {t.tube}: not compensated; spillover can make or hide aberrant cells")
        for t in evidence.tubes
        if not t.compensated and not t.mismatch
    ]
    found += [
        ("no_plasma_cells", f"tube {t.tube}: no plasma cell among {t.nucleated}: stain, masked CD38 or gate?")
        for t in evidence.tubes
        if t.plasma_cells == 0 and t.nucleated >= _ENOUGH_FOR_A_PLASMA_CELL
    ]
    return found


def _flags(evidence: FlowEvidence, settings: FlowSettings) -> list[Flag]:
    totals = _totals(evidence, settings)
    found: list[tuple[str, str]] = []
    if evidence.rules.unverified:
        text = f"panel {evidence.rules.panel} {evidence.rules.version}, not confirmed by a published source: "
        found.append(("panel_unverified", text + "; ".join(evidence.rules.unverified)))
    found += [("panel_mismatch", f"tube {t.tube}: {t.mismatch}") for t in evidence.tubes if t.mismatch]
    found += _failures(evidence)
    discordance = _discordance(evidence, settings)
    if discordance:
        found.append(("discordant_tubes", discordance))
    found += _thin(evidence.tubes, totals, settings)
    found += [
        (a.code, f"tube {t.tube}: {a.text}") for t in evidence.tubes for a in t.anomalies if not a.grave
    ]
    return [_flag(evidence, code, text) for code, text in found]


def _flag(evidence: FlowEvidence, code: str, text: str) -> Flag:
    return Flag(
        patient_id=evidence.sample.patient_id,
        timepoint=evidence.sample.timepoint,
        panel=evidence.rules.panel,
        code=code,
        text=text,
    )


def _thin(tubes: Sequence[TubeEvidence], totals: _Totals, settings: FlowSettings) -> list[tuple[str, str]]:
    """Few cells to count, and too few plasma cells to trust that they were stained."""
    found = []
    fits = not any(t.mismatch for t in tubes)
    if fits and (totals.lod is None or totals.lod > settings.wanted_lod):
        reach = f"limit of detection {format_fraction(totals.lod)}" if totals.lod else "no limit of detection"
        text = f"{totals.nucleated} nucleated cells: {reach}, wanted {format_fraction(settings.wanted_lod)}"
        found.append(("few_cells", text))
    found += [
        ("few_plasma_cells", f"tube {t.tube}: {t.plasma_cells} plasma cells of {t.nucleated} nucleated cells")
        for t in tubes
        if t.nucleated >= _ENOUGH_FOR_A_PLASMA_CELL and 0 < t.plasma_cells < t.nucleated * _FEW_PLASMA_CELLS
    ]
    return found


def _gate_counts(evidence: FlowEvidence) -> list[GateCount]:
    return [
        GateCount(
            patient_id=evidence.sample.patient_id,
            timepoint=evidence.sample.timepoint,
            panel=evidence.rules.panel,
            tube=tube.tube,
            gate=tally.gate,
            path=tally.path,
            count=tally.count,
            parent_count=tally.parent_count,
            rule=tally.rule,
            detail=tally.detail,
            unverified=tally.unverified,
        )
        for tube in evidence.tubes
        for tally in tube.gates
    ]
