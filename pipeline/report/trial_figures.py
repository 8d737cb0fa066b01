"""Survival and responses of a trial, as the cohort's page shows them."""

from typing import TYPE_CHECKING

from pipeline.clinical.trial import Trial
from pipeline.report.figures.inline import inline_svg
from pipeline.report.figures.trial import trial_figures
from pipeline.report.figures.words import figure_words, worded_style

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["cohort_trial_figures"]

_SHOWN = {"survival": "endpoints_title", "response": "response_flow"}


def cohort_trial_figures(trial: Trial | None, threshold: float) -> "tuple[Markup, ...]":
    """Kaplan-Meier curves and the change of responses, of the tables that are there.

    The other figures of a trial are written by ``nadir clinical endpoints``.
    """
    if trial is None or not trial.patients:
        return ()
    from markupsafe import Markup

    texts = figure_words()
    makers = trial_figures(trial, threshold, texts)
    with worded_style():
        return tuple(
            Markup(  # noqa: S704 - names are escaped where the figure is made inline
                inline_svg(makers[name](), name, texts[title].format(patients=len(trial.enrolled)))
            )
            for name, title in _SHOWN.items()
            if name in makers
        )
