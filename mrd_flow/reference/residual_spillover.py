"""Light of one marker that compensation left in, or took from, another's detector.

A gain that moved after the compensation was set mixes markers: the dark cells of one
marker rise or fall with the brightness of another. The slopes are read from the sample's
own plasma cells, marker by marker among those at its low level, less the slopes that the
reference has by itself; then the table is unmixed by them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.gaussian_mixture import weighted
from mrd_flow.reference.normal_reference import NormalReference
from mrd_flow.reference.plasma_cell_features import SCATTER_FEATURES, brightness, position

__all__ = ["residual_spillover", "unmixed"]

Floats = NDArray[np.float64]

_CELLS = 16_000
_FEWEST_CELLS = 200  # at a marker's low level, for its slopes to be estimated
_COMMON_LOW = 0.8  # share of the reference's cells: a low level that moved is found by its median
_NOTABLE = 0.6  # of the dark cells' spread: less light than this is left where it is
_SURE = 6.0  # standard errors
_LARGEST = 0.3
_WIDEST = 2.5  # spread of dark cells in those of the reference's; wider ones are not dark
_ROUNDS = 10
_TRIM = 3.0  # spreads beyond which a cell is no dark cell
_TRIM_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slopes:
    """Slope of dark markers (column) on the light of others (row), its error; spread of dark cells."""

    slope: Floats
    error: Floats
    spread: Floats


def residual_spillover(cells: Floats, reference: NormalReference) -> Floats | None:
    """Share of each marker's light (row) in each marker's detector (column), beside its own.

    Parameters
    ----------
    cells
        Features of a tube's plasma cells, float64 (n_cells, n_features).
    reference
        Of the same features.

    Returns
    -------
    numpy.ndarray or None
        Float64 (n_features, n_features) with unit diagonal, scatter left alone; None
        where nothing needs correction.
    """
    seen = cells[:: max(1, -(-len(cells) // _CELLS))]
    mixing = np.eye(cells.shape[1])
    expected = _slopes(_drawn(reference, _CELLS), reference)
    light = np.abs(brightness(np.array([reference.level(f, 1)[0] for f in reference.features])))
    for _ in range(_ROUNDS):
        found = _slopes(unmixed(seen, mixing), reference)
        excess = found.slope - expected.slope
        clear = np.abs(excess) * light[:, None] > _NOTABLE * expected.spread
        clear &= (np.abs(excess) > _SURE * found.error) & (found.spread <= _WIDEST * expected.spread)
        if not clear.any():
            break
        step = np.clip(np.where(clear, excess, 0.0), -_LARGEST, _LARGEST)
        mixing = (np.eye(len(mixing)) + step) @ mixing
    return None if (mixing == np.eye(len(mixing))).all() else mixing


def unmixed(cells: Floats, mixing: Floats) -> Floats:
    """Features of cells whose markers no longer show in each other's detectors."""
    light = brightness(cells) @ np.linalg.inv(mixing)
    changed = (mixing != np.eye(len(mixing))).any(axis=0)
    return np.asarray(np.where(changed, position(light), cells), np.float64)


def corrected(cells: Floats, reference: NormalReference) -> Floats:
    """Features of a tube's plasma cells with `residual_spillover` taken out; the same where there is none."""
    mixing = residual_spillover(cells, reference)
    return cells if mixing is None else unmixed(cells, mixing)


def _slopes(cells: Floats, reference: NormalReference) -> _Slopes:
    names = reference.features
    markers = [i for i, n in enumerate(names) if n not in SCATTER_FEATURES]
    light = brightness(cells)
    low = cells < np.array([_cut(cells[:, i], reference, names[i]) for i in range(len(names))])
    slope, error = np.zeros((2, len(names), len(names)))
    spread = np.full(len(names), np.inf)
    for j in markers:
        dark = low[:, j]
        if dark.sum() >= _FEWEST_CELLS:
            others = [i for i in markers if i != j]
            slope[others, j], error[others, j], spread[j] = _fitted(
                light[dark][:, others], low[dark][:, others], light[dark, j]
            )
    return _Slopes(slope=slope, error=error, spread=spread)


def _cut(values: Floats, reference: NormalReference, marker: str) -> float:
    """Position below which cells are at a marker's low level; -inf where it has one level."""
    (low, low_spread), (high, high_spread) = (reference.level(marker, i) for i in (0, 1))
    if high <= low or not len(values):
        return -np.inf
    at_low = np.array(reference.levels)[:, reference.features.index(marker)] == 0
    weights = np.array(reference.weights) * reference.of_plasma_cells
    share = float(weights[at_low].sum() / weights.sum())
    moved = float(np.quantile(values, share / 2)) - low if share > _COMMON_LOW else 0.0
    return low + moved + (high - low) * low_spread / (low_spread + high_spread)


def _fitted(bright: Floats, low: NDArray[np.bool_], dark: Floats) -> tuple[Floats, Floats, float]:
    """Slopes, their standard errors, and the spread about them; cells far off are left out.

    Cells at a level of another marker may be darker because of what they are, a clone's
    for one; only what rises with its light within a level is spillover.
    """
    two_levels = low.any(axis=0) & ~low.all(axis=0)
    design = np.column_stack([np.ones(len(bright)), bright, low[:, two_levels]])
    kept = np.ones(len(dark), np.bool_)
    for _ in range(_TRIM_ROUNDS):
        inverse = np.linalg.pinv(weighted(design[kept].T, design[kept]), hermitian=True)
        beta = inverse @ weighted(dark[kept][None], design[kept])[0]
        off = dark - (design * beta).sum(axis=1)
        spread = 1.4826 * float(np.median(np.abs(off[kept] - np.median(off[kept]))))
        kept = np.abs(off) <= _TRIM * max(spread, 1e-9)
    slopes = slice(1, 1 + bright.shape[1])
    return beta[slopes], spread * np.sqrt(np.maximum(np.diagonal(inverse)[slopes], 0.0)), spread


def _drawn(reference: NormalReference, size: int) -> Floats:
    """Cells as the reference has them, always the same."""
    rng = np.random.default_rng(1)
    cells = reference.of_plasma_cells
    weights = np.array(reference.weights)[cells]
    kind = np.flatnonzero(cells)[rng.choice(cells.sum(), size, p=weights / weights.sum())]
    factors = np.linalg.cholesky(reference.gaussians.covariances)
    normal = rng.standard_normal((size, len(reference.features)))
    off = np.einsum("iab,ib->ia", factors[kind], normal)
    return np.asarray(reference.gaussians.means[kind] + off, np.float64)
