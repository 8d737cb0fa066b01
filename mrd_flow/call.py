"""From counted tubes to results: value, interval, limit of detection, status and why.

The value is the aberrant events of all tubes over the nucleated cells of all tubes. The
expected background is not subtracted from it: it raises the count that is needed for
DETECTED, and the interval carries it and the share of the clone that is missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mrd_flow.evidence import Classification, FlowEvidence, FlowSettings
from mrd_flow.flags import Flag, contradiction, failures, flag, flags_of
from mrd_flow.hemodilution import Hemodilution, MarrowCells, assess_dilution
from mrd_flow.numbers import Numbers, numbers_of
from pipeline.detection import DETECTION_POWER
from pipeline.model import DenominatorUnit, GateCount, MrdResult, Reason, Status, format_fraction

__all__ = [
    "METHOD_VERSION",
    "TARGET_ID",
    "AtDiagnosis",
    "Flag",
    "FlowCalls",
    "call_patient",
    "call_sample",
    "told_of",
]

METHOD_VERSION = "flow-classifier-1"
TARGET_ID = "aberrant_plasma_cells"

_MANY_PLASMA_CELLS = 0.02  # of nucleated cells; marrows without myeloma hold fewer (choice of this project)


class AtDiagnosis(StrEnum):
    """Whether a patient's sample of diagnosis shows the clone to this panel."""

    SEEN = "seen"
    UNSEEN = "unseen"
    MISSING = "missing"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCalls:
    """Results, gate counts and flags of one patient, in the order of the evidence.

    ``numbers`` and ``dilutions`` go with ``results``, one each.
    """

    results: tuple[MrdResult, ...]
    numbers: tuple[Numbers, ...]
    dilutions: tuple[Hemodilution, ...]
    gates: tuple[GateCount, ...]
    flags: tuple[Flag, ...]


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
        Code of the time point of diagnosis. The clone is known to be there: where it is not
        recognised, this clone cannot be seen, and a later sample in which nothing is found
        is INDETERMINATE, not negative. None where samples stand alone.

    Returns
    -------
    FlowCalls
        One result per sample, never a number where the panel did not fit.
    """
    calls = [call_sample(s, settings, told_of(s, evidence, baseline, settings)) for s in evidence]
    return FlowCalls(
        results=tuple(r for c in calls for r in c.results),
        numbers=tuple(n for c in calls for n in c.numbers),
        dilutions=tuple(d for c in calls for d in c.dilutions),
        gates=tuple(g for c in calls for g in c.gates),
        flags=tuple(f for c in calls for f in c.flags),
    )


def call_sample(sample: FlowEvidence, settings: FlowSettings, told: AtDiagnosis) -> FlowCalls:
    """Call one sample, told what diagnosis says of its panel; otherwise as `call_patient`."""
    counted = numbers_of(sample, settings)
    dilution = _dilution(sample)
    noted = flags_of(sample, counted, dilution, settings)
    if told is AtDiagnosis.MISSING:
        noted.append(flag(sample, "no_baseline", "it is not known whether the gate sees this clone"))
    result = _result(sample, counted, noted, settings)
    if told is AtDiagnosis.UNSEEN and result.status is Status.NOT_DETECTED:
        result = replace(result, status=Status.INDETERMINATE, reason=Reason.CLONE_OUTSIDE_GATE)
    return FlowCalls(
        results=(result,),
        numbers=(counted,),
        dilutions=(dilution,),
        gates=tuple(_gate_counts(sample)),
        flags=tuple(noted),
    )


def told_of(
    sample: FlowEvidence, evidence: Sequence[FlowEvidence], baseline: str | None, settings: FlowSettings
) -> AtDiagnosis:
    """What a patient's samples of diagnosis say to one of them."""
    if baseline is None:
        return AtDiagnosis.NOT_ASKED
    diagnosis = _diagnosis(sample, evidence, baseline)
    if not diagnosis:
        return AtDiagnosis.MISSING
    return AtDiagnosis.SEEN if any(_holds_the_clone(d, settings) for d in diagnosis) else AtDiagnosis.UNSEEN


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
    """Whether the clone that diagnosis says is there was recognised.

    It must be called, and where plasma cells are many (so most are the clone's) at least
    half of them must be recognised.
    """
    numbers = numbers_of(diagnosis, settings)
    plasma_cells = sum(t.plasma_cells for t in diagnosis.tubes)
    many = plasma_cells >= _MANY_PLASMA_CELLS * numbers.nucleated
    return numbers.aberrant >= numbers.decision_count and not (many and 2 * numbers.aberrant < plasma_cells)


