"""The clone at diagnosis is found, its errors are not candidates, and each verdict has its reason."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.call import call_patient
from mrd_ngs.evidence import DistinctReads, Library, ReadFate, reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.index_clone import index_markers
from mrd_ngs.marker_files import germline_note, read_markers
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.simulate import Clone, simulate_clone
from mrd_ngs.track import track_marker
from pipeline.errors import DamagedFile
from pipeline.formats.records import to_json
from pipeline.model import Marker, Reason, Sample, Status

SETTINGS = NgsSettings()
BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


def random_bases(rng: np.random.Generator, length: int) -> bytes:
    return BASES[rng.integers(0, 4, length)].tobytes()


def allele(name: str) -> bytes:
    germline = load_germline()
    named = {g.name: g.sequence for g in (*germline.v, *germline.j)}
    named |= {d.name: d.sequence for d in germline.d} | {e.name: e.sequence for e in germline.elements}
    return named[name].encode()


def joined(rng: np.random.Generator, kind: str, added: bytes) -> bytes:
    """One rearrangement without a junction, or a kappa VJ, with these nucleotides at its join."""
    if kind == "DJ":
        signal = b"GGTTTTTGT" + random_bases(rng, 12) + b"CACTGTG"
        left = random_bases(rng, 60) + signal + allele("IGHD3-10*01")[:-3]
        return left + added + allele("IGHJ4*02")[4:]
    if kind == "VJ":
        return allele("IGKV3-20*01")[-200:-1] + added + allele("IGKJ1*01")[1:]
    left = allele("IGKintron") if kind == "intron-Kde" else allele("IGKV1-27*01")
    return left[-140:-3] + added + allele("IGKKde")[3:120]


def as_read(sequence: bytes, errors: Sequence[int] = ()) -> bytes:
    bases = bytearray(sequence)
    for place in errors:
        bases[place] = ord("A") if bases[place] != ord("A") else ord("C")
    return bytes(bases)


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
    assert marker.reason.endswith("; by nadir_default 1")
    assert (marker.kind, marker.rule_set) == ("VDJ", "nadir_default 1")
    assert marker.germline == load_germline().version
    assert marker.background_fraction is not None
    assert marker.background_fraction < 1e-9
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


def test_another_rule_set_is_followed_and_named(clones: list[Clone], library_of) -> None:
    library = library_of([(clones[0].sequence, 960), (clones[1].sequence, 40)])
    markers = index_markers(library, NgsSettings(marker_rules="clonoseq_like"))
    assert [m.taken for m in markers] == [True, True]
    assert {m.rule_set for m in markers} == {"clonoseq_like 1"}
    assert markers[1].reason.endswith("; by clonoseq_like 1")


def test_library_without_rearrangements_has_no_candidates(library_of) -> None:
    assert index_markers(library_of([(b"ACGT" * 40, 500)]), SETTINGS) == ()


def test_sequences_too_rare_to_be_annotated_still_count_as_the_locus(clones: list[Clone], library_of) -> None:
    library = library_of([(clones[0].sequence, 90), *[(c.sequence, 1) for c in clones[1:11]]])
    assert index_markers(library, SETTINGS)[0].locus_reads == 100
    assert len(index_markers(library, SETTINGS)) == 1, "what was read once is no candidate"


@pytest.mark.parametrize(
    ("kind", "locus", "genes"),
    [
        ("DJ", "IGH", "IGHD3-10*01 IGHJ4*02"),
        ("V-Kde", "IGK", "IGKV1-27*01 IGKKde"),
        ("intron-Kde", "IGK", "IGKintron IGKKde"),
    ],
)
def test_join_without_a_junction_is_a_marker_and_found_later(
    rng: np.random.Generator, library_of, kind: str, locus: str, genes: str
) -> None:
    """Both strands, errors and longer reads at baseline; other reads of the same join at follow-up."""
    added = b"CTCAGGAGTC"
    clone = joined(rng, kind, added)
    errors = [(as_read(clone, [place]), 1) for place in range(5, len(clone), 9)]
    others = [(joined(rng, kind, random_bases(rng, int(rng.integers(4, 12)))), 1) for _ in range(20)]
    baseline = [(clone, 500), (reverse_complement(clone), 400), (clone[10:], 50), *errors, *others]
    markers = index_markers(library_of(baseline), SETTINGS)
    assert [m.taken for m in markers] == [True], [m.reason for m in markers]
    marker = markers[0]
    assert (marker.kind, marker.locus, marker.junction, marker.target_id) == (kind, locus, "", f"{locus}-1")
    assert marker.genes == genes
    assert len(marker.sequence) in (50, 51)
    assert 15 <= marker.sequence.index(added.decode()) <= 25, "the join lies in the middle"
    assert marker.sequence.encode() in clone
    assert marker.reads >= 950
    later = library_of([(reverse_complement(clone[20:]), 6), (as_read(clone, [2]), 1), *others])
    track = track_marker(later, marker, SETTINGS)
    assert track.window.exact == 7
    assert track.is_called
    assert track_marker(library_of(others), marker, SETTINGS).window.exact == 0


@pytest.mark.parametrize("kind", ["VJ", "V-Kde", "intron-Kde"])
def test_public_join_is_refused_for_other_cells_that_share_it(
    rng: np.random.Generator, library_of, kind: str
) -> None:
    library = library_of([(joined(rng, kind, b""), 900)])
    (marker,) = index_markers(library, SETTINGS)
    assert not marker.taken
    assert marker.background_fraction is not None
    assert marker.background_fraction > 1e-5
    assert marker.reason.startswith("not taken: other clones expected to share its window: ")
    assert "(rule: at most 1e-06, unverified)" in marker.reason
    calls = call_patient([library], settings=SETTINGS, baseline="BASE")
    (result,) = calls.results
    assert (result.status, result.reason) == (Status.NOT_EVALUABLE, Reason.NO_TRACKABLE_CLONE)
    (unique,) = index_markers(library_of([(joined(rng, kind, b"CTCAGGAGTC"), 900)]), SETTINGS)
    assert unique.taken
    assert unique.background_fraction is not None
    assert unique.background_fraction < 1e-6


def test_each_locus_is_judged_on_its_own_reads(rng: np.random.Generator, clones, library_of) -> None:
    heavy, dj = clones[0].sequence, joined(rng, "DJ", b"CTCAGGAGTC")
    kappa, deletion = joined(rng, "VJ", b"GATCCAGT"), joined(rng, "V-Kde", b"ACTGGATC")
    library = library_of([(heavy, 9000), (dj, 900), (kappa, 90), (deletion, 45)])
    markers = index_markers(library, SETTINGS)
    assert [(m.target_id, m.kind, m.reads, m.locus_reads) for m in markers] == [
        ("IGH-1", "VDJ", 9000, 9900),
        ("IGH-2", "DJ", 900, 9900),
        ("IGK-1", "VJ", 90, 135),
        ("IGK-2", "V-Kde", 45, 135),
    ]
    assert all(m.taken for m in markers), "0.4 % of all reads, a third of its locus"
    few = index_markers(library_of([(heavy, 960), (dj, 40), (kappa, 90)]), SETTINGS)
    assert [(m.kind, m.taken) for m in few] == [("VDJ", True), ("DJ", False), ("VJ", True)]
    assert "4 % of its locus' reads (rule: at least 5 %, unverified)" in few[1].reason


def test_reads_that_end_before_j_count_for_the_locus_only(clones: list[Clone], library_of) -> None:
    clone = clones[0].sequence
    cut = clone[: clone.rindex(clones[0].junction) + 5]
    (marker,) = index_markers(library_of([(clone, 60), (cut, 40)]), SETTINGS)
    assert (marker.kind, marker.reads, marker.locus_reads) == ("VDJ", 60, 100)


def test_join_at_the_end_of_the_read_says_why_it_is_not_taken(rng: np.random.Generator, library_of) -> None:
    clone = joined(rng, "DJ", b"CTCAGGAGTC")
    (marker,) = index_markers(library_of([(clone[clone.rindex(b"CTCAGGAGTC") - 15 :], 900)]), SETTINGS)
    assert (marker.kind, marker.taken, marker.background_fraction) == ("DJ", False, None)
    assert marker.reason.startswith("not taken: its window is cut short by the read")


# --- files


def write_markers(path: Path, markers: Sequence[Marker], **changes: object) -> Path:
    path.write_text(json.dumps({"markers": [{**to_json(m), **changes} for m in markers]}))
    return path


def test_markers_of_another_germline_are_read_with_a_note(
    tmp_path: Path, make_marker: Callable[..., Marker]
) -> None:
    here = load_germline().version
    same = read_markers(write_markers(tmp_path / "same.json", [make_marker()], germline=here))
    assert germline_note(same, here) is None
    other = read_markers(
        write_markers(tmp_path / "other.json", [make_marker()], germline="OGRDB human IGH rev 8")
    )
    assert other[0].sequence == make_marker().sequence, "what is looked for does not depend on the release"
    note = germline_note(other, here)
    assert note is not None
    assert "named after OGRDB human IGH rev 8, this nadir uses OGRDB human IGH rev 9" in note
    assert "run `nadir ngs index` on the baseline again" in note


def test_markers_written_before_the_release_was_recorded_are_read_with_a_note(
    tmp_path: Path, make_marker: Callable[..., Marker]
) -> None:
    path = write_markers(tmp_path / "old.json", [make_marker()])
    document = json.loads(path.read_text())
    for name in ("kind", "background_fraction", "rule_set", "germline"):
        del document["markers"][0][name]
    path.write_text(json.dumps(document))
    (marker,) = read_markers(path)
    assert (marker.kind, marker.background_fraction, marker.rule_set) == ("", None, "")
    assert "a release the file does not name" in (germline_note([marker], load_germline().version) or "")


def test_a_release_in_the_file_cannot_steer_a_terminal(make_marker: Callable[..., Marker]) -> None:
    note = germline_note([make_marker(germline="rev\x1b[31m 8")], "rev 9")
    assert note is not None
    assert "\x1b" not in note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequence": "ACGTN"}, "not in A, C, G, T"),
        ({"sequence": ""}, "not in A, C, G, T"),
        ({"germline": 9}, "expected str, found int"),
        ({"background_fraction": "rare"}, "expected float, found str"),
        ({"rank": 1}, "unknown keys in a Marker record"),
    ],
)
def test_hostile_marker_files_are_refused(
    tmp_path: Path, make_marker: Callable[..., Marker], change: dict[str, object], message: str
) -> None:
    path = write_markers(tmp_path / "markers.json", [make_marker()], **change)
    with pytest.raises(DamagedFile, match=message):
        read_markers(path)
