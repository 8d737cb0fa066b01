"""Damaged read files are named with file and record; whole ones are read whole."""

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.fastq import Read, check_reads, read_fastq, read_mates

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def fastq(*sequences: str, mate: str = "") -> bytes:
    return "".join(f"@r{i}{mate}\n{s}\n+\n{'I' * len(s)}\n" for i, s in enumerate(sequences)).encode()


def bgzf_block(data: bytes) -> bytes:
    import struct
    import zlib

    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = deflate.compress(data) + deflate.flush()
    size = len(packed) + 25
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", size)
    return head + packed + struct.pack("<II", zlib.crc32(data), len(data))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_come_in_the_order_of_the_file(tmp_path: Path, pack) -> None:
    path = write(tmp_path / "a.fastq", pack(fastq("ACGT", "GGA")))
    assert list(read_fastq(path)) == [Read("r0", b"ACGT", b"IIII"), Read("r1", b"GGA", b"III")]


def test_compression_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.fastq.gz", fastq("ACGT"))
    packed = write(tmp_path / "packed.fastq", gzip.compress(fastq("ACGT")))
    assert list(read_fastq(plain)) == list(read_fastq(packed))


def test_windows_line_ends_lower_case_and_ambiguity_codes_are_normalised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq", b"@r\r\nacgR.n\r\n+\r\nIIIIII\r\n")
    assert [r.sequence for r in read_fastq(path)] == [b"ACGNNN"]


def test_last_line_needs_no_line_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq", fastq("ACGT").rstrip(b"\n"))
    assert check_reads(path) == 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_no_reads_is_an_error(tmp_path: Path, pack) -> None:
    path = write(tmp_path / "a.fastq", pack(b""))
    with pytest.raises(DamagedFile, match=r"a\.fastq: holds no reads"):
        check_reads(path)


def test_truncated_record_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq", fastq("ACGT", "ACGT")[:-9])
    with pytest.raises(DamagedFile, match=r"a\.fastq, line 5: record 2: not a whole FASTQ record"):
        check_reads(path)


def test_truncated_qualities_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq", fastq("ACGT", "ACGT")[:-3])
    with pytest.raises(DamagedFile, match=r"record 2: .*sequence and qualities differ"):
        check_reads(path)


def test_qualities_of_another_length_than_the_sequence_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq", fastq("ACGT") + b"@x\nACGT\n+\nIII\n" + fastq("ACGT"))
    with pytest.raises(DamagedFile, match=r"line 5: record 2: .*sequence and qualities differ"):
        check_reads(path)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_truncated_gzip_is_refused_wherever_it_is_cut(tmp_path: Path, kept: float) -> None:
    rows = [format(i * 2654435761 % 2**64, "064b").replace("0", "AC").replace("1", "GT") for i in range(500)]
    whole = gzip.compress(fastq(*rows))
    path = write(tmp_path / "a.fastq.gz", whole[: int(len(whole) * kept)])
    with pytest.raises(
        DamagedFile, match=r"a\.fastq\.gz, line \d+: record [\d,]+: the gzip stream ends early"
    ):
        check_reads(path)


def test_corrupt_gzip_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(fastq("ACGT" * 30)))
    whole[-6] ^= 0xFF  # the checksum
    path = write(tmp_path / "a.fastq.gz", bytes(whole))
    with pytest.raises(DamagedFile, match="the gzip stream is corrupt"):
        check_reads(path)


def test_bgzf_with_its_end_block_is_read_through_all_blocks(tmp_path: Path) -> None:
    data = bgzf_block(fastq("ACGT")) + bgzf_block(fastq("GGGG")) + BGZF_END
    assert check_reads(write(tmp_path / "a.fastq.gz", data)) == 2


def test_bgzf_cut_between_two_blocks_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq.gz", bgzf_block(fastq("ACGT")))
    assert gzip.decompress(path.read_bytes()) == fastq("ACGT"), "decompresses without complaint"
    with pytest.raises(DamagedFile, match=r"a\.fastq\.gz: is block-compressed .* the file is truncated"):
        check_reads(path)