def _dilution(evidence: FlowEvidence) -> Hemodilution:
    """The tubes' marrow cells added up, gate by gate, over the cells of the tubes that count them."""
    joined: dict[str, MarrowCells] = {}
    for cells in (c for t in evidence.tubes for c in t.marrow_cells):
        before = joined.get(cells.gate)
        if before is not None:
            cells = replace(
                cells, count=before.count + cells.count, examined=before.examined + cells.examined
            )
        joined[cells.gate] = cells
    material = str(evidence.sample.material)
    return assess_dilution(tuple(joined.values()), evidence.rules.dilution, material=material)


def _result(
    evidence: FlowEvidence, numbers: Numbers, flags: Sequence[Flag], settings: FlowSettings
) -> MrdResult:
    status, reason = _status(evidence, numbers, settings)
    shown = status is not Status.NOT_EVALUABLE
    fraction = numbers.fraction if shown else None
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
        value=None if fraction is None else fraction.value,
        ci_low=None if fraction is None else fraction.reported.low,
        ci_high=None if fraction is None else fraction.reported.high,
        numerator=numbers.aberrant,
        denominator=numbers.nucleated,
        denominator_unit=DenominatorUnit.NUCLEATED_CELLS,
        lod=numbers.lod_95 if shown else None,
        loq=numbers.loq_threshold if shown else None,
        lod_basis=_lod_basis(evidence, numbers),
        status=status,
        reason=reason,
        qc="; ".join(dict.fromkeys(f.code for f in flags)) or "pass",
        run_id=sample.run_id,
        input_sha256=evidence.input_sha256,
        method_version=METHOD_VERSION,
    )


def _status(evidence: FlowEvidence, numbers: Numbers, settings: FlowSettings) -> tuple[Status, Reason]:
    if any(t.mismatch for t in evidence.tubes):
        return Status.NOT_EVALUABLE, Reason.PANEL_MISMATCH
    if any(t.nucleated == 0 for t in evidence.tubes):
        return Status.NOT_EVALUABLE, Reason.NO_CELLS
    if numbers.lod_95 is None:
        return Status.NOT_EVALUABLE, Reason.TOO_FEW_CELLS
    if failures(evidence):
        return Status.INDETERMINATE, Reason.FAILED_QC
    if contradiction(evidence, settings):
        return Status.INDETERMINATE, Reason.DISCORDANT_TUBES
    if numbers.aberrant >= numbers.decision_count:
        return Status.DETECTED, Reason.AT_OR_ABOVE_DECISION_COUNT
    if numbers.aberrant >= numbers.lod_count:
        return Status.NOT_DETECTED, Reason.EXPLAINED_BY_BACKGROUND
    return Status.NOT_DETECTED, Reason.BELOW_DECISION_COUNT


def _lod_basis(evidence: FlowEvidence, numbers: Numbers) -> str:
    if any(t.mismatch for t in evidence.tubes):
        return "none: the files do not fit the panel, so no cells were counted"
    if numbers.lod_95 is None:
        return (
            f"{numbers.nucleated} nucleated cells are too few: even a pure clone would not reach "
            f"{numbers.decision_count} aberrant events with {DETECTION_POWER:.0%} probability"
        )
    error = numbers.error
    basis = (
        f"{numbers.decision_count} or more aberrant events with {DETECTION_POWER:.0%} probability among "
        f"{numbers.nucleated} nucleated cells, {error.recall:.0%} of a clone's cells recognised"
    )
    if error.false_events:
        basis += f", {error.false_events:.2g} false events expected"
    basis += f"; decision threshold {numbers.decision_count}/n = {format_fraction(numbers.lod_threshold)}"
    return basis + _phenotypes(evidence.classification, numbers)


def _phenotypes(found: Classification | None, numbers: Numbers) -> str:
    """Of which clones the limit holds."""
    if found is None or not found.expectations:
        return ""
    if found.origin or found.diagnosis_known:
        return f"; holds for a clone of phenotype {found.expectations[0].phenotype}"
    limits = ", ".join(f"{name} {format_fraction(lod) or 'none'}" for name, lod in numbers.lod_by_phenotype)
    return f"; the mean over the phenotypes looked for, each by itself: {limits}; another may be missed"


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
