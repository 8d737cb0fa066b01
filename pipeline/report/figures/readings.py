"""Readings of two methods at thresholds in pictures: the table as areas, and agreement as a curve.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.concordance import (
    AgreementTable,
    Pairs,
    Statistic,
    expected_agreement_range,
    pair_readings,
    tabulate,
)
from pipeline.model import format_fraction
from pipeline.report.figure_style import INK, LINE, SERIES, fraction_axis
from pipeline.report.figures.small_print import lay_out
from pipeline.report.figures.words import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOSAIC_THRESHOLDS", "agreement_curve_figure", "mosaic_figure"]

MOSAIC_THRESHOLDS = (1e-4, 1e-5, 1e-6)
_PANELS_A_ROW = 3
_GAP = 0.06  # between the table and the strip of indeterminate pairs
_TEXT_MIN = 0.06  # a narrower or lower area has a smaller number
_LOOKS: dict[str, dict[str, Any]] = {
    "same": {"facecolor": SERIES[2], "alpha": 0.45},
    "other": {"facecolor": SERIES[0], "alpha": 0.45, "hatch": "///"},
    "ind": {"facecolor": LINE, "hatch": ".."},
}

Area = tuple[float, float, float, float, int, str]  # left, bottom, width, height, pairs, kind


def mosaic_figure(
    pairs: Pairs, x: str, y: str, thresholds: Sequence[float], texts: Mapping[str, str]
) -> "Figure":
    """The 2 x 2 table at each threshold as areas, and beside it the strip of indeterminate pairs.

    Parameters
    ----------
    pairs
        Results of both methods.
    x, y
        Names of the methods.
    thresholds
        Fractions above 0, one panel each.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    names = {"x": named(x), "y": named(y)}
    columns = max(min(_PANELS_A_ROW, len(thresholds)), 1)
    rows = max(-(-len(thresholds) // columns), 1)
    width, height = max(3.0 * columns + 0.3, 5.2), 3.1 * rows + 1.05
    figure = Figure(figsize=(width, height))
    figure.suptitle(
        texts["mosaic"].format(pairs=len(pairs), **names),
        x=0.1 / width,
        y=1 - 0.1 / height,
        ha="left",
        va="top",
        fontsize=9,
    )
    for number, threshold in enumerate(thresholds, start=1):
        axes = figure.add_subplot(rows, columns, number)
        _draw_mosaic(axes, tabulate(pair_readings(pairs, threshold)), texts)
        axes.set_title(texts["at"].format(threshold=format_fraction(threshold)))
        axes.set_xlabel(texts["x_reads"].format(**names), fontsize=8)
        axes.set_ylabel(texts["y_reads"].format(**names), fontsize=8)
    words = {"same": "agree", "other": "disagree", "ind": "indeterminate"}
    handles = [Patch(edgecolor=INK, label=texts[words[kind]], **look) for kind, look in _LOOKS.items()]
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.0))
    figure.subplots_adjust(
        left=0.42 / width,
        right=1 - 0.1 / width,
        bottom=0.95 / height,
        top=1 - 0.52 / height,
        wspace=0.2,
        hspace=0.4,
    )
    return figure


def agreement_curve_figure(rows: Sequence[Statistic], x: str, y: str, texts: Mapping[str, str]) -> "Figure":
    """Overall agreement over thresholds, and the band in which two perfect assays would lie.

    Parameters
    ----------
    rows
        Of `pipeline.concordance.curve`.
    x, y, texts
        As for `mosaic_figure`.
    """
    from matplotlib.figure import Figure

    names = {"x": named(x), "y": named(y)}
    figure = Figure(figsize=(6.2, 4.7))
    upper, lower = figure.add_subplot(2, 1, 1), figure.add_subplot(2, 1, 2)
    upper.set_title(texts["curve"].format(**names))
    overall, unread = _series(rows, "opa"), _series(rows, "ind_pairs")
    expected = [(c, r) for c, r in _series(rows, "expected_discordance") if r.estimate is not None]
    evaluable = {c: row.n for c, row in overall}
    _draw_expected(upper, expected, evaluable, texts)
    _draw_observed(upper, overall, texts)
    shares = [
        r.n / (r.n + (i.estimate or 0)) if r.n else 0.0
        for (_, r), (_, i) in zip(overall, unread, strict=True)
    ]
    lower.plot([c for c, _ in overall], shares, "o-", color=INK, markersize=3, gid="evaluable")
    for axes, name in ((upper, "agreement"), (lower, "evaluable")):
        fraction_axis(axes, "x", low=8e-7, high=1.25e-3)
        axes.set_ylabel(texts[name])
        axes.grid(visible=True)
    lower.set_ylim(0, 1.05)
    upper.set_ylim(top=1.005)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel(texts["threshold"])
    remarks = [] if expected else [texts["no_expected"].format(reason=_why_none(rows))]
    lay_out(figure, [(upper, 2.5), (lower, 0.65)], remarks)
    return figure


