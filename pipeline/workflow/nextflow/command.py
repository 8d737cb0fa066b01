"""Which Nextflow, called how: an argument list, parameters by file, nothing through a shell."""

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputRefused, UsageError
from pipeline.workflow.batch import Batch
from pipeline.workflow.planned import Task
from pipeline.workflow.steps import step_for

__all__ = ["RANKS", "Launch", "find_nextflow", "launch_for", "parameters_of"]

RANKS = 4
"""How many ranks of tasks main.nf holds."""

_HERE = Path(__file__).parent
_ENVIRONMENT = "NADIR_NEXTFLOW"
_SHIPPED_PROFILES = ("local", "slurm")
# Nextflow writes these paths into scripts for a shell, with quoting that depends on its version.
_PLAIN = re.compile(r"[A-Za-z0-9._/+@=,-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How Nextflow is started for one batch: its folder, its arguments, its environment, its trace."""

    folder: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    trace: Path


def find_nextflow(option: Path | None = None) -> Path:
    """The Nextflow executable: the one given, else ``NADIR_NEXTFLOW``, else the one on ``PATH``.

    Raises
    ------
    UsageError
        If there is none, or the one named is no executable.
    """
    named = os.environ.get(_ENVIRONMENT) if option is None else str(option)
    found = shutil.which(named or "nextflow")
    if found is None and named:
        source = "--nextflow" if option is not None else _ENVIRONMENT
        raise UsageError(f"{source} names no executable file: {named}")
    if found is None:
        raise UsageError(
            f"nextflow is not on PATH; name it by --nextflow or {_ENVIRONMENT}, "
            "or install it by scripts/install-nextflow"
        )
    return Path(found).absolute()


def launch_for(batch: Batch, *, executable: Path, profile: str, jobs: int | None, parameters: Path) -> Launch:
    """How Nextflow is started for a batch.

    Parameters
    ----------
    batch
        The batch; Nextflow's own files go into its folder ``nextflow``.
    executable
        From `find_nextflow`.
    profile
        ``local``, ``slurm``, or the path of a site's configuration file.
    jobs
        Tasks in the queue at once; None leaves it to the profile.
    parameters
        The file that `parameters_of` went into.

    Raises
    ------
    UsageError
        If the profile is neither known nor a file.
    """
    folder = batch.nextflow.absolute()
    if profile in _SHIPPED_PROFILES:
        chosen = ["-profile", profile]
    elif Path(profile).is_file():
        chosen = ["-c", str(Path(profile).absolute())]
    else:
        raise UsageError(f"--profile is {', '.join(_SHIPPED_PROFILES)}, or a Nextflow configuration file")
    trace = folder / "trace.tsv"
    arguments = [
        *(str(executable), "-log", str(folder / "nextflow.log")),
        *("run", str(_HERE / "main.nf"), *chosen, "-ansi-log", "false", "-resume"),
        *("-params-file", str(parameters), "-work-dir", str(folder / "work"), "-with-trace", str(trace)),
        *([] if jobs is None else ["-queue-size", str(jobs)]),
    ]
    environment = {
        **os.environ,
        "NXF_HOME": str(
            folder / "home"
        ),  # no plugin, no user's configuration, no lock shared between batches
        "NXF_OFFLINE": "true",
        "NXF_PLUGINS_DEFAULT": "false",
        "NXF_DISABLE_CHECK_LATEST": "true",
        "NXF_ANSI_LOG": "false",
    }
    return Launch(folder=folder, arguments=tuple(arguments), environment=environment, trace=trace)


def parameters_of(
    batch: Batch, tasks: Sequence[Task], before: Mapping[str, str], *, memory_limit_mb: int | None
) -> dict[str, Any]:
    """What main.nf is told: interpreter, batch, and every task with its rank and whom it waits for.

    Parameters
    ----------
    batch, tasks
        The tasks to run, each behind those it reads from.
    before
        Digests of outputs that are there already, by task; empty text for one without.
    memory_limit_mb
        The most memory a task may ask for; None leaves it to the profile.

    Raises
    ------
    InputRefused
        If a path holds a character that a shell would take for its own.
    UsageError
        If the tasks wait for each other deeper than main.nf goes.
    """
    for path in (batch.folder.absolute(), Path(sys.executable)):
        if not _PLAIN.fullmatch(str(path)):
            raise InputRefused(
                "the Nextflow engine writes this path into shell scripts",
                path=path,
                expected="letters, digits and . _ - / + @ = ,",
                remedy="give another --out, or --engine local",
            )
    rank: dict[str, int] = {}
    rows = []
    for task in tasks:
        waits = [name for name in task.after if name in rank]
        rank[task.task_id] = max((rank[name] + 1 for name in waits), default=0)
        rows.append(
            {
                "task_id": task.task_id,
                "assay": str(task.assay),
                "phase": str(task.phase),
                "memory_mb": step_for(task.assay).memory_mb,
                "fingerprint": task.fingerprint,
                "rank": rank[task.task_id],
                "after": waits,
                "before": [f"{name} {before.get(name, '')}" for name in task.after if name not in rank],
            }
        )
    if max(rank.values(), default=0) >= RANKS:
        raise UsageError(f"tasks wait for each other more than {RANKS} deep; main.nf holds no more")
    limit = {} if memory_limit_mb is None else {"memory_limit_mb": memory_limit_mb}
    return {"python": sys.executable, "batch": str(batch.folder.absolute()), "tasks": rows, **limit}
