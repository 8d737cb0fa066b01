"""One task, run the same way by every engine: read task.json, work, write the done-record last."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile, NadirError
from pipeline.formats.atomic import canonical_json, write_json, write_text
from pipeline.formats.digest import sha256_bytes, sha256_file
from pipeline.formats.records import from_json, to_json
from pipeline.model import GateCount, Marker, MrdResult
from pipeline.workflow.batch import TaskFolder
from pipeline.workflow.plan import Task, read_task
from pipeline.workflow.steps import StepOutput, step_for

__all__ = [
    "DoneRecord",
    "execute",
    "failure_of",
    "read_done",
    "read_output",
    "record_event",
    "record_failure",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneRecord:
    """What a finished task was made from, and what it made."""

    fingerprint: str
    components: dict[str, Any]
    output_sha256: str


def execute(task_json: Path) -> None:
    """Run the task of ``task_json`` in its own folder.

    The output is written before the done-record; whatever is killed in between is run
    again. Inputs are hashed again here: a file changed since planning is refused.

    Raises
    ------
    NadirError
        Whatever the step refuses, with the task noted.
    """
    folder = TaskFolder(task_json.parent)
    task = read_task(task_json)
    record_event(folder, "started")
    try:
        _check_inputs(task)
        step = step_for(task.assay)
        output = step.run(task.samples, _settings(task), task.baseline)
    except NadirError as error:
        error.add_note(f"in task {task.task_id}")
        record_failure(folder, str(error), error.exit_code)
        raise
    text = canonical_json(
        {
            "mrd": [to_json(r) for r in output.mrd],
            "markers": [to_json(m) for m in output.markers],
            "gates": [to_json(g) for g in output.gates],
        }
    )
    write_text(folder.output, text)
    write_json(
        folder.done,
        {
            "fingerprint": task.fingerprint,
            "components": task.components,
            "output_sha256": sha256_bytes(text.encode()),
        },
    )
    folder.failed.unlink(missing_ok=True)
    record_event(folder, "finished")


def read_done(folder: TaskFolder) -> DoneRecord | None:
    """The done-record, or None where there is none, it is damaged, or its output is not what it says."""
    try:
        value = json.loads(folder.done.read_text(encoding="utf-8"))
        record = DoneRecord(**value)
    except (OSError, ValueError, TypeError):
        return None
    if not folder.output.is_file() or sha256_file(folder.output) != record.output_sha256:
        return None
    return record


def read_output(folder: TaskFolder) -> StepOutput:
    """What a finished task made.

    Raises
    ------
    DamagedFile
        If the output is not what a step writes.
    """
    path = folder.output
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return StepOutput(
            mrd=tuple(from_json(MrdResult, r, path=path) for r in value["mrd"]),
            markers=tuple(from_json(Marker, m, path=path) for m in value["markers"]),
            gates=tuple(from_json(GateCount, g, path=path) for g in value["gates"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"not a task's output ({error})", path=path) from error


def record_event(folder: TaskFolder, event: str) -> None:
    """Append one line to the task's log; the only place where a task looks at the clock."""
    line = json.dumps({"event": event, "time": round(time.time(), 3), "pid": os.getpid()}) + "\n"
    with folder.events.open("a", encoding="utf-8") as log:
        log.write(line)


def record_failure(folder: TaskFolder, message: str, exit_code: int) -> None:
    """Keep why the last try failed."""
    record_event(folder, "failed")
    write_json(folder.failed, {"message": message, "exit_code": exit_code})


def failure_of(folder: TaskFolder) -> str | None:
    """Why the last try failed, or None where it did not."""
    try:
        value = json.loads(folder.failed.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(value.get("message", "")) if isinstance(value, dict) else None


def _check_inputs(task: Task) -> None:
    paths = [path for sample in task.samples for path in sample.files]
    for path, (name, expected) in zip(paths, task.inputs.items(), strict=True):
        if not path.is_file():
            raise DamagedFile("the input file is gone", path=path)
        if sha256_file(path) != expected:
            raise DamagedFile(
                f"changed since planning (input {name})", path=path, remedy="run the batch again"
            )


def _settings(task: Task) -> Any:
    from pipeline.workflow.config import settings_from_json

    return settings_from_json(task.assay, task.parameters)
