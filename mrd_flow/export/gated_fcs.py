"""The events of one gate as an FCS file, with their class and deviation where these are known."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_flow.engine.run import columns_of, gated_chunks
from mrd_flow.fcs.data_sets import DEFAULT_CHUNK_EVENTS, DataSet
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.gating.tube import GatedTube
from mrd_flow.panel.program import dimensions_of, panel_program
from mrd_flow.panel.template import Panel
from pipeline.errors import DamagedFile, InputRefused, UsageError, printable

__all__ = ["CLASS_CODES", "write_gated_fcs"]

CLASS_CODES = {"normal": 0.0, "aberrant": 1.0, "not_plasma_cell": 2.0}
"""What the parameter ``nadir class`` holds; -1 for an event that was not classified."""

_ADDED = ("class", "deviation", "likelihood_ratio", "cohesion")
_NOT_CLASSIFIED = -1.0
_LARGEST = float(np.finfo(np.float32).max)
_CHUNK = DEFAULT_CHUNK_EVENTS


def write_gated_fcs(
    path: Path,
    data: DataSet,
    gated: GatedTube,
    panel: Panel,
    tube: int,
    columns: dict[str, int],
    *,
    kept: NDArray[np.bool_] | None = None,
    gate: str = "",
    cells: Path | None = None,
) -> int:
    """Write the events of one gate, in their order.

    Values are as stored (linearised by $PnE and $PnG), not compensated; $SPILLOVER,
    $TIMESTEP and $CYT are kept, and no other keyword, as these may name a person.

    Parameters
    ----------
    path
        Replaced atomically.
    data, panel, tube, columns, kept
        As given to `mrd_flow.gating.tube.gate_tube`, with ``gated`` its result.
    gate
        Whose events; the plasma cells if empty.
    cells
        Table of `mrd_flow.plasma_cells.merged.write_cells`: class, deviation, likelihood ratio and
        cohesion are added as parameters.

    Returns
    -------
    int
        Events written.

    Raises
    ------
    UsageError
        If there is no such gate.
    InputRefused, DamagedFile
        If the table cannot be read, or the file became shorter.
    """
    gate = gate or panel.plasma_cell_gate
    if gate not in {g.name for g in gated.gates}:
        raise UsageError(f"tube {tube} has no such gate. There are: {', '.join(g.name for g in gated.gates)}")
    added = None if cells is None else _read_cells(cells, tube)
    names = [_word(p.name, f"P{i}") for i, p in enumerate(data.parameters, start=1)]
    written = [
        Column(name=n, stain=_word(p.stain, ""), range=_range(p.range))
        for n, p in zip(names, data.parameters, strict=True)
    ]
    if added is not None:
        written += [Column(name=f"nadir {name.replace('_', ' ')}", range=1024) for name in _ADDED]
    spillover = data.spillover
    events = gated.count(gate)
    write_fcs(
        path,
        written,
        _rows(data, gated, panel, columns, kept, gate, added),
        events=events,
        spillover=None if spillover is None else ([names[c] for c in spillover.columns], spillover.matrix),
        keywords=_kept_keywords(data),
    )
    return events


def _rows(
    data: DataSet,
    gated: GatedTube,
    panel: Panel,
    columns: dict[str, int],
    kept: NDArray[np.bool_] | None,
    gate: str,
    added: Mapping[int, tuple[float, ...]] | None,
) -> Iterator[NDArray[np.float32]]:
    offered = columns_of(data)
    program = panel_program(gated.gates, dimensions_of(panel, columns, offered), offered)
    number = [g.name for g in gated.gates].index(gate)
    chunks = zip(gated_chunks(data, program, events=_CHUNK), data.chunks(events=_CHUNK), strict=True)
    for decided, stored in chunks:
        inside = decided.members[number]
        if kept is not None:
            inside = inside & kept[decided.first :][: len(inside)]
        rows = np.flatnonzero(inside)
        events = stored[rows]
        if added is not None:
            none = (_NOT_CLASSIFIED, 0.0, 0.0, 0.0)
            more = np.array([added.get(int(r) + decided.first, none) for r in rows], np.float32)
            events = np.hstack([events, more.reshape(-1, len(_ADDED))])
        yield events


def _read_cells(path: Path, tube: int) -> dict[int, tuple[float, ...]]:
    """What was said of the cells of one tube, by 0-based event number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=["tube", "event", *_ADDED])
    except OSError as error:
        raise InputRefused("the table of cells cannot be read", path=path) from error
    except pa.ArrowException as error:
        raise DamagedFile("not a table of nadir flow mrd --events", path=path) from error
    of_it = table.filter(pa.compute.equal(table["tube"], tube)).to_pydict()
    try:
        classes = [CLASS_CODES[name] for name in of_it["class"]]
    except KeyError as error:
        raise DamagedFile("the table of cells has a class that is not known", path=path) from error
    numbers = [[_finite(v) for v in of_it[name]] for name in _ADDED[1:]]
    return dict(zip(of_it["event"], zip(classes, *numbers, strict=True), strict=True))


def _finite(value: float | None) -> float:
    """FCS has no empty value: one that is missing, no clone having been found, is 0."""
    return 0.0 if value is None else min(max(value, -_LARGEST), _LARGEST)


def _kept_keywords(data: DataSet) -> list[tuple[str, str]]:
    """Keywords that other programs need and that name nobody."""
    pairs = [(k, _word(data.keywords.get(k, ""), "")) for k in ("$CYT", "$TIMESTEP")]
    return [(k, v) for k, v in pairs if v]


def _word(text: str, otherwise: str) -> str:
    """A text that can stand in TEXT: no control character, comma, or delimiter at an end."""
    return printable(text).replace(",", ";").replace("/", "|").strip() or otherwise


def _range(value: float) -> int:
    return math.ceil(value) if 1 <= value < 1e15 else 262144
