"""FASTA in place of FASTQ: records of many lines, never more memory than the longest read accepted."""

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.fastq import Read, check_reads, read_fastq, read_mates

PROTEIN = b"QVQLVQSGAEVKKPGASVKVSCKASGYTFTSYYMHWVRQAPGQGLEWMGIINPSGGSTSYAQKFQG"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_records_of_several_lines_are_read_with_one_quality_for_all_bases(tmp_path: Path, pack) -> None:
    path = write(tmp_path / "a.fastq", pack(b">r0 first\nACGT\nGG\n\n>r1\nTT\n"))
    assert list(read_fastq(path)) == [Read("r0 first", b"ACGTGG", b"??????"), Read("r1", b"TT", b"??")]
    assert check_reads(path) == 2


def test_lower_case_ambiguity_codes_and_mixed_line_ends_are_normalised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fasta", b"\n>r0\r\nacgt\nRACG.\r\r\n>r1\rACGTACGu\n>r2\nAC GT")
    assert [(r.name, r.sequence) for r in read_fastq(path)] == [
        ("r0", b"ACGTNACGN"),
        ("r1", b"ACGTACGN"),
        ("r2", b"ACGT"),
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text("ACGTN", min_size=1, max_size=300), min_size=1, max_size=40),
    st.integers(1, 80),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.integers(1, 50),
)
def test_lines_and_blocks_parted_anywhere_change_nothing(
    sequences: list[str], width: int, end: bytes, at_once: int
) -> None:
    import io

    from pipeline.formats import fasta
    from pipeline.formats.read_stream import ReadStream

    records = [
        b">r%d%s" % (i, end) + end.join(s[at : at + width].encode() for at in range(0, len(s), width))
        for i, s in enumerate(sequences)
    ]
    whole = end.join(records)

    class Sips(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(at_once)

    stream = ReadStream(Sips(whole), Path("a.fasta"), None)
    found = list(fasta.read_fasta(stream, Path("a.fasta"), max_length=300))
    assert found == [(f"r{i}", s.encode()) for i, s in enumerate(sequences)]


@pytest.mark.parametrize("line", [b"A" * 2**20, (b"A" * 60 + b"\n") * 16_000], ids=["one_line", "many_lines"])
def test_a_record_without_end_is_refused_without_holding_it(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.fasta.gz"
    with gzip.open(path, "wb") as file:
        file.write(b">short\nACGT\n>long\n")
        for _ in range(40):
            file.write(line)
    tracemalloc.start()
    with pytest.raises(DamagedFile, match=r"record 2: longer than any read accepted \(100,000"):
        check_reads(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_the_cap_is_of_bases_not_of_bytes(tmp_path: Path) -> None:
    lines = b"\n".join([b"ACGTA"] * 100)
    assert check_reads(write(tmp_path / "a.fasta", b">r\n" + lines), max_length=500) == 1
    with pytest.raises(DamagedFile, match="record 1: longer than any read"):
        check_reads(write(tmp_path / "b.fasta", b">r\n" + lines + b"A"), max_length=500)


@pytest.mark.parametrize(
    "sequence", [PROTEIN, PROTEIN.lower(), b"CARDYW"], ids=["chain", "lower", "junction"]
)
def test_protein_is_refused_as_protein(tmp_path: Path, sequence: bytes) -> None:
    path = write(tmp_path / "a.fasta", b">Yamada_Taro\n" + sequence + b"\n")
    message = r"record 1: the sequence holds letters of amino acids\. Expected: nucleotide reads"
    with pytest.raises(InputRefused, match=message) as caught:
        check_reads(path)
    assert "Yamada" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "cause"),
    [(b">r\nAC!T\n", "no nucleotide code"), (b">r\n\n>s\nA\n", "no bases"), (b">", "no bases")],
    ids=["letters", "empty_read", "header_alone"],
)
def test_what_is_no_read_is_refused(tmp_path: Path, data: bytes, cause: str) -> None:
    with pytest.raises(DamagedFile, match=f"record 1: .*{cause}"):
        check_reads(write(tmp_path / "a.fasta", data))


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_a_cut_gzip_file_is_noticed(tmp_path: Path, kept: float) -> None:
    rows = [format(i * 2654435761 % 2**64, "064b").replace("0", "AC").replace("1", "GT") for i in range(900)]
    whole = gzip.compress("".join(f">r{i}\n{row}\n" for i, row in enumerate(rows)).encode())
    path = write(tmp_path / "a.fasta.gz", whole[: int(len(whole) * kept)])
    with pytest.raises(DamagedFile, match=r"record [\d,]+: the gzip stream ends early"):
        check_reads(path)


def test_mates_need_qualities(tmp_path: Path) -> None:
    one = write(tmp_path / "1.fasta", b">r/1\nACGT\n")
    two = write(tmp_path / "2.fastq", b"@r/2\nACGT\n+\nIIII\n")
    for pair in ((one, two), (two, one)):
        with pytest.raises(InputRefused, match=r"1\.fasta: is FASTA, which holds no qualities"):
            list(read_mates(*pair))


@pytest.mark.parametrize("hidden", [False, True], ids=["fast_inflater", "zlib"])
def test_reads_do_not_depend_on_the_inflater(tmp_path: Path, monkeypatch, hidden: bool) -> None:
    from pipeline.formats import read_stream

    if hidden:
        monkeypatch.setattr(read_stream, "_inflater", lambda: gzip.GzipFile)
    data = b"".join(b"@r%d\n%s\n+\n%s\n" % (i, b"ACGT" * 50, b"I" * 200) for i in range(3000))
    whole = gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    assert len(list(read_fastq(write(tmp_path / "a.fastq.gz", whole)))) == 3000
    for damage, cause in ((whole[:-9], "ends early"), (whole + b"rubbish " * 9, "corrupt")):
        with pytest.raises(DamagedFile, match=cause):
            check_reads(write(tmp_path / "b.fastq.gz", damage))
