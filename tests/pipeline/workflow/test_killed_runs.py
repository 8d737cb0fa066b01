"""What a kill or an interruption leaves behind: what is done stays done, the next run completes the rest."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from batches import SmallBatch, result_bytes, run
from scripted_batches import interruptible, scripted_batch

pytestmark = pytest.mark.timeout(300)


def command(small_batch: SmallBatch, out: Path, jobs: int = 2) -> list[str]:
    arguments = ["run", str(small_batch.sheet), "--out", str(out), "--config", str(small_batch.config)]
    return [sys.executable, "-m", "pipeline", *arguments, "--jobs", str(jobs)]


def started(small_batch: SmallBatch, out: Path, jobs: int = 2) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(small_batch, out, jobs),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=interruptible,
    )


def read_until(process: "subprocess.Popen[str]", word: str) -> None:
    """Read what a process says until a line holds ``word``; fail where it ends before."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if word in line:
            return
    pytest.fail(f"ended without saying '{word}': {said}")


def children_of(parent: int) -> set[int]:
    """Processes whose parent, or that one's parent, is ``parent``."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    direct = {p for p, up in parents.items() if up == parent}
    return direct | {p for p, up in parents.items() if up in direct}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def workers_of(parent: int) -> list[int]:
    """Pool workers of a run; not the resource tracker that stands beside them."""
    found = []
    for pid in children_of(parent):
        try:
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def kill(process: "subprocess.Popen[str]") -> None:
    """SIGKILL; within five seconds none of its workers is left."""
    family = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while any(map(is_running, family)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [p for p in family if is_running(p)] == []


def completed(small_batch: SmallBatch, out: Path) -> dict[str, bytes]:
    """What the next run leaves; it sweeps what a kill left half written."""
    subprocess.run(command(small_batch, out), check=True, capture_output=True, timeout=120)
    assert list(out.rglob(".nadir-*")) == []
    return result_bytes(out)


def test_run_killed_in_every_stage_ends_in_the_bytes_of_an_unbroken_one(
    small_batch, finished_batch, tmp_path
):
    """At intake, with workers starting, with one task done, and while tables are written; each goes on."""
    out = tmp_path / "killed"
    for stage in ("checking input files", "2 tasks", "[1/2]", "writing tables"):
        process = started(small_batch, out)
        read_until(process, stage)
        kill(process)
    assert completed(small_batch, out) == result_bytes(finished_batch.folder / "batch")


@pytest.mark.slow
def test_run_killed_at_any_moment_ends_in_the_bytes_of_an_unbroken_one(small_batch, finished_batch, tmp_path):
    """Moments spread over a whole run."""
    begun = time.monotonic()
    subprocess.run(command(small_batch, tmp_path / "timed"), check=True, capture_output=True, timeout=120)
    whole = time.monotonic() - begun
    out = tmp_path / "killed"
    for moment in np.random.default_rng(5).uniform(0.05, 1.0, 8) * whole:
        process = started(small_batch, out)
        time.sleep(moment)
        kill(process)
    assert completed(small_batch, out) == result_bytes(finished_batch.folder / "batch")


def test_killed_worker_costs_no_task(small_batch, finished_batch, tmp_path):
    """The task that was at work is tried once more, alone; the others go on."""
    out = tmp_path / "broken"
    process = started(small_batch, out, jobs=1)
    read_until(process, "tasks")  # the pool starts after this line
    deadline = time.monotonic() + 20
    while not (workers := workers_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    process.communicate(timeout=60)
    assert workers
    assert process.returncode == 0
    assert result_bytes(out) == result_bytes(finished_batch.folder / "batch")


def test_task_whose_worker_is_killed_twice_fails_alone_and_says_so(tmp_path):
    batch = scripted_batch(tmp_path, {"P01": "", "P02": "crash 9", "P03": "", "P04": ""})
    assert batch.run("--jobs", "2").returncode == 4
    state, reason = batch.states()["P02.flow"]
    assert state == "failed"
    assert "worker process was killed twice, the second time alone" in reason
    assert batch.done() == {"P01.flow", "P03.flow", "P04.flow"}
    assert "worker process was killed" in (batch.out / "report" / "index.html").read_text()
    assert batch.events()["P02.flow"] == ["started", "started", "failed"]


def test_interrupted_run_exits_with_130_and_the_next_completes_it(small_batch, finished_batch, tmp_path):
    out = tmp_path / "interrupted"
    process = started(small_batch, out)
    read_until(process, "[1/2]")  # one task is done and stays so
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what is done is kept" in said
    assert "Traceback" not in said
    summary = run(small_batch, out)
    assert summary.failures == {}
    assert summary.skipped >= 1
    assert result_bytes(out) == result_bytes(finished_batch.folder / "batch")
