"""A subclone near the clone is seen and said, never added, and no look-alike passes for one."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.study_quantification import (
    CLONE,
    FLANK_NT,
    MARKER,
    Tube,
    changed,
    make_library,
    random_dna,
)
from mrd_ngs.call import call_markers
from mrd_ngs.drift import Baseline, Neighbourhood, Relation, Surroundings, look_around, surroundings
from mrd_ngs.evidence import DistinctReads, Library, reverse_complement
from mrd_ngs.settings import NgsSettings
from mrd_ngs.track import Track
from pipeline.model import MrdResult, Status

SETTINGS = NgsSettings()
TUBE = Tube()
WINDOW = MARKER.sequence.encode()


def called(library: Library, baseline: Library | None = None) -> tuple[MrdResult, Track]:
    calls = call_markers([library], [MARKER], settings=SETTINGS, baseline=baseline)
    return calls.results[0], calls.tracks[0]


def neighbours(track: Track) -> Neighbourhood:
    assert track.neighbourhood is not None
    return track.neighbourhood


def elsewhere(mismatches: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A look-alike whose bases beyond the window are another V and J."""
    sequence = changed(rng, mismatches)
    sequence[:FLANK_NT] = random_dna(77, FLANK_NT)
    sequence[-FLANK_NT:] = random_dna(78, FLANK_NT)
    return sequence


@pytest.mark.parametrize("mismatches", [1, 2, 3])
def test_a_subclone_is_reported_beside_the_result_and_never_added(
    rng: np.random.Generator, mismatches: int
) -> None:
    subclone = changed(rng, mismatches)
    library, _ = make_library(rng, TUBE, 300.0, [(subclone, 60.0)])
    result, track = called(library)
    (variant,) = neighbours(track).variants
    assert variant.sequence.encode() == subclone[FLANK_NT:-FLANK_NT].tobytes()
    assert variant.mismatches == mismatches
    # 60 of 360 cells; both counts scatter by 9 % and 6 %, and more by jackpots
    assert variant.share == pytest.approx(60 / 360, abs=0.06)
    assert variant.relation is Relation.DESCENDANT
    assert f"possible subclone of IGH-1 (not counted): {mismatches} mismatch" in result.qc
    assert "baseline not known" in result.qc
    assert "look-alikes" not in result.qc
    assert result.status is Status.DETECTED
    assert result.numerator == track.templates
    assert track.templates == pytest.approx(300, rel=0.3)


def test_an_abundant_clone_without_subclones_has_none(rng: np.random.Generator) -> None:
    for cells in (30.0, 300.0, 3000.0, 20_000.0):
        result, track = called(make_library(rng, TUBE, cells)[0])
        assert neighbours(track).variants == (), cells
        assert result.qc == "pass"


def test_an_error_of_an_early_cycle_is_no_subclone(rng: np.random.Generator) -> None:
    """Half of one template among 100: far more reads than misreading gives, and not two templates."""
    library, _ = make_library(rng, TUBE, 100.0)
    copied = DistinctReads.from_counts(
        {**dict(_counts(library.reads)), changed(rng, 1).tobytes(): 6}  # 4.5 reads a template
    )
    _, track = called(_with_reads(library, copied))
    assert neighbours(track).variants == ()


def test_a_look_alike_beside_the_clone_is_not_called_its_descendant(rng: np.random.Generator) -> None:
    library, _ = make_library(rng, TUBE, 300.0, [(elsewhere(1, rng), 60.0)])
    result, track = called(library)
    (variant,) = neighbours(track).variants
    assert variant.relation is Relation.LOOK_ALIKE
    assert "subclone" not in result.qc
    assert "look-alikes not counted" in result.qc


def test_no_negative_becomes_positive_by_what_lies_near_it(rng: np.random.Generator) -> None:
    for number in range(30):
        near = [(changed(rng, k), 60.0) for k in (1, 2, 3)]
        baseline = make_library(rng, TUBE, 1000.0)[0] if number % 2 else None
        result, track = called(make_library(rng, TUBE, 0.0, near)[0], baseline)
        assert result.status is Status.NOT_DETECTED
        assert result.numerator == pytest.approx(track.window.exact / 4.5, rel=0.3)
        assert track.recovered_reads == 0
        assert len(neighbours(track).variants) == 3
        assert (
            "near IGH-1 without the clone itself (not counted): 3 sequences, 1 to 3 mismatches" in result.qc
        )
        told = "not seen at baseline" if baseline else "baseline not known"
        assert told in result.qc
        relation = Relation.DESCENDANT if baseline else Relation.UNKNOWN
        assert {v.relation for v in neighbours(track).variants} == {relation}


def test_look_alikes_of_another_v_gene_say_nothing_where_the_baseline_is_known(
    rng: np.random.Generator,
) -> None:
    near = [(elsewhere(k, rng), 60.0) for k in (1, 2)]
    result, track = called(make_library(rng, TUBE, 0.0, near)[0], baseline=make_library(rng, TUBE, 1000.0)[0])
    assert {v.relation for v in neighbours(track).variants} == {Relation.LOOK_ALIKE}
    assert "without the clone" not in result.qc
    assert "look-alikes not counted" in result.qc


