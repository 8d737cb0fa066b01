"""What state a batch's tasks are in, and why the next run will run or skip one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.workflow.batch import Batch
from pipeline.workflow.planned import Task, read_plan
from pipeline.workflow.task import DoneRecord, failure_of, outputs_before, read_done

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
    known: dict[str, str] = {}
    return tuple(_state(batch, task, known) for task in read_plan(batch).tasks)


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
    changes = _changes(batch, tasks[task_id], {})
    if not changes:
        return ("skip: done, and nothing it depends on has changed since it was planned",)
    return tuple(f"run: {change}" for change in changes)


def _state(batch: Batch, task: Task, known: dict[str, str]) -> TaskState:
    folder = batch.task(task.task_id)
    changes = _changes(batch, task, known)
    if not changes:
        return TaskState(task_id=task.task_id, state="done", reason="")
    failure = failure_of(folder)
    if failure is not None:
        return TaskState(task_id=task.task_id, state="failed", reason=failure)
    return TaskState(task_id=task.task_id, state="waiting", reason="; ".join(changes))


def _changes(batch: Batch, task: Task, known: dict[str, str]) -> list[str]:
    done = read_done(batch.task(task.task_id))
    if done is None:
        return ["no intact done-record"]
    if done.fingerprint == task.fingerprint:
        return _changed_before(done, outputs_before(batch, task, known))
    return list(_differences(done.components, task.components)) or ["its done-record contradicts itself"]


def _changed_before(done: DoneRecord, before: dict[str, str]) -> list[str]:
    changed = sorted(t for t in before.keys() | done.before.keys() if before.get(t) != done.before.get(t))
    return [f"what it reads from changed: {', '.join(changed)}"] if changed else []


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
