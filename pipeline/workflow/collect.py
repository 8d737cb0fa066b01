"""From finished tasks to the batch's result tables and pages."""

from dataclasses import dataclass
from pathlib import Path

from pipeline import __version__
from pipeline.formats.records import write_parquet
from pipeline.model import GateCount, Marker, MrdResult
from pipeline.workflow.batch import Batch
from pipeline.workflow.config import Config
from pipeline.workflow.plan import Plan
from pipeline.workflow.task import read_done, read_output

__all__ = ["Collected", "collect", "write_pages", "write_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All results of a batch in the plan's order, and the tasks that have none."""

    mrd: tuple[MrdResult, ...]
    markers: tuple[Marker, ...]
    gates: tuple[GateCount, ...]
    missing: tuple[str, ...]


def collect(batch: Batch, plan: Plan) -> Collected:
    """Gather the outputs of the plan's finished tasks.

    A task whose done-record has another fingerprint than the plan's counts as missing:
    an old result never stands for a new input.
    """
    mrd: list[MrdResult] = []
    markers: list[Marker] = []
    gates: list[GateCount] = []
    missing = []
    for task in plan.tasks:
        folder = batch.task(task.task_id)
        done = read_done(folder)
        if done is None or done.fingerprint != task.fingerprint:
            missing.append(task.task_id)
            continue
        output = read_output(folder)
        mrd += output.mrd
        markers += output.markers
        gates += output.gates
    return Collected(mrd=tuple(mrd), markers=tuple(markers), gates=tuple(gates), missing=tuple(missing))


def write_tables(batch: Batch, collected: Collected) -> tuple[Path, ...]:
    """Write results/*.parquet; no log and no time stamp, so that equal work gives equal bytes."""
    tables = {"mrd": (MrdResult, collected.mrd), "markers": (Marker, collected.markers)}
    paths = [
        batch.results / "mrd.parquet",
        batch.results / "markers.parquet",
        batch.results / "gates.parquet",
    ]
    write_parquet(paths[0], *tables["mrd"])
    write_parquet(paths[1], *tables["markers"])
    write_parquet(paths[2], GateCount, collected.gates)
    return tuple(paths)


def write_pages(
    batch: Batch, plan: Plan, config: Config, collected: Collected, unverified: tuple[str, ...]
) -> Path:
    """Write the report of what was collected; its first page's path."""
    raise NotImplementedError(__version__, batch, plan, config, collected, unverified)
