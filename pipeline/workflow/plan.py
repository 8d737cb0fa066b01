"""From a sheet and a configuration to the tasks that must run, with every hash that decides it.

Planning reads no measurement: digests of inputs come in as an argument. A task's
fingerprint covers the content of its inputs, its parameters, its references and the
source code of the packages it uses; not where the files lie, and no clock.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile
from pipeline.formats.atomic import canonical_json, write_json
from pipeline.formats.digest import sha256_bytes, sha256_file
from pipeline.formats.records import from_json, to_json
from pipeline.model import Assay, Sample
from pipeline.workflow.batch import Batch
from pipeline.workflow.config import Config
from pipeline.workflow.steps import Step, step_for, steps

__all__ = ["Plan", "Task", "code_digest", "make_plan", "read_plan", "read_task", "runnable", "write_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One patient's samples of one assay, and what decides whether they must be analysed again."""

    task_id: str
    patient_id: str
    assay: Assay
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
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the components."""
        return sha256_bytes(canonical_json(self.components).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All tasks of a batch, patients in the sheet's order.

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


def make_plan(
    samples: Sequence[Sample],
    config: Config,
    digests: Mapping[Path, str],
) -> Plan:
    """Group samples into tasks of one patient and one assay.

    Parameters
    ----------
    samples
        Checked rows of the sheet.
    config
        The batch's configuration.
    digests
        SHA-256 of every file that a sample names.
    """
    groups: dict[tuple[str, Assay], list[Sample]] = {}
    for sample in runnable(samples):
        groups.setdefault((sample.patient_id, sample.assay), []).append(sample)
    order = {code: i for i, code in enumerate(config.timepoint_codes)}
    tasks = []
    for (patient_id, assay), group in groups.items():
        group.sort(key=lambda s: (order.get(s.timepoint, len(order)), s.collected_on, s.panel, s.run_id))
        tasks.append(_task(patient_id, tuple(group), step_for(assay), config, digests))
    return Plan(
        study_id=config.study_id,
        config_path=config.path,
        config_sha256=config.sha256,
        tasks=tuple(tasks),
        left_out=_left_out(samples),
    )


def runnable(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples whose assay has a step."""
    assays = {step.assay for step in steps()}
    return tuple(s for s in samples if s.assay in assays)


def _left_out(samples: Sequence[Sample]) -> tuple[str, ...]:
    counts = Counter(s.assay for s in samples)
    for sample in runnable(samples):
        counts[sample.assay] -= 1
    return tuple(
        f"{count} sample{'s' if count > 1 else ''} of {assay} left out: not analysed by this version yet"
        for assay, count in sorted(counts.items())
        if count
    )


def _task(
    patient_id: str,
    samples: tuple[Sample, ...],
    step: Step,
    config: Config,
    digests: Mapping[Path, str],
) -> Task:
    references = step.references(samples)
    return Task(
        task_id=f"{patient_id}.{step.assay}",
        patient_id=patient_id,
        assay=step.assay,
        baseline=config.baseline,
        samples=samples,
        parameters=to_json(config.settings_for(step.assay)),
        inputs={
            f"{i + 1:04d}.{j + 1} {path.name}": digests[path]
            for i, sample in enumerate(samples)
            for j, path in enumerate(sample.files)
        },
        references={path.name: sha256_file(path) for path in references},
        code=code_digest(step.packages),
    )


@cache
def code_digest(packages: tuple[str, ...]) -> str:
    """SHA-256 over the source of import packages: every module and data file, by name."""
    lines: list[str] = []
    for package in packages:
        folder = Path(import_module(package).__path__[0])
        sources = [p for p in sorted(folder.rglob("*")) if p.is_file() and "__pycache__" not in p.parts]
        lines += (f"{package}/{p.relative_to(folder).as_posix()} {sha256_file(p)}" for p in sources)
    return sha256_bytes("\n".join(lines).encode())


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
        task = Task(**{**value, "samples": samples, "assay": Assay(value["assay"])})
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
