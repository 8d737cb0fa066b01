"""Tables of patients, outcome, adverse events and imaging."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from pipeline.clinical.table_rows import Cells, Rows, read_rows
from pipeline.formats.delimited import Table
from pipeline.formats.sheet_cells import Refusal

__all__ = [
    "EVENT_COLUMNS",
    "IMAGING_COLUMNS",
    "OUTCOME_COLUMNS",
    "PATIENT_COLUMNS",
    "AdverseEvent",
    "ImagingCall",
    "ImagingResult",
    "Outcome",
    "Patient",
    "events_from_table",
    "imaging_from_table",
    "outcomes_from_table",
    "patients_from_table",
]

PATIENT_COLUMNS = ("patient_id", "age", "sex", "weight_kg", "isotype", "enrolled_on", "arm")
OUTCOME_COLUMNS = (
    "patient_id", "progressed_on", "died_on", "cause", "last_seen_on", "second_myeloid_neoplasm_on"
)  # fmt: skip
EVENT_COLUMNS = (
    "patient_id", "term", "grade", "ctcae_version", "start_on", "end_on", "phase", "route", "related",
    "serious",
)  # fmt: skip
IMAGING_COLUMNS = ("patient_id", "date", "method", "result")
CTCAE_VERSIONS = ("5.0", "6.0")


class ImagingCall(StrEnum):
    """What an examination shows of disease."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    NOT_EVALUABLE = "NOT_EVALUABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One enrolled patient; ``arm`` is empty where the trial has one arm; age in years."""

    patient_id: str
    age_years: Decimal | None
    sex: str
    weight_kg: Decimal | None
    isotype: str
    enrolled_on: date
    arm: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a patient; a date that is not given did not happen until ``last_seen_on``."""

    patient_id: str
    progressed_on: date | None
    died_on: date | None
    cause: str
    last_seen_on: date
    second_myeloid_neoplasm_on: date | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdverseEvent:
    """One adverse event, graded by the CTCAE version that is named; ``route`` of the drug it is laid to."""

    patient_id: str
    term: str
    grade: int
    ctcae_version: str
    start_on: date
    end_on: date | None
    phase: str
    route: str
    related: bool | None
    serious: bool | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingResult:
    """One examination, by its method's name in capitals."""

    patient_id: str
    day: date
    method: str
    result: ImagingCall
    line: int


def _remedy(columns: tuple[str, ...]) -> str:
    return f"give the columns {','.join(columns)} once each; cells that do not apply stay empty"


def patients_from_table(table: Table, *, path: Path | str) -> Rows[Patient]:
    """Check every row of a baseline table for the columns that endpoints need.

    Raises
    ------
    SheetRefused
        With every problem: no day of enrolment, a patient twice, a number that cannot be.
    """

    def read(cells: Cells) -> Patient:
        weight = cells.number("weight_kg", maximum=400)
        if weight is not None and weight < 20:
            cause = "below 20 kg, which no adult weighs"
            cells.refuse("weight_kg", Refusal("impossible", cause, "give the body weight in kg"))
        return Patient(
            patient_id=cells.identifier("patient_id"),
            age_years=cells.number("age", maximum=120),
            sex=cells.choice("sex", ("F", "M")),
            weight_kg=weight,
            isotype=cells.text("isotype"),
            enrolled_on=cells.required_day("enrolled_on"),
            arm=cells.text("arm"),
            line=cells.line,
        )

    return read_rows(
        table,
        PATIENT_COLUMNS,
        read,
        path=path,
        remedy=_remedy(PATIENT_COLUMNS),
        key=lambda p: p.patient_id,
    )


def outcomes_from_table(table: Table, *, path: Path | str) -> Rows[Outcome]:
    """Check every row of an outcome table.

    Raises
    ------
    SheetRefused
        With every problem: no last day, a patient twice, a progression or neoplasm after death or after
        the last day.
    """

    def read(cells: Cells) -> Outcome:
        died, progressed = cells.day("died_on"), cells.day("progressed_on")
        neoplasm = cells.day("second_myeloid_neoplasm_on")
        last = cells.day("last_seen_on") or died
        if last is None:
            cells.text("last_seen_on", required=True)
            last = date.max
        cells.in_order(progressed, "died_on", died)
        cells.in_order(neoplasm, "died_on", died)
        for earlier in (progressed, neoplasm):
            if died is None:
                cells.in_order(earlier, "last_seen_on", last)
        return Outcome(
            patient_id=cells.identifier("patient_id"),
            progressed_on=progressed,
            died_on=died,
            cause=cells.text("cause"),
            last_seen_on=died or last,
            second_myeloid_neoplasm_on=neoplasm,
            line=cells.line,
        )

    return read_rows(
        table,
        OUTCOME_COLUMNS,
        read,
        path=path,
        remedy=_remedy(OUTCOME_COLUMNS),
        key=lambda o: o.patient_id,
    )


def events_from_table(table: Table, *, path: Path | str) -> Rows[AdverseEvent]:
    """Check every row of a table of adverse events; the CTCAE version is required on each.

    Raises
    ------
    SheetRefused
        With every problem: a version that is not 5.0 or 6.0, a grade outside 1 to 5, no phase, an end
        before the start.
    """

    def read(cells: Cells) -> AdverseEvent:
        start, end = cells.required_day("start_on"), cells.day("end_on")
        cells.in_order(start, "end_on", end)
        return AdverseEvent(
            patient_id=cells.identifier("patient_id"),
            term=cells.text("term", required=True).lower(),
            grade=int(cells.choice("grade", ("1", "2", "3", "4", "5"), required=True) or 0),
            ctcae_version=_version(cells),
            start_on=start,
            end_on=end,
            phase=cells.text("phase", required=True).upper(),
            route=cells.text("route").upper(),
            related=cells.yes("related"),
            serious=cells.yes("serious"),
            line=cells.line,
        )

    return read_rows(table, EVENT_COLUMNS, read, path=path, remedy=_remedy(EVENT_COLUMNS))


def _version(cells: Cells) -> str:
    """``5``, ``v5`` and ``5.0`` are one version: a spelling, not a guess."""
    spelled = (
        cells.text("ctcae_version", required=True).lower().removeprefix("ctcae").strip().removeprefix("v")
    )
    version = spelled.removeprefix(".").strip()
    version = version if "." in version or not version else f"{version}.0"
    if version and version not in CTCAE_VERSIONS:
        remedy = f"name the version the grade was given by: one of {', '.join(CTCAE_VERSIONS)}"
        cells.refuse("ctcae_version", Refusal("unknown_version", "not a version read here", remedy))
    return version


def imaging_from_table(table: Table, *, path: Path | str) -> Rows[ImagingResult]:
    """Check every row of an imaging table.

    Raises
    ------
    SheetRefused
        With every problem: no date or method, a result that is not POSITIVE, NEGATIVE or NOT_EVALUABLE.
    """

    def read(cells: Cells) -> ImagingResult:
        result = cells.choice("result", [*ImagingCall], required=True)
        return ImagingResult(
            patient_id=cells.identifier("patient_id"),
            day=cells.required_day("date"),
            method=cells.text("method", required=True).upper(),
            result=ImagingCall(result) if result else ImagingCall.NOT_EVALUABLE,
            line=cells.line,
        )

    return read_rows(
        table,
        IMAGING_COLUMNS,
        read,
        path=path,
        remedy=_remedy(IMAGING_COLUMNS),
        key=lambda i: (i.patient_id, i.day, i.method),
    )
