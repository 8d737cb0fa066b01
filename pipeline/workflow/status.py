"""What state a batch's tasks are in, and why the next run will run or skip one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.workflow.batch import Batch
from pipeline.workflow.plan import Task, read_plan
from pipeline.workflow.task import DoneRecord, failure_of, read_done

__all__ = ["TaskState", "reasons", "task_states"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """``state`` is done, failed or waiting; ``reason`` is empty for a done task."""

    task_id: str
    state: str
    reason: str


def task_states(folder: Path) -> tuple[TaskState, ...]:
    """The state of every task of a batch, in the plan's order."""
    batch = Batch(folder)
    return tuple(_state(batch, task) for task in read_plan(batch).tasks)


def reasons(folder: Path, task_id: str) -> tuple[str, ...]:
    """Why the next run will run or skip a task, one line each.

    Raises
    ------
    UsageError
        If the batch has no such task.
    """
    batch = Batch(folder)
    tasks = {t.task_id: t for t in read_plan(batch).tasks}
    if task_id not in tasks:
        raise UsageError("this batch has no such task; `nadir status BATCH` lists them")
    done = read_done(batch.task(task_id))
    changes = _changes(tasks[task_id], done)
    if not changes:
        return ("skip: done, and nothing it depends on has changed since it was planned",)
    return tuple(f"run: {change}" for change in changes)


def _state(batch: Batch, task: Task) -> TaskState:
    folder = batch.task(task.task_id)
    changes = _changes(task, read_done(folder))
    if not changes:
        return TaskState(task_id=task.task_id, state="done", reason="")
    failure = failure_of(folder)
    if failure is not None:
        return TaskState(task_id=task.task_id, state="failed", reason=failure)
    return TaskState(task_id=task.task_id, state="waiting", reason="; ".join(changes))


def _changes(task: Task, done: DoneRecord | None) -> list[str]:
    if done is None:
        return ["no intact done-record"]
    if done.fingerprint == task.fingerprint:
        return []
    return list(_differences(done.components, task.components)) or ["its done-record contradicts itself"]


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            keys = sorted(k for k in value.keys() | before.keys() if before.get(k) != value.get(k))
            lines.append(f"{name} changed: {', '.join(keys)}")
        else:
            lines.append(f"{name} changed")
    return lines
