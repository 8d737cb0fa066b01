"""Every marker of a run looked for in every sample of the run.

Samples that share a flow cell share reads: an index misread or exchanged puts a read of one
sample into another. How often, the run itself shows: a patient's marker in the samples of
other patients has nowhere else to come from. What that rate explains is no clone; what
exceeds it, in a sample that is not the marker's, is carry-over or an exchange of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from mrd_ngs.evidence import Library, NgsSettings
from mrd_ngs.track import track_marker
from pipeline.detection import decision_count_above_background, garwood
from pipeline.model import Marker

__all__ = [
    "Finding",
    "HopRate",
    "MarkerFinding",
    "Role",
    "RunControl",
    "SampleVerdict",
    "Tally",
    "judge_run",
    "tally",
]

_TRIMMED = 4  # one pair in four, those with most reads per donor read, is left out at the start
_IMPLAUSIBLE = 1e-3  # a pair that hopping at the run's rate reaches more rarely does not inform the rate
_ROUNDS = 20


class Role(StrEnum):
    """What a sample of a run is."""

    PATIENT = "patient"
    NEGATIVE = "negative_control"
    POLYCLONAL = "polyclonal_control"


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
class Tally:
    """One sample of the run, reduced to the reads of every marker of the run.

    ``marker_reads`` and ``look_alike_reads`` (expected from errors of near sequences) are in
    the order of the run's markers. ``kept_reads`` are all but spike-ins and short
    ones; ``top_sequence_reads`` those of the most abundant sequence among them.
    """

    patient_id: str
    role: Role
    input_sha256: str
    kept_reads: int
    top_sequence_reads: int
    marker_reads: tuple[int, ...]
    look_alike_reads: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HopRate:
    """Share of a donor's reads expected in each other sample of the run.

    ``rate`` is the best estimate and ``high`` what is reckoned with: the upper 97.5 %
    bound, as far as it is not above the assumed rate while the estimate is below.
    ``pairs`` of marker and foreign sample inform it, with ``reads`` of ``donor_reads``.
    ``basis`` says where it comes from.
    """

    rate: float
    high: float
    pairs: int
    reads: int
    donor_reads: int
    basis: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleVerdict:
    """Whether a sample may be reported; ``problems`` in words, ``notes`` that do not fail it."""

    sample: int
    input_sha256: str
    patient_id: str
    role: Role
    kept_reads: int
    passed: bool
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunControl:
    """The run judged: ``swapped`` lists pairs of samples that hold each other's clone."""

    hop_rate: HopRate
    samples: tuple[SampleVerdict, ...]
    findings: tuple[MarkerFinding, ...]
    swapped: tuple[tuple[int, int], ...]
    passed: bool

    def hopped(self) -> dict[tuple[str, str], float]:
        """Reads expected from other samples, of each patient's own markers, for `call_markers`."""
        return {
            (f.input_sha256, f.target_id): f.hopped_reads
            for f in self.findings
            if f.patient_id == f.marker_patient_id
        }


def tally(library: Library, role: Role, markers: Sequence[Marker], settings: NgsSettings) -> Tally:
    """Count every marker of the run in one sample.

    Parameters
    ----------
    library
        Any sample of the run; it need not be kept afterwards.
    role
        Patient or control.
    markers
        All tracked markers of the run, of all patients.
    settings
        Run choices.
    """
    tracks = [track_marker(library, marker, settings) for marker in markers]
    counts = library.reads.counts
    return Tally(
        patient_id=library.sample.patient_id if role is Role.PATIENT else "",
        role=role,
        input_sha256=library.input_sha256,
        kept_reads=int(counts.sum()),
        top_sequence_reads=int(counts.max()) if len(counts) else 0,
        marker_reads=tuple(track.window.exact for track in tracks),
        look_alike_reads=tuple(track.background_reads for track in tracks),
    )


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
    rate = _estimated(tallies, markers, settings) if hop_rate is None else _fixed(hop_rate, "as given")
    foreign = sum(t.patient_id != m.patient_id for t in tallies for m in markers)
    findings = tuple(
        _find(number, tallies, column, markers, rate, foreign, settings)
        for number in range(len(tallies))
        for column in range(len(markers))
    )
    by_sample = [[f for f in findings if f.sample == number + 1] for number in range(len(tallies))]
    typical = median([t.kept_reads for t in tallies if t.role is Role.PATIENT] or [0])
    verdicts = tuple(
        _verdict(number + 1, one, by_sample[number], typical, settings) for number, one in enumerate(tallies)
    )
    return RunControl(
        hop_rate=rate,
        samples=verdicts,
        findings=findings,
        swapped=_swapped(findings),
        passed=all(verdict.passed for verdict in verdicts),
    )


