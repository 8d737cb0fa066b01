"""What the control of a run means for the results of one patient's samples in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mrd_ngs.run_control import Finding, MarkerFinding, SampleVerdict
from mrd_ngs.settings import NgsSettings
from pipeline.detection import decision_count_above_background
from pipeline.errors import DamagedFile
from pipeline.formats.records import from_json
from pipeline.model import WHOLE_CLONE, MrdResult, Reason, Role, Status

__all__ = ["INDEXING_FAILED", "Judged", "read_judged", "spelt", "with_run"]

INDEXING_FAILED = "indexing failed"
"""Why a patient's markers are missing from a run's control where they need not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What following a clone needs of one run's control.

    ``findings`` are those of one patient's samples, ``in_controls`` those of the patient's markers
    in controls of the run beyond what hopping explains. ``controls`` are the controls that failed,
    ``unread_controls`` those that could not be read, by role. ``unknown_patients`` counts those
    whose markers could not be looked for because their indexing failed.
    """

    run_id: str
    findings: tuple[MarkerFinding, ...]
    in_controls: tuple[MarkerFinding, ...]
    controls: tuple[SampleVerdict, ...]
    unread_controls: tuple[Role, ...]
    unknown_patients: int


def read_judged(document: dict[str, Any], patient_id: str) -> Judged:
    """What one patient's samples need of a document of `mrd_ngs.shared_run.judge_samples`.

    Raises
    ------
    DamagedFile
        If it is no such document.
    """
    try:
        findings = [from_json(MarkerFinding, finding) for finding in document["findings"]]
        verdicts = [from_json(SampleVerdict, verdict) for verdict in document["samples"]]
        controls = {v.sample for v in verdicts if v.role is not Role.PATIENT}
        unread = [Role(sample["role"]) for sample in document["samples_not_read"]]
        unknown = sum(u["why"] == INDEXING_FAILED for u in document["patients_without_marker"])
        return Judged(
            run_id=document["run_id"],
            findings=tuple(f for f in findings if f.patient_id == patient_id),
            in_controls=tuple(
                f
                for f in findings
                if f.sample in controls
                and f.marker_patient_id == patient_id
                and f.finding is Finding.CONTAMINATION
            ),
            controls=tuple(v for v in verdicts if v.sample in controls and not v.passed),
            unread_controls=tuple(role for role in unread if role is not Role.PATIENT),
            unknown_patients=unknown,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"not a run's control ({error})") from error


def with_run(result: MrdResult, run: Judged, settings: NgsSettings) -> MrdResult:
    """A result with what its run's control says of its sample.

    Parameters
    ----------
    result
        Of a sample that was judged with its run.
    run
        The run, as one patient's samples need it.
    settings
        Run choices.

    Returns
    -------
    MrdResult
        With flags in ``qc``, which name no other patient. A sample that another patient's clone
        dominates is neither positive nor negative: ``SUSPECTED_SWAP``; nor is one whose
        clone stands in a control too, with no more reads than that explains: ``FAILED_QC``.
    """
    own = [f for f in run.findings if f.input_sha256 == result.input_sha256]
    foreign = [f for f in own if f.patient_id != f.marker_patient_id]
    flags = [*_foreign_in_words(foreign), *_controls_in_words(run)]
    if run.unknown_patients:
        flags.append(
            f"run control incomplete: the clone of {run.unknown_patients} of the run's patients is not known"
        )
    if not flags:
        return result
    result = replace(result, qc="; ".join([*([] if result.qc == "pass" else [result.qc]), *flags]))
    if result.status is Status.NOT_EVALUABLE:
        return result
    if any(f.finding is Finding.SWAP for f in foreign):
        return replace(result, status=Status.INDETERMINATE, reason=Reason.SUSPECTED_SWAP)
    if result.status is Status.DETECTED and _may_be_contamination(result, own, run, settings):
        return replace(result, status=Status.INDETERMINATE, reason=Reason.FAILED_QC)
    return result


def _may_be_contamination(
    result: MrdResult, own: Sequence[MarkerFinding], run: Judged, settings: NgsSettings
) -> bool:
    """Whether the clone's reads are no more than those in the run's controls make likely.

    A control without DNA amplifies what little got into it further than a patient's sample
    does, so that its reads are at most too many: the doubt errs on the safe side.
    """
    called = [
        f
        for f in own
        if f.called and f.patient_id == f.marker_patient_id and result.target_id in (WHOLE_CLONE, f.target_id)
    ]
    return bool(called) and all(_is_explained(f, run, settings) for f in called)


def _is_explained(finding: MarkerFinding, run: Judged, settings: NgsSettings) -> bool:
    in_control = max((f.reads for f in run.in_controls if f.target_id == finding.target_id), default=0)
    return bool(in_control) and finding.reads < decision_count_above_background(
        finding.hopped_reads + finding.look_alike_reads + in_control,
        minimum=settings.min_reads,
        alpha=settings.background_alpha,
    )


def _foreign_in_words(foreign: Sequence[MarkerFinding]) -> list[str]:
    """What other patients' clones in a sample are."""
    flags = [
        f"run control: {_reads(f)} of another patient's clone: exchanged sample suspected"
        for f in foreign
        if f.finding is Finding.SWAP
    ]
    flags += [
        f"run control: {_reads(f)} of another patient's clone, {f.hopped_reads:.1f} expected by hopping: "
        "contamination suspected"
        for f in foreign
        if f.finding is Finding.CONTAMINATION
    ]
    hopped = [f for f in foreign if f.finding is Finding.HOPPING]
    if hopped:
        reads, expected = sum(f.reads for f in hopped), sum(f.hopped_reads for f in hopped)
        patients = len({f.marker_patient_id for f in hopped})
        whose = "another patient's clone" if patients == 1 else f"{patients} other patients' clones"
        flags.append(
            f"run control: {reads:,} reads of {whose}, explained by hopping ({expected:.1f} expected at most)"
        )
    return flags


def _controls_in_words(run: Judged) -> list[str]:
    """What is wrong with the controls of a run, seen from one patient."""
    flags = [f"run control: {problem}" for verdict in run.controls for problem in verdict.control_problems]
    roles = {verdict.sample: verdict.role for verdict in run.controls}
    flags += [
        f"run control: {_reads(f)} of {f.target_id} in a {spelt(roles[f.sample])}, "
        f"{f.hopped_reads:.1f} expected by hopping: contamination suspected"
        for f in run.in_controls
    ]
    for verdict in run.controls:
        own = sum(f.sample == verdict.sample for f in run.in_controls)
        others = len(verdict.problems) - len(verdict.control_problems) - own
        if others:
            whose = "another patient's clone" if others == 1 else f"{others} clones of other patients"
            flags.append(f"run control: {whose} in a {spelt(verdict.role)}: contamination suspected")
    return flags + [f"run control: a {spelt(role)} could not be read" for role in run.unread_controls]


def spelt(role: Role) -> str:
    """A role in words.

    >>> spelt(Role.NEGATIVE)
    'negative control'
    """
    return str(role).replace("_", " ")


def _reads(finding: MarkerFinding) -> str:
    return f"{finding.reads:,} reads"
