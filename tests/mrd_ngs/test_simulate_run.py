"""Libraries sequenced together: how many reads hop, whose they are, which samples are exchanged."""

import dataclasses
import gzip
from datetime import date
from pathlib import Path

import pytest

from mrd_ngs.simulate import LibraryDesign
from mrd_ngs.simulate_run import RunSample, write_run
from pipeline.formats.samplesheet import read_sheet
from pipeline.model import Role


def sample(patient: str, clone_cells: int = 100, timepoint: str = "BASE", **design) -> RunSample:
    fields = {"cells": 1_000, "b_cells": 30, "reads": 5_000, **design}
    return RunSample(
        patient_id=patient,
        timepoint=timepoint,
        collected_on=date(2025, 1, 10),
        design=LibraryDesign(clone_cells=clone_cells, **fields),
    )


RUN = [sample("P01"), sample("P02"), sample("P03", 0)]


def reads_of(folder: Path, name: str) -> list[bytes]:
    return gzip.decompress((folder / f"{name}.fastq.gz").read_bytes()).split(b"\n")[1::4]


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, seed=3, samples=RUN, hop_rate=0.01, spike_copies=10)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == [
        "P01_BASE.fastq.gz", "P02_BASE.fastq.gz", "P03_BASE.fastq.gz", "sheet.csv", "spike_ins.tsv",
        "truth.json",
    ]  # fmt: skip
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_reads_hop_at_the_rate_and_are_found_where_the_truth_says(tmp_path: Path) -> None:
    truth = write_run(tmp_path, seed=3, samples=RUN, hop_rate=0.02, spike_copies=10)
    received = {name: s["received"] for name, s in truth["samples"].items()}
    moved = [r["reads"] for into in received.values() for r in into.values()]
    assert len(moved) == 6
    assert sum(moved) == pytest.approx(6 * 0.02 * 5_000, rel=0.15)  # 600 expected: standard error 4 %
    assert sum(len(reads_of(tmp_path, name)) for name in received) == 3 * 5_000
    for donor in ("P01", "P02"):
        junction = truth["clones"][donor]["IGH"]["junction"].encode()
        found = sum(junction in read for read in reads_of(tmp_path, "P03_BASE"))
        clonal = received["P03_BASE"][f"{donor}_BASE"]["clone_reads"]
        assert 0.8 * clonal <= found <= clonal  # errors take some 5 % of junctions
        assert clonal > 20


def test_without_hopping_nothing_is_received(tmp_path: Path) -> None:
    truth = write_run(tmp_path, seed=3, samples=RUN, spike_copies=10)
    assert all(s["received"] == {} for s in truth["samples"].values())
    junction = truth["clones"]["P01"]["IGH"]["junction"].encode()
    assert not any(junction in read for read in reads_of(tmp_path, "P02_BASE"))


def test_exchanged_samples_hold_each_others_library(tmp_path: Path) -> None:
    options = {"seed": 3, "samples": RUN, "spike_copies": 10}
    truth = write_run(tmp_path, **options, exchanged=[("P01_BASE", "P02_BASE")])
    assert truth["samples"]["P01_BASE"]["library_of"] == "P02_BASE"
    junction = truth["clones"]["P02"]["IGH"]["junction"].encode()
    assert sum(junction in read for read in reads_of(tmp_path, "P01_BASE")) > 1_000
    assert not any(junction in read for read in reads_of(tmp_path, "P02_BASE"))


def test_sheet_is_one_that_a_batch_takes(tmp_path: Path) -> None:
    options = {"mates_nt": 120, "umi_nt": 8, "kinds": ("IGH", "IGK")}
    samples = [sample("P01", **options), sample("P01", 5, "ASCT", **options), sample("P02", **options)]
    truth = write_run(tmp_path, seed=3, samples=samples, run_id="R-7", hop_rate=0.001, spike_copies=10)
    rows = read_sheet(tmp_path / "sheet.csv", study_id="T1", timepoints=["BASE", "ASCT"], panels=None)
    assert [(r.patient_id, r.timepoint, r.run_id, len(r.files)) for r in rows] == [
        ("P01", "BASE", "R-7", 2),
        ("P01", "ASCT", "R-7", 2),
        ("P02", "BASE", "R-7", 2),
    ]
    assert set(truth["clones"]["P01"]) == {"IGH", "IGK"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": [sample("P01"), sample("P01")]}, "each of another patient or time point"),
        ({"samples": []}, "a run needs samples"),
        ({"samples": [sample("P01"), sample("P02", umi_nt=8)]}, "reads of one layout"),
        ({"run_id": "../R1"}, "run_id is not an identifier"),
        ({"hop_rate": 0.4}, "hop_rate must lie in"),
        ({"exchanged": [("P01_BASE", "P09_BASE")]}, "exchanged must name samples of the run"),
        ({"exchanged": [("P01_BASE", "P01_BASE")]}, "each once"),
    ],
)
def test_impossible_runs_are_refused_and_write_nothing(change: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        write_run(tmp_path / "run", **{"seed": 1, "samples": RUN, **change})
    assert not (tmp_path / "run").exists()


def test_names_that_are_no_names_are_refused() -> None:
    with pytest.raises(ValueError, match="must be identifiers"):
        sample("../P01")


def test_a_control_has_a_role_in_the_sheet_and_no_clone(tmp_path: Path) -> None:
    control = dataclasses.replace(sample("NEG", 0, b_cells=0, reads=1_000), role=Role.NEGATIVE)
    truth = write_run(tmp_path, seed=3, samples=[sample("P01"), control], hop_rate=0.02, spike_copies=10)
    assert list(truth["clones"]) == ["P01"]
    assert truth["samples"]["NEG_BASE"]["role"] == "negative_control"
    assert truth["samples"]["NEG_BASE"]["received"]["P01_BASE"]["clone_reads"] > 0
    samples = read_sheet(tmp_path / "sheet.csv", study_id="T1", timepoints=["BASE"], panels=None)
    assert [(s.patient_id, s.role) for s in samples] == [("P01", Role.PATIENT), ("NEG", Role.NEGATIVE)]


def test_a_control_with_a_clone_is_refused(tmp_path: Path) -> None:
    control = dataclasses.replace(sample("NEG", 5), role=Role.NEGATIVE)
    with pytest.raises(ValueError, match="a control holds no cells of a clone"):
        write_run(tmp_path, seed=3, samples=[control])
