"""MRD-negative rates by time point, method and threshold, and MRD against survival by landmark.

In the intention-to-treat set a missing or indeterminate result is not negative. The landmark is the
sample's own day: only patients without the event until then are compared, and time runs from there,
so that nobody lives through the time it takes to become negative by definition.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby

import numpy as np

from pipeline.clinical.endpoints import EVENTS_PER_TERM_MIN
from pipeline.clinical.follow_up import ImagingCall
from pipeline.clinical.levels import Level
from pipeline.clinical.mrd_categories import sustained_negative
from pipeline.clinical.survival import cox_log_hazard_ratios, log_rank
from pipeline.clinical.time_endpoints import months_between
from pipeline.clinical.trial import RATE_COLUMNS, Cells, EndpointTable, MrdReading, Trial, rate_cells, shown
from pipeline.detection import Call
from pipeline.model import WHOLE_CLONE, Material

__all__ = [
    "THRESHOLDS",
    "call_of",
    "complete_from",
    "endpoint_days",
    "landmark_table",
    "mrd_category_table",
    "mrd_rate_table",
    "samples_by_place",
]

THRESHOLDS: tuple[float, ...] = (1e-4, 1e-5, 1e-6)
_Z = 1.959963984540054
_ORDER = (Call.POSITIVE, Call.NEGATIVE, Call.INDETERMINATE)
_IMAGING = {
    ImagingCall.POSITIVE: Call.POSITIVE,
    ImagingCall.NEGATIVE: Call.NEGATIVE,
    ImagingCall.NOT_EVALUABLE: Call.INDETERMINATE,
}
Place = tuple[str, str, str]


def mrd_rate_table(trial: Trial, thresholds: Sequence[float] = THRESHOLDS) -> EndpointTable:
    """Share of MRD-negative patients per time point, material, method, threshold and set.

    EVALUABLE patients read positive or negative. LOD_REACHED ones have a sample whose own limit of
    detection is at or below the threshold, whatever was found: where limits differ, the evaluable set
    holds positive patients whose samples could not have been negative.
    """
    rows: list[Cells] = []
    members = set(trial.enrolled)
    for place, samples in samples_by_place(trial.mrd).items():
        own = {p: readings for p, readings in samples.items() if p in members}
        for threshold in thresholds:
            calls = {p: call_of(readings, threshold) for p, readings in own.items()}
            counts = [sum(c is call for c in calls.values()) for call in _ORDER]
            tail = (str(counts[0]), str(counts[2]), str(len(members) - len(own)))
            reached = {p for p, readings in own.items() if any(r.reaches(threshold) for r in readings)}
            sets = {"ITT": members, "EVALUABLE": {p for p in own if calls[p] is not Call.INDETERMINATE}}
            for name, those in (sets | {"LOD_REACHED": reached}).items():
                negative = sum(calls.get(p) is Call.NEGATIVE for p in those)
                rates = rate_cells(negative, len(those))
                if not reached:  # 0 of so many would read as if anybody could have been negative
                    rates = (str(len(those)), "0", "", "", "", "no sample's limit of detection reaches it")
                rows.append((*place, f"{threshold:g}", name, *rates, *tail))
    columns = (
        "timepoint", "material", "method", "threshold", "set", *RATE_COLUMNS, "positive", "indeterminate",
        "missing",
    )  # fmt: skip
    return EndpointTable(name="mrd_negative_rates", columns=columns, rows=tuple(rows))


def samples_by_place(readings: Iterable[MrdReading]) -> dict[Place, dict[str, list[MrdReading]]]:
    """Readings by time point, material and method, then by patient; the whole clone's where there is one."""

    def place(r: MrdReading) -> Place:
        return r.timepoint, str(r.material), r.method

    found: dict[Place, dict[str, list[MrdReading]]] = {}
    for key, group in groupby(
        sorted(readings, key=lambda r: (*place(r), r.patient_id, r.target_id)), key=place
    ):
        by_patient: dict[str, list[MrdReading]] = {}
        for reading in group:
            by_patient.setdefault(reading.patient_id, []).append(reading)
        found[key] = {
            p: [r for r in own if r.target_id == WHOLE_CLONE] or own for p, own in by_patient.items()
        }
    return found


def call_of(readings: Sequence[MrdReading], threshold: float) -> Call:
    """A positive sample makes the time point positive; a second one may answer an indeterminate one."""
    calls = {r.call(threshold) for r in readings}
    return next(call for call in _ORDER if call in calls)


def mrd_category_table(trial: Trial, thresholds: Sequence[float] = THRESHOLDS) -> EndpointTable:
    """Share of enrolled patients in the categories that ask for more than one negative marrow.

    ``negative_in_cr`` at a time point: negative, and the best confirmed response until that day is CR or
    sCR. ``sustained``: two negative marrows of a method a year apart, none positive between.
    ``sustained_with_imaging``: negative PET as well, over a year in the same way (the IMWG's class).
    """
    members = frozenset(trial.enrolled)
    complete = complete_from(trial, members)
    places = {k: v for k, v in samples_by_place(trial.mrd).items() if k[1] == Material.BONE_MARROW}
    rows: list[Cells] = []
    for place, samples in places.items():
        for threshold in thresholds:
            negative = [
                p
                for p in members & samples.keys() & complete.keys()
                if call_of(samples[p], threshold) is Call.NEGATIVE
                and complete[p] <= max(r.collected_on for r in samples[p])
            ]
            cells = rate_cells(len(negative), len(members))
            rows.append((*place, f"{threshold:g}", "negative_in_cr", *cells))
    for method in sorted({place[2] for place in places}):
        own = [samples for place, samples in places.items() if place[2] == method]
        for threshold in thresholds:
            rows += _sustained_rows(method, threshold, own, trial)
    columns = ("timepoint", "material", "method", "threshold", "category", *RATE_COLUMNS)
    return EndpointTable(name="mrd_categories", columns=columns, rows=tuple(rows))


