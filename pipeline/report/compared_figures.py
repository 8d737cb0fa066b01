"""Figures of a batch's comparisons, as the cohort's page shows them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.concordance import Comparison, curve
from pipeline.report.comparison import materials_label, method_label
from pipeline.report.figures.inline import inline_svg
from pipeline.report.figures.readings import MOSAIC_THRESHOLDS, agreement_curve_figure, mosaic_figure
from pipeline.report.figures.values import bland_altman_figure, comparison_figure
from pipeline.report.figures.words import figure_words, worded_style
from pipeline.report.wording import Wording

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

__all__ = ["ComparedFigures", "compared_figures"]

PAIRS_MIN = 10
"""Fewer pairs make a cloud of points that says nothing; the tables hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigures:
    """Figures of one comparison, ready to stand in a page."""

    x: str
    y: str
    material: str
    figures: "tuple[Markup, ...]"


def compared_figures(
    found: Sequence[Comparison], thresholds: Sequence[float], wording: Wording
) -> tuple[ComparedFigures, ...]:
    """Values, differences, readings and agreement over thresholds of each comparison with pairs enough.

    Parameters
    ----------
    found
        Of `pipeline.concordance.comparisons`.
    thresholds
        The study's; the mosaic adds 1e-4, 1e-5 and 1e-6.
    wording
        Names of methods and materials.
    """
    if not any(len(c.places) >= PAIRS_MIN for c in found):
        return ()
    texts = figure_words()
    with worded_style():
        return tuple(
            _of_one(number, c, thresholds, texts, wording)
            for number, c in enumerate(found)
            if len(c.places) >= PAIRS_MIN
        )


def _of_one(
    number: int, found: Comparison, thresholds: Sequence[float], texts: Mapping[str, str], wording: Wording
) -> ComparedFigures:
    from markupsafe import Markup

    x, y = method_label(found.x, wording), method_label(found.y, wording)
    panels = sorted({*thresholds, *MOSAIC_THRESHOLDS}, reverse=True)
    makers: dict[str, Callable[[], Figure]] = {
        "against": lambda: comparison_figure(found.pairs, x, y, texts),
        "bland_altman": lambda: bland_altman_figure(found.pairs, x, y, texts),
        "mosaic": lambda: mosaic_figure(found.pairs, x, y, panels, texts),
        "curve": lambda: agreement_curve_figure(curve(found.pairs), x, y, texts),
    }
    drawn = []
    for kind, make in makers.items():
        label = texts[kind].format(x=x, y=y, pairs=len(found.pairs))
        svg = inline_svg(make(), f"c{number}-{kind.replace('_', '-')}", label)
        drawn.append(Markup(svg))  # noqa: S704 - names are escaped where the figure is made inline
    return ComparedFigures(x=x, y=y, material=materials_label(found, wording), figures=tuple(drawn))
