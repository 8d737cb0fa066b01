"""From finished tasks to the batch's result tables and pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.concordance import (
    Comparison,
    ComparisonRow,
    PairRow,
    comparison_rows,
    comparisons,
    pair_rows,
)
from pipeline.formats.atomic import write_json
from pipeline.formats.digest import damage_shows
from pipeline.formats.records import write_parquet
from pipeline.model import AppliedChange, MrdResult, Signature, ValidatedLimits
from pipeline.report.data import InputFile, PatientNote, Provenance, ReportData, TimepointLabel
from pipeline.workflow.batch import Batch
from pipeline.workflow.clinical_tables import configured_trial
from pipeline.workflow.config import Config
from pipeline.workflow.decisions import Decisions
from pipeline.workflow.planned import Plan, Task
from pipeline.workflow.steps import RESULT_TABLES, Phase, step_for
from pipeline.workflow.task import failure_of, finished, read_output

__all__ = ["Collected", "Compared", "collect", "compare_methods", "write_pages", "write_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All records of a batch by table, in the plan's order, what was said of runs, and what is missing.

    ``records`` has an entry for every one of `RESULT_TABLES`; ``missing`` names tasks without result.
    """

    records: dict[str, tuple[Any, ...]]
    runs: dict[str, dict[str, Any]]
    run_notes: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def mrd(self) -> tuple[MrdResult, ...]:
        """The results of residual disease."""
        return self.records["mrd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was said of every two methods of a batch, and the pairs it rests on."""

    found: tuple[Comparison, ...]
    rows: tuple[ComparisonRow, ...]
    pairs: tuple[PairRow, ...]


def compare_methods(collected: Collected, config: Config) -> Compared:
    """Compare every two methods that looked at the same samples, at the study's thresholds."""
    found = comparisons(collected.mrd)
    return Compared(
        found=found,
        rows=tuple(row for c in found for row in comparison_rows(c, config.thresholds)),
        pairs=tuple(row for c in found for row in pair_rows(c, config.thresholds[0])),
    )


def collect(batch: Batch, plan: Plan) -> Collected:
    """Gather the outputs of the plan's finished tasks.

    A task whose done-record has another fingerprint than the plan's counts as missing:
    an old result never stands for a new input.
    """
    records: dict[str, list[Any]] = {name: [] for name in RESULT_TABLES}
    runs: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    missing = []
    known: dict[str, str] = {}
    for task in plan.tasks:
        if finished(batch, task, known) is None:
            missing.append(task.task_id)
            continue
        output = read_output(batch.task(task.task_id))
        if task.phase is Phase.RUN:
            runs[task.run_id] = output.document
            notes += output.notes
        if task.reports:  # what only prepares another's output stands there again
            for name, kept in records.items():
                kept += getattr(output, name)
    return Collected(
        records={name: tuple(kept) for name, kept in records.items()},
        runs=runs,
        run_notes=tuple(notes),
        missing=tuple(missing),
    )


def write_tables(
    batch: Batch, config: Config, collected: Collected, compared: Compared, decisions: Decisions
) -> tuple[Path, ...]:
    """Write results/*.parquet and a file for each shared run; no log and no time stamp.

    So equal work gives equal bytes. Limits that the configuration says an assay was validated with are
    a table of their own: each sample's row keeps its own limit of detection. Files of runs that are no
    longer in the plan are removed.
    """
    paths = []
    for name, kind, records in (
        *((name, kind, collected.records[name]) for name, kind in RESULT_TABLES.items()),
        ("agreement", ComparisonRow, compared.rows),
        ("pairs", PairRow, compared.pairs),
        ("reviewed", MrdResult, decisions.revised),
        ("changes", AppliedChange, [row for r in decisions.revisions.values() for row in r.rows]),
        ("signatures", Signature, decisions.signatures),
    ):
        paths.append(batch.results / f"{name}.parquet")
        write_parquet(paths[-1], kind, records)
    limits = batch.results / "validated_limits.parquet"
    if config.validated:
        paths.append(limits)
        write_parquet(limits, ValidatedLimits, config.validated)
    else:
        limits.unlink(missing_ok=True)
    for run_id, document in sorted(collected.runs.items()):
        paths.append(batch.run_control(run_id))
        write_json(paths[-1], document)
    for path in batch.run_controls.glob("*"):
        if path not in paths:
            path.unlink()
    return tuple(paths)


def write_pages(
    batch: Batch,
    plan: Plan,
    config: Config,
    collected: Collected,
    compared: Compared,
    decisions: Decisions,
) -> Path:
    """Write the report of what was collected; the path of its first page.

    Pages of patients who are no longer in the plan are removed: a report never shows
    more than its batch.
    """
    from pipeline.report import write_report

    trial, refused = configured_trial(config.clinical)
    missing = set(collected.missing)
    tasks = [t for t in plan.tasks if t.task_id in missing]
    data = ReportData(
        study_id=plan.study_id,
        title=config.title,
        timepoints=tuple(TimepointLabel(code=t.code, label=t.label) for t in config.timepoints),
        thresholds=config.thresholds,
        results=collected.mrd,
        markers=collected.records["markers"],
        gates=collected.records["gates"],
        findings=collected.records["findings"],
        populations=collected.records["populations"],
        changes=collected.records["population_changes"],
        chip=collected.records["chip"],
        chip_variants=collected.records["chip_variants"],
        revisions=tuple(v for _, v in sorted(decisions.revisions.items())),
        signatures=decisions.signatures,
        comparisons=compared.rows,
        pairs=compared.pairs,
        compared=compared.found,
        validated=config.validated,
        trial=trial,
        provenance=Provenance(
            version=__version__,
            config_sha256=plan.config_sha256,
            plan_sha256=plan.fingerprint,
            inputs=tuple(file for t in plan.tasks if t.reports for file in _inputs(t)),
        ),
        notes=plan.left_out
        + refused
        + tuple(f"Task {t.task_id} has no result: {_why(batch, t)}" for t in tasks)
        + collected.run_notes,
        patient_notes=tuple(
            PatientNote(patient_id=t.patient_id, text=f"{t.assay} has no result: {_why(batch, t)}")
            for t in tasks
            if t.reports
        ),
        unverified=tuple(
            sorted(
                {
                    name
                    for t in plan.tasks
                    for name in step_for(t.assay).unverified(t.samples, config.settings_for(t.assay))
                }
            )
        ),
    )
    written = write_report(data, batch.report)
    for path in (batch.report / "patients").glob("*"):
        if path not in written:
            path.unlink()
    return batch.report / "index.html"


def _inputs(task: Task) -> Iterator[InputFile]:
    """A task's files; those whose damage only a digest shows are unverified where none was stated."""
    digests = iter(task.inputs.values())
    for sample in task.samples:
        for number, path in enumerate(sample.files):
            stated = any(sample.sha256[number : number + 1])
            yield InputFile(
                patient_id=task.patient_id,
                name=path.name,
                sha256=next(digests),
                unverified=not (stated or damage_shows(path)),
            )


def _why(batch: Batch, task: Task) -> str:
    return failure_of(batch.task(task.task_id)) or "not run yet"
