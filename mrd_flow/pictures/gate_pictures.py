"""One picture a gate: density of the parent, the gate's own events, the boundary and where it came from."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrd_flow.evidence import BoundaryUsed, GateTally
from mrd_flow.panel.gates import ROOT_GATE
from mrd_flow.panel.program import AppliedGate
from mrd_flow.panel.template import PolygonGate, RectangleGate
from mrd_flow.pictures.axes import BINS, PictureAxis, draw_scales
from mrd_flow.pictures.gate_histograms import GateHistogram, View
from pipeline.errors import printable
from pipeline.report.figure_style import SERIES, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["counts_in_words", "gate_figure", "sources_in_words"]

_VIEW_INCHES = 3.0
_HEAD_INCHES, _FOOT_INCHES, _LEFT_INCHES, _GAP_INCHES = 0.75, 0.55, 0.75, 0.75
_LINE_INCHES = 0.17
_LETTERS_PER_INCH = 13
_BOUNDARY, _TEMPLATE, _LIMITS = SERIES[0], SERIES[4], SERIES[5]
# From few events to many; the gate's own stand out in hue and lightness.
_PARENT_SHADES = ((0xDD, 0xE2, 0xE8), (0x4A, 0x53, 0x5F))
_MEMBER_SHADES = ((0x6F, 0xB3, 0xDC), (0x00, 0x2F, 0x5C))
_SPARSE = ((2_000, 4), (20_000, 2))  # below so many events, bins are joined by so many


def gate_figure(histogram: GateHistogram, tube_name: str) -> "Figure":
    """Draw one gate; to be called in `pipeline.report.figure_style.house_style`.

    Parameters
    ----------
    histogram
        Of `mrd_flow.pictures.gate_histograms.gate_histograms`.
    tube_name
        As the picture shall call the tube.
    """
    from matplotlib.figure import Figure

    views = histogram.views
    width = _LEFT_INCHES + len(views) * (_VIEW_INCHES + _GAP_INCHES)
    notes = [
        line for text in sources_in_words(histogram) for line in wrap(text, int(width * _LETTERS_PER_INCH))
    ]
    foot = _FOOT_INCHES + _LINE_INCHES * (len(notes) + 1)
    height = _HEAD_INCHES + _VIEW_INCHES + foot
    figure = Figure(figsize=(width, height))
    for number, view in enumerate(views):
        left = _LEFT_INCHES + number * (_VIEW_INCHES + _GAP_INCHES)
        axes = figure.add_axes((left / width, foot / height, _VIEW_INCHES / width, _VIEW_INCHES / height))
        _draw_view(axes, view, histogram)
    top = 1 - 0.22 / height
    figure.text(0.12 / width, top, f"{histogram.gate.name}", fontsize=12, fontweight="bold", va="center")
    figure.text(1 - 0.12 / width, top, printable(tube_name), color=SOFT, fontsize=8, va="center", ha="right")
    figure.text(
        0.12 / width,
        1 - 0.47 / height,
        counts_in_words(histogram.tally, histogram.gate.parent),
        fontsize=9,
        va="center",
    )
    for number, line in enumerate(reversed(notes)):
        y = (0.1 + _LINE_INCHES * number) / height
        figure.text(0.12 / width, y, line, fontsize=7.5, color=SOFT, va="bottom")
    return figure


def counts_in_words(tally: GateTally, parent: str) -> str:
    """Events in and out, and percent of the parent.

    >>> counts_in_words(GateTally(gate="a", path="root", count=1, parent_count=4, rule="fixed",
    ...     detail="", unverified=False), "root")
    '1 in, 3 out of 4 events (25 %)'
    """
    whole = "events" if parent == ROOT_GATE else parent
    share = f" ({100 * tally.count / tally.parent_count:.4g} %)" if tally.parent_count else ""
    out = tally.parent_count - tally.count
    return f"{tally.count:,} in, {out:,} out of {tally.parent_count:,} {whole}{share}"


def sources_in_words(histogram: GateHistogram) -> tuple[str, ...]:
    """Where each boundary came from, a sentence each; the gate's own words where all are the template's."""
    axes = {a.name: a for v in histogram.views for a in (v.x, v.y) if a is not None}
    found = [_source(b, axes.get(b.dimension)) for b in histogram.tally.boundaries]
    if not found:
        found = [f"{histogram.tally.detail}: as the template states"]
    if histogram.parts:
        found.append(f"dotted: {', '.join(p.name for p in histogram.parts)}")
    if histogram.tally.unverified:
        found.append("boundary unverified")
    return tuple(printable(t) for t in found)


def _source(used: BoundaryUsed, axis: PictureAxis | None) -> str:
    where = f"{used.dimension} {used.side}"
    if used.side == "vertices":
        return f"{used.dimension}: corners set by a person"
    value = "open" if used.value is None else f"{used.value:.5g}"
    if axis is not None and axis.low < 0 and used.value is not None:  # scatter is linear as it is
        value += f" (about {axis.linear(used.value):,.3g} linear)"
    template = "none" if used.template_value is None else f"{used.template_value:.5g}"
    if used.overridden:
        return f"{where} {value}: set by a person; template {template}"
    rule = f"{used.rule.replace('_', ' ')} of {used.population_events:,} {used.population}"
    if used.fell_back:
        return f"FALLBACK {where} {value}, the template's: {rule} found none, {used.reason}"
    limits = "" if used.low is None or used.high is None else f", limits {used.low:.5g} to {used.high:.5g}"
    return f"{where} {value}: {rule}{limits}; template {template}"


def _draw_view(axes: "Axes", view: View, histogram: GateHistogram) -> None:
    if view.y is None:
        _draw_histogram(axes, view)
    else:
        _draw_density(axes, view, view.y)
    if not view.parent.any():
        axes.text(0.5, 0.5, "no event", transform=axes.transAxes, ha="center", va="center", color=SOFT)
    gates = histogram.parts or (histogram.gate,)
    for gate in gates:
        _draw_boundary(axes, view, gate, histogram.tally.boundaries, part=bool(histogram.parts))


def _draw_density(axes: "Axes", view: View, y: PictureAxis) -> None:
    picture = np.full((BINS, BINS, 3), 255, np.uint8)
    for counts, shades in ((view.parent, _PARENT_SHADES), (view.members, _MEMBER_SHADES)):
        joined = _joined(counts)
        there = joined > 0
        picture[there] = _shaded(joined, shades)[there]
    axes.imshow(
        picture,
        extent=(view.x.low, view.x.high, y.low, y.high),
        origin="lower",
        aspect="auto",
        interpolation="none",
    )
    draw_scales(
        axes,
        x=((view.x.low, view.x.high), view.x.ticks, view.x.label),
        y=((y.low, y.high), y.ticks, y.label),
    )


def _joined(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts in larger bins where there are so few events that single bins could not be seen."""
    events = int(counts.sum())
    factor = next((f for most, f in _SPARSE if events < most), 1)
    small = counts.reshape(BINS // factor, factor, BINS // factor, factor).sum(axis=(1, 3))
    return np.repeat(np.repeat(small, factor, axis=0), factor, axis=1)


def _shaded(counts: NDArray[np.int64], shades: tuple[tuple[int, ...], tuple[int, ...]]) -> NDArray[np.uint8]:
    few, many = np.array(shades[0]), np.array(shades[1])
    level = np.log1p(counts) / max(np.log1p(counts.max()), 1e-9)
    return np.asarray(np.rint(few + level[..., None] * (many - few)), np.uint8)


def _draw_histogram(axes: "Axes", view: View) -> None:
    factor = 2
    top = max(10, int(view.parent.max()) * factor)
    axes.set_ylim(0.7, 1.5 * top)  # before the scale: an empty gate has no limits of its own
    axes.set_yscale("log")
    powers = range(len(str(top)))
    edges = np.linspace(view.x.low, view.x.high, BINS // factor + 1)
    for counts, color, name in (
        (view.parent[0], "#aeb7c2", "parent"),
        (view.members[0], SERIES[2], "gate"),
    ):
        axes.stairs(counts.reshape(-1, factor).sum(axis=1), edges, fill=True, color=color, label=name)
    draw_scales(
        axes,
        x=((view.x.low, view.x.high), view.x.ticks, view.x.label),
        y=((0.7, 1.5 * top), tuple((10.0**p, f"{10**p:,}") for p in powers), "events per bin"),
    )


def _draw_boundary(
    axes: "Axes", view: View, gate: AppliedGate, used: Sequence[BoundaryUsed], *, part: bool
) -> None:
    names = (view.x.name, None if view.y is None else view.y.name)
    if isinstance(gate, PolygonGate) and names == (gate.x, gate.y):
        corners = np.array([*gate.vertices, gate.vertices[0]])
        axes.plot(corners[:, 0], corners[:, 1], color=_BOUNDARY, linestyle=":" if part else "-")
    if isinstance(gate, RectangleGate):
        for number, name in enumerate(names):
            if name in gate.bounds:
                _draw_bounds(axes, view, gate, number, used, part=part)


def _draw_bounds(
    axes: "Axes", view: View, gate: RectangleGate, number: int, used: Sequence[BoundaryUsed], *, part: bool
) -> None:
    """The lines of one dimension, each no longer than the gate in the other one."""
    axis = view.x if number == 0 else view.y
    assert axis is not None
    span = _span(gate, view.y if number == 0 else view.x)
    for side, value in (("min", gate.bounds[axis.name].min), ("max", gate.bounds[axis.name].max)):
        source = next((b for b in used if (b.dimension, b.side) == (axis.name, side)), None)
        if source is not None and not part:
            _draw_source(axes, source, upright=number == 0)
        if value is not None:
            style = ":" if part else "--" if source is not None and source.fell_back else "-"
            place = axis.clipped(value)
            _line(axes, place, span, upright=number == 0, color=_BOUNDARY, linestyle=style, linewidth=1.6)


def _span(gate: RectangleGate, other: PictureAxis | None) -> tuple[float, float] | None:
    """From where to where the gate reaches in the other dimension; None for all of it."""
    if other is None or other.name not in gate.bounds:
        return None
    bounds = gate.bounds[other.name]
    return (
        other.low if bounds.min is None else other.clipped(bounds.min),
        other.high if bounds.max is None else other.clipped(bounds.max),
    )


def _draw_source(axes: "Axes", used: BoundaryUsed, *, upright: bool) -> None:
    """A rule's limits as a band, and the template's value where another was taken."""
    band, line = (axes.axvspan, axes.axvline) if upright else (axes.axhspan, axes.axhline)
    if used.low is not None and used.high is not None:
        band(used.low, used.high, color=_LIMITS, alpha=0.14, linewidth=0)
    if used.template_value is not None and used.value != used.template_value:
        line(used.template_value, color=_TEMPLATE, linestyle=":", linewidth=1)


def _line(
    axes: "Axes",
    place: float,
    span: tuple[float, float] | None,
    *,
    upright: bool,
    color: str,
    linestyle: str,
    linewidth: float,
) -> None:
    if span is None:
        draw = axes.axvline if upright else axes.axhline
        draw(place, color=color, linestyle=linestyle, linewidth=linewidth)
        return
    along = ([place, place], list(span))
    x, y = along if upright else along[::-1]
    axes.plot(x, y, color=color, linestyle=linestyle, linewidth=linewidth)
