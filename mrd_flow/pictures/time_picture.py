"""The course of an acquisition: event rate and every channel's median, with what was removed and why."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrd_flow.acquisition.result import AcquisitionQc, RemovedRun, TimeTrace
from mrd_flow.pictures.axes import Ticks, draw_scales
from pipeline.errors import printable
from pipeline.report.figure_style import INK, LINE, SERIES, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["time_figure"]

Floats = NDArray[np.float64]

_REASONS = {
    "clot": SERIES[0],
    "bubble": SERIES[2],
    "surge": SERIES[3],
    "slow": SERIES[5],
    "shift": SERIES[1],
}
_LANE_INCHES = 0.3
_RATE_INCHES = 1.5
_LANE_REACH = 3.0  # robust spreads of a channel's medians that half a lane shows, but at least
_LEAST_REACH = 0.25  # of its median: the trace's medians are known to about a tenth
_LEFT, _WIDTH = 0.1, 0.87


def time_figure(qc: AcquisitionQc, tube_name: str) -> "Figure":
    """Draw the course of one tube; to be called in the house style.

    Above the events per second, below it one lane for each channel, from three robust
    standard deviations (at least a quarter of the median) below its own median to as much
    above. Removed runs are shaded in
    the colour of their reason, those that were kept all the same only outlined.
    """
    from matplotlib.figure import Figure

    trace = qc.trace
    lanes = len(trace.channels)
    height = 1.75 + _RATE_INCHES + lanes * _LANE_INCHES
    figure = Figure(figsize=(9.5, height))
    figure.text(0.01, 1 - 0.2 / height, "acquisition", fontsize=12, fontweight="bold", va="center")
    figure.text(0.99, 1 - 0.2 / height, printable(tube_name), fontsize=8, color=SOFT, va="center", ha="right")
    for number, line in enumerate(_in_words(qc)):
        figure.text(0.01, 1 - (0.45 + 0.18 * number) / height, line, fontsize=8.5, va="center")
    bottom = 0.55 / height
    channels = figure.add_axes((_LEFT, bottom, _WIDTH, max(lanes, 1) * _LANE_INCHES / height))
    above = bottom + (max(lanes, 1) * _LANE_INCHES + 0.2) / height
    rate = figure.add_axes((_LEFT, above, _WIDTH, _RATE_INCHES / height))
    at, ends, label = _course(trace, qc.events)
    _draw_rate(rate, trace, at, ends)
    _draw_channels(channels, trace, at, ends, label)
    for run in qc.runs:
        for axes in (rate, channels):
            _shade(axes, run, trace, at, ends)
    if qc.runs:
        _legend(rate, qc.runs)
    return figure


def _in_words(qc: AcquisitionQc) -> list[str]:
    found = [f"{qc.removed:,} of {qc.events:,} events removed ({qc.removed_share:.2%})"]
    if qc.not_checked:
        found.append(f"runs not judged: {qc.not_checked}")
    off = [f"{m.channel} {m.events:,}{' (kept)' if m.withdrawn else ''}" for m in qc.margins if m.events]
    if off:
        found.append("off scale: " + ", ".join(off[:8]) + (" ..." if len(off) > 8 else ""))
    return [printable(t) for t in found]


def _course(trace: TimeTrace, events: int) -> tuple[Floats, tuple[float, float], str]:
    """Place of each point, ends and label of the time axis; the event number where there is no clock."""
    at = trace.seconds if trace.unit else trace.first_event.astype(np.float64)
    last = float(at[-1]) if len(at) else 1.0
    if not trace.unit:
        last = float(events)
    label = f"time ({trace.unit})" if trace.unit else "event"
    return at, (0.0, max(last, 1e-9)), label


def _draw_rate(axes: "Axes", trace: TimeTrace, at: Floats, ends: tuple[float, float]) -> None:
    top = float(trace.rate.max()) * 1.08 if len(at) and trace.rate.max() > 0 else 1.0
    axes.plot(at, trace.rate, color=SERIES[4], linewidth=0.9)
    unit = {"s": "second"}.get(trace.unit, trace.unit)
    label = f"events per {unit}" if unit else "rate not known"
    draw_scales(axes, x=(ends, (), ""), y=((0.0, top), _ticks(top), printable(label)))


def _draw_channels(axes: "Axes", trace: TimeTrace, at: Floats, ends: tuple[float, float], label: str) -> None:
    lanes = len(trace.channels)
    for number in range(lanes):
        values = trace.medians[:, number]
        middle = float(np.median(values)) if len(values) else 0.0
        spread = float(np.median(np.abs(values - middle))) * 1.4826 if len(values) else 0.0
        reach = max(_LANE_REACH * spread, _LEAST_REACH * abs(middle)) or 1.0
        off = np.clip((values - middle) / reach, -1, 1)
        place = lanes - number - 0.5
        axes.axhline(place, color=LINE, linewidth=0.6, zorder=0)
        axes.plot(at, place + 0.45 * off, color=INK, linewidth=0.6)
    names: Ticks = tuple((lanes - n - 0.5, printable(c)) for n, c in enumerate(trace.channels))
    draw_scales(axes, x=(ends, _ticks(ends[1]), printable(label)), y=((0.0, float(max(lanes, 1))), names, ""))


def _shade(axes: "Axes", run: RemovedRun, trace: TimeTrace, at: Floats, ends: tuple[float, float]) -> None:
    if not len(at):
        return
    first, last = np.interp([run.first_event, run.last_event + 1], trace.first_event, at)
    least = 0.002 * (ends[1] - ends[0])  # that a short run is seen
    color = _REASONS.get(run.code, SERIES[4])
    axes.axvspan(
        first,
        max(last, first + least),
        facecolor="none" if run.withdrawn else color,
        edgecolor=color if run.withdrawn else "none",
        alpha=0.8 if run.withdrawn else 0.28,
        linewidth=0.8,
        zorder=0.5,
    )


def _legend(axes: "Axes", runs: tuple[RemovedRun, ...]) -> None:
    from matplotlib.patches import Patch

    handles = []
    for code in dict.fromkeys(r.code for r in runs):
        of_it = [r for r in runs if r.code == code]
        events = sum(r.events for r in of_it if not r.withdrawn)
        color = _REASONS.get(code, SERIES[4])
        label = f"{code}: {len(of_it)} run(s), {events:,} events"
        kept = sum(1 for r in of_it if r.withdrawn)
        label += f", {kept} kept" if kept else ""
        handles.append(Patch(facecolor=color, alpha=0.28, label=label))
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, fontsize=7.5)


def _ticks(top: float) -> Ticks:
    """About five round ticks from 0."""
    power = 10.0 ** np.floor(np.log10(top))
    step = next(f * power for f in (0.1, 0.2, 0.5, 1.0, 2.0) if top / (f * power) <= 6)
    return tuple((float(step * i), f"{step * i:,.6g}") for i in range(int(top / step) + 1))
