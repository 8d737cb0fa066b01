"""One task, run the same way by every engine: read task.json, work, write the done-record last."""

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile, InputRefused, NadirError
from pipeline.formats.atomic import canonical_json, replacing, write_json, write_text
from pipeline.formats.digest import sha256_bytes, sha256_file
from pipeline.formats.records import from_json, to_json
from pipeline.workflow.batch import Batch, TaskFolder
from pipeline.workflow.planned import Task, read_task
from pipeline.workflow.steps import RESULT_TABLES, Phase, Step, StepOutput, step_for

__all__ = [
    "DoneRecord",
    "checked_inputs",
    "copy_result",
    "execute",
    "failure_of",
    "finished",
    "last_event",
    "outputs_before",
    "read_done",
    "read_output",
    "record_event",
    "record_failure",
    "settings_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneRecord:
    """What a finished task was made from, and what it made.

    ``before`` holds the SHA-256 of the outputs it read, by task; empty text for a task
    that had none.
    """

    fingerprint: str
    components: dict[str, Any]
    output_sha256: str
    before: dict[str, str] = field(default_factory=dict)


def execute(task_json: Path) -> str:
    """Run the task of ``task_json`` in its own folder; the SHA-256 of its output.

    The output is written before the done-record; whatever is killed in between is run
    again. Inputs are hashed again here: a file changed since planning is refused. A task that
    is done already is not repeated: a scheduler may try a job again that was lost after its
    done-record and before its exit code.

    Raises
    ------
    NadirError
        Whatever the step refuses, with the task noted.
    """
    folder = TaskFolder(task_json.absolute().parent)
    batch = Batch(folder.folder.parent.parent)
    task = read_task(task_json)
    try:
        checked_inputs(task)
        done = finished(batch, task)
        if done is not None:
            record_event(folder, "kept")
            return done.output_sha256
        record_event(folder, "started")
        before = outputs_before(batch, task)
        output = _run(task, step_for(task.assay), _outputs(batch, before))
    except NadirError as error:
        error.add_note(f"in task {task.task_id}")
        record_failure(folder, str(error), error.exit_code)
        raise
    text = canonical_json(
        {
            **{name: [to_json(r) for r in getattr(output, name)] for name in RESULT_TABLES},
            "document": output.document,
            "notes": list(output.notes),
        }
    )
    digest = sha256_bytes(text.encode())
    write_text(folder.output, text)
    write_json(
        folder.done,
        {
            "fingerprint": task.fingerprint,
            "components": task.components,
            "output_sha256": digest,
            "before": before,
        },
    )
    folder.failed.unlink(missing_ok=True)
    record_event(folder, "finished")
    return digest


def copy_result(task_json: Path, into: Path) -> None:
    """Copy a finished task's output and done-record into a folder, the record last."""
    folder = TaskFolder(task_json.absolute().parent)
    for path in (folder.output, folder.done):
        with replacing(into / path.name) as temporary:
            shutil.copyfile(path, temporary)


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


def finished(batch: Batch, task: Task, known: dict[str, str] | None = None) -> DoneRecord | None:
    """The done-record of a task that need not run again, else None.

    Its fingerprint is the task's, its output is intact, and what it read from other tasks
    is what they say now: content decides, so that a task whose predecessor ran again and
    said the same stays done.

    Parameters
    ----------
    batch, task
        A planned task.
    known
        Outputs of other tasks found before, as `outputs_before` gives them; added to.
    """
    done = read_done(batch.task(task.task_id))
    if done is None or done.fingerprint != task.fingerprint:
        return None
    return done if done.before == outputs_before(batch, task, known) else None


def outputs_before(batch: Batch, task: Task, known: dict[str, str] | None = None) -> dict[str, str]:
    """SHA-256 of the output of each task that this one reads from; empty text where there is none."""
    known = {} if known is None else known
    for task_id in task.after:
        if task_id in known:
            continue
        try:
            done = finished(batch, read_task(batch.task(task_id).task), known)
        except DamagedFile:
            done = None
        known[task_id] = "" if done is None else done.output_sha256
    return {task_id: known[task_id] for task_id in task.after}


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
            **{
                name: tuple(from_json(kind, r, path=path) for r in value[name])
                for name, kind in RESULT_TABLES.items()
            },
            document=dict(value["document"]),
            notes=tuple(value["notes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"not a task's output ({error})", path=path) from error


def record_event(folder: TaskFolder, event: str) -> None:
    """Append one line to the task's log; the only place where a task looks at the clock."""
    line = json.dumps({"event": event, "time": round(time.time(), 3), "pid": os.getpid()}) + "\n"
    with folder.events.open("a", encoding="utf-8") as log:
        log.write(line)


def last_event(folder: TaskFolder) -> str | None:
    """The last thing that a task's log says; None where it says nothing, or its last line was cut."""
    try:
        with folder.events.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().splitlines()
        value = json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):
        return None
    return str(value.get("event")) if isinstance(value, dict) else None


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


def _outputs(batch: Batch, before: Mapping[str, str]) -> dict[str, StepOutput | None]:
    """What the tasks before said, by task; None for one that failed."""
    return {
        task_id: read_output(batch.task(task_id)) if digest else None for task_id, digest in before.items()
    }


def _run(task: Task, step: Step, before: Mapping[str, StepOutput | None]) -> StepOutput:
    """Do the part of the assay's work that the task's phase names."""
    settings = settings_of(task)
    if task.phase is Phase.WHOLE or step.together is None:
        return step.run(task.samples, settings, task.baseline)
    if task.phase is Phase.INDEX:
        return step.together.index(task.samples, settings)
    if task.phase is Phase.RUN:  # goes on without those who failed, and says so
        indexed = {task_id.split(".")[0]: output for task_id, output in before.items()}
        return step.together.judge(task.samples, settings, task.run_id, indexed)
    for task_id, output in before.items():
        if output is None:
            raise InputRefused(f"needs {task_id}, which has no result", remedy="see why that task failed")
    given = {task_id: output for task_id, output in before.items() if output is not None}
    own_index = f"{task.patient_id}.{task.assay}-{Phase.INDEX}"
    runs = [output for task_id, output in given.items() if task_id != own_index]
    return step.together.follow(task.samples, settings, task.baseline, given.get(own_index), runs)


def checked_inputs(task: Task) -> None:
    """Refuse a task whose files are not those it was planned with.

    Raises
    ------
    DamagedFile
        If a file is gone, or has another digest.
    """
    paths = [path for sample in task.samples for path in sample.files]
    for path, (name, expected) in zip(paths, task.inputs.items(), strict=True):
        if not path.is_file():
            raise DamagedFile("the input file is gone", path=path)
        if sha256_file(path) != expected:
            raise DamagedFile(
                f"changed since planning (input {name})", path=path, remedy="run the batch again"
            )


def settings_of(task: Task) -> Any:
    """The assay's settings with which a task was planned."""
    from pipeline.workflow.config import settings_from_json

    return settings_from_json(task.assay, task.parameters)
