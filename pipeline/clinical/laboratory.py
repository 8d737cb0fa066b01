"""Laboratory values of patients: tests, units, cells read from a table, every problem at once.

A value is a decimal as it was written, in the test's own unit; one reported below the assay's
limit ("<0.03") is a range from zero to that limit. Nothing is repaired by guessing: a decimal
comma or another unit is mended and said so, everything else is refused with its line.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from pipeline.clinical.catalogue import TESTS, TestKind
from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import Record, Table
from pipeline.formats.named_cells import named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal, read_date, read_identifier

__all__ = ["LAB_COLUMNS", "LabTable", "LabValue", "Quantity", "labs_from_table", "read_quantity"]

LAB_COLUMNS = ("patient_id", "date", "test", "value", "unit", "source_row")

_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2}(,\d{3})+", re.ASCII)
_HEAVY = r"(IgG|IgA|IgM|IgD|IgE)"
_BAND = re.compile(rf"{_HEAVY}-([KL])|([KL])", re.ASCII | re.IGNORECASE)

_identifier, _date = lru_cache(4096)(read_identifier), lru_cache(4096)(read_date)  # few, on many rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A measured number: ``low == high``, or the range ``0`` to ``high`` where it was reported as below."""

    low: Decimal
    high: Decimal
    unit: str

    @property
    def shown(self) -> str:
        """Value and unit as a person writes them."""
        number = f"{self.high.normalize():f}"
        return f"{'' if self.low == self.high else '<'}{number} {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabValue:
    """One row: ``quantity`` for numbers, ``words`` for answers, bands or names; ``line`` of the file."""

    patient_id: str
    day: date
    test: str
    quantity: Quantity | None
    words: tuple[str, ...]
    source_row: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabTable:
    """Rows in the order of patient, date and test, and one sentence per thing that was mended."""

    values: tuple[LabValue, ...]
    notes: tuple[str, ...]


def labs_from_table(table: Table, *, path: Path | str) -> LabTable:
    """Check every row of a laboratory table.

    Parameters
    ----------
    table
        As `pipeline.formats.delimited.read_table` gives it; columns in any order.
    path
        The file, for messages.

    Raises
    ------
    SheetRefused
        With every problem: an absent column, a row without a date, an unknown test or unit, a number
        that is negative, ambiguous or impossible, two different values of a test on a day.
    """
    names = named_columns(
        table, LAB_COLUMNS, path=path, remedy=f"give the columns {','.join(LAB_COLUMNS)} once each"
    )
    problems: list[Problem] = []
    notes: list[str] = []
    found: dict[tuple[str, date, str], LabValue] = {}
    for record in table.records:
        value = _row(record, names, problems, notes)
        if value is None:
            continue
        _enter(value, found, problems, notes)
    problems += _second_isotypes(found.values())
    if problems:
        raise SheetRefused(path, sorted(problems, key=lambda p: p.line or 0))
    order = sorted(found)
    return LabTable(values=tuple(found[key] for key in order), notes=tuple(notes))


def _enter(
    value: LabValue,
    found: dict[tuple[str, date, str], LabValue],
    problems: list[Problem],
    notes: list[str],
) -> None:
    key = (value.patient_id, value.day, value.test)
    earlier = found.setdefault(key, value)
    if earlier is value:
        return
    if (earlier.quantity, earlier.words) == (value.quantity, value.words):
        notes.append(f"line {value.line}: the same {value.test} as on line {earlier.line}; counted once")
        return
    problems.append(
        Problem(
            line=value.line,
            column="value",
            code="two_values_on_a_day",
            cause=f"another {value.test} of this patient and date stands on line {earlier.line}",
            remedy="keep the one that is right; which one cannot be told from the table",
        )
    )


def _second_isotypes(values: Iterable[LabValue]) -> list[Problem]:
    first: dict[str, LabValue] = {}
    return [
        Problem(
            line=value.line,
            column="value",
            code="two_isotypes",
            cause=f"another isotype of this patient stands on line {first[value.patient_id].line}",
            remedy="keep the isotype of the baseline; a second clone is judged in a table of its own",
        )
        for value in values
        if value.test == "isotype" and first.setdefault(value.patient_id, value).words != value.words
    ]


