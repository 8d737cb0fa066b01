"""Drift of a mass cytometer, seen by its beads, and what is left of it after normalisation.

Beads of known metals run with the cells. As the instrument loses or gains sensitivity,
so do the beads; the moving median of their signal in order of time gives one factor for
all channels (Finck et al., Cytometry A 2013;83:483). The baseline is the mean over all
files of the run, so that these become comparable too.

The check is honest to the fit: what remains is measured on every second bead with a
factor that was found on the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.cytof.cuts import ChosenCut, choose_cut
from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.cytof.parts import Beads
from mrd_flow.cytof.read import TIME, CytofRun
from mrd_flow.fcs.anomaly import Anomaly

__all__ = ["BeadDrift", "Normalised", "find_beads", "moving_factor", "normalise"]

_BLOCKS_MOST = 10
_BLOCK_WINDOWS = 2  # of beads in a block: fewer, and its median's own noise looks like drift
_TENTHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadDrift:
    """One bead channel of one file.

    ``drift`` is the largest distance of a block's median from the file's own, as a share
    of it; ``residual`` the same after normalisation, on beads the factor was not found
    on. None where there were too few beads.
    """

    file: str
    channel: str
    beads: int
    median: float
    drift: float | None
    residual: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """A run after normalisation.

    ``factor`` is float64 (n_events,), what each event's channels were multiplied by;
    ``bead`` marks beads and beads with a cell, which are no cells.
    """

    run: CytofRun
    factor: NDArray[np.float64]
    bead: NDArray[np.bool_]
    drifts: tuple[BeadDrift, ...]
    cut: ChosenCut | None
    flags: tuple[Anomaly, ...]


def find_beads(
    run: CytofRun, panel: CytofPanel, beads: Beads
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], ChosenCut]:
    """Pure beads, all events with a bead's signal, and where the boundary was laid.

    A bead is bright in every bead channel; a pure one has no DNA.
    """
    scaled = np.arcsinh(run.of_all(beads.metals) / panel.cofactor)
    dimmest = scaled.min(axis=1)
    cut = choose_cut(dimmest, beads.cut)
    bright = dimmest >= cut.at
    dna = np.arcsinh(run.of_all([panel.channels[d] for d in beads.dna]) / panel.cofactor).max(axis=1)
    return bright & (dna < beads.dna_most), bright, cut


def normalise(run: CytofRun, panel: CytofPanel) -> Normalised:
    """Find the beads, measure drift, and take it out of every metal channel.

    A file with too few beads is left as it is and flagged: its drift is not known.
    """
    unchanged = np.ones(len(run.table))
    if panel.beads is None:
        flag = Anomaly(code="drift_not_checked", text="the template has no beads; drift is not known")
        none = np.zeros(len(run.table), dtype=bool)
        return Normalised(run=run, factor=unchanged, bead=none, drifts=(), cut=None, flags=(flag,))
    beads = panel.beads
    pure, bright, cut = find_beads(run, panel, beads)
    signal = run.of_all(beads.metals).astype(np.float64)
    order = [_in_time(run, number) for number in range(len(run.files))]
    own = [rows[pure[rows]] for rows in order]
    enough = [len(rows) >= beads.beads_least for rows in own]
    curves = [
        _moving_median(signal[rows], beads.window_beads) if ok else None
        for rows, ok in zip(own, enough, strict=True)
    ]
    known = [c.mean(axis=0) for c in curves if c is not None]
    factor = unchanged.copy()
    drifts: list[BeadDrift] = []
    flags = _flags_of(run, own, enough, beads)
    if known:
        baseline = np.mean(known, axis=0)
        for number, rows in enumerate(order):
            if enough[number]:
                factor[rows] = moving_factor(
                    signal[own[number]],
                    _clock(run, own[number]),
                    _clock(run, rows),
                    baseline,
                    beads.window_beads,
                )
    for number, rows in enumerate(own):
        drifts += _drifts(run, number, rows, signal, beads, checked=enough[number])
    flags += [
        Anomaly(
            code="drift_remains",
            text=f"{d.file}, {d.channel}: {d.residual:.1%} of drift remains after normalisation",
        )
        for d in drifts
        if d.residual is not None and d.residual > beads.residual_most
    ]
    metals = [i for i, c in enumerate(run.columns) if c in _metals(panel)]
    table = run.table.copy()
    table[:, metals] *= factor[:, None].astype(np.float32)
    corrected = CytofRun(
        columns=run.columns, table=table, file=run.file, files=run.files, sha256=run.sha256, flags=run.flags
    )
    return Normalised(
        run=corrected, factor=factor, bead=bright, drifts=tuple(drifts), cut=cut, flags=tuple(flags)
    )


def moving_factor(
    beads: NDArray[np.float64],
    bead_time: NDArray[np.float64],
    time: NDArray[np.float64],
    baseline: NDArray[np.float64],
    window: int,
) -> NDArray[np.float64]:
    """The factor at each time that brings the beads' moving medians to the baseline.

    Least squares over the channels, through the origin; linear between beads, constant
    before the first and after the last.

    Parameters
    ----------
    beads
        Shape (n_beads, n_channels), counts, in order of time.
    bead_time, time
        Shape (n_beads,) and (n_events,).
    baseline
        Shape (n_channels,).
    window
        Beads of one median.
    """
    curve = _moving_median(beads, window)
    slope = (curve * baseline).sum(axis=1) / (curve * curve).sum(axis=1)
    return np.asarray(np.interp(time, bead_time, slope), dtype=np.float64)


def _metals(panel: CytofPanel) -> set[str]:
    barcodes = panel.barcodes.metals if panel.barcodes else ()
    beads = panel.beads.metals if panel.beads else ()
    return {*panel.channels.values(), *barcodes, *beads}


def _clock(run: CytofRun, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Time of events, or their place where the file keeps no time."""
    return run.of(TIME)[rows].astype(np.float64) if run.has(TIME) else rows.astype(np.float64)


