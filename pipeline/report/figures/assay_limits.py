"""An assay's validation study in pictures: precision profile, hit rates, linearity.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.detection.hit_rate import NotEstimable
from pipeline.detection.precision import fit_variance
from pipeline.detection.study import LevelSummary, Study
from pipeline.detection.study_rows import Limit, StudyGoals, StudyResults
from pipeline.model import format_fraction
from pipeline.report.figure_style import INK, LINE, SERIES, SOFT, fraction_axis
from pipeline.report.figures.small_print import lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hit_rate_figure", "linearity_figure", "precision_figure"]

_PLACES = 200
_ASSAY_LOTS = ("all", "largest")
_LOOKS = {"probit": (SERIES[0], "--"), "poisson": (SERIES[1], "-."), "classical": (SERIES[3], ":")}


def precision_figure(
    results: StudyResults, study: Study, goals: StudyGoals, texts: Mapping[str, str]
) -> "Figure":
    """Coefficient of variation of each level with its interval, and the fitted profile.

    Parameters
    ----------
    results, study, goals
        What went into `pipeline.detection.study.run_study`, and what it gave.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    figure, axes = _axes("precision_profile", texts)
    axes.set_xlabel(texts["mean_result"])
    axes.set_ylabel(texts["cv"])
    known = [x for x in study.levels if x.level > 0 and x.cv]
    remarks = []
    if known:
        low, high = (float(f(x.mean for x in known)) for f in (min, max))
        fraction_axis(axes, "x", low=low / 1.8, high=high * 1.8)
        _draw_spread(axes, known, texts)
        groups = [results.value[results.level == x] for x in np.unique(results.level[results.level > 0])]
        try:
            places = np.geomspace(low, high, _PLACES)
            axes.plot(places, fit_variance(groups).cv(places), color=SERIES[2], label=texts["cv_line"])
        except NotEstimable as refused:
            remarks.append(texts["no_profile"].format(reason=refused))
    else:
        remarks.append(texts["no_spread"])
    axes.axhline(goals.cv, color=SOFT, linestyle="--", label=texts["cv_goal"].format(goal=f"{goals.cv:g}"))
    for limit in _limits(study, "loq", "precision_profile"):
        label = texts["loq"].format(value=format_fraction(limit.estimate))
        axes.axvline(limit.estimate or 0.0, color=SERIES[0], linestyle=":", label=label)
    axes.set_ylim(bottom=0)
    return _finished(figure, axes, remarks)


def hit_rate_figure(study: Study, texts: Mapping[str, str]) -> "Figure":
    """How often each level was found, and the limits of detection by each method."""
    figure, axes = _axes("hit_rate", texts)
    axes.set_xlabel(texts["level"])
    axes.set_ylabel(texts["share_found"])
    levels = [x for x in study.levels if x.level > 0]
    remarks = [] if levels else [texts["no_level"]]
    limits = [x for x in _limits(study, "lod") if x.estimate]
    shown = [x.level for x in levels] + [x.estimate or 1.0 for x in limits]
    if shown:
        fraction_axis(axes, "x", low=min(shown) / 1.8, high=max(shown) * 1.8)
    shares = np.array([x.detected / x.results for x in levels])
    ends = np.array([x.hit_rate_ci for x in levels]).reshape(-1, 2)
    errors = np.abs(np.stack([shares - ends[:, 0], ends[:, 1] - shares]))
    axes.errorbar(
        [x.level for x in levels], shares, yerr=errors, fmt="o", color=INK, markersize=4, label=texts["hits"]
    )
    axes.axhline(0.95, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)), label=texts["hit_goal"])
    for limit in limits:
        colour, dashes = _LOOKS[limit.method]
        if limit.ci is not None:
            axes.axvspan(*limit.ci, color=colour, alpha=0.12, linewidth=0)
        label = texts["lod"].format(method=texts[limit.method], value=format_fraction(limit.estimate))
        axes.axvline(limit.estimate or 0.0, color=colour, linestyle=dashes, label=label)
    remarks += [
        texts["no_line"].format(line=texts[limit.method], reason=limit.reason)
        for limit in _limits(study, "lod")
        if limit.reason
    ]
    axes.set_ylim(-0.03, 1.05)
    return _finished(figure, axes, remarks)


