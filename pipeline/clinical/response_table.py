"""The table of responses, read again: from ``nadir clinical respond``, or assigned by a committee."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.clinical.confirmation import VisitResponse
from pipeline.clinical.levels import Level
from pipeline.clinical.table_rows import Cells, Rows, read_rows
from pipeline.formats.delimited import Table

__all__ = ["RESPONSE_READ_COLUMNS", "AssignedResponse", "responses_from_table", "responses_from_visits"]

RESPONSE_READ_COLUMNS = ("patient_id", "date", "response")
_LEVELS = {level.label: level for level in Level}
_DAYS_MAX = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedResponse:
    """One visit: what it shows by itself, the best confirmed response so far, what the site reported.

    ``best_confirmed`` is nothing where the table has no such column; ``transplanted_on`` and
    ``days_after_transplant`` likewise.
    """

    patient_id: str
    day: date
    response: Level
    best_confirmed: Level | None
    site: Level | None
    transplanted_on: date | None
    days_after_transplant: int | None


def responses_from_table(table: Table, *, path: Path | str) -> Rows[AssignedResponse]:
    """Check every row of a response table.

    The columns ``patient_id,date,response`` must be there; ``best_confirmed``, ``site_response``,
    ``transplant_on`` and ``days_after_transplant`` may.

    Raises
    ------
    SheetRefused
        With every problem: an unknown level, a row without a date, a patient twice on a day.
    """
    return read_rows(
        table,
        RESPONSE_READ_COLUMNS,
        _response,
        path=path,
        remedy="give the table that `nadir clinical respond` writes",
        key=lambda r: (r.patient_id, r.day),
    )


def _response(cells: Cells) -> AssignedResponse:
    return AssignedResponse(
        patient_id=cells.identifier("patient_id"),
        day=cells.required_day("date"),
        response=_level(cells.choice("response", tuple(_LEVELS), required=True)) or Level.NE,
        best_confirmed=_level(cells.choice("best_confirmed", tuple(_LEVELS))),
        site=_level(cells.choice("site_response", tuple(_LEVELS))),
        transplanted_on=cells.day("transplant_on"),
        days_after_transplant=cells.whole("days_after_transplant", maximum=_DAYS_MAX),
    )


def _level(label: str) -> Level | None:
    return _LEVELS[label] if label else None


def responses_from_visits(visits: Iterable[VisitResponse]) -> tuple[AssignedResponse, ...]:
    """Responses as they were judged, without a round through a file."""
    return tuple(
        AssignedResponse(
            patient_id=v.patient_id,
            day=v.day,
            response=v.response,
            best_confirmed=v.best_confirmed,
            site=None,
            transplanted_on=None,
            days_after_transplant=None,
        )
        for v in visits
    )