def complete_from(trial: Trial, members: frozenset[str]) -> dict[str, date]:
    """First day with a confirmed CR or sCR, of patients who had one before any progression."""
    found: dict[str, date] = {}
    for r in sorted(trial.responses, key=lambda r: r.day):
        if r.patient_id in members and r.best_confirmed in (Level.CR, Level.SCR):
            found.setdefault(r.patient_id, r.day)
    return found


def _sustained_rows(
    method: str, threshold: float, samples: Sequence[Mapping[str, Sequence[MrdReading]]], trial: Trial
) -> list[Cells]:
    calls: dict[str, list[tuple[date, Call]]] = {}
    for by_patient in samples:
        for p, readings in by_patient.items():
            calls.setdefault(p, []).extend((r.collected_on, r.call(threshold)) for r in readings)
    pets: dict[str, list[tuple[date, Call]]] = {}
    for i in trial.imaging:
        if i.method.startswith("PET"):
            pets.setdefault(i.patient_id, []).append((i.day, _IMAGING[i.result]))
    members = set(trial.enrolled)
    sustained = {p for p in members & calls.keys() if sustained_negative(calls[p]) is not None}
    imaged = {p for p in sustained & pets.keys() if sustained_negative(pets[p]) is not None}
    head = ("", str(Material.BONE_MARROW), method, f"{threshold:g}")
    none = (str(len(members)), "", "", "", "", "no PET is in the imaging table")
    return [
        (*head, "sustained", *rate_cells(len(sustained), len(members))),
        (*head, "sustained_with_imaging", *(rate_cells(len(imaged), len(members)) if pets else none)),
    ]


def landmark_table(trial: Trial, thresholds: Sequence[float] = THRESHOLDS) -> EndpointTable:
    """PFS and OS from the day of a marrow sample, MRD-positive against MRD-negative patients.

    Log-rank test and Cox's hazard ratio, refused below `EVENTS_PER_TERM_MIN` events and where the
    likelihood has no maximum.
    """
    outcomes = {o.patient_id: o for o in trial.outcomes}
    ends = endpoint_days(trial)
    rows: list[Cells] = []
    for place, samples in samples_by_place(trial.mrd).items():
        if place[1] != Material.BONE_MARROW:
            continue
        for threshold in thresholds:
            for endpoint, days in ends.items():
                last = {p: outcomes[p].last_seen_on for p in days}
                cells = _landmark(samples, threshold, days, last)
                rows.append((*place, f"{threshold:g}", endpoint, *cells))
    columns = (
        "timepoint", "material", "method", "threshold", "endpoint", "negative_patients", "negative_events",
        "positive_patients", "positive_events", "logrank_p", "hazard_ratio", "ci_low", "ci_high", "reason",
    )  # fmt: skip
    return EndpointTable(name="mrd_landmark", columns=columns, rows=tuple(rows))


def endpoint_days(trial: Trial) -> dict[str, dict[str, date | None]]:
    """Day of progression or death (PFS) and of death (OS) of every enrolled patient with an outcome."""
    members = set(trial.enrolled)
    own = [o for o in trial.outcomes if o.patient_id in members]
    return {
        "PFS": {o.patient_id: _first(o.progressed_on, o.died_on) for o in own},
        "OS": {o.patient_id: o.died_on for o in own},
    }


def _first(*days: date | None) -> date | None:
    return min((d for d in days if d is not None), default=None)


def _landmark(
    samples: Mapping[str, Sequence[MrdReading]],
    threshold: float,
    days: Mapping[str, date | None],
    last_seen: Mapping[str, date],
) -> Cells:
    times, events, groups = [], [], []
    for patient_id in sorted(samples.keys() & days.keys()):
        call = call_of(samples[patient_id], threshold)
        origin = max(r.collected_on for r in samples[patient_id])
        end = days[patient_id]
        if call is Call.INDETERMINATE or (end or last_seen[patient_id]) <= origin:
            continue
        times.append(months_between(origin, end or last_seen[patient_id]))
        events.append(0.0 if end is None else 1.0)
        groups.append(1.0 if call is Call.POSITIVE else 0.0)
    t, e, g = (np.array(values, dtype=np.float64) for values in (times, events, groups))
    counts = [int(n) for k in (0, 1) for n in ((g == k).sum(), e[g == k].sum())]
    return *map(str, counts), *_compared(t, e, g)


def _compared(
    times: "np.typing.NDArray[np.float64]",
    events: "np.typing.NDArray[np.float64]",
    groups: "np.typing.NDArray[np.float64]",
) -> Cells:
    """Log-rank p, hazard ratio, interval, reason."""
    happened = int(events.sum())
    if len(set(groups.tolist())) < 2:
        return "", "", "", "", "all patients are in one group"
    if happened < EVENTS_PER_TERM_MIN:
        return "", "", "", "", f"{happened} events, at least {EVENTS_PER_TERM_MIN} are needed"
    try:
        test = log_rank(times, events, groups)
    except ValueError as error:
        return "", "", "", "", str(error)
    p = shown(test.p_value)
    try:
        fit = cox_log_hazard_ratios(times, events, groups[:, None])
    except ValueError as error:
        return p, "", "", "", str(error)
    beta, width = float(fit.log_hazard_ratios[0]), _Z * float(fit.standard_errors[0])
    return p, *(shown(float(np.exp(b))) for b in (beta, beta - width, beta + width)), ""
