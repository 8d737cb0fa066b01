"""``nadir run``, ``status``, ``why``, ``step`` and ``report``: a batch and its tasks."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.formats.sample_options import Json

__all__ = ["report", "run", "status", "step", "verify", "why"]

BatchFolder = Annotated[Path, typer.Argument(metavar="BATCH", help="Folder that `nadir run --out` made.")]
Engine = Annotated[str, typer.Option("--engine", help="local (this machine) or nextflow.")]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Nextflow's: local, slurm, or a site's configuration file [local]."),
]
Nextflow = Annotated[
    Path | None, typer.Option("--nextflow", help="Nextflow's executable [NADIR_NEXTFLOW, else PATH].")
]


def run(
    sheet: Annotated[Path, typer.Argument(metavar="SHEET", help="Sample sheet, CSV or TSV.")],
    out: Annotated[Path, typer.Option("--out", help="Batch folder; run again with the same one to resume.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="Study and assay configuration, TOML.")
    ] = None,
    engine: Engine = "local",
    profile: Profile = None,
    nextflow: Nextflow = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Tasks at once [all processors].")] = None,
    json_output: Json = False,
) -> None:
    """Analyse a sample sheet: check, run what is not done yet, write tables and report."""
    from pipeline.cli.progress import progress_for
    from pipeline.errors import TasksFailed
    from pipeline.formats.atomic import canonical_json
    from pipeline.workflow.engine import engine_named
    from pipeline.workflow.run import run_batch

    chosen = engine_named(engine, jobs=jobs, profile=profile, nextflow=nextflow)
    with progress_for(quiet=json_output) as progress:
        summary = run_batch(sheet, out, config_path=config, engine=chosen, progress=progress)
    if json_output:
        typer.echo(
            canonical_json(
                {
                    "batch": str(summary.batch),
                    "report": str(summary.report),
                    "tasks": summary.tasks,
                    "skipped": summary.skipped,
                    "failures": summary.failures,
                    "results": summary.results,
                }
            ),
            nl=False,
        )
    else:
        typer.echo(f"{summary.results} results; report: {summary.report}", err=True)
    if summary.failures:
        raise TasksFailed(
            f"{len(summary.failures)} of {summary.tasks} tasks failed, the others are kept. "
            f"`nadir status {summary.batch}` says why"
        )


def status(batch: BatchFolder, json_output: Json = False) -> None:
    """Say of every task whether it is done, failed or waiting, and why."""
    from pipeline.formats.atomic import canonical_json
    from pipeline.workflow.status import task_states

    states = task_states(batch)
    if json_output:
        typer.echo(
            canonical_json([{"task": s.task_id, "state": s.state, "reason": s.reason} for s in states]),
            nl=False,
        )
        return
    width = max((len(s.task_id) for s in states), default=0)
    for state in states:
        typer.echo(f"{state.task_id:<{width}}  {state.state:<8}  {state.reason}".rstrip())
    counts = {name: sum(s.state == name for s in states) for name in ("done", "failed", "waiting")}
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()), err=True)


def why(
    batch: BatchFolder,
    task: Annotated[str, typer.Argument(metavar="TASK", help="PATIENT.ASSAY, as `nadir status` lists it.")],
) -> None:
    """Say why the next run will run a task or skip it."""
    from pipeline.workflow.status import reasons

    for line in reasons(batch, task):
        typer.echo(line)


def verify(batch: BatchFolder, json_output: Json = False) -> None:
    """Find every changed, missing or added byte of results, records, pages and audit trail."""
    from pipeline.errors import GateFailed
    from pipeline.formats.atomic import canonical_json
    from pipeline.formats.records import to_json
    from pipeline.workflow.verify import verify_batch

    found = verify_batch(batch)
    if json_output:
        typer.echo(canonical_json(to_json(found)), nl=False)
    else:
        for line in found.findings:
            typer.echo(line)
        typer.echo(f"{found.files} files, {found.entries} audit entries; last {found.chain_sha256}", err=True)
    if found.findings:
        raise GateFailed(f"{len(found.findings)} findings: this batch is not what its last run left")


def step(
    task_json: Annotated[Path, typer.Argument(metavar="TASK.json", help="A planned task of a batch.")],
    copy: Annotated[
        Path | None, typer.Option("--copy", metavar="DIR", help="Put the output and its record there too.")
    ] = None,
) -> None:
    """Run one planned task and print its output's SHA-256; this is what an engine calls."""
    from pipeline.workflow.task import copy_result, execute

    digest = execute(task_json)
    if copy is not None:
        copy_result(task_json, copy)
    typer.echo(digest)


def report(batch: BatchFolder) -> None:
    """Write tables and pages again from what is done."""
    from pipeline.workflow.run import write_report_of

    typer.echo(str(write_report_of(batch)))
