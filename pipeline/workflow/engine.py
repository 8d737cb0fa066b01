"""Who runs the tasks of a plan: the local pool, or Nextflow."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.workflow.batch import Batch
from pipeline.workflow.planned import Task

__all__ = ["ENGINES", "Engine", "engine_named"]

ENGINES = ("local", "nextflow")


class Engine(Protocol):
    """Runs tasks, each when those it reads from have ended; the messages of those that failed, by task.

    It calls ``ended`` for every task, with its message or None, and writes nothing but what
    `pipeline.workflow.task.execute` writes: so every engine leaves the same bytes.
    """

    def __call__(
        self, batch: Batch, tasks: Sequence[Task], *, ended: Callable[[Task, str | None], None]
    ) -> dict[str, str]:
        """Run them."""


def engine_named(
    name: str = "local",
    *,
    jobs: int | None = None,
    profile: str | None = None,
    nextflow: Path | None = None,
) -> Engine:
    """The engine of that name.

    Parameters
    ----------
    name
        One of `ENGINES`.
    jobs
        Tasks at once; None: as many as processors, or what the profile says.
    profile, nextflow
        Nextflow's profile (default ``local``) and its executable; for that engine only.

    Raises
    ------
    UsageError
        If the name is unknown, or an option belongs to the other engine; if there is no Nextflow.
    """
    if name not in ENGINES:
        raise UsageError(f"--engine is one of {', '.join(ENGINES)}")
    if name == "nextflow":
        from pipeline.workflow.nextflow import run_nextflow
        from pipeline.workflow.nextflow.command import find_nextflow

        executable = find_nextflow(nextflow)  # refused here, before any file is read
        return partial(run_nextflow, profile=profile or "local", jobs=jobs, executable=executable)
    if profile is not None or nextflow is not None:
        raise UsageError("--profile and --nextflow belong to --engine nextflow")
    from pipeline.workflow.local import default_jobs, run_local

    return partial(run_local, jobs=jobs or default_jobs())
