"""The embedded engine: a process pool on this machine.

Kill-safe by construction: a task counts as done only by its done-record, written
last; workers are told by the kernel to die with their parent; nothing is kept in
memory that a rerun needs.
"""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pipeline.errors import NadirError
from pipeline.workflow.batch import Batch
from pipeline.workflow.plan import Task
from pipeline.workflow.task import execute, record_failure

__all__ = ["run_local"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_local(
    batch: Batch, tasks: Sequence[Task], *, jobs: int, finished: Callable[[Task, str | None], None]
) -> dict[str, str]:
    """Run tasks, at most ``jobs`` at once.

    Parameters
    ----------
    batch, tasks
        Planned tasks, whose task.json is written.
    jobs
        Worker processes, >= 1.
    finished
        Called in this process after each task, with its error or None.

    Returns
    -------
    dict
        Task identifier to message, for the tasks that failed.

    Raises
    ------
    KeyboardInterrupt
        If the user stops it; the workers are stopped too.
    """
    failures: dict[str, str] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(jobs, max(1, len(tasks))), mp_context=context, initializer=_die_with, initargs=(os.getpid(),)
    ) as pool:
        try:
            pending = {pool.submit(execute, batch.task(t.task_id).task): t for t in tasks}
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda f: pending[f].task_id):
                    task = pending.pop(future)
                    message = _message(batch, task, future)
                    if message is not None:
                        failures[task.task_id] = message
                    finished(task, message)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return failures


def _message(batch: Batch, task: Task, future: Future[None]) -> str | None:
    """Why a task failed, or None. A defect of ours is a failed task too, never a lost batch."""
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, NadirError):
        return str(error)
    if isinstance(error, BrokenProcessPool):
        message = "its worker process was killed (out of memory?)"
    else:
        message = f"defect in nadir: {type(error).__name__}: {error}"
    record_failure(batch.task(task.task_id), message, 4)
    return message


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this worker when its parent goes, however it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    if Path("/proc").is_dir():
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel was asked
        os._exit(1)
