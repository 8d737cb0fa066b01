"""Annotation of simulated rearrangements, of what is none, and of bad input; the AIRR table."""

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import airr
import numpy as np
import pytest

from mrd_ngs.airr_table import COLUMNS
from mrd_ngs.annotate import airr_frame, annotate_sequences, write_airr
from mrd_ngs.germline import GermlineSet, load_germline
from mrd_ngs.rearrangement import Rearrangement
from rearrangements import (
    Truth,
    any_of,
    gene,
    genes,
    mutated,
    random_bases,
    recombine,
    turned,
)


@pytest.fixture(scope="module")
def germline() -> GermlineSet:
    return load_germline()


def found_of(truths: Sequence[Truth], germline: GermlineSet) -> list[Rearrangement | None]:
    return annotate_sequences([truth.read for truth in truths], germline)


def share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def test_hard_reads_with_indels_on_both_strands(rng: np.random.Generator, germline: GermlineSet) -> None:
    truths = [recombine(rng, germline, rates=(0.09, 0.12), indel_share=0.5) for _ in range(3000)]
    pairs = list(zip(truths, found_of(truths, germline), strict=True))
    assert share([f is not None and f.junction == t.junction for t, f in pairs]) >= 0.998
    assert share([f is not None and gene(f.v_call) == gene(t.v) for t, f in pairs]) >= 0.92
    assert share([f is not None and gene(f.j_call) == gene(t.j) for t, f in pairs]) >= 0.985
    assert share([f is not None and f.rev_comp == t.turned for t, f in pairs]) >= 0.999


@pytest.mark.parametrize("locus", ["IGK", "IGL"])
def test_light_chains(rng: np.random.Generator, germline: GermlineSet, locus: str) -> None:
    truths = [recombine(rng, germline, locus) for _ in range(1000)]
    pairs = list(zip(truths, found_of(truths, germline), strict=True))
    assert all(f is not None and f.locus == locus and f.d_call == "" for _, f in pairs)
    assert share([f is not None and f.junction == t.junction for t, f in pairs]) >= 0.998
    assert share([f is not None and gene(t.v) in genes(f.v_call) for t, f in pairs]) >= 0.98
    assert share([f is not None and gene(t.j) in genes(f.j_call) for t, f in pairs]) >= 0.98


def test_incomplete_dj_rearrangements(rng: np.random.Generator, germline: GermlineSet) -> None:
    """D behind its heptamer, as in the germline; joined to J with N bases."""
    reads, truths = [], []
    heavy = [j for j in germline.j if j.name.startswith("IGHJ")]
    for _ in range(1000):
        d, j = germline.d[rng.integers(len(germline.d))], any_of(rng, heavy)
        trim_d, trim_j = rng.integers(0, [6, 8])
        signal = "GGTTTTTGT" + random_bases(rng, 12) + "CACTGTG"
        kept = d.sequence[: len(d.sequence) - trim_d]
        read = random_bases(rng, 40) + signal + kept + random_bases(rng, rng.poisson(5)) + j.sequence[trim_j:]
        read = mutated(rng, read, 0.005)
        reads.append(turned(read) if rng.random() < 0.5 else read)
        truths.append((gene(d.name), gene(j.name)))
    pairs = list(zip(truths, annotate_sequences(reads, germline), strict=True))
    assert share([f is not None and f.kind == "DJ" for _, f in pairs]) >= 0.97
    assert share([f is not None and d in genes(f.d_call) for (d, _), f in pairs]) >= 0.95
    assert share([f is not None and gene(f.j_call) == j for (_, j), f in pairs]) >= 0.95
    assert all(f is None or (f.v_call == "" and f.junction == "" and f.productive is False) for _, f in pairs)


