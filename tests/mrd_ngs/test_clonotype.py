"""Clones of a library: what was put in comes out, with its reads, templates and cells."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import airr
import numpy as np
import pytest

from mrd_ngs.clonotype import Repertoire, find_clonotypes, write_clonotypes
from mrd_ngs.evidence import DistinctReads, Library, SpikeIn, reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.read import read_library
from mrd_ngs.rearranged_reads import find_rearranged
from mrd_ngs.settings import NgsSettings
from mrd_ngs.simulate import Clone, simulate_clone
from pipeline.model import Sample

SETTINGS = NgsSettings()
READ_NT = 230


@pytest.fixture(scope="module")
def clones() -> list[Clone]:
    rng = np.random.default_rng(21)
    return [simulate_clone(rng, load_germline(), mutation_rate=0.02) for _ in range(8)]


@pytest.fixture
def library_of(make_sample: Callable[..., Sample]) -> Callable[..., Library]:
    def make(counts: Mapping[bytes, int], *, spike_reads: int = 0, **sample) -> Library:
        spike_ins = tuple(
            SpikeIn(name=base * 2, sequence=(base + "ACGT").encode() * 24, copies=40, centre=60)
            for base in "ACG"
        )
        return Library(
            sample=make_sample(**sample),
            reads=DistinctReads.from_counts(counts),
            spike_ins=spike_ins if spike_reads else (),
            spike_in_reads=DistinctReads.from_counts(
                {s.sequence: spike_reads for s in spike_ins if spike_reads}
            ),
            input_reads=sum(counts.values()) + 3 * spike_reads,
            fates=(),
            input_sha256="0" * 64,
        )

    return make


def end(clone: Clone) -> bytes:
    return clone.sequence[-READ_NT:]


def changed(clone: Clone, offset: int) -> bytes:
    """The clone's read with one base of its junction changed."""
    place = end(clone).rindex(clone.junction) + offset
    read = bytearray(end(clone))
    read[place] = ord("A") if read[place] != ord("A") else ord("C")
    return bytes(read)


def by_junction(repertoire: Repertoire) -> dict[str, int]:
    return {c.junction: c.duplicate_count for c in repertoire.clonotypes}


def test_clones_come_out_as_they_went_in(clones: list[Clone], library_of) -> None:
    counts = {end(clone): 100 * (number + 1) for number, clone in enumerate(clones)}
    counts[b"ACCA" * 40] = 50
    repertoire = find_clonotypes(library_of(counts), SETTINGS)
    assert by_junction(repertoire) == {c.junction.decode(): counts[end(c)] for c in clones}
    reads = [c.duplicate_count for c in repertoire.clonotypes]
    assert reads == sorted(reads, reverse=True)
    assert [c.clone_id for c in repertoire.clonotypes] == [f"IGH-{i}" for i in range(1, 9)]
    for clonotype in repertoire.clonotypes:
        truth = next(c for c in clones if c.junction.decode() == clonotype.junction)
        assert truth.v_call.split("*")[0] in clonotype.v_call
        assert clonotype.sequence.encode() == end(truth)
        assert clonotype.share_of_locus == pytest.approx(clonotype.duplicate_count / 3600)
    assert {f.fate: f.reads for f in repertoire.fates} == {
        "clonotype": 3600, "no_rearrangement": 50, "no_junction": 0, "ambiguous_junction": 0
    }  # fmt: skip


def test_strand_of_the_read_changes_nothing(clones: list[Clone], library_of) -> None:
    forward = find_clonotypes(library_of({end(clones[0]): 100}), SETTINGS)
    reverse = find_clonotypes(library_of({reverse_complement(end(clones[0])): 100}), SETTINGS)
    assert forward == reverse


def test_errors_are_folded_and_neighbours_are_not(clones: list[Clone], library_of) -> None:
    clone = clones[0]
    counts = {end(clone): 5000, changed(clone, 12): 3, changed(clone, 18): 200}
    repertoire = find_clonotypes(library_of(counts), SETTINGS)
    assert sorted(by_junction(repertoire).values()) == [200, 5003]
    assert repertoire.clonotypes[0].distinct_sequences == 2


def test_truncated_reads_with_tied_genes_are_the_same_clone(clones: list[Clone], library_of) -> None:
    counts: Counter[bytes] = Counter()
    for clone in clones:
        start = end(clone).rindex(clone.junction)
        for left in (0, start - 60, start - 45):
            counts[end(clone)[left:]] += 40
    repertoire = find_clonotypes(library_of(counts), SETTINGS)
    assert len(repertoire.clonotypes) == len(clones)
    assert {c.duplicate_count for c in repertoire.clonotypes} == {120}


