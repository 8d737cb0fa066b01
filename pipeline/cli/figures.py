"""Figures that commands write beside their tables."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Language", "words_of", "write_figures"]

Language = Annotated[str, typer.Option("--lang", metavar="en|ja", help="Language of the figures.")]


def words_of(language: str) -> Mapping[str, str]:
    """The words of figures, before any work is done.

    Raises
    ------
    UsageError
        If there are none in that language.
    """
    from pipeline.report.figures.words import figure_words

    try:
        return figure_words(language)
    except ValueError as error:
        raise UsageError(f"--lang: {error}") from error


def write_figures(folder: Path, figures: Mapping[str, Callable[[], "Figure"]]) -> None:
    """Make each figure in the house style and write it as FOLDER/NAME.svg."""
    from pipeline.report.figure_style import write_figure
    from pipeline.report.figures.words import worded_style

    with worded_style():
        for name, make in figures.items():
            write_figure(folder / f"{name}.svg", make())
