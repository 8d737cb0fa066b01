"""MRD of the marrow as it was last known, against PFS and OS: Cox's model with a covariate of time.

A patient is at risk from the day of the first marrow sample that reads positive or negative, so that
nobody is credited with the time it took to be measured. The reading stands until the next sample that
reads; an indeterminate one changes nothing. Results of a graft, of blood or of plasma take no part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from pipeline.clinical.counting_process import hazard_ratio
from pipeline.clinical.endpoints import EVENTS_PER_TERM_MIN
from pipeline.clinical.mrd_endpoints import THRESHOLDS, call_of, endpoint_days, samples_by_place
from pipeline.clinical.time_endpoints import months_between
from pipeline.clinical.trial import Cells, EndpointTable, Trial, shown
from pipeline.detection import Call
from pipeline.model import Material

__all__ = ["StatusInterval", "counting_process_table", "status_intervals", "time_dependent_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusInterval:
    """Months from enrolment in which a patient's last reading was positive, or was negative."""

    patient_id: str
    start: float
    stop: float
    positive: bool
    event: bool


def status_intervals(
    trial: Trial, method: str, threshold: float, days: Mapping[str, date | None]
) -> tuple[StatusInterval, ...]:
    """The counting process of one method at one threshold.

    Parameters
    ----------
    trial
        Its marrow results and its outcomes.
    method, threshold
        Whose readings.
    days
        Day of the event by patient, None where it did not happen.

    Returns
    -------
    tuple of StatusInterval
        By patient and time; a patient without a reading before the event is not there.
    """
    enrolled = {p.patient_id: p.enrolled_on for p in trial.patients}
    last = {o.patient_id: o.last_seen_on for o in trial.outcomes}
    readings: dict[str, list[tuple[date, bool]]] = {}
    for place, samples in samples_by_place(trial.mrd).items():
        if place[1] != Material.BONE_MARROW or place[2] != method:
            continue
        for patient, own in samples.items():
            call = call_of(own, threshold)
            if call is not Call.INDETERMINATE:
                day = max(r.collected_on for r in own)
                readings.setdefault(patient, []).append((day, call is Call.POSITIVE))
    found = []
    for patient in sorted(readings.keys() & days.keys() & enrolled.keys()):
        end = days[patient] or last[patient]
        known = [(day, positive) for day, positive in sorted(readings[patient]) if day < end]
        for i, (day, positive) in enumerate(known):
            stop = known[i + 1][0] if i + 1 < len(known) else end
            if stop <= day:
                continue
            found.append(
                StatusInterval(
                    patient_id=patient,
                    start=months_between(enrolled[patient], day),
                    stop=months_between(enrolled[patient], stop),
                    positive=positive,
                    event=i + 1 == len(known) and days[patient] is not None,
                )
            )
    return tuple(i for i in found if i.stop > i.start)


def time_dependent_table(trial: Trial, thresholds: Sequence[float] = THRESHOLDS) -> EndpointTable:
    """Hazard of PFS and OS while MRD-positive over that while negative, per method and threshold.

    Refused below `EVENTS_PER_TERM_MIN` events; below `EVENTS_FOR_WALD` it is Firth's.
    """
    rows: list[Cells] = []
    for method, threshold, endpoint, intervals in _all_intervals(trial, thresholds):
        events = [sum(i.event and i.positive is p for i in intervals) for p in (False, True)]
        months = [sum(i.stop - i.start for i in intervals if i.positive is p) for p in (False, True)]
        counts = (str(len({i.patient_id for i in intervals})), *map(str, events), *map(shown, months))
        rows.append((method, f"{threshold:g}", endpoint, *counts, *_fitted(intervals, sum(events))))
    columns = (
        "method", "threshold", "endpoint", "patients", "events_while_negative", "events_while_positive",
        "months_negative", "months_positive", "model", "hazard_ratio", "ci_low", "ci_high", "p", "reason",
    )  # fmt: skip
    return EndpointTable(name="mrd_time_dependent", columns=columns, rows=tuple(rows))


def counting_process_table(trial: Trial, thresholds: Sequence[float] = THRESHOLDS) -> EndpointTable:
    """The intervals themselves, for models that are not made here."""
    rows = [
        (
            method,
            f"{threshold:g}",
            endpoint,
            i.patient_id,
            shown(i.start),
            shown(i.stop),
            "1" if i.event else "0",
            "1" if i.positive else "0",
        )
        for method, threshold, endpoint, intervals in _all_intervals(trial, thresholds)
        for i in intervals
    ]
    columns = (
        "method", "threshold", "endpoint", "patient_id", "start_months", "stop_months", "event",
        "mrd_positive",
    )  # fmt: skip
    return EndpointTable(name="mrd_counting_process", columns=columns, rows=tuple(rows))


def _all_intervals(
    trial: Trial, thresholds: Sequence[float]
) -> list[tuple[str, float, str, tuple[StatusInterval, ...]]]:
    methods = sorted({r.method for r in trial.mrd if r.material is Material.BONE_MARROW})
    return [
        (method, threshold, endpoint, status_intervals(trial, method, threshold, days))
        for method in methods
        for threshold in thresholds
        for endpoint, days in endpoint_days(trial).items()
    ]


def _fitted(intervals: Sequence[StatusInterval], events: int) -> Cells:
    """Model, hazard ratio, interval, p, reason."""
    if events < EVENTS_PER_TERM_MIN:
        return "", "", "", "", "", f"{events} events, at least {EVENTS_PER_TERM_MIN} are needed"
    start, stop, event, positive = (
        np.array([float(getattr(i, name)) for i in intervals])
        for name in ("start", "stop", "event", "positive")
    )
    try:
        found = hazard_ratio(start, stop, event, positive)
    except ValueError as refused:
        return "", "", "", "", "", str(refused)
    numbers = (found.estimate, found.ci_low, found.ci_high, found.p_value)
    return found.model, *map(shown, numbers), ""
