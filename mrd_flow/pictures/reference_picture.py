"""Plasma cells against normal ones: principal components, what the classifier said, and light chains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrd_flow.gating.tube import GatedTube
from mrd_flow.panel.template import Panel
from mrd_flow.pictures.axes import PictureAxis, Ticks, draw_scales
from mrd_flow.plasma_cells.classified import ClassifiedTube
from mrd_flow.plasma_cells.clonality import ClonalityTest
from mrd_flow.reference.normal_components import Components, components_of, normal_kinds, shown_features
from mrd_flow.reference.normal_reference import NormalReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS, features
from pipeline.errors import printable
from pipeline.report.figure_style import LINE, SERIES, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["classes_in_words", "clonality_in_words", "deviation_figure", "light_chain_figure"]

Floats = NDArray[np.float64]

_NORMAL, _ABERRANT, _OTHER = SERIES[2], SERIES[0], "#aeb7c2"
_LEAST_FOR_ELLIPSE = 5
_ELLIPSE = float(np.sqrt(5.991))  # standard deviations about 95 % of a bivariate normal law
_EDGES_P = (-5.0, 0.0)


def deviation_figure(
    gated: GatedTube, found: ClassifiedTube, reference: NormalReference, panel: Panel, tube_name: str
) -> "Figure":
    """Draw a tube's plasma cells against normal ones; to be called in the house style.

    On the left principal components of the reference, in the middle what each antigen
    adds to them, on the right the deviation from normal and the likelihood ratio of
    every cell, of which a call needs both.
    """
    from matplotlib.figure import Figure

    scales = {m: panel.logicle_of(m) for m in panel.tubes[found.tube - 1].markers}
    components = components_of(reference)
    cells = features(gated.plasma_cells, gated.dimensions, scales)[:, shown_features(reference)]
    places = components.places(cells)
    figure = Figure(figsize=(11.4, 4.6))
    figure.text(0.01, 0.95, "plasma cells against normal ones", fontsize=12, fontweight="bold", va="center")
    figure.text(0.99, 0.95, printable(tube_name), fontsize=8, color=SOFT, va="center", ha="right")
    words = f"{classes_in_words(found)}; grey: where 50, 90 and 99 % of the reference's normal cells lie"
    figure.text(0.01, 0.895, words, fontsize=9, va="center")
    _draw_components(figure.add_axes((0.065, 0.15, 0.3, 0.65)), components, reference, places, found)
    _draw_loadings(figure.add_axes((0.45, 0.15, 0.19, 0.65)), components)
    _draw_calls(figure.add_axes((0.72, 0.15, 0.265, 0.65)), found)
    return figure


def light_chain_figure(
    gated: GatedTube,
    found: ClassifiedTube,
    axes_of: dict[str, PictureAxis],
    test: ClonalityTest | None,
    tube_name: str,
) -> "Figure | None":
    """Draw kappa against lambda; None where the tube did not stain both.

    Parameters
    ----------
    axes_of
        Axes of the two light chains (`mrd_flow.pictures.axes.axis_of`).
    test
        Of the whole sample; None where there is none.
    """
    if not set(LIGHT_CHAINS) <= set(gated.dimensions):
        return None
    from matplotlib.figure import Figure

    kappa, lambda_ = (axes_of[name] for name in LIGHT_CHAINS)
    table = gated.plasma_cells[:, [gated.dimensions.index(c) for c in LIGHT_CHAINS]]
    places = np.clip(table, (kappa.low, lambda_.low), (kappa.high, lambda_.high))
    figure = Figure(figsize=(5.2, 5.0))
    figure.text(0.02, 0.955, "light chains of plasma cells", fontsize=12, fontweight="bold", va="center")
    figure.text(0.98, 0.955, printable(tube_name), fontsize=8, color=SOFT, va="center", ha="right")
    for number, line in enumerate(clonality_in_words(test)):
        figure.text(0.02, 0.90 - 0.037 * number, line, fontsize=8.5, va="center")
    axes = figure.add_axes((0.15, 0.12, 0.8, 0.68))
    _draw_cells(axes, places, found)
    draw_scales(
        axes,
        x=((kappa.low, kappa.high), kappa.ticks, kappa.label),
        y=((lambda_.low, lambda_.high), lambda_.ticks, lambda_.label),
    )
    _legend_above(axes)
    return figure


def clonality_in_words(test: ClonalityTest | None) -> tuple[str, ...]:
    """Counts, ratio and the exact test in two lines.

    >>> clonality_in_words(None)
    ('clonality not tested',)
    """
    if test is None:
        return ("clonality not tested",)
    groups = (
        ("aberrant", test.cluster_kappa, test.cluster_lambda),
        ("normal", test.normal_kappa, test.normal_lambda),
    )
    counts = "; ".join(f"{name} κ {k:,} λ {n:,}{_ratio(k, n)}" for name, k, n in groups)
    return (counts, f"{test.verdict}: exact one-sided p {test.p:.2g}, power {test.power:.2f}")


def _ratio(kappa: int, lambda_: int) -> str:
    return f" (κ:λ {kappa / lambda_:.3g})" if lambda_ else ""


def classes_in_words(found: ClassifiedTube) -> str:
    """How many cells of a tube are of each class."""
    normal = ~(found.aberrant | found.not_plasma_cell)
    return (
        f"{int(normal.sum()):,} normal, {int(found.aberrant.sum()):,} aberrant, "
        f"{int(found.not_plasma_cell.sum()):,} no plasma cell"
    )


def _draw_cells(axes: "Axes", places: Floats, found: ClassifiedTube, *, ellipse: bool = True) -> None:
    """Cells by class, the aberrant ones on top, and an ellipse that holds about 95 % of these."""
    normal = ~(found.aberrant | found.not_plasma_cell)
    for mask, color, size, name in (
        (found.not_plasma_cell, _OTHER, 4.0, "no plasma cell"),
        (normal, _NORMAL, 4.0, "normal"),
        (found.aberrant, _ABERRANT, 9.0, "aberrant"),
    ):
        many = max(1.0, mask.sum() / 3000)
        axes.scatter(
            places[mask, 0],
            places[mask, 1],
            s=size,
            color=color,
            alpha=0.75 / many**0.5,
            linewidths=0,
            label=f"{name} ({int(mask.sum()):,})",
            rasterized=True,
        )
    if ellipse and int(found.aberrant.sum()) >= _LEAST_FOR_ELLIPSE:
        cells = places[found.aberrant]
        _draw_ellipse(axes, cells.mean(axis=0), np.cov(cells.T), color=_ABERRANT, width=1.4)


def _draw_ellipse(axes: "Axes", centre: Floats, covariance: Floats, *, color: str, width: float) -> None:
    values, vectors = np.linalg.eigh(covariance)
    turn = np.linspace(0, 2 * np.pi, 91)
    half = _ELLIPSE * np.sqrt(np.maximum(values, 0))
    round_ = centre + (np.column_stack([np.cos(turn), np.sin(turn)]) * half) @ vectors.T
    axes.plot(round_[:, 0], round_[:, 1], color=color, linewidth=width)


def _draw_components(
    axes: "Axes",
    components: Components,
    reference: NormalReference,
    places: Floats,
    found: ClassifiedTube,
) -> None:
    weights, means, covariances = normal_kinds(reference)
    turned = components.loadings / components.spread[:, None]
    centres = components.places(means)
    both = [[_ends(shown[:, i], margin=m) for shown, m in ((places, 1.0), (centres, 2.5))] for i in (0, 1)]
    ends = [(min(low for low, _ in e), max(high for _, high in e)) for e in both]
    spreads = np.einsum("ia,kij,jb->kab", turned, covariances, turned)
    _draw_density(axes, weights, centres, spreads, ends)
    _draw_cells(axes, places, found)
    sides = [
        (end, _whole_ticks(end), f"normal component {i + 1} ({share:.0%} of variance)")
        for i, (end, share) in enumerate(zip(ends, components.explained, strict=True))
    ]
    draw_scales(axes, x=sides[0], y=sides[1])
    _legend_above(axes)


def _draw_density(
    axes: "Axes", weights: Floats, centres: Floats, spreads: Floats, ends: Sequence[tuple[float, float]]
) -> None:
    """Where half, 90 % and 99 % of the reference's plasma cells lie."""
    x, y = (np.linspace(*end, 160) for end in ends)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    density = np.zeros(grid.shape[:2])
    for weight, centre, spread in zip(weights, centres, spreads, strict=True):
        off = grid - centre
        distance = np.einsum("yxa,ab,yxb->yx", off, np.linalg.inv(spread), off)
        density += weight * np.exp(-distance / 2) / (2 * np.pi * np.sqrt(np.linalg.det(spread)))
    falling = np.sort(density.ravel())[::-1]
    held = np.cumsum(falling) / falling.sum()
    levels = [float(falling[np.searchsorted(held, share)]) for share in (0.99, 0.9, 0.5)]
    shades = ("#eef1f4", "#dde2e8", "#c9d0d8")
    axes.contourf(x, y, density, levels=[*levels, np.inf], colors=shades, zorder=0)


