"""Files become a library in which every read is accounted for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.evidence import Library, NgsSettings, reverse_complement
from mrd_ngs.read import check_sample, read_library
from pipeline.errors import DamagedFile, InputRefused, SheetRefused
from pipeline.formats.digest import sha256_file
from pipeline.formats.fastq import read_fastq
from pipeline.model import Sample

SETTINGS = NgsSettings()


@pytest.fixture
def simulated(small_data: Path) -> Path:
    return small_data / "ngs"


def write_fastq(path: Path, sequences: list[bytes]) -> Path:
    path.write_bytes(b"".join(b"@%d\n%s\n+\n%s\n" % (i, s, b"I" * len(s)) for i, s in enumerate(sequences)))
    return path


def assert_same_evidence(one: Library, other: Library) -> None:
    for a, b in ((one.reads, other.reads), (one.spike_in_reads, other.spike_in_reads)):
        assert a.blob == b.blob
        assert np.array_equal(a.counts, b.counts)
        assert np.array_equal(a.starts, b.starts)
    assert one.fates == other.fates
    assert one.input_reads == other.input_reads


def test_every_read_has_one_fate(simulated: Path, make_sample: Callable[..., Sample]) -> None:
    for path in sorted(simulated.glob("*.fastq.gz")):
        library = read_library(make_sample(files=(path,), spike_ins=simulated / "spike_ins.tsv"), SETTINGS)
        assert sum(fate.reads for fate in library.fates) == library.input_reads == 2000
        counted = int(library.reads.counts.sum() + library.spike_in_reads.counts.sum())
        assert counted == library.input_reads
        assert library.input_sha256 == sha256_file(path)


def test_order_and_strand_of_reads_change_nothing(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    sequences = [read.sequence for read in read_fastq(simulated / "mrd_1e-3.fastq.gz")]
    permuted = [sequences[i] for i in rng.permutation(len(sequences))]
    flipped = [reverse_complement(s) for s in permuted]
    mixed = [f if rng.random() < 0.5 else s for s, f in zip(permuted, flipped, strict=True)]
    libraries = [
        read_library(
            make_sample(
                files=(write_fastq(tmp_path / f"{name}.fastq", variant),),
                spike_ins=simulated / "spike_ins.tsv",
            ),
            SETTINGS,
        )
        for name, variant in {
            "as": sequences,
            "permuted": permuted,
            "flipped": flipped,
            "mixed": mixed,
        }.items()
    ]
    for other in libraries[1:]:
        assert_same_evidence(libraries[0], other)


def test_short_and_ambiguous_reads_are_counted_apart(
    tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    path = write_fastq(tmp_path / "a.fastq", [b"ACGT" * 20, b"ACGT" * 5, b"ACGN" * 20])
    library = read_library(make_sample(files=(path,)), SETTINGS)
    fates = {fate.fate: fate.reads for fate in library.fates}
    assert fates == {
        "kept": 1, "ambiguous_bases": 1, "spike_in": 0, "spike_in_with_errors": 0, "too_short": 1
    }  # fmt: skip


def test_only_short_reads_are_refused(tmp_path: Path, make_sample: Callable[..., Sample]) -> None:
    path = write_fastq(tmp_path / "a.fastq", [b"ACGT"] * 3)
    with pytest.raises(InputRefused, match=r"all 3 reads are shorter than 50 nucleotides"):
        read_library(make_sample(files=(path,)), SETTINGS)


@pytest.mark.parametrize("act", [check_sample, lambda s: read_library(s, SETTINGS)], ids=["check", "read"])
def test_paired_reads_are_refused_with_a_remedy(
    tmp_path: Path, make_sample: Callable[..., Sample], act: Callable[[Sample], object]
) -> None:
    paths = tuple(write_fastq(tmp_path / f"{i}.fastq", [b"ACGT" * 20]) for i in (1, 2))
    with pytest.raises(InputRefused, match=r"paired reads are not merged yet.*Remedy: merge the mates"):
        act(make_sample(files=paths))


def test_damage_is_found_by_check_and_by_read(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    path = tmp_path / "cut.fastq.gz"
    path.write_bytes((simulated / "baseline.fastq.gz").read_bytes()[:-2000])
    for act in (check_sample, lambda s: read_library(s, SETTINGS)):
        with pytest.raises(DamagedFile, match=r"cut\.fastq\.gz, line \d+: record"):
            act(make_sample(files=(path,)))


def test_spike_in_sheet_is_part_of_the_check(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    sheet = tmp_path / "s.tsv"
    sheet.write_text("name\tsequence\tcopies\nS1\tACGT\t40\n")
    reads = simulated / "baseline.fastq.gz"
    with pytest.raises(SheetRefused, match=r"s\.tsv, line 2, column 'sequence'"):
        check_sample(make_sample(files=(reads,), spike_ins=sheet))
    with pytest.raises(InputRefused, match=r"none\.tsv: the spike-in sheet cannot be read"):
        check_sample(make_sample(files=(reads,), spike_ins=tmp_path / "none.tsv"))


def test_rearranged_spike_ins_are_recognised_by_their_junction(
    simulated: Path, make_sample: Callable[..., Sample]
) -> None:
    sheet = simulated / "spike_ins.tsv"
    library = read_library(make_sample(files=(simulated / "baseline.fastq.gz",), spike_ins=sheet), SETTINGS)
    middles = [len(s.sequence) // 2 for s in library.spike_ins]
    centres = [s.centre for s in library.spike_ins]
    assert sum(abs(c - m) > 10 for c, m in zip(centres, middles, strict=True)) >= 7
