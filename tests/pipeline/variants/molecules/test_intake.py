"""Files that are no evidence: each refused with what is wrong and how to mend it, or mended."""

import os

import pysam
import pytest

from molecule_reads import Library, evidence_of, made_up_bases, other_base, write_reference
from pipeline.errors import DamagedFile, InputRefused, UsageError
from pipeline.variants.molecules import MoleculeSettings, UmiSource

BASES = made_up_bases(3000)
SITES = [(1000, 1100)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return write_reference(tmp_path_factory.mktemp("reference") / "ref.fa", {"1": BASES})


@pytest.fixture
def library():
    filled = Library(BASES)
    for start in range(900, 1100, 4):
        filled.molecule(start, 120, made_up_bases(4, start) + "-" + made_up_bases(4, -start))
    return filled


def test_a_missing_file(reference, tmp_path):
    with pytest.raises(InputRefused, match="there is no such file"):
        evidence_of(tmp_path / "none.bam", reference, SITES)


def test_a_file_of_another_kind(reference, tmp_path):
    (tmp_path / "x.bam").write_text("@HD\tVN:1.6\n")
    with pytest.raises(InputRefused, match="not a BGZF file"):
        evidence_of(tmp_path / "x.bam", reference, SITES)


def test_a_packed_file_that_is_no_bam(reference, tmp_path):
    with pysam.BGZFile(str(tmp_path / "x.bam"), "wb") as file:
        file.write(b"@HD\tVN:1.6\n")
    with pytest.raises(InputRefused, match="neither BAM nor CRAM"):
        evidence_of(tmp_path / "x.bam", reference, SITES)


def test_an_empty_bam(reference, tmp_path):
    path = Library(BASES).write(tmp_path / "empty.bam")
    with pytest.raises(InputRefused, match="holds no mapped alignment"):
        evidence_of(path, reference, SITES)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.99])
def test_a_truncated_bam_does_not_pass(reference, tmp_path, library, keep):
    path = library.write(tmp_path / "cut.bam")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(DamagedFile, match="cut short"):
        evidence_of(path, reference, SITES)


def test_a_bam_cut_between_blocks_with_its_end_put_back_does_not_pass(reference, tmp_path, library):
    """As a tool that repairs the last block would leave it; the index knows of more."""
    path = library.write(tmp_path / "cut.bam")
    data = path.read_bytes()
    second = int.from_bytes(data[16:18], "little") + 1
    third = second + int.from_bytes(data[second + 16 : second + 18], "little") + 1
    path.write_bytes(data[:second] + data[third:])
    os.utime(tmp_path / "cut.bam.bai")
    with pytest.raises(DamagedFile, match="shorter than its index says"):
        evidence_of(path, reference, SITES)


def test_a_corrupt_block_does_not_pass(reference, tmp_path, library):
    path = library.write(tmp_path / "corrupt.bam")
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 0x55
    path.write_bytes(bytes(data))
    os.utime(tmp_path / "corrupt.bam.bai")  # its index is not older
    with pytest.raises(DamagedFile, match=r"cannot be unpacked|checksum"):
        evidence_of(path, reference, SITES)


def test_records_out_of_order_under_a_header_that_says_sorted(reference, tmp_path, library):
    path = library.write(tmp_path / "lies.bam", shuffled=1, index=False)
    with pytest.raises(DamagedFile, match="not sorted as its header says"):
        evidence_of(path, reference, SITES)


def test_an_index_older_than_its_file_is_not_believed(reference, tmp_path, library):
    path = library.write(tmp_path / "reads.bam")
    wanted = evidence_of(path, reference, SITES)[0].counts
    index = tmp_path / "reads.bam.bai"
    index.write_bytes(b"BAI\1 something else")
    os.utime(index, (1, 1))
    assert (evidence_of(path, reference, SITES)[0].counts == wanted).all()


def test_a_damaged_index(reference, tmp_path, library):
    path = library.write(tmp_path / "reads.bam")
    (tmp_path / "reads.bam.bai").write_bytes(b"BAI\1\1\0\0")
    with pytest.raises(DamagedFile, match="cannot be read as an index"):
        evidence_of(path, reference, SITES)


def test_no_umis_where_they_are_asked_for(reference, tmp_path):
    library = Library(BASES)
    for start in range(1000, 1040):
        library.pair(start, 120, None)
    path = library.write(tmp_path / "bare.bam")
    with pytest.raises(InputRefused, match=r"no read has a UMI in an RX tag.*--umi none"):
        evidence_of(path, reference, SITES)
    with pytest.raises(InputRefused, match="no read has a UMI at the end of its name"):
        evidence_of(path, reference, SITES, MoleculeSettings(umi=UmiSource.parse("header")))


def test_umis_of_unequal_length(reference, tmp_path, library):
    library.pair(1000, 120, "ACGTA-TTGA")
    path = library.write(tmp_path / "mixed.bam")
    with pytest.raises(InputRefused, match="UMIs have 4 to 5 and 4 to 4 bases"):
        evidence_of(path, reference, SITES)


def test_umis_with_and_without_a_second_part(reference, tmp_path, library):
    library.pair(1000, 120, "ACGT")
    path = library.write(tmp_path / "mixed.bam")
    with pytest.raises(InputRefused, match="UMIs have 4 to 4 and 0 to 4 bases"):
        evidence_of(path, reference, SITES)


def test_contigs_spelled_otherwise(reference, tmp_path):
    library = Library(BASES, contig="chr1")
    library.molecule(1000, 120)
    path = library.write(tmp_path / "chr.bam")
    with pytest.raises(InputRefused, match="has no contig 1; it calls it chr1"):
        evidence_of(path, reference, SITES)
    with pytest.raises(InputRefused, match="has contig 1 but not chr1"):
        evidence_of(path, reference, SITES, contig="chr1")


def test_a_contig_that_is_missing(reference, tmp_path, library):
    path = library.write(tmp_path / "reads.bam")
    with pytest.raises(InputRefused, match="has no contig 7"):
        evidence_of(path, reference, SITES, contig="7")


def test_another_build_is_told_by_length_and_by_bases(reference, tmp_path):
    longer, masked = Library(BASES, length=3001), Library(BASES, md5="0" * 32)
    for library in (longer, masked):
        library.molecule(1000, 120)
    with pytest.raises(InputRefused, match=r"3,000 nucleotides long.*3,001"):
        evidence_of(longer.write(tmp_path / "longer.bam"), reference, SITES)
    with pytest.raises(InputRefused, match=r"has MD5 .* Expected: 0000"):
        evidence_of(masked.write(tmp_path / "masked.bam"), reference, SITES)


def test_cram_packed_against_another_reference(reference, tmp_path, library):
    path, cram = library.write(tmp_path / "reads.bam"), tmp_path / "reads.cram"
    other = write_reference(tmp_path / "other.fa", {"1": "".join(map(other_base, BASES))})
    pysam.view("-C", "-T", str(other), "-o", str(cram), str(path), catch_stdout=False)
    with pytest.raises(InputRefused, match=r"another reference|has MD5"):
        evidence_of(cram, reference, SITES)


@pytest.mark.parametrize("text", ["", "inline", "inline:4+4+4", "inline:-4", "inline:40", "inline:0+0", "RX"])
def test_umi_sources_that_mean_nothing(text):
    with pytest.raises(UsageError, match="--umi is not understood"):
        UmiSource.parse(text)