def _legend_above(axes: "Axes") -> None:
    legend = axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.03, 0.99),
        ncols=3,
        fontsize=7.5,
        handletextpad=0.1,
        columnspacing=1.2,
    )
    for handle in legend.legend_handles:  # in the picture many cells are drawn faintly
        if handle is not None:
            handle.set_alpha(1.0)


def _draw_loadings(axes: "Axes", components: Components) -> None:
    rows = np.arange(len(components.features))[::-1].astype(float)
    for column, color in ((0, SERIES[4]), (1, SERIES[3])):
        axes.barh(
            rows + 0.2 - 0.4 * column,
            components.loadings[:, column],
            height=0.36,
            color=color,
            label=f"component {column + 1}",
        )
    axes.axvline(0, color=SOFT, linewidth=0.8)
    names = tuple((float(r), printable(n)) for r, n in zip(rows, components.features, strict=True))
    reach = float(np.abs(components.loadings).max()) * 1.1
    ticks: Ticks = ((-0.5, "−0.5"), (0.0, "0"), (0.5, "0.5"))
    ticks = tuple(t for t in ticks if abs(t[0]) <= reach)
    draw_scales(axes, x=((-reach, reach), ticks, "loading"), y=((-0.8, len(rows) - 0.2), names, ""))
    _legend_above(axes)


