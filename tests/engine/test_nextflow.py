"""Nextflow on this machine runs the tasks as the local engine does, to the byte."""

import os
import signal
import time

import pytest

from processes import descendants, is_running
from scripted_batches import ScriptedBatch, scripted_batch

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

NEXTFLOW = ("--engine", "nextflow", "--profile", "local")


@pytest.fixture(scope="module")
def ended(tmp_path_factory, nextflow) -> tuple[ScriptedBatch, ScriptedBatch]:
    """A batch with a shared run, two inputs refused: by the local engine, and by Nextflow."""
    folder = tmp_path_factory.mktemp("engines")
    flow = {"P01": "", "P02": "refuse no events"}
    ngs = {"P01": "", "P02": "", "P03": "refuse no reads"}
    local = scripted_batch(folder, flow, ngs, out="local")
    local.run("--jobs", "1")
    by_nextflow = local.to("nextflow")
    assert by_nextflow.run(*NEXTFLOW).returncode == 4
    return local, by_nextflow


def test_both_engines_leave_the_same_results_of_finished_tasks(ended):
    local, by_nextflow = ended
    assert by_nextflow.done() == local.done() == {
        "P01.flow", "P01.ngs-index", "P02.ngs-index", "R1.ngs-run", "P01.ngs", "P02.ngs",
    }  # fmt: skip
    for name in by_nextflow.done():
        for file in ("output.json", "done.json"):
            path = f"tasks/{name}/{file}"
            assert (by_nextflow.out / path).read_bytes() == (local.out / path).read_bytes()
    tables = {name: data for name, data in local.bytes().items() if name.startswith("results/")}
    assert {n: d for n, d in by_nextflow.bytes().items() if n in tables} == tables


def test_a_task_that_failed_says_why_and_stops_only_who_needs_it(ended):
    _, batch = ended
    states = batch.states()
    assert states["P02.flow"] == ("failed", "P02_flow.fcs: no events.")
    assert states["P03.ngs-index"] == ("failed", "P03_ngs.fastq: no reads.")
    assert "needs P03.ngs-index, which has no result" in states["P03.ngs"][1]
    assert states["R1.ngs-run"][0] == states["P01.ngs"][0] == "done"


def test_an_exit_without_a_word_is_told_by_its_code(tmp_path, nextflow):
    batch = scripted_batch(tmp_path, {"P01": "crash 7"})
    assert batch.run(*NEXTFLOW).returncode == 4
    state, reason = batch.states()["P01.flow"]
    assert state == "failed"
    assert "ended without a result: exit code 7, after 1 try" in reason


def test_second_run_tries_only_what_failed(ended):
    _, batch = ended
    before = batch.events()
    assert batch.run(*NEXTFLOW).returncode == 4
    assert [len(batch.events()[t]) for t in ("P02.flow", "P03.ngs-index", "P03.ngs")] == [4, 4, 4]
    assert {task: batch.events()[task] for task in batch.done()} == {t: before[t] for t in batch.done()}


def test_lost_done_records_come_back_from_the_cache(tmp_path, nextflow):
    batch = scripted_batch(tmp_path, {"P01": "", "P02": ""}, {"P01": "", "P02": ""})
    assert batch.run(*NEXTFLOW).returncode == 0
    whole, events = batch.bytes(), batch.events()
    for path in batch.out.glob("tasks/*/done.json"):
        path.unlink()
    assert batch.run(*NEXTFLOW).returncode == 0
    console = (batch.out / "nextflow" / "console.txt").read_text()
    assert console.count("Cached process") == 7
    assert "Submitted process" not in console
    assert batch.bytes() == whole
    assert batch.events() == events


def test_changed_input_runs_its_task_again_though_the_path_is_the_same(tmp_path, nextflow):
    batch = scripted_batch(tmp_path, {"P01": "", "P02": ""})
    assert batch.run(*NEXTFLOW).returncode == 0
    (batch.folder / "P01_flow.fcs").write_text("fraction 0.25\n")
    said = batch.run(*NEXTFLOW)
    assert "2 tasks, 1 of them done before and skipped" in said.stderr
    assert batch.events()["P01.flow"] == ["started", "finished"] * 2
    assert batch.events()["P02.flow"] == ["started", "finished"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_and_the_next_completes_it(sent, tmp_path, nextflow):
    batch = scripted_batch(tmp_path, {"P01": "", "P02": "seconds 600"})
    process = batch.start(*NEXTFLOW)
    deadline = time.monotonic() + 120
    while batch.done() != {"P01.flow"} or "started" not in batch.events().get("P02.flow", ()):
        assert time.monotonic() < deadline, "the tasks did not start"
        time.sleep(0.2)
    family = descendants(process.pid)
    assert len(family) >= 3  # Nextflow, its script, the task
    os.kill(process.pid, sent)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 5
    while any(map(is_running, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in family if is_running(pid)] == []
    assert process.returncode == {signal.SIGINT: 130}.get(sent, -sent)
    (batch.folder / "P02_flow.fcs").write_text("seconds 0\n")
    assert "1 of them done before" in batch.run(*NEXTFLOW).stderr
    assert batch.done() == {"P01.flow", "P02.flow"}
