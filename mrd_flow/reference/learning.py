"""Learning the reference of normal plasma cells from marrows without disease.

Each antigen's cells are split into a low and a high level where there are two
(`mrd_flow.reference.antigen_levels`); every combination of levels that occurs is a component. Rare
combinations borrow their position and spread from the levels they are made of. Marrows
are brought onto each other level by level, and what remains between them is kept as the
spread that a new sample may show. Cells that fit none of it become a few wide components.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Logicle
from mrd_flow.reference.adaptation import AdaptedReference, adapt, unadapted
from mrd_flow.reference.antigen_levels import first_reference
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, log_sum, moments, shares
from mrd_flow.reference.normal_reference import TAIL, NormalReference
from mrd_flow.reference.plasma_cell_features import feature_names, features

__all__ = ["learn_reference"]

Floats = NDArray[np.float64]
_T = TypeVar("_T")

_WEIGHT_CELLS = 300.0  # of each sort, for which the shares it started with count
_MEAN_CELLS = 1_000.0  # cells that the levels' own position counts for
_SPREAD_CELLS = 1_000.0  # cells that the levels' own spread counts for
_ALIGNMENTS = 3
_FIT_ROUNDS = 5
_CHUNK_CELLS = 25_000
_SORT_SPREAD = (0.3, 2.5)  # least and most, ln units
_WEIGHT_SPREAD = (0.3, 1.0)  # people differ more than simulated ones
_OTHER_SPREAD = 2.0
_FREE = 3.0  # spread under which a marrow shows its own weights
_NARROWEST_SHIFT = 0.005


def learn_reference(
    tables: Sequence[Floats],
    dimensions: tuple[str, ...],
    scales: Mapping[str, Logicle],
    *,
    panel: str,
    tube: int,
    version: str = "1",
    command: str = "",
    unverified: str = "",
    cells_per_marrow: int = 50_000,
) -> NormalReference:
    """Learn the normal plasma cells of one tube.

    Parameters
    ----------
    tables
        Plasma cells of marrows without disease, one table each, float64
        (n_cells, n_dimensions).
    dimensions
        Their columns.
    scales
        Logicle scale of every marker.
    panel, tube, version, command, unverified
        What the reference says about itself.
    cells_per_marrow
        Of a larger table evenly spaced cells are used.

    Returns
    -------
    NormalReference

    Raises
    ------
    ValueError
        If there are fewer than two marrows or 1,000 cells.
    """
    marrows = [features(t[:: max(1, -(-len(t) // cells_per_marrow))], dimensions, scales) for t in tables]
    marrows = [m for m in marrows if len(m)]
    if len(marrows) < 2 or sum(map(len, marrows)) < 1_000:
        raise ValueError("a reference needs at least two marrows and 1,000 plasma cells")
    cells = np.concatenate(marrows)
    reference = first_reference(cells, feature_names(dimensions), panel=panel, tube=tube)
    within = _within_sorts(reference)  # what the levels alone give; rare sorts keep near it
    for _ in range(_ALIGNMENTS):
        adapted = [adapt(reference, m) for m in marrows]
        shifts = np.array([a.shifts for a in adapted])
        shifts -= shifts.mean(axis=0)
        cells = np.concatenate([_aligned(m, a, s) for m, a, s in zip(marrows, adapted, shifts, strict=True)])
        reference = _fitted(reference, cells, within)
        spread = np.maximum(shifts.std(axis=0, ddof=1), _NARROWEST_SHIFT)
        reference = replace(reference, shift_spread=tuple(map(tuple, spread.tolist())))
    reference = _with_weight_spreads(reference, marrows)
    return _rounded(
        replace(
            reference,
            version=version,
            command=command,
            unverified=unverified,
            marrows=len(marrows),
            cells=len(cells),
            deviances=_deviances(reference, cells),
        )
    )


def _aligned(cells: Floats, adapted: AdaptedReference, shifts: Floats) -> Floats:
    """Cells moved back by their levels' shifts in this marrow, weighted by what they may be."""
    high = np.array(adapted.reference.levels)
    moved = []
    for part in _chunks(cells):
        posterior, _ = shares(adapted.log_weights[:, None] + log_densities(part, adapted.gaussians))
        is_high = posterior.T @ high
        moved.append(part - (is_high * shifts[:, 1] + (1 - is_high) * shifts[:, 0]))
    return np.concatenate(moved)


def _within_sorts(reference: NormalReference) -> Floats:
    """Share of each component in its sort."""
    sorts, group = np.unique(np.array(reference.sorts), return_inverse=True)
    weights = np.array(reference.weights)
    return np.asarray(weights / np.bincount(group, weights, len(sorts))[group], np.float64)


