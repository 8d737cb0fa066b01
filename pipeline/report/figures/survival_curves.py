"""Kaplan-Meier curves with their risk table, and cumulative incidences stacked.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.clinical.endpoints import Observation
from pipeline.clinical.survival import Curve, aalen_johansen, kaplan_meier
from pipeline.report.figure_style import INK, LINE, SERIES, SOFT
from pipeline.report.figures.small_print import lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pipeline.clinical.survival import Floats

__all__ = ["incidence_figure", "survival_figure"]

_STEP_MONTHS = 6
_TICKS_MAX = 12
_DASHES = ("-", "--", "-.", ":")


def survival_figure(
    groups: Mapping[str, Sequence[Observation]], title: str, texts: Mapping[str, str]
) -> "Figure":
    """Share without the event over months, with 95 % intervals (log-log), censoring and patients at risk.

    Parameters
    ----------
    groups
        Patients by the name of their curve; at most four curves.
    title
        Of the figure.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 5.0))
    axes, table = figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2)
    last = max((o.time for own in groups.values() for o in own), default=1.0)
    ticks = _ticks(last)
    for number, (name, members) in enumerate(groups.items()):
        times, events = _arrays(members)
        colour = SERIES[number % len(SERIES)]
        curve = kaplan_meier(times, events)
        label = texts["curve_of"].format(name=name, patients=len(members), events=int((events > 0).sum()))
        _draw_steps(axes, curve, float(times.max(initial=0.0)), colour, _DASHES[number % 4], label)
        _draw_censored(axes, curve, times[events == 0], colour)
        at_risk = [int((times >= tick).sum()) for tick in ticks]
        for tick, count in zip(ticks, at_risk, strict=True):
            table.text(tick, -number, str(count), ha="center", va="center", fontsize=7.5, color=INK)
        table.text(-0.055 * last, -number, name, ha="right", va="center", fontsize=7.5, color=colour)
    axes.set_title(title)
    axes.set_ylabel(texts["share_without"])
    axes.set_ylim(0, 1.02)
    axes.grid(visible=True)
    axes.tick_params(labelbottom=False)
    table.set_ylim(-len(groups) + 0.3, 0.7)
    table.set_yticks([])
    table.spines["left"].set_visible(False)
    table.set_title(texts["at_risk"], fontsize=7.5, color=SOFT, pad=1)
    table.set_xlabel(texts["months_since"])
    for one in (axes, table):
        one.set_xlim(0, last * 1.02)
        one.set_xticks(ticks)
    lay_out(figure, [(axes, 2.9), (table, 0.17 * max(len(groups), 1) + 0.08)], left=1.15)
    return figure


def incidence_figure(
    times: "Floats", causes: "Floats", names: tuple[str, str], title: str, texts: Mapping[str, str]
) -> "Figure":
    """Cumulative incidences of two events of which the first that comes counts, one upon the other.

    Parameters
    ----------
    times, causes
        Months, and 0 (censored), 1 or 2, one entry a patient.
    names
        Of events 1 and 2.
    title, texts
        As for `survival_figure`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 4.4))
    axes = figure.add_subplot()
    axes.set_title(title)
    swapped = np.where(causes == 1, 2.0, np.where(causes == 2, 1.0, 0.0))
    curves = (aalen_johansen(times, causes), aalen_johansen(times, swapped))
    last = float(times.max(initial=1.0))
    at = np.concatenate(([0.0], curves[0].times, [last]))
    ground = np.zeros(len(at))
    for curve, name, colour, hatch in zip(curves, names, (SERIES[0], SERIES[2]), ("", "///"), strict=True):
        own = np.concatenate(
            ([0.0], curve.estimates, curve.estimates[-1:] if len(curve.estimates) else [0.0])
        )
        label = texts["incidence_of"].format(name=name, share=f"{100 * own[-1]:.1f} %")
        axes.fill_between(
            at, ground, ground + own, step="post", facecolor=colour, alpha=0.5, hatch=hatch, label=label,
            edgecolor=colour, linewidth=0.8,
        )  # fmt: skip
        ground = ground + own
    axes.set_ylabel(texts["cumulative_incidence"])
    axes.set_xlabel(texts["months_since"])
    axes.set_xlim(0, last)
    axes.set_xticks(_ticks(last))
    axes.set_ylim(0, max(0.1, min(1.0, float(ground[-1]) * 1.15)))
    axes.grid(visible=True, color=LINE)
    lay_out(figure, [(axes, 2.9)], [texts["incidence_of_all"].format(patients=len(times))])
    return figure


def _ticks(last: float) -> list[int]:
    """Every six months, or so many that a dozen suffice."""
    step = _STEP_MONTHS
    while last / step > _TICKS_MAX:
        step *= 2
    return list(range(0, int(last) + 1, step))


def _arrays(members: Sequence[Observation]) -> "tuple[Floats, Floats]":
    return np.array([o.time for o in members]), np.array([float(o.event) for o in members])


def _draw_steps(axes: "Axes", curve: Curve, last: float, colour: str, dashes: str, label: str) -> None:
    at = np.concatenate(([0.0], curve.times, [last]))
    height = np.concatenate(([1.0], curve.estimates, curve.estimates[-1:] if len(curve.times) else [1.0]))
    axes.step(at, height, where="post", color=colour, linestyle=dashes, label=label)
    if len(curve.times):
        edges = np.concatenate((curve.times, [last]))
        low, high = (np.concatenate((v, v[-1:])) for v in (curve.ci_low, curve.ci_high))
        axes.fill_between(edges, low, high, step="post", color=colour, alpha=0.13, linewidth=0)


def _draw_censored(axes: "Axes", curve: Curve, times: "Floats", colour: str) -> None:
    index = np.searchsorted(curve.times, times, side="right")
    height = np.concatenate(([1.0], curve.estimates))[index]
    axes.plot(times, height, "|", color=colour, markersize=4, markeredgewidth=0.7)
