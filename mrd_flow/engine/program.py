"""Gates parsed by FlowKit, compiled into arrays that the kernel walks through.

What a program holds is only what its gates need: a *source* is a linear value (a stored
column, a compensated one, or a ratio of two), an *axis* a source on a scale, and gates
stand in an order in which parents and references come first.

Two habits of FlowKit are kept, so that results are the same: a gate with one compensated
dimension takes all its dimensions from the compensated events, and a ratio is always
taken of uncompensated ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine import gate_codes
from mrd_flow.engine.transforms import Scale, linear_bound

__all__ = ["Columns", "Gate", "GateProgram", "Matrix", "Path", "Source"]

Path = tuple[str, ...]
_BAND = 1e-7  # of the bound: how near to it a computed value is left to the reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A compensation matrix on columns of a file: row = fluorochrome, column = detector.

    ``rows`` are the columns that receive compensated values; with more detectors than
    rows the solution is the least-squares one.
    """

    rows: tuple[int, ...]
    detectors: tuple[int, ...]
    values: NDArray[np.float64]

    def weights(self) -> NDArray[np.float64]:
        """Stored detectors (rows of events) times it are compensated values."""
        return np.asarray(np.linalg.pinv(self.values) if self.spectral else np.linalg.inv(self.values))

    @property
    def spectral(self) -> bool:
        """Whether there are more detectors than fluorochromes."""
        return len(self.detectors) > len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a file offers to gates.

    ``names`` are $PnN, ``stains`` $PnS, ``factors`` what a stored value is multiplied by
    (1, or the time step), ``computed`` the columns that are no plain stored numbers, and
    ``spillover`` the file's own matrix, None where it states none or none that can be used.
    """

    names: tuple[str, ...]
    stains: tuple[str, ...]
    factors: tuple[float, ...]
    computed: frozenset[int]
    spillover: Matrix | None
    spillover_stated: bool

    def find(self, label: str) -> int | None:
        """Column of a label: $PnN, then $PnS, then $PnN as FlowJo writes it (``_`` for ``/``)."""
        for labels in (self.names, self.stains, tuple(n.replace("/", "_") for n in self.names)):
            if label in labels:
                return labels.index(label)
        return None


@dataclass(frozen=True, slots=True)
class Source:
    """One linear value: its kind, its column or columns, a matrix or a ratio's A, B, C."""

    kind: int
    columns: tuple[int, ...]
    matrix: str = ""
    ratio: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate in the program's terms.

    ``axes`` are indices into the program's axes (none for a Boolean gate), ``bounds``
    the ranges of a rectangle on them (None: open), ``corners`` a polygon's, ``centre``,
    ``covariance`` and ``distance_square`` an ellipsoid's, ``references`` a Boolean
    gate's (gate, complement). ``parent`` is -1 at the root.
    """

    name: str
    path: Path
    kind: int
    parent: int
    complement: bool = False
    axes: tuple[int, ...] = ()
    bounds: tuple[tuple[float | None, float | None], ...] = ()
    corners: NDArray[np.float64] | None = None
    centre: NDArray[np.float64] | None = None
    covariance: NDArray[np.float64] | None = None
    distance_square: float = 0.0
    references: tuple[tuple[int, bool], ...] = ()


@dataclass(slots=True, kw_only=True)
class GateProgram:
    """Gates ready for `mrd_flow.engine.run`.

    ``order`` lists the gates as the gate file does; ``gates`` as they are worked off.
    """

    columns: Columns
    matrices: dict[str, Matrix] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    axes: list[tuple[int, Scale]] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    order: tuple[int, ...] = ()

    def needed(self) -> tuple[int, ...]:
        """Columns (0-based) that any gate needs, in order."""
        used: set[int] = set()
        for source in self.sources:
            used |= set(source.columns)
            used |= set(self.matrices[source.matrix].detectors) if source.matrix else set()
        return tuple(sorted(used))

    def arrays(self, place: Mapping[int, int]) -> tuple[Any, Any, Any, Any, Any, Any]:
        """Sources, axes, gates, operands, limits and numbers as the kernel takes them.

        ``place`` maps a column of the file to a column of the chunks.
        """
        gates = self.gates
        operands, limits = self._operands()
        numbers, starts = _numbers(gates)
        first = np.cumsum([0] + [max(len(g.axes), len(g.references)) for g in gates])
        tables = [scale.table for _, scale in self.axes]
        return (
            self._sources(place),
            (
                np.array([s for s, _ in self.axes], np.int64),
                np.array([scale.kind for _, scale in self.axes], np.int64),
                np.array([scale.numbers for _, scale in self.axes], np.float64).reshape(-1, 4),
                np.cumsum([0] + [len(t) for t in tables]).astype(np.int64),
                np.concatenate([*tables, np.zeros(1)]),
                np.array([self._doubt(s, scale) for s, scale in self.axes], np.float64),
            ),
            (
                np.array([g.kind for g in gates], np.int64),
                np.array([g.parent for g in gates], np.int64),
                np.array([g.complement for g in gates], np.bool_),
                first.astype(np.int64),
                starts,
            ),
            operands,
            limits,
            numbers,
        )

    def computed(self, source: int) -> bool:
        """Whether a source is the outcome of arithmetic, and not a stored number."""
        entry = self.sources[source]
        return entry.kind != gate_codes.STORED or entry.columns[0] in self.columns.computed

    def _doubt(self, source: int, scale: Scale) -> float:
        """Error of a value on an axis: the scale's, or that of unscaled arithmetic."""
        if scale.reference is not None:
            return scale.doubt
        return _BAND if self.computed(source) else 0.0

    def _sources(self, place: Mapping[int, int]) -> tuple[Any, ...]:
        columns = np.zeros((len(self.sources), 2), np.int64)
        numbers = np.zeros((len(self.sources), 5), np.float64)
        first, weight_columns, weights = [0], [], []
        inverted = {name: m.weights() for name, m in self.matrices.items()}
        for k, source in enumerate(self.sources):
            if source.kind == gate_codes.COMPENSATED:
                matrix = self.matrices[source.matrix]
                row = matrix.rows.index(source.columns[0])
                for d, detector in enumerate(matrix.detectors):
                    weight_columns.append(place[detector])
                    weights.append(inverted[source.matrix][d, row] * self.columns.factors[detector])
            else:
                columns[k, : len(source.columns)] = [place[c] for c in source.columns]
                factors = [self.columns.factors[c] for c in source.columns]
                if source.kind == gate_codes.STORED:
                    numbers[k, 0] = factors[0]
                else:
                    numbers[k] = (*source.ratio, *factors)
            first.append(len(weights))
        return (
            np.array([s.kind for s in self.sources], np.int64),
            columns,
            numbers,
            np.array(first, np.int64),
            np.array(weight_columns, np.int64),
            np.array(weights, np.float64),
        )

    def _operands(self) -> tuple[NDArray[np.int64], tuple[NDArray[np.float64], ...]]:
        operands: list[tuple[int, int]] = []
        limits: list[tuple[float, ...]] = []
        for gate in self.gates:
            if gate.kind == gate_codes.RECTANGLE:
                for axis, (low, high) in zip(gate.axes, gate.bounds, strict=True):
                    source, scale = self.axes[axis]
                    operands.append((source, 0))
                    limits.append(self._range(source, scale, low, high))
            elif gate.references:
                operands += [(g, int(complement)) for g, complement in gate.references]
                limits += [(0.0,) * 5] * len(gate.references)
            else:
                corners = 0 if gate.corners is None else len(gate.corners)
                operands += [(axis, corners) for axis in gate.axes]
                limits += [(0.0,) * 5] * len(gate.axes)
        table = np.array(limits, np.float64).reshape(-1, 5)
        return (
            np.array(operands, np.int64).reshape(-1, 2),
            tuple(np.ascontiguousarray(table[:, c]) for c in range(5)),
        )

    def _range(self, source: int, scale: Scale, low: float | None, high: float | None) -> tuple[float, ...]:
        """A range on a scale as linear bounds, the bands around them and the largest value decided."""
        bottom = scale.floor if low is None else max(scale.floor, linear_bound(scale, low))
        top = np.inf if high is None else linear_bound(scale, high)
        certain = scale.reference is None and not self.computed(source)
        bands = [0.0 if certain or not np.isfinite(b) else _BAND * max(1.0, abs(b)) for b in (bottom, top)]
        return (bottom, top, *bands, scale.reach)


def _numbers(gates: Sequence[Gate]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Constants of polygons and ellipsoids one after another, and where each gate's begin."""
    parts: list[NDArray[np.float64]] = []
    starts = []
    for gate in gates:
        starts.append(sum(len(p) for p in parts))
        if gate.corners is not None:
            low, high = gate.corners.min(axis=0), gate.corners.max(axis=0)
            parts.append(np.concatenate([[low[0], high[0], low[1], high[1]], gate.corners.ravel()]))
        elif gate.covariance is not None and gate.centre is not None:
            inverse = np.linalg.inv(gate.covariance).ravel()
            parts.append(np.concatenate([[gate.distance_square], gate.centre, inverse]))
    return np.concatenate([*parts, np.zeros(1)]), np.array(starts, np.int64)
