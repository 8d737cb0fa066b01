"""Tasks and plans as they are kept in a batch: what must be done, and every hash that decides it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile
from pipeline.formats.atomic import canonical_json, write_json
from pipeline.formats.digest import sha256_bytes
from pipeline.formats.records import from_json, to_json
from pipeline.model import Assay, Sample
from pipeline.workflow.batch import Batch
from pipeline.workflow.steps import Phase

__all__ = ["Plan", "Task", "read_plan", "read_task", "write_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Samples of one assay that are analysed together, and what decides whether they must be again.

    They are one patient's, or in the phase ``RUN`` those of one run. ``after`` names the
    tasks whose output this one reads; what they said belongs to the done-record, as it is
    not known when the batch is planned.
    """

    task_id: str
    patient_id: str
    run_id: str
    assay: Assay
    phase: Phase
    after: tuple[str, ...]
    baseline: str
    samples: tuple[Sample, ...]
    parameters: dict[str, Any]
    inputs: dict[str, str]
    references: dict[str, str]
    code: str

    @property
    def components(self) -> dict[str, Any]:
        """What the fingerprint covers, by name, so that a difference can be named."""
        rows = [to_json(s) for s in self.samples]
        for row in rows:
            for name in ("files", "sha256", "spike_ins", "line"):
                del row[name]
        return {
            "samples": rows,
            "baseline": self.baseline,
            "inputs": self.inputs,
            "parameters": self.parameters,
            "references": self.references,
            "code": self.code,
            "phase": str(self.phase),
            "after": list(self.after),
        }

    @property
    def reports(self) -> bool:
        """Whether its output holds a patient's results; else it only prepares another's."""
        return self.phase in (Phase.WHOLE, Phase.FOLLOW)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the components."""
        return sha256_bytes(canonical_json(self.components).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All tasks of a batch, patients in the sheet's order, each task behind those it reads from.

    ``left_out`` says in words which samples no step can analyse yet.
    """

    study_id: str
    config_path: Path | None
    config_sha256: str
    tasks: tuple[Task, ...]
    left_out: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over study, configuration and the fingerprints of all tasks."""
        content = [self.study_id, self.config_sha256, *(f"{t.task_id} {t.fingerprint}" for t in self.tasks)]
        return sha256_bytes("\n".join(content).encode())


def write_plan(batch: Batch, plan: Plan) -> None:
    """Write plan.json and every task's task.json."""
    for task in plan.tasks:
        write_json(batch.task(task.task_id).task, {**to_json(task), "fingerprint": task.fingerprint})
    write_json(
        batch.plan,
        {
            "study_id": plan.study_id,
            "config_path": None if plan.config_path is None else str(plan.config_path),
            "config_sha256": plan.config_sha256,
            "fingerprint": plan.fingerprint,
            "left_out": list(plan.left_out),
            "tasks": [{"task_id": t.task_id, "fingerprint": t.fingerprint} for t in plan.tasks],
        },
    )


def read_task(path: Path) -> Task:
    """Read one task.json.

    Raises
    ------
    DamagedFile
        If it is not a task, or its fingerprint is not that of its content.
    """
    value = _read_object(path)
    fingerprint = value.pop("fingerprint", None)
    try:
        samples = tuple(from_json(Sample, s, path=path) for s in value.pop("samples"))
        given = {
            "assay": Assay(value["assay"]),
            "phase": Phase(value["phase"]),
            "after": tuple(value["after"]),
        }
        task = Task(**{**value, **given, "samples": samples})
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(f"not a task ({error})", path=path) from error
    if task.fingerprint != fingerprint:
        raise DamagedFile(
            "the task was changed after it was planned", path=path, remedy="run the batch again"
        )
    return task


def read_plan(batch: Batch) -> Plan:
    """Read a batch's plan with all its tasks.

    Raises
    ------
    DamagedFile
        If the plan or one of its tasks is missing or damaged.
    """
    value = _read_object(batch.plan)
    try:
        task_ids = [entry["task_id"] for entry in value["tasks"]]
        return Plan(
            study_id=value["study_id"],
            config_path=None if value["config_path"] is None else Path(value["config_path"]),
            config_sha256=value["config_sha256"],
            tasks=tuple(read_task(batch.task(t).task) for t in task_ids),
            left_out=tuple(value["left_out"]),
        )
    except (KeyError, TypeError) as error:
        raise DamagedFile(f"not a plan ({error})", path=batch.plan) from error


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedFile("no such file; is this a batch folder?", path=path) from error
    except (OSError, ValueError) as error:
        raise DamagedFile(f"not readable as JSON ({error})", path=path) from error
    if not isinstance(value, dict):
        raise DamagedFile("not a JSON object", path=path)
    return value
