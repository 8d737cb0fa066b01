"""U2AF1 over both copies: real sequence, reads that fit both places and have mapping quality 0."""

from dataclasses import replace

import numpy as np
import pysam
import pytest

from chip.false_duplicate import U2AF1_GRCH38, CopiedStretch, at_home
from chip.pooled_pileup import pile_up_pooled, read_pooled, substitutions
from pipeline.errors import InputRefused

HOME, COPY = "chr21_home", "chr21_copy"
READ_NT, FRAGMENT_NT = 100, 160
# 1-based on the copied sequence (chr21:6,483,000): S34F C>T and Q157P A>C on the gene's minus strand
S34F, Q157P = (13_025, "G", "A"), (3_335, "T", "G")
DEPTH = 1000


def stretch_around(position):
    return CopiedStretch(
        gene="U2AF1",
        chrom=HOME,
        start=position - 40,
        end=position + 40,
        copy_chrom=COPY,
        copy_start=position - 40,
    )


@pytest.fixture(scope="module")
def sequence(shared_data):
    text = (shared_data / "chip_reference/extra_genomic.fa").read_text()
    record = next(r for r in text.split(">") if r.startswith("U2AF1L5_dup"))
    return "".join(record.split("\n")[1:]).upper()


@pytest.fixture(scope="module")
def library(sequence, tmp_path_factory):
    """Fragments of a 5 % clone around both hotspots, each placed at one of the two copies by chance."""
    path = tmp_path_factory.mktemp("u2af1") / "both.bam"
    write_library(path, sequence, vaf=0.05, seed=8)
    return path


def write_library(path, sequence, *, vaf, seed, error=1e-3):
    rng = np.random.default_rng(seed)
    length = len(sequence)
    header = {
        "HD": {"VN": "1.6", "SO": "coordinate"},
        "SQ": [{"SN": HOME, "LN": length}, {"SN": COPY, "LN": length}],
    }
    reads = []
    for position, _, alt in (S34F, Q157P):
        for number in range(DEPTH * (FRAGMENT_NT + 80) // FRAGMENT_NT):
            start = position - 1 - int(rng.integers(0, FRAGMENT_NT + 80)) + 40
            bases = list(sequence[start : start + FRAGMENT_NT])
            if rng.random() < vaf and start <= position - 1 < start + FRAGMENT_NT:
                bases[position - 1 - start] = alt
            place = int(rng.integers(0, 2))
            reads += pair(f"{position}:{number}", start, bases, place, rng, error)
    reads.sort(key=lambda r: (r.reference_id, r.reference_start))
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for read in reads:
            file.write(read)
    pysam.index(str(path))


def pair(name, start, bases, place, rng, error):
    first_is_forward = bool(rng.integers(0, 2))
    found = []
    for is_reverse in (False, True):
        offset = FRAGMENT_NT - READ_NT if is_reverse else 0
        own = bases[offset : offset + READ_NT]
        for at in np.flatnonzero(rng.random(READ_NT) < error):
            own[at] = "ACGT"[int(rng.integers(0, 4))]
        read = pysam.AlignedSegment()
        is_read1 = is_reverse != first_is_forward
        read.query_name = name
        read.flag = 0x3 | (0x10 if is_reverse else 0x20) | (0x40 if is_read1 else 0x80)
        read.reference_id = read.next_reference_id = place
        read.reference_start, read.next_reference_start = (
            start + offset,
            start + FRAGMENT_NT - READ_NT - offset,
        )
        read.template_length = -FRAGMENT_NT if is_reverse else FRAGMENT_NT
        read.mapping_quality = 0
        read.cigarstring = f"{READ_NT}M"
        read.query_sequence = "".join(own)
        read.query_qualities = pysam.qualitystring_to_array("I" * READ_NT)
        found.append(read)
    return found


@pytest.mark.parametrize("hotspot", [S34F, Q157P], ids=["S34F", "Q157P"])
def test_a_clone_of_five_per_cent_is_recovered_over_both_copies(library, sequence, hotspot):
    position, ref, alt = hotspot
    assert sequence[position - 1] == ref
    (pooled,) = read_pooled(library, [stretch_around(position)])
    assert pooled.reads.min() > 0.4 * pooled.reads.sum()
    bases = sequence[position - 41 : position + 40]
    (found,) = substitutions(pooled, bases, min_alt=5)
    assert (found.pos, found.ref, found.alt) == (position, ref, alt)
    assert 0.04 <= found.counts.vaf <= 0.06
    assert found.counts.depth == pytest.approx(DEPTH, rel=0.12)


@pytest.mark.parametrize("hotspot", [S34F, Q157P], ids=["S34F", "Q157P"])
def test_a_pileup_that_asks_for_mapping_quality_sees_nothing(library, hotspot):
    """The naive way fails: with quality asked for no read is left, at one copy half of the depth is."""
    position = hotspot[0]
    with pysam.AlignmentFile(str(library)) as bam:
        counted = bam.count_coverage(
            HOME, position - 1, position, read_callback=lambda r: r.mapping_quality >= 20
        )
        assert sum(int(base[0]) for base in counted) == 0
        every = bam.count_coverage(HOME, position - 1, position)
    assert sum(int(base[0]) for base in every) < 0.8 * DEPTH


def test_overlapping_mates_are_one_molecule(library, sequence):
    (pooled,) = read_pooled(library, [stretch_around(S34F[0])])
    assert pooled.depth.max() < 1.15 * DEPTH
    assert not pooled.has_umis


def test_errors_alone_give_no_substitution(sequence, tmp_path):
    write_library(tmp_path / "blank.bam", sequence, vaf=0.0, seed=9)
    for position, _, _ in (S34F, Q157P):
        (pooled,) = read_pooled(tmp_path / "blank.bam", [stretch_around(position)])
        assert substitutions(pooled, sequence[position - 41 : position + 40], min_alt=5) == []


def test_a_reference_without_the_copy_is_refused(library):
    with pysam.AlignmentFile(str(library)) as bam, pytest.raises(InputRefused, match="has no contig chr21"):
        pile_up_pooled(bam, U2AF1_GRCH38[0])


def test_a_file_without_an_index_is_refused(library, tmp_path):
    path = tmp_path / "alone.bam"
    path.write_bytes(library.read_bytes())
    with pytest.raises(InputRefused, match="has no index"):
        read_pooled(path, [stretch_around(S34F[0])])


def test_hotspots_stand_at_both_published_places(shared_data):
    """Positions of a published table of both copies (MIT)."""
    text = (shared_data / "chip_rules/u2af1_hotspots_hg38_MIT.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in text if line.startswith("chr21_")]
    copies = {(int(r[7]), r[5]) for r in rows if int(r[7]) < 10_000_000}
    homes = {(int(r[7]), r[5]) for r in rows if int(r[7]) > 10_000_000}
    assert len(copies) >= 3
    for position, change in copies:
        contig, home, gene = at_home("chr21", position)
        assert (contig, gene) == ("chr21", "U2AF1")
        assert (home, change) in homes


def test_every_coding_exon_is_in_a_stretch(shared_data):
    lines = (shared_data / "chip_reference/panel51_cds_exons_grch38.tsv").read_text().splitlines()
    exons = [tuple(map(int, line.split("\t")[4:6])) for line in lines if line.startswith("U2AF1\t")]
    assert len(exons) == 8
    for start, end in exons:
        assert any(s.start <= start and end <= s.end for s in U2AF1_GRCH38)
    assert replace(U2AF1_GRCH38[0], chrom="21").shift == U2AF1_GRCH38[0].shift
