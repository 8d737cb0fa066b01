"""Axes of pictures: bins and tick labels on the logicle scale, and linear ones for scatter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.data_sets import DataSet
from mrd_flow.panel.template import Logicle, Panel
from pipeline.errors import printable
from pipeline.report.figure_style import INK, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BINS", "PictureAxis", "Side", "axis_of", "draw_scales", "marker_label"]

Ticks = tuple[tuple[float, str], ...]
Side = tuple[tuple[float, float], Ticks, str]
"""Ends, ticks and label of one side of a picture."""

BINS = 256
_LOW, _HIGH = -0.1, 1.05  # of a logicle scale: room for negative values and for those off the top
_SCATTER_TICKS = 5
_APART = 0.1  # of the scale between ticks
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAxis:
    """One dimension as drawn, from ``low`` to ``high`` of its scale (scatter: linear).

    ``edges`` are the linear values of the bins' edges, float64 (n_bins + 1,); ``ticks``
    pairs of a place on the scale and its label.
    """

    name: str
    label: str
    low: float
    high: float
    edges: NDArray[np.float64]
    ticks: Ticks

    def clipped(self, value: float) -> float:
        """A place on the scale, not beyond the axis."""
        return min(max(value, self.low), self.high)

    def linear(self, value: float) -> float:
        """The linear value at a place on the scale, to within a bin."""
        places = np.linspace(self.low, self.high, len(self.edges))
        return float(np.interp(value, places, self.edges))


def axis_of(name: str, panel: Panel, tube: int, data: DataSet, columns: dict[str, int]) -> PictureAxis:
    """The axis of a marker or scatter parameter of one tube (1-based)."""
    label = marker_label(name, panel, tube)
    if name not in panel.scatter:
        return _logicle_axis(name, label, panel.logicle_of(name))
    top = data.parameters[columns[name]].range
    top = top if 0 < top < 1e12 else panel.range
    step = _round_step(top / _SCATTER_TICKS)
    ticks = tuple((step * i, _thousands(step * i)) for i in range(int(top / step) + 1))
    return PictureAxis(
        name=name, label=label, low=0.0, high=top, edges=np.linspace(0.0, top, BINS + 1), ticks=ticks
    )


def marker_label(name: str, panel: Panel, tube: int) -> str:
    """A dimension's name, with the fluorochrome where it is a marker's."""
    detector = panel.tubes[tube - 1].markers.get(name)
    return printable(f"{name} · {detector}" if detector else name)


def _logicle_axis(name: str, label: str, scale: Logicle) -> PictureAxis:
    from flowutils.transforms import logicle, logicle_inverse

    numbers = {"t": scale.t, "w": scale.w, "m": scale.m, "a": scale.a}
    places = np.linspace(_LOW, _HIGH, BINS + 1)
    powers = [10.0**p for p in range(-3, int(np.log10(scale.t)) + 1)]
    offered = np.array([0.0, *reversed(powers), *(-p for p in powers)])
    at = np.asarray(logicle(offered.reshape(-1, 1), None, **numbers), np.float64).ravel()
    return PictureAxis(
        name=name,
        label=label,
        low=_LOW,
        high=_HIGH,
        edges=np.asarray(logicle_inverse(places.reshape(-1, 1), None, **numbers), np.float64).ravel(),
        ticks=_apart(at, offered),
    )


def _apart(places: NDArray[np.float64], values: Sequence[float] | NDArray[np.float64]) -> Ticks:
    """Those ticks, the first first, that are not too near to one taken before."""
    taken: list[tuple[float, str]] = []
    for place, value in zip(places.tolist(), values, strict=True):
        if _LOW <= place <= _HIGH and all(abs(place - other) >= _APART for other, _ in taken):
            taken.append((place, _power(float(value))))
    return tuple(sorted(taken))


def _power(value: float) -> str:
    if value == 0:
        return "0"
    exponent = str(round(np.log10(abs(value)))).translate(_SUPERSCRIPT)
    return f"{'−' if value < 0 else ''}10{exponent}"


def _round_step(wanted: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above ``wanted``."""
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(max(f * power for f in (1, 2, 5) if f * power <= wanted * (1 + 1e-9)))


def _thousands(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def draw_scales(axes: "Axes", *, x: Side, y: Side) -> None:
    """Draw both sides of a picture with their ticks.

    Matplotlib's own ticks are four artists each, and most of the time that a picture takes.
    """
    axes.set_axis_off()
    axes.set_xlim(*x[0])
    axes.set_ylim(*y[0])
    upright, level = axes.get_xaxis_transform(), axes.get_yaxis_transform()
    axes.plot([0, 0, 1], [1, 0, 0], transform=axes.transAxes, color=SOFT, linewidth=0.8, clip_on=False)
    for (_, ticks, label), at, across in ((x, upright, False), (y, level, True)):
        places = [p for p, _ in ticks]
        marks = "_" if across else "|"
        none = [0.0] * len(places)
        axes.plot(
            *((none, places) if across else (places, none)),
            transform=at,
            linestyle="none",
            marker=marks,
            markersize=5,
            color=SOFT,
            markeredgewidth=0.8,
            clip_on=False,
        )
        for place, text in ticks:
            axes.annotate(
                text,
                (0, place) if across else (place, 0),
                xycoords=at,
                xytext=(-5, 0) if across else (0, -5),
                textcoords="offset points",
                ha="right" if across else "center",
                va="center_baseline" if across else "top",
                fontsize=8,
                color=SOFT,
            )
        axes.annotate(
            label,
            (0, 0.5) if across else (0.5, 0),
            xycoords="axes fraction",
            xytext=(-38, 0) if across else (0, -20),
            textcoords="offset points",
            rotation=90 if across else 0,
            ha="right" if across else "center",
            va="center" if across else "top",
            color=INK,
        )
