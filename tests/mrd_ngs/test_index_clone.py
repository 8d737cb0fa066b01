"""The clone at diagnosis is found, its errors are not candidates, and each verdict has its reason."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.evidence import DistinctReads, Library, NgsSettings, ReadFate
from mrd_ngs.germline import load_germline
from mrd_ngs.index_clone import index_markers
from mrd_ngs.read import read_library
from mrd_ngs.simulate import Clone, simulate_clone
from pipeline.model import Sample

SETTINGS = NgsSettings()


@pytest.fixture(scope="module")
def clones() -> list[Clone]:
    rng = np.random.default_rng(8)
    return [simulate_clone(rng, load_germline(), mutation_rate=0.02) for _ in range(12)]


@pytest.fixture
def library_of(make_sample: Callable[..., Sample]) -> Callable[..., Library]:
    """An uncalibrated library of sequences with their reads."""

    def make(counts: Sequence[tuple[bytes, int]], **sample) -> Library:
        merged: Counter[bytes] = Counter()
        for sequence, reads in counts:
            merged[sequence] += reads
        total = sum(merged.values())
        return Library(
            sample=make_sample(timepoint="BASE", **sample),
            reads=DistinctReads.from_counts(merged),
            spike_ins=(),
            spike_in_reads=DistinctReads.from_counts({}),
            input_reads=total,
            fates=(ReadFate(fate="kept", reads=total),),
            input_sha256="0" * 64,
        )

    return make


def test_clone_of_the_simulated_baseline_is_taken(
    small_data: Path, make_sample: Callable[..., Sample]
) -> None:
    folder = small_data / "ngs"
    truth = json.loads((folder / "truth.json").read_text())
    sample = make_sample(
        timepoint="BASE",
        files=(folder / "baseline.fastq.gz",),
        spike_ins=folder / "spike_ins.tsv",
        cells=truth["libraries"]["baseline"]["cells"],
    )
    markers = index_markers(read_library(sample, SETTINGS), SETTINGS)
    taken = [m for m in markers if m.taken]
    assert [m.junction for m in taken] == [truth["clone"]["junction"]]
    marker = taken[0]
    assert marker.target_id == "IGH-1"
    assert marker.junction in marker.sequence
    assert len(marker.sequence) == len(marker.junction) + 2 * SETTINGS.window_flank_nt
    assert marker.fraction_of_cells == pytest.approx(0.1, rel=0.25)
    assert "unverified" in marker.reason
    assert all("not taken: " in m.reason for m in markers if not m.taken)


def test_without_calibration_the_untested_rules_are_named(clones: list[Clone], library_of) -> None:
    library = library_of([(clones[0].sequence, 900), *[(c.sequence, 1) for c in clones[1:]]])
    marker = index_markers(library, SETTINGS)[0]
    assert marker.taken
    assert marker.templates is None
    assert marker.fraction_of_cells is None
    assert "templates and cells unknown, so the rules on them are not tested" in marker.reason


def test_errors_of_the_clone_are_no_candidates(clones: list[Clone], library_of) -> None:
    clone = clones[0]
    place = clone.sequence.rindex(clone.junction) + len(clone.junction) // 2
    error = bytearray(clone.sequence)
    error[place] = ord("A") if error[place] != ord("A") else ord("C")
    background = [(c.sequence, 2) for c in clones[1:]]
    junctions = {
        reads: [m.junction.encode() for m in index_markers(library_of(
            [(clone.sequence, 1000), (bytes(error), reads), *background]), SETTINGS)]
        for reads in (2, 30)
    }  # fmt: skip
    wrong = bytes(error)[place - len(clone.junction) // 2 :][: len(clone.junction)]
    assert wrong not in junctions[2], "as many as errors give"
    assert wrong in junctions[30], "thirty times what errors give: another cell"


def test_clone_among_equals_is_not_unique(clones: list[Clone], library_of) -> None:
    equals = [(c.sequence, 100) for c in clones[:8]]
    markers = index_markers(library_of(equals), SETTINGS)
    assert markers
    assert not any(m.taken for m in markers[:1])
    assert "7 other sequences in the next decade" in markers[0].reason
    few = index_markers(library_of(equals[:4]), SETTINGS)
    assert all(m.taken for m in few)
    assert [m.target_id for m in few] == ["IGH-1", "IGH-2", "IGH-3", "IGH-4"]


def test_rare_rearrangement_is_not_taken_by_its_share(clones: list[Clone], library_of) -> None:
    markers = index_markers(library_of([(clones[0].sequence, 960), (clones[1].sequence, 40)]), SETTINGS)
    assert [m.taken for m in markers] == [True, False]
    assert markers[1].reason.startswith("not taken: 4 % of its locus' reads (rule: at least 5 %, unverified)")


def test_library_without_rearrangements_has_no_candidates(library_of) -> None:
    assert index_markers(library_of([(b"ACGT" * 40, 500)]), SETTINGS) == ()


def test_sequences_too_rare_to_be_annotated_still_count_as_the_locus(clones: list[Clone], library_of) -> None:
    library = library_of([(clones[0].sequence, 90), *[(c.sequence, 1) for c in clones[1:11]]])
    assert index_markers(library, SETTINGS)[0].locus_reads == 100
    assert len(index_markers(library, SETTINGS)) == 1, "what was read once is no candidate"
