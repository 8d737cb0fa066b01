"""Moving a reference of normal plasma cells onto one sample: positions of the levels, weights.

Two landmarks per antigen, its low and its high cells, each move by a shift that the
sample's own cells show, so that gain and offset of a detector follow; both are held to
what marrows without disease do, and to a hard limit.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, shares, weighted
from mrd_flow.reference.normal_reference import NormalReference

__all__ = [
    "MASKED_SHIFT_LIMIT",
    "SHIFT_LIMIT",
    "AdaptedReference",
    "adapt",
    "log_prior",
    "map_log_weights",
    "moved_once",
    "settled_weights",
    "unadapted",
]

Floats = NDArray[np.float64]
SHIFT_LIMIT = 0.15
"""Largest shift of a level, in the feature's unit: on a scale of 4.5 decades a factor of 4.7."""
MASKED_SHIFT_LIMIT = 0.40
"""The same for CD38, which an antibody given to the patient can hide by more than a decade."""

_MASKED = "CD38"

_CELLS_FOR_ADAPTATION = 10_000
_ROUNDS = 6
_SMALLEST_SHIFT_SPREAD = 0.01
_NEWTON_STEPS = 30
_WEIGHT_ROUNDS = 300  # kinds that overlap part slowly
_WEIGHT_ROUNDS_BETWEEN = 20  # two moves of the levels
_WEIGHTS_SETTLED = 1e-4  # largest change of ln weight in a round
_NEWTON_SETTLED = 1e-9
_FEWEST_CELLS = 0.5
_SMALLEST_WEIGHT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedReference:
    """A reference as it stands in one sample.

    ``shifts`` (n_features, 2) of the low and high level; ``at_limit`` names the features
    whose shift would have been larger than `SHIFT_LIMIT`.
    """

    reference: NormalReference
    gaussians: Gaussians
    log_weights: Floats
    shifts: Floats
    at_limit: tuple[str, ...]

    def level(self, feature: str, level: int) -> tuple[float, float]:
        """Position of one level of a feature in this sample, and its standard deviation."""
        position, spread = self.reference.level(feature, level)
        at = self.reference.features.index(feature)
        high = level == 1 and any(row[at] for row in self.reference.levels)
        return position + float(self.shifts[at, int(high)]), spread

    def shift_at(self, position: Floats) -> Floats:
        """Shift of each feature at a position (n_features,), between those of its two levels."""
        names = self.reference.features
        low, high = (np.array([self.reference.level(f, i)[0] for f in names]) for i in (0, 1))
        apart = high - low
        part = np.where(apart > 0, (position - low) / np.where(apart > 0, apart, 1.0), 0.0)
        part = np.clip(part, 0.0, 1.0)
        return np.asarray(self.shifts[:, 0] * (1 - part) + self.shifts[:, 1] * part)


def unadapted(reference: NormalReference) -> AdaptedReference:
    """The reference as learned."""
    weights = np.array(reference.weights)
    return AdaptedReference(
        reference=reference,
        gaussians=reference.gaussians,
        log_weights=np.log(weights / weights.sum()),
        shifts=np.zeros((len(reference.features), 2)),
        at_limit=(),
    )


