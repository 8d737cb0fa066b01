"""A study's own germline is annotated with, named in markers, and part of a batch's fingerprint."""

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mrd_ngs.cli import app
from mrd_ngs.germline import germline_of, load_germline
from mrd_ngs.settings import NgsSettings
from pipeline.errors import InputRefused
from pipeline.formats.samplesheet import COLUMNS, read_sheet
from pipeline.model import Sample
from pipeline.workflow.config import load_config
from pipeline.workflow.plan import make_plan

PACKAGED = Path(str(load_germline.__wrapped__.__code__.co_filename)).parent / "data"
RENAMED = ("IGHV", "IGHV9")  # no gene of the packaged set begins like that


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged heavy chains, every V under a name of its own."""
    folder = tmp_path_factory.mktemp("own")
    for path in PACKAGED.glob("igh*.fasta"):
        (folder / path.name).write_text(path.read_text().replace(f">{RENAMED[0]}", f">{RENAMED[1]}"))
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_index_names_genes_and_release_of_the_own_germline(
    own: Path, small_data: Path, tmp_path: Path
) -> None:
    reads, out = small_data / "ngs" / "baseline.fastq.gz", tmp_path / "markers.json"
    spike_ins = small_data / "ngs" / "spike_ins.tsv"
    common = ("--spike-ins", spike_ins, "--cells", 100_000)
    run("index", reads, "--out", out, "--germline", own, *common)
    markers = json.loads(out.read_text())["markers"]
    version = germline_of(NgsSettings(germline=str(own))).version
    assert version.startswith(f"user germline {own.name} (")
    assert {m["germline"] for m in markers} == {version}
    assert all(m["v_call"].startswith(RENAMED[1]) for m in markers)
    # the same windows as with the packaged set: what is followed does not hang on names
    run("index", reads, "--out", tmp_path / "packaged.json", *common)
    packaged = json.loads((tmp_path / "packaged.json").read_text())["markers"]
    assert [m["sequence"] for m in markers] == [m["sequence"] for m in packaged]
    assert [m["taken"] for m in markers] == [m["taken"] for m in packaged]
    # and each side names the other's release
    follow = small_data / "ngs" / "mrd_1e-3.fastq.gz"
    told = run("track", follow, "--markers", out, "--out", tmp_path / "r.json", *common)
    assert "the markers are named after user germline" in told
    quiet = run("track", follow, "--markers", out, "--out", tmp_path / "r2.json", "--germline", own, *common)
    assert "the markers are named after" not in quiet
    results = [json.loads((tmp_path / name).read_text()) for name in ("r.json", "r2.json")]
    assert results[0]["value"] == results[1]["value"]
    told = run("control", reads, follow, "--markers", out, "--patient", "P1", "--patient", "P1",
               "--out", tmp_path / "c.json", "--spike-ins", spike_ins)  # fmt: skip
    assert "the markers are named after user germline" in told


def test_clones_are_named_after_the_own_germline(own: Path, small_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "clones.tsv"
    run("clones", small_data / "ngs" / "baseline.fastq.gz", "--out", out, "--germline", own)
    lines = [line.split("\t") for line in out.read_text().splitlines()]
    column = lines[0].index("v_call")
    assert {line[column][:5] for line in lines[1:]} == {RENAMED[1]}


def test_a_batch_runs_again_when_an_allele_changes(own: Path, tmp_path: Path) -> None:
    folder = tmp_path / "germline"
    folder.mkdir()
    for path in own.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "a.fastq").write_text("@r\nACGT\n+\nFFFF\n")
    row = {"patient_id": "P01", "timepoint": "BASE", "collected_on": "2025-01-10",
           "material": "bone_marrow", "assay": "ngs", "file_1": "a.fastq", "cells": "1000"}  # fmt: skip
    lines = [",".join(COLUMNS), ",".join(row.get(column, "") for column in COLUMNS)]
    (tmp_path / "sheet.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "config.toml").write_text(f'[ngs]\ngermline = "{folder}"\n')
    config = load_config(tmp_path / "config.toml")
    samples: tuple[Sample, ...] = read_sheet(
        tmp_path / "sheet.csv", study_id="T1", timepoints=config.timepoint_codes, panels=None
    )
    prints = []
    for extra in ("", ">IGHV99-9*99\n" + "ACGT" * 70 + "\n"):
        path = folder / "ighv.fasta"
        path.write_text(path.read_text() + extra)
        prints.append(make_plan(samples, config, {samples[0].files[0]: "0" * 64}).tasks[0].fingerprint)
    assert prints[0] != prints[1]


def test_a_folder_without_genes_is_refused_before_any_work(tmp_path: Path) -> None:
    settings = dataclasses.replace(NgsSettings(), germline=str(tmp_path))
    with pytest.raises(InputRefused, match="no germline file in the folder"):
        germline_of(settings)
    with pytest.raises(ValueError, match="absolute path"):
        NgsSettings(germline="germline")
