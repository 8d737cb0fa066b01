"""Picture of a patient's clones over time."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from chip.series import Trajectory
from pipeline.report.figure_style import SERIES, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["trajectory_figure"]


def trajectory_figure(found: Sequence[Trajectory], *, threshold: float = 0.02) -> "Figure":
    """Allele fractions over time with intervals; call in `house_style`.

    A sample that did not find a clone is drawn at the limit that it had, as a hollow triangle that
    points down; the dotted line is the CHIP threshold.

    Raises
    ------
    ValueError
        If there is no clone.
    """
    from matplotlib.figure import Figure

    from pipeline.report.figure_style import fraction_axis

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.add_subplot()
    days = sorted({p.collected_on for line in found for p in line.points})
    if not days:
        raise ValueError("there is no clone to draw")
    lowest = threshold / 4
    for number, line in enumerate(found):
        lowest = min(lowest, _draw_clone(axes, line, number, days[0]))
    fraction_axis(axes, "y", low=lowest / 2, high=1.0)
    axes.axhline(threshold, color=SOFT, linewidth=0.8, linestyle=":")
    text = f" {100 * threshold:g} %"
    axes.text(1, threshold, text, transform=axes.get_yaxis_transform(), fontsize=7, color=SOFT, va="center")
    axes.set_ylabel("VAF")
    names = [day.isoformat() for day in days]
    axes.set_xticks([_years(day, days[0]) for day in days], names, rotation=30, ha="right")
    axes.legend(loc="center left", bbox_to_anchor=(1.06, 0.5))
    return figure


def _years(day: date, first: date) -> float:
    return (day - first).days / 365.25


def _draw_clone(axes: "Axes", line: Trajectory, number: int, first: date) -> float:
    """Draw one clone; gives the lowest fraction drawn."""
    from pipeline.detection.intervals import clopper_pearson

    colour = SERIES[number % len(SERIES)]
    style = "-" if number < len(SERIES) else "--"
    name = f"{line.gene} {line.change}"
    if line.growth.per_year is not None:
        name += f"  {100 * line.growth.per_year:+.0f} %/year"
    seen = [(_years(p.collected_on, first), p.vaf) for p in line.points if p.found and p.vaf]
    axes.plot([t for t, _ in seen], [v for _, v in seen], style, color=colour, label=name)
    lowest = 1.0
    for point in line.points:
        at = _years(point.collected_on, first)
        if point.found and point.vaf and point.depth:
            low, high = clopper_pearson(point.alt, point.depth)
            low = max(low, 1e-4)
            axes.plot([at, at], [low, high], color=colour, linewidth=0.9)
            axes.plot([at], [point.vaf], "o", color=colour, markersize=5)
            lowest = min(lowest, low)
        elif not point.found and point.detectable_vaf is not None:
            axes.plot([at], [point.detectable_vaf], "v", color=colour, markerfacecolor="white")
            lowest = min(lowest, point.detectable_vaf)
    return lowest
