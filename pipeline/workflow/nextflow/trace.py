"""What Nextflow says of its jobs: the last try of each task, and why it ended without a result."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Job", "read_trace", "why_without_result"]

_NO_EXIT_CODE = ("-", "", str(2**31 - 1))  # how Nextflow writes that there was none
_SCHEDULER = ("slurmstepd: error:", "srun: error:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The last job of a task. ``exit_code`` is None where the job left none."""

    status: str
    exit_code: int | None
    attempt: int
    memory_mb: int | None
    folder: Path


def read_trace(path: Path) -> dict[str, Job]:
    """The last job of every task in Nextflow's trace file; empty where there is no file.

    A line that was cut by a kill is left out.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    if not lines:
        return {}
    names = lines[0].split("\t")
    jobs: dict[str, Job] = {}
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(names):
            continue
        row = dict(zip(names, cells, strict=True))
        job = Job(
            status=row["status"],
            exit_code=None if row["exit"] in _NO_EXIT_CODE else int(row["exit"]),
            attempt=int(row["attempt"]),
            memory_mb=int(row["memory"]) // 2**20 if row["memory"].isdigit() else None,
            folder=Path(row["workdir"]),
        )
        if row["tag"] not in jobs or jobs[row["tag"]].attempt <= job.attempt:
            jobs[row["tag"]] = job
    return jobs


def why_without_result(job: Job) -> str:
    """In words, why a job left no result: what the scheduler said, its exit code, its tries."""
    said = _last_line(job.folder / ".command.log", _SCHEDULER)
    if said is None and job.exit_code is not None and job.exit_code < 128:
        said = _last_line(job.folder / ".command.err", ("",))
    exit_code = (
        "no exit code (killed, out of memory or time, or its node was lost)"
        if job.exit_code is None
        else f"exit code {job.exit_code}"
    )
    memory = "" if job.memory_mb is None else f", the last with {job.memory_mb} MB"
    tries = f"after {job.attempt} {'try' if job.attempt == 1 else 'tries'}{memory}"
    return f"its job ended without a result: {exit_code}, {tries}" + ("" if said is None else f"; {said}")


def _last_line(path: Path, starts: tuple[str, ...]) -> str | None:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip() and line.startswith(starts)), None)
