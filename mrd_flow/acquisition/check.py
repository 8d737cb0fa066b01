"""Which events of a tube were acquired soundly: margins, clots, bubbles, surges, drift.

One pass over the file puts its events into bins (`mrd_flow.acquisition.bins`); runs of bins
that leave the file's own course in rate, or in the ranks of any channel, are at fault
(`mrd_flow.acquisition.verdict`). Nothing is removed silently: every run and every channel's
margin is listed with its reason, and a file that could not be judged says why. A slow drift
is flagged, not removed. Faults of up to an eighth of the file are told from its course
wherever they lie; a longer one may be taken for the course, which is then flagged as drift.

The check does not know what is looked for. Whoever uses the mask hands it, with the
candidates found without it, to `mrd_flow.acquisition.rare_event_guard.guard_rare_events`::

    qc = acquisition_qc(data, assignment.columns, settings=AcquisitionSettings())
    gated = gate_tube(data, panel, tube, assignment.columns)      # without the mask
    qc = guard_rare_events(qc, gated.plasma_cell_events)
    tube = gate_tube(data, panel, tube, assignment.columns, kept=qc.kept)
"""

from dataclasses import replace

import numpy as np

from mrd_flow.acquisition.bins import BinnedEvents, binned, median_of_cells
from mrd_flow.acquisition.result import (
    AcquisitionQc,
    AcquisitionSettings,
    MarginTally,
    RemovedRun,
    TimeTrace,
)
from mrd_flow.acquisition.verdict import BinRun, Course, course_of, deviating_runs
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.data_sets import DataSet

__all__ = ["acquisition_qc", "with_verdict"]

_MOST_NAMED = 5  # scores named in a run's sentence
_GAP_SHARE = 0.1  # of a run's duration that one wait must take to be a gap
_GAP_EVENTS = 15.0  # mean intervals between events that a gap must last

_RESULTING = (  # anomalies that say what the mask does
    "acquisition_faults",
    "acquisition_margins",
    "acquisition_much_removed",
    "margin_not_applied",
    "rare_event_guard",
)


def acquisition_qc(
    data: DataSet, columns: dict[str, int], *, settings: AcquisitionSettings | None = None
) -> AcquisitionQc:
    """Look at how a data set was acquired.

    Parameters
    ----------
    data
        The events; read once, in order. The clock is the parameter named Time or HDR-T.
    columns
        Column of every scatter parameter and marker (`mrd_flow.panel.detectors.Assignment.columns`):
        1 to 64, names that begin with FS or SS are scatter.
    settings
        The run's choices; the defaults where None.

    Returns
    -------
    AcquisitionQc
        The mask and the reasons. Without a clock, or with too few events, only margins are
        removed, and ``not_checked`` and an anomaly say why; it is grave where time runs
        backwards or is no number.

    Raises
    ------
    ValueError
        If there is no channel, or more than 64.
    DamagedFile
        If the file became shorter since it was opened.
    """
    chosen = settings or AcquisitionSettings()
    found = binned(
        data,
        columns,
        jitter_ticks=chosen.jitter_ticks,
        margin_share_max=chosen.margin_share_max,
        trace_points=chosen.trace_points,
    )
    not_checked = _why_not(found, chosen)
    runs: tuple[RemovedRun, ...] = ()
    anomalies: list[Anomaly] = []
    if not_checked:
        text = f"acquisition not checked: {not_checked}"
        # Events out of order may be two acquisitions in one file; a missing clock is only less to go by.
        disordered = bool(found.steps_back or found.times_unusable)
        anomalies.append(Anomaly(code="acquisition_not_checked", text=text, grave=disordered))
    else:
        course = course_of(found)
        deviating, rate_known = deviating_runs(found, course, chosen)
        runs = tuple(_described(found, run, chosen) for run in deviating)
        anomalies += _course_anomalies(found, course, chosen, rate_known=rate_known)
    qc = AcquisitionQc(
        events=found.events,
        bin_events=found.bin_events,
        kept=np.ones(found.events, np.bool_),
        not_checked=not_checked,
        runs=runs,
        margins=_margins(found, chosen),
        margin_events=found.off_scale_events,
        margin_channels=found.off_scale_channels,
        anomalies=tuple(anomalies),
        trace=_trace(found, data.time_step),
        settings=chosen,
    )
    return with_verdict(qc)


