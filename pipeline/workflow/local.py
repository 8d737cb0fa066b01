"""The embedded engine: a process pool on this machine.

Kill-safe by construction: a task counts as done only by its done-record, written
last; workers are told by the kernel to die with their parent; nothing is kept in
memory that a rerun needs.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue

from pipeline.errors import NadirError
from pipeline.workflow.batch import Batch
from pipeline.workflow.lifeline import die_with
from pipeline.workflow.planned import Task
from pipeline.workflow.task import execute, finished, record_failure

__all__ = ["default_jobs", "run_local"]

_AHEAD = 3  # tasks given to the pool for each worker, so that none waits for this process


def default_jobs() -> int:
    """Worker processes where nobody says: the processors this process may use."""
    return len(os.sched_getaffinity(0))


def run_local(
    batch: Batch, tasks: Sequence[Task], *, jobs: int, ended: Callable[[Task, str | None], None]
) -> dict[str, str]:
    """Run tasks, at most ``jobs`` at once, each when those it reads from have ended.

    Where a worker is killed, the tasks that were at work then are tried once more, one at a
    time and alone, so that each has all of the machine's memory; the others go on.

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
    order = _Order(tasks)
    ready = deque(order.first())

    def close(task: Task, error: BaseException | None) -> None:
        message = None if error is None else _message(batch, task, error)
        if message is not None:
            failures[task.task_id] = message
        ended(task, message)
        ready.extend(order.next_after(task))

    while ready:
        for task, _ in _until_broken(batch, ready, min(jobs, len(tasks)), close):
            for again, error in _until_broken(batch, deque([task]), 1, close):
                close(again, error)
    return failures


def _until_broken(
    batch: Batch, ready: deque[Task], jobs: int, close: Callable[[Task, BaseException | None], None]
) -> list[tuple[Task, BrokenProcessPool]]:
    """Run what is ready, and what becomes ready, until nothing is left or a worker is killed.

    Its death ends every future of the pool: the unfinished tasks are given back.
    """
    lost: list[tuple[Task, BrokenProcessPool]] = []
    at_work: dict[Future[str], Task] = {}
    completed: SimpleQueue[Future[str]] = SimpleQueue()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_begin_worker, initargs=(os.getpid(),)
    ) as pool:
        try:
            while at_work or (ready and not lost):
                while ready and not lost and len(at_work) < _AHEAD * jobs:
                    task = ready.popleft()
                    future = _submitted(pool, batch, task)
                    at_work[future] = task
                    future.add_done_callback(completed.put)
                future = completed.get()
                task = at_work.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool) and finished(batch, task) is None:
                    lost.append((task, error))
                else:
                    close(task, None if isinstance(error, BrokenProcessPool) else error)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return lost


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


def _submitted(pool: ProcessPoolExecutor, batch: Batch, task: Task) -> Future[str]:
    """A task's future: at work, already done, or failed where the pool is broken."""
    future: Future[str] = Future()
    done = finished(batch, task) if task.after else None
    if done is not None:
        future.set_result(done.output_sha256)
        return future
    try:
        return pool.submit(execute, batch.task(task.task_id).task)
    except BrokenProcessPool as error:
        future.set_exception(error)
        return future


def _message(batch: Batch, task: Task, error: BaseException) -> str:
    """Why a task failed. A defect of ours is a failed task too, never a lost batch."""
    if isinstance(error, NadirError):
        return str(error)
    if isinstance(error, BrokenProcessPool):
        message = (
            "its worker process was killed twice, the second time alone on this machine (out of memory?)"
        )
    elif isinstance(error, OSError):
        message = f"a file cannot be written or read ({error.strerror or error}): {error.filename}"
    else:
        message = f"defect in nadir: {type(error).__name__}: {error}"
    record_failure(batch.task(task.task_id), message, 4)
    return message


def _begin_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    die_with(parent, signal.SIGKILL)
