"""Targets: merged, in the reference's order, and refused where they cannot be meant."""

import gzip

import pytest

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.bed import Target, read_targets

LENGTHS = {"chr2": 1000, "chr1": 500}


def bed(tmp_path, text):
    path = tmp_path / "t.bed"
    path.write_text(text)
    return path


def test_targets_take_the_order_of_the_reference_and_merge(tmp_path):
    path = bed(
        tmp_path,
        "track name=x\n# c\nchr1\t0\t10\tgene\nchr2\t50\t60\nchr2\t10\t20\nchr2\t20\t30\r\nchr2\t12\t15\n\n",
    )
    assert read_targets(path, LENGTHS) == (
        Target("chr2", 10, 30),
        Target("chr2", 50, 60),
        Target("chr1", 0, 10),
    )
    assert read_targets(path)[0] == Target("chr1", 0, 10)


def test_gzip_is_read_and_its_truncation_refused(tmp_path):
    path = tmp_path / "t.bed.gz"
    packed = gzip.compress(b"chr1\t0\t10\n" * 100)
    path.write_bytes(packed)
    assert read_targets(path, LENGTHS) == (Target("chr1", 0, 10),)
    path.write_bytes(packed[:-12])
    with pytest.raises(DamagedFile, match="truncated"):
        read_targets(path)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", InputRefused, "holds no region"),
        ("1\t0\t10\n", InputRefused, "the reference calls it chr1"),
        ("chrX\t0\t10\n", InputRefused, "no contig chrX"),
        ("chr1\t0\t501\n", InputRefused, r"line 1: the region ends at 501.* at most 500"),
        ("chr1\t0\t10\nchr1\t10\t10\n", DamagedFile, "line 2: the region ends"),
        ("chr1\t-1\t10\n", DamagedFile, "line 1: is no region"),
        ("chr1,0,10\n", DamagedFile, "is no region"),
        ("chr1\t0\t²\n", DamagedFile, "is no region"),
    ],
)
def test_what_is_no_target_of_this_reference_is_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read_targets(bed(tmp_path, text), LENGTHS)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="cannot be read"):
        read_targets(tmp_path / "none.bed")
    (tmp_path / "b.bed").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedFile, match="no UTF-8"):
        read_targets(tmp_path / "b.bed")
