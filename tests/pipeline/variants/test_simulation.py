"""Simulated libraries: what is planted is there, what is not asked for is not, and the truth says so."""

import dataclasses
import gzip
import json

import numpy as np
import pysam
import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.errors import InputRefused, UsageError
from pipeline.formats.bed import Target
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import ErrorRates, LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.made_up import draw_contigs, targets_of
from pipeline.variants.simulation.planted import (
    PlantedVariant,
    draw_germline,
    draw_somatic,
    read_planted,
)
from pipeline.variants.simulation.truth import write_truth_vcf
from small_gene import write_fasta

TARGETS = (Target("one", 800, 1200), Target("one", 2000, 2300))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    contigs = draw_contigs(np.random.default_rng(5), {"one": 3000, "two": 900})
    with Reference(write_fasta(tmp_path_factory.mktemp("ref") / "r.fa", contigs)) as bases:
        yield bases


def snv(reference, start, vaf, haplotype=0):
    ref = reference.bases("one", start, start + 1)
    alt = "ACGT"["TGCA".index(ref)]
    return PlantedVariant(contig="one", start=start, ref=ref, alt=alt, vaf=vaf, haplotype=haplotype)


def planted(reference):
    """A heterozygous SNP, a homozygous one, and a somatic variant of each kind."""
    rng = np.random.default_rng(8)
    fixed = [snv(reference, 900, 0.5, 1), snv(reference, 2100, 1.0, 3)]
    counts = {"snv": 1, "mnv": 1, "insertion": 1, "deletion": 1, "complex": 1}
    return [*fixed, *draw_somatic(reference, TARGETS, [0.3], counts, rng, taken=fixed)]


@pytest.fixture(scope="module")
def clean(reference, tmp_path_factory):
    """A library in which nothing goes wrong: BAM, mates and truth."""
    folder = tmp_path_factory.mktemp("clean")
    files = LibraryFiles(bam=folder / "a.bam", mates=(folder / "1.fastq.gz", folder / "2.fastq.gz"))
    design = LibraryDesign(depth_molecules=200, rates=ErrorRates.none())
    rng = np.random.default_rng(1)
    truth = simulate_library(reference, TARGETS, planted(reference), design, rng, files, sample="S")
    write_truth_vcf(folder / "truth.vcf.gz", truth, reference, "S")
    return folder, truth


def with_errors(reference, folder, rates, *, seed=2, depth=150.0, variants=(), **design):
    files = LibraryFiles(bam=folder / "e.bam")
    chosen = LibraryDesign(depth_molecules=depth, rates=rates, **design)
    rng = np.random.default_rng(seed)
    truth = simulate_library(reference, TARGETS, variants, chosen, rng, files, sample="S")
    with pysam.AlignmentFile(str(folder / "e.bam")) as file:
        return truth, list(file)


def haplotype_of(reference, read):
    """What the read says in place of the reference it is aligned to, from its CIGAR alone."""
    return read.get_reference_sequence().upper(), read.query_alignment_sequence


def edited(reference, start, end, variants):
    bases = reference.bases("one", start, end)
    for v in sorted(variants, key=lambda v: -v.start):
        bases = bases[: v.start - start] + v.alt + bases[v.end - start :]
    return bases


def test_every_read_of_a_clean_library_is_its_molecule_with_its_variants(reference, clean):
    """Each whole molecule is the reference with some of the planted variants, in all of its reads."""
    folder, truth = clean
    by_molecule = {}
    with pysam.AlignmentFile(str(folder / "a.bam")) as file:
        for read in file:
            by_molecule.setdefault(read.query_name[:10], set()).add(
                (read.is_reverse, read.query_sequence, read.cigarstring, read.reference_start)
            )
    assert len(by_molecule) == truth.molecules
    # A clean molecule has one forward and one reverse read, whatever its strands and copies.
    assert {len(reads) for reads in by_molecule.values()} == {2}
    carried = 0
    for reads in by_molecule.values():
        for _, bases, cigar, start in reads:
            if "S" in cigar or any(v.start < start < v.end for v in truth.planted):
                continue  # the read begins inside a variant
            end = start + len(bases) + 20
            inside = [v for v in truth.planted if start <= v.start and v.end < end]
            choices = [[]]
            for v in inside:
                choices += [[*c, v] for c in choices]
            shown = [c for c in choices if edited(reference, start, end, c).startswith(bases)]
            assert shown, (cigar, start, bases)
            carried += bool(shown[0])
    assert carried > 50


