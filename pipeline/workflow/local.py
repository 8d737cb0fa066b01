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
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from queue import SimpleQueue

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
            at_work: dict[Future[None], Task] = {}
            completed: SimpleQueue[Future[None]] = SimpleQueue()
            order = _Order(tasks)
            ready = order.first()
            while ready or at_work:
                for task in ready:
                    future = _submitted(pool, batch, task)
                    at_work[future] = task
                    future.add_done_callback(completed.put)
                future = completed.get()
                task = at_work.pop(future)
                message = _message(batch, task, future)
                if message is not None:
                    failures[task.task_id] = message
                ended(task, message)
                ready = order.next_after(task)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return failures


class _Order:
    """Which tasks may start when others have ended; every step costs what hangs on it, no more."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        here = {task.task_id for task in tasks}
        self._tasks = tasks
        self._missing = {task.task_id: len(here.intersection(task.after)) for task in tasks}
        self._behind: dict[str, list[Task]] = {}
        for task in tasks:
            for before in here.intersection(task.after):
                self._behind.setdefault(before, []).append(task)

    def first(self) -> list[Task]:
        """Tasks that wait for none of the others."""
        return [task for task in self._tasks if not self._missing[task.task_id]]

    def next_after(self, ended: Task) -> list[Task]:
        """Tasks that waited for this one last."""
        ready = []
        for task in self._behind.get(ended.task_id, ()):
            self._missing[task.task_id] -= 1
            if not self._missing[task.task_id]:
                ready.append(task)
        return ready


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
