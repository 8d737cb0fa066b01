"""Reads to counts: real plasma with a known answer, and small BAMs made here."""

import dataclasses

import pysam
import pytest

from cfdna.call import call_plasma
from cfdna.counting.variant_list import read_tumour_variants
from cfdna.read import read_plasma
from cfdna.settings import CfdnaSettings
from pipeline.errors import DamagedFile, InputRefused, SheetRefused
from pipeline.formats.single_sample import single_sample
from pipeline.model import Assay, Status

SETTINGS = CfdnaSettings()


def sample_of(path):
    return single_sample(
        Assay.CFDNA, [path], patient="P1", timepoint="FU1", collected_on="2026-01-01", material="plasma"
    )


@pytest.mark.parametrize(
    ("name", "status", "reads"),
    [
        ("T1", Status.DETECTED, 14),
        ("T2", Status.NOT_DETECTED, 0),
        ("N1", Status.NOT_DETECTED, 0),
        ("N2", Status.NOT_DETECTED, 0),
        ("N3", Status.NOT_DETECTED, 0),
    ],
)
def test_real_plasmas_are_called_as_known(shared_data, name, status, reads):
    folder = shared_data / "cfdna" / "ctdnatools"
    variants = read_tumour_variants(folder / "mutations.tsv")
    for settings in (SETTINGS, dataclasses.replace(SETTINGS, fold_copies=False)):
        plasma = read_plasma(sample_of(folder / f"{name}.bam"), variants, settings)
        tracking = call_plasma(plasma, settings)
        assert tracking.result.status is status
        assert 0 < tracking.result.lod < 0.05
        if not settings.fold_copies:  # as published: copies of a fragment count, and each of its sites
            assert tracking.mutant_observations == reads


CONTIG = "ACGTTGCAAC" * 60


def write_bam(path, reads, *, index=True):
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": len(CONTIG)}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for read in sorted(reads, key=lambda r: r.reference_start):
            file.write(read)
    if index:
        pysam.index(str(path))
    return path


def mates(name, start, *, length=160, read_nt=100, change=None, first_only=False, quality=30, flag=0):
    """A pair over CONTIG[start:start+length]; ``change`` is (0-based position, base)."""
    found = []
    for first in (True,) if first_only else (True, False):
        at = start if first else start + length - read_nt
        bases = CONTIG[at : at + read_nt]
        if change is not None and at <= change[0] < at + read_nt:
            bases = bases[: change[0] - at] + change[1] + bases[change[0] - at + 1 :]
        read = pysam.AlignedSegment()
        read.query_name, read.query_sequence = name, bases
        read.query_qualities = pysam.qualitystring_to_array(chr(33 + quality) * read_nt)
        read.flag = (99 if first else 147) | flag
        read.reference_id, read.reference_start, read.mapping_quality = 0, at, 60
        read.cigarstring = f"{read_nt}M"
        read.next_reference_id = 0
        read.next_reference_start = start + length - read_nt if first else start
        read.template_length = length if first else -length
        found.append(read)
    return found


def variants_table(path, *rows):
    path.write_text("chrom\tpos\tref\talt\n" + "".join("\t".join(map(str, r)) + "\n" for r in rows))
    return path


def test_mates_count_once_copies_count_once_and_disagreement_counts_nowhere(tmp_path):
    mutant = (200, "T" if CONTIG[200] != "T" else "G")
    one = mates("overlap", 130, change=mutant)  # both mates cover position 200
    copy = mates("copy", 130, change=mutant)  # the same two ends
    other = mates("other", 120)
    left, right = mates("disagree", 125)[0], mates("disagree", 125, change=mutant)[1]
    duplicate = mates("duplicate", 110, change=mutant, flag=0x400)
    poor = mates("poor", 112, change=mutant, quality=10)
    bam = write_bam(tmp_path / "a.bam", [*one, *copy, *other, left, right, *duplicate, *poor])
    table = variants_table(tmp_path / "v.tsv", ("chr1", 201, CONTIG[200], mutant[1]))
    (found,) = read_plasma(sample_of(bam), read_tumour_variants(table), SETTINGS).sites
    assert (found.depth, found.mutant) == (2, 1)


def test_a_fragment_over_two_sites_is_one_molecule(tmp_path):
    reads = [r for i in range(20) for r in mates(f"f{i}", 100 + i, read_nt=80)]
    bam = write_bam(tmp_path / "a.bam", reads)
    rows = [("chr1", p, CONTIG[p - 1], "ACGT".replace(CONTIG[p - 1], "")[0]) for p in (141, 151)]
    table = variants_table(tmp_path / "v.tsv", *rows)
    found = read_plasma(sample_of(bam), read_tumour_variants(table), SETTINGS).sites
    assert [s.depth for s in found] == [20, 20]
    assert sum(s.informative for s in found) == pytest.approx(20)