def test_records_are_valid_sorted_and_indexed(reference, clean):
    folder, truth = clean
    with pysam.AlignmentFile(str(folder / "a.bam")) as file:
        assert file.header["HD"]["SO"] == "coordinate"
        assert file.header["SQ"][0]["M5"] == reference.md5("one")
        reads = list(file)
        assert [r.reference_start for r in reads] == sorted(r.reference_start for r in reads)
        assert file.count("one", 2000, 2300) < len(reads) == 2 * truth.read_pairs
    mates = {(r.query_name, r.is_read1): r for r in reads}
    for read in reads[::50]:
        mate = mates[read.query_name, not read.is_read1]
        assert (read.next_reference_start, read.get_tag("MC")) == (mate.reference_start, mate.cigarstring)
        assert read.template_length == -mate.template_length
        assert read.is_reverse != mate.is_reverse
        assert read.get_tag("RX") == mate.get_tag("RX")
        pairs = read.get_aligned_pairs(matches_only=True)
        wrong = sum(reference.bases("one", p, p + 1) != read.query_sequence[q] for q, p in pairs)
        gaps = sum(size for kind, size in read.cigartuples if kind in (1, 2))
        assert read.get_tag("NM") == wrong + gaps


def test_strands_of_a_molecule_have_each_others_umis_turned(clean):
    folder, _ = clean
    found = {}
    with pysam.AlignmentFile(str(folder / "a.bam")) as file:
        for read in file:
            strand = "A" if read.is_read1 != read.is_reverse else "B"
            assert read.query_name[10] == strand
            found.setdefault(read.query_name[:10], {}).setdefault(strand, set()).add(read.get_tag("RX"))
    both = [strands for strands in found.values() if len(strands) == 2]
    assert len(both) > 100
    assert all({"-".join(u.split("-")[::-1]) for u in s["A"]} == s["B"] for s in both)


def test_truth_counts_are_those_of_the_reads(clean):
    folder, truth = clean
    for variant, (molecules, mutant, _, _) in zip(truth.planted, truth.tally.tolist(), strict=True):
        if variant.kind not in ("snv", "mnv"):
            continue
        seen = {}
        with pysam.AlignmentFile(str(folder / "a.bam")) as file:
            for read in file.fetch("one", variant.start, variant.end):
                places = {p: q for q, p in read.get_aligned_pairs(matches_only=True)}
                shown = [places.get(p) for p in range(variant.start, variant.end)]
                if None not in shown:
                    bases = "".join(read.query_sequence[q] for q in shown)
                    seen.setdefault(read.query_name[:10], set()).add(bases)
        assert abs(sum(variant.alt in s for s in seen.values()) - mutant) <= 1
        assert abs(len(seen) - molecules) <= 2  # an indel of the molecule moves the reads' ends
    heterozygous, homozygous = truth.tally[:2]
    assert abs(heterozygous[1] / heterozygous[0] - 0.5) < 0.15
    assert homozygous[0] == homozygous[1] > 0


def test_truth_vcf_is_read_back_as_what_was_planted(reference, clean):
    folder, truth = clean
    path = folder / "truth.vcf.gz"
    found = read_planted(path, reference)
    assert sorted(found, key=lambda v: v.start) == sorted(truth.planted, key=lambda v: v.start)
    with pysam.VariantFile(str(path)) as file:
        assert file.header.contigs["one"].length == 3000
        assert {r.info["KIND"] for r in file} == {"snv", "mnv", "insertion", "deletion", "complex"}


def test_mates_in_fastq_are_the_reads_of_the_bam(clean):
    folder, truth = clean
    reads = {}
    for number in (1, 2):
        with gzip.open(folder / f"{number}.fastq.gz", "rt") as file:
            lines = file.read().splitlines()
        assert len(lines) == 4 * truth.read_pairs
        for k in range(0, len(lines), 4):
            name, umis = lines[k][1:].split(":")
            reads[name, number] = (lines[k + 1], lines[k + 3], umis.replace("+", "-"))
    with pysam.AlignmentFile(str(folder / "a.bam")) as file:
        for read in file:
            expected = (
                read.get_forward_sequence(),
                "".join(chr(33 + q) for q in read.get_forward_qualities()),
                read.get_tag("RX"),
            )
            assert reads[read.query_name, 1 if read.is_read1 else 2] == expected


def test_same_seed_same_bytes_and_another_seed_others(reference, tmp_path):
    files = [tmp_path / f"{n}.bam" for n in range(3)]
    for path, seed in zip(files, (4, 4, 5), strict=True):
        design = LibraryDesign(depth_molecules=20)
        rng = np.random.default_rng(seed)
        simulate_library(reference, TARGETS, (), design, rng, LibraryFiles(bam=path), sample="S")
    one, same, other = (path.read_bytes() for path in files)
    assert one == same != other


