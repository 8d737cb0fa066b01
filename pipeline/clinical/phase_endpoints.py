"""Endpoints by phase of treatment: response rates, upgrades, discontinuations, harvests.

The response of a phase is the best confirmed one of the last visit from its first day to the first
day of the next phase, that day included; after the last phase, to `AFTER_LAST_DAYS` days after its
last course. A patient who has no such visit is not evaluable, and in the intention-to-treat set no
responder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median

import numpy as np

from pipeline.clinical.levels import Level
from pipeline.clinical.treatment import Course, phase_starts
from pipeline.clinical.trial import RATE_COLUMNS, Cells, EndpointTable, Trial, rate_cells, shown

__all__ = [
    "AFTER_LAST_DAYS",
    "discontinuation_table",
    "final_stops",
    "harvest_table",
    "phase_levels",
    "phases_in_order",
    "primary_table",
    "response_table",
    "upgrade_table",
]

AFTER_LAST_DAYS = 90  # unverified: no protocol text says when the last phase's assessment is too late
PRIMARY_PHASES = ("CONSOLIDATION", "CONS")
_CRITERIA = {"sCR": Level.SCR, "CR": Level.CR, "VGPR": Level.VGPR, "PR": Level.PR, "MR": Level.MR}
Levels = Mapping[str, Mapping[str, Level]]


def phases_in_order(trial: Trial) -> tuple[str, ...]:
    """The trial's phases by the median day on which they start after the patient's first."""
    days: dict[str, list[int]] = {}
    for phases in phase_starts(trial.courses).values():
        first = min(phases.values())
        for phase, start in phases.items():
            days.setdefault(phase, []).append((start - first).days)
    return tuple(sorted(days, key=lambda p: (median(days[p]), p)))


def phase_levels(trial: Trial) -> dict[str, dict[str, Level]]:
    """The response of every phase, by phase and patient; a patient without one is not there."""
    by_patient: dict[str, list[tuple[date, Level]]] = {}
    for r in sorted(trial.responses, key=lambda r: r.day):
        level = r.response if r.best_confirmed is None else r.best_confirmed
        by_patient.setdefault(r.patient_id, []).append((r.day, level))
    last_days = _last_days(trial.courses)
    found: dict[str, dict[str, Level]] = {phase: {} for phase in phases_in_order(trial)}
    for patient_id, phases in phase_starts(trial.courses).items():
        starts = sorted(phases.items(), key=lambda p: p[1])
        for i, (phase, start) in enumerate(starts):
            last = starts[i + 1][1] if i + 1 < len(starts) else last_days[patient_id]
            seen = [level for day, level in by_patient.get(patient_id, ()) if start <= day <= last]
            if seen and seen[-1] is not Level.NE:
                found[phase][patient_id] = seen[-1]
    return found


def _last_days(courses: tuple[Course, ...]) -> dict[str, date]:
    """The last day on which a visit still belongs to a patient's last phase; open courses have none."""
    last: dict[str, date] = {}
    for course in courses:
        end = course.end_on + timedelta(days=AFTER_LAST_DAYS) if course.end_on else date.max
        last[course.patient_id] = max(last.get(course.patient_id, date.min), end)
    return last


def primary_table(trial: Trial, levels: Levels) -> EndpointTable:
    """Complete response or better after consolidation, of all enrolled and of the evaluable patients."""
    phase = next((p for p in PRIMARY_PHASES if p in levels), None)
    rows: list[Cells] = []
    for arm, members in trial.arms().items():
        if phase is None:
            reason = f"no phase is named {' or '.join(PRIMARY_PHASES)}"
            rows.append(("", arm, "ITT", "CR", str(len(members)), "", "", "", "", reason))
            continue
        rows += _rates(phase, arm, members, levels[phase], {"CR": Level.CR})
    return EndpointTable(
        name="primary", columns=("phase", "arm", "set", "at_least", *RATE_COLUMNS), rows=tuple(rows)
    )


def response_table(trial: Trial, levels: Levels) -> EndpointTable:
    """Share of patients at each level or better, and in progression, per phase, arm and set."""
    rows: list[Cells] = []
    for phase in phases_in_order(trial):
        for arm, members in trial.arms().items():
            rows += _rates(phase, arm, members, levels[phase], _CRITERIA)
            for name, those in _sets(members, levels[phase]):
                progressed = sum(levels[phase].get(p) is Level.PD for p in those)
                rows.append((phase, arm, name, "PD", *rate_cells(progressed, len(those))))
    return EndpointTable(
        name="response_rates", columns=("phase", "arm", "set", "at_least", *RATE_COLUMNS), rows=tuple(rows)
    )


def _sets(members: frozenset[str], levels: Mapping[str, Level]) -> tuple[tuple[str, frozenset[str]], ...]:
    return ("ITT", members), ("EVALUABLE", members & levels.keys())


def _rates(
    phase: str,
    arm: str,
    members: frozenset[str],
    levels: Mapping[str, Level],
    criteria: Mapping[str, Level],
) -> list[Cells]:
    return [
        (
            phase,
            arm,
            name,
            label,
            *rate_cells(sum(lowest <= levels.get(p, Level.NE) < Level.PD for p in those), len(those)),
        )
        for name, those in _sets(members, levels)
        for label, lowest in criteria.items()
    ]


