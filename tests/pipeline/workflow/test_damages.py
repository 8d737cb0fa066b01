"""Each kind of damage to an input, and what intake does: refused with its reason, or said to be unverified.

None is accepted in silence. What no checksum of the file itself can show (`HASH_ONLY`) passes where
the sheet states no digest, is then named *unverified* by `nadir check`, and is refused where it states one.
"""

import gzip
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pysam
import pytest

from mrd_flow.panel.template import load_panel
from mrd_flow.simulate import simulate_tube
from pipeline.errors import DamagedFile, SheetRefused
from pipeline.formats.alignments import check_alignments
from pipeline.formats.digest import damage_shows, sha256_file
from pipeline.model import Assay, Material, Sample, Sex
from pipeline.workflow.batch import Batch
from pipeline.workflow.intake import inspect_inputs

Damage = Callable[[bytes], bytes]

READS = b"".join(b"@r%d/1\n%s\n+\n%s\n" % (i, b"ACGTTGCA" * 12, b"I" * 96) for i in range(400))


def mates() -> bytes:
    return READS.replace(b"/1\n", b"/2\n").replace(b"ACGTTGCA", b"GGCATTGA")


def bgzf(data: bytes) -> bytes:
    """Blocks of 20,000 bytes, and the block that ends the file."""
    import struct
    import zlib

    blocks = []
    for start in [*range(0, len(data), 20_000), len(data)]:
        piece = data[start : start + 20_000]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = deflate.compress(piece) + deflate.flush()
        head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(packed) + 25)
        blocks.append(head + packed + struct.pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(blocks)


def flipped(at: float) -> Damage:
    def flip(data: bytes) -> bytes:
        place = int(len(data) * at)
        return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]

    return flip


def without_last(count: int) -> Damage:
    return lambda data: data[:-count]


def first(part: float) -> Damage:
    return lambda data: data[: int(len(data) * part)]


