"""What a run's other samples explain is not called; what they do not explain is named."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from mrd_ngs.call import call_markers
from mrd_ngs.evidence import Library
from mrd_ngs.germline import load_germline
from mrd_ngs.run_control import Finding, MarkerFinding, RunControl, hopped_reads, judge_run, tally
from mrd_ngs.settings import NgsSettings
from pipeline.model import Marker, Role, Status
from rearrangements import recombine

Make = Callable[..., Library]
SETTINGS = NgsSettings()
PATIENTS = ("P01", "P02", "P03", "P04")
HOP = 0.001


def dna(seed: int, length: int) -> bytes:
    return np.random.default_rng(seed).choice(np.frombuffer(b"ACGT", dtype=np.uint8), length).tobytes()


READS = {patient: dna(100 + number, 180) for number, patient in enumerate(PATIENTS)}
# As many as a run's samples have; a read occurs once.
FILL = {dna(1000 + number, 180): 50 for number in range(400)}


def healthy(clones: int, seed: int = 7) -> dict[bytes, int]:
    """Reads of unrelated B cells, ten of each."""
    rng = np.random.default_rng(seed)
    made = (recombine(rng, load_germline(), lengths=(200, 230)) for _ in range(clones))
    return {one.read.encode(): 10 for one in made}


HEALTHY = healthy(60)


@pytest.fixture
def markers(make_marker: Callable[..., Marker]) -> list[Marker]:
    return [make_marker(patient_id=p, sequence=READS[p][60:140].decode()) for p in PATIENTS]


@pytest.fixture
def judge(make_library: Make, markers: list[Marker]) -> Callable[..., RunControl]:
    """A run of one sample a patient, or of (patient, role, reads of each patient's clone)."""

    def run(
        *samples: tuple[str, dict[str, int]], hop_rate: float | None = None, **controls: dict[str, int]
    ) -> RunControl:
        tallies = [
            tally(library(patient, reads), Role.PATIENT, markers, SETTINGS) for patient, reads in samples
        ]
        for role in controls:
            fill = {} if role == Role.NEGATIVE else HEALTHY
            found = library("P99", controls[role], fill)
            tallies.append(tally(found, Role(role), markers, SETTINGS))
        return judge_run(tallies, markers, SETTINGS, hop_rate=hop_rate)

    def library(patient: str, reads: dict[str, int], fill: dict[bytes, int] = FILL) -> Library:
        made = make_library(
            others={**fill, **{READS[p]: n for p, n in reads.items() if n}}, patient_id=patient
        )
        return _only(made, [*fill, *(READS[p] for p in reads)])

    return run


def _only(library: Library, sequences: list[bytes]) -> Library:
    reads = library.reads
    wanted = {min(s, s.translate(bytes.maketrans(b"ACGT", b"TGCA"))[::-1]) for s in sequences}
    keep = np.array([reads.sequence(i) in wanted for i in range(len(reads))])
    return dataclasses.replace(library, reads=reads.subset(keep))


def at(control: RunControl, sample: int, patient: str) -> MarkerFinding:
    (found,) = [f for f in control.findings if f.sample == sample and f.marker_patient_id == patient]
    return found


def test_hop_of_another_patients_clone_is_flagged_and_not_called(judge) -> None:
    # P01 at 1e-1 of cells, some 10,000 reads; 0.1 % of them in every other sample
    hopped = {"P01": 10}
    control = judge(("P01", {"P01": 10_000}), ("P02", hopped), ("P03", {"P01": 12}), ("P04", {"P01": 8}))
    assert control.hop_rate.rate == pytest.approx(HOP, rel=0.1)
    assert control.hop_rate.pairs == 3
    for sample in (2, 3, 4):
        found = at(control, sample, "P01")
        assert found.finding is Finding.HOPPING
        assert not found.called
        assert any("are explained, not called" in note for note in control.samples[sample - 1].notes)
    assert control.passed
    assert control.swapped == ()


def test_hop_of_ones_own_baseline_is_not_called_and_true_disease_is(judge) -> None:
    others = (
        ("P02", {"P01": 9, "P02": 9000}),
        ("P03", {"P01": 11, "P02": 8}),
        ("P04", {"P01": 10, "P02": 10}),
    )
    baseline = ("P01", {"P01": 10_000})
    clean = judge(baseline, *others, ("P01", {"P01": 10}))
    assert at(clean, 5, "P01").finding is Finding.HOPPING
    assert not at(clean, 5, "P01").called
    disease = judge(baseline, *others, ("P01", {"P01": 40}))
    assert at(disease, 5, "P01").finding is Finding.FOUND
    assert at(disease, 5, "P01").called


def test_low_level_of_the_own_marker_is_not_masked_by_other_patients(judge) -> None:
    control = judge(("P01", {"P01": 10_000}), ("P02", {"P01": 10, "P02": 2}), ("P03", {"P01": 9}))
    assert at(control, 2, "P02").called
    assert at(control, 2, "P02").decision_reads == SETTINGS.min_reads


def test_swapped_pair_is_found(judge) -> None:
    control = judge(
        ("P01", {"P02": 400}), ("P02", {"P01": 3000}), ("P03", {"P03": 5000}), ("P04", {"P04": 20})
    )
    assert control.swapped == ((1, 2),)
    assert [v.passed for v in control.samples] == [False, False, True, True]
    assert at(control, 1, "P02").finding is Finding.SWAP
    assert "exchanged sample suspected" in control.samples[0].problems[0]
    assert not control.passed


def test_carry_over_above_hopping_is_contamination_and_leaves_the_rate_alone(judge) -> None:
    control = judge(
        ("P01", {"P01": 10_000, "P04": 9}),
        ("P02", {"P01": 60, "P02": 300, "P04": 8}),  # 0.6 %: six times what hopping gives
        ("P03", {"P01": 10, "P04": 10}),
        ("P04", {"P01": 9}),
        ("P04", {"P01": 11, "P04": 9000}),
        ("P03", {"P01": 10, "P04": 9}),
    )
    assert control.hop_rate.rate == pytest.approx(HOP, rel=0.15)
    assert at(control, 2, "P01").finding is Finding.CONTAMINATION
    assert not control.samples[1].passed
    assert control.samples[2].passed


def test_a_run_that_says_nothing_of_hopping_is_judged_by_the_assumed_rate(judge) -> None:
    control = judge(("P01", {"P01": 10_000}), ("P01", {"P01": 14}))
    assert control.hop_rate.rate == SETTINGS.hop_rate_assumed
    assert control.hop_rate.pairs == 0
    assert at(control, 2, "P01").finding is Finding.HOPPING
    known = judge(("P01", {"P01": 10_000}), ("P01", {"P01": 14}), hop_rate=1e-5)
    assert at(known, 2, "P01").finding is Finding.FOUND


def test_controls_are_judged(judge) -> None:
    run = [("P01", {"P01": 10_000}), ("P02", {"P01": 11, "P02": 5}), ("P03", {"P01": 9})]
    good = judge(*run, negative_control={"P01": 8}, polyclonal_control={})
    assert good.passed
    contaminated = judge(*run, negative_control={"P01": 4000}, polyclonal_control={"P02": 3000})
    assert [v.passed for v in contaminated.samples] == [True, True, True, False, False]
    assert "4,000 reads in a negative control" in contaminated.samples[3].control_problems[0]
    assert contaminated.samples[4].problems[0].startswith("P02 IGH-1: 3000 reads")
    assert contaminated.samples[4].control_problems == ()  # the clones of its own are even


@pytest.mark.parametrize(
    ("fill", "problem"),
    [
        (HEALTHY, ""),
        # one of 60 clones twenty times as abundant as the others: 200 of 790 reads
        (
            {**HEALTHY, next(iter(HEALTHY)): 200},
            "one clone has 25 % of the IGH reads of a polyclonal control",
        ),
        (healthy(3), "30 reads of rearrangements in a polyclonal control"),
        (FILL, "0 reads of rearrangements in a polyclonal control"),
    ],
)
def test_a_polyclonal_control_is_judged_by_its_clones(
    make_library: Make, fill: dict[bytes, int], problem: str
) -> None:
    library = _only(make_library(others=fill), list(fill))
    found = judge_run([tally(library, Role.POLYCLONAL, [], SETTINGS)], [], SETTINGS)
    assert found.passed == (not problem)
    assert [p.startswith(problem) for p in found.samples[0].control_problems] == [True] * bool(problem)


def test_a_window_two_patients_share_is_no_contamination(make_library: Make, make_marker) -> None:
    shared = [make_marker(patient_id=p, sequence=READS["P01"][60:140].decode()) for p in ("P01", "P02")]
    tallies = [
        tally(make_library(others={READS["P01"]: n}, patient_id=p), Role.PATIENT, shared, SETTINGS)
        for p, n in (("P01", 500), ("P02", 700))
    ]
    control = judge_run(tallies, shared, SETTINGS)
    assert at(control, 1, "P02").finding is Finding.SHARED
    assert control.passed


def test_what_the_run_explains_is_not_called_in_the_result(make_library: Make, markers) -> None:
    libraries = [
        dataclasses.replace(make_library(others={READS["P01"]: n}), input_sha256=digest * 64)
        for n, digest in ((10_000, "a"), (12, "b"))
    ]
    tallies = [tally(library, Role.PATIENT, markers[:1], SETTINGS) for library in libraries]
    control = judge_run(tallies, markers[:1], SETTINGS)
    baseline, follow_up = call_markers(
        libraries, markers[:1], settings=SETTINGS, hopped=hopped_reads(control.findings)
    ).results
    assert baseline.status is Status.DETECTED
    assert follow_up.status is Status.NOT_DETECTED
    assert follow_up.lod is not None


@pytest.mark.slow
def test_hopped_runs_give_no_false_call_and_find_disease(rng: np.random.Generator, judge) -> None:
    """Two hundred runs: hopping at 0.1 %, one follow-up beside its baseline, with and without disease."""
    false = found = rates = 0
    for _ in range(200):
        donors = {p: int(rng.integers(3000, 12_000)) for p in PATIENTS}
        run = [
            (p, {q: donors[q] if p == q else int(rng.poisson(HOP * donors[q])) for q in PATIENTS})
            for p in PATIENTS
        ]
        blank = {q: int(rng.poisson(HOP * donors[q])) for q in PATIENTS}
        ill = {**blank, "P01": blank["P01"] + 60}
        control = judge(*run, ("P01", blank), ("P01", ill))
        false += at(control, 5, "P01").called
        found += at(control, 6, "P01").called
        rates += control.hop_rate.rate / 200
    assert false == 0
    assert found == 200
    assert rates == pytest.approx(HOP, rel=0.1)
