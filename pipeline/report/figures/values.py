"""Two methods' values in pictures: lines through them, and differences with their limits.

A result that was not detected is an arrow at its limit of detection, away from higher values:
a bound, never a value. Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.concordance import (
    BlandAltman,
    CensoredLine,
    Pairs,
    Regression,
    bland_altman,
    bland_altman_repeated,
    censored_line,
    deming,
    deming_band,
    passing_bablok,
)
from pipeline.concordance.quantitative import censored_fit
from pipeline.concordance.series import Bools, Floats
from pipeline.detection import Interval
from pipeline.report.figure_style import INK, LINE, SERIES, SOFT, WASH, fraction_axis
from pipeline.report.figures.small_print import lay_out
from pipeline.report.figures.words import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bland_altman_figure", "comparison_figure"]

Drawn = tuple[float, float, Interval]
"""Slope, intercept, interval of the slope."""

_PLACES = 41
_SIDE = 5.2  # inches of a square picture of two methods on one scale
_LOOKS = {
    "passing_bablok": (SERIES[2], "-"),
    "deming": (SERIES[0], "--"),
    "censored_mle": (SERIES[1], "-."),
}
# A triangle that points to the lower values: of x, of y, of both.
_ARROWS = {"x_bound": (3, 0, 90), "y_bound": (3, 0, 180), "both_bound": (3, 0, 135)}


def comparison_figure(
    pairs: Pairs, x: str, y: str, texts: Mapping[str, str], *, scale: str = "log10"
) -> "Figure":
    """Values of y against those of x with Passing-Bablok's, Deming's and the censored line.

    Parameters
    ----------
    pairs
        Results of both methods; one sign for every pair that both evaluated.
    x, y
        Names of the methods.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    scale
        As for `pipeline.concordance.quantitative`.
    """
    from matplotlib.figure import Figure

    names = {"x": named(x), "y": named(y)}
    logarithmic = scale == "log10"
    figure = Figure(figsize=(6.2, 6.9))
    axes = figure.add_subplot()
    axes.set_title(texts["against"].format(**names))
    for which, name in (("x", names["x"]), ("y", names["y"])):
        label = texts["fraction" if logarithmic else "value"].format(method=name)
        (axes.set_xlabel if which == "x" else axes.set_ylabel)(label)
    kept = np.flatnonzero(pairs.x.evaluable & pairs.y.evaluable)
    if not len(kept):
        _set_scales(axes, np.array([1e-7, 1.0]), logarithmic=logarithmic)
        lay_out(figure, [(axes, _SIDE)], [texts["no_pair"]])
        return figure
    shown_x, shown_y = (np.where(s.detected, s.value, s.lod)[kept] for s in (pairs.x, pairs.y))
    seen = pairs.x.detected[kept], pairs.y.detected[kept]
    ends = _set_scales(axes, np.concatenate([shown_x, shown_y]), logarithmic=logarithmic)
    if logarithmic:
        _draw_limits(axes, pairs.x.lod[kept], pairs.y.lod[kept], texts)
    axes.plot(ends, ends, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)), label=texts["identity"])
    _draw_pairs(axes, (shown_x, shown_y), seen, names, texts)
    both = seen[0] & seen[1]
    remarks = _draw_lines(axes, pairs, (shown_x[both], shown_y[both]), texts, logarithmic=logarithmic)
    if not both.all():
        count = str(int(np.count_nonzero(~both)))
        remarks.append(texts["left_out"].format(count=count, all=len(both)))
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    lay_out(figure, [(axes, _SIDE)], remarks)
    return figure


def bland_altman_figure(
    pairs: Pairs, x: str, y: str, texts: Mapping[str, str], *, scale: str = "log10"
) -> "Figure":
    """Differences against means, with the mean difference, the 95 % limits, and their intervals.

    Limits are over patients where patients come back (`bland_altman_repeated`). Parameters as for
    `comparison_figure`; pairs of which a method detected nothing have no difference and are counted.
    """
    from matplotlib.figure import Figure

    names = {"x": named(x), "y": named(y)}
    ending = "" if scale == "log10" else "_linear"
    figure = Figure(figsize=(7.2, 4.6))
    axes = figure.add_subplot()
    axes.set_title(texts["bland_altman"].format(**names))
    axes.set_xlabel(texts["mean_of_both" + ending])
    axes.set_ylabel(texts["difference" + ending].format(**names))
    axes.grid(visible=True)
    evaluable = pairs.x.evaluable & pairs.y.evaluable
    rows = np.flatnonzero(evaluable & pairs.x.detected & pairs.y.detected)
    first, second = (s.value[rows] for s in (pairs.x, pairs.y))
    if scale == "log10":
        first, second = np.log10(first), np.log10(second)
    try:
        limits, key = _limits_of(first, second, [pairs.patients[i] for i in rows])
        _draw_limits_of_agreement(axes, limits, texts)
        remarks = [texts[key]]
    except ValueError as refused:
        remarks = [texts["no_limits"].format(reason=refused)]
    axes.axhline(0.0, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
    middle, apart = (first + second) / 2, second - first
    axes.plot(middle, apart, "o", color=INK, markersize=3, alpha=0.45, markeredgewidth=0, gid="pairs")
    everyone = int(np.count_nonzero(evaluable))
    if everyone > len(rows):
        remarks.append(texts["left_out"].format(count=everyone - len(rows), all=everyone))
    lay_out(figure, [(axes, 3.3)], remarks, right=2.0)
    return figure


def _set_scales(axes: "Axes", shown: Floats, *, logarithmic: bool) -> Floats:
    """The same scale on both axes, around all that is shown; its two ends."""
    low, high = float(shown.min()), float(shown.max())
    if logarithmic:
        low, high = low / 1.8, high * 1.8
        fraction_axis(axes, "x", low=low, high=high)
        fraction_axis(axes, "y", low=low, high=high)
    else:
        room = 0.04 * (high - low) or 1.0
        low, high = low - room, high + room
    axes.grid(visible=True)
    return np.array([low, high])


def _draw_limits(axes: "Axes", of_x: Floats, of_y: Floats, texts: Mapping[str, str]) -> None:
    look: dict[str, Any] = {"color": LINE, "alpha": 0.6, "linewidth": 0}
    axes.axvspan(float(of_x.min()), float(of_x.max()), gid="lod_x", **look)
    axes.axhspan(float(of_y.min()), float(of_y.max()), gid="lod_y", label=texts["limits"], **look)


def _draw_lines(
    axes: "Axes",
    pairs: Pairs,
    detected: tuple[Floats, Floats],
    texts: Mapping[str, str],
    *,
    logarithmic: bool,
) -> list[str]:
    """Each line over the values it stands for; why there is none."""
    x, y = (np.log10(v) for v in detected) if logarithmic else detected
    at = np.linspace(x.min(), x.max(), _PLACES) if len(x) else np.empty(0)
    remarks: list[str] = []
    lines: dict[str, Callable[[], Drawn]] = {
        "passing_bablok": lambda: _drawn(passing_bablok(x, y)),
        "deming": lambda: _drawn(deming(x, y)),
    }
    if logarithmic:
        lines["censored_mle"] = lambda: _drawn(censored_line(censored_fit(pairs)))
        at_all = np.log10(axes.get_xlim())
    for name, fit in lines.items():
        try:
            slope, intercept, ci = fit()
        except ValueError as refused:
            remarks.append(texts["no_line"].format(line=texts[name], reason=refused))
            continue
        places = np.linspace(at_all[0], at_all[1], _PLACES) if name == "censored_mle" else at
        height = intercept + slope * places
        if name == "deming":
            band = deming_band(x, y, at)
            along, low, high = (10**v if logarithmic else v for v in (band.at, band.low, band.high))
            axes.fill_between(along, low, high, color=_LOOKS[name][0], alpha=0.16, linewidth=0)
        if logarithmic:
            places, height = 10**places, 10**height
        label = texts["slope"].format(
            line=texts[name], slope=f"{slope:.3f}", low=f"{ci.low:.3f}", high=f"{ci.high:.3f}"
        )
        colour, dashes = _LOOKS[name]
        axes.plot(places, height, color=colour, linestyle=dashes, label=label, gid=name)
    return remarks


def _drawn(fit: Regression | CensoredLine) -> Drawn:
    return fit.slope, fit.intercept, fit.slope_ci


def _draw_pairs(
    axes: "Axes",
    shown: tuple[Floats, Floats],
    seen: tuple[Bools, Bools],
    names: Mapping[str, str],
    texts: Mapping[str, str],
) -> None:
    (x, y), (seen_x, seen_y) = shown, seen
    groups = {
        "both_detected": seen_x & seen_y,
        "x_bound": ~seen_x & seen_y,
        "y_bound": seen_x & ~seen_y,
        "both_bound": ~seen_x & ~seen_y,
    }
    for key, which in groups.items():
        if not which.any():
            continue
        arrow = key in _ARROWS
        axes.plot(
            x[which],
            y[which],
            linestyle="none",
            marker=_ARROWS.get(key, "o"),
            markersize=5.5 if arrow else 3.4,
            markerfacecolor=WASH if arrow else INK,
            markeredgecolor=INK,
            markeredgewidth=0.7 if arrow else 0.0,
            alpha=0.7 if arrow else 0.5,
            label=texts[key].format(**names),
            gid=key,
        )


def _limits_of(x: Floats, y: Floats, patients: Sequence[str]) -> tuple[BlandAltman, str]:
    """Limits over patients where the data allow them, else over pairs."""
    try:
        return bland_altman_repeated(x, y, patients), "over_patients"
    except ValueError:
        return bland_altman(x, y), "over_pairs"


def _draw_limits_of_agreement(axes: "Axes", found: BlandAltman, texts: Mapping[str, str]) -> None:
    from matplotlib.transforms import blended_transform_factory

    beside = blended_transform_factory(axes.transAxes, axes.transData)
    for name, estimate, colour in (
        ("bias", found.bias, SERIES[2]),
        ("limit", found.limit_low, SERIES[0]),
        ("limit", found.limit_high, SERIES[0]),
    ):
        axes.axhspan(*estimate.ci, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(estimate.value, color=colour, linestyle="-" if name == "bias" else "--")
        numbers = {"value": estimate.value, "low": estimate.ci.low, "high": estimate.ci.high}
        text = texts[name].format(**{k: f"{v:.3g}".replace("-", "−") for k, v in numbers.items()})
        axes.text(1.02, estimate.value, text, transform=beside, fontsize=7.5, va="center", color=INK)