def replaced(old: bytes, new: bytes) -> Damage:
    def replace(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return replace


def first_blocks(data: bytes) -> bytes:
    """A BGZF file cut between two of its blocks."""
    return data[: 2 * (int.from_bytes(data[16:18], "little") + 1)]


def a_record_less(data: bytes) -> bytes:
    return data[data.index(b"@r1/") :]


FASTQ: dict[str, tuple[Damage, str]] = {
    "empty": (lambda data: b"", "no reads"),
    "cut inside a record": (without_last(50), "record 400"),
    "cut inside the last record's bases": (without_last(140), "record 400|truncated|ends"),
    "quality shorter than bases": (replaced(b"I" * 96 + b"\n", b"I" * 95 + b"\n"), "record 1"),
    "quality missing": (replaced(b"+\n" + b"I" * 96 + b"\n", b""), "record|@"),
    "a letter that is no base": (replaced(b"ACGT", b"AC!T"), "record 1"),
    "binary rubbish": (lambda data: bytes(range(256)) * 20, "FASTQ|FASTA|read"),
    "zeros in the middle": (lambda data: data[:9_000] + bytes(4_096) + data[13_096:], "record"),
    "zeros at the end": (lambda data: data + bytes(4_096), "record|reads"),
    "a page of an error message": (lambda data: b"<html>404 Not Found</html>\n", "FASTQ|FASTA"),
}
GZIP: dict[str, tuple[Damage, str]] = {
    "gzip cut inside": (first(0.6), "truncated|ends"),
    "gzip without its last eight bytes": (without_last(8), "truncated|ends"),
    "gzip with a flipped bit": (flipped(0.5), "corrupt|checksum|unpack|damaged"),
    "gzip with a wrong checksum": (lambda data: data[:-8] + bytes(4) + data[-4:], "checksum|corrupt|CRC"),
    "gzip with rubbish behind": (lambda data: data + b"rubbish", "corrupt|behind|after|rubbish|gzip"),
    "gzip of nothing": (lambda data: gzip.compress(b""), "no reads"),
    "another compression": (lambda data: b"BZh91AY&SY" + data[10:], "bzip2"),
}
BGZF: dict[str, tuple[Damage, str]] = {
    "BGZF cut between blocks": (first_blocks, "truncated|last block|ends"),
    "BGZF without its end block": (without_last(28), "truncated|last block|ends"),
    "BGZF with a flipped bit": (flipped(0.4), "corrupt|checksum|unpack|damaged"),
}
MATES: dict[str, tuple[Damage, str]] = {
    "a mate file shorter than the other": (lambda data: data[: data.index(b"@r399/")], "399|400"),
    "the same reads given as both mates": (lambda data: READS, "mates"),
    "a mate file whose first record is lost": (a_record_less, "r0|r1|mates|pair"),
}
FCS: dict[str, tuple[Damage, str]] = {
    "FCS empty": (lambda data: b"", "empty|FCS"),
    "FCS cut in its events": (without_last(400), "event|byte|truncated"),
    "FCS cut in its text": (first(0.002), "TEXT|text|byte|truncated|HEADER"),
    "FCS cut to its first bytes": (lambda data: data[:40], "HEADER|header|FCS|byte"),
    "FCS that states more events than it has": (lambda d: with_tot(d, 9), "event|TOT|byte"),
    "no FCS at all": (lambda data: b"GIF89a" + data[6:], "FCS"),
    "FCS whose text is rubbish": (
        lambda data: data[:58] + bytes(2_000) + data[2_058:],
        "TEXT|text|keyword|key",
    ),
    "FCS of no events": (lambda d: with_tot(d, 0), "no events|event|TOT"),
}
BAM: dict[str, tuple[Damage, str]] = {
    "BAM empty": (lambda data: b"", "neither BAM nor CRAM"),
    "BAM cut in the middle": (first(0.5), "truncated"),
    "BAM without its end block": (without_last(28), "truncated"),
    "BAM cut, then ended as if whole": (lambda data: data[: len(data) // 2] + data[-28:], "corrupt"),
    "BAM with a flipped bit": (flipped(0.5), "corrupt"),
    "BAM that is text": (lambda data: b"@HD\tVN:1.6\n", "neither BAM nor CRAM"),
}
CRAM: dict[str, tuple[Damage, str]] = {
    "CRAM cut in the middle": (first(0.5), "corrupt or truncated"),
    "CRAM without its end": (without_last(38), "truncated"),
    "CRAM with a flipped bit": (flipped(0.6), "corrupt"),
    "CRAM with bytes behind its end": (lambda data: data + b"more", "corrupt|after"),
    "CRAM of an old version": (lambda data: data[:4] + b"\x02" + data[5:], "version 3"),
}
HASH_ONLY: dict[str, tuple[str, Damage]] = {
    "plain FASTQ cut at a record's end": (".fastq", lambda data: data[: data.index(b"@r200/")]),
    "plain FASTQ with another base": (".fastq", replaced(b"ACGTTGCA", b"ACGTTGCC")),
    "FCS with a flipped bit in its events": (".fcs", flipped(0.7)),
}


def with_tot(data: bytes, factor: int) -> bytes:
    """Another number of events in the text, its length kept."""
    return data.replace(b"8000", b"%04d" % (1000 * factor), 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """An undamaged file of every kind."""
    folder = tmp_path_factory.mktemp("whole")
    tube = folder / "a.fcs"
    simulate_tube(
        tube, load_panel("srl"), 0, events=8_000, aberrant_fraction=0.1, rng=np.random.default_rng(3)
    )
    kinds = {
        ".fastq": READS,
        ".fastq.gz": gzip.compress(READS),
        "bgzf": bgzf(READS),
        ".fcs": tube.read_bytes(),
    }
    for suffix, mode in ((".bam", "wb"), (".cram", "wc")):
        path = folder / f"a{suffix}"
        write_alignments(path, mode)
        kinds[suffix] = path.read_bytes()
    return kinds


def write_alignments(path: Path, mode: str, reads: int = 3_000, order: str = "coordinate") -> None:
    header = {"HD": {"VN": "1.6", "SO": order}, "SQ": [{"SN": "chr1", "LN": 100_000}]}
    rng = np.random.default_rng(4)
    options = [b"no_ref=1"] if mode == "wc" else []
    with pysam.AlignmentFile(str(path), mode, header=header, format_options=options) as out:
        for number in range(reads):
            read = pysam.AlignedSegment(out.header)
            read.query_name = f"r{number}"
            read.query_sequence = "".join(rng.choice(list("ACGT"), 80))
            read.query_qualities = pysam.qualitystring_to_array("I" * 80)
            read.reference_id, read.reference_start, read.cigarstring = 0, number * 10, "80M"
            read.mapping_quality = 60
            out.write(read)


def sample(*files: Path, sha256: tuple[str, ...] = ()) -> Sample:
    flow = files[0].suffix == ".fcs"
    return Sample(
        study_id="T1", patient_id="P01", timepoint="BASE", collected_on=date(2026, 3, 1),
        material=Material.BONE_MARROW, assay=Assay.FLOW if flow else Assay.NGS, files=files,
        run_id="R1", cells=None if flow else 1_000_000, dna_ng=None, spike_ins=None,
        panel="srl" if flow else "", sex=Sex.FEMALE, sha256=sha256, line=2,
    )  # fmt: skip


def take_in(folder: Path, *files: Path, sha256: tuple[str, ...] = ()) -> dict[Path, str]:
    return inspect_inputs(folder / "sheet.csv", [sample(*files, sha256=sha256)], Batch(folder / "batch"))


def cases(*tables: tuple[str, dict[str, tuple[Damage, str]]]) -> list[object]:
    return [
        pytest.param(kind, damage, reason, id=name)
        for kind, table in tables
        for name, (damage, reason) in table.items()
    ]


@pytest.mark.parametrize(
    ("kind", "damage", "reason"),
    cases((".fastq", FASTQ), (".fastq.gz", GZIP), ("bgzf", BGZF), (".fcs", FCS)),
)
def test_damaged_file_is_refused_with_its_reason(kind, damage, reason, whole, tmp_path):
    path = tmp_path / f"a{'.fastq.gz' if kind == 'bgzf' else kind}"
    path.write_bytes(whole[kind])
    take_in(tmp_path, path)  # it was good before
    path.write_bytes(damage(whole[kind]))
    with pytest.raises(SheetRefused, match=reason) as caught:
        take_in(tmp_path, path)
    assert [(p.line, p.code) for p in caught.value.problems] == [(2, "damaged_file")]
    assert path.name in caught.value.problems[0].cause


@pytest.mark.parametrize(("kind", "damage", "reason"), cases((".fastq", MATES)))
def test_mates_that_do_not_belong_together_are_refused(kind, damage, reason, whole, tmp_path):
    one, two = tmp_path / "1.fastq", tmp_path / "2.fastq"
    one.write_bytes(whole[kind])
    two.write_bytes(mates())
    take_in(tmp_path, one, two)
    two.write_bytes(damage(mates()))
    with pytest.raises(SheetRefused, match=reason):
        take_in(tmp_path, one, two)


@pytest.mark.parametrize(("kind", "damage", "reason"), cases((".bam", BAM), (".cram", CRAM)))
def test_damaged_alignments_are_refused_with_their_reason(kind, damage, reason, whole, tmp_path):
    path = tmp_path / f"a{kind}"
    path.write_bytes(whole[kind])
    assert check_alignments(path, indexed=False) == 3_000
    path.write_bytes(damage(whole[kind]))
    with pytest.raises(DamagedFile, match=reason):
        check_alignments(path, indexed=False)


def test_every_single_flipped_bit_of_a_cram_file_is_found(whole, tmp_path):
    """Beyond its first 26 bytes: identifier and version are compared, the file's own name may change."""
    path, data = tmp_path / "a.cram", whole[".cram"]
    rng = np.random.default_rng(6)
    for place in rng.integers(26, len(data), 60):
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        with pytest.raises(DamagedFile, match=r"corrupt|truncated"):
            check_alignments(path, indexed=False)


@pytest.mark.parametrize("kind", [".bam", ".cram"])
def test_alignments_without_reads_without_index_or_with_a_stale_one_are_refused(kind, tmp_path):
    path, mode = tmp_path / f"a{kind}", "wb" if kind == ".bam" else "wc"
    write_alignments(path, mode, reads=0)
    with pytest.raises(DamagedFile, match="no reads"):
        check_alignments(path)
    write_alignments(path, mode, reads=20)
    with pytest.raises(DamagedFile, match="has no index"):
        check_alignments(path)
    pysam.index(str(path))
    assert check_alignments(path) == 20
    index = next(p for p in tmp_path.iterdir() if p.suffix in (".bai", ".crai"))
    os.utime(index, (1, 1))
    with pytest.raises(DamagedFile, match="older than the file"):
        check_alignments(path)


def test_unsorted_bam_is_refused_where_regions_will_be_asked_for(tmp_path):
    path = tmp_path / "a.bam"
    write_alignments(path, "wb", reads=20, order="unsorted")
    assert check_alignments(path, indexed=False) == 20
    with pytest.raises(DamagedFile, match="not sorted by coordinate"):
        check_alignments(path)


@pytest.mark.parametrize(("suffix", "damage"), HASH_ONLY.values(), ids=HASH_ONLY)
def test_what_only_a_digest_shows_is_refused_where_one_is_stated_else_unverified(
    suffix, damage, whole, tmp_path
):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole[suffix])
    stated = sha256_file(path)
    path.write_bytes(damage(whole[suffix]))
    assert take_in(tmp_path, path) == {path: sha256_file(path)}
    assert not damage_shows(path)  # so `nadir check` and the pages call it unverified
    with pytest.raises(SheetRefused, match="SHA-256 is not the one stated"):
        take_in(tmp_path, path, sha256=(stated,))


def test_a_missing_file_a_folder_and_a_link_to_nothing_are_refused(tmp_path):
    (tmp_path / "folder.fastq").mkdir()
    (tmp_path / "link.fastq").symlink_to(tmp_path / "gone")
    for name in ("missing.fastq", "folder.fastq", "link.fastq"):
        with pytest.raises(SheetRefused, match=f"{name}: cannot be read"):
            take_in(tmp_path, tmp_path / name)


def test_more_than_thirty_kinds_of_damage_are_in_these_tables():
    tables = (FASTQ, GZIP, BGZF, MATES, FCS, BAM, CRAM)
    assert sum(map(len, tables)) + len(HASH_ONLY) >= 40
    assert len({name for table in tables for name in table}) == sum(map(len, tables))
