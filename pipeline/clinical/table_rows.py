"""Rows of a clinical table, cell by cell, with every problem of the table gathered.

A reader asks a `Cells` for what a column must hold; a cell that cannot be read becomes a problem and
gives nothing, so that the next cell is read as well.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import Table
from pipeline.formats.named_cells import named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal, read_date, read_identifier

__all__ = ["Cells", "Rows", "read_rows"]

_NUMBER = re.compile(r"\d+(\.\d+)?([eE][+-]?\d{1,2})?", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2}(,\d{3})+", re.ASCII)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows(Generic[Row]):
    """Rows in the order of the file, and one sentence per cell that was mended."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Cells:
    """The cells of one row; ``problems`` and ``notes`` gather what was wrong and what was mended."""

    line: int
    cells: dict[str, str]
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, column: str | None, refusal: Refusal) -> None:
        """Note that a cell, or the row, cannot be used."""
        self.problems.append(refusal.at(self.line, column))

    def note(self, text: str) -> None:
        """Note that a cell was mended."""
        self.notes.append(f"line {self.line}: {text}")

    def text(self, column: str, *, required: bool = False) -> str:
        """What a cell says; an absent column is an empty cell."""
        text = self.cells.get(column, "")
        if required and not text:
            self.refuse(column, Refusal("cell_empty", "an empty cell", "fill it in"))
        return text

    def identifier(self, column: str) -> str:
        """A pseudonym; refused if empty or personal."""
        read = read_identifier(self.text(column))
        if isinstance(read, Refusal):
            self.refuse(column, read)
            return ""
        return read

    def day(self, column: str) -> date | None:
        """A date, or nothing where the cell is empty."""
        if not self.text(column):
            return None
        read = read_date(self.text(column))
        if isinstance(read, Refusal):
            self.refuse(column, read)
            return None
        return read

    def required_day(self, column: str) -> date:
        """A date; an empty cell is a problem."""
        self.text(column, required=True)
        return self.day(column) or date.min

    def choice(self, column: str, words: Sequence[str], *, required: bool = False) -> str:
        """One of some words in any case, as they are spelled here; empty where the cell is."""
        text = self.text(column, required=required)
        known = {w.lower(): w for w in words}
        if text and text.lower() not in known:
            self.refuse(column, Refusal("unknown_answer", "not an answer", f"one of {', '.join(words)}"))
        return known.get(text.lower(), "")

    def yes(self, column: str) -> bool | None:
        """Whether a cell says YES; nothing where it is empty."""
        answer = self.choice(column, ("YES", "NO"))
        return answer == "YES" if answer else None

    def number(self, column: str, *, maximum: int, whole: bool = False) -> Decimal | None:
        """A decimal number from 0 to ``maximum``; nothing where the cell is empty."""
        text = self.text(column)
        if not text:
            return None
        mended = text
        if text.count(",") == 1 and "." not in text and not _GROUPED.fullmatch(text):
            mended = text.replace(",", ".")
        refusal = _number_refusal(text, mended, maximum=maximum, whole=whole)
        if refusal is not None:
            self.refuse(column, refusal)
            return None
        if mended != text:
            self.note(f"{column}: decimal comma, read as {mended}")
        return Decimal(mended)

    def whole(self, column: str, *, maximum: int) -> int | None:
        """A whole number from 0 to ``maximum``; nothing where the cell is empty."""
        number = self.number(column, maximum=maximum, whole=True)
        return None if number is None else int(number)

    def in_order(self, first: date | None, column: str, last: date | None) -> None:
        """Refuse ``last``, of ``column``, if it lies before ``first``."""
        if first is not None and last is not None and date.min < last < first:
            cause = "before the date that must come first"
            self.refuse(column, Refusal("dates_out_of_order", cause, "correct one of the two dates"))


def _number_refusal(text: str, mended: str, *, maximum: int, whole: bool) -> Refusal | None:
    if text.startswith("-"):
        return Refusal("negative", "a negative value", "correct it at its source")
    if _GROUPED.fullmatch(text):
        return Refusal("ambiguous_comma", "a comma that may group thousands", "write the decimal point")
    if not _NUMBER.fullmatch(mended):
        return Refusal("not_a_number", "not a number", "digits with a decimal point")
    if Decimal(mended) > maximum:
        return Refusal("impossible", f"above {maximum}, which cannot be", "check the unit of this column")
    if whole and Decimal(mended) != int(Decimal(mended)):
        return Refusal("not_whole", "not a whole number", "give a whole number")
    return None


def read_rows(
    table: Table,
    columns: Sequence[str],
    read: Callable[[Cells], Row],
    *,
    path: Path | str,
    remedy: str,
    key: Callable[[Row], Hashable] | None = None,
) -> Rows[Row]:
    """Read every row of a table.

    Parameters
    ----------
    table
        As `pipeline.formats.delimited.read_table` gives it; other columns may stand beside ``columns``.
    columns
        Each must be there once.
    read
        Makes the row; its result is dropped where a cell was refused.
    path
        The file, for messages.
    remedy
        What to do about a column that is missing or stands twice.
    key
        What must be different on every row, such as the patient.

    Raises
    ------
    SheetRefused
        With every problem of the table.
    """
    names = named_columns(table, columns, path=path, remedy=remedy)
    rows: list[Row] = []
    problems: list[Problem] = []
    notes: list[str] = []
    seen: dict[Hashable, int] = {}
    for record in table.records:
        named = named_cells(record, names)
        if isinstance(named, Refusal):
            problems.append(named.at(record.line, None))
            continue
        cells = Cells(line=record.line, cells=named, notes=notes)
        row = read(cells)
        problems += cells.problems
        if cells.problems:
            continue
        if key is not None and seen.setdefault(key(row), record.line) != record.line:
            cause = f"line {seen[key(row)]} says this already"
            problems.append(
                Refusal("row_twice", cause, "keep the row that is right").at(record.line, columns[0])
            )
        rows.append(row)
    if problems:
        raise SheetRefused(path, problems)
    return Rows(rows=tuple(rows), notes=tuple(notes))
