"""Small libraries and markers with as few arguments as a test needs to state."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrd_ngs.evidence import DistinctReads, Library, ReadFate, SpikeIn
from pipeline.model import Assay, Marker, Material, Sample

_BASES = np.array(list(b"ACGT"), dtype=np.uint8)


def random_dna(seed: int, length: int) -> bytes:
    return np.random.default_rng(seed).choice(_BASES, length).tobytes()


WINDOW = random_dna(1, 80)
CLONE_READ = random_dna(2, 60) + WINDOW + random_dna(3, 40)
_OTHER = bytes.maketrans(b"ACGT", b"CGTA")
NEIGHBOUR_READ = random_dna(4, 60) + WINDOW[:40] + WINDOW[40:41].translate(_OTHER) + WINDOW[41:]
SPIKE_INS = tuple(
    SpikeIn(name=f"S{i}", sequence=random_dna(10 + i, 180), copies=40, centre=90) for i in range(6)
)


@pytest.fixture
def neighbour() -> bytes:
    """Another cell's read: the clone's window with one base changed."""
    return NEIGHBOUR_READ


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    def make(**changes: Any) -> Sample:
        fields: dict[str, Any] = {
            "study_id": "T1",
            "patient_id": "P01",
            "timepoint": "ASCT",
            "collected_on": date(2026, 3, 1),
            "material": Material.BONE_MARROW,
            "assay": Assay.NGS,
            "files": (Path("reads.fastq.gz"),),
            "cells": 1_000_000,
        }
        return Sample(**{**fields, **changes})

    return make


@pytest.fixture
def make_library(make_sample: Callable[..., Sample]) -> Callable[..., Library]:
    """A library of ``clone`` reads, ``others`` and spike-ins with ``spike_reads`` each."""

    def make(
        *,
        clone: int = 0,
        others: Mapping[bytes, int] | None = None,
        spike_reads: tuple[int, ...] = (200, 190, 210, 205, 195, 200),
        spike_ins: tuple[SpikeIn, ...] = SPIKE_INS,
        **sample: Any,
    ) -> Library:
        counts = {random_dna(99, 180): 5000, **(others or {})}
        if clone:
            counts[CLONE_READ] = clone
        spiked = {s.sequence: n for s, n in zip(spike_ins, spike_reads, strict=False) if n}
        total = sum(counts.values()) + sum(spiked.values())
        return Library(
            sample=make_sample(**sample),
            reads=DistinctReads.from_counts(counts),
            spike_ins=spike_ins,
            spike_in_reads=DistinctReads.from_counts(spiked),
            input_reads=total,
            fates=(ReadFate(fate="kept", reads=total),),
            input_sha256="0" * 64,
        )

    return make


@pytest.fixture
def make_marker() -> Callable[..., Marker]:
    def make(**changes: Any) -> Marker:
        fields: dict[str, Any] = {
            "patient_id": "P01",
            "target_id": "IGH-1",
            "locus": "IGH",
            "v_call": "IGHV3-30*01",
            "d_call": "",
            "j_call": "IGHJ4*02",
            "junction": WINDOW[10:-10].decode(),
            "sequence": WINDOW.decode(),
            "reads": 900,
            "locus_reads": 1000,
            "templates": 100.0,
            "fraction_of_cells": 0.1,
            "taken": True,
            "reason": "taken",
        }
        return Marker(**{**fields, **changes})

    return make