def _series(rows: Sequence[Statistic], parameter: str) -> list[tuple[float, Statistic]]:
    return [(r.threshold, r) for r in rows if r.parameter == parameter and r.threshold is not None]


def _why_none(rows: Sequence[Statistic]) -> str:
    return next((row.reason for _, row in _series(rows, "expected_discordance") if row.reason), "")


def _draw_observed(
    axes: "Axes", overall: Sequence[tuple[float, Statistic]], texts: Mapping[str, str]
) -> None:
    known = [(c, r.estimate, r.ci_low, r.ci_high) for c, r in overall if r.estimate is not None]
    if known:
        at, share, low, high = (list(v) for v in zip(*known, strict=True))
        errors = np.abs(np.array([low, high]) - np.array(share))
        axes.errorbar(
            at,
            share,
            yerr=errors,
            fmt="o",
            color=SERIES[2],
            markersize=4,
            elinewidth=1.0,
            label=texts["overall"],
        )


def _draw_expected(
    axes: "Axes",
    expected: Sequence[tuple[float, Statistic]],
    evaluable: Mapping[float, int],
    texts: Mapping[str, str],
) -> None:
    known = [(c, r.estimate) for c, r in expected if r.estimate is not None and evaluable.get(c)]
    if not known:
        return
    at = [c for c, _ in known]
    ranges = [expected_agreement_range(share, evaluable[c]) for c, share in known]
    look: dict[str, Any] = {"color": SERIES[0], "alpha": 0.18, "linewidth": 0}
    axes.fill_between(
        at, [r.low for r in ranges], [r.high for r in ranges], label=texts["expected_band"], **look
    )
    axes.plot(at, [1 - s for _, s in known], "--", color=SERIES[0], label=texts["expected"], gid="expected")


def _draw_mosaic(axes: "Axes", table: AgreementTable, texts: Mapping[str, str]) -> None:
    from matplotlib.patches import Rectangle

    for left, bottom, width, height, count, kind in _areas(table):
        axes.add_patch(Rectangle((left, bottom), width, height, edgecolor=INK, linewidth=0.7, **_LOOKS[kind]))
        if kind != "ind":
            size = 9 if min(width, height) >= _TEXT_MIN else 7
            middle = (left + width / 2, bottom + height / 2)
            text = axes.text(*middle, str(count), ha="center", va="center", fontsize=size)
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8})
    if table.indeterminate:
        label = texts["ind"].format(count=table.indeterminate)
        axes.text(1.0 + _GAP, 1.015, label, fontsize=7.5, ha="right", va="bottom")
    axes.set_xlim(-0.01, 1.01 + _GAP)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _areas(table: AgreementTable) -> list[Area]:
    """Rectangles whose areas are shares of all pairs; the strip stands to the right of the table."""
    found: list[Area] = []
    left, whole = 0.0, max(table.all, 1)
    for positive, negative, kinds in (
        (table.both_pos, table.x_only, ("same", "other")),
        (table.y_only, table.both_neg, ("other", "same")),
    ):
        column = positive + negative
        if column:
            width, share = column / whole, positive / column
            found.append((left, 1 - share, width, share, positive, kinds[0]))
            found.append((left, 0.0, width, 1 - share, negative, kinds[1]))
            left += width
    if table.indeterminate:
        found.append((left + _GAP, 0.0, table.indeterminate / whole, 1.0, table.indeterminate, "ind"))
    return [area for area in found if area[4]]
