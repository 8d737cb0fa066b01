"""The allocations of a trial as a table that only grows.

An allocation once written stays as it is. A response that would now lead elsewhere is one more row,
a disagreement, which repeats the arm that stands: the arm of a patient is the same on every row that
is no query. A query is no allocation; an evaluable response after it allocates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from pipeline.clinical.levels import Level
from pipeline.clinical.response_table import AssignedResponse
from pipeline.clinical.stratification import WINDOW_DAYS, Arm, allocate
from pipeline.clinical.table_rows import Cells, read_rows
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Table
from pipeline.formats.sheet_cells import Refusal

__all__ = ["STRATA_COLUMNS", "StratumRow", "added_rows", "candidates", "strata_from_table"]

STRATA_COLUMNS = (
    "patient_id", "date", "response", "days_after_transplant", "in_window", "site_response", "arm", "status",
    "queries",
)  # fmt: skip
ALLOCATED, QUERY, DISAGREEMENT = "ALLOCATED", "QUERY", "DISAGREEMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumRow:
    """One row of the table; every field but the last is what was known when it was written."""

    patient_id: str
    day: str
    response: str
    days_after_transplant: str
    in_window: str
    site_response: str
    arm: str
    status: str
    queries: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of `STRATA_COLUMNS`."""
        return (
            self.patient_id, self.day, self.response, self.days_after_transplant, self.in_window,
            self.site_response, self.arm, self.status, self.queries,
        )  # fmt: skip


def strata_from_table(table: Table, *, path: Path | str) -> tuple[StratumRow, ...]:
    """The rows of an existing table.

    Raises
    ------
    SheetRefused
        If columns are absent, a cell is none of these words, or a patient was allocated twice.
    """
    remedy = "this is no table of allocations; write to another file"
    found = read_rows(table, STRATA_COLUMNS, _stratum, path=path, remedy=remedy).rows
    if table.delimiter != "," or table.header.cells[1:] != STRATA_COLUMNS[1:]:
        # Rows are appended as they stand, so the columns must be where this command puts them.
        raise SheetRefused(
            path, [Refusal("columns_moved", "the columns are not in their order", remedy).at(1, None)]
        )
    allocated = [r.patient_id for r in found if r.status == ALLOCATED]
    if len(set(allocated)) != len(allocated):
        remedy = "restore the table from a copy: this command only adds rows, and one allocation a patient"
        raise SheetRefused(
            path, [Refusal("allocated_twice", "a patient is allocated twice", remedy).at(1, "patient_id")]
        )
    return found


def _stratum(cells: Cells) -> StratumRow:
    return StratumRow(
        patient_id=cells.identifier("patient_id"),
        day=cells.required_day("date").isoformat(),
        response=cells.choice("response", [level.label for level in Level], required=True),
        days_after_transplant=cells.text("days_after_transplant"),
        in_window=cells.choice("in_window", ("YES", "NO", "UNKNOWN"), required=True),
        site_response=cells.text("site_response"),
        arm=cells.choice("arm", [*Arm], required=True),
        status=cells.choice("status", (ALLOCATED, QUERY, DISAGREEMENT), required=True),
        queries=cells.text("queries"),
    )


def candidates(
    responses: Sequence[AssignedResponse], transplanted: Mapping[str, date]
) -> tuple[StratumRow, ...]:
    """What every patient's responses say, without regard to earlier allocations.

    The first evaluable visit in the window decides, else the first after it, with a query; one before
    it is a query alone.

    Parameters
    ----------
    responses
        Of any number of patients; a transplant in the row itself counts before ``transplanted``.
    transplanted
        Day of transplant by patient.

    Returns
    -------
    tuple of StratumRow
        One row a patient; none for a patient without a visit after the transplant.
    """
    ordered = sorted(responses, key=lambda r: (r.patient_id, r.day))
    rows = []
    for patient_id, visits in groupby(ordered, key=lambda r: r.patient_id):
        dated = [(visit, _days(visit, transplanted.get(patient_id))) for visit in visits]
        after = [(visit, days) for visit, days in dated if days is None or days > 0]
        if after:
            rows.append(_candidate(after))
    return tuple(rows)