@pytest.mark.parametrize("kind", ["V-Kde", "intron-Kde"])
def test_kappa_deletions(rng: np.random.Generator, germline: GermlineSet, kind: str) -> None:
    elements = {element.name: element.sequence for element in germline.elements}
    kappa = [v for v in germline.v if v.name.startswith("IGKV")]
    reads, truths = [], []
    for _ in range(600):
        v = any_of(rng, kappa)
        name, left = (gene(v.name), v.sequence) if kind == "V-Kde" else ("IGKintron", elements["IGKintron"])
        trims = rng.integers(0, 9, 2)
        left = left[-int(rng.integers(70, 250)) :][: -int(trims[0]) or None]
        right = elements["IGKKde"][trims[1] : trims[1] + rng.integers(50, 170)]
        read = mutated(rng, left + random_bases(rng, rng.poisson(3)) + right, 0.02)
        reads.append(turned(read) if rng.random() < 0.5 else read)
        truths.append(name)
    pairs = list(zip(truths, annotate_sequences(reads, germline), strict=True))
    assert share([f is not None and f.kind == kind for _, f in pairs]) >= 0.995
    assert share([f is not None and name in genes(f.v_call) for name, f in pairs]) >= 0.95
    assert {f.locus for _, f in pairs if f is not None} == {"IGK"}


def test_no_calls_on_random_and_shuffled_reads(rng: np.random.Generator, germline: GermlineSet) -> None:
    random = [random_bases(rng, int(rng.integers(30, 400))) for _ in range(6000)]
    real = [recombine(rng, germline).read for _ in range(400)]
    shuffled = ["".join(rng.permutation(list(read))) for read in real for _ in range(10)]
    poor = ["A" * 250, "AC" * 120, "N" * 250, "GGA" * 90, "AGCTACTACTACTACTACTAC" * 12]
    assert annotate_sequences([*random, *shuffled, *poor], germline) == [None] * (10_000 + len(poor))


def test_no_calls_on_other_genes(germline: GermlineSet, shared_data: Path) -> None:
    reads = []
    for path in ("chip_reference/extra_genomic.fa", "chip_reference/panel51_cds.fa", "cfdna/panel.fa"):
        for record in (shared_data / path).read_text().split(">")[1:]:
            bases = "".join(record.splitlines()[1:])
            reads += [bases[i : i + 250] for i in range(0, len(bases) - 250, 200)]
    assert len(reads) > 1_500
    assert annotate_sequences(reads, germline) == [None] * len(reads)


def test_genes_in_their_germline_order_are_no_rearrangement(
    rng: np.random.Generator, germline: GermlineSet
) -> None:
    heavy = [j for j in germline.j if j.name.startswith("IGHJ")]
    signal = "GGTTTTTGT" + random_bases(rng, 23) + "CACTGTG"
    before_j = [random_bases(rng, 80) + signal + j.sequence + random_bases(rng, 40) for j in heavy]
    kde = next(e.sequence for e in germline.elements if e.name == "IGKKde")
    assert annotate_sequences([*before_j, random_bases(rng, 80) + kde[:150]], germline) == [None] * 8


def test_a_read_that_ends_before_j_has_v_alone(rng: np.random.Generator, germline: GermlineSet) -> None:
    v = germline.v[40]
    found = annotate_sequences([v.sequence[60:] + random_bases(rng, 12)], germline)[0]
    assert found is not None
    assert (found.kind, found.j_call, found.junction, found.junction_start) == ("V", "", "", -1)
    assert found.productive is None


def test_reads_cut_inside_j_keep_their_junction(rng: np.random.Generator, germline: GermlineSet) -> None:
    truths = [recombine(rng, germline, turned_share=0.0) for _ in range(300)]
    cut = [truth.read[:-14] for truth in truths]
    found = annotate_sequences(cut, germline)
    assert (
        share([f is not None and f.junction == t.junction for f, t in zip(found, truths, strict=True)])
        >= 0.99
    )


def test_the_strand_changes_nothing_but_rev_comp(rng: np.random.Generator, germline: GermlineSet) -> None:
    reads = [recombine(rng, germline, indel_share=0.3, turned_share=0.0).read for _ in range(200)]
    forward, backward = (annotate_sequences(r, germline) for r in (reads, [turned(r) for r in reads]))
    assert {f.rev_comp for f in forward if f} == {False}
    assert {f.rev_comp for f in backward if f} == {True}
    assert [dataclasses.replace(f, rev_comp=False) for f in backward if f] == forward


def test_a_read_is_annotated_alike_in_any_company(rng: np.random.Generator, germline: GermlineSet) -> None:
    reads = [recombine(rng, germline, indel_share=0.3).read for _ in range(60)] + [random_bases(rng, 200)] * 3
    together = annotate_sequences(reads, germline)
    assert [annotate_sequences([read], germline)[0] for read in reads] == together
    assert annotate_sequences(reads[::-1], germline) == together[::-1]