def _fitted(reference: NormalReference, cells: Floats, within: Floats) -> NormalReference:
    prior = reference.gaussians
    fitted = unadapted(reference)
    sorts, group = np.unique(np.array(reference.sorts), return_inverse=True)
    for _ in range(_FIT_ROUNDS):
        counts, sums, products = _sums(cells, fitted)
        means = (sums + _MEAN_CELLS * prior.means) / (counts + _MEAN_CELLS)[:, None]
        scatter = products - counts[:, None, None] * means[:, :, None] * means[:, None, :]
        gap = (sums - counts[:, None] * means)[:, :, None] * means[:, None, :]
        scatter -= gap + np.swapaxes(gap, 1, 2)
        off = means - prior.means
        scatter += _MEAN_CELLS * off[:, :, None] * off[:, None, :]
        covariances = (scatter + _SPREAD_CELLS * prior.covariances) / (counts + _SPREAD_CELLS)[:, None, None]
        of_sort = np.maximum(np.bincount(group, counts, len(sorts))[group], 0.5)
        share = (counts + _WEIGHT_CELLS * within) / (of_sort + _WEIGHT_CELLS)
        log_weights = np.log(of_sort * share / len(cells))
        fitted = replace(
            fitted, gaussians=Gaussians(means=means, covariances=covariances), log_weights=log_weights
        )
    return replace(
        reference,
        weights=tuple(np.exp(fitted.log_weights).tolist()),
        means=tuple(map(tuple, fitted.gaussians.means.tolist())),
        covariances=tuple(tuple(map(tuple, c)) for c in fitted.gaussians.covariances.tolist()),
    )


def _sums(cells: Floats, fitted: AdaptedReference) -> tuple[Floats, Floats, Floats]:
    """Cells, sums and sums of products of each component's cells."""
    size, features = fitted.gaussians.means.shape
    counts, sums, products = np.zeros(size), np.zeros((size, features)), np.zeros((size, features, features))
    for part in _chunks(cells):
        posterior, _ = shares(fitted.log_weights[:, None] + log_densities(part, fitted.gaussians))
        for k, share in enumerate(posterior):
            total, mean, scatter = moments(part, share)
            counts[k] += total
            sums[k] += total * mean
            products[k] += scatter + total * np.outer(mean, mean)
    return counts, sums, products


def _with_weight_spreads(reference: NormalReference, marrows: Sequence[Floats]) -> NormalReference:
    """Spread of the weights between marrows beyond that of counting, held within limits."""
    sorts, group = np.unique(np.array(reference.sorts), return_inverse=True)
    free = replace(
        reference,
        weight_spread=(_FREE,) * len(group),
        sort_spread=(_FREE,) * len(sorts),
    )
    weights = np.exp([adapt(free, m).log_weights for m in marrows])
    sizes = np.array([float(len(m)) for m in marrows])[:, None]
    of_sort = np.array([np.bincount(group, w, len(sorts)) for w in weights])
    within = weights / of_sort[:, group]
    sort_spread = np.array(_excess_spread(of_sort, sizes, _SORT_SPREAD))
    sort_spread[sorts < 0] = _OTHER_SPREAD  # goes with the share of plasma cells, not with the person
    return replace(
        reference,
        sort_spread=tuple(sort_spread.tolist()),
        weight_spread=_excess_spread(within, sizes * of_sort[:, group], _WEIGHT_SPREAD),
    )


def _excess_spread(weights: Floats, cells: Floats, limits: tuple[float, float]) -> tuple[float, ...]:
    """Standard deviation in ln units of weights (n_marrows, n), each among ``cells`` cells."""
    precision = cells / cells.sum(axis=0)
    mean = (precision * weights).sum(axis=0)
    variance = (precision * (weights - mean) ** 2).sum(axis=0) / (1 - (precision**2).sum(axis=0))
    counting = (precision * mean / cells).sum(axis=0)
    excess = np.maximum(variance - counting, 0.0) / mean**2
    return tuple(np.clip(np.sqrt(np.log1p(excess)), *limits).tolist())


def _deviances(reference: NormalReference, cells: Floats) -> tuple[float, ...]:
    log_weights = np.log(np.array(reference.weights))[:, None]
    density = [log_sum(log_weights + log_densities(part, reference.gaussians)) for part in _chunks(cells)]
    return tuple(np.quantile(-np.concatenate(density), 1 - np.array(TAIL)).tolist())


def _rounded(reference: NormalReference) -> NormalReference:
    """Six significant digits: finer than any marrow, and a file a third as long."""
    names = (
        "weights",
        "sort_spread",
        "weight_spread",
        "means",
        "covariances",
        "shift_spread",
        "deviances",
    )
    return replace(reference, **{n: _short(getattr(reference, n)) for n in names})


def _short(value: _T) -> _T:
    if isinstance(value, tuple):
        return type(value)(map(_short, value))
    return type(value)(f"{value:.6g}")  # type: ignore[call-arg]


def _chunks(cells: Floats) -> list[Floats]:
    return [cells[first : first + _CHUNK_CELLS] for first in range(0, len(cells), _CHUNK_CELLS)]