def mismatches(reference, reads):
    """Substitutions shown: (strand A or B, reference base, read base), per read."""
    found = []
    for read in reads:
        if not read.get_tag("NM"):
            continue
        for q, p in read.get_aligned_pairs(matches_only=True):
            base, ref = read.query_sequence[q], reference.bases("one", p, p + 1)
            if base != ref:
                found.append(
                    (read.query_name, ref, base, min(p - read.reference_start, read.reference_end - 1 - p))
                )
    return found


def test_damage_is_on_one_strand_and_on_all_of_its_copies(reference, tmp_path):
    rates = dataclasses.replace(ErrorRates.none(), oxidation=6e-3)
    truth, reads = with_errors(reference, tmp_path, rates, depth=60.0)
    found = mismatches(reference, reads)
    assert truth.counts["oxidation"] > 100
    assert {(name[10], ref, base) for name, ref, base, _ in found} == {("A", "G", "T"), ("B", "C", "A")}
    rates = dataclasses.replace(ErrorRates.none(), deamination=6e-3)
    _, reads = with_errors(reference, tmp_path, rates, depth=60.0)
    found = mismatches(reference, reads)
    assert {(name[10], ref, base) for name, ref, base, _ in found} == {("A", "C", "T"), ("B", "G", "A")}


def test_end_repair_errs_on_both_strands_near_fragment_ends_only(reference, tmp_path):
    rates = dataclasses.replace(ErrorRates.none(), end_repair=0.05, end_repair_nt=8)
    truth, reads = with_errors(reference, tmp_path, rates, depth=60.0, family_mean=4.0, read_nt=250)
    found = mismatches(reference, reads)
    assert truth.counts["end_repair"] > 30
    assert {(ref, base) for _, ref, base, _ in found} == {("C", "T"), ("G", "A")}
    assert max(distance for *_, distance in found) < 8
    strands = {}
    for name, *_ in found:
        strands.setdefault(name[:10], set()).add(name[10])
    assert sum(len(s) == 2 for s in strands.values()) > 0.6 * len(strands)


def test_sequencing_errors_are_as_frequent_as_their_qualities_say(reference, tmp_path):
    _, reads = with_errors(
        reference, tmp_path, dataclasses.replace(ErrorRates.none(), sequencing=1.0), depth=400.0
    )
    bases, wrong, expected = {}, {}, {11: 0.0794, 25: 0.00316, 37: 0.0002}
    for read in reads:
        for q, p in read.get_aligned_pairs(matches_only=True):
            quality = read.query_qualities[q]
            bases[quality] = bases.get(quality, 0) + 1
            differs = read.query_sequence[q] != reference.bases("one", p, p + 1)
            wrong[quality] = wrong.get(quality, 0) + differs
    for quality, rate in expected.items():
        mean = bases[quality] * rate
        assert abs(wrong[quality] - mean) < 4 * mean**0.5


def test_slippage_grows_with_the_run_and_is_left_aligned(reference, tmp_path):
    rates = dataclasses.replace(ErrorRates.none(), slippage_copy=0.05)
    truth, reads = with_errors(reference, tmp_path, rates)
    gaps = [read for read in reads if any(kind in (1, 2) for kind, _ in read.cigartuples)]
    assert truth.counts["slippage_copy"] > 50
    assert len(gaps) > 20
    for read in gaps:
        place = read.reference_start
        for kind, size in read.cigartuples:
            if kind in (1, 2):
                run = reference.bases("one", place, place + 5)
                assert size == 1
                assert len(set(run)) == 1
                assert reference.bases("one", place - 1, place) != run[0]
            place += size if kind in (0, 2) else 0


def test_foreign_molecules_differ_at_the_same_places_and_map_poorly(reference, tmp_path):
    rates = dataclasses.replace(ErrorRates.none(), foreign=0.2)
    truth, reads = with_errors(reference, tmp_path, rates)
    assert truth.counts["foreign_molecules"] > 0.1 * truth.molecules
    poor = [read for read in reads if read.mapping_quality < 60]
    assert max(read.mapping_quality for read in poor) < 30
    places = {}
    for read in poor:
        for q, p in read.get_aligned_pairs(matches_only=True):
            if read.query_sequence[q] != reference.bases("one", p, p + 1):
                places.setdefault(p, set()).add(read.query_sequence[q])
    assert places
    assert {len(bases) for bases in places.values()} == {1}
    assert not any(read.get_tag("NM") for read in reads if read.mapping_quality == 60)


