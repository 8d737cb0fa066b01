"""Allele fractions of marrow and plasma in a picture.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.concordance.variants import Observation, VariantClass, VariantKey, VariantRow
from pipeline.detection import clopper_pearson
from pipeline.report.figure_style import LINE, SERIES, SOFT, fraction_axis
from pipeline.report.figures.small_print import lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["allele_figure"]

_LOOKS = {
    VariantClass.SHARED: ("o", SERIES[2]),
    VariantClass.MARROW_ONLY: ("s", SERIES[0]),
    VariantClass.PLASMA_ONLY: ("D", SERIES[1]),
    VariantClass.CHIP_SUSPECTED: ("^", SERIES[3]),
    VariantClass.GERMLINE: ("P", SERIES[4]),
    VariantClass.NOT_EVALUABLE: ("x", SOFT),
}
Point = tuple[float, float, float, bool]
"""Allele fraction, ends of its interval, whether any molecule shows it."""


def allele_figure(
    rows: Sequence[VariantRow],
    marrow: Mapping[VariantKey, Observation],
    plasma: Mapping[VariantKey, Observation],
    ratio: float,
    texts: Mapping[str, str],
) -> "Figure":
    """Allele fraction in plasma against marrow, each with its exact 95 % interval, by class.

    A variant that no molecule of a material shows stands at the upper end of that material's
    interval, with a line down to the edge. Variants without depth in one material are counted.

    Parameters
    ----------
    rows
        Of `pipeline.concordance.variants.compare_variants`.
    marrow, plasma
        What the rows were made from.
    ratio
        Plasma's allele fraction over the marrow's, as the comparison used it.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 6.7))
    axes = figure.add_subplot()
    axes.set_title(texts["variants"])
    axes.set_xlabel(texts["marrow_vaf"])
    axes.set_ylabel(texts["plasma_vaf"])
    points: dict[VariantClass, list[tuple[Point, Point]]] = {}
    hidden = 0
    for row in rows:
        key = (row.chrom, row.pos, row.ref, row.alt)
        of_marrow, of_plasma = _point(marrow.get(key)), _point(plasma.get(key))
        if of_marrow is None or of_plasma is None:
            hidden += 1
        else:
            points.setdefault(row.variant_class, []).append((of_marrow, of_plasma))
    shown = [p for pairs in points.values() for pair in pairs for p in pair]
    low = 0.6 * min((p[0] if p[3] else p[2] for p in shown), default=1e-3)
    for which in ("x", "y"):
        fraction_axis(axes, which, low=low, high=1.15)
    axes.grid(visible=True)
    label = texts["expected_ratio"].format(ratio=f"{ratio:.3g}")
    axes.plot([low, 1.15], [low * ratio, 1.15 * ratio], color=SOFT, linestyle=(0, (1, 2)), label=label)
    for kind in _LOOKS:
        _draw(axes, points.get(kind, []), kind, low, texts)
    remarks = [texts["no_variant"]] if not rows else []
    if hidden:
        remarks.append(texts["no_depth"].format(count=hidden, all=len(rows)))
    lay_out(figure, [(axes, 5.2)], remarks)
    return figure


def _point(seen: Observation | None) -> Point | None:
    if seen is None or not seen.depth:
        return None
    low, high = clopper_pearson(seen.alt, seen.depth)
    return seen.alt / seen.depth, low, high, seen.alt > 0


def _draw(
    axes: "Axes",
    points: Sequence[tuple[Point, Point]],
    kind: VariantClass,
    edge: float,
    texts: Mapping[str, str],
) -> None:
    if not points:
        return
    marker, colour = _LOOKS[kind]
    places = [[p[0] if p[3] else p[2] for p in (pair[i] for pair in points)] for i in (0, 1)]
    bars = [
        [
            [at - max(p[1], edge) for at, p in zip(places[i], (pair[i] for pair in points), strict=True)],
            [p[2] - at for at, p in zip(places[i], (pair[i] for pair in points), strict=True)],
        ]
        for i in (0, 1)
    ]
    axes.errorbar(
        places[0],
        places[1],
        xerr=bars[0],
        yerr=bars[1],
        fmt=marker,
        color=colour,
        ecolor=LINE if kind is VariantClass.NOT_EVALUABLE else colour,
        elinewidth=0.6,
        markersize=4.5,
        label=f"{texts[kind.value]} ({len(points)})",
    )
