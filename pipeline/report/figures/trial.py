"""Every figure that a trial's tables allow, by the name of its file.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pipeline.clinical.phase_endpoints import phase_levels, phases_in_order
from pipeline.clinical.time_endpoints import NEOPLASM, observations
from pipeline.clinical.trial import Trial
from pipeline.report.figures.courses import course_sheets, courses_figure
from pipeline.report.figures.oncoprint import oncoprint_figure
from pipeline.report.figures.response_flow import response_figure
from pipeline.report.figures.survival_curves import incidence_figure, survival_figure
from pipeline.report.figures.swimmer import swimmer_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["trial_figures"]

_ENDPOINTS = ("PFS", "OS", "TTF")


def trial_figures(
    trial: Trial, threshold: float, texts: Mapping[str, str]
) -> "dict[str, Callable[[], Figure]]":
    """Makers of figures by name; what needs a table that was not given is not there.

    Parameters
    ----------
    trial
        Tables of a trial.
    threshold
        At which MRD is read in the courses.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    found: dict[str, Callable[[], Figure]] = {}
    if trial.outcomes:
        found |= _over_time(trial, texts)
        found["swimmer"] = lambda: swimmer_figure(trial, phases_in_order(trial), texts)
    if trial.responses and trial.courses:
        phases, levels = phases_in_order(trial), phase_levels(trial)
        found["response"] = lambda: response_figure(phases, levels, trial.enrolled, texts)
    if trial.lesions:
        enrolled = set(trial.enrolled)
        own = [x for x in trial.lesions if x.patient_id in enrolled]
        found["oncoprint"] = lambda: oncoprint_figure(own, texts)
    for number, patients in enumerate(course_sheets(trial), start=1):
        found[f"courses_{number:02}"] = partial(courses_figure, trial, patients, threshold, texts)
    return found


def _over_time(trial: Trial, texts: Mapping[str, str]) -> "dict[str, Callable[[], Figure]]":
    observed = observations(trial)
    groups = {e: [o for o in observed if o.endpoint == e] for e in _ENDPOINTS}
    days = {o.patient_id: o for o in trial.outcomes}
    ends = [
        (o.time, 0.0 if not o.event else 1.0 if days[o.patient_id].progressed_on else 2.0)
        for o in groups["PFS"]
    ]
    second = [(o.time, float(o.event)) for o in observed if o.endpoint == NEOPLASM]
    first_names = (texts["progression_word"], texts["death_first"])
    second_names = (texts["neoplasm_word"], texts["death_word"])

    def incidence(rows: list[tuple[float, float]], names: tuple[str, str], title: str) -> "Figure":
        times, causes = np.array(rows).reshape(-1, 2).T
        return incidence_figure(times, causes, names, texts[title], texts)

    return {
        "survival": lambda: survival_figure(groups, texts["endpoints_title"], texts),
        "first_event": lambda: incidence(ends, first_names, "first_event"),
        "second_neoplasm": lambda: incidence(second, second_names, "second_neoplasm"),
    }
