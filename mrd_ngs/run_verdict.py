"""What the reads of one marker in one sample are, and whether a sample of a run may be reported."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mrd_ngs.run_tally import Tally
from mrd_ngs.settings import NgsSettings
from pipeline.model import Role

__all__ = ["Finding", "MarkerFinding", "SampleVerdict", "hopped_reads", "judge_sample"]


_POLYCLONAL_LEAST_READS = 100
"""Own choice: in fewer reads of a locus one clone of twenty is no sign of anything."""


class Finding(StrEnum):
    """What the reads of one marker in one sample are."""

    ABSENT = "absent"
    FOUND = "found"
    HOPPING = "explained_by_hopping"
    LOOK_ALIKES = "explained_by_look_alikes"
    CONTAMINATION = "contamination"
    SWAP = "dominates_a_sample_of_another"
    SHARED = "window_shared_with_own_marker"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerFinding:
    """Reads of one marker in one sample, and what they are.

    ``sample`` counts from 1 in the order of the run. ``donor_reads`` are the marker's in
    all other samples, ``hopped_reads`` those expected from them, ``decision_reads`` the
    smallest number that hopping and look-alikes do not explain. ``called`` is True only
    for a patient's own marker above it.
    """

    sample: int
    input_sha256: str
    patient_id: str
    marker_patient_id: str
    target_id: str
    reads: int
    donor_reads: int
    hopped_reads: float
    look_alike_reads: float
    decision_reads: int
    finding: Finding
    called: bool


def hopped_reads(findings: Iterable[MarkerFinding]) -> dict[tuple[str, str], float]:
    """Reads of patients' own markers expected from other samples, as `mrd_ngs.call.call_markers` takes them.

    By ``input_sha256`` and ``target_id``.
    """
    return {
        (f.input_sha256, f.target_id): f.hopped_reads for f in findings if f.patient_id == f.marker_patient_id
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleVerdict:
    """Whether a sample may be reported; ``problems`` in words, ``notes`` that do not fail it.

    ``control_problems`` are what is wrong with a control beside clones of patients; they stand
    among ``problems`` too, and name nobody.
    """

    sample: int
    input_sha256: str
    patient_id: str
    role: Role
    kept_reads: int
    passed: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    control_problems: tuple[str, ...] = ()


def judge_sample(
    sample: int, one: Tally, findings: Sequence[MarkerFinding], typical: float, settings: NgsSettings
) -> SampleVerdict:
    """Judge one sample by its findings and, a control, by its reads.

    Parameters
    ----------
    sample
        Its number in the run, from 1.
    one
        What was counted in it.
    findings
        Its own, one a marker of the run.
    typical
        Median reads of the run's patient samples.
    settings
        Limits for controls.
    """
    problems = [
        f"{f.marker_patient_id} {f.target_id}: {f.reads} reads, {f.hopped_reads:.1f} expected by hopping: "
        + ("exchanged sample suspected" if f.finding is Finding.SWAP else "contamination")
        for f in findings
        if f.finding in (Finding.SWAP, Finding.CONTAMINATION)
    ]
    notes = [
        f"{f.marker_patient_id} {f.target_id}: {f.reads} reads are explained, not called ({f.finding})"
        for f in findings
        if f.finding in (Finding.HOPPING, Finding.LOOK_ALIKES, Finding.SHARED)
    ]
    own = _control_problems(one, typical, settings)
    problems += own
    return SampleVerdict(
        sample=sample,
        input_sha256=one.input_sha256,
        patient_id=one.patient_id,
        role=one.role,
        kept_reads=one.kept_reads,
        passed=not problems,
        problems=tuple(problems),
        notes=tuple(notes),
        control_problems=tuple(own),
    )


def _control_problems(one: Tally, typical: float, settings: NgsSettings) -> list[str]:
    if one.role is Role.NEGATIVE and one.kept_reads > settings.negative_control_max_share * typical:
        limit = 100 * settings.negative_control_max_share
        return [f"{one.kept_reads:,} reads in a negative control (at most {limit:g} % of {typical:,.0f})"]
    return _polyclonal_problems(one, settings) if one.role is Role.POLYCLONAL else []


def _polyclonal_problems(one: Tally, settings: NgsSettings) -> list[str]:
    judged = [locus for locus in one.loci if locus.reads >= _POLYCLONAL_LEAST_READS]
    if not judged:
        reads = sum(locus.reads for locus in one.loci)
        return [
            f"{reads:,} reads of rearrangements in a polyclonal control "
            f"(at least {_POLYCLONAL_LEAST_READS} of a locus)"
        ]
    limit = settings.polyclonal_max_share
    return [
        f"one clone has {100 * locus.largest_reads / locus.reads:.2g} % of the {locus.locus} reads of a "
        f"polyclonal control with {locus.clones:,} clones (at most {100 * limit:g} %)"
        for locus in judged
        if locus.largest_reads > limit * locus.reads
    ]