def test_case_and_uracil_do_not_matter(rng: np.random.Generator, germline: GermlineSet) -> None:
    read = recombine(rng, germline).read
    plain, lower, rna = annotate_sequences([read, read.lower(), read.replace("T", "U")], germline)
    assert plain is not None
    assert plain == lower == rna


def test_ambiguous_bases_are_neither_matches_nor_mismatches(
    rng: np.random.Generator, germline: GermlineSet
) -> None:
    v, j = germline.v[12], germline.j[3]
    read = v.sequence[100:] + "GGATCC" + j.sequence
    clean, blurred = annotate_sequences([read, read[:30] + "NNRY" + read[34:]], germline)
    assert clean is not None
    assert blurred is not None
    assert (clean.v_identity, blurred.v_identity) == (1.0, 1.0)
    assert (clean.v_score or 0) - (blurred.v_score or 0) == 8
    assert blurred.sequence == read[:30] + "NNNN" + read[34:]
    assert blurred.junction == clean.junction


@pytest.mark.parametrize("read", ["", "A", "ACGTACGT", "N" * 29, "IGHV", "é\n" * 40])
def test_reads_too_short_or_senseless_have_none(read: str, germline: GermlineSet) -> None:
    assert annotate_sequences([read], germline) == [None]


def test_no_reads_no_annotations(germline: GermlineSet) -> None:
    assert annotate_sequences([], germline) == []


def test_a_rearrangement_inside_a_very_long_read(rng: np.random.Generator, germline: GermlineSet) -> None:
    truth = recombine(rng, germline, rates=(0.0, 0.02), turned_share=0.0)
    read = random_bases(rng, 60_000) + truth.read + random_bases(rng, 40_000)
    found = annotate_sequences([read], germline)[0]
    assert found is not None
    assert found.junction == truth.junction
    assert found.sequence[found.junction_start : found.junction_end] == truth.junction


def test_indels_in_j_keep_the_anchor(germline: GermlineSet) -> None:
    v, j = germline.v[12], next(g for g in germline.j if g.name == "IGHJ6*02")
    assert j.anchor is not None
    lost = j.sequence[: j.anchor + 5] + j.sequence[j.anchor + 7 :]
    found = annotate_sequences([v.sequence + "GGATCC" + lost], germline)[0]
    assert found is not None
    assert found.junction_aa.startswith("C")
    assert found.junction.endswith(j.sequence[j.anchor - 9 : j.anchor + 3])
    assert "2D" in found.j_cigar


@pytest.mark.parametrize(
    ("middle", "in_frame", "stop", "productive"),
    [("GGATCC", True, False, True), ("GGATC", False, None, False), ("TAGTGA", True, True, False)],
)
def test_productive_is_in_frame_without_stop(
    germline: GermlineSet, middle: str, in_frame: bool, stop: bool | None, productive: bool
) -> None:
    v = next(g for g in germline.v if g.name == "IGHV3-23*01")
    j = next(g for g in germline.j if g.name == "IGHJ4*02")
    assert v.anchor is not None
    assert j.anchor is not None
    found = annotate_sequences([v.sequence[: v.anchor + 9] + middle + j.sequence[j.anchor % 3 :]], germline)[
        0
    ]
    assert found is not None
    assert (found.vj_in_frame, found.productive) == (in_frame, productive)
    assert stop is None or found.stop_codon is stop


def test_a_frame_shift_in_v_is_not_productive(germline: GermlineSet) -> None:
    v = next(g for g in germline.v if g.name == "IGHV3-23*01")
    j = next(g for g in germline.j if g.name == "IGHJ4*02")
    assert v.anchor is not None
    assert j.anchor is not None
    end = "GGATCC" + j.sequence[j.anchor % 3 :]
    whole, shifted, codon = annotate_sequences(
        [
            v.sequence[:a] + v.sequence[b : v.anchor + 9] + end
            for a, b in ((150, 150), (150, 152), (150, 153))
        ],
        germline,
    )
    assert [f and (f.v_frameshift, f.productive) for f in (whole, shifted, codon)] == [
        (False, True),
        (True, False),
        (False, True),
    ]