def upgrade_table(trial: Trial, levels: Levels) -> EndpointTable:
    """Share whose response is better after a phase than after the one before.

    Of patients with a response before that is neither sCR nor progression (KNOWN_BEFORE; without a
    response after, a patient is not upgraded), and of those with a response after as well (KNOWN_BOTH).
    """
    rows: list[Cells] = []
    phases = phases_in_order(trial)
    for before, after in pairwise(phases):
        for arm, members in trial.arms().items():
            open_to = {p for p in members if levels[before].get(p, Level.PD) < Level.SCR}
            better = {p for p in open_to if levels[before][p] < levels[after].get(p, Level.NE) < Level.PD}
            for name, those in (("KNOWN_BEFORE", open_to), ("KNOWN_BOTH", open_to & levels[after].keys())):
                rows.append((before, after, arm, name, *rate_cells(len(better & those), len(those))))
    return EndpointTable(
        name="upgrades", columns=("from_phase", "to_phase", "arm", "set", *RATE_COLUMNS), rows=tuple(rows)
    )


def discontinuation_table(trial: Trial) -> EndpointTable:
    """Share that stopped a drug, or all treatment, before it was completed: per phase, arm and reason.

    All treatment has stopped where no course of the patient starts or goes on after it.
    """
    started: dict[str, set[str]] = {}
    for course in trial.courses:
        started.setdefault(course.phase, set()).add(course.patient_id)
    stopped = _stopped(trial.courses)
    rows: list[Cells] = []
    for phase in phases_in_order(trial):
        for arm, members in trial.arms().items():
            treated = started[phase] & members
            for scope in ("any_drug", "all_treatment"):
                here = [
                    s for s in stopped if s.phase == phase and s.scope == scope and s.patient_id in treated
                ]
                for reason in ("any", *sorted({s.reason for s in here})):
                    those = {s.patient_id for s in here if reason in ("any", s.reason)}
                    rows.append((phase, arm, scope, reason, *rate_cells(len(those), len(treated))))
    columns = ("phase", "arm", "scope", "reason_stopped", *RATE_COLUMNS)
    return EndpointTable(name="discontinuations", columns=columns, rows=tuple(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    patient_id: str
    phase: str
    scope: str
    reason: str


def _stopped(courses: tuple[Course, ...]) -> list[_Stop]:
    final = final_stops(courses)
    found = []
    for course in courses:
        if course.reason_stopped:
            scopes = [
                "any_drug",
                *(["all_treatment"] if final.get(course.patient_id) == course.end_on else []),
            ]
            found += [
                _Stop(
                    patient_id=course.patient_id,
                    phase=course.phase,
                    scope=scope,
                    reason=course.reason_stopped,
                )
                for scope in scopes
            ]
    return found


def final_stops(courses: tuple[Course, ...]) -> dict[str, date]:
    """Day on which all treatment of a patient stopped for a reason; patients it did not are not there."""
    by_patient: dict[str, list[Course]] = {}
    for course in courses:
        by_patient.setdefault(course.patient_id, []).append(course)
    found = {}
    for patient_id, own in by_patient.items():
        ends = [c.end_on for c in own if c.end_on is not None]
        last = max(ends, default=date.min)
        goes_on = len(ends) < len(own) or any(c.start_on > last for c in own)
        if not goes_on and any(c.reason_stopped and c.end_on == last for c in own):
            found[patient_id] = last
    return found


def harvest_table(trial: Trial) -> EndpointTable:
    """Stem cells collected per patient, all collections together, and the share given plerixafor."""
    rows: list[Cells] = []
    for arm, members in trial.arms().items():
        own = [h for h in trial.harvests if h.patient_id in members]
        collected = sorted({h.patient_id for h in own})
        cells = _totals([(h.patient_id, h.cd34_per_kg) for h in own])
        blood = _totals([(h.patient_id, h.blood_volume_ml) for h in own])
        plerixafor = {h.patient_id for h in own if h.plerixafor}
        known = {h.patient_id for h in own if h.plerixafor is not None}
        rows.append((arm, "collected", *rate_cells(len(collected), len(members)), "", "", "", "", ""))
        unknown = "nobody has a known answer"
        rates = rate_cells(len(plerixafor), len(known), why_none=unknown)
        rows.append((arm, "plerixafor", *rates, "", "", "", "", ""))
        rows.append((arm, "cd34_per_kg", *_spread(cells)))
        rows.append((arm, "blood_volume_ml", *_spread(blood)))
    columns = ("arm", "item", *RATE_COLUMNS, "median", "quartile_1", "quartile_3", "minimum", "maximum")
    return EndpointTable(name="harvest", columns=columns, rows=tuple(rows))


def _totals(values: list[tuple[str, object]]) -> list[float]:
    """Sums by patient; a patient with a collection of unknown amount has no sum."""
    sums: dict[str, float] = {}
    unknown = {patient_id for patient_id, value in values if value is None}
    for patient_id, value in values:
        if patient_id not in unknown:
            sums[patient_id] = sums.get(patient_id, 0.0) + float(str(value))
    return list(sums.values())


def _spread(values: list[float]) -> Cells:
    if not values:
        return "0", "", "", "", "", "nobody has a known amount", "", "", "", "", ""
    quartiles = [float(q) for q in np.quantile(values, (0.5, 0.25, 0.75))]
    numbers = map(shown, (*quartiles, min(values), max(values)))
    return str(len(values)), "", "", "", "", "", *numbers
