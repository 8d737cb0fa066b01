"""Tables written as CSV: one form for every command."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.formats.atomic import write_text

__all__ = ["csv_text", "number_cell", "write_csv"]


def csv_text(rows: Iterable[Sequence[str]], *, delimiter: str = ",") -> str:
    """Rows as CSV; lines end in a line feed."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]], *, delimiter: str = ","
) -> None:
    """Write a header and rows, replacing the file atomically."""
    write_text(path, csv_text([columns, *rows], delimiter=delimiter))


def number_cell(value: float | None, *, digits: int = 15) -> str:
    """A number with so many significant digits; an empty cell for None.

    >>> number_cell(0.1), number_cell(None), number_cell(1 / 3, digits=3)
    ('0.1', '', '0.333')
    """
    return "" if value is None else f"{value:.{digits}g}"
