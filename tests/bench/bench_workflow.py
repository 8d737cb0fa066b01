"""How long the house takes where the work takes nothing: planning, engines, a run with nothing to do.

`make bench` prints this table. Tasks are scripted (tests/pipeline/workflow/scripted), so that what is
measured is nadir's. With ``--slurm`` the same tasks go through Nextflow to a Slurm cluster on this machine,
beside a plain `sbatch --array` of as many.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "pipeline" / "workflow" / "scripted")]
import sitecustomize  # noqa: E402  # the scripted steps, here and below

from pipeline.formats.samplesheet import read_sheet  # noqa: E402
from pipeline.workflow.batch import Batch  # noqa: E402
from pipeline.workflow.config import load_config, shipped_panels  # noqa: E402
from pipeline.workflow.intake import inspect_inputs  # noqa: E402
from pipeline.workflow.plan import make_plan  # noqa: E402
from pipeline.workflow.planned import read_plan, write_plan  # noqa: E402
from pipeline.workflow.status import task_states  # noqa: E402
from scripted_batches import ScriptedBatch, environment, scripted_batch  # noqa: E402

assert sitecustomize


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def timed(name: str, work: Callable[[], object], goal: str = "") -> None:
    """Print wall and CPU seconds of this process and its children."""
    begun, before = time.monotonic(), _cpu_s()
    work()
    say(f"{name:<66} {time.monotonic() - begun:8.2f} s wall {_cpu_s() - before:8.2f} s CPU   {goal}")


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def planned(batch: ScriptedBatch) -> None:
    """Check the sheet, take its files in, plan, and write the plan."""
    config = load_config(batch.config)
    samples = read_sheet(
        batch.sheet,
        study_id=config.study_id,
        timepoints=config.timepoint_codes,
        panels=shipped_panels(),
        baseline=config.baseline,
    )
    folder = Batch(batch.out)
    write_plan(folder, make_plan(samples, config, inspect_inputs(batch.sheet, samples, folder)))


def bench_planning(folder: Path) -> None:
    """172 patients with 7 flow samples each, then 1,000 and 10,000 patients with one."""
    for patients, visits in ((172, 7), (1_000, 1), (10_000, 1)):
        batch = trial(folder / f"plan-{patients}", patients, visits)
        goal = "< 5 s" if visits == 7 else ""
        timed(f"sheet of {patients:,} x {visits} read, taken in, planned", lambda b=batch: planned(b), goal)
        timed(f"  status of its {patients:,} tasks", lambda b=batch: task_states(b.out))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    say(f"{'most memory of all that':<66} {peak:8d} MB")


def trial(folder: Path, patients: int, visits: int) -> ScriptedBatch:
    """A sheet of so many patients, each with so many visits."""
    batch = scripted_batch(folder, {f"P{n:05d}": f"seconds 0\nfraction 0.{n + 1}" for n in range(patients)})
    if visits == 1:
        return batch
    header, *rows = batch.sheet.read_text().splitlines()
    lines = []
    for row in rows:
        patient, _, _, material, assay, file, *rest = row.split(",")
        for visit in range(visits):
            name = file.replace(".fcs", f"_{visit}.fcs")
            (folder / name).write_text(f"fraction 0.{visit + 1}{patient[1:]}\n")
            place = f"{patient},V{visit},2026-0{visit + 1}-01,{material},{assay},{name}"
            lines.append(",".join([place, *rest]))
    codes = ", ".join(f'"V{visit}"' for visit in range(visits))
    batch.config.write_text(f'[study]\nid = "T1"\ntimepoints = [{codes}]\nthresholds = [1e-5]\n')
    batch.sheet.write_text("\n".join([header, *lines]) + "\n")
    return batch


def bench_local(folder: Path, tasks: int) -> None:
    """The pool alone, then the whole command, then the command with nothing to do."""
    from pipeline.workflow.local import run_local

    batch = scripted_batch(folder / "local", {f"P{n:05d}": "seconds 0" for n in range(tasks)})
    planned(batch)
    plan = read_plan(Batch(batch.out))
    with_steps = {"PYTHONPATH": environment()["PYTHONPATH"]}
    __import__("os").environ.update(with_steps)
    timed(
        f"{tasks:,} trivial tasks, local engine, two workers",
        lambda: run_local(Batch(batch.out), plan.tasks, jobs=2, ended=lambda task, error: None),
        "<= 10 s",
    )
    timed("  the whole command after it: collect, compare, pages", lambda: whole(batch))
    timed("  once more, nothing to do", lambda: whole(batch), "< 5 s")
    timed("nadir status", lambda: command("status", str(batch.out)))
    timed("nadir --help", lambda: command("--help"), "< 0.5 s CPU")


def whole(batch: ScriptedBatch, *options: str, **variables: str) -> None:
    ended = batch.run(*options, timeout=7200, **variables)
    if ended.returncode != 0:
        sys.exit(ended.stderr)


def command(*words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def bench_slurm(folder: Path, tasks: int) -> None:
    """As many jobs as tasks: plain array, then through Nextflow."""
    from slurm_cluster import cluster_in

    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp")))
        cluster = stack.enter_context(cluster_in(place))
        timed(f"{tasks:,} jobs of /bin/true, sbatch --array, eight slots", lambda: array(cluster, tasks))
        batch = scripted_batch(folder / "slurm", {f"P{n:05d}": "seconds 0" for n in range(tasks)})
        options = ("--engine", "nextflow", "--profile", str(cluster.profile))
        timed(f"{tasks:,} trivial tasks, Nextflow on Slurm, whole command",
              lambda: whole(batch, *options, **cluster.variables))  # fmt: skip


def array(cluster: object, jobs: int) -> None:
    ask = cluster.ask  # type: ignore[attr-defined]
    ask("sbatch", f"--array=1-{jobs}", "--mem=100", "-o", "/dev/null", "--wrap", "true")
    while ask("squeue", "-h", "-t", "PD,R,CG").strip():
        time.sleep(0.2)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--tasks", type=int, default=1_204)
    options.add_argument("--slurm", action="store_true", help="also on a Slurm cluster on this machine")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        bench_planning(Path(name))
        bench_local(Path(name), given.tasks)
        if given.slurm:
            bench_slurm(Path(name), given.tasks)


if __name__ == "__main__":
    main()
