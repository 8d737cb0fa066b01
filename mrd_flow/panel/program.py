"""A panel template's gates as a program of the gating engine, and the values of its dimensions.

The gates compiled are those applied: with the boundaries that rules and people chose in
place of the template's. Scatter is taken as stored and linear, markers compensated and on
their logicle scale.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine import gate_codes
from mrd_flow.engine.program import Columns, Gate, GateProgram, Source
from mrd_flow.engine.run import GatedChunk
from mrd_flow.engine.transforms import Scale, logicle_scale, scale_of
from mrd_flow.panel.gates import ROOT_GATE
from mrd_flow.panel.template import CombinationGate, Panel, PolygonGate, RectangleGate

__all__ = ["AppliedGate", "Dimensions", "dimensions_of", "panel_program"]

AppliedGate = RectangleGate | PolygonGate | CombinationGate

_FILE_MATRIX = "FCS"
_BOOLEAN = {
    "all_of": gate_codes.ALL_OF,
    "any_of": gate_codes.ANY_OF,
    "none_of": gate_codes.NONE_OF,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """How each dimension of a panel is made from the columns of a file.

    ``weights`` holds the dimension's column of S^-1 where it is compensated, for the
    file's columns ``detectors``; ``scales`` its scale.
    """

    columns: Mapping[str, int]
    detectors: tuple[int, ...]
    weights: Mapping[str, NDArray[np.float64]]
    scales: Mapping[str, Scale]

    def linear(self, name: str, chunk: GatedChunk, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Compensated linear values of one dimension, float64 (n_rows,)."""
        if name not in self.weights:
            return chunk.stored(self.columns[name], rows)
        # Term by term rather than by a matrix product, whose last bits depend on the library
        # and on how many events are at hand: the table must not.
        total = np.zeros(len(rows))
        for detector, weight in zip(self.detectors, self.weights[name], strict=True):
            total += chunk.stored(detector, rows) * weight
        return total

    def scaled(self, name: str, chunk: GatedChunk, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Values of one dimension on its scale, float64 (n_rows,)."""
        return self.scales[name].exact(self.linear(name, chunk, rows))

    def table(self, chunk: GatedChunk, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Values on their scales, float64 (n_rows, n_dimensions)."""
        return np.column_stack([self.scaled(name, chunk, rows) for name in self.columns])

    def needed(self) -> tuple[int, ...]:
        """Columns (0-based) of the file that the table needs."""
        return tuple(sorted({*self.columns.values(), *self.detectors}))


def dimensions_of(panel: Panel, columns: Mapping[str, int], offered: Columns) -> Dimensions:
    """The dimensions of a panel in a file.

    Parameters
    ----------
    columns
        Column of every scatter parameter and marker (`mrd_flow.panel.detectors.assign_detectors`).
    offered
        What the file offers (`mrd_flow.engine.run.columns_of`).
    """
    matrix = offered.spillover
    inverse = matrix.weights() if matrix is not None else np.empty((0, 0))
    rows = matrix.rows if matrix is not None else ()
    plain = scale_of(None)
    made: dict[tuple[float, float, float, float], Scale] = {}
    scales = {}
    for name in columns:
        if name in panel.scatter:
            scales[name] = plain
            continue
        logicle = panel.logicle_of(name)
        key = (logicle.t, logicle.w, logicle.m, logicle.a)
        if key not in made:
            made[key] = logicle_scale(*key)
        scales[name] = made[key]
    return Dimensions(
        columns=dict(columns),
        detectors=matrix.detectors if matrix is not None else (),
        weights={n: inverse[:, rows.index(c)] for n, c in columns.items() if c in rows},
        scales=scales,
    )


def panel_program(gates: Sequence[AppliedGate], dimensions: Dimensions, offered: Columns) -> GateProgram:
    """Compile gates, in an order in which parents and combined gates come first.

    Parameters
    ----------
    gates
        With the boundaries to be applied; ``program.gates[i]`` is ``gates[i]``.
    dimensions, offered
        Of the same file.
    """
    builder = _Builder(dimensions, offered)
    for gate in gates:
        builder.enter(gate)
    builder.program.order = tuple(range(len(gates)))
    return builder.program


class _Builder:
    """Collects sources and axes, each once, and gates."""

    def __init__(self, dimensions: Dimensions, offered: Columns) -> None:
        self.dimensions = dimensions
        self.program = GateProgram(columns=offered)
        if dimensions.weights and offered.spillover is not None:
            self.program.matrices[_FILE_MATRIX] = offered.spillover
        self.axis_of: dict[str, int] = {}
        self.index: dict[str, int] = {}
        self.paths: dict[str, tuple[str, ...]] = {ROOT_GATE: (ROOT_GATE,)}

    def enter(self, gate: AppliedGate) -> None:
        path = self.paths[gate.parent]
        self.paths[gate.name] = (*path, gate.name)
        order = gate.dimensions
        if isinstance(gate, RectangleGate):  # what costs nothing first: most events end there
            order = tuple(sorted(order, key=lambda name: name in self.dimensions.weights))
        made = Gate(
            name=gate.name,
            path=path,
            kind=_kind(gate),
            parent=self.index.get(gate.parent, -1),
            axes=self._axes(order),
            bounds=tuple((gate.bounds[d].min, gate.bounds[d].max) for d in order)
            if isinstance(gate, RectangleGate)
            else (),
            corners=np.array(gate.vertices, np.float64) if isinstance(gate, PolygonGate) else None,
            references=tuple((self.index[g], False) for g in gate.gates)
            if isinstance(gate, CombinationGate)
            else (),
        )
        self.index[gate.name] = len(self.program.gates)
        self.program.gates.append(made)

    def _axes(self, names: Iterable[str]) -> tuple[int, ...]:
        for name in names:
            if name not in self.axis_of:
                column = self.dimensions.columns[name]
                compensated = name in self.dimensions.weights
                self.program.sources.append(
                    Source(gate_codes.COMPENSATED, (column,), _FILE_MATRIX)
                    if compensated
                    else Source(gate_codes.STORED, (column,))
                )
                self.axis_of[name] = len(self.program.axes)
                self.program.axes.append((len(self.program.sources) - 1, self.dimensions.scales[name]))
        return tuple(self.axis_of[name] for name in names)


def _kind(gate: AppliedGate) -> int:
    if isinstance(gate, CombinationGate):
        return _BOOLEAN[gate.kind]
    return gate_codes.POLYGON if isinstance(gate, PolygonGate) else gate_codes.RECTANGLE
