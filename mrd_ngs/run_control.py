"""Every marker of a run looked for in every sample of the run.

Samples that share a flow cell share reads: an index misread or exchanged puts a read of one
sample into another. How often, the run itself shows: a patient's marker in the samples of
other patients has nowhere else to come from. What that rate explains is no clone; what
exceeds it, in a sample that is not the marker's, is carry-over or an exchange of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mrd_ngs.hop_rate import HopRate, estimate_hop_rate, fixed_hop_rate
from mrd_ngs.run_tally import Tally, donor_reads, is_shared, tally
from mrd_ngs.run_verdict import Finding, MarkerFinding, SampleVerdict, hopped_reads, judge_sample
from mrd_ngs.settings import NgsSettings
from pipeline.detection import decision_count_above_background
from pipeline.model import Marker, Role

__all__ = [
    "Finding",
    "HopRate",
    "MarkerFinding",
    "RunControl",
    "SampleVerdict",
    "Tally",
    "hopped_reads",
    "judge_run",
    "tally",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunControl:
    """The run judged: ``swapped`` lists pairs of samples that hold each other's clone."""

    hop_rate: HopRate
    samples: tuple[SampleVerdict, ...]
    findings: tuple[MarkerFinding, ...]
    swapped: tuple[tuple[int, int], ...]
    passed: bool


def judge_run(
    tallies: Sequence[Tally],
    markers: Sequence[Marker],
    settings: NgsSettings,
    *,
    hop_rate: float | None = None,
) -> RunControl:
    """Judge all samples of a run together.

    Parameters
    ----------
    tallies
        Of every sample, controls included, counted for the same ``markers``.
    markers
        All tracked markers of the run.
    settings
        ``hop_rate_assumed``, ``hop_rate_max``, ``swap_ratio``, ``swap_min_share``,
        ``negative_control_max_share``, ``polyclonal_max_share``, and the marker settings.
    hop_rate
        Share of a donor's reads expected in each other sample, where it is known; else
        it is estimated from the run.

    Returns
    -------
    RunControl

    Notes
    -----
    A marker's expected reads in a sample are the hop rate times its reads in all other
    samples, its own patient's included: a baseline beside its follow-up on one flow cell
    is the commonest donor. Carry-over from a patient's own earlier sample cannot be told
    from disease by reads, only its hopping part.
    """
    rate = (
        estimate_hop_rate(tallies, markers, settings)
        if hop_rate is None
        else fixed_hop_rate(hop_rate, "as given")
    )
    foreign = sum(t.patient_id != m.patient_id for t in tallies for m in markers)
    findings = tuple(
        _find(number, tallies, column, markers, rate, foreign, settings)
        for number in range(len(tallies))
        for column in range(len(markers))
    )
    by_sample = [[f for f in findings if f.sample == number + 1] for number in range(len(tallies))]
    typical = median([t.kept_reads for t in tallies if t.role is Role.PATIENT] or [0])
    verdicts = tuple(
        judge_sample(number + 1, one, by_sample[number], typical, settings)
        for number, one in enumerate(tallies)
    )
    return RunControl(
        hop_rate=rate,
        samples=verdicts,
        findings=findings,
        swapped=_swapped(findings),
        passed=all(verdict.passed for verdict in verdicts),
    )


def _find(
    number: int,
    tallies: Sequence[Tally],
    column: int,
    markers: Sequence[Marker],
    rate: HopRate,
    foreign: int,
    settings: NgsSettings,
) -> MarkerFinding:
    one, marker = tallies[number], markers[column]
    is_own = one.patient_id == marker.patient_id
    donors = donor_reads(tallies, column, number)
    hopped, look_alikes = rate.high * donors, one.look_alike_reads[column]
    tests = sum(m.patient_id == marker.patient_id for m in markers) if is_own else foreign
    reads = one.marker_reads[column]
    decision = decision_count_above_background(
        hopped + look_alikes, minimum=settings.min_reads, alpha=settings.background_alpha / max(1, tests)
    )
    finding = _explain(reads, decision, hopped, look_alikes, is_own, settings)
    if finding is Finding.CONTAMINATION:
        if is_shared(marker, one.patient_id, markers):
            finding = Finding.SHARED
        elif one.role is Role.PATIENT and _dominates(one, reads, markers, settings):
            finding = Finding.SWAP
    return MarkerFinding(
        sample=number + 1,
        input_sha256=one.input_sha256,
        patient_id=one.patient_id,
        marker_patient_id=marker.patient_id,
        target_id=marker.target_id,
        reads=reads,
        donor_reads=donors,
        hopped_reads=hopped,
        look_alike_reads=look_alikes,
        decision_reads=decision,
        finding=finding,
        called=finding is Finding.FOUND,
    )


def _explain(
    reads: int, decision: int, hopped: float, look_alikes: float, is_own: bool, settings: NgsSettings
) -> Finding:
    if reads < settings.min_reads:
        return Finding.ABSENT
    if reads >= decision:
        return Finding.FOUND if is_own else Finding.CONTAMINATION
    return Finding.HOPPING if hopped >= look_alikes else Finding.LOOK_ALIKES


def _dominates(one: Tally, reads: int, markers: Sequence[Marker], settings: NgsSettings) -> bool:
    own = [n for n, m in zip(one.marker_reads, markers, strict=True) if m.patient_id == one.patient_id]
    return (
        reads >= settings.swap_min_share * one.kept_reads
        and reads >= settings.swap_ratio * max([1, *own])
        and bool(own)
    )


def _swapped(findings: Sequence[MarkerFinding]) -> tuple[tuple[int, int], ...]:
    """Pairs of samples each dominated by a marker of the other's patient."""
    swaps = [f for f in findings if f.finding is Finding.SWAP]
    pairs = {
        (min(a.sample, b.sample), max(a.sample, b.sample))
        for a in swaps
        for b in swaps
        if a.patient_id == b.marker_patient_id and b.patient_id == a.marker_patient_id
    }
    return tuple(sorted(pairs))
