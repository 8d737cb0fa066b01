"""A patient's samples of one assay, held open for an analyst who changes something and looks again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from pipeline.errors import UsageError
from pipeline.model import Assay, Change, Marker, MrdResult, SampleKey
from pipeline.workflow.batch import Batch
from pipeline.workflow.planned import Task
from pipeline.workflow.steps import Phase
from pipeline.workflow.task import checked_inputs, read_output, settings_of

if TYPE_CHECKING:
    from mrd_ngs.revision import RevisableNgs

__all__ = ["Revisable", "open_task"]


class Revisable(Protocol):
    """What an assay gives for revision: ``markers`` that can be left out, and results after changes."""

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Markers that are followed; none where the assay has none."""

    def results(self, sample: SampleKey, changes: Sequence[Change]) -> tuple[MrdResult, ...]:
        """Results of one sample after changes; without any, the automatic ones."""


def open_task(batch: Batch, task: Task) -> Revisable:
    """The samples of a finished task, to be read as the run did.

    Raises
    ------
    UsageError
        If nothing can be changed in results of this assay.
    DamagedFile
        If an input changed since the run, or the task's output is damaged.
    """
    checked_inputs(task)
    settings = settings_of(task)
    if task.assay is Assay.FLOW:
        from mrd_flow.revision import RevisableFlow

        document = read_output(batch.task(task.task_id)).document
        return RevisableFlow(task.samples, settings, task.baseline, document)
    if task.assay is Assay.NGS:
        return _open_ngs(batch, task, settings)
    raise UsageError(f"results of {task.assay} cannot be changed here")


def _open_ngs(batch: Batch, task: Task, settings: object) -> "RevisableNgs":
    from mrd_ngs.judged_run import read_judged
    from mrd_ngs.revision import RevisableNgs
    from mrd_ngs.settings import NgsSettings
    from mrd_ngs.shared_run import Indexed

    assert isinstance(settings, NgsSettings)
    if task.phase is not Phase.FOLLOW:
        return RevisableNgs(task.samples, settings, task.baseline)
    indexed, runs = None, []
    for task_id in task.after:
        output = read_output(batch.task(task_id))
        if task_id == f"{task.patient_id}.{task.assay}-{Phase.INDEX}":
            indexed = Indexed(markers=output.markers, baseline_sha256=output.document["baseline_sha256"])
        else:
            runs.append(read_judged(output.document, task.patient_id))
    return RevisableNgs(task.samples, settings, task.baseline, indexed, runs)
