"""How responses change from phase to phase: an alluvial picture.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeline.clinical.levels import Level
from pipeline.report.figure_style import INK, SOFT
from pipeline.report.figures.small_print import lay_out
from pipeline.report.figures.words import phase_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["response_figure"]

# From the deepest response down; blue grows pale with less response, progression stands out.
_COLOURS = {
    Level.SCR: "#08306b",
    Level.CR: "#2171b5",
    Level.VGPR: "#6baed6",
    Level.PR: "#9ecae1",
    Level.MR: "#c6dbef",
    Level.SD: "#e3eaf2",
    Level.PD: "#d55e00",
    Level.NE: "#b9bec5",
}
_WIDTH = 0.16
_GAP = 0.012  # between levels, as a share of all patients
_DARK = (Level.SCR, Level.CR, Level.PD)


def response_figure(
    phases: Sequence[str],
    levels: Mapping[str, Mapping[str, Level]],
    patients: Sequence[str],
    texts: Mapping[str, str],
) -> "Figure":
    """Best confirmed response after each phase, and how many patients go from which to which.

    Parameters
    ----------
    phases
        In the order of treatment.
    levels
        By phase and patient, as `pipeline.clinical.phase_endpoints.phase_levels`; a patient without one
        is drawn as not evaluable.
    patients
        The intention-to-treat set.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(1.5 * len(phases) + 0.6, 5.2), 4.6))
    axes = figure.add_subplot()
    axes.set_title(texts["response_flow"].format(patients=len(patients)))
    columns = [[levels.get(phase, {}).get(p, Level.NE) for p in patients] for phase in phases]
    places = [_nodes(column) for column in columns]
    for number, (left, right) in enumerate(pairwise(columns)):
        _draw_flows(axes, number, left, right, places[number], places[number + 1])
    for number, (column, nodes) in enumerate(zip(columns, places, strict=True)):
        _draw_nodes(axes, number, Counter(column), nodes, texts)
    axes.set_xticks(range(len(phases)), [phase_name(p) for p in phases])
    axes.set_yticks([])
    axes.set_xlim(-0.3, max(len(phases) - 0.7, 0.3))
    axes.set_ylim(-0.01, 1.0 + _GAP * len(_COLOURS))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    lay_out(figure, [(axes, 3.9)], [texts["response_flow_note"]], left=0.15)
    return figure


def _nodes(column: Sequence[Level]) -> dict[Level, tuple[float, float]]:
    """Bottom and height of every level of a column, the deepest response on top."""
    counts, found, bottom = Counter(column), {}, 0.0
    for level in reversed(_COLOURS):
        if counts[level]:
            height = counts[level] / len(column)
            found[level] = (bottom, height)
            bottom += height + _GAP
    return found


def _draw_nodes(
    axes: "Axes",
    number: int,
    counts: Mapping[Level, int],
    nodes: Mapping[Level, tuple[float, float]],
    texts: Mapping[str, str],
) -> None:
    from matplotlib.patches import Rectangle

    for level, (bottom, height) in nodes.items():
        box = Rectangle((number - _WIDTH, bottom), 2 * _WIDTH, height, facecolor=_COLOURS[level], linewidth=0)
        axes.add_patch(box)
        name = texts["not_evaluable_short"] if level is Level.NE else level.label
        if height > 0.028:
            colour = "white" if level in _DARK else INK
            label = f"{name} {counts[level]}"
            axes.text(
                number, bottom + height / 2, label, ha="center", va="center", fontsize=7.5, color=colour
            )


def _draw_flows(
    axes: "Axes",
    number: int,
    left: Sequence[Level],
    right: Sequence[Level],
    from_: Mapping[Level, tuple[float, float]],
    to: Mapping[Level, tuple[float, float]],
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    counts = Counter(zip(left, right, strict=True))
    order = list(reversed(_COLOURS))
    used_left = {level: bottom for level, (bottom, _) in from_.items()}
    used_right = {level: bottom for level, (bottom, _) in to.items()}
    x0, x1 = number + _WIDTH, number + 1 - _WIDTH
    middle = (x0 + x1) / 2
    for one in order:
        for other in order:
            if not counts[one, other]:
                continue
            height = counts[one, other] / len(left)
            a, b = used_left[one], used_right[other]
            used_left[one], used_right[other] = a + height, b + height
            corners = [
                (x0, a), (middle, a), (middle, b), (x1, b),
                (x1, b + height), (middle, b + height), (middle, a + height), (x0, a + height), (x0, a),
            ]  # fmt: skip
            codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
            colour = _COLOURS[one] if one is not Level.SD else SOFT
            axes.add_patch(PathPatch(Path(corners, codes), facecolor=colour, alpha=0.3, linewidth=0))