def linearity_figure(
    results: StudyResults, study: Study, goals: StudyGoals, texts: Mapping[str, str]
) -> "Figure":
    """Results against levels with the line, and the band of allowed deviations about it."""
    figure, axes = _axes("linearity", texts)
    axes.set_xlabel(texts["level"])
    axes.set_ylabel(texts["result"])
    kept = (results.level > 0) & (results.value > 0)
    level, value = results.level[kept], results.value[kept]
    if len(level):
        fraction_axis(axes, "x", low=float(level.min()) / 1.8, high=float(level.max()) * 1.8)
        fraction_axis(axes, "y", low=float(value.min()) / 1.8, high=float(value.max()) * 1.8)
        axes.plot(
            level, value, "o", color=INK, markersize=3, alpha=0.4, markeredgewidth=0, label=texts["results"]
        )
    remarks = []
    if study.linearity is None:
        reason = next((x.reason for x in _limits(study, "slope") if x.reason), "")
        remarks.append(texts["no_line"].format(line=texts["line"], reason=reason))
        return _finished(figure, axes, remarks)
    line = study.linearity
    ends = np.array([x.level for x in line.levels])
    height = 10 ** (line.intercept + line.slope * np.log10(ends))
    factor = 10**goals.deviation_log10
    band = texts["goal_band"].format(goal=f"{goals.deviation_log10:g}")
    axes.fill_between(ends, height / factor, height * factor, color=LINE, alpha=0.8, linewidth=0, label=band)
    ci = line.slope_ci
    label = texts["slope"].format(
        line=texts["line"], slope=f"{line.slope:.3f}", low=f"{ci.low:.3f}", high=f"{ci.high:.3f}"
    )
    axes.plot(ends, height, color=SERIES[2], label=label)
    for within, key, colour in ((True, "mean_within", SERIES[1]), (False, "mean_outside", SERIES[0])):
        means = [(x.level, x.deviation) for x in line.levels if x.within is within]
        if means:
            at = np.array([m[0] for m in means])
            middle = 10 ** (line.intercept + line.slope * np.log10(at) + np.array([m[1] for m in means]))
            axes.plot(at, middle, "D", color=colour, markersize=5, label=texts[key])
    return _finished(figure, axes, remarks)


def _axes(title: str, texts: Mapping[str, str]) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 5.0))
    axes = figure.add_subplot()
    axes.set_title(texts[title])
    axes.grid(visible=True)
    return figure, axes


def _finished(figure: "Figure", axes: "Axes", remarks: Sequence[str]) -> "Figure":
    lay_out(figure, [(axes, 3.2)], remarks)
    return figure


def _limits(study: Study, parameter: str, method: str | None = None) -> list[Limit]:
    """The assay's own limits; those of single lots stand in the table."""
    return [
        x
        for x in study.limits
        if x.parameter == parameter
        and x.lot in _ASSAY_LOTS
        and (method is None or x.method == method)
        and (x.estimate is not None or method is None)
    ]


def _draw_spread(axes: "Axes", levels: Sequence[LevelSummary], texts: Mapping[str, str]) -> None:
    """CV with the interval that the chi-square of its standard deviation gives (the mean as known)."""
    from scipy.special import chdtri

    cv = np.array([x.cv or 0.0 for x in levels])
    free = np.array([x.results - 1 for x in levels], np.float64)
    low, high = (cv * np.sqrt(free / chdtri(free, q)) for q in (0.025, 0.975))
    axes.errorbar(
        [x.mean for x in levels],
        cv,
        yerr=np.abs(np.stack([cv - low, high - cv])),
        fmt="o",
        color=INK,
        markersize=4,
        elinewidth=1.0,
        label=texts["cv_points"],
    )