def test_insertions_and_deletions_are_counted(tmp_path):
    reads = [r for i in range(10) for r in mates(f"w{i}", 100 + i)]
    for number in range(3):
        (read,) = mates(f"d{number}", 120 + number, first_only=True)
        at = 150 - read.reference_start
        read.query_sequence = CONTIG[read.reference_start : 150] + CONTIG[152 : read.reference_start + 102]
        read.query_qualities = pysam.qualitystring_to_array("I" * 100)
        read.cigarstring = f"{at}M2D{100 - at}M"
        reads.append(read)
    bam = write_bam(tmp_path / "a.bam", reads)
    table = variants_table(tmp_path / "v.tsv", ("chr1", 150, CONTIG[149:152], CONTIG[149]))
    (found,) = read_plasma(sample_of(bam), read_tumour_variants(table), SETTINGS).sites
    assert (found.mutant, found.depth) == (3, 13)


def test_no_reference_is_said(tmp_path):
    bam = write_bam(tmp_path / "a.bam", mates("a", 100))
    table = variants_table(tmp_path / "v.tsv", ("chr1", 151, CONTIG[150], "ACGT".replace(CONTIG[150], "")[0]))
    assert (
        "REF taken from the variant list"
        in read_plasma(sample_of(bam), read_tumour_variants(table), SETTINGS).notes[0]
    )


def another_base(base, step=1):
    return "ACGT"[("ACGT".index(base) + step) % 4]


def test_another_build_is_refused(tmp_path):
    bam = write_bam(tmp_path / "a.bam", [r for i in range(10) for r in mates(f"f{i}", 100 + i)])
    shifted = [
        ("chr1", p + 1, another_base(CONTIG[p], 1), another_base(CONTIG[p], 2)) for p in (140, 150, 155)
    ]
    table = read_tumour_variants(variants_table(tmp_path / "v.tsv", *shifted))
    with pytest.raises(InputRefused, match="neither allele at 3 of 3 sites"):
        read_plasma(sample_of(bam), table, SETTINGS)
    spelled = read_tumour_variants(variants_table(tmp_path / "w.tsv", ("1", 150, "A", "C")))
    with pytest.raises(InputRefused, match="has no contig 1"):
        read_plasma(sample_of(bam), spelled, SETTINGS)
    beyond = read_tumour_variants(variants_table(tmp_path / "x.tsv", ("chr1", 99_999, "A", "C")))
    with pytest.raises(InputRefused, match="before position 99,999"):
        read_plasma(sample_of(bam), beyond, SETTINGS)
    fasta = tmp_path / "r.fa"
    fasta.write_text(f">chr1\n{CONTIG}\n")
    pysam.faidx(str(fasta))
    with pytest.raises(InputRefused, match="the list says"):
        read_plasma(sample_of(bam), table, SETTINGS, reference=fasta)


def test_bams_that_cannot_be_used_are_refused(tmp_path):
    table = read_tumour_variants(variants_table(tmp_path / "v.tsv", ("chr1", 151, "A", "C")))
    with pytest.raises(InputRefused, match="no such file"):
        read_plasma(sample_of(tmp_path / "none.bam"), table, SETTINGS)
    with pytest.raises(InputRefused, match="has no index"):
        read_plasma(sample_of(write_bam(tmp_path / "n.bam", mates("a", 100), index=False)), table, SETTINGS)
    text = tmp_path / "t.bam"
    text.write_text("not a BAM")
    with pytest.raises(DamagedFile, match="cannot be read as BAM"):
        read_plasma(sample_of(text), table, SETTINGS)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("chr1", "x", "A", "C"), "no whole number"),
        (("chr1", 5, "A", "A"), "two different alleles"),
        (("chr1", 5, "A", "N"), "written in A, C, G and T"),
        (("chr1", 0, "A", "C"), "count from 1"),
    ],
)
def test_rows_that_are_no_variant_are_refused(tmp_path, row, message):
    with pytest.raises(SheetRefused, match=message):
        read_tumour_variants(variants_table(tmp_path / "v.tsv", row))


def test_variants_of_a_vcf_that_pass_are_taken(tmp_path):
    path = tmp_path / "v.vcf"
    path.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n"
        '##FILTER=<ID=weak,Description="w">\n'
        '##INFO=<ID=GENE,Number=1,Type=String,Description="g">\n'
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="d">\n'
        '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="a">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tT\n"
        "chr1\t10\t.\tA\tC\t.\tPASS\tGENE=KRAS\tDP:AD\t100:60,40\n"
        "chr1\t12\t.\tA\tC\t.\tweak\t.\tDP:AD\t100:99,1\n"
    )
    (variant,) = read_tumour_variants(path)
    assert (variant.name, variant.gene, variant.tumour_vaf) == ("chr1:10A>C", "KRAS", pytest.approx(0.4))
