"""Nextflow by subprocess: told by a file, watched by the tasks' own logs, judged by their done-records."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pipeline.formats.atomic import replacing, write_json
from pipeline.workflow.batch import Batch, TaskFolder
from pipeline.workflow.lifeline import die_with
from pipeline.workflow.nextflow.command import Launch, find_nextflow, launch_for, parameters_of
from pipeline.workflow.nextflow.trace import Job, read_trace, why_without_result
from pipeline.workflow.planned import Task
from pipeline.workflow.task import failure_of, finished, last_event, outputs_before, record_failure

__all__ = ["run_nextflow"]

_POLL_S = 0.5
_POLL_SHARE = 10  # looking at the tasks takes at most a tenth of the time
_STOP_S = 60.0


def run_nextflow(
    batch: Batch,
    tasks: Sequence[Task],
    *,
    profile: str,
    ended: Callable[[Task, str | None], None],
    jobs: int | None = None,
    executable: Path | None = None,
) -> dict[str, str]:
    """Run tasks through Nextflow, each when those it reads from have ended.

    Parameters
    ----------
    batch, tasks
        Planned tasks, whose task.json is written, each behind those it reads from.
    profile
        ``local``, ``slurm``, or the path of a site's Nextflow configuration.
    ended
        Called in this process when a task's log or, at the end, its done-record shows that it ended.
    jobs
        Tasks in the queue at once; None leaves it to the profile.
    executable
        Nextflow; None finds it by ``NADIR_NEXTFLOW`` or ``PATH``.

    Returns
    -------
    dict
        Task identifier to message, for the tasks without an intact done-record.

    Raises
    ------
    UsageError, InputRefused
        Before anything starts: no Nextflow, no such profile, or a path that a shell could misread.
    KeyboardInterrupt
        If the user stops it; Nextflow is asked to end, and takes its jobs back.
    """
    parameters = batch.nextflow.absolute() / "parameters.json"
    launch = launch_for(
        batch, executable=find_nextflow(executable), profile=profile, jobs=jobs, parameters=parameters
    )
    known: dict[str, str] = {}
    for task in tasks:
        outputs_before(batch, task, known)
    limit = _memory_here_mb() if profile == "local" else None
    write_json(parameters, parameters_of(batch, tasks, known, memory_limit_mb=limit))
    if not tasks:
        return {}
    launch.trace.unlink(missing_ok=True)
    watch = _Watch(batch, tasks, ended)
    with _started(launch) as process:
        while process.poll() is None:
            began = time.monotonic()
            watch.look()
            time.sleep(max(_POLL_S, _POLL_SHARE * (time.monotonic() - began)))
    return watch.close(read_trace(launch.trace), _why_nextflow_failed(process.returncode, launch))


class _Watch:
    """What the tasks' logs say since the run began."""

    def __init__(self, batch: Batch, tasks: Sequence[Task], ended: Callable[[Task, str | None], None]):
        self._batch, self._tasks, self._ended = batch, tasks, ended
        self._open = {task.task_id: _size(self._folder(task).events) for task in tasks}

    def _folder(self, task: Task) -> TaskFolder:
        return self._batch.task(task.task_id)

    def look(self) -> None:
        """Tell of every task whose log got its last line since."""
        for task in self._tasks:
            seen = self._open.get(task.task_id)
            size = _size(self._folder(task).events)
            if seen is None or size <= seen:
                continue
            self._open[task.task_id] = size
            event = last_event(self._folder(task))
            if event in ("finished", "kept"):
                self._tell(task, None)
            elif event == "failed":
                self._tell(task, failure_of(self._folder(task)))

    def close(self, jobs: dict[str, Job], failed: str | None) -> dict[str, str]:
        """Tell of the rest, and give the message of every task without a result."""
        failures: dict[str, str] = {}
        known: dict[str, str] = {}
        for task in self._tasks:
            job = jobs.get(task.task_id)
            if job is not None and job.status == "CACHED":
                _restore(self._folder(task), job.folder)
            message = None
            if finished(self._batch, task, known) is None:
                message = self._message(task, job, failed)
                failures[task.task_id] = message
            if task.task_id in self._open:
                self._tell(task, message)
        return failures

    def _message(self, task: Task, job: Job | None, failed: str | None) -> str:
        """Why a task has no result; kept where the task could not do it itself."""
        folder = self._folder(task)
        refused = failure_of(folder)
        if refused is not None and last_event(folder) == "failed":
            return refused
        if job is not None:
            message = why_without_result(job)
        else:
            message = failed or "Nextflow ended without running it"
        record_failure(folder, message, 4)
        return message

    def _tell(self, task: Task, message: str | None) -> None:
        del self._open[task.task_id]
        self._ended(task, message)


def _restore(folder: TaskFolder, kept: Path) -> None:
    """Copy what a cached job kept to where the batch lost it; the record decides whether it counts."""
    if folder.done.exists():
        return
    for source, target in ((kept / "output.json", folder.output), (kept / "done.json", folder.done)):
        if source.is_file():
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)


@contextmanager
def _started(launch: Launch) -> Iterator["subprocess.Popen[bytes]"]:
    """Nextflow in a process group of its own; whatever happens, nothing of it stays.

    It is asked to end first, as it has jobs in a queue to take back.
    """
    launch.folder.mkdir(parents=True, exist_ok=True)
    with (launch.folder / "console.txt").open("wb") as console:
        process = subprocess.Popen(  # noqa: S603 - an argument list of ours, no shell
            launch.arguments,
            cwd=launch.folder,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid(), signal.SIGTERM),
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        _end_group(process.pid)
        process.wait()


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _why_nextflow_failed(code: int, launch: Launch) -> str | None:
    """None where Nextflow ended well; else what it said last."""
    if code == 0:
        return None
    text = (launch.folder / "console.txt").read_text(encoding="utf-8", errors="replace")
    said = " / ".join([line.strip() for line in text.splitlines() if line.strip()][-4:])
    return f"not run: Nextflow ended with exit code {code} ({said}); see {launch.folder / 'nextflow.log'}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _memory_here_mb() -> int:
    """The memory of this machine, beyond which Nextflow's local executor refuses a task."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
