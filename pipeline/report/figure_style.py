"""One look for every figure: sizes, colours, axes of fractions, and files that are the same each time.

Colours are those of the report's style sheet, told apart by people who see fewer of them
(after Okabe and Ito); fonts are what matplotlib itself brings.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.formats.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "INK",
    "LINE",
    "SERIES",
    "SOFT",
    "WASH",
    "fraction_axis",
    "house_style",
    "image_of",
    "write_figure",
]

SERIES = ("#d55e00", "#00866a", "#0072b2", "#b8578f", "#3d3d3d", "#a37200")
"""Colours of series, as ``--m0`` to ``--m5`` of the style sheet."""

INK, SOFT, LINE, WASH = "#1b2430", "#55606e", "#dfe3e8", "#f5f7f9"
"""Text, lesser text, grid lines, and the ground of something marked."""

Format = Literal["svg", "png"]

_DOTS_PER_INCH = 150
_LOOK: dict[Any, Any] = {  # keys are matplotlib's
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "white",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.unicode_minus": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": LINE,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "nadir",
    "svg.id": None,
    "text.color": INK,
    "text.parse_math": False,  # a marker's name may hold a dollar sign
    "xtick.color": SOFT,
    "xtick.labelsize": 8,
    "ytick.color": SOFT,
    "ytick.labelsize": 8,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Figures made in the block have this look, whatever the user's own settings are.

    Make figures as ``matplotlib.figure.Figure(...)``: no window, no memory of them stays.
    """
    from matplotlib import rc_context, rcParamsDefault

    look: dict[Any, Any] = {k: v for k, v in rcParamsDefault.items() if not k.startswith("backend")}
    with rc_context({**look, **_LOOK}):
        yield


def fraction_axis(axes: "Axes", which: Literal["x", "y"], *, low: float, high: float) -> None:
    """Make one axis logarithmic, with a label at each power of ten such as ``1e-5``.

    Parameters
    ----------
    axes
        Of a figure made in `house_style`.
    which
        The axis.
    low, high
        Fractions at its ends, 0 < low < high.

    Raises
    ------
    ValueError
        If the ends are not in that order.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if not 0 < low < high:
        raise ValueError("a fraction's axis needs 0 < low < high")
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    axis.set_major_locator(LogLocator(base=10.0, numticks=20))
    axis.set_minor_locator(LogLocator(base=10.0, subs=tuple(range(2, 10)), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _power_of_ten(value)))
    axis.set_minor_formatter(NullFormatter())


def _power_of_ten(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-").removesuffix("e+00")


def image_of(figure: "Figure", kind: Format = "svg") -> bytes:
    """A figure as the bytes of a file: the same for the same figure, without date or program.

    Parameters
    ----------
    figure
        Made in `house_style`, in which this is called too.
    kind
        ``svg`` keeps text as text; ``png`` has 150 dots per inch.
    """
    if kind == "png":
        out = BytesIO()
        figure.savefig(out, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
        return out.getvalue()
    text = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing)
    return text.getvalue().encode()


def write_figure(path: Path, figure: "Figure") -> None:
    """Write a figure as the format that the path's suffix names (``.svg`` or ``.png``), whole or not at all.

    Raises
    ------
    ValueError
        If the suffix is another.
    """
    kinds: dict[str, Format] = {".svg": "svg", ".png": "png"}
    if path.suffix not in kinds:
        raise ValueError("a figure is written as .svg or .png")
    write_bytes(path, image_of(figure, kinds[path.suffix]))
