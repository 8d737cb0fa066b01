"""The local engine's order of tasks."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.workflow.local import _Order


def trial(patients: int, of_a_run: int) -> list[Any]:
    """Index tasks, runs that read from them, and tasks that read from both."""
    runs = range(patients // of_a_run)
    members = {r: tuple(f"P{i}.ngs-index" for i in range(r * of_a_run, (r + 1) * of_a_run)) for r in runs}
    tasks = [SimpleNamespace(task_id=f"P{i}.ngs-index", after=()) for i in range(patients)]
    tasks += [SimpleNamespace(task_id=f"R{r}.ngs-run", after=members[r]) for r in runs]
    return tasks + [
        SimpleNamespace(task_id=f"P{i}.ngs", after=(f"P{i}.ngs-index", f"R{i // of_a_run}.ngs-run"))
        for i in range(patients)
    ]


def test_every_task_starts_once_and_behind_those_it_reads_from(rng: np.random.Generator) -> None:
    tasks = trial(60, 20)
    order = _Order(tasks)
    at_work, ended = order.first(), set[str]()
    while at_work:
        task = at_work.pop(int(rng.integers(len(at_work))))
        assert ended.issuperset(task.after)
        ended.add(task.task_id)
        at_work += order.next_after(task)
    assert ended == {task.task_id for task in tasks}


def test_what_is_done_already_holds_nobody_up() -> None:
    tasks = trial(20, 20)
    waiting = [task for task in tasks if task.task_id.endswith(".ngs")]  # index and run are not among them
    assert _Order(waiting).first() == waiting


def test_ten_thousand_patients_are_ordered_in_linear_time() -> None:
    tasks = trial(10_000, 20)
    started = time.process_time()
    order = _Order(tasks)
    at_work, count = order.first(), 0
    while at_work:
        count += 1
        at_work += order.next_after(at_work.pop())
    assert count == len(tasks) == 20_500
    assert time.process_time() - started < 2
