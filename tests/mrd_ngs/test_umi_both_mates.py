"""UMIs that stand in parts at the start of both mates."""

from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.evidence import reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.preparation import Preparation
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.simulate import (
    LibraryDesign,
    simulate_clone,
    simulate_library,
    simulate_spike_ins,
    write_library,
)
from pipeline.errors import InputRefused

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
SETTINGS = NgsSettings(umi_source="both", umi_length_nt=4, umi_spacer="GA", trim_max_mismatch_rate=0.0)


def written(folder: Path, pairs: list[tuple[bytes, bytes]]) -> tuple[Path, Path]:
    paths = folder / "r1.fastq", folder / "r2.fastq"
    for mate, path in enumerate(paths):
        path.write_bytes(
            b"".join(
                b"@r%d\n%s\n+\n%s\n" % (number, pair[mate], b"F" * len(pair[mate]))
                for number, pair in enumerate(pairs)
            )
        )
    return paths


@pytest.fixture
def insert(rng: np.random.Generator) -> bytes:
    return rng.choice(BASES, 120).tobytes()


def pair(insert: bytes, one: bytes, two: bytes, mate_nt: int = 90) -> tuple[bytes, bytes]:
    return (one + b"GA" + insert)[:mate_nt], (two + b"GA" + reverse_complement(insert))[:mate_nt]


def test_both_parts_together_tell_molecules_apart(tmp_path: Path, make_sample, insert: bytes) -> None:
    # the first part alone would see two molecules, the second alone two; there are three
    parts = [(b"ACGT", b"TTTT"), (b"ACGT", b"CCCC"), (b"GGTT", b"CCCC"), (b"GGTT", b"CCCC")]
    files = written(tmp_path, [pair(insert, *both) for both in parts])
    library = read_library(make_sample(files=files), SETTINGS)
    assert library.reads.counts.tolist() == [3]
    assert library.reads.sequence(0) == min(insert, reverse_complement(insert))
    assert library.umis is not None
    assert library.umis.umis_possible == 4**8


def test_a_umi_is_the_first_mates_part_and_then_the_seconds(tmp_path: Path, insert: bytes) -> None:
    files = written(tmp_path, [pair(insert, b"ACGT", b"TTCC")])
    (batch,) = Preparation(files, SETTINGS).batches()
    assert batch[2] == [b"ACGTTTCC"]


def test_pairs_without_one_of_the_parts_are_lost_once_each(
    tmp_path: Path, make_sample, insert: bytes
) -> None:
    good = pair(insert, b"ACGT", b"TTTT")
    bad = [
        (good[0], b"TTT"),  # missing in the second
        (b"ACG", b"TTT"),  # in both: counted once
        pair(insert, b"ACNT", b"TTTT"),
        pair(insert, b"ACGT", b"TTNT"),
        (good[0], good[1].replace(b"TTTTGA", b"TTTTCC")),
    ]
    library = read_library(make_sample(files=written(tmp_path, [good, *bad])), SETTINGS)
    fates = {fate.fate: fate.reads for fate in library.fates}
    assert (fates["kept"], fates["umi_missing"], fates["umi_ambiguous"], fates["umi_spacer_missing"]) == (
        1, 2, 2, 1,
    )  # fmt: skip
    assert sum(fates.values()) == library.input_reads == 6


def test_an_insert_shorter_than_the_mates_keeps_no_umi(
    tmp_path: Path, make_sample, rng: np.random.Generator
) -> None:
    """Each mate reads through the insert into the other's UMI; merging cuts it off."""
    short = rng.choice(BASES, 70).tobytes()
    one, two = b"ACGTGA", b"TTCCGA"
    fragment = one + short + reverse_complement(two)
    files = written(tmp_path, [(fragment, reverse_complement(fragment))] * 2)
    library = read_library(make_sample(files=files), SETTINGS)
    assert library.reads.sequence(0) == min(short, reverse_complement(short))
    assert library.reads.counts.tolist() == [1]


def test_single_reads_have_no_umi_in_both_mates(tmp_path: Path, make_sample, insert: bytes) -> None:
    path, _ = written(tmp_path, [pair(insert, b"ACGT", b"TTTT")])
    with pytest.raises(InputRefused, match="UMI is to be read from second mates, and there are none"):
        read_library(make_sample(files=(path,)), SETTINGS)


def test_simulated_molecules_are_counted(tmp_path: Path, make_sample, rng: np.random.Generator) -> None:
    """Without errors the molecules are the templates that were sequenced."""
    clone = simulate_clone(rng, load_germline())
    design = LibraryDesign(
        cells=1_000, clone_cells=100, b_cells=50, reads=3_000, error_rate=0.0, mates_nt=150, umi_nt=6,
        umi_in="both",
    )  # fmt: skip
    spike_ins = simulate_spike_ins(rng, load_germline(), copies=10)
    library = simulate_library(design, clone, spike_ins, load_germline(), rng, name="a")
    files = write_library(tmp_path, "a", library)
    settings = NgsSettings(umi_source="both", umi_length_nt=6)
    read = read_library(make_sample(files=tuple(tmp_path / name for name in files)), settings)
    assert read.umis is not None
    assert read.umis.molecules == sum(library.truth["sequenced_templates_by_origin"].values())
    assert read.umis.umis_possible == 4**12
