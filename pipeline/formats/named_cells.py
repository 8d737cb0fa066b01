"""Rows of a table by the names of its columns, whatever their order."""

import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import Record, Table
from pipeline.formats.sheet_cells import Refusal

__all__ = ["finite_number", "named_cells", "named_columns"]


def named_columns(table: Table, wanted: Sequence[str], *, path: Path | str, remedy: str) -> tuple[str, ...]:
    """The names of a table's columns, in lower case and in their order.

    Parameters
    ----------
    table
        As `pipeline.formats.delimited.read_table` gives it; other columns may stand beside those wanted.
    wanted
        Each must be there once.
    path
        The file, for messages.
    remedy
        What to do about one that is missing or stands twice.

    Raises
    ------
    SheetRefused
        With every such column, and every line that could not be split.
    """
    names = tuple(cell.strip().strip('"').lower() for cell in table.header.cells)
    absent = Refusal("column_missing", "this column is missing or stands twice", remedy)
    problems: list[Problem] = list(table.problems)
    problems += [absent.at(table.header.line, name) for name in wanted if names.count(name) != 1]
    if problems:
        raise SheetRefused(path, problems)
    return names


def named_cells(record: Record, names: Sequence[str]) -> dict[str, str] | Refusal:
    """The cells of a row by column, full-width characters as plain ones; refused if too few or too many."""
    if len(record.cells) != len(names):
        cause = f"{len(record.cells)} cells under {len(names)} column names"
        return Refusal("cell_count", cause, "quote cells that hold the delimiter")
    return {n: unicodedata.normalize("NFKC", c).strip() for n, c in zip(names, record.cells, strict=True)}


def finite_number(text: str) -> float | None:
    """A number written with a point, or None where it is none or not finite.

    >>> finite_number("1.5e-5"), finite_number("nan"), finite_number("")
    (1.5e-05, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
