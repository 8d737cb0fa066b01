"""From FlowKit's parsed gates to the entries of a gate program."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mrd_flow.engine import gate_codes
from mrd_flow.engine.program import Columns, Gate, GateProgram, Matrix, Path, Source
from mrd_flow.engine.transforms import scale_of
from pipeline.errors import InputRefused, printable

__all__ = ["compile_gates"]

_UNCOMPENSATED = (None, "uncompensated")
_FILE_MATRIX = "FCS"
_BOOLEAN = {"and": gate_codes.ALL_OF, "or": gate_codes.ANY_OF, "not": gate_codes.NONE_OF}


def compile_gates(strategy: Any, columns: Columns, *, sample_id: str | None = None) -> GateProgram:
    """Compile a FlowKit gating strategy for a file.

    Parameters
    ----------
    strategy
        ``flowkit.GatingStrategy``.
    columns
        What the file offers.
    sample_id
        Whose own gates of a FlowJo workspace are taken; None for the common ones.

    Raises
    ------
    InputRefused
        If a gate names a parameter, matrix or transform that there is not, or is of a
        kind that the engine does not know.
    """
    return _Compiler(strategy, columns, sample_id).compiled()


class _Compiler:
    """Collects sources, axes and gates, each once."""

    def __init__(self, strategy: Any, columns: Columns, sample_id: str | None) -> None:
        self.strategy = strategy
        self.sample_id = sample_id
        self.program = GateProgram(columns=columns)
        self.source_of: dict[Source, int] = {}
        self.axis_of: dict[tuple[int, str | None], int] = {}
        self.makers: dict[Path, Callable[[], Gate]] = {}
        self.index: dict[Path, int] = {}

    def compiled(self) -> GateProgram:
        from flowkit.exceptions import QuadrantReferenceError

        for name, above in self.strategy.get_gate_ids():
            try:
                gate = self.strategy.get_gate(name, above, sample_id=self.sample_id)
            except QuadrantReferenceError:
                continue  # entered with its quadrant gate
            self._enter(gate, name, tuple(above))
        order = [self._made(path, ()) for path in self.makers]
        self.program.order = tuple(order)
        return self.program

    def _enter(self, gate: Any, name: str, above: Path) -> None:
        if gate.gate_type == "QuadrantGate":
            for quadrant in gate.quadrants.values():
                self.makers[(*above, name, quadrant.id)] = partial(self._quadrant, gate, quadrant, above)
        else:
            self.makers[(*above, name)] = partial(self._plain, gate, name, above)

    def _made(self, path: Path, waiting: tuple[Path, ...]) -> int:
        """Index of a gate, made after its parent and references."""
        if path in self.index:
            return self.index[path]
        if path not in self.makers:
            raise _absent("gate", path[-1])
        if path in waiting:
            raise InputRefused(f"gate {printable(path[-1])[:60]} refers to itself")
        above = path[:-1] if path[:-1] in self.makers or len(path) <= 2 else path[:-2]
        if len(above) > 1:
            self._made(above, (*waiting, path))
        for reference in self._references(path):
            self._made(reference, (*waiting, path))
        self.program.gates.append(self.makers[path]())
        self.index[path] = len(self.program.gates) - 1
        return self.index[path]

    def _references(self, path: Path) -> list[Path]:
        from flowkit.exceptions import QuadrantReferenceError

        try:
            gate = self.strategy.get_gate(path[-1], path[:-1], sample_id=self.sample_id)
        except QuadrantReferenceError:
            return []
        return [(*r["path"], r["ref"]) for r in getattr(gate, "gate_refs", ())]

    def _parent(self, above: Path) -> int:
        return self.index[above] if len(above) > 1 else -1

    def _plain(self, gate: Any, name: str, above: Path) -> Gate:
        common: dict[str, Any] = {"name": name, "path": above, "parent": self._parent(above)}
        match gate.gate_type:
            case "RectangleGate":
                # a ratio's dimension has no attribute where it has no bound
                bounds = tuple((getattr(d, "min", None), getattr(d, "max", None)) for d in gate.dimensions)
                common |= {"kind": gate_codes.RECTANGLE, "bounds": bounds, "complement": gate.use_complement}
            case "PolygonGate":
                corners = np.array(gate.vertices, np.float64)
                if corners.ndim != 2 or corners.shape[1] != 2 or len(gate.dimensions) != 2:
                    raise InputRefused(f"polygon {printable(name)[:60]} is not of two dimensions")
                common |= {"kind": gate_codes.POLYGON, "corners": corners, "complement": gate.use_complement}
            case "EllipsoidGate":
                common |= {
                    "kind": gate_codes.ELLIPSOID,
                    "centre": np.array(gate.coordinates, np.float64),
                    "covariance": np.array(gate.covariance_matrix, np.float64),
                    "distance_square": float(gate.distance_square),
                }
            case "BooleanGate":
                if not gate.gate_refs:
                    raise InputRefused(f"Boolean gate {printable(name)[:60]} refers to no gate")
                used = gate.gate_refs[:1] if gate.type == "not" else gate.gate_refs
                references = tuple((self.index[(*r["path"], r["ref"])], bool(r["complement"])) for r in used)
                return Gate(kind=_BOOLEAN[gate.type], references=references, **common)
            case other:
                raise InputRefused(f"gates of kind {printable(str(other))[:40]} are not known to the engine")
        return Gate(axes=self._axes(gate), **common)

    def _quadrant(self, gate: Any, quadrant: Any, above: Path) -> Gate:
        axes = dict(zip([d.id for d in gate.dimensions], self._axes(gate), strict=True))
        return Gate(
            name=quadrant.id,
            path=above,
            kind=gate_codes.RECTANGLE,
            parent=self._parent(above),
            axes=tuple(axes[r] for r in quadrant.divider_refs),
            bounds=tuple(quadrant.get_divider_range(r) for r in quadrant.divider_refs),
        )

    def _axes(self, gate: Any) -> tuple[int, ...]:
        named = {d.compensation_ref for d in gate.dimensions} - set(_UNCOMPENSATED)
        if len(named) > 1:
            raise InputRefused(
                f"gate {printable(gate.gate_name)[:60]} uses several compensation matrices",
                expected="one matrix for all dimensions of a gate",
            )
        matrix = self._matrix(str(named.pop())) if named else ""
        return tuple(self._axis(d, matrix) for d in gate.dimensions)

    def _axis(self, dimension: Any, matrix: str) -> int:
        if hasattr(dimension, "ratio_ref"):
            source = self._ratio(dimension.ratio_ref)
        else:
            label = getattr(dimension, "dimension_ref", None) or dimension.id
            column = self._column(label, dimension.compensation_ref)
            source = Source(gate_codes.STORED, (column,))
            if matrix and column in self.program.matrices[matrix].rows:
                source = Source(gate_codes.COMPENSATED, (column,), matrix)
        if source not in self.source_of:
            self.source_of[source] = len(self.program.sources)
            self.program.sources.append(source)
        key = (self.source_of[source], dimension.transformation_ref)
        if key not in self.axis_of:
            self.axis_of[key] = len(self.program.axes)
            scale = scale_of(None if key[1] is None else self._transform(key[1]))
            self.program.axes.append((key[0], scale))
        return self.axis_of[key]

    def _ratio(self, name: str) -> Source:
        ratio = self._transform(name)
        columns = [self.program.columns.find(label) for label in ratio.dimensions]
        if columns[0] is None or columns[1] is None:
            raise _absent("parameter", ratio.dimensions[0 if columns[0] is None else 1])
        numbers = (float(ratio.param_a), float(ratio.param_b), float(ratio.param_c))
        return Source(gate_codes.RATIO, (columns[0], columns[1]), ratio=numbers)

    def _column(self, label: str, compensation: str | None) -> int:
        found = self.program.columns.find(label)
        if found is not None:
            return found
        # A compensated dimension may be named after the fluorochrome of its matrix.
        matrix = None if compensation in _UNCOMPENSATED else self.strategy.comp_matrices.get(compensation)
        fluorochromes = list(getattr(matrix, "fluorochromes", ()))
        if matrix is not None and label in fluorochromes:
            found = self.program.columns.find(matrix.detectors[fluorochromes.index(label)])
        if found is None:
            raise _absent("parameter", label)
        return found

    def _transform(self, name: str) -> Any:
        if name not in self.strategy.transformations:
            raise _absent("transform", name)
        return self.strategy.transformations[name]

    def _matrix(self, name: str) -> str:
        """Enter a matrix under its name; empty where the file's own is asked for and there is none."""
        if name not in self.program.matrices:
            made = self._file_matrix() if name == _FILE_MATRIX else self._named_matrix(name)
            if made is None:
                return ""
            self.program.matrices[name] = made
        return name

    def _file_matrix(self) -> Matrix | None:
        columns = self.program.columns
        if columns.spillover is None and columns.spillover_stated:
            raise InputRefused(
                "a gate needs the file's spillover matrix, which cannot be used",
                remedy="see `nadir flow inspect` for the reason, and give the gates a matrix of their own",
            )
        return columns.spillover  # none stated: uncompensated (Gating-ML 2.0, compensation-ref FCS)

    def _named_matrix(self, name: str) -> Matrix | None:
        if name not in self.strategy.comp_matrices:
            raise _absent("matrix", name)
        matrix = self.strategy.comp_matrices[name]
        if matrix is None:
            return None
        found = [(label, self.program.columns.find(label)) for label in matrix.detectors]
        missing = [label for label, column in found if column is None]
        if missing:
            raise _absent("detector", missing[0])
        detectors = tuple(column for _, column in found if column is not None)
        values = np.array(matrix.matrix, np.float64)
        if values.ndim != 2 or values.shape[1] != len(detectors) or not np.isfinite(values).all():
            raise InputRefused(f"matrix {printable(name)[:60]} is no table of numbers for its detectors")
        if np.linalg.matrix_rank(values) < len(values):
            raise InputRefused(f"matrix {printable(name)[:60]} cannot be inverted")
        return Matrix(rows=detectors[: len(values)], detectors=detectors, values=values)


def _absent(what: str, label: str) -> InputRefused:
    return InputRefused(f"a gate needs {what} {printable(str(label))[:60]!r}, which there is not")