def test_ties_are_few_and_the_first_gene_has_most_of_them(
    rng: np.random.Generator, germline: GermlineSet
) -> None:
    found = found_of([recombine(rng, germline) for _ in range(800)], germline)
    calls = [f.v_call.split(",") for f in found if f is not None]
    assert np.percentile([len({gene(a) for a in call}) for call in calls], 95) <= 5
    for call in calls:
        numbers = Counter(gene(allele) for allele in call)
        assert numbers[gene(call[0])] == max(numbers.values())
        assert len([g for g, _ in itertools.groupby(call, gene)]) == len(numbers)


@pytest.fixture(scope="module")
def mixed_reads(germline: GermlineSet) -> list[tuple[str, bytes]]:
    rng = np.random.default_rng(8)
    reads = [recombine(rng, germline, rates=(0.0, 0.12), indel_share=0.4).read for _ in range(120)]
    reads += [recombine(rng, germline, locus).read for locus in ("IGK", "IGL") for _ in range(30)]
    kde = next(e.sequence for e in germline.elements if e.name == "IGKKde")
    kappa = next(v for v in germline.v if v.name == "IGKV3-20*01")
    reads += [kappa.sequence[80:] + kde[3:120], random_bases(rng, 250), kappa.sequence, "ACGT"]
    d = next(d for d in germline.d if d.name == "IGHD3-10*01")
    reads.append(random_bases(rng, 60) + "CACTGTG" + d.sequence + "CC" + germline.j[3].sequence)
    return [(f"read {number}", read.encode()) for number, read in enumerate(reads)]


