"""The baseline table of staging: cells, limits, every problem at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipeline.clinical.catalogue import TESTS
from pipeline.clinical.laboratory import Quantity, read_quantity
from pipeline.clinical.staging import ALBUMIN, B2M, CREATININE, LDH, RESULTS, Beta2, Staging, stage
from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import Record, Table
from pipeline.formats.named_cells import named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal, read_identifier

__all__ = ["BASELINE_COLUMNS", "STAGE_COLUMNS", "PatientStaging", "stages_from_table"]

_LIMIT = "ldh_upper_limit_u_l"
_NUMBERS = {
    B2M: "beta2_microglobulin",
    ALBUMIN: "albumin",
    LDH: "ldh",
    _LIMIT: "ldh",
    CREATININE: "creatinine",
}
_ANSWERS = {"NO": 0, "YES": 1}
_LOST_1P32 = {"NO": 0, "MONO": 1, "BI": 2}
BASELINE_COLUMNS = ("patient_id", *_NUMBERS, *(t for t in RESULTS if t not in _NUMBERS))
STAGE_COLUMNS = ("patient_id", "iss", "r_iss", "r2_iss", "ims_2025", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientStaging:
    """One row of the stage table; ``missing`` holds names of columns."""

    patient_id: str
    staging: Staging
    missing: tuple[str, ...]


def stages_from_table(
    table: Table, *, path: Path | str
) -> tuple[tuple[PatientStaging, ...], tuple[str, ...]]:
    """Stages of every patient of a baseline table, and one sentence per cell that was mended.

    Parameters
    ----------
    table
        As `pipeline.formats.delimited.read_table` gives it; other columns may stand beside those needed.
    path
        The file, for messages.

    Raises
    ------
    SheetRefused
        With every problem: an absent column, a patient twice, a negative, impossible or ambiguous number.
    """
    names = named_columns(
        table,
        BASELINE_COLUMNS,
        path=path,
        remedy="give it once; leave its cells empty where the test was not done",
    )
    problems: list[Problem] = []
    notes: list[str] = []
    found: dict[str, PatientStaging] = {}
    for record in table.records:
        patient = _patient(record, names, problems, notes)
        if patient is not None and found.setdefault(patient.patient_id, patient) is not patient:
            problems.append(
                Problem(
                    line=record.line,
                    column="patient_id",
                    code="patient_twice",
                    cause="this patient has a row above",
                    remedy="keep one row a patient",
                )
            )
    if problems:
        raise SheetRefused(path, sorted(problems, key=lambda p: p.line or 0))
    return tuple(found.values()), tuple(notes)


def _patient(
    record: Record, names: Sequence[str], problems: list[Problem], notes: list[str]
) -> PatientStaging | None:
    before = len(problems)

    def refuse(column: str | None, refusal: Refusal) -> None:
        problems.append(refusal.at(record.line, column))

    cell = named_cells(record, names)
    if isinstance(cell, Refusal):
        refuse(None, cell)
        return None
    patient_id = read_identifier(cell["patient_id"])
    if isinstance(patient_id, Refusal):
        refuse("patient_id", patient_id)
    numbers: dict[str, Quantity] = {}
    for column, test in _NUMBERS.items():
        if not cell[column]:
            continue
        read = read_quantity(cell[column], TESTS[test].unit or "", TESTS[test])
        if isinstance(read, Refusal):
            refuse(column, read)
            continue
        numbers[column] = read
        if "," in cell[column]:
            notes.append(f"line {record.line}, {column}: decimal comma, read as {read.shown}")
    possible = _measured(numbers)
    for column in BASELINE_COLUMNS[1 + len(_NUMBERS) :]:
        answers = _LOST_1P32 if column == "del_1p32" else _ANSWERS
        answer = cell[column].upper()
        if answer and answer not in answers:
            refuse(column, Refusal("unknown_answer", "not an answer", f"{', '.join(answers)}, or nothing"))
        possible[column] = (answers[answer],) if answer in answers else RESULTS[column]
    if len(problems) > before or isinstance(patient_id, Refusal):
        return None
    staging = stage(possible)
    named = [c for c in _NUMBERS if c in staging.missing or (c == _LIMIT and LDH in staging.missing)]
    if LDH in named and LDH in numbers and _LIMIT not in numbers:
        named.remove(LDH)
    if _LIMIT in named and _LIMIT in numbers:
        named.remove(_LIMIT)
    missing = (*named, *(t for t in staging.missing if t not in _NUMBERS))
    return PatientStaging(patient_id=patient_id, staging=staging, missing=missing)


def _measured(numbers: dict[str, Quantity]) -> dict[str, tuple[int, ...]]:
    """The results each number may stand for: all where it is missing, some where it is a range."""
    possible = {t: RESULTS[t] for t in (B2M, ALBUMIN, LDH, CREATININE)}
    if B2M in numbers:
        ends = (Beta2.of(numbers[B2M].low), Beta2.of(numbers[B2M].high))
        possible[B2M] = tuple(range(ends[0], ends[1] + 1))
    for column, limit in ((ALBUMIN, Decimal("3.5")), (CREATININE, Decimal("1.2"))):
        if column in numbers:
            possible[column] = _either(numbers[column].low < limit, numbers[column].high < limit)
    if LDH in numbers and _LIMIT in numbers:
        upper, measured = numbers[_LIMIT].high, numbers[LDH]
        possible[LDH] = _either(measured.low > upper, measured.high > upper)
    return possible


def _either(low: bool, high: bool) -> tuple[int, ...]:
    """Both ends of a range say so, neither does, or it stays open."""
    return tuple(sorted({int(low), int(high)}))
