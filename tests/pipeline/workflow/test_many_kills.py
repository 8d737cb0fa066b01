"""SIGKILL at random, seeded moments, to the engine or to one of its workers, again and again.

No finished task is ever repeated, no process outlives the engine by five seconds, and the run after the
last kill ends in the bytes of an unbroken one.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from processes import descendants, is_running
from scripted_batches import ScriptedBatch, scripted_batch

TASKS = 40


@dataclass(slots=True)
class Toll:
    """What was killed, and what was found wrong afterwards."""

    engines: int = 0
    workers: int = 0
    whole_runs: int = 0
    repeated: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.engines + self.workers


def patients() -> dict[str, str]:
    return {f"P{number:02d}": "seconds 0.05" for number in range(TASKS)}


def workers_of(engine: int) -> list[int]:
    """Pool workers; not the resource tracker that stands beside them."""
    found = []
    for pid in sorted(descendants(engine)):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def kill_one(process: "subprocess.Popen[str]", rng: np.random.Generator, toll: Toll) -> None:
    """The engine once in three, else a worker where there is one; then look what is left of the family."""
    workers = workers_of(process.pid)
    if workers and rng.random() < 2 / 3:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(rng.choice(workers)), signal.SIGKILL)
            toll.workers += 1
        return
    family = descendants(process.pid)
    process.kill()
    toll.engines += 1
    process.communicate(timeout=10)
    deadline = time.monotonic() + 5
    while any(map(is_running, family)) and time.monotonic() < deadline:
        time.sleep(0.02)
    toll.left += [pid for pid in family if is_running(pid)]


def finished_in(batch: ScriptedBatch) -> dict[str, int]:
    """Tasks with a done-record, with the number of times that each was started."""
    events = batch.events()
    return {task: events[task].count("started") for task in batch.done()}


def killed_again_and_again(
    batch: ScriptedBatch, kills: int, rng: np.random.Generator, toll: Toll, *, whole_s: float
) -> None:
    """Start the batch, kill at a random moment, and once more, until so many kills or until it is whole."""
    finished: dict[str, int] = {}
    while toll.kills < kills and len(finished) < TASKS:
        process = batch.start("--jobs", "2")
        while process.poll() is None and toll.kills < kills:
            time.sleep(float(rng.uniform(0, whole_s / 2)))
            if process.poll() is None:
                kill_one(process, rng, toll)
        process.communicate(timeout=120)
        now = finished_in(batch)
        toll.repeated += [task for task, starts in finished.items() if now.get(task) != starts]
        finished = now


def suffer(folder: Path, kills: int) -> Toll:
    """Batch after batch until so many kills are done, each compared with an unbroken run."""
    unbroken = scripted_batch(folder, patients(), out="unbroken")
    begun = time.monotonic()
    assert unbroken.run("--jobs", "2").returncode == 0
    whole_s = time.monotonic() - begun
    toll, rng = Toll(), np.random.default_rng(20_26)
    while toll.kills < kills:
        batch = unbroken.to(f"killed-{toll.whole_runs}")
        killed_again_and_again(batch, kills, rng, toll, whole_s=whole_s)
        before = finished_in(batch)
        assert batch.run("--jobs", "2").returncode == 0
        after = finished_in(batch)
        toll.repeated += [task for task, starts in before.items() if after[task] != starts]
        assert batch.bytes() == unbroken.bytes()
        assert all(events.count("finished") <= 1 for events in batch.events().values())
        assert list(batch.out.rglob(".nadir-*")) == []
        toll.whole_runs += 1
    return toll


def check_toll(toll: Toll, kills: int) -> None:
    sys.stdout.write(f"\n{toll}\n")  # shown by pytest -s
    assert toll.kills >= kills
    assert toll.engines > 0
    assert toll.workers > 0
    assert toll.repeated == []
    assert toll.left == []


@pytest.mark.timeout(300)
def test_a_few_kills_repeat_no_finished_task_and_change_no_byte(tmp_path):
    check_toll(suffer(tmp_path, 5), 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_kills_repeat_no_finished_task_and_change_no_byte(tmp_path):
    check_toll(suffer(tmp_path, 110), 110)
