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
from pipeline.workflow.planned import Task
from pipeline.workflow.task import execute, finished, record_failure

__all__ = ["run_local"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run_local(
    batch: Batch, tasks: Sequence[Task], *, jobs: int, ended: Callable[[Task, str | None], None]
) -> dict[str, str]:
    """Run tasks, at most ``jobs`` at once, each when those it reads from have ended.

    Parameters
    ----------
    batch, tasks
        Planned tasks, whose task.json is written, each behind those it reads from. One that
        turns out to be done, as those before it said what they had said, is not run.
    jobs
        Worker processes, >= 1.
    ended
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
            waiting = list(tasks)
            pending: dict[Future[None], Task] = {}
            while waiting or pending:
                blocked = {t.task_id for t in (*waiting, *pending.values())}
                ready = [t for t in waiting if not blocked.intersection(t.after)]
                waiting = [t for t in waiting if blocked.intersection(t.after)]
                pending |= {_submitted(pool, batch, task): task for task in ready}
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda f: pending[f].task_id):
                    task = pending.pop(future)
                    message = _message(batch, task, future)
                    if message is not None:
                        failures[task.task_id] = message
                    ended(task, message)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return failures


def _submitted(pool: ProcessPoolExecutor, batch: Batch, task: Task) -> Future[None]:
    """A task's future: at work, already done, or failed where the pool is broken."""
    if task.after and finished(batch, task) is not None:
        return _ended(None)
    try:
        return pool.submit(execute, batch.task(task.task_id).task)
    except BrokenProcessPool as error:
        return _ended(error)


def _ended(error: BrokenProcessPool | None) -> Future[None]:
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def _message(batch: Batch, task: Task, future: Future[None]) -> str | None:
    """Why a task failed, or None. A defect of ours is a failed task too, never a lost batch."""
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, NadirError):
        return str(error)
    if isinstance(error, BrokenProcessPool):
        # One worker's death ends every future of the pool, also of a task another had just finished.
        if finished(batch, task) is not None:
            return None
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