def _draw_calls(axes: "Axes", found: ClassifiedTube) -> None:
    deviation = np.log10(np.maximum(found.deviation_p, 10.0 ** _EDGES_P[0]))
    finite = np.isfinite(found.log_ratio)
    low, high = _ends(found.log_ratio[finite] / np.log(10), margin=1.0)
    low, high = max(low, -15.0), min(max(high, 2.0), 15.0)
    ratio = np.clip(np.where(finite, found.log_ratio / np.log(10), low), low, high)
    _draw_cells(axes, np.column_stack([-deviation, ratio]), found, ellipse=False)
    if not finite.any():
        words = "no clone found: no likelihood ratio"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", color=SOFT)
    axes.axhline(0, color=LINE, linewidth=0.8, zorder=0)
    powers: Ticks = tuple((float(p), str(p)) for p in range(6))
    draw_scales(
        axes,
        x=((-0.15, 5.3), powers, "deviation: −log₁₀ share of normal cells as far out"),
        y=(
            (low - 0.5, high + 0.5),
            _whole_ticks((low, high)),
            "log₁₀ likelihood ratio, clone to normal (to ±15)",
        ),
    )


def _ends(values: Floats, *, margin: float) -> tuple[float, float]:
    if not len(values):
        return (-1.0, 1.0)
    low, high = np.quantile(values, [0.001, 0.999])
    return float(low - margin), float(high + margin)


def _whole_ticks(ends: Sequence[float]) -> Ticks:
    """Whole numbers between two ends, not more than about eight."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 1000) if (ends[1] - ends[0]) / s <= 8)
    first = int(np.ceil(ends[0] / step)) * step
    return tuple((float(v), str(v).replace("-", "−")) for v in range(first, int(ends[1]) + 1, step))