def test_indels_near_read_ends_become_mismatches_or_clips(reference, tmp_path):
    """An aligner pays 7 for a gap of one base, so a tail of 5 bases never has it."""
    planted = [
        PlantedVariant(contig="one", start=1000, ref=reference.bases("one", 1000, 1003), alt="", vaf=1.0)
    ]
    _, reads = with_errors(reference, tmp_path, ErrorRates.none(), variants=planted)
    spanning = 0
    for read in reads:
        kinds = [kind for kind, _ in read.cigartuples]
        if 2 in kinds:
            spanning += 1
            assert min(read.cigartuples[0][1], read.cigartuples[-1][1]) > 4
    assert spanning > 50
    assert any(read.cigartuples[-1][0] == 4 or read.cigartuples[0][0] == 4 for read in reads)


@pytest.mark.parametrize(("umi", "size"), [("single", 8), ("none", 0), ("duplex", 17)])
def test_umi_layouts(reference, tmp_path, umi, size):
    _, reads = with_errors(reference, tmp_path, ErrorRates.none(), depth=20.0, umi=umi)
    assert {len(read.get_tag("RX")) if read.has_tag("RX") else 0 for read in reads} == {size}


def test_depth_and_duplex_share_are_those_of_the_design(reference, tmp_path):
    truth, reads = with_errors(reference, tmp_path, ErrorRates.none(), depth=400.0)
    over = {r.query_name[:10] for r in reads if r.reference_start <= 1000 < r.reference_end}
    assert abs(len(over) - 400) < 80
    p0 = (1.1 / 3.1) ** 1.1
    assert abs(truth.duplex_molecules / truth.molecules - (1 - p0) / (1 + p0)) < 0.05


def test_variants_that_touch_are_refused(reference, tmp_path):
    variants = [snv(reference, 900, 0.1), snv(reference, 901, 0.1)]
    with pytest.raises(UsageError, match="one:902 touch"):
        with_errors(reference, tmp_path, ErrorRates.none(), variants=variants)


def test_more_variants_than_room_are_refused(reference):
    with pytest.raises(UsageError, match="no room for"):
        draw_germline(reference, TARGETS[1:], 30, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("one\t901\t.\tN\tA\t.\tPASS\tVAF=0.1", "REF N is not the reference"),
        ("one\t901\t.\tA\t<DEL>\t.\tPASS\tVAF=0.1", "cannot be planted"),
        ("one\t901\t.\tA\tC\t.\tPASS\t.", "cannot be planted"),
    ],
)
def test_a_file_of_variants_that_cannot_be_planted_is_refused(reference, tmp_path, record, message):
    head = '##fileformat=VCFv4.2\n##contig=<ID=one>\n##INFO=<ID=VAF,Number=1,Type=Float,Description="d">\n'
    path = tmp_path / "v.vcf"
    path.write_text(head + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + record + "\n")
    with pytest.raises(InputRefused, match=message):
        read_planted(path, reference)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth_molecules": 0}, "depth is above 0"),
        ({"fragment_mean_nt": 10}, "fragments are 60 to 500"),
        ({"family_mean": 0}, "families have a mean"),
        ({"read_nt": 10}, "reads are 30 to 300"),
    ],
)
def test_designs_that_mean_nothing_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        LibraryDesign(**wrong)


def test_command_writes_a_sample_controls_and_their_truth(tmp_path):
    out = tmp_path / "sim"
    ended = CliRunner().invoke(
        app,
        [
            "variants",
            "simulate",
            "--out",
            str(out),
            "--depth-molecules",
            "15",
            "--controls",
            "1",
            "--mnvs",
            "1",
        ],
    )
    assert ended.exit_code == 0, ended.output
    names = {p.name for p in out.iterdir()}
    assert {
        "sample.bam",
        "sample.bam.bai",
        "control_1.bam",
        "targets.bed",
        "reference.fa",
        "truth.json",
    } <= names
    truth = json.loads((out / "truth.json").read_text())
    assert set(truth["libraries"]) == {"sample", "control_1"}
    with pysam.VariantFile(str(out / "sample.truth.vcf.gz")) as file:
        kinds = [r.info["KIND"] for r in file if "GERMLINE" not in r.info]
    assert sorted(kinds) == ["deletion"] * 4 + ["insertion"] * 4 + ["mnv"] + ["snv"] * 8
    assert len(targets_of({"made_up_1": 12_000, "made_up_2": 8_000})) > 5


def test_command_refuses_options_that_contradict_each_other(tmp_path):
    ended = CliRunner().invoke(app, ["variants", "simulate", "--out", str(tmp_path), "--umi", "triplex"])
    assert isinstance(ended.exception, UsageError)
    assert "--umi is duplex, single or none" in str(ended.exception)
