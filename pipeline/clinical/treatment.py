"""The table of treatment: courses of drugs and stem-cell harvests."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from pipeline.clinical.table_rows import Cells, Rows, read_rows
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Table
from pipeline.formats.sheet_cells import Refusal

__all__ = [
    "COMPLETED",
    "COURSE_COLUMNS",
    "HARVEST_COLUMNS",
    "Course",
    "Harvest",
    "phase_starts",
    "transplants",
    "treatment_from_table",
]

COURSE_COLUMNS = (
    "patient_id", "phase", "course", "drug", "route", "dose", "unit", "start_on", "end_on", "reason_stopped"
)  # fmt: skip
HARVEST_COLUMNS = ("patient_id", "phase", "cd34_per_kg", "plerixafor", "blood_volume_ml", "collected_on")
COMPLETED = "COMPLETED"
TRANSPLANT = "ASCT"
_CD34_MILLIONS_BELOW = 1000  # a harvest holds millions of cells per kg, so such a number counts millions
_CD34_MAX = 10**9
_REMEDY = f"give the columns {','.join(COURSE_COLUMNS)}, or {','.join(HARVEST_COLUMNS)}, or all of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One drug in one course; ``reason_stopped`` is empty unless treatment ended for that reason."""

    patient_id: str
    phase: str
    course: int | None
    drug: str
    route: str
    dose: Decimal | None
    unit: str
    start_on: date
    end_on: date | None
    reason_stopped: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """One collection: CD34-positive cells per kg of body weight, processed blood in millilitres."""

    patient_id: str
    phase: str
    cd34_per_kg: Decimal | None
    plerixafor: bool | None
    blood_volume_ml: Decimal | None
    collected_on: date
    line: int


def treatment_from_table(table: Table, *, path: Path | str) -> Rows[Course | Harvest]:
    """Check every row of a treatment table; a row with a collection in it is a harvest.

    Phases are the trial's own names in capitals; a phase ``ASCT`` starts on the day of transplant.

    Raises
    ------
    SheetRefused
        With every problem: absent columns, a course that ends before it starts, a drug without a unit
        of its dose, numbers that cannot be.
    """
    names = {cell.strip().strip('"').lower() for cell in table.header.cells}
    harvests = names >= set(HARVEST_COLUMNS)
    courses = names >= set(COURSE_COLUMNS)
    if not harvests and not courses:
        wanted = HARVEST_COLUMNS if "cd34_per_kg" in names and "drug" not in names else COURSE_COLUMNS
        absent = next(c for c in wanted if c not in names)
        problem = Refusal("column_missing", "this column is missing", _REMEDY)
        raise SheetRefused(path, [problem.at(table.header.line, absent)])

    def read(cells: Cells) -> Course | Harvest:
        collected = harvests and any(cells.text(c) for c in HARVEST_COLUMNS[2:])
        return _harvest(cells) if collected or not courses else _course(cells)

    columns = (*(COURSE_COLUMNS if courses else ()), *(HARVEST_COLUMNS if harvests else ()))
    return read_rows(table, tuple(dict.fromkeys(columns)), read, path=path, remedy=_REMEDY)


def phase_starts(courses: Iterable[Course]) -> dict[str, dict[str, date]]:
    """First day of every phase of every patient, the patient's phases in order of time."""
    first: dict[str, dict[str, date]] = {}
    for course in sorted(courses, key=lambda c: (c.start_on, c.line)):
        first.setdefault(course.patient_id, {}).setdefault(course.phase, course.start_on)
    return first


def transplants(courses: Iterable[Course]) -> dict[str, date]:
    """Day of the first transplant of every patient who had one."""
    return {p: phases[TRANSPLANT] for p, phases in phase_starts(courses).items() if TRANSPLANT in phases}


def _course(cells: Cells) -> Course:
    start, end = cells.required_day("start_on"), cells.day("end_on")
    cells.in_order(start, "end_on", end)
    dose, unit = cells.number("dose", maximum=10**6), cells.text("unit")
    if dose is not None and not unit:
        cells.refuse("unit", Refusal("unit_missing", "a dose without a unit", "give its unit, such as mg"))
    reason = cells.text("reason_stopped").upper()
    if reason and end is None:
        remedy = "give the day on which the treatment ended"
        cells.refuse("end_on", Refusal("end_missing", "a reason to stop without a day", remedy))
    return Course(
        patient_id=cells.identifier("patient_id"),
        phase=cells.text("phase", required=True).upper(),
        course=cells.whole("course", maximum=1000),
        drug=cells.text("drug", required=True).lower(),
        route=cells.text("route").upper(),
        dose=dose,
        unit=unit,
        start_on=start,
        end_on=end,
        reason_stopped="" if reason == COMPLETED else reason,
        line=cells.line,
    )


def _harvest(cells: Cells) -> Harvest:
    cd34 = cells.number("cd34_per_kg", maximum=_CD34_MAX)
    if cd34 is not None and 0 < cd34 < _CD34_MILLIONS_BELOW:
        cd34 *= 10**6
        cells.note(f"cd34_per_kg: read as {cd34:.3g} cells per kg")
    return Harvest(
        patient_id=cells.identifier("patient_id"),
        phase=cells.text("phase", required=True).upper(),
        cd34_per_kg=cd34,
        plerixafor=cells.yes("plerixafor"),
        blood_volume_ml=cells.number("blood_volume_ml", maximum=100_000),
        collected_on=cells.required_day("collected_on"),
        line=cells.line,
    )