def test_too_long_read_is_refused_without_holding_it(tmp_path: Path) -> None:
    path = tmp_path / "a.fastq.gz"
    with gzip.open(path, "wb") as file:
        file.write(fastq("ACGT") + b"@long\n")
        for _ in range(64):
            file.write(b"A" * 2**20)
    tracemalloc.start()
    with pytest.raises(
        DamagedFile, match=r"line 5: record 2: a line is longer than any read accepted \(100,000"
    ):
        check_reads(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_read_just_above_the_cap_is_refused_and_at_the_cap_accepted(tmp_path: Path) -> None:
    assert check_reads(write(tmp_path / "a.fastq", fastq("A" * 500)), max_length=500) == 1
    with pytest.raises(DamagedFile, match="record 1: a line is longer"):
        check_reads(write(tmp_path / "b.fastq", fastq("A" * 501)), max_length=500)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"r\nACGT\n", "not a whole FASTQ record"),
        (b"@r\nAC!T\n+\nIIII\n", "characters that are no nucleotide code"),
        (b"@r\nACGT\n+\nII\x01I\n", r"outside Phred\+33"),
        (b"@r\n\n+\n\n", "no bases"),
        (b"@r\nAC\xffT\n+\nIIII\n", "Non-ASCII"),
        (b"\x00" * 5000, "not a whole FASTQ record"),
    ],
    ids=["no_header", "letters", "qualities", "empty_read", "not_ascii", "zeros"],
)
def test_what_is_no_fastq_is_refused(tmp_path: Path, data: bytes, cause: str) -> None:
    with pytest.raises(DamagedFile, match=f"record 1: .*{cause}"):
        check_reads(write(tmp_path / "a.fastq", data))


def test_damaged_record_is_not_quoted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fastq", b"@Yamada_Taro\nACGT\n+")
    with pytest.raises(DamagedFile, match="record 1") as caught:
        check_reads(path)
    assert "Yamada" not in str(caught.value)


def test_other_compression_is_refused_by_its_name(tmp_path: Path) -> None:
    import bz2

    with pytest.raises(InputRefused, match=r"is bzip2-compressed\. Expected: FASTQ or FASTA, plain or gzip"):
        check_reads(write(tmp_path / "a.fastq.bz2", bz2.compress(fastq("ACGT"))))


@pytest.mark.parametrize("name", ["missing.fastq", "."])
def test_missing_file_or_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputRefused, match=r"cannot be (opened|read) \("):
        check_reads(tmp_path / name)


def test_mates_are_paired_by_name(tmp_path: Path) -> None:
    one = write(tmp_path / "1.fastq", fastq("ACGT", "AAAA", mate="/1"))
    two = write(tmp_path / "2.fastq", fastq("GGGG", "TTTT", mate="/2"))
    assert [(a.sequence, b.sequence) for a, b in read_mates(one, two)] == [
        (b"ACGT", b"GGGG"),
        (b"AAAA", b"TTTT"),
    ]
    assert check_reads(one, two) == 2


@pytest.mark.parametrize("longer", ["1.fastq", "2.fastq"])
def test_mates_of_unequal_number_are_refused(tmp_path: Path, longer: str) -> None:
    paths = {
        name: write(tmp_path / name, fastq("ACGT", *(["AAAA"] if name == longer else [])))
        for name in ("1.fastq", "2.fastq")
    }
    with pytest.raises(DamagedFile, match=r"line 5: record 2: ends here, but its mates in .* go on"):
        check_reads(*paths.values())


def test_mates_with_other_names_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "1.fastq", fastq("ACGT", "ACGT"))
    two = write(tmp_path / "2.fastq", fastq("GGGG") + b"@other\nACGT\n+\nIIII\n")
    with pytest.raises(DamagedFile, match=r"2\.fastq, line 5: record 2: its name is not that of its mate"):
        check_reads(one, two)


@pytest.mark.parametrize("copied", [False, True], ids=["same_file", "copy"])
def test_same_reads_as_both_mates_are_refused(tmp_path: Path, copied: bool) -> None:
    one = write(tmp_path / "1.fastq", fastq("ACGT"))
    two = write(tmp_path / "2.fastq", one.read_bytes()) if copied else one
    with pytest.raises(InputRefused, match="the same reads are given as first and as second mates"):
        check_reads(one, two)


def test_three_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="3 read files"):
        check_reads(*[tmp_path / "a"] * 3)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_read_never_anything_else(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.fastq", data)
        refusal = None
        try:
            reads = check_reads(path)
        except InputRefused as error:
            refusal = error
        assert refusal is not None or reads > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ACGTN", min_size=1, max_size=60), min_size=1, max_size=10), st.integers(0, 10**6))
def test_any_cut_of_a_gzip_file_is_noticed(sequences: list[str], where: int) -> None:
    import tempfile

    whole = gzip.compress(fastq(*sequences), mtime=0)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.fastq.gz", whole[: where % len(whole)])
        with pytest.raises(DamagedFile, match=r"a\.fastq\.gz"):
            check_reads(path)