def test_one_junction_behind_two_v_genes_is_two_clones(clones: list[Clone], library_of) -> None:
    one, other = clones[0], next(c for c in clones if c.v_call[:5] != clones[0].v_call[:5])
    place, far = one.sequence.rindex(one.junction), other.sequence.rindex(other.junction)
    hybrid = (other.sequence[:far] + one.sequence[place:])[-READ_NT:]
    repertoire = find_clonotypes(library_of({end(one): 300, hybrid: 100}), SETTINGS)
    assert [c.duplicate_count for c in repertoire.clonotypes] == [300, 100]
    assert len({c.junction for c in repertoire.clonotypes}) == 1


def test_spike_ins_give_templates_and_cells_give_shares(clones: list[Clone], library_of) -> None:
    library = library_of({end(clones[0]): 100}, spike_reads=200, cells=1000)
    (clonotype,) = find_clonotypes(library, SETTINGS).clonotypes
    assert clonotype.templates == pytest.approx(20.0)
    assert clonotype.share_of_cells == pytest.approx(0.02)
    (unknown,) = find_clonotypes(
        library_of({end(clones[0]): 100}, spike_reads=200, cells=None), SETTINGS
    ).clonotypes
    assert unknown.templates == pytest.approx(20.0)
    assert unknown.share_of_cells is None


def test_table_is_valid_airr_and_always_the_same(clones: list[Clone], library_of, tmp_path: Path) -> None:
    counts = {end(clone): 100 for clone in clones}
    backwards = dict(reversed(counts.items()))
    paths = [tmp_path / "a.airr.tsv", tmp_path / "b.airr.tsv"]
    for path, given in zip(paths, (counts, backwards), strict=True):
        write_clonotypes(path, find_clonotypes(library_of(given), SETTINGS).clonotypes)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert airr.validate_rearrangement(str(paths[0]))
    rows = [line.split("\t") for line in paths[0].read_text().splitlines()]
    row = dict(zip(rows[0], rows[1], strict=True))
    assert (row["locus"], row["duplicate_count"], row["rev_comp"]) == ("IGH", "100", "F")
    assert row["templates"] == row["share_of_cells"] == ""
    assert len(rows) == 9


def test_compressed_table_holds_no_time(clones: list[Clone], library_of, tmp_path: Path) -> None:
    listed = find_clonotypes(library_of({end(clones[0]): 9}), SETTINGS).clonotypes
    path = tmp_path / "c.airr.tsv.gz"
    write_clonotypes(path, listed)
    assert path.read_bytes()[4:8] == b"\0\0\0\0"


def test_a_library_without_rearrangements_has_no_clones(library_of, tmp_path: Path) -> None:
    repertoire = find_clonotypes(library_of({b"ACCA" * 40: 50}), SETTINGS)
    assert repertoire.clonotypes == repertoire.loci == ()
    write_clonotypes(tmp_path / "none.tsv", ())
    assert (tmp_path / "none.tsv").read_text().startswith("sequence_id\tsequence\trev_comp")


def test_simulated_baseline_has_its_clone_first(small_data: Path, make_sample: Callable[..., Sample]) -> None:
    folder = small_data / "ngs"
    truth = json.loads((folder / "truth.json").read_text())
    baseline = truth["libraries"]["baseline"]
    library = read_library(
        make_sample(
            files=(folder / "baseline.fastq.gz",), spike_ins=folder / "spike_ins.tsv", cells=baseline["cells"]
        ),
        SETTINGS,
    )
    repertoire = find_clonotypes(library, SETTINGS)
    first = repertoire.clonotypes[0]
    assert first.junction == truth["clone"]["junction"]
    assert first.share_of_cells == pytest.approx(baseline["true_mrd"], rel=0.25)
    assert sum(f.reads for f in repertoire.fates) == library.reads.counts.sum()
    # 98 % of the clone's reads come back to it, errors of its junction included
    assert first.duplicate_count >= 0.98 * baseline["reads_by_origin"]["clone"]


def bases(rng: np.random.Generator, length: int) -> bytes:
    return rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), length).tobytes()


def dj_read(rng: np.random.Generator, d: str, j: str, n_nt: int) -> bytes:
    """D behind its heptamer as in the germline, N bases, J."""
    germline = load_germline()
    d_gene = next(sequence for name, sequence in germline.d if name.startswith(d))
    j_gene = next(gene.sequence for gene in germline.j if gene.name.startswith(j))
    signal = b"GGTTTTTGT" + bases(rng, 12) + b"CACTGTG"
    return bases(rng, 40) + signal + d_gene[:-2].encode() + bases(rng, n_nt) + j_gene[4:].encode()