def with_verdict(qc: AcquisitionQc) -> AcquisitionQc:
    """The mask, the trace's shares and the anomalies that follow from runs and margins.

    Parameters
    ----------
    qc
        Runs and margins as they stand, some of them perhaps withdrawn.
    """
    kept = np.ones(qc.events, np.bool_)
    for run in qc.runs:
        if not run.withdrawn:
            kept[run.first_event : run.last_event + 1] = False
    in_force = sum(1 << i for i, m in enumerate(qc.margins) if not m.withdrawn)
    kept[qc.margin_events[(qc.margin_channels & np.uint64(in_force)) != 0]] = False
    starts = qc.trace.first_event
    ends = np.append(starts[1:], qc.events)[: len(starts)]
    share = np.array([1 - np.count_nonzero(kept[a:b]) / (b - a) for a, b in zip(starts, ends, strict=True)])
    masked = replace(qc, kept=kept, trace=replace(qc.trace, removed_share=share))
    others = tuple(a for a in qc.anomalies if a.code not in _RESULTING)
    return replace(masked, anomalies=(*others, *_resulting(masked)))


def _resulting(qc: AcquisitionQc) -> list[Anomaly]:
    """What the mask itself has to say."""
    noted = []
    runs = [r for r in qc.runs if not r.withdrawn]
    if runs:
        events = sum(r.events for r in runs)
        kinds = ", ".join(f"{sum(r.code == c for r in runs)} {c}" for c in sorted({r.code for r in runs}))
        text = f"{events:,} events ({events / qc.events:.2%}) in {len(runs)} faulty run(s) removed: {kinds}"
        noted.append(Anomaly(code="acquisition_faults", text=text))
    in_force = [m for m in qc.margins if m.events and not m.withdrawn]
    if in_force:
        worst = max(in_force, key=lambda m: m.events)
        text = f"events off scale in {len(in_force)} channel(s) removed, most in {worst.channel}: "
        text += f"{worst.events:,} ({worst.events / qc.events:.2%})"
        noted.append(Anomaly(code="acquisition_margins", text=text))
    noted += [
        Anomaly(code="margin_not_applied", text=f"events off the scale of {m.channel}: {m.withdrawn}")
        for m in qc.margins
        if m.withdrawn
    ]
    noted += [
        Anomaly(
            code="rare_event_guard", text=f"events {r.first_event:,} to {r.last_event:,} kept: {r.withdrawn}"
        )
        for r in qc.runs
        if r.withdrawn
    ]
    if qc.removed_share > qc.settings.removed_share_max:
        text = f"{qc.removed_share:.1%} of the events were removed as faulty or off scale"
        noted.append(Anomaly(code="acquisition_much_removed", text=text, grave=True))
    return noted


def _why_not(found: BinnedEvents, settings: AcquisitionSettings) -> str:
    if found.bins < settings.bins_min:
        return f"{found.events:,} events are fewer than {settings.bins_min} bins of {found.bin_events}"
    if not found.timed:
        return "no single parameter is named Time"
    if found.times_unusable:
        return f"{found.times_unusable:,} times are no numbers"
    if found.bounds[0] == found.bounds[-1]:
        return "time stands still"
    if found.steps_back:
        return f"time runs backwards {found.steps_back:,} time(s)"
    return ""


def _margins(found: BinnedEvents, settings: AcquisitionSettings) -> tuple[MarginTally, ...]:
    tallies = []
    for place, channel in enumerate(found.channels):
        bit = np.uint64(1 << place)
        events = int(np.count_nonzero(found.off_scale_channels & bit))
        too_many = events > settings.margin_share_max * found.events
        why = f"more than {settings.margin_share_max:.0%} of the file, too many to be faults; they are kept"
        tallies.append(
            MarginTally(
                channel=channel,
                scatter=found.scatter[place],
                events=events,
                top=float(found.tops[place]),
                withdrawn=why if too_many else "",
            )
        )
    return tuple(tallies)


