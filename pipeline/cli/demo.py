"""``nadir demo``: a simulated trial, analysed."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.batch import Engine, Nextflow, Profile
from pipeline.errors import UsageError

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for data, truth and the batch.")] = Path(
        "nadir-demo"
    ),
    patients: Annotated[int, typer.Option("--patients", min=1, max=999, help="Patients to simulate.")] = 4,
    engine: Engine = "local",
    profile: Profile = None,
    nextflow: Nextflow = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes at once [all processors].")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulation.")] = 2026,
) -> None:
    """Simulate a small trial, analyse it, write its report, and say what to try next."""
    from pipeline.cli.progress import progress_for
    from pipeline.errors import TasksFailed
    from pipeline.workflow.demo import make_demo
    from pipeline.workflow.engine import engine_named
    from pipeline.workflow.local import default_jobs
    from pipeline.workflow.run import run_batch

    chosen = engine_named(engine, jobs=jobs, profile=profile, nextflow=nextflow)
    if out.exists() and not (out.is_dir() and ((out / "truth").is_dir() or not any(out.iterdir()))):
        raise UsageError("the demo's folder exists and holds something else: give another --out")
    workers = jobs or default_jobs()
    with progress_for(quiet=False) as progress:
        progress.stage(f"simulating {patients} patients at 4 time points (EuroFlow, SRL-Flow, sequencing)")
        trial = make_demo(out, patients=patients, seed=seed, jobs=workers)
        summary = run_batch(
            trial.sheet, out / "batch", config_path=trial.config, engine=chosen, progress=progress
        )
    again = f"nadir run {trial.sheet} --config {trial.config} --out {summary.batch}"
    typer.echo(
        f"""
{summary.results} results of {patients} simulated patients. What was true of them is in {trial.truth}

Open the report:   {summary.report}
Check the sheet:   nadir check {trial.sheet} --config {trial.config}
Run it again:      {again}   (skips what is done)
Task by task:      nadir status {summary.batch}
One file:          nadir flow inspect {out / "data" / "DEMO-001_BASE_srl_1.fcs"}

Simulated data. For research use, not for diagnosis."""
    )
    if summary.failures:
        raise TasksFailed(
            f"{len(summary.failures)} of {summary.tasks} tasks failed: nadir status {summary.batch}"
        )
