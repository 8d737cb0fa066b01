"""Endpoint tables from times to event, one patient and endpoint a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.clinical.interval_kind import IntervalKind
from pipeline.clinical.survival import (
    Curve,
    aalen_johansen,
    cox_log_hazard_ratios,
    kaplan_meier,
    log_rank,
)
from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import Record, Table
from pipeline.formats.named_cells import named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal, read_identifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "EVENTS_PER_TERM_MIN",
    "SURVIVAL_COLUMNS",
    "TIME_COLUMNS",
    "Observation",
    "SurvivalRow",
    "observations_from_table",
    "survival_table",
]

TIME_COLUMNS = ("patient_id", "endpoint", "time", "event", "group")
SURVIVAL_COLUMNS = ("endpoint", "group", "statistic", "time", "estimate", "ci_low", "ci_high", "interval")
EVENTS_PER_TERM_MIN = 5
_CONFIDENCE_Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One patient and endpoint: ``event`` 0 censored, 1 event, 2 competing; any unit of time."""

    patient_id: str
    endpoint: str
    time: float
    event: int
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalRow:
    """One number of an endpoint; what does not apply or does not exist is ``None``, never NaN."""

    endpoint: str
    group: str
    statistic: str
    time: float | None
    estimate: float
    ci_low: float | None
    ci_high: float | None
    interval: str


def observations_from_table(
    table: Table, *, path: Path | str
) -> tuple[tuple[Observation, ...], tuple[str, ...]]:
    """Check every row of a time-to-event table; also one sentence per cell that was mended.

    Raises
    ------
    SheetRefused
        With every problem: an absent column, a negative or unreadable time, an event that is not
        0, 1 or 2, a patient twice in an endpoint, groups given for some patients only.
    """
    names = named_columns(
        table,
        TIME_COLUMNS,
        path=path,
        remedy=f"give the columns {','.join(TIME_COLUMNS)} once each; group may stay empty",
    )
    problems: list[Problem] = []
    notes: list[str] = []
    found: dict[tuple[str, str], tuple[int, Observation]] = {}
    grouped: dict[str, bool] = {}
    for record in table.records:
        read = _observation(record, names, notes)
        if isinstance(read, Observation):
            key = (read.endpoint, read.patient_id)
            if found.setdefault(key, (record.line, read))[1] is not read:
                cause = f"this patient and endpoint stand on line {found[key][0]} already"
                read = ("patient_id", Refusal("patient_twice", cause, "keep one row a patient and endpoint"))
            elif grouped.setdefault(read.endpoint, bool(read.group)) != bool(read.group):
                remedy = "give a group to all patients of an endpoint, or to none"
                read = ("group", Refusal("group_missing", "groups are given for some patients only", remedy))
        if not isinstance(read, Observation):
            column, refusal = read
            problems.append(refusal.at(record.line, column))
    if problems:
        raise SheetRefused(path, problems)
    return tuple(found[key][1] for key in sorted(found)), tuple(notes)


def _observation(
    record: Record, names: Sequence[str], notes: list[str]
) -> Observation | tuple[str | None, Refusal]:
    cell = named_cells(record, names)
    if isinstance(cell, Refusal):
        return None, cell
    patient_id = read_identifier(cell["patient_id"])
    if isinstance(patient_id, Refusal):
        return "patient_id", patient_id
    if not cell["endpoint"]:
        return "endpoint", Refusal("endpoint_missing", "an empty cell", "name the endpoint, as in PFS")
    if cell["event"] not in ("0", "1", "2"):
        return "event", Refusal("unknown_event", "not an event", "0 censored, 1 event, 2 competing event")
    text = cell["time"]
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
        notes.append(f"line {record.line}: decimal comma, read as {text}")
    try:
        time = Decimal(text)
    except InvalidOperation:
        return "time", Refusal("not_a_number", "not a number", "digits with a decimal point")
    if not time.is_finite() or time < 0:
        return "time", Refusal(
            "impossible_time", "a negative or endless time", "correct the dates it is from"
        )
    return Observation(
        patient_id=patient_id,
        endpoint=cell["endpoint"],
        time=float(time),
        event=int(cell["event"]),
        group=cell["group"],
    )