def _days(visit: AssignedResponse, transplanted_on: date | None) -> int | None:
    if visit.days_after_transplant is not None:
        return visit.days_after_transplant
    on = visit.transplanted_on or transplanted_on
    return None if on is None else (visit.day - on).days


Dated = tuple[AssignedResponse, int | None]


def _candidate(visits: Sequence[Dated]) -> StratumRow:
    visit, days = _deciding(visits)
    if days is None:
        what = "the day of transplant is not known"
        if len(visits) > 1:
            what += f", and which of {len(visits)} visits decides cannot be told"
        return _row(visit, days, arm=Arm.QUERY, in_window="UNKNOWN", queries=(what,))
    allocation = allocate(visit.response, days_after_transplant=days, site=visit.site)
    in_window = "YES" if allocation.in_window else "NO"
    queries = allocation.queries
    if days < WINDOW_DAYS[0] and allocation.arm is not Arm.QUERY:
        # What is written stands for good, so a response that came too early must not be written as an arm.
        queries = (*queries, f"it would be {allocation.arm}; none before day {WINDOW_DAYS[0]}")
        return _row(visit, days, arm=Arm.QUERY, in_window=in_window, queries=queries)
    return _row(visit, days, arm=allocation.arm, in_window=in_window, queries=queries)


def _deciding(visits: Sequence[Dated]) -> Dated:
    """The first evaluable visit in the window, else the first after it, else the last before it."""
    first, last = WINDOW_DAYS
    evaluable = [v for v in visits if v[0].response is not Level.NE and v[1] is not None]

    def distance(visit: Dated) -> tuple[bool, int]:
        days = visit[1] or 0
        return days < first, max(first - days, days - last, 0)

    return min(evaluable, key=distance, default=visits[0])


def _row(
    visit: AssignedResponse, days: int | None, *, arm: Arm, in_window: str, queries: Iterable[str]
) -> StratumRow:
    return StratumRow(
        patient_id=visit.patient_id,
        day=visit.day.isoformat(),
        response=visit.response.label,
        days_after_transplant="" if days is None else str(days),
        in_window=in_window,
        site_response="" if visit.site is None else visit.site.label,
        arm=arm.value,
        status=QUERY if arm is Arm.QUERY else ALLOCATED,
        queries="; ".join(queries),
    )


def added_rows(existing: Sequence[StratumRow], now: Sequence[StratumRow]) -> tuple[StratumRow, ...]:
    """Rows that are to be appended: new allocations, new queries, new disagreements.

    A patient whose response and arm are as they were written adds nothing, however often it is asked.
    """
    standing = {r.patient_id: r for r in existing if r.status == ALLOCATED}
    written = {r.cells for r in existing}
    added = []
    for row in now:
        stands = standing.get(row.patient_id)
        if stands is not None:
            if _said(row) == _said(stands):
                continue
            row = _disagreement(row, stands)
        if row.cells not in written:
            added.append(row)
    return tuple(added)


def _said(row: StratumRow) -> tuple[str, ...]:
    return row.day, row.response, row.site_response, row.arm


def _disagreement(row: StratumRow, stands: StratumRow) -> StratumRow:
    effect = "the same arm" if row.arm == stands.arm else f"which would be {row.arm}"
    text = (
        f"allocated to {stands.arm} by {stands.response} of {stands.day}, and that stands; "
        f"now {row.response}, {effect}"
    )
    return StratumRow(
        patient_id=row.patient_id,
        day=row.day,
        response=row.response,
        days_after_transplant=row.days_after_transplant,
        in_window=row.in_window,
        site_response=row.site_response,
        arm=stands.arm,
        status=DISAGREEMENT,
        queries="; ".join(filter(None, (text, row.queries))),
    )
