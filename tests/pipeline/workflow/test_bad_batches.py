"""Hostile names, links that lead out, a full disk, a folder out of reach: said clearly, batch intact."""

import json
import resource
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import InputRefused
from pipeline.workflow.batch import Batch
from pipeline.workflow.nextflow.command import parameters_of
from pipeline.workflow.planned import read_plan
from scripted_batches import ScriptedBatch, environment, scripted_batch

HOSTILE = (
    "a b",
    "a'b",
    'a"b',
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned",
    "-rf",
    "a&b",
    "a|b",
    "*",
    "..a",
    "é",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> ScriptedBatch:
    """A finished batch whose input files have such names."""
    folder = tmp_path_factory.mktemp("hostile")
    batch = scripted_batch(folder, {f"P{n:02d}": "seconds 0" for n in range(len(HOSTILE))})
    text = batch.sheet.read_text()
    for number, name in enumerate(HOSTILE):
        plain = f"P{number:02d}_flow.fcs"
        (folder / plain).rename(folder / f"{name}.fcs")
        quoted = f"{name}.fcs".replace('"', '""')
        text = text.replace(f",{plain},", f',"{quoted}",')
    batch.sheet.write_text(text)
    ended = batch.run("--jobs", "2")
    assert ended.returncode == 0, ended.stderr
    return batch


def test_hostile_file_names_are_names_and_nothing_else(hostile):
    assert len(hostile.done()) == len(HOSTILE)
    assert list(hostile.folder.rglob("pwned")) == []
    assert not Path("pwned").exists()
    assert {p.name for p in hostile.folder.iterdir()} == {
        "sheet.csv", "config.toml", "batch", *(f"{name}.fcs" for name in HOSTILE),
    }  # fmt: skip


def test_no_file_name_is_among_what_nextflow_is_told(hostile):
    batch = Batch(hostile.out)
    told = json.dumps(parameters_of(batch, read_plan(batch).tasks, {}, memory_limit_mb=None))
    assert [name for name in HOSTILE if f"{name}.fcs" in told] == []


@pytest.mark.parametrize(
    "place", ["results", "report", "tasks", "tasks/P01.flow", "plan.json", "audit.jsonl"]
)
def test_a_link_in_a_batch_is_refused_and_nothing_is_written_through_it(place, tmp_path):
    batch, elsewhere = Batch(tmp_path / "batch"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = batch.folder / place
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(InputRefused, match="it is a link"), batch.locked():
        pytest.fail("it was taken")
    assert list(elsewhere.iterdir()) == []


def test_a_batch_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputRefused, match="cannot be written"), Batch(tmp_path / "file" / "batch").locked():
        pytest.fail("it was taken")


def test_a_disk_that_is_full_is_said_and_the_next_run_completes_the_batch(tmp_path):
    """No file may grow beyond 8 kB: tasks fit, pages do not."""
    batch = scripted_batch(tmp_path, {"P01": "", "P02": ""})

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    ended = subprocess.run(
        batch.command("--jobs", "1"),
        env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "a file cannot be written or read" in ended.stderr
    assert "what is done is kept" in ended.stderr
    assert list(batch.out.rglob(".nadir-*")) == []
    done = batch.done()
    assert done == {"P01.flow", "P02.flow"}
    again = batch.run("--jobs", "1")
    assert again.returncode == 0, again.stderr
    assert "2 of them done before and skipped" in again.stderr
    assert (batch.out / "report" / "index.html").stat().st_size > 8_000