def _in_time(run: CytofRun, number: int) -> NDArray[np.intp]:
    rows = np.flatnonzero(run.file == number)
    return rows[np.argsort(_clock(run, rows), kind="stable")]


def _moving_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Centred median of ``window`` rows per column; at either end, the line of the last ``window`` rows."""
    width = min(window, len(values))
    views = np.lib.stride_tricks.sliding_window_view(values, width, axis=0)
    # Every tenth of a window is enough: neighbouring medians share nine tenths of their beads.
    places = np.unique(np.append(np.arange(0, len(views), max(1, width // 10)), len(views) - 1))
    medians = np.median(views[places], axis=-1)
    ends = (_end_of_line(values[:width][::-1]), _end_of_line(values[-width:]))
    nodes = np.concatenate([[0.0], places + (width - 1) / 2, [len(values) - 1.0]])
    curve = np.vstack([ends[0], medians, ends[1]])
    rows = np.arange(len(values))
    return np.column_stack([np.interp(rows, nodes, column) for column in curve.T])


def _end_of_line(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the line through some rows ends, per column; a median there would lag half a window behind.

    Theil and Sen's slope of tenths' medians, so that stray events do not tilt it.
    """
    medians = np.array([np.median(part, axis=0) for part in np.array_split(values, _TENTHS)])
    places = (np.arange(_TENTHS) + 0.5) / _TENTHS
    one, two = np.triu_indices(_TENTHS, 1)
    slope = np.median((medians[two] - medians[one]) / (places[two] - places[one])[:, None], axis=0)
    level = np.median(medians - slope * places[:, None], axis=0)
    return np.asarray(np.maximum(level + slope, 0.2 * np.median(values, axis=0)))


def _drifts(
    run: CytofRun,
    number: int,
    rows: NDArray[np.intp],
    signal: NDArray[np.float64],
    beads: Beads,
    *,
    checked: bool,
) -> list[BeadDrift]:
    values = signal[rows]
    before = after = None
    if checked:
        blocks = int(np.clip(len(rows) // (_BLOCK_WINDOWS * beads.window_beads), 1, _BLOCKS_MOST))
        before = _departure(values, blocks)
        clock = _clock(run, rows)
        # Half as many beads, half the window: the same stretch of time as in the run's own factor.
        factor = moving_factor(
            values[::2], clock[::2], clock[1::2], np.median(values, axis=0), beads.window_beads // 2
        )
        after = _departure(values[1::2] * factor[:, None], blocks)
    medians = np.median(values, axis=0) if len(rows) else np.zeros(len(beads.metals))
    return [
        BeadDrift(
            file=run.files[number],
            channel=metal,
            beads=len(rows),
            median=float(medians[i]),
            drift=None if before is None else float(before[i]),
            residual=None if after is None else float(after[i]),
        )
        for i, metal in enumerate(beads.metals)
    ]


def _departure(values: NDArray[np.float64], blocks: int) -> NDArray[np.float64]:
    """Largest distance of a block's median from that of all, as a share, per channel."""
    middle = np.median(values, axis=0)
    medians = np.array([np.median(part, axis=0) for part in np.array_split(values, blocks)])
    return np.asarray(np.abs(medians / middle - 1).max(axis=0))


def _flags_of(
    run: CytofRun, own: Sequence[NDArray[np.intp]], enough: Sequence[bool], beads: Beads
) -> list[Anomaly]:
    flags = [
        Anomaly(
            code="drift_not_checked",
            text=f"{run.files[i]}: {len(own[i])} beads, {beads.beads_least} are needed; not normalised",
        )
        for i, ok in enumerate(enough)
        if not ok
    ]
    if not run.has(TIME):
        flags.append(Anomaly(code="no_time", text="no Time in every file; the order of events stands for it"))
    return flags