def _row(record: Record, names: Sequence[str], problems: list[Problem], notes: list[str]) -> LabValue | None:
    def refuse(column: str | None, refusal: Refusal) -> None:
        problems.append(refusal.at(record.line, column))

    cell = named_cells(record, names)
    if isinstance(cell, Refusal):
        refuse(None, cell)
        return None
    if not cell["date"]:
        refuse("date", Refusal("date_missing", "a value without a date", "give its date as YYYY-MM-DD"))
        return None
    patient_id, day = _identifier(cell["patient_id"]), _date(cell["date"])
    kind = TESTS.get(cell["test"].lower())
    unknown = Refusal("unknown_test", "an unknown test", f"one of {', '.join(TESTS)}")
    for column, item in (("patient_id", patient_id), ("date", day), ("test", kind or unknown)):
        if isinstance(item, Refusal):
            refuse(column, item)
    if isinstance(patient_id, Refusal) or isinstance(day, Refusal) or kind is None:
        return None
    quantity: Quantity | None = None
    words: tuple[str, ...] = ()
    read = read_quantity(cell["value"], cell["unit"], kind) if kind.unit else _words(cell["value"], kind)
    if isinstance(read, Refusal):
        refuse("unit" if read.code.startswith("unit") else "value", read)
        return None
    if isinstance(read, tuple):
        words = read
    else:
        quantity = read
        if "," in cell["value"]:
            notes.append(f"line {record.line}: decimal comma, read as {read.shown}")
        elif kind.unit and _unit(cell["unit"]) != kind.unit.lower():
            notes.append(f"line {record.line}: converted to {read.shown}")
    return LabValue(
        patient_id=patient_id,
        day=day,
        test=cell["test"].lower(),
        quantity=quantity,
        words=words,
        source_row=cell["source_row"] or f"line {record.line}",
        line=record.line,
    )


def _unit(text: str) -> str:
    return re.sub(r"\s", "", text).lower().replace("\u03bc", "u").replace("\u00b5", "u")


def read_quantity(text: str, unit: str, kind: TestKind) -> Quantity | Refusal:
    """A number with its unit, in the unit of the test; ``<limit`` is a range, a decimal comma is read."""
    factors, expected = kind.factors or {}, kind.unit or ""
    if not text:
        return Refusal(
            "value_missing", "an empty value", "leave the row out: a missing test is a missing row"
        )
    factor = factors.get(_unit(unit))
    if factor is None:
        cause = "an unknown unit" if unit else "a number without a unit"
        return Refusal("unit_unknown" if unit else "unit_missing", cause, f"one of {', '.join(factors)}")
    number = text.removeprefix("<").strip()
    if number.startswith("-"):
        return Refusal("negative", "a negative value", "correct it at its source")
    if _GROUPED.fullmatch(number):
        return Refusal("ambiguous_comma", "a comma that may group thousands", "write the decimal point")
    if number.count(",") == 1 and "." not in number:
        number = number.replace(",", ".")
    if not _NUMBER.fullmatch(number):
        return Refusal("not_a_number", "not a number", "digits with a decimal point, or <limit")
    high = Decimal(number) * factor
    if kind.maximum is not None and high > kind.maximum:
        cause = f"above {kind.maximum} {expected}, which no patient has"
        return Refusal("impossible", cause, "check the unit of this row")
    return Quantity(low=Decimal(0) if text.startswith("<") else high, high=high, unit=expected)


def _words(text: str, kind: TestKind) -> tuple[str, ...] | Refusal:
    if not text:
        return Refusal(
            "value_missing", "an empty value", "leave the row out: a missing test is a missing row"
        )
    known = {w.lower(): w for w in kind.words}
    if text.lower() in known:
        return (known[text.lower()],)
    if kind.bands:
        bands = [_BAND.fullmatch(b.strip()) for b in text.split(";")]
        spelled = [_spelled(b) for b in bands if b is not None]
        if len(spelled) == len(bands) and (kind.words or len(bands) == 1):
            return tuple(sorted(set(spelled)))
    elif not kind.words:
        return (text,)
    expected = ", ".join((*kind.words, *(("a band such as IgG-K or K",) if kind.bands else ())))
    return Refusal("unknown_answer", "not an answer of this test", f"one of {expected}")


def _spelled(band: re.Match[str]) -> str:
    """``igg-k`` as ``IgG-K``."""
    heavy, chain, alone = band.groups()
    return alone.upper() if alone else f"Ig{heavy[2].upper()}-{chain.upper()}"
