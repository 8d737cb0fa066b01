"""Where things stand in a figure: axes in inches, below them the legend and the small print.

A figure grows with its legend, so that axes keep their size. The legend has one column:
letters that matplotlib's own font lacks are wider than it believes, and columns would overlap.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.report.figure_style import SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["lay_out", "remark"]

_REMARK, _ENTRY, _AXIS_NAME, _TITLE, _BETWEEN = 0.155, 0.168, 0.5, 0.3, 0.14
_LENGTH = 115  # characters of a line of small print in a figure of 6.2 inches


def remark(figure: "Figure", lines: Sequence[str]) -> None:
    """Small print at the foot, one line each; the last stands lowest."""
    for number, line in enumerate(reversed(lines)):
        shown = line if len(line) <= _LENGTH else line[: _LENGTH - 1] + "…"
        at = (0.06 + _REMARK * number) / figure.get_figheight()
        figure.text(0.02, at, shown, fontsize=7.5, color=SOFT, va="bottom")


def lay_out(
    figure: "Figure",
    stack: "Sequence[tuple[Axes, float]]",
    remarks: Sequence[str] = (),
    *,
    left: float = 0.8,
    right: float = 0.2,
) -> None:
    """Put axes one above the other, and below them the legend of the first and the small print.

    Parameters
    ----------
    figure
        Its width stays; its height becomes what is needed.
    stack
        Axes from the top down, each with its height in inches.
    remarks
        Lines of small print.
    left, right
        Inches beside the axes.
    """
    handles, texts = stack[0][0].get_legend_handles_labels()
    entries = sum(text.count("\n") + 1 for text in texts)
    foot = _REMARK * len(remarks) + (0.12 if remarks else 0.04) + _ENTRY * entries + (0.14 if texts else 0)
    inner = sum(height for _, height in stack) + _BETWEEN * (len(stack) - 1)
    width, height = figure.get_figwidth(), foot + _AXIS_NAME + inner + _TITLE
    figure.set_size_inches(width, height)
    top = height - _TITLE
    for axes, own in stack:
        axes.set_position((left / width, (top - own) / height, (width - left - right) / width, own / height))
        top -= own + _BETWEEN
    remark(figure, remarks)
    if handles:
        at = (0.05 + _REMARK * len(remarks)) / height
        figure.legend(handles, texts, loc="lower left", bbox_to_anchor=(0.012, at))
