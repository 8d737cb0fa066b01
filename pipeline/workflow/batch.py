"""Where everything of a batch lies, and the one place that makes such paths."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputRefused, UsageError
from pipeline.model import is_identifier

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The folder of one batch and the names of what stands in it."""

    folder: Path

    @property
    def plan(self) -> Path:
        """The tasks with their hashes."""
        return self.folder / "plan.json"

    @property
    def intake(self) -> Path:
        """Digests of the input files that were found undamaged."""
        return self.folder / "intake.json"

    @property
    def audit(self) -> Path:
        """The hash-chained record of what was done."""
        return self.folder / "audit.jsonl"

    @property
    def results(self) -> Path:
        """Result tables."""
        return self.folder / "results"

    @property
    def report(self) -> Path:
        """The pages."""
        return self.folder / "report"

    def task(self, task_id: str) -> "TaskFolder":
        """The folder of one task; the identifier is checked before it becomes a path.

        A patient's tasks are ``PATIENT.ASSAY`` and ``PATIENT.ASSAY-index``, a run's ``RUN.ASSAY-run``.
        """
        parts = task_id.split(".")
        if len(parts) != 2 or not all(is_identifier(p) for p in parts):
            raise UsageError("a task is named PATIENT.ASSAY")
        return TaskFolder(self.folder / "tasks" / task_id)

    @property
    def nextflow(self) -> Path:
        """Nextflow's own files: its log, cache and work folders; nothing of a result."""
        return self.folder / "nextflow"

    @property
    def run_controls(self) -> Path:
        """What each shared run's control says."""
        return self.results / "run_control"

    def run_control(self, run_id: str) -> Path:
        """The control of one run; the identifier is checked before it becomes a path."""
        if not is_identifier(run_id):
            raise UsageError("a run's name is not an identifier")
        return self.run_controls / f"{run_id}.json"

    def _refuse_links(self) -> None:
        for folder in (
            self.folder,
            self.folder / "tasks",
            self.results,
            self.report,
            self.report / "patients",
        ):
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                link = next((entry.name for entry in entries if entry.is_symlink()), None)
            if link is not None:
                raise InputRefused(
                    "it is a link, and a batch is written only within its own folder",
                    path=folder / link,
                    remedy="remove the link, or give another --out",
                )

    @contextmanager
    def locked(self, *, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the batch for one run; a second run is refused, a killed one leaves no lock.

        Parameters
        ----------
        wait_s
            Seconds to wait for whoever holds it, before it is refused.

        Raises
        ------
        InputRefused
            If another process holds the batch, the folder cannot be made or written, or something in it
        is a link: what is written must not land elsewhere.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise InputRefused(
                f"the batch folder cannot be written ({error.strerror})", path=self.folder
            ) from error
        try:
            _lock(descriptor, wait_s)
        except BlockingIOError as error:
            raise InputRefused(
                "another run holds this batch", path=self.folder, remedy="wait for it, or give another --out"
            ) from error
        else:
            self._refuse_links()
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """The files of one task."""

    folder: Path

    @property
    def task(self) -> Path:
        """What the task has to do."""
        return self.folder / "task.json"

    @property
    def events(self) -> Path:
        """What happened, with times: a log, not a result."""
        return self.folder / "events.jsonl"

    @property
    def output(self) -> Path:
        """What came out."""
        return self.folder / "output.json"

    @property
    def failed(self) -> Path:
        """Why the last try failed."""
        return self.folder / "failed.json"

    @property
    def done(self) -> Path:
        """Written last: the task's hashes and its output's."""
        return self.folder / "done.json"
