"""Confirmation by the next sample, and the best confirmed response so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.clinical.levels import Judgement, Level
from pipeline.clinical.response import judge
from pipeline.clinical.rules import ResponseRules
from pipeline.clinical.visits import History, Visit

__all__ = ["RESPONSE_COLUMNS", "VisitResponse", "respond"]

RESPONSE_COLUMNS = (
    "patient_id",
    "date",
    "response",
    "response_confirmed",
    "best_confirmed",
    "confirmed_by",
    "reason",
    "evidence_rows",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitResponse:
    """One row of the response table; ``confirmed_by`` is a date, or why no second sample is needed."""

    patient_id: str
    day: date
    response: Level
    confirmed: Level
    best_confirmed: Level
    confirmed_by: str
    reason: str
    rows: tuple[str, ...]


def respond(history: History, rules: ResponseRules) -> tuple[VisitResponse, ...]:
    """Responses of one patient at every visit after the baseline.

    The confirmed response is the lower of this visit's and the next evaluable one's; without a
    next one, with progression next, or with the next one after new therapy it is SD. Progression
    by laboratory values needs progression next, before or after new therapy, else NE. A marrow
    or imaging examination need not be repeated to confirm.
    """
    start = () if history.baseline is None else (history.baseline,)
    judged = [
        judge(visit, (*start, *history.visits[:i]), history, rules) for i, visit in enumerate(history.visits)
    ]
    best = Level.NE
    found = []
    for i, (visit, here) in enumerate(zip(history.visits, judged, strict=True)):
        following = next((j for j in range(i + 1, len(judged)) if judged[j].level != Level.NE), None)
        confirmed, by, rows = _confirmed(i, following, judged, history, rules)
        best = max(best, confirmed)
        found.append(
            VisitResponse(
                patient_id=history.patient_id,
                day=visit.day,
                response=here.level,
                confirmed=confirmed,
                best_confirmed=best,
                confirmed_by=by,
                reason=here.reason,
                rows=tuple(dict.fromkeys((*here.rows, *rows))),
            )
        )
    return tuple(found)


def _confirmed(
    i: int, following: int | None, judged: Sequence[Judgement], history: History, rules: ResponseRules
) -> tuple[Level, str, tuple[str, ...]]:
    here = judged[i]
    if here.level is Level.NE:
        return Level.NE, "", ()
    if here.level is Level.PD:
        if here.stands_alone:
            return Level.PD, here.stands_alone, ()
        if following is not None and judged[following].level is Level.PD:
            return Level.PD, history.visits[following].day.isoformat(), judged[following].rows
        return Level.NE, "", ()
    if here.level is Level.SD or following is None or judged[following].level is Level.PD:
        return Level.SD, "", ()
    second = history.visits[following]
    if history.new_therapy_on is not None and second.day > history.new_therapy_on:
        return Level.SD, "", ()
    again = _as_second(second, following, history.visits[i], judged[following], history, rules)
    return min(here.level, again.level), second.day.isoformat(), again.rows


def _as_second(
    second: Visit, index: int, first: Visit, alone: Judgement, history: History, rules: ResponseRules
) -> Judgement:
    """The second sample with marrow and imaging of the first where it has none of its own."""
    completed = second.with_exempt_tests_of(first)
    if not second.is_measured or len(completed.values) == len(second.values):
        return alone
    start = () if history.baseline is None else (history.baseline,)
    again = judge(completed, (*start, *history.visits[:index]), history, rules)
    return again if alone.level < again.level < Level.PD else alone
