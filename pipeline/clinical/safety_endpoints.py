"""Adverse events per phase and grade, and rates per time on treatment by route and by body weight.

Grades of two CTCAE versions are never added up. Where a phase, or a comparison, has events of both,
each version's count is given and no rate: who was graded by which version is not known. Route was
not randomised and may change, so a difference is no effect of the route.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from pipeline.clinical.follow_up import AdverseEvent
from pipeline.clinical.phase_endpoints import phases_in_order
from pipeline.clinical.time_endpoints import DAYS_PER_MONTH
from pipeline.clinical.treatment import Course
from pipeline.clinical.trial import RATE_COLUMNS, Cells, EndpointTable, Trial, rate_cells, shown
from pipeline.detection import clopper_pearson, garwood

__all__ = ["WEIGHT_LIMIT_KG", "adverse_event_table", "exposure_table"]

WEIGHT_LIMIT_KG = 65
ROUTES = ("IV", "SC")
_GRADES = range(1, 6)
_MIXED = "graded by two CTCAE versions: counts only"
Spans = list[tuple[date, date]]


def adverse_event_table(trial: Trial) -> EndpointTable:
    """Patients with an event of a grade or worse, of those treated in the phase, per term and phase."""
    treated: dict[str, set[str]] = {phase: set() for phase in phases_in_order(trial)}
    for course in trial.courses:
        treated[course.phase].add(course.patient_id)
    rows: list[Cells] = []
    for phase in (*treated, *sorted({e.phase for e in trial.events} - treated.keys())):
        events = [e for e in trial.events if e.phase == phase]
        versions = sorted({e.ctcae_version for e in events})
        for version in versions:
            own = [e for e in events if e.ctcae_version == version]
            for term in ("any", *sorted({e.term for e in own})):
                those = [e for e in own if term in ("any", e.term)]
                for grade in _GRADES:
                    cells = _patients(those, grade, treated.get(phase, set()), mixed=len(versions) > 1)
                    rows.append((phase, term, version, str(grade), *cells))
    columns = ("phase", "term", "ctcae_version", "grade_at_least", *RATE_COLUMNS)
    return EndpointTable(name="adverse_events", columns=columns, rows=tuple(rows))


def _patients(events: Iterable[AdverseEvent], grade: int, treated: set[str], *, mixed: bool) -> Cells:
    with_it = {e.patient_id for e in events if e.grade >= grade}
    if mixed:
        return str(len(treated)), str(len(with_it)), "", "", "", _MIXED
    strangers = with_it - treated
    if strangers:
        reason = f"{len(strangers)} of the patients with an event are not recorded as treated in this phase"
        return str(len(treated)), str(len(with_it)), "", "", "", reason
    return rate_cells(len(with_it), len(treated))


def exposure_table(trial: Trial) -> EndpointTable:
    """Events per patient-month on treatment: IV against SC, and up to 65 kg against above.

    By route, exposure and courses are those of drugs that are given by both routes, and an event
    belongs to the route it is recorded with. By weight, they are those of all drugs, and an event
    that starts on treatment belongs to its patient. Open courses last to the last day seen. The
    interval of a rate is Poisson's exact one, that of a ratio is exact given the sum of both counts.
    """
    columns = (
        "comparison", "group", "ctcae_version", "grade_at_least", "patients", "with_it", "courses", "events",
        "patient_months", "rate", "ci_low", "ci_high", "rate_ratio", "ratio_ci_low", "ratio_ci_high",
        "reason",
    )  # fmt: skip
    rows = (*_by_route(trial), *_by_weight(trial))
    return EndpointTable(name="exposure_adjusted", columns=columns, rows=rows)


def _by_route(trial: Trial) -> list[Cells]:
    routes: dict[str, set[str]] = {}
    for course in trial.courses:
        routes.setdefault(course.drug, set()).add(course.route)
    drugs = {drug for drug, given in routes.items() if given >= set(ROUTES)}
    if not drugs:
        return [("route", "", *[""] * 13, "no drug was given both IV and SC")]
    groups = {route: [c for c in trial.courses if c.drug in drugs and c.route == route] for route in ROUTES}
    events = {route: [e for e in trial.events if e.route == route] for route in ROUTES}
    return _comparison("route", groups, events, trial)


def _by_weight(trial: Trial) -> list[Cells]:
    light = {p.patient_id: p.weight_kg <= WEIGHT_LIMIT_KG for p in trial.patients if p.weight_kg is not None}
    spans = _spans(trial.courses, trial)
    names = {f"<={WEIGHT_LIMIT_KG} kg": True, f">{WEIGHT_LIMIT_KG} kg": False}
    groups = {
        name: [c for c in trial.courses if light.get(c.patient_id) is below] for name, below in names.items()
    }
    events = {
        name: [
            e
            for e in trial.events
            if light.get(e.patient_id) is below and _within(e.start_on, spans.get(e.patient_id, []))
        ]
        for name, below in names.items()
    }
    return _comparison("weight", groups, events, trial)


def _within(day: date, spans: Spans) -> bool:
    return any(first <= day <= last for first, last in spans)


def _comparison(
    name: str,
    groups: Mapping[str, Sequence[Course]],
    events: Mapping[str, Sequence[AdverseEvent]],
    trial: Trial,
) -> list[Cells]:
    months = {group: _patient_months(courses, trial) for group, courses in groups.items()}
    versions = sorted({e.ctcae_version for own in events.values() for e in own})
    rows: list[Cells] = []
    for version in versions or [""]:
        for grade in (1, 3):
            counted = {
                group: [e for e in own if e.ctcae_version == version and e.grade >= grade]
                for group, own in events.items()
            }
            first = next(iter(groups))
            for group, courses in groups.items():
                cells = (
                    str(len({c.patient_id for c in courses})),
                    str(len({e.patient_id for e in counted[group]})),
                    str(len({(c.patient_id, c.phase, c.course) for c in courses})),
                    str(len(counted[group])),
                    shown(months[group]),
                )
                if len(versions) > 1:
                    rates: Cells = (*[""] * 6, _MIXED)
                else:
                    reference = None if group == first else (len(counted[first]), months[first])
                    rates = _rate(len(counted[group]), months[group], reference)
                rows.append((name, group, version, str(grade), *cells, *rates))
    return rows


def _rate(events: int, months: float, reference: tuple[int, float] | None) -> Cells:
    """Rate, interval, ratio to the reference, its interval, reason."""
    if not months:
        return *[""] * 6, "no time on treatment"
    low, high = garwood(events)
    rate = (*map(shown, (events / months, low / months, high / months)),)
    if reference is None:
        return *rate, "", "", "", "the reference of the ratio"
    if not reference[0] or not reference[1]:
        return *rate, "", "", "", "no event in the reference group, so no ratio"
    scale = reference[1] / months
    share = clopper_pearson(events, events + reference[0])
    bounds = (share.low / (1 - share.low), share.high / (1 - share.high))
    return *rate, *map(shown, (scale * events / reference[0], *(scale * b for b in bounds))), ""


def _patient_months(courses: Iterable[Course], trial: Trial) -> float:
    """Time on treatment; days covered by several courses count once, a day's dose is a day."""
    days = sum((last - first).days + 1 for spans in _spans(courses, trial).values() for first, last in spans)
    return days / DAYS_PER_MONTH


def _spans(courses: Iterable[Course], trial: Trial) -> dict[str, Spans]:
    """Days on treatment by patient, as spans that do not overlap."""
    last_seen = {o.patient_id: o.last_seen_on for o in trial.outcomes}
    found: dict[str, Spans] = {}
    for course in sorted(courses, key=lambda c: (c.patient_id, c.start_on)):
        end = course.end_on or max(last_seen.get(course.patient_id, course.start_on), course.start_on)
        spans = found.setdefault(course.patient_id, [])
        if spans and course.start_on <= spans[-1][1] + timedelta(days=1):
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((course.start_on, end))
    return found
