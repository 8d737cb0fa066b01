"""Events of every gate and of its parent, counted in bins in one pass over a tube, for pictures.

What is kept does not grow with the file: two tables of at most 256 x 256 counts a view.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine.run import GatedChunk, columns_of, gated_chunks
from mrd_flow.evidence import GateTally
from mrd_flow.fcs.data_sets import DEFAULT_CHUNK_EVENTS, DataSet
from mrd_flow.gating.tube import GatedTube
from mrd_flow.panel.gates import ROOT_GATE
from mrd_flow.panel.program import AppliedGate, Dimensions, dimensions_of, panel_program
from mrd_flow.panel.template import CombinationGate, Panel
from mrd_flow.pictures.axes import BINS, PictureAxis, axis_of

__all__ = ["GateHistogram", "View", "gate_histograms"]

Counts = NDArray[np.int64]
Pair = tuple[str, str | None]
_THREADS = 2  # the counts do not depend on how many


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A gate seen in one dimension (``y`` None) or two.

    ``parent`` and ``members`` are int64 (n_y_bins, n_x_bins), of one row where ``y`` is
    None: events of the parent, and those of the gate among them. An event beyond an
    axis is counted in its outermost bin; one whose value is not a number in none.
    """

    x: PictureAxis
    y: PictureAxis | None
    parent: Counts
    members: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class GateHistogram:
    """One gate of a tube: what was applied, what it counted, and its views.

    ``parts`` are the gates that a combination is made of.
    """

    gate: AppliedGate
    tally: GateTally
    views: tuple[View, ...]
    parts: tuple[AppliedGate, ...]


def gate_histograms(
    data: DataSet,
    gated: GatedTube,
    panel: Panel,
    tube: int,
    columns: dict[str, int],
    *,
    kept: NDArray[np.bool_] | None = None,
    chunk_events: int = DEFAULT_CHUNK_EVENTS,
) -> tuple[GateHistogram, ...]:
    """Count the events of every gate and its parent in bins.

    Parameters
    ----------
    data, panel, tube, columns, kept
        As given to `mrd_flow.gating.tube.gate_tube`.
    gated
        Its result.
    chunk_events
        Events handled at a time; it bounds the memory, not the result.

    Returns
    -------
    tuple of GateHistogram
        In the order of the gates. A gate below the root has all events of the file as its
        parent, those that ``kept`` leaves out as well, as its tally has.

    Raises
    ------
    DamagedFile
        If the file became shorter since it was opened.
    """
    offered = columns_of(data)
    dimensions = dimensions_of(panel, columns, offered)
    program = panel_program(gated.gates, dimensions, offered)
    axes = {name: axis_of(name, panel, tube, data, columns) for name in columns}
    chunks = gated_chunks(data, program, also=dimensions.needed(), events=chunk_events)
    with ThreadPoolExecutor(_THREADS) as pool:
        counter = _Counter(gated, axes, dimensions, pool)
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)  # while this one is counted
            if kept is not None:
                np.logical_and(chunk.members, kept[chunk.first :][: len(chunk.events)], out=chunk.members)
            counter.add(chunk)
        return counter.found()


class _Counter:
    """Adds up the bins of chunks."""

    def __init__(
        self,
        gated: GatedTube,
        axes: Mapping[str, PictureAxis],
        dimensions: Dimensions,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.gated, self.axes, self.dimensions, self.pool = gated, axes, dimensions, pool
        by_name = {gate.name: gate for gate in gated.gates}
        self.parts = [_parts(gate, by_name) for gate in gated.gates]
        self.pairs = [_pairs(g, p) for g, p in zip(gated.gates, self.parts, strict=True)]
        # Gates below the same parent that are seen in the same dimensions share its counts.
        self.counts: dict[tuple[str, Pair], Counts] = {}
        for gate, pairs in zip(gated.gates, self.pairs, strict=True):
            for pair in pairs:
                for name in (gate.parent, gate.name):
                    self.counts[name, pair] = np.zeros((1 if pair[1] is None else BINS, BINS), np.int64)

    def add(self, chunk: GatedChunk) -> None:
        """Count one chunk."""
        from mrd_flow.pictures.kernels import count_bins

        members = dict(zip((g.name for g in self.gated.gates), chunk.members, strict=True))
        members[ROOT_GATE] = np.ones(len(chunk.events), np.bool_)
        wanted: dict[str, NDArray[np.bool_]] = {}
        for gate, pairs in zip(self.gated.gates, self.pairs, strict=True):
            for name in {n for pair in pairs for n in pair if n is not None}:
                inside = members[gate.parent]
                wanted[name] = inside if name not in wanted else wanted[name] | inside
        found = self.pool.map(lambda name: self._bins(chunk, name, wanted[name]), wanted)
        bins = dict(zip(wanted, found, strict=True))
        nothing = np.zeros(len(chunk.events), np.int16)

        def count(key: tuple[str, Pair]) -> None:
            (x, y), counts = key[1], self.counts[key]
            count_bins(bins[x], nothing if y is None else bins[y], members[key[0]], counts)

        list(self.pool.map(count, self.counts))  # each has a table of its own

    def _bins(self, chunk: GatedChunk, name: str, wanted: NDArray[np.bool_]) -> NDArray[np.int16]:
        from mrd_flow.pictures.kernels import bin_events

        weights = self.dimensions.weights.get(name)
        detectors = self.dimensions.detectors if weights is not None else (self.dimensions.columns[name],)
        places = np.array([chunk.place[c] for c in detectors], np.int64)
        out = np.empty(len(chunk.events), np.int16)
        factors = np.ones(1) if weights is None else np.ascontiguousarray(weights)
        bin_events(chunk.events, places, factors, self.axes[name].edges, wanted, out)
        return out

    def found(self) -> tuple[GateHistogram, ...]:
        """What was counted."""
        rows = zip(self.gated.gates, self.gated.tallies, self.parts, self.pairs, strict=True)
        return tuple(
            GateHistogram(
                gate=gate, tally=tally, parts=parts, views=tuple(self._view(gate, pair) for pair in pairs)
            )
            for gate, tally, parts, pairs in rows
        )

    def _view(self, gate: AppliedGate, pair: Pair) -> View:
        return View(
            x=self.axes[pair[0]],
            y=None if pair[1] is None else self.axes[pair[1]],
            parent=self.counts[gate.parent, pair],
            members=self.counts[gate.name, pair],
        )


def _parts(gate: AppliedGate, by_name: Mapping[str, AppliedGate]) -> tuple[AppliedGate, ...]:
    """Gates with boundaries that a combination comes down to."""
    if not isinstance(gate, CombinationGate):
        return ()
    found: dict[str, AppliedGate] = {}
    for name in gate.gates:
        part = by_name[name]
        inner = _parts(part, by_name) if isinstance(part, CombinationGate) else (part,)
        found |= {g.name: g for g in inner}
    return tuple(found.values())


def _pairs(gate: AppliedGate, parts: Sequence[AppliedGate]) -> list[Pair]:
    """Dimensions two by two in their order; one left over stands alone."""
    names = list(dict.fromkeys(d for g in (gate, *parts) for d in g.dimensions))
    return [(names[i], names[i + 1] if i + 1 < len(names) else None) for i in range(0, len(names), 2)]