def test_a_subclone_that_was_there_at_baseline_is_told_from_a_new_one(rng: np.random.Generator) -> None:
    old, new = changed(rng, 1), changed(rng, 2)
    baseline = make_library(rng, TUBE, 3000.0, [(old, 100.0)])[0]
    result, track = called(make_library(rng, TUBE, 300.0, [(old, 80.0), (new, 40.0)])[0], baseline)
    first, second = neighbours(track).variants
    assert (first.mismatches, first.in_baseline) == (1, True)
    assert (second.mismatches, second.in_baseline, second.baseline_reads) == (2, False, 0)
    assert "possible subclones of IGH-1 (not counted): 2 sequences, 1 to 2 mismatches" in result.qc
    assert "1 of 2 present at baseline" in result.qc


def test_errors_of_the_clone_at_baseline_are_no_presence_there() -> None:
    variant = bytearray(WINDOW)
    variant[40] = ord("A") if variant[40] != ord("A") else ord("C")
    follow_up = DistinctReads.from_counts({WINDOW: 100, bytes(variant): 50})

    def in_baseline(reads: int) -> bool | None:
        baseline = DistinctReads.from_counts({WINDOW: 30_000, bytes(variant): reads})
        found = look_around(
            follow_up, WINDOW, SETTINGS, calibration=None, clone=None,
            baseline=Baseline(reads=baseline, error_rate=0.001),
        )  # fmt: skip
        return found.variants[0].in_baseline

    # 30,000 x 0.001 / 3 = 10 by error, reckoned with threefold: 30, and 44 is the first below 1 in 100
    assert in_baseline(10) is False
    assert in_baseline(43) is False
    assert in_baseline(44) is True


def test_errors_of_a_subclone_are_its_own(rng: np.random.Generator) -> None:
    library, clone_reads = make_library(rng, TUBE, 2000.0, [(changed(rng, 1), 2000.0)])
    _, track = called(library)
    assert len(neighbours(track).variants) == 1
    assert track.recovered_reads == pytest.approx(clone_reads, rel=0.01)


@pytest.mark.parametrize("cells", [100.0, 1000.0])
def test_errors_of_the_clone_are_recovered_as_evidence(rng: np.random.Generator, cells: float) -> None:
    library, clone_reads = make_library(rng, TUBE, cells)
    _, track = called(library)
    assert track.window.exact < 0.95 * clone_reads
    assert 0.99 * clone_reads <= track.recovered_reads <= clone_reads


def test_either_strand_and_an_unread_base_are_no_new_sequence() -> None:
    window = CLONE[FLANK_NT:-FLANK_NT].tobytes()
    read = CLONE.tobytes()
    variant = changed(np.random.default_rng(1), 1)
    unread = bytearray(read)
    unread[60] = ord("N")
    counts = {
        read: 500,
        variant.tobytes(): 20,
        reverse_complement(variant[5:].tobytes()): 20,
        bytes(unread): 40,
    }
    found = look_around(
        DistinctReads.from_counts(counts), window, SETTINGS, calibration=None, baseline=None,
        clone=surroundings(DistinctReads.from_counts({read: 1}), window),
    )  # fmt: skip
    (one,) = found.variants
    assert one.reads == 40
    assert one.relation is Relation.DESCENDANT


def test_surroundings_are_those_of_the_windows_strand() -> None:
    read = CLONE.tobytes()
    expected = Surroundings(before=read[:FLANK_NT], after=read[-FLANK_NT:])
    for strand in (read, reverse_complement(read)):
        assert surroundings(DistinctReads.from_counts({strand: 3}), WINDOW) == expected
    assert surroundings(DistinctReads.from_counts({random_dna(5, 120).tobytes(): 3}), WINDOW) is None


def test_too_few_bases_beyond_the_window_tell_nothing() -> None:
    variant = changed(np.random.default_rng(1), 1)[FLANK_NT - 5 : -FLANK_NT + 5].tobytes()
    found = look_around(
        DistinctReads.from_counts({CLONE.tobytes(): 500, variant: 40}), WINDOW, SETTINGS, calibration=None,
        clone=Surroundings(before=b"ACGTA", after=b"ACGTA"), baseline=None,
    )  # fmt: skip
    assert [v.relation for v in found.variants] == [Relation.UNKNOWN]


def test_nothing_near_is_an_empty_neighbourhood() -> None:
    found = look_around(
        DistinctReads.from_counts({random_dna(5, 120).tobytes(): 3}), WINDOW, SETTINGS, calibration=None,
        clone=None, baseline=None,
    )  # fmt: skip
    assert found == Neighbourhood(own_error_reads=0, variants=())


def _counts(reads: DistinctReads) -> list[tuple[bytes, int]]:
    return [(reads.sequence(i), int(reads.counts[i])) for i in range(len(reads))]


def _with_reads(library: Library, reads: DistinctReads) -> Library:
    return replace(library, reads=reads)