def survival_table(
    observations: Sequence[Observation], *, interval: IntervalKind = IntervalKind.LOG_LOG
) -> tuple[tuple[SurvivalRow, ...], tuple[str, ...]]:
    """All numbers of all endpoints, and one sentence per number that could not be given.

    An endpoint with competing events gets Aalen-Johansen curves, any other Kaplan-Meier curves
    (one minus Kaplan-Meier would overstate it); groups are compared with the first of them.
    """
    rows: list[SurvivalRow] = []
    notes: list[str] = []
    ordered = sorted(observations, key=lambda o: (o.endpoint, o.group, o.patient_id))
    for endpoint, items in groupby(ordered, key=lambda o: o.endpoint):
        patients = tuple(items)
        competing = any(p.event == 2 for p in patients)
        names = sorted({p.group for p in patients})
        for group in names:
            members = [p for p in patients if p.group == group]
            times, events = _arrays(members)
            estimator = aalen_johansen if competing else kaplan_meier
            curve = estimator(times, events, interval=interval)
            rows += _curve_rows(endpoint, group, estimator.__name__, curve, interval)
        if len(names) > 1:
            rows += _comparisons(endpoint, names, patients, notes)
    return tuple(rows), tuple(notes)


def _arrays(patients: Sequence[Observation]) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    times = np.array([p.time for p in patients], dtype=np.float64)
    return times, np.array([p.event for p in patients], dtype=np.float64)


def _curve_rows(
    endpoint: str, group: str, statistic: str, curve: Curve, interval: IntervalKind
) -> list[SurvivalRow]:
    return [
        SurvivalRow(
            endpoint=endpoint,
            group=group,
            statistic=statistic,
            time=time,
            estimate=estimate,
            ci_low=low if isfinite(low) else None,
            ci_high=high if isfinite(high) else None,
            interval=interval.value,
        )
        for time, estimate, low, high in zip(
            curve.times.tolist(),
            curve.estimates.tolist(),
            curve.ci_low.tolist(),
            curve.ci_high.tolist(),
            strict=True,
        )
    ]


def _comparisons(
    endpoint: str, names: Sequence[str], patients: Sequence[Observation], notes: list[str]
) -> list[SurvivalRow]:
    times, events = _arrays(patients)
    groups = np.array([names.index(p.group) for p in patients], dtype=np.float64)
    rows = []
    try:
        test = log_rank(times, events, groups)
    except ValueError as error:
        notes.append(f"{endpoint}: no log-rank test: {error}")
    else:
        for statistic, value in (("logrank", test.chi_square), ("logrank_p", test.p_value)):
            rows.append(_plain_row(endpoint, "", statistic, value))
    happened = int((events == 1).sum())
    if happened < EVENTS_PER_TERM_MIN * (len(names) - 1):
        notes.append(f"{endpoint}: no Cox model: {happened} events, at least 5 per group compared are needed")
        return rows
    covariates = (groups[:, None] == np.arange(1, len(names))).astype(np.float64)
    try:
        fit = cox_log_hazard_ratios(times, events, covariates)
    except ValueError as error:
        notes.append(f"{endpoint}: no Cox model: {error}")
        return rows
    for name, beta, error_ in zip(
        names[1:], fit.log_hazard_ratios.tolist(), fit.standard_errors.tolist(), strict=True
    ):
        width = _CONFIDENCE_Z * error_
        rows.append(_plain_row(endpoint, name, "cox_log_hr", beta, beta - width, beta + width, "wald"))
    return rows


def _plain_row(
    endpoint: str,
    group: str,
    statistic: str,
    estimate: float,
    low: float | None = None,
    high: float | None = None,
    interval: str = "",
) -> SurvivalRow:
    return SurvivalRow(
        endpoint=endpoint,
        group=group,
        statistic=statistic,
        time=None,
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        interval=interval,
    )
