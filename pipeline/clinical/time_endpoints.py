"""Progression-free and overall survival, time to treatment failure, second myeloid neoplasms.

Time runs from enrolment, in months of 30.4375 days, and a patient without the event is censored on
the last day seen. PFS ends with progression or death; OS with death; TTF with progression, death, or
the day on which all treatment stopped before it was completed. Further therapy censors nothing.
A death is the competing event of a second myeloid neoplasm.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

from pipeline.clinical.endpoints import Observation
from pipeline.clinical.follow_up import Outcome
from pipeline.clinical.phase_endpoints import final_stops
from pipeline.clinical.survival import Curve, aalen_johansen, kaplan_meier
from pipeline.clinical.trial import Cells, EndpointTable, Trial, shown

__all__ = [
    "DAYS_PER_MONTH",
    "NEOPLASM",
    "REPORT_MONTHS",
    "months_between",
    "neoplasm_table",
    "observations",
    "risk_table",
    "survival_summary",
    "unfollowed",
]

DAYS_PER_MONTH = 30.4375
REPORT_MONTHS = 36
RISK_STEP_MONTHS = 6
NEOPLASM = "SECOND_MYELOID_NEOPLASM"
_NEOPLASM_MONTHS = (12, 24, 36, 60)


def months_between(first: date, last: date) -> float:
    """Months of 30.4375 days; never less than 0."""
    return max((last - first).days, 0) / DAYS_PER_MONTH


def observations(trial: Trial) -> tuple[Observation, ...]:
    """Times to event of every enrolled patient with an outcome after enrolment; event 2 competes."""
    enrolled = {p.patient_id: p.enrolled_on for p in trial.patients}
    stops = final_stops(trial.courses)
    found = []
    for outcome in trial.outcomes:
        origin = enrolled.get(outcome.patient_id)
        if origin is None or _first_day(outcome) < origin:
            continue
        stopped = stops.get(outcome.patient_id)
        events = {
            "PFS": (outcome.progressed_on, outcome.died_on),
            "OS": (outcome.died_on,),
            "TTF": (outcome.progressed_on, outcome.died_on, stopped),
        }
        for endpoint, days in events.items():
            day = min((d for d in days if d is not None), default=None)
            found.append(_observed(outcome.patient_id, endpoint, origin, day, 1, outcome.last_seen_on))
        neoplasm = outcome.second_myeloid_neoplasm_on
        first = neoplasm or outcome.died_on
        cause = 1 if neoplasm is not None else 2
        found.append(_observed(outcome.patient_id, NEOPLASM, origin, first, cause, outcome.last_seen_on))
    return tuple(sorted(found, key=lambda o: (o.endpoint, o.patient_id)))


def _first_day(outcome: Outcome) -> date:
    days = (outcome.progressed_on, outcome.second_myeloid_neoplasm_on, outcome.last_seen_on)
    return min(d for d in days if d is not None)


def _observed(
    patient_id: str, endpoint: str, origin: date, day: date | None, event: int, last_seen_on: date
) -> Observation:
    return Observation(
        patient_id=patient_id,
        endpoint=endpoint,
        time=months_between(origin, last_seen_on if day is None else day),
        event=0 if day is None else event,
        group="",
    )


def unfollowed(trial: Trial) -> tuple[str, ...]:
    """One sentence each where enrolled patients have no outcome, or one from before their enrolment."""
    if not trial.outcomes:
        return ()
    notes = []
    without = set(trial.enrolled) - {o.patient_id for o in trial.outcomes}
    if without:
        notes.append(f"outcome: {len(without)} enrolled patients have no row and are in no survival estimate")
    enrolled = {p.patient_id: p.enrolled_on for p in trial.patients}
    early = sorted(
        o.patient_id for o in trial.outcomes if _first_day(o) < enrolled.get(o.patient_id, date.min)
    )
    if early:
        notes.append(f"outcome: a day before enrolment, so in no survival estimate: {', '.join(early)}")
    return tuple(notes)


def _arrays(members: Sequence[Observation]) -> tuple["np.typing.NDArray[np.float64]", ...]:
    times = np.array([o.time for o in members], dtype=np.float64)
    return times, np.array([o.event for o in members], dtype=np.float64)


def survival_summary(observed: Sequence[Observation]) -> EndpointTable:
    """PFS, OS and TTF: the estimate at 36 months, the median, and the follow-up by reverse Kaplan-Meier."""
    rows: list[Cells] = []
    for endpoint in ("PFS", "OS", "TTF"):
        members = [o for o in observed if o.endpoint == endpoint]
        times, events = _arrays(members)
        curve = kaplan_meier(times, events)
        at = _at(curve, times, events, REPORT_MONTHS)
        middle = _median(curve, "fewer than half had the event")
        follow_up = _median(kaplan_meier(times, 1 - events), "fewer than half were censored")
        happened = int(events.sum())
        counts = (str(len(members)), str(happened), str(len(members) - happened))
        rows.append((endpoint, *counts, str(REPORT_MONTHS), *at, *middle, *follow_up))
    columns = (
        "endpoint", "patients", "events", "censored", "months", "at_risk", "estimate", "ci_low", "ci_high",
        "reason", "median_months", "median_reason", "follow_up_median_months", "follow_up_reason",
    )  # fmt: skip
    return EndpointTable(name="survival_summary", columns=columns, rows=tuple(rows))


def _at(
    curve: Curve,
    times: "np.typing.NDArray[np.float64]",
    events: "np.typing.NDArray[np.float64]",
    months: float,
) -> Cells:
    """Patients at risk, estimate, interval and reason at a time."""
    at_risk = str(int((times >= months).sum()))
    # Once the last patient had an event the estimate is known for good; a curve that ends censored is not.
    ended = len(times) == 0 or (times.max() < months and events[times == times.max()].min() == 0)
    if ended:
        return at_risk, "", "", "", f"nobody was followed to {months:g} months"
    i = int(np.searchsorted(curve.times, months, side="right")) - 1
    if i < 0:
        return at_risk, "1", "", "", f"no event until {months:g} months, so no interval"
    low, high = float(curve.ci_low[i]), float(curve.ci_high[i])
    if not np.isfinite(low):
        return at_risk, shown(float(curve.estimates[i])), "", "", "no interval where the curve is at 0"
    return at_risk, shown(float(curve.estimates[i])), shown(low), shown(high), ""


def _median(curve: Curve, why_none: str) -> Cells:
    reached = curve.times[curve.estimates <= 0.5 + 1e-12]
    return (shown(float(reached[0])), "") if len(reached) else ("", why_none)


def risk_table(observed: Sequence[Observation]) -> EndpointTable:
    """Patients at risk every six months, and events and censored patients before that time."""
    rows: list[Cells] = []
    for endpoint in ("PFS", "OS", "TTF"):
        times, events = _arrays([o for o in observed if o.endpoint == endpoint])
        last = float(times.max()) if len(times) else 0.0
        for months in range(0, int(last) + RISK_STEP_MONTHS, RISK_STEP_MONTHS):
            before = times < months
            counts = (int((~before).sum()), int(events[before].sum()), int((1 - events[before]).sum()))
            rows.append((endpoint, str(months), *map(str, counts)))
    columns = ("endpoint", "months", "at_risk", "events_before", "censored_before")
    return EndpointTable(name="risk_table", columns=columns, rows=tuple(rows))


def neoplasm_table(observed: Sequence[Observation]) -> EndpointTable:
    """Cumulative incidence of a second myeloid neoplasm, death competing, by Aalen-Johansen."""
    times, events = _arrays([o for o in observed if o.endpoint == NEOPLASM])
    curve = aalen_johansen(times, events)
    rows: list[Cells] = []
    for months in _NEOPLASM_MONTHS:
        within = times <= months
        counts = (str(len(times)), *(str(int((events[within] == cause).sum())) for cause in (1, 2)))
        rows.append((str(months), *counts, *_incidence(curve, times, events, months)))
    columns = (
        "months", "patients", "neoplasms", "deaths_before", "at_risk", "incidence", "ci_low", "ci_high",
        "reason",
    )  # fmt: skip
    return EndpointTable(name="second_neoplasm", columns=columns, rows=tuple(rows))


def _incidence(
    curve: Curve,
    times: "np.typing.NDArray[np.float64]",
    events: "np.typing.NDArray[np.float64]",
    months: float,
) -> Cells:
    at_risk, estimate, low, high, reason = _at(curve, times, events, months)
    i = int(np.searchsorted(curve.times, months, side="right")) - 1
    if estimate and (i < 0 or curve.estimates[i] == 0):
        return at_risk, "0", "", "", f"no second neoplasm until {months:g} months, so no interval"
    return at_risk, estimate, low, high, reason