def kde_read(rng: np.random.Generator, kind: str, n_nt: int) -> bytes:
    """A kappa V, or the intron signal's flank, joined to Kde with N bases."""
    germline = load_germline()
    elements = {element.name: element.sequence for element in germline.elements}
    left = (
        elements["IGKintron"]
        if kind == "intron-Kde"
        else next(v.sequence for v in germline.v if v.name.startswith("IGKV3-20"))
    )
    return left[-180:-5].encode() + bases(rng, n_nt) + elements["IGKKde"][3:120].encode()


def with_error(read: bytes, place: int) -> bytes:
    return read[:place] + (b"A" if read[place : place + 1] != b"A" else b"C") + read[place + 1 :]


@pytest.mark.parametrize("kind", ["DJ", "V-Kde", "intron-Kde"])
def test_rearrangements_without_a_junction_are_clones_too(
    kind: str, clones: list[Clone], library_of, tmp_path: Path
) -> None:
    rng = np.random.default_rng(31)
    make = {"DJ": lambda n: dj_read(rng, "IGHD3-10", "IGHJ6", n)}.get(kind, lambda n: kde_read(rng, kind, n))
    one, other = make(7), make(7)
    # beside the join, where the ends of the segments can move
    erroneous = with_error(one, len(one) - (119 if kind != "DJ" else 58))
    counts = {one: 5000, reverse_complement(other): 1000, erroneous: 3, end(clones[0]): 4000}
    repertoire = find_clonotypes(library_of(counts), SETTINGS)
    locus = "IGH" if kind == "DJ" else "IGK"
    listed = [c for c in repertoire.clonotypes if not c.junction]
    assert [(c.clone_id, c.locus) for c in listed] == [(f"{locus}-{kind}-{n}", locus) for n in (1, 2)]
    assert [c.duplicate_count for c in listed] == [5003, 1000]
    assert [c.sequence.encode() for c in listed] == [one, other]
    assert [c.share_of_locus for c in listed] == pytest.approx([5003 / 6003, 1000 / 6003])
    first_gene = {"DJ": "IGHD3-10", "V-Kde": "IGKV3-20", "intron-Kde": "IGKintron"}[kind]
    for c in listed:
        assert first_gene in (c.d_call if kind == "DJ" else c.v_call)
        assert c.j_call.startswith("IGHJ6" if kind == "DJ" else "IGKKde")
        assert (c.junction_aa, c.productive) == ("", False)
    (whole,) = [c for c in repertoire.clonotypes if c.junction]
    assert (whole.clone_id, whole.share_of_locus) == ("IGH-1", 1.0)
    assert {f.fate: f.reads for f in repertoire.fates} == {
        "clonotype": 10_003, "no_rearrangement": 0, "no_junction": 0, "ambiguous_junction": 0
    }  # fmt: skip
    write_clonotypes(tmp_path / "c.airr.tsv", repertoire.clonotypes)
    assert airr.validate_rearrangement(str(tmp_path / "c.airr.tsv"))


def test_one_base_more_between_d_and_j_is_another_clone(library_of) -> None:
    counts = {
        dj_read(np.random.default_rng(5), "IGHD3-10", "IGHJ4", n): 100 * n for n in (3, 4)
    }  # the same bases but for the last
    repertoire = find_clonotypes(library_of(counts), SETTINGS)
    assert [c.duplicate_count for c in repertoire.clonotypes] == [400, 300]


def test_reads_cut_before_or_inside_the_junction_are_counted_apart(clones: list[Clone], library_of) -> None:
    start = clones[0].sequence.rindex(clones[0].junction)
    counts = {clones[0].sequence[start - 200 : start + 9]: 20, end(clones[0]): 100}
    repertoire = find_clonotypes(library_of(counts), SETTINGS)
    assert [c.duplicate_count for c in repertoire.clonotypes] == [100]
    assert {f.fate: f.reads for f in repertoire.fates}["no_junction"] == 20


def test_a_representative_that_was_not_kept_is_annotated_again(clones: list[Clone], library_of) -> None:
    library = library_of({end(clone): 100 for clone in clones})
    annotated = find_rearranged(library.reads, load_germline())
    forgotten = dataclasses.replace(annotated, kept=annotated.kept[:0])
    columns = ("v_call", "junction")
    assert forgotten.rows(range(8), columns) == annotated.rows(range(8), columns)
    assert {junction.encode() for _, junction in annotated.rows(range(8), columns).values()} == {
        clone.junction for clone in clones
    }