@pytest.fixture(scope="module")
def airr_file(
    mixed_reads: list[tuple[str, bytes]], germline: GermlineSet, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("airr") / "mixed.tsv"
    write_airr(path, mixed_reads, germline)
    return path


def test_the_table_is_valid_airr(airr_file: Path) -> None:
    assert airr.validate_rearrangement(str(airr_file))
    header = airr_file.read_text().split("\n", 1)[0].split("\t")
    assert header == list(COLUMNS)
    assert set(airr.schema.RearrangementSchema.required) <= set(header)
    assert set(header) <= set(airr.schema.RearrangementSchema.properties)


def test_reads_without_a_rearrangement_are_counted_and_have_no_line(
    mixed_reads: list[tuple[str, bytes]], germline: GermlineSet, tmp_path: Path
) -> None:
    count = write_airr(tmp_path / "x.tsv", mixed_reads, germline)
    lines = (tmp_path / "x.tsv").read_text().splitlines()
    assert (count.reads, count.without, count.rearrangements) == (len(mixed_reads), 2, len(lines) - 1)
    assert count.junctions == sum(
        bool(line.split("\t")[list(COLUMNS).index("junction")]) for line in lines[1:]
    )


def test_every_line_agrees_with_itself_and_the_germline(airr_file: Path, germline: GermlineSet) -> None:
    sequences = {g.name: g.sequence for g in (*germline.v, *germline.d, *germline.j, *germline.elements)}
    with airr_file.open() as file:
        rows = list(airr.io.RearrangementReader(file))
    for row in rows:
        parts = [row["np1"], row["np2"]]
        read, aligned, reference = "", "", ""
        for segment in "vdj":
            call = row[f"{segment}_call"].split(",")[0]
            if not call:
                continue
            start, end, from_, to = (
                row[f"{segment}_{name}"]
                for name in ("sequence_start", "sequence_end", "germline_start", "germline_end")
            )  # the airr package turns them to 0-based half-open
            ops = [(int(n), op) for n, op in re.findall(r"(\d+)([=XIDSN])", row[f"{segment}_cigar"])]
            assert sum(n for n, op in ops if op in "=XIS") == len(row["sequence"])
            assert sum(n for n, op in ops if op in "=XI") == end - start
            assert sum(n for n, op in ops if op in "=XD") == to - from_
            one, two, matches, columns = "", "", 0, 0
            i, j = start, from_
            for n, op in ops:
                if op in "SN":
                    continue
                one += "-" * n if op == "D" else row["sequence"][i : i + n]
                two += "-" * n if op == "I" else sequences[call][j : j + n]
                i, j = i + (n if op != "D" else 0), j + (n if op != "I" else 0)
                matches += n if op == "=" else 0
                columns += n
            assert all((a == b) == (c == "=") for a, b, c in zip(one, two, _letters(ops), strict=True))
            assert row[f"{segment}_identity"] == pytest.approx(matches / columns, abs=1e-5)
            assert aligned == "" or segment != "v"
            gap = "" if not read else parts[0] if segment == "d" or not row["d_call"] else parts[1]
            if segment == "j" and row["d_call"]:
                gap = parts[1]
            assert row[f"{segment}_alignment_start"] == len(aligned) + len(gap)
            read += gap + row["sequence"][start:end]
            aligned += gap + one
            reference += "N" * len(gap) + two
            assert row[f"{segment}_alignment_end"] == len(aligned)
        assert (row["sequence_alignment"], row["germline_alignment"]) == (aligned, reference)
        assert read in row["sequence"]
        assert row["junction"] in row["sequence"]
        if row["junction"]:
            assert row["cdr3"] == row["junction"][3:-3]
            assert (row["junction_length"], row["junction_aa_length"]) == (
                len(row["junction"]),
                len(row["junction"]) // 3,
            )
        regions = [row[name] for name in ("fwr1", "cdr1", "fwr2", "cdr2", "fwr3", "cdr3", "fwr4")]
        if row["junction"]:
            assert "".join(regions) in row["sequence"]
            assert row["fwr3"][-3:] == row["junction"][:3]
            assert row["fwr4"][:3] == row["junction"][-3:]


def _letters(ops: Sequence[tuple[int, str]]) -> str:
    return "".join(op * n for n, op in ops if op not in "SN")


def test_threads_and_batches_change_no_byte(
    mixed_reads: list[tuple[str, bytes]], airr_file: Path, germline: GermlineSet, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mrd_ngs.airr_table._READS_AT_ONCE", 7)
    write_airr(tmp_path / "x.tsv", iter(mixed_reads), germline, threads=3)
    assert (tmp_path / "x.tsv").read_bytes() == airr_file.read_bytes()


def test_a_compressed_table_holds_the_same(
    mixed_reads: list[tuple[str, bytes]], airr_file: Path, germline: GermlineSet, tmp_path: Path
) -> None:
    import gzip

    for name in ("x.tsv.gz", "y.tsv.gz"):
        write_airr(tmp_path / name, mixed_reads, germline)
    assert gzip.decompress((tmp_path / "x.tsv.gz").read_bytes()) == airr_file.read_bytes()
    assert (tmp_path / "x.tsv.gz").read_bytes() == (tmp_path / "y.tsv.gz").read_bytes()


def test_the_frame_holds_the_table_with_types(
    mixed_reads: list[tuple[str, bytes]], germline: GermlineSet
) -> None:
    frame = airr_frame(mixed_reads, germline)
    found = [f for f in annotate_sequences([r.decode() for _, r in mixed_reads], germline) if f is not None]
    assert len(frame) == len(found) == len(mixed_reads) - 2
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
    for name in ("locus", "v_call", "d_call", "j_call", "junction", "np1", "sequence_alignment", "v_cigar"):
        assert frame[name].fillna("").tolist() == [getattr(f, name) for f in found]
    assert frame["rev_comp"].tolist() == [f.rev_comp for f in found]
    missing = [value is not None for value in (f.productive for f in found)]
    assert frame["productive"].notna().tolist() == missing
    assert (frame["v_sequence_start"].fillna(0) - 1).tolist() == [f.v_start for f in found]


def test_a_frame_of_nothing_has_the_columns(germline: GermlineSet) -> None:
    frame = airr_frame([("a", b"ACGT")], germline)
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 0


def test_regions_follow_imgt_numbering(germline: GermlineSet) -> None:
    v = next(g for g in germline.v if g.name == "IGHV3-23*01")
    j = next(g for g in germline.j if g.name == "IGHJ4*02")
    frame = airr_frame([("a", (v.sequence + "GGATCC" + j.sequence).encode())], germline)
    assert frame["cdr1"][0] == "GGATTCACCTTTAGCAGCTATGCC"  # G F T F S S Y A
    assert frame["cdr2"][0] == "ATTAGTGGTAGTGGTGGTAGCACA"  # I S G S G G S T
    assert frame["fwr4"][0] == "TGGGGCCAGGGAACCCTGGTCACCGTCTCCTCAG"
    assert bool(frame["complete_vdj"][0])
