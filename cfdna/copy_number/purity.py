"""Purity and copies that explain a sample's levels, from depth and, where known, B-allele fractions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Explanation", "LevelCopies", "Observed", "explain_levels"]

Floats = NDArray[np.float64]
_COPIES = np.array([0, 1, 2, 3, 4, 5])
# What a state other than two copies has to gain in deviance: gains and losses of one copy are common.
_PRICE = np.array([16.0, 7.0, 0.0, 7.0, 11.0, 16.0])
_BASELINES = 15
_MODEL_SPREAD = 0.004  # levels never fit better than this: subclones, imperfect correction


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A stretch: ``ratio`` of depth with its error, ``weight`` (bins), B-allele deviation from one half.

    ``imbalance`` is |BAF - 0.5| at heterozygous sites with its error, None where there are none.
    """

    ratio: float
    standard_error: float
    weight: float
    imbalance: float | None = None
    imbalance_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCopies:
    """Copies of a stretch, and of its minor allele where B-alleles tell (else None)."""

    copies: int
    minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The best explanation.

    ``purity`` is the tumour's share of cells, 0 where nothing is altered; ``baseline`` the ratio of
    two copies; ``gain`` how much better (deviance) than a genome of two copies throughout.
    """

    purity: float
    baseline: float
    states: tuple[LevelCopies, ...]
    gain: float


def explain_levels(
    levels: Sequence[Observed], *, purities: Sequence[float] | None = None, gain_min: float = 12.0
) -> Explanation:
    """Search purity and the level of two copies; each stretch takes its best number of copies.

    A stretch of c copies at purity f lies at (2 (1 - f) + f c) / 2 times the level of two. Of explanations
    that fit alike the one with fewest and smallest alterations wins; where that leaves
    doubt (a doubled genome, one level only) B-allele fractions decide.

    Parameters
    ----------
    levels
        Stretches; at least one.
    purities
        Those tried; by default 1 % to 100 %.
    gain_min
        Gain in deviance below which the genome is called unaltered.
    """
    ratio = np.array([x.ratio for x in levels])
    error = np.hypot(np.array([x.standard_error for x in levels]), _MODEL_SPREAD)
    weight = np.array([x.weight for x in levels])
    grid = (
        np.array(purities)
        if purities is not None
        else np.concatenate([np.arange(0.01, 0.1, 0.0025), np.arange(0.1, 1.001, 0.01)])
    )
    baselines = _baselines(ratio, error, weight)
    flat = min(_flat_cost(ratio, error, b, levels) for b in baselines)
    best: tuple[float, float, float] | None = None
    for baseline in baselines:
        for purity in grid:
            cost = float(_costs(ratio / baseline, error / baseline, float(purity), levels).min(axis=1).sum())
            if best is None or cost < best[0] - 1e-9:
                best = (cost, float(purity), float(baseline))
    assert best is not None
    gain = flat - best[0]
    if gain < gain_min:
        nearest = min(baselines, key=lambda b: _flat_cost(ratio, error, b, levels))
        states = tuple(LevelCopies(copies=2, minor=1) for _ in levels)
        return Explanation(purity=0.0, baseline=float(nearest), states=states, gain=max(0.0, gain))
    _, purity, baseline = best
    chosen = _costs(ratio / baseline, error / baseline, purity, levels).argmin(axis=1)
    purity, baseline = _refined(ratio, error, _COPIES[chosen], purity, baseline)
    states = tuple(
        LevelCopies(copies=int(_COPIES[c]), minor=_minor(x, int(_COPIES[c]), purity))
        for c, x in zip(chosen, levels, strict=True)
    )
    return Explanation(purity=purity, baseline=baseline, states=states, gain=gain)


def _baselines(ratio: Floats, error: Floats, weight: Floats) -> Floats:
    """Levels of stretches, the widest first, as candidates for two copies."""
    del error
    order = np.argsort(ratio)
    share = np.cumsum(weight[order]) / weight.sum()
    points = np.interp(np.linspace(0.03, 0.97, _BASELINES), share, ratio[order])
    return np.unique(np.concatenate([points, [float(np.average(ratio, weights=weight))]]))


def _flat_cost(ratio: Floats, error: Floats, baseline: float, levels: Sequence[Observed]) -> float:
    depth = ((ratio / baseline - 1) / (error / baseline)) ** 2
    alleles = sum(
        (x.imbalance / x.imbalance_error) ** 2
        for x in levels
        if x.imbalance is not None and x.imbalance_error
    )
    return float(depth.sum() + alleles)


def _costs(ratio: Floats, error: Floats, purity: float, levels: Sequence[Observed]) -> Floats:
    """Deviance and price of each number of copies, shape (levels, copies)."""
    expected = (2 * (1 - purity) + purity * _COPIES) / 2
    cost = ((ratio[:, None] - expected[None, :]) / error[:, None]) ** 2 + _PRICE[None, :]
    for row, x in enumerate(levels):
        if x.imbalance is not None and x.imbalance_error:
            for column, copies in enumerate(_COPIES):
                cost[row, column] += min(
                    ((x.imbalance - _expected_imbalance(int(copies), m, purity)) / x.imbalance_error) ** 2
                    + (4.0 if copies == 2 and m == 0 else 0.0)
                    for m in range(int(copies) // 2 + 1)
                )
    result: Floats = cost
    return result


def _expected_imbalance(copies: int, minor: int, purity: float) -> float:
    """|BAF - 0.5| of a germline heterozygous site."""
    total = 2 * (1 - purity) + purity * copies
    return abs((1 - purity + purity * minor) / total - 0.5) if total > 0 else 0.0


def _minor(x: Observed, copies: int, purity: float) -> int | None:
    if x.imbalance is None or not x.imbalance_error:
        return None
    seen = x.imbalance
    return min(range(copies // 2 + 1), key=lambda m: abs(seen - _expected_imbalance(copies, m, purity)))


def _refined(
    ratio: Floats, error: Floats, copies: NDArray[np.int_], purity: float, baseline: float
) -> tuple[float, float]:
    """Purity and baseline by weighted least squares with the copies held."""
    weights = 1 / error**2
    excess = (copies - 2) / 2
    design = np.column_stack([np.ones(len(ratio)), excess])
    root = np.sqrt(weights)
    (level, slope), *_ = np.linalg.lstsq(design * root[:, None], ratio * root, rcond=None)
    fitted = float(slope / level)
    if level <= 0 or not 0 < fitted <= 1 or math.isclose(np.ptp(excess), 0):
        return purity, baseline
    return fitted, float(level)