def _described(found: BinnedEvents, run: BinRun, settings: AcquisitionSettings) -> RemovedRun:
    last_bin = run.last == found.bins - 1
    shifted = tuple(dict.fromkeys(found.channels[c % len(found.channels)] for c in run.shifted))
    code = _code(found, run)
    largest = float(run.shift[np.argmax(np.abs(run.shift))])
    parts = [] if run.rate_ratio is None or not run.rate_deviates else [f"rate x {run.rate_ratio:.2f}"]
    strongest = sorted(run.shifted, key=lambda c: -abs(run.shift[c]))
    parts += [f"{_score_name(found, c)} {run.shift[c]:+.2f}" for c in strongest[:_MOST_NAMED]]
    parts += [f"{len(strongest) - _MOST_NAMED} more"] if len(strongest) > _MOST_NAMED else []
    sentence = (
        f"{_PATTERNS[code]}: {', '.join(parts)} (ranks from 0 to 1) against the file's course; "
        f"largest deviation {run.statistic:.1f} robust SD, limit {settings.z_limit:g}"
    )
    return RemovedRun(
        first_event=run.first * found.bin_events,
        last_event=found.events - 1 if last_bin else (run.last + 1) * found.bin_events - 1,
        code=code,
        sentence=sentence,
        channels=shifted,
        largest_shift=largest,
        rate_ratio=run.rate_ratio,
        statistic=run.statistic,
        limit=settings.z_limit,
    )


def _score_name(found: BinnedEvents, score: int) -> str:
    channel = found.channels[score % len(found.channels)]
    return channel if score < len(found.channels) else f"spread of {channel}"


_PATTERNS = {
    "bubble": "a gap without events, as an air bubble leaves",
    "clot": "slow flow with shifted signals, as behind a clot",
    "slow": "slow flow",
    "surge": "fast flow",
    "shift": "shifted signals",
}


def _code(found: BinnedEvents, run: BinRun) -> str:
    if run.rate_ratio is None or not run.rate_deviates:
        return "shift"
    if run.rate_ratio > 1:
        return "surge"
    inside = slice(run.first, run.last + 1)
    gap, duration = found.longest_wait[inside].max(), found.ticks[inside].sum()
    interval = np.median(found.ticks) / found.bin_events
    if gap >= _GAP_SHARE * duration and gap >= _GAP_EVENTS * interval and gap >= 2.0:
        return "bubble"
    return "clot" if run.shifted else "slow"


def _course_anomalies(
    found: BinnedEvents, course: Course, settings: AcquisitionSettings, *, rate_known: bool
) -> list[Anomaly]:
    noted = []
    if not rate_known:
        text = "the clock is too coarse to follow the flow rate; signals were followed by order of events"
        noted.append(Anomaly(code="flow_rate_not_checked", text=text))
    drifting = [_score_name(found, int(c)) for c in np.flatnonzero(course.change >= settings.drift_shift)]
    if drifting:
        most = course.change.max()
        text = (
            f"signals drift over the file in {', '.join(drifting)} (ranks from 0 to 1, by up to {most:.2f})"
        )
        noted.append(Anomaly(code="signal_drift", text=text))
    if rate_known and course.rate_factor >= settings.drift_rate:
        text = f"the flow rate changes by a factor of {course.rate_factor:.2f} over the file"
        noted.append(Anomaly(code="flow_rate_drift", text=text))
    return noted


def _trace(found: BinnedEvents, time_step: float | None) -> TimeTrace:
    starts = found.trace.first_bin * found.bin_events
    seconds, rate = np.zeros(len(starts)), np.zeros(len(starts))
    usable = found.timed and not found.times_unusable
    if usable and len(starts):
        step = time_step or 1.0
        times = found.bounds[np.append(found.trace.first_bin, len(found.bounds) - 1)]
        seconds = (times[:-1] - times[0]) * step
        # A stretch within one tick of the clock is taken to have lasted half of it.
        rate = np.diff(np.append(starts, found.events)) / (np.maximum(np.diff(times), 0.5) * step)
    return TimeTrace(
        unit="" if not usable else "ticks" if time_step is None else "s",
        first_event=starts,
        seconds=seconds,
        rate=rate,
        channels=found.channels,
        medians=median_of_cells(found.trace.cells, found.tops),
        removed_share=np.zeros(len(starts)),
    )