def adapt(
    reference: NormalReference, cells: Floats, *, normal_share: Floats | None = None
) -> AdaptedReference:
    """Fit shifts and weights to a sample's plasma cells by expectation-maximisation.

    Parameters
    ----------
    reference
        Of the same features.
    cells
        Features, float64 (n_cells, n_features). Of more than 10,000 cells evenly spaced
        ones are looked at for the shifts, all for nothing else.
    normal_share
        How much of each cell is held to be normal, 0 to 1, (n_cells,); all of it where
        None.

    Returns
    -------
    AdaptedReference
        The reference as it is where there is no cell.
    """
    adapted = unadapted(reference)
    step = max(1, -(-len(cells) // _CELLS_FOR_ADAPTATION))
    seen = cells[::step]
    share = np.ones(len(seen)) if normal_share is None else normal_share[::step]
    if not share.sum() > 0:
        return adapted
    adapted = _from_medians(adapted, seen[share > 0.5])
    for _ in range(_ROUNDS):
        adapted = _next(adapted, seen, share)
    return adapted


def moved_once(adapted: AdaptedReference, cells: Floats, normal_share: Floats) -> AdaptedReference:
    """One more round of `adapt`, from where the reference stands."""
    step = max(1, -(-len(cells) // _CELLS_FOR_ADAPTATION))
    share = normal_share[::step]
    return _next(adapted, cells[::step], share) if share.sum() > 0 else adapted


def _from_medians(adapted: AdaptedReference, cells: Floats) -> AdaptedReference:
    """Where a feature has one level only, its median says at once how far to move."""
    reference = adapted.reference
    if not len(cells):
        return adapted
    plasma = reference.of_plasma_cells
    single = ~np.array(reference.levels).any(axis=0)
    weights = np.array(reference.weights)[plasma]
    expected = np.average(np.array(reference.means)[plasma], axis=0, weights=weights)
    moved = np.where(single, np.median(cells, axis=0) - expected, 0.0)
    limit = _limits(reference)
    shifts = np.repeat(np.clip(moved, -limit, limit)[:, None], 2, axis=1)
    return replace(adapted, shifts=shifts, gaussians=_moved(reference, shifts))


def _limits(reference: NormalReference) -> Floats:
    return np.array([MASKED_SHIFT_LIMIT if f == _MASKED else SHIFT_LIMIT for f in reference.features])


def _next(adapted: AdaptedReference, cells: Floats, share: Floats) -> AdaptedReference:
    reference = adapted.reference
    densities = log_densities(cells, adapted.gaussians)
    log_weights, _ = settled_weights(
        reference, densities, adapted.log_weights, share, rounds=_WEIGHT_ROUNDS_BETWEEN
    )
    posterior = shares(log_weights[:, None] + densities)[0] * share
    wanted = _shifts(reference, cells, posterior)
    limit = _limits(reference)[:, None]
    shifts = np.clip(wanted, -limit, limit)
    over = np.abs(wanted) > limit
    return AdaptedReference(
        reference=reference,
        gaussians=_moved(reference, shifts),
        log_weights=log_weights,
        shifts=shifts,
        at_limit=tuple(f for f, o in zip(reference.features, over, strict=True) if o.any()),
    )


def _shifts(reference: NormalReference, cells: Floats, posterior: Floats) -> Floats:
    """Precision-weighted mean distance of the cells of each level from where the reference has it."""
    means, covariances = np.array(reference.means), np.array(reference.covariances)
    precision = 1 / np.diagonal(covariances, axis1=1, axis2=2)
    counts = posterior.sum(axis=1)
    distance = weighted(posterior, cells) - counts[:, None] * means
    levels = np.array(reference.levels)
    spread = _shift_spread(reference)
    shifts = np.empty_like(spread)
    for level in (0, 1):
        of_level = levels == level
        of_level &= reference.of_plasma_cells[:, None]
        pull = (of_level * precision * distance).sum(axis=0)
        weight = (of_level * precision * counts[:, None]).sum(axis=0)
        shifts[:, level] = pull / (weight + spread[:, level] ** -2)
    return np.asarray(shifts, np.float64)


def settled_weights(
    reference: NormalReference,
    densities: Floats,
    log_weights: Floats,
    share: Floats,
    *,
    beside: Floats | None = None,
    beside_weights: Floats | None = None,
    rounds: int = _WEIGHT_ROUNDS,
) -> tuple[Floats, Floats]:
    """Weights by expectation-maximisation at fixed densities, until they change no more.

    Kinds of normal plasma cell overlap, so that a patient whose shares lie far from the
    reference's takes many rounds; weights that are not there yet leave normal cells
    unexplained, and these look like a clone.

    Parameters
    ----------
    reference, log_weights
        The prior, and where to start.
    densities
        Log densities (n_components, n_cells).
    share
        How much of each cell counts, (n_cells,).
    beside, beside_weights
        Log densities (n_others, n_cells) of what else there is, and where the shares of
        all cells that they make start; they have no prior.
    rounds
        Most rounds.

    Returns
    -------
    tuple
        Log weights of the reference's components, which sum to 1 among themselves, and
        the shares of the others.
    """
    from mrd_flow.reference.mixture_kernels import component_counts

    prior = _WeightPrior.of(reference)
    normal = len(densities)
    others = np.empty((0, densities.shape[1])) if beside is None else beside
    other_weights = np.zeros(0) if beside_weights is None else beside_weights
    joint = np.vstack([densities, others])
    relative = np.ascontiguousarray(np.exp(joint - joint.max(axis=0)).T)
    total = max(float(share.sum()), _FEWEST_CELLS)
    counts = np.empty(len(joint))
    for _ in range(rounds):
        weights = np.concatenate([np.exp(log_weights) * (1 - other_weights.sum()), other_weights])
        component_counts(relative, weights, share, counts)
        before = np.log(np.maximum(weights, _SMALLEST_WEIGHT))
        log_weights = prior.log_weights(counts[:normal])
        other_weights = np.maximum(counts[normal:], _FEWEST_CELLS) / total
        other_weights *= min(1.0, (1 - _SMALLEST_WEIGHT) / max(other_weights.sum(), _SMALLEST_WEIGHT))
        after = np.concatenate([log_weights + np.log1p(-other_weights.sum()), np.log(other_weights)])
        if np.abs(after - before).max() < _WEIGHTS_SETTLED:
            break
    return log_weights, other_weights


def log_prior(adapted: AdaptedReference) -> float:
    """Log density, but for a constant, of a sample's shifts and weights between marrows."""
    reference = adapted.reference
    shifts = ((adapted.shifts / _shift_spread(reference)) ** 2).sum()
    prior, own = _WeightPrior.of(reference), np.exp(adapted.log_weights)
    of_sort = np.bincount(prior.group, own, len(prior.one))
    within = np.log(own / of_sort[prior.group] / (prior.weights / prior.sort_weights[prior.group]))
    sort_off = np.log(of_sort / prior.sort_weights * prior.weights.sum()) / prior.sort_spread
    return -0.5 * float(shifts + (sort_off**2).sum() + ((within / prior.spread) ** 2).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class _WeightPrior:
    """What marrows without disease say of weights, as arrays: those of sorts, and within sorts."""

    group: NDArray[np.int64]
    one: NDArray[np.int64]
    weights: Floats
    spread: Floats
    sort_weights: Floats
    sort_spread: Floats

    @classmethod
    def of(cls, reference: NormalReference) -> "_WeightPrior":
        sorts, group = np.unique(np.array(reference.sorts), return_inverse=True)
        weights = np.array(reference.weights)
        return cls(
            group=group,
            one=np.zeros(len(sorts), np.int64),
            weights=weights,
            spread=np.array(reference.weight_spread),
            sort_weights=np.bincount(group, weights, len(sorts)).astype(np.float64),
            sort_spread=np.array(reference.sort_spread),
        )

    def log_weights(self, counts: Floats) -> Floats:
        """Most probable weights of the sorts, times those of the components within each sort."""
        of_sort = np.bincount(self.group, counts, len(self.one)).astype(np.float64)
        sorts = map_log_weights(of_sort, self.sort_weights, self.sort_spread, self.one)
        within = map_log_weights(counts, self.weights, self.spread, self.group)
        return np.asarray(sorts[self.group] + within, np.float64)


def _shift_spread(reference: NormalReference) -> Floats:
    spread = np.maximum(np.array(reference.shift_spread), _SMALLEST_SHIFT_SPREAD)
    spread[[f == _MASKED for f in reference.features]] = MASKED_SHIFT_LIMIT
    return np.asarray(spread, np.float64)


def _moved(reference: NormalReference, shifts: Floats) -> Gaussians:
    levels = np.array(reference.levels)
    moves = np.where(levels == 1, shifts[:, 1], shifts[:, 0])
    moves[~reference.of_plasma_cells] = 0.0
    return Gaussians(means=np.array(reference.means) + moves, covariances=np.array(reference.covariances))


def map_log_weights(
    counts: Floats, expected: Floats, spread: Floats, group: NDArray[np.int64] | None = None
) -> Floats:
    """Most probable weights, as logarithms, given counts and a lognormal prior between marrows.

    Solves ``n - N w = (ln w - ln w0) / spread^2`` for each component, then scales to sum 1.

    Parameters
    ----------
    counts
        Cells of each component, >= 0.
    expected, spread
        Prior weights, and their standard deviation in ln units.
    group
        Number of the group of each, from 0: weights sum to 1 within a group (default: one group).
    """
    group = np.zeros(len(counts), np.int64) if group is None else group
    total = np.maximum(np.bincount(group, counts), 1.0)[group]
    prior = np.log(expected / np.bincount(group, expected)[group])
    precision = spread**-2.0
    u = np.maximum(np.log((counts + 0.5) / (total + 1)), prior - 5)
    for _ in range(_NEWTON_STEPS):
        mass = total * np.exp(u)
        step = np.clip((counts - mass - (u - prior) * precision) / (mass + precision), -1, 1)
        u += step
        if np.abs(step).max() < _NEWTON_SETTLED:
            break
    return np.asarray(u - np.log(np.bincount(group, np.exp(u)))[group])
