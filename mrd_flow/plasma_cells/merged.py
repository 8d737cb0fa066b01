"""One table of the plasma cells of all tubes, with the markers of one tube imputed in the other.

A cell's missing marker is that of the nearest cell, by the markers both tubes have, among
the other tube's cells of the same class. It is a picture, not a measurement: every imputed value is
marked, nothing is counted from them, and light chains are never imputed, so that none
can reach a test of clonality.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.atomic import replacing

__all__ = ["LIGHT_CHAINS", "MergedCells", "TubeCells", "merge_tubes", "write_cells"]

LIGHT_CHAINS = ("cyKappa", "cyLambda")


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeCells:
    """The classified plasma cells of one tube (1-based).

    ``values`` float64 (n_cells, n_dimensions); ``events`` their 0-based event numbers;
    ``classes`` one word a cell; ``deviation``, ``likelihood_ratio`` and ``cohesion``
    float64 (n_cells,).
    """

    tube: int
    dimensions: tuple[str, ...]
    values: NDArray[np.float64]
    events: NDArray[np.int64]
    classes: NDArray[np.str_]
    deviation: NDArray[np.float64]
    likelihood_ratio: NDArray[np.float64]
    cohesion: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedCells:
    """All cells, tube after tube, over the dimensions of any tube.

    ``values`` and ``imputed`` have shape (n_cells, n_dimensions). A value that is neither
    measured nor imputed is NaN here and empty (null) in the file.
    """

    tubes: tuple[TubeCells, ...]
    dimensions: tuple[str, ...]
    values: NDArray[np.float64]
    imputed: NDArray[np.bool_]


def merge_tubes(tubes: Sequence[TubeCells]) -> MergedCells:
    """Join the tubes and impute what one of them did not stain."""
    dimensions = tuple(dict.fromkeys(d for t in tubes for d in t.dimensions))
    cells = sum(len(t.values) for t in tubes)
    values = np.full((cells, len(dimensions)), np.nan)
    imputed = np.zeros((cells, len(dimensions)), np.bool_)
    first = 0
    for tube in tubes:
        rows = slice(first, first + len(tube.values))
        for column, dimension in enumerate(dimensions):
            if dimension in tube.dimensions:
                values[rows, column] = tube.values[:, tube.dimensions.index(dimension)]
        for donor in tubes:
            if donor is not tube:
                _impute(tube, donor, dimensions, values[rows], imputed[rows])
        first += len(tube.values)
    return MergedCells(tubes=tuple(tubes), dimensions=dimensions, values=values, imputed=imputed)


def write_cells(path: Path, merged: MergedCells) -> None:
    """Write one row per plasma cell as Parquet.

    Columns ``tube``, ``event`` (0-based), ``class``, ``deviation``, ``likelihood_ratio``,
    ``cohesion``, one per scatter parameter and marker, and ``NAME_imputed`` for each
    marker that some tube did not stain. Same cells, same bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tubes = merged.tubes
    columns: dict[str, object] = {
        "tube": pa.array(np.concatenate([np.full(len(t.values), t.tube, np.int64) for t in tubes])),
        "event": pa.array(np.concatenate([t.events for t in tubes])),
        "class": pa.array([str(c) for t in tubes for c in t.classes], pa.string()),
    }
    for name in ("deviation", "likelihood_ratio", "cohesion"):
        columns[name] = _filled(np.concatenate([getattr(t, name) for t in tubes]))
    for column, dimension in enumerate(merged.dimensions):
        columns[dimension] = _filled(merged.values[:, column])
        if any(dimension not in t.dimensions for t in tubes):
            columns[f"{dimension}_imputed"] = pa.array(merged.imputed[:, column])
    table = pa.table(columns)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=max(1, len(table)))


def _impute(
    tube: TubeCells,
    donor: TubeCells,
    dimensions: tuple[str, ...],
    values: NDArray[np.float64],
    imputed: NDArray[np.bool_],
) -> None:
    """Fill ``values`` of one tube, in place, from the nearest cells of another."""
    missing = [d for d in donor.dimensions if d not in tube.dimensions and d not in LIGHT_CHAINS]
    common = [d for d in donor.dimensions if d in tube.dimensions]
    if not missing or not common:
        return
    for kind in np.unique(tube.classes):
        takers, givers = np.flatnonzero(tube.classes == kind), np.flatnonzero(donor.classes == kind)
        if not len(givers):
            continue
        nearest = givers[_nearest(_columns(tube, common)[takers], _columns(donor, common)[givers])]
        for dimension in missing:
            column = dimensions.index(dimension)
            values[takers, column] = donor.values[nearest, donor.dimensions.index(dimension)]
            imputed[takers, column] = True


def _nearest(takers: NDArray[np.float64], givers: NDArray[np.float64]) -> NDArray[np.intp]:
    """Row of the nearest giver of each taker, every dimension in units of the givers' spread."""
    from scipy.spatial import cKDTree

    spread = givers.std(axis=0)
    spread[spread == 0] = 1.0
    return np.asarray(cKDTree(givers / spread).query(takers / spread)[1], np.intp)


def _columns(tube: TubeCells, names: Sequence[str]) -> NDArray[np.float64]:
    return tube.values[:, [tube.dimensions.index(n) for n in names]]


def _filled(values: NDArray[np.float64]) -> object:
    """A column in which what is not a finite number is empty."""
    import pyarrow as pa

    return pa.array(values, mask=~np.isfinite(values))
