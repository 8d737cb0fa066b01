"""Plasma-cell tables of simulated tubes without the tubes: only what can reach the gate is drawn.

The law is that of `mrd_flow.simulate.simulate_tube` read through the template's own
boundaries (no rule moves them, nothing is cut out by the acquisition's control). Doublets
are drawn in full, and so are plasma cells; of the other kinds only the cells whose light comes
near the gate (`mrd_flow.simulation.rare_cells`): a cell left out is in the gate with a probability
below 1e-10 (`mrd_flow.simulation.template_gates.NOISE_TAIL` for every way in).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Panel
from mrd_flow.simulation.events import (
    DEBRIS_SHARE,
    DOUBLET_SHARE,
    draw_cells,
    gain_of,
    join_pairs,
    measure,
    single_scatter,
)
from mrd_flow.simulation.populations import CellKinds, spillover_matrix
from mrd_flow.simulation.rare_cells import Tail, draw_tail, tails_of
from mrd_flow.simulation.sample_model import SampleModel
from mrd_flow.simulation.template_gates import (
    error_bound,
    inside_gate,
    needed_dimensions,
    routes_to,
    to_logicle,
)

__all__ = ["SimulatedTable", "simulate_plasma_cell_table", "simulate_plasma_cell_tables"]

_MOST_IN_TAILS = 0.1  # a kind of which more is near the gate is drawn in full
_SCATTER_POINTS = 1 << 16
# Powers of the root of x^4 = x + 1: a Kronecker sequence in three dimensions.
_KRONECKER = 1.0 / 1.2207440846057596 ** np.arange(1, 4)
_CHUNK_CELLS = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTable:
    """The events of one tube (1-based) inside the plasma-cell gate, and the truth of each.

    ``plasma_cells`` float64 (n, n_dimensions): markers compensated and on the logicle
    scale, scatter linear, columns ``dimensions``; ``plasma_cell_events`` their event
    numbers, rising; ``codes`` uint8 (n,): 0 other nucleated cell, 1 normal plasma cell,
    2 aberrant plasma cell, 4 doublet. ``nucleated`` counts events in the nucleated gate;
    ``normal`` and ``aberrant`` all such single cells of the tube, inside the gate or not.
    """

    tube: int
    events: int
    nucleated: int
    normal: int
    aberrant: int
    dimensions: tuple[str, ...]
    plasma_cells: NDArray[np.float64]
    plasma_cell_events: NDArray[np.int64]
    codes: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tube:
    """One tube's law and gates."""

    panel: Panel
    number: int
    kinds: CellKinds
    mixing: NDArray[np.float32]
    unmixing: NDArray[np.float64]
    gain: NDArray[np.float32]

    @property
    def dimensions(self) -> tuple[str, ...]:
        return (*self.panel.scatter, *self.panel.tubes[self.number - 1].markers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Some cells as the gates see them.

    ``table`` and ``codes`` of those in the plasma-cell gate; ``nucleated`` how many are in
    the nucleated gate; ``rare`` (n_kinds,) how many cells of a kind not drawn in full.
    """

    table: NDArray[np.float64]
    codes: NDArray[np.uint8]
    nucleated: int
    rare: NDArray[np.int64]


def simulate_plasma_cell_tables(
    panel: Panel,
    *,
    events: int,
    sample: SampleModel,
    rng: np.random.Generator,
    gain: Mapping[str, float] | None = None,
) -> tuple[SimulatedTable, ...]:
    """One table for every tube of a panel, as `simulate_plasma_cell_table`.

    Parameters
    ----------
    panel
        The template.
    events
        Events of each tube, debris and doublets among them.
    sample
        The law of the sample's cells.
    rng
        Source of every random number: same state, same tables.
    gain
        Marker to the factor by which its detector is off; a marker need not be in every
        tube.
    """
    return tuple(
        simulate_plasma_cell_table(
            panel,
            number,
            events=events,
            sample=sample,
            rng=rng,
            gain={m: g for m, g in (gain or {}).items() if m in tube.markers},
        )
        for number, tube in enumerate(panel.tubes, start=1)
    )


def simulate_plasma_cell_table(
    panel: Panel,
    tube: int,
    *,
    events: int,
    sample: SampleModel,
    rng: np.random.Generator,
    gain: Mapping[str, float] | None = None,
) -> SimulatedTable:
    """The plasma-cell table of one tube (1-based).

    Parameters
    ----------
    panel, tube
        The template, and which of its tubes; the nucleated gate must rest on scatter.
    events
        Events of the tube, debris and doublets among them.
    sample
        The law of the sample's cells.
    rng
        Source of every random number: same state, same table.
    gain
        Marker of the tube to the factor by which its detector is off.

    Raises
    ------
    ValueError
        If a parameter is out of range or the nucleated gate looks at a marker.
    """
    law = _law(panel, tube, sample, gain or {})
    shares = [DEBRIS_SHARE, DOUBLET_SHARE, 1 - DEBRIS_SHARE - DOUBLET_SHARE]
    debris, doublets, single = (int(n) for n in rng.multinomial(events, shares))
    singles = rng.multinomial(single, law.kinds.share)
    tails = _tails(law)
    drawn = np.array([not t for t in tails])
    rows = np.repeat(np.flatnonzero(drawn), singles[drawn])
    seen = [*_full(law, rows, rng), *_rare(law, tails, singles, rng), *_pairs(law, doublets, rng)]
    left_out = np.where(drawn, 0, singles) - np.sum([s.rare for s in seen], axis=0, dtype=np.int64)
    left_out[-1] = debris
    nucleated = int(rng.binomial(left_out, _nucleated_share(law)).sum()) + sum(s.nucleated for s in seen)
    cells = np.concatenate([s.table for s in seen])
    codes = np.concatenate([s.codes for s in seen])
    order = rng.permutation(len(codes))
    return SimulatedTable(
        tube=tube,
        events=events,
        nucleated=nucleated,
        normal=int(singles[law.kinds.rows("normal_plasma_cell")].sum()),
        aberrant=int(singles[law.kinds.rows("aberrant_plasma_cell")].sum()),
        dimensions=law.dimensions,
        plasma_cells=cells[order],
        plasma_cell_events=np.sort(rng.choice(events, len(codes), replace=False, shuffle=False)),
        codes=codes[order],
    )


def _law(panel: Panel, tube: int, sample: SampleModel, gain: Mapping[str, float]) -> _Tube:
    if needed_dimensions(panel, tube, panel.nucleated_gate) - set(panel.scatter):
        raise ValueError("the quick tables need a nucleated gate that rests on scatter alone")
    markers = panel.tubes[tube - 1].markers
    spillover = spillover_matrix(tuple(markers.values()))
    return _Tube(
        panel=panel,
        number=tube,
        kinds=sample.kinds(tuple(markers)),
        mixing=spillover.astype(np.float32),
        unmixing=np.linalg.inv(spillover).astype(np.float64),
        gain=gain_of(markers, gain),
    )


def _tails(law: _Tube) -> list[tuple[Tail, ...]]:
    """Tails of each kind that hold all its cells near the gate; none where it is drawn in full."""
    markers = law.dimensions[3:]
    routes = routes_to(law.panel, law.number, law.panel.plasma_cell_gate)
    errors = error_bound(law.panel, law.number, law.kinds)
    found: list[tuple[Tail, ...]] = []
    for row, name in enumerate(law.kinds.names):
        tails = tails_of(law.kinds, row, routes, markers, errors[row])
        whole = name.endswith("plasma_cell") or (law.gain != 1).any()
        many = sum(t.probability for t in tails) > _MOST_IN_TAILS
        found.append(() if (whole or many) and name != "debris" else tails)
    return found


def _nucleated_share(law: _Tube) -> NDArray[np.float64]:
    """Probability of each kind (n_kinds,) to be in the nucleated gate, by quasi-random points."""
    from scipy.special import ndtri

    points = (np.arange(1, _SCATTER_POINTS + 1)[:, np.newaxis] * _KRONECKER) % 1.0
    normal = np.asarray(ndtri(points), np.float32)
    shares: dict[bytes, float] = {}
    for scatter in law.kinds.scatter:
        if scatter.tobytes() not in shares:
            shown = single_scatter(scatter, normal).astype(np.float64)
            linear = dict(zip(law.panel.scatter, shown.T, strict=True))
            inside = inside_gate(law.panel, law.number, law.panel.nucleated_gate, linear)
            shares[scatter.tobytes()] = float(inside.mean())
    return np.array([shares[s.tobytes()] for s in law.kinds.scatter])


def _full(law: _Tube, rows: NDArray[np.intp], rng: np.random.Generator) -> Iterator[_Seen]:
    """Single cells of the kinds ``rows``."""
    codes = np.zeros(len(law.kinds.names), np.uint8)
    codes[law.kinds.rows("normal_plasma_cell")] = 1
    codes[law.kinds.rows("aberrant_plasma_cell")] = 2
    for first in range(0, max(len(rows), 1), _CHUNK_CELLS):
        part = rows[first : first + _CHUNK_CELLS]
        yield _seen(law, draw_cells(law.kinds, part, rng), codes[part], rng)


def _rare(
    law: _Tube, tails: list[tuple[Tail, ...]], singles: NDArray[np.int64], rng: np.random.Generator
) -> Iterator[_Seen]:
    """Single cells far out in the tails of their kind."""
    for row, tails_of_kind in enumerate(tails):
        if tails_of_kind and singles[row]:
            cells = draw_tail(law.kinds, row, tails_of_kind, int(singles[row]), rng)
            count = len(cells[0])
            seen = _seen(law, cells, np.zeros(count, np.uint8), rng)
            yield replace(seen, rare=count * np.eye(len(tails), dtype=np.int64)[row])


def _pairs(law: _Tube, doublets: int, rng: np.random.Generator) -> Iterator[_Seen]:
    for first in range(0, doublets, _CHUNK_CELLS):
        size = min(_CHUNK_CELLS, doublets - first)
        both = [draw_cells(law.kinds, _singles(law.kinds, size, rng), rng) for _ in range(2)]
        yield _seen(law, join_pairs(both[0], both[1], rng), np.full(size, 4, np.uint8), rng)


def _singles(kinds: CellKinds, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.repeat(np.arange(len(kinds.names)), rng.multinomial(size, kinds.share))[rng.permutation(size)]


def _seen(
    law: _Tube,
    cells: tuple[NDArray[np.float32], NDArray[np.float32]],
    codes: NDArray[np.uint8],
    rng: np.random.Generator,
) -> _Seen:
    """Cells measured, compensated and gated."""
    raw = measure(*cells, law.mixing, rng, None if (law.gain == 1).all() else law.gain).astype(np.float64)
    values = np.hstack([raw[:, :3], raw[:, 3:] @ law.unmixing])
    linear = dict(zip(law.dimensions, values.T, strict=True))
    nucleated = inside_gate(law.panel, law.number, law.panel.nucleated_gate, linear)
    inside = inside_gate(law.panel, law.number, law.panel.plasma_cell_gate, linear)
    table = values[inside]
    for column, name in enumerate(law.dimensions[3:], start=3):
        table[:, column] = to_logicle(table[:, column].copy(), law.panel.logicle_of(name))
    none = np.zeros(len(law.kinds.names), np.int64)
    return _Seen(table=table, codes=codes[inside], nucleated=int(nucleated.sum()), rare=none)
