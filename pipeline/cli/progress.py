"""How a run shows its progress: a bar on a terminal, plain lines elsewhere; always on stderr."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from pipeline.workflow.run import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = ["progress_for"]


class Lines:
    """One line per event, for logs."""

    def __init__(self) -> None:
        self._total = 0
        self._ended = 0

    def stage(self, text: str) -> None:
        typer.echo(text, err=True)

    def planned(self, total: int, skipped: int) -> None:
        self._total, self._ended = total, skipped
        typer.echo(_planned(total, skipped), err=True)

    def finished(self, task_id: str, error: str | None) -> None:
        self._ended += 1
        outcome = "done" if error is None else f"FAILED: {error}"
        typer.echo(f"[{self._ended}/{self._total}] {task_id} {outcome}", err=True)


@contextmanager
def progress_for(quiet: bool) -> Iterator[Progress]:
    """The progress that suits where stderr goes."""
    if quiet or not sys.stderr.isatty():
        yield _Quiet() if quiet else Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _Terminal(bar)


class _Quiet(Lines):
    def stage(self, text: str) -> None:
        del text

    def planned(self, total: int, skipped: int) -> None:
        del total, skipped

    def finished(self, task_id: str, error: str | None) -> None:
        del task_id, error


class _Terminal:
    def __init__(self, bar: "Bar") -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None)

    def stage(self, text: str) -> None:
        self._bar.update(self._task, description=text)

    def planned(self, total: int, skipped: int) -> None:
        self._bar.console.print(_planned(total, skipped), markup=False)
        self._bar.update(self._task, description="analysing", total=total, completed=skipped)

    def finished(self, task_id: str, error: str | None) -> None:
        self._bar.advance(self._task)
        if error is not None:
            self._bar.console.print(f"{task_id} FAILED: {error}", markup=False, style="red")


def _planned(total: int, skipped: int) -> str:
    if not skipped:
        return f"{total} tasks"
    return f"{total} tasks, {skipped} of them done before and skipped"
