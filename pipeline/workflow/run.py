"""``nadir run``: check, intake, plan, run what is not done, collect, report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import InputRefused, Interrupted
from pipeline.formats.atomic import sweep_temporaries
from pipeline.formats.samplesheet import read_sheet
from pipeline.model import Sample
from pipeline.workflow.audit import append_audit, read_audit
from pipeline.workflow.batch import Batch
from pipeline.workflow.collect import Collected, collect, compare_methods, write_pages, write_tables
from pipeline.workflow.config import Config, load_config, shipped_panels
from pipeline.workflow.decisions import decisions_of
from pipeline.workflow.engine import Engine, engine_named
from pipeline.workflow.intake import inspect_inputs
from pipeline.workflow.plan import make_plan, runnable
from pipeline.workflow.planned import Plan, Task, read_plan, write_plan
from pipeline.workflow.task import finished
from pipeline.workflow.verify import digests_of

__all__ = ["Progress", "RunSummary", "Silent", "run_batch", "write_report_of"]


class Progress(Protocol):
    """How a run tells a person what it does."""

    def stage(self, text: str) -> None:
        """A new stage begins."""

    def planned(self, total: int, skipped: int) -> None:
        """So many tasks, so many of them done before."""

    def finished(self, task_id: str, error: str | None) -> None:
        """One task ended."""


class Silent:
    """A `Progress` that says nothing."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def planned(self, total: int, skipped: int) -> None:
        """Say nothing."""

    def finished(self, task_id: str, error: str | None) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What one run did."""

    batch: Path
    report: Path
    tasks: int
    skipped: int
    failures: dict[str, str]
    results: int


def run_batch(
    sheet: Path,
    out: Path,
    *,
    config_path: Path | None = None,
    jobs: int | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> RunSummary:
    """Take a sheet to results and a report in ``out``.

    ``engine`` runs the tasks; None is the local one with ``jobs`` processes.

    Tasks whose done-record has the planned fingerprint are skipped. Tables and pages are
    always written anew from the done-records, so that a run that was killed at any moment
    and started again leaves the same bytes as one that was not.

    Raises
    ------
    SheetRefused, ConfigRefused, InputRefused
        Before any task runs.
    Interrupted
        If the user stops it.
    """
    say = progress or Silent()
    batch = Batch(Path(out))
    sheet = Path(sheet).absolute()  # a task may run in another folder, on another machine
    config = load_config(None if config_path is None else Path(config_path).absolute())
    samples = read_sheet(
        sheet,
        study_id=config.study_id,
        timepoints=config.timepoint_codes,
        panels=shipped_panels(),
        baseline=config.baseline,
    )
    try:
        with batch.locked():
            return _run_locked(sheet, batch, config, samples, engine or engine_named(jobs=jobs), say)
    except OSError as error:
        raise InputRefused(
            f"a file cannot be written or read ({error.strerror or error})",
            path=error.filename,
            remedy="see to space and permissions, then give the same command again; what is done is kept",
        ) from error
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted; what is done is kept, the same command goes on from there") from stop


def _run_locked(
    sheet: Path, batch: Batch, config: Config, samples: Sequence[Sample], engine: Engine, say: Progress
) -> RunSummary:
    sweep_temporaries(batch.folder)
    if batch.audit.exists():
        read_audit(batch.audit)  # a broken chain is refused before any work, not after it
    say.stage("checking input files")
    plan = make_plan(samples, config, inspect_inputs(sheet, runnable(samples), batch))
    write_plan(batch, plan)
    for line in plan.left_out:
        say.stage(line)
    waiting = _waiting(batch, plan)
    say.planned(len(plan.tasks), len(plan.tasks) - len(waiting))
    failures = engine(batch, waiting, ended=lambda t, e: say.finished(t.task_id, e))
    say.stage("writing tables and report")
    collected, page = _write_all(batch, plan, config)
    append_audit(
        batch.audit,
        "run",
        {
            "plan": plan.fingerprint,
            "tasks": len(plan.tasks),
            "skipped": len(plan.tasks) - len(waiting),
            "failed": sorted(failures),
            "files": digests_of(batch),
        },
    )
    return RunSummary(
        batch=batch.folder,
        report=page,
        tasks=len(plan.tasks),
        skipped=len(plan.tasks) - len(waiting),
        failures=failures,
        results=len(collected.mrd),
    )


def write_report_of(folder: Path) -> Path:
    """Write a batch's tables and pages again from what is done; the path of the first page.

    Raises
    ------
    InputRefused
        If the folder is no batch, or another run holds it.
    """
    batch = Batch(folder)
    plan = read_plan(batch)
    config = load_config(plan.config_path)
    with batch.locked():
        _, page = _write_all(batch, plan, config)
        append_audit(batch.audit, "report", {"plan": plan.fingerprint, "files": digests_of(batch)})
        return page


def _write_all(batch: Batch, plan: Plan, config: Config) -> tuple[Collected, Path]:
    """Tables and pages from what is done and what people decided; the path of the first page."""
    collected = collect(batch, plan)
    compared = compare_methods(collected, config)
    decisions = decisions_of(batch, collected.mrd)
    write_tables(batch, config, collected, compared, decisions)
    return collected, write_pages(batch, plan, config, collected, compared, decisions)


def _waiting(batch: Batch, plan: Plan) -> list[Task]:
    """The tasks that are not done, and those that read from them."""
    waiting: dict[str, Task] = {}
    known: dict[str, str] = {}
    for task in plan.tasks:
        if any(t in waiting for t in task.after) or finished(batch, task, known) is None:
            waiting[task.task_id] = task
    return list(waiting.values())