def _donor_reads(tallies: Sequence[Tally], column: int, sample: int) -> int:
    return sum(t.marker_reads[column] for number, t in enumerate(tallies) if number != sample)


def _is_shared(marker: Marker, patient_id: str, markers: Sequence[Marker]) -> bool:
    """Whether a patient has a marker of the same window as another's."""
    own = [m.sequence for m in markers if m.patient_id == patient_id]
    return any(marker.sequence in window or window in marker.sequence for window in own)


def _estimated(tallies: Sequence[Tally], markers: Sequence[Marker], settings: NgsSettings) -> HopRate:
    """The rate from reads of markers in samples of other patients.

    Pairs with most reads per donor read are left out at first, so that carry-over and
    exchanged samples do not pass for hopping; then all come back that the rate explains.
    """
    pairs = sorted(
        (
            (tally.marker_reads[column], donors)
            for column, marker in enumerate(markers)
            for number, tally in enumerate(tallies)
            if tally.patient_id != marker.patient_id
            and not _is_shared(marker, tally.patient_id, markers)
            and (donors := _donor_reads(tallies, column, number))
            and tally.marker_reads[column] <= settings.hop_rate_max * donors
        ),
        key=lambda pair: (pair[0] / pair[1], pair),
    )
    if not pairs:
        basis = "assumed: no marker of one patient was looked for in a sample of another"
        return _fixed(settings.hop_rate_assumed, basis)
    used = pairs[: len(pairs) - len(pairs) // _TRIMMED]
    for _ in range(_ROUNDS):
        high = _upper(used)
        informative = [pair for pair in pairs if _tail(pair[0], high * pair[1]) >= _IMPLAUSIBLE]
        if informative == used:
            break
        used = informative
    reads, donors = sum(pair[0] for pair in used), sum(pair[1] for pair in used)
    rate = reads / donors
    return HopRate(
        rate=rate,
        high=min(_upper(used), max(rate, settings.hop_rate_assumed)),
        pairs=len(used),
        reads=reads,
        donor_reads=donors,
        basis="estimated from the markers of the run in samples of other patients",
    )


def _upper(pairs: Sequence[tuple[int, int]]) -> float:
    return garwood(sum(pair[0] for pair in pairs)).high / sum(pair[1] for pair in pairs)


def _tail(reads: int, mean: float) -> float:
    """P(X >= reads) of a Poisson count."""
    from scipy.special import gammainc

    return float(gammainc(reads, mean)) if reads else 1.0


def _fixed(hop_rate: float, basis: str) -> HopRate:
    return HopRate(rate=hop_rate, high=hop_rate, pairs=0, reads=0, donor_reads=0, basis=basis)


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
    donors = _donor_reads(tallies, column, number)
    hopped, look_alikes = rate.high * donors, one.look_alike_reads[column]
    tests = sum(m.patient_id == marker.patient_id for m in markers) if is_own else foreign
    reads = one.marker_reads[column]
    decision = decision_count_above_background(
        hopped + look_alikes, minimum=settings.min_reads, alpha=settings.background_alpha / max(1, tests)
    )
    finding = _explain(reads, decision, hopped, look_alikes, is_own, settings)
    if finding is Finding.CONTAMINATION:
        if _is_shared(marker, one.patient_id, markers):
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


def _verdict(
    sample: int, one: Tally, findings: Sequence[MarkerFinding], typical: float, settings: NgsSettings
) -> SampleVerdict:
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
    problems += _control_problems(one, typical, settings)
    return SampleVerdict(
        sample=sample,
        input_sha256=one.input_sha256,
        patient_id=one.patient_id,
        role=one.role,
        kept_reads=one.kept_reads,
        passed=not problems,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _control_problems(one: Tally, typical: float, settings: NgsSettings) -> list[str]:
    if one.role is Role.NEGATIVE and one.kept_reads > settings.negative_control_max_share * typical:
        limit = 100 * settings.negative_control_max_share
        return [f"{one.kept_reads:,} reads in a negative control (at most {limit:g} % of {typical:,.0f})"]
    if one.role is Role.POLYCLONAL and not one.kept_reads:
        return ["a polyclonal control without reads"]
    if one.role is Role.POLYCLONAL:
        share = one.top_sequence_reads / one.kept_reads
        if share > settings.polyclonal_max_share:
            limit = 100 * settings.polyclonal_max_share
            return [
                f"one sequence has {100 * share:.2g} % of a polyclonal control's reads (at most {limit:g} %)"
            ]
    return []
