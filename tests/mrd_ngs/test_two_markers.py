"""Two loci of one clone through files: index at baseline, track at follow-up, one result for the clone."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from bench.study_quantification import misread, yields
from mrd_ngs.call import call_patient
from mrd_ngs.cli import app
from mrd_ngs.evidence import Library, SpikeIn
from mrd_ngs.germline import load_germline
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.simulate import (
    Clone,
    LibraryDesign,
    simulate_clone,
    simulate_library,
    simulate_spike_ins,
    spike_in_sheet,
)
from pipeline.formats.records import from_json
from pipeline.model import MrdResult, Reason, Sample, Status

BASELINE_CELLS, CELLS = 6000, 300_000
READS_PER_TEMPLATE = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A clone with a heavy and a kappa chain, and the spike-ins of its libraries."""

    heavy: Clone
    kappa: NDArray[np.uint8]
    spike_ins: tuple[SpikeIn, ...]
    folder: Path
    rng: np.random.Generator

    @property
    def sheet(self) -> Path:
        return self.folder / "spike_ins.tsv"


@pytest.fixture
def patient(tmp_path: Path, rng: np.random.Generator) -> Patient:
    germline = load_germline()
    spike_ins = simulate_spike_ins(rng, germline)
    (tmp_path / "spike_ins.tsv").write_text(spike_in_sheet(spike_ins))
    v = next(g for g in germline.v if g.name.startswith("IGKV3-20") and g.anchor is not None)
    j = next(g for g in germline.j if g.name.startswith("IGKJ1") and g.anchor is not None)
    # Nine N nucleotides, so that few unrelated cells have the same window.
    sequence = v.sequence.encode()[-180:] + b"GGATACCGA" + j.sequence.encode()
    return Patient(
        heavy=simulate_clone(rng, germline),
        kappa=np.frombuffer(sequence, dtype=np.uint8),
        spike_ins=spike_ins,
        folder=tmp_path,
        rng=rng,
    )


def write_library(
    patient: Patient,
    name: str,
    cells: int,
    clone_cells: int,
    *,
    kappa: bool = True,
    near: tuple[int, int] = (0, 0),
    b_cells: int = 200,
) -> Path:
    """A library in which each clonal cell gives one heavy and one kappa template."""
    templates = b_cells + clone_cells + sum(near) + 9 * 40
    design = LibraryDesign(
        cells=cells,
        clone_cells=clone_cells,
        b_cells=b_cells,
        near_cells=near,
        reads=round(READS_PER_TEMPLATE * templates),
    )
    made = simulate_library(design, patient.heavy, patient.spike_ins, load_germline(), patient.rng, name=name)
    light = b""
    if kappa:
        depth = READS_PER_TEMPLATE * yields(patient.rng, clone_cells, "branching").sum()
        reads = misread(patient.rng, patient.kappa, int(patient.rng.poisson(depth)), 0.001)
        light = b"".join(
            b"@K:%d\n%s\n+\n%s\n" % (number, sequence, b"F" * len(sequence))
            for number, sequence in enumerate(reads.elements(), start=1)
        )
    path = patient.folder / f"{name}.fastq.gz"
    path.write_bytes(made.fastq_gz + gzip.compress(light, mtime=0))
    return path


def nadir_ngs(*arguments: object) -> str:
    run = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert run.exit_code == 0
    return run.stderr


def track(patient: Patient, markers: Path, reads: Path) -> tuple[MrdResult, ...]:
    out = patient.folder / "result.json"
    nadir_ngs(
        "track", reads, "--markers", markers, "--out", out, "--spike-ins", patient.sheet, "--cells", CELLS
    )
    document = json.loads(out.read_text())
    targets = tuple(from_json(MrdResult, target) for target in document["targets"])
    assert document["target_id"] == targets[-1].target_id
    assert document["value"] == targets[-1].value
    return targets


def index(patient: Patient) -> Path:
    markers = patient.folder / "markers.json"
    nadir_ngs(
        "index", write_library(patient, "baseline", BASELINE_CELLS, 600), "--out", markers,
        "--spike-ins", patient.sheet, "--cells", BASELINE_CELLS,
    )  # fmt: skip
    return markers


def test_two_loci_are_found_and_followed_as_one_clone(patient: Patient) -> None:
    markers = index(patient)
    taken = [m for m in json.loads(markers.read_text())["markers"] if m["taken"]]
    assert [m["locus"] for m in taken] == ["IGH", "IGK"]
    heavy, kappa, clone = track(patient, markers, write_library(patient, "fu", CELLS, 150))
    assert (heavy.target_id, kappa.target_id, clone.target_id) == ("IGH-1", "IGK-1", "clone")
    assert clone.status is Status.DETECTED
    assert clone.reason is Reason.AT_OR_ABOVE_DECISION_COUNT
    truth = 150 / CELLS
    assert clone.value == pytest.approx(truth, rel=0.2)
    assert clone.ci_low <= truth <= clone.ci_high
    assert min(heavy.value, kappa.value) <= clone.value <= max(heavy.value, kappa.value)
    widths = [r.ci_high / r.ci_low for r in (heavy, kappa, clone)]
    assert widths[2] < min(widths[:2])


def test_two_loci_without_the_clone_are_one_negative_with_a_lower_limit(patient: Patient) -> None:
    markers = index(patient)
    heavy, kappa, clone = track(patient, markers, write_library(patient, "blank", CELLS, 0))
    assert {r.status for r in (heavy, kappa, clone)} == {Status.NOT_DETECTED}
    assert clone.lod <= min(heavy.lod, kappa.lod)
    assert clone.lod == pytest.approx(3 / CELLS, rel=0.1)


def test_a_locus_lost_between_baseline_and_follow_up_is_told(patient: Patient) -> None:
    markers = index(patient)
    heavy, kappa, clone = track(patient, markers, write_library(patient, "lost", CELLS, 150, kappa=False))
    assert kappa.status is Status.NOT_DETECTED
    assert clone.status is Status.DETECTED
    assert clone.reason is Reason.DISCORDANT_MARKERS
    assert clone.value == heavy.value
    assert "markers disagree" in clone.qc


def test_a_subclone_that_the_baseline_lacked_is_told_through_files(
    patient: Patient, make_sample: Callable[..., Sample]
) -> None:
    settings = NgsSettings()

    def library(timepoint: str, day: int, cells: int, path: Path) -> Library:
        return read_library(
            make_sample(
                timepoint=timepoint,
                collected_on=date(2026, 1, day),
                files=(path,),
                cells=cells,
                spike_ins=patient.sheet,
            ),
            settings,
        )

    libraries = [
        library("BASE", 1, BASELINE_CELLS, write_library(patient, "b", BASELINE_CELLS, 600, kappa=False)),
        library("FU1", 2, CELLS, write_library(patient, "f", CELLS, 150, kappa=False, near=(40, 0))),
        library("FU2", 3, CELLS, write_library(patient, "n", CELLS, 0, kappa=False, near=(40, 0))),
    ]
    base, drifted, gone = call_patient(libraries, settings=settings, baseline="BASE").results
    assert base.qc == "pass"
    assert drifted.status is Status.DETECTED
    assert drifted.value == pytest.approx(150 / CELLS, rel=0.25)
    assert "possible subclone of IGH-1 (not counted): 1 mismatch, " in drifted.qc
    assert "not seen at baseline" in drifted.qc
    assert gone.status is Status.NOT_DETECTED
    assert "near IGH-1 without the clone itself (not counted): 1 mismatch, " in gone.qc
