"""Which antigens of normal plasma cells have a low and a high level, and the first guess of a reference."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.gaussian_mixture import shares
from mrd_flow.reference.normal_reference import TAIL, NormalReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS

__all__ = ["first_reference"]

Floats = NDArray[np.float64]

SORT_ANTIGENS = ("CD19", "CD45", "CD56")
"""Antigens whose shares among normal plasma cells differ most between people (Liu, J Clin Pathol 2012)."""

_ONE_LEVEL = ("CD38", "CD138", "FSC-A", "FSC-H/FSC-A", "SSC-A")  # gated on, or continuous
_ROUNDS = 40
_SMALLEST_LEVEL = 1e-3  # share of cells
_LEVEL_DISTANCE = 2.0  # standard deviations (mean of the two levels') between two levels
_FEWEST_CELLS = 5  # of a sort
_SMALLEST_CHAINS = 0.01  # share of cells with a combination of light chains that any sort may have
_POOLED_CELLS = 50.0  # for which the shares among all cells count in those of a sort
_WIDE_VARIANCE = 6.0  # of the component for everything else, in variances of all cells
_PAIR_SIZES = (1.6, 2.2)  # forward area of pairs of cells, in medians of plasma cells
_PAIR_SPREAD = 0.2  # of their ln forward area
_OTHER_WEIGHT = 1e-3
_SHIFT_START = 0.05  # assumed before the marrows show how far levels move
_SPREAD_START = (1.0, 0.3)  # of sorts, and within sorts, ln units


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levels:
    """Level of each cell and feature, and where the levels lie: both (n_features, 2)."""

    of_cell: NDArray[np.int64]
    means: Floats
    variances: Floats


def first_reference(cells: Floats, names: tuple[str, ...], *, panel: str, tube: int) -> NormalReference:
    """A component for every combination of antigen levels among pooled normal plasma cells.

    Parameters
    ----------
    cells, names
        Features (n_cells, n_features) and their names.
    panel, tube
        Which tube (1-based).

    Returns
    -------
    NormalReference
        Positions and spreads of a combination are those of its levels, taken singly; the
        last three components are for pairs of cells and for everything else.
    """
    levels = _levels(cells, names)
    combinations, counts = _combinations(levels.of_cell, names)
    split = [f for f in range(len(names)) if levels.of_cell[:, f].any()]
    at = np.arange(len(names))
    spreads = np.sqrt(levels.variances[at, combinations])
    covariances = _within_correlation(cells, levels) * spreads[:, :, None] * spreads[:, None, :]
    other_means, other_covariances = _others(cells, names)
    labels = [" ".join(f"{names[f]}{'+' if row[f] else '-'}" for f in split) or "all" for row in combinations]
    keys = [tuple(int(row[names.index(a)]) for a in SORT_ANTIGENS if a in names) for row in combinations]
    order = sorted(set(keys))
    extra = len(other_means)
    return NormalReference(
        panel=panel,
        tube=tube,
        version="",
        command="",
        unverified="",
        marrows=0,
        cells=0,
        features=names,
        names=(*labels, *(("pair",) * (extra - 1)), "other"),
        levels=(*(tuple(map(int, row)) for row in combinations), *((0,) * len(names),) * extra),
        sorts=(*(order.index(k) for k in keys), *(-1,) * extra),
        weights=(*(counts / counts.sum()).tolist(), *(_OTHER_WEIGHT,) * extra),
        sort_spread=(_SPREAD_START[0],) * (len(order) + 1),
        weight_spread=(_SPREAD_START[1],) * (len(labels) + extra),
        means=tuple(map(tuple, [*levels.means[at, combinations].tolist(), *other_means])),
        covariances=tuple(
            tuple(map(tuple, c)) for c in np.concatenate([covariances, other_covariances]).tolist()
        ),
        shift_spread=((_SHIFT_START, _SHIFT_START),) * len(names),
        deviances=(0.0,) * len(TAIL),
    )


def _combinations(of_cell: NDArray[np.int64], names: tuple[str, ...]) -> tuple[NDArray[np.int64], Floats]:
    """Combinations of levels and the cells of each, rare and unseen ones by what they are made of.

    A sort that is rare in the marrows learned from may be common in the next person, and
    its cells without CD27, say, with it: every sort is joined with every combination of
    the other antigens that any sort has, and holds at least the cells that its size and
    the others' shares in it would give.
    """
    of_sort = [names.index(a) for a in SORT_ANTIGENS if a in names]
    others = [f for f in range(len(names)) if f not in of_sort]
    chains = [f for f in others if names[f] in LIGHT_CHAINS]
    loose = [f for f in others if f not in chains]
    kept = []
    for columns in (of_sort, loose, chains):
        seen, cells = np.unique(of_cell[:, columns], axis=0, return_counts=True)
        kept.append(seen[cells >= max(_FEWEST_CELLS, _SMALLEST_CHAINS * len(of_cell) * (columns is chains))])
    if loose:
        kept[1] = np.array(list(product(*([0, 1] if of_cell[:, f].any() else [0] for f in loose))))
    rows, counts = [], []
    for sort in kept[0]:
        own = of_cell[(of_cell[:, of_sort] == sort).all(axis=1)]
        expected_high = (own.sum(axis=0) + _POOLED_CELLS * of_cell.mean(axis=0)) / (len(own) + _POOLED_CELLS)
        for rest, chain in product(kept[1], kept[2]):
            row = np.empty(len(names), np.int64)
            row[of_sort], row[loose], row[chains] = sort, rest, chain
            share = np.where(row == 1, expected_high, 1 - expected_high)[loose].prod()
            of_chain = (of_cell[:, chains] == chain).all(axis=1).mean()
            rows.append(row)
            counts.append(max(float((own == row).all(axis=1).sum()), len(own) * share * of_chain))
    return np.array(rows), np.array(counts)


def _others(cells: Floats, names: tuple[str, ...]) -> tuple[list[list[float]], Floats]:
    """Pairs of cells, larger than one plasma cell, and everything else: means and covariances."""
    mean, covariance = cells.mean(axis=0), np.cov(cells.T)
    means, covariances = [mean.tolist()], [_WIDE_VARIANCE * covariance]
    for size in _PAIR_SIZES if "FSC-A" in names else ():
        at = names.index("FSC-A")
        pair, spread = mean.copy(), covariance.copy()
        pair[at] += np.log(size)
        spread[at], spread[:, at] = 0.0, 0.0
        spread[at, at] = _PAIR_SPREAD**2
        means.insert(0, pair.tolist())
        covariances.insert(0, spread)
    return means, np.array(covariances)


def _levels(cells: Floats, names: tuple[str, ...]) -> _Levels:
    of_cell = np.zeros(cells.shape, np.int64)
    means, variances = np.empty((len(names), 2)), np.empty((len(names), 2))
    for f, name in enumerate(names):
        column = cells[:, f]
        high = None if name in _ONE_LEVEL else _two_levels(column)
        for level in (0, 1):
            members = column if high is None else column[high == bool(level)]
            means[f, level], variances[f, level] = np.median(members), members.var()
        if high is not None:
            of_cell[:, f] = high
    return _Levels(of_cell=of_cell, means=means, variances=variances)


def _two_levels(column: Floats) -> NDArray[np.bool_] | None:
    """Which cells are high, by the best of three mixtures of two Gaussians; None where there is one level."""
    low, middle, high = np.quantile(column, [0.01, 0.5, 0.99])
    fits = [_fit_two(column, *start) for start in ((low, middle), (middle, high), (low, high))]
    good = [f for f in fits if f is not None]
    return max(good, key=lambda f: f[0])[1] if good else None


def _fit_two(column: Floats, low: float, high: float) -> tuple[float, NDArray[np.bool_]] | None:
    mean = np.array([low, high])
    variance = np.full(2, (high - low) ** 2 / 16 + 1e-9)
    weight = np.array([0.5, 0.5])
    posterior, density = np.empty((2, 0)), np.empty(0)
    for _ in range(_ROUNDS):
        distance = (column - mean[:, None]) ** 2 / variance[:, None] + np.log(variance)[:, None]
        posterior, density = shares(np.log(weight)[:, None] - 0.5 * distance)
        counts = posterior.sum(axis=1)
        if counts.min() < _SMALLEST_LEVEL * len(column):
            return None
        mean = posterior @ column / counts
        variance = (posterior * (column - mean[:, None]) ** 2).sum(axis=1) / counts + 1e-9
        weight = counts / counts.sum()
    if mean[1] - mean[0] < _LEVEL_DISTANCE * np.sqrt(variance).mean():
        return None
    high_cells = ((posterior[1] > posterior[0]) & (column > mean[0])) | (column > mean[1])
    return float(density.mean()), np.asarray(high_cells)


def _within_correlation(cells: Floats, levels: _Levels) -> Floats:
    at = np.arange(cells.shape[1])
    centred = (cells - levels.means[at, levels.of_cell]) / np.sqrt(levels.variances[at, levels.of_cell])
    return np.asarray(np.corrcoef(centred.T), np.float64)
