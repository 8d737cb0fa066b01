"""Every patient's time on the trial: phases of treatment as lengths of a bar, events as signs.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from pipeline.clinical.mrd_endpoints import complete_from
from pipeline.clinical.time_endpoints import months_between
from pipeline.clinical.treatment import phase_starts
from pipeline.clinical.trial import Trial
from pipeline.report.figure_style import INK, SERIES
from pipeline.report.figures.small_print import lay_out
from pipeline.report.figures.words import phase_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["swimmer_figure"]

_ROW_INCHES = 0.075
_PHASE_COLOURS = ("#9ecae1", "#fdd0a2", "#6baed6", "#fdae6b", "#c7e9c0", "#dadaeb")
_SIGNS = {"complete": ("*", SERIES[1]), "progressed": ("^", SERIES[0]), "neoplasm": ("D", SERIES[3])}


def swimmer_figure(trial: Trial, phases: Sequence[str], texts: Mapping[str, str]) -> "Figure":
    """One bar a patient from enrolment to the last day seen, longest first.

    Parameters
    ----------
    trial
        Patients with an outcome are drawn; the others are counted.
    phases
        In the order of treatment: `pipeline.clinical.phase_endpoints.phases_in_order`.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure

    enrolled = {p.patient_id: p.enrolled_on for p in trial.patients}
    known = [
        o for o in trial.outcomes if o.patient_id in enrolled and o.last_seen_on >= enrolled[o.patient_id]
    ]
    known.sort(key=lambda o: (months_between(enrolled[o.patient_id], o.last_seen_on), o.patient_id))
    starts, complete = phase_starts(trial.courses), complete_from(trial, frozenset(trial.enrolled))
    ends = _treatment_ends(trial)
    figure = Figure(figsize=(6.6, 5.0))
    axes = figure.add_subplot()
    axes.set_title(texts["swimmer"].format(patients=len(known)))
    bars: dict[str, list[tuple[int, float, float]]] = {phase: [] for phase in phases}
    signs: dict[str, list[tuple[float, int]]] = {name: [] for name in (*_SIGNS, "died", "followed")}
    for row, outcome in enumerate(known):
        origin = enrolled[outcome.patient_id]

        def at(day: date, origin: date = origin) -> float:
            return months_between(origin, day)

        end = at(outcome.last_seen_on)
        axes.plot([0, end], [row, row], color=INK, linewidth=0.35, alpha=0.6, solid_capstyle="butt")
        own = sorted(starts.get(outcome.patient_id, {}).items(), key=lambda p: p[1])
        for i, (phase, start) in enumerate(own):
            stop = own[i + 1][1] if i + 1 < len(own) else ends.get(outcome.patient_id, outcome.last_seen_on)
            bars[phase].append((row, at(start), max(min(at(stop), end) - at(start), 0.0)))
        days = {
            "complete": complete.get(outcome.patient_id),
            "progressed": outcome.progressed_on,
            "neoplasm": outcome.second_myeloid_neoplasm_on,
        }
        for name, day in days.items():
            if day is not None:
                signs[name].append((at(day), row))
        signs["died" if outcome.died_on else "followed"].append((end, row))
    for number, (phase, parts) in enumerate(bars.items()):
        rows, left, width = ([p[i] for p in parts] for i in range(3))
        colour = _PHASE_COLOURS[number % len(_PHASE_COLOURS)]
        axes.barh(rows, width, left=left, height=0.8, color=colour, label=phase_name(phase), linewidth=0)
    looks = {**_SIGNS, "died": ("X", INK), "followed": (">", "white")}
    for name, points in signs.items():
        if points:
            marker, colour = looks[name]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], linestyle="none", marker=marker, color=colour,
                markersize=4 if name != "complete" else 5, markeredgecolor=INK, markeredgewidth=0.3,
                label=f"{texts[name]} ({len(points)})",
            )  # fmt: skip
    axes.set_yticks([])
    axes.set_ylim(-1, max(len(known), 1))
    axes.set_xlim(left=0)
    axes.set_xlabel(texts["months_since"])
    missing = len(enrolled) - len(known)
    remarks = [texts["no_outcome"].format(patients=missing)] if missing else []
    lay_out(figure, [(axes, max(2.0, _ROW_INCHES * len(known)))], remarks, left=0.3)
    return figure


def _treatment_ends(trial: Trial) -> dict[str, date]:
    """Last day of treatment of every patient of whom no course goes on."""
    ends: dict[str, date] = {}
    open_ = {c.patient_id for c in trial.courses if c.end_on is None}
    for course in trial.courses:
        if course.patient_id not in open_ and course.end_on is not None:
            ends[course.patient_id] = max(ends.get(course.patient_id, course.end_on), course.end_on)
    return ends
