"""The simulator gives the same bytes for the same seed, and states what is true of them."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.germline import load_germline
from mrd_ngs.simulate import (
    LibraryDesign,
    SimulatedLibrary,
    simulate_clone,
    simulate_library,
    simulate_spike_ins,
    write_series,
)

SMALL = {
    "fractions": (1e-3,),
    "reads": 1000,
    "cells": 50_000,
    "b_cells": 50,
    "spike_copies": 10,
    "read_length": 200,
}


def library(seed: int, **changes) -> SimulatedLibrary:
    rng = np.random.default_rng(seed)
    germline = load_germline()
    clone, spike_ins = simulate_clone(rng, germline), simulate_spike_ins(rng, germline)
    fields = {"cells": 10_000, "clone_cells": 100, "b_cells": 100, "reads": 2000, **changes}
    return simulate_library(LibraryDesign(**fields), clone, spike_ins, germline, rng, name="L")


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_series(tmp_path / name, seed=4, **SMALL)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == [
        "baseline.fastq.gz",
        "mrd_1e-3.fastq.gz",
        "neg_near.fastq.gz",
        "spike_ins.tsv",
        "truth.json",
    ]
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_reads_by_origin_add_up() -> None:
    simulated = library(5, near_cells=(5, 5))
    assert sum(simulated.truth["reads_by_origin"].values()) == 2000
    assert gzip.decompress(simulated.fastq_gz).count(b"\n") == 4 * 2000
    assert simulated.truth["true_mrd"] == 0.01


def test_error_rate_is_what_was_asked_for() -> None:
    rng = np.random.default_rng(6)
    germline = load_germline()
    clone = simulate_clone(rng, germline)
    design = LibraryDesign(cells=100, clone_cells=100, b_cells=0, reads=2000, error_rate=0.01)
    reads = gzip.decompress(simulate_library(design, clone, (), germline, rng, name="L").fastq_gz).split(
        b"\n"
    )
    bases = np.frombuffer(b"".join(reads[1::4]), dtype=np.uint8).reshape(2000, 230)
    wrong = bases != np.frombuffer(clone.sequence[-230:], dtype=np.uint8)
    # 4,600 errors expected: standard error 1.5 %
    assert float(wrong.mean()) == pytest.approx(0.01, rel=0.06)


def test_clone_is_productive_and_its_junction_is_in_every_read() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        clone = simulate_clone(rng, load_germline())
        assert len(clone.junction) % 3 == 0
        assert clone.junction in clone.sequence[-200:]
        assert clone.junction[:3] in (b"TGT", b"TGC")
        assert clone.junction[-3:] == b"TGG"


def test_impossible_designs_are_refused() -> None:
    with pytest.raises(ValueError, match="more B cells than nucleated cells"):
        LibraryDesign(cells=10, clone_cells=8, b_cells=5)
    with pytest.raises(ValueError, match="error_rate must lie"):
        LibraryDesign(cells=10, clone_cells=1, b_cells=5, error_rate=0.8)


def test_series_without_options_keeps_its_bytes(tmp_path: Path) -> None:
    """SHA-256 over names and unpacked contents, taken before the options existed (NumPy 2 generators)."""
    write_series(tmp_path, seed=4, **SMALL)
    digest = hashlib.sha256()
    for path in sorted(tmp_path.iterdir()):
        raw = path.read_bytes()
        digest.update(path.name.encode() + b"\n" + (gzip.decompress(raw) if path.suffix == ".gz" else raw))
    assert digest.hexdigest() == "6fcdeb636e60d4a5e2dc3d14feefe21f223eb73ff1905017b1e4928194432cc7"
