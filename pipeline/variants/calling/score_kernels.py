"""Compiled kernels: distribution of a weighted sum of Poisson counts.

The score of an allele is the sum over strand classes of molecules times a whole weight. Under error alone
the molecules of a class are Poisson; the distribution of the sum follows Panjer's recursion for compound
Poisson sums (ASTIN Bulletin 1981;12:22, eq. 8): p(0) = exp(-sum mu), s p(s) = sum_c mu_c w_c p(s - w_c).
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["critical_scores", "smallest_vafs", "tail_probabilities"]

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

BISECTIONS = 24
MEAN_MAX = 600.0  # exp(-mean) stays above zero


@kernel
def fill(means: F64, factor: float, weights: I64, upto: Int, p: F64) -> float:
    """Probabilities of the scores below ``upto`` into ``p``; their sum."""
    total = 0.0
    for c in range(len(means)):
        total += means[c] * factor
    if total > MEAN_MAX:
        return 0.0
    p[0] = np.exp(-total)
    below = p[0]
    for s in range(1, upto):
        value = 0.0
        for c in range(len(means)):
            w = weights[c]
            if w <= s:
                value += means[c] * factor * w * p[s - w]
        p[s] = value / s
        below += p[s]
    return below if upto > 0 else 0.0


@kernel
def tail_probabilities(
    means: F64, weights: I64, scores: I64, nodes: F64, shares: F64, out: F64
) -> None:  # fmt: skip
    """P(score or more) of each row, averaged over the factors ``nodes`` on all means with ``shares``.

    ``means``, ``weights`` (rows, classes); ``nodes``, ``shares`` (rows, factors).
    """
    p = np.empty(max(1, scores.max()))
    for row in range(len(scores)):
        value = 0.0
        for k in range(nodes.shape[1]):
            below = fill(means[row], nodes[row, k], weights[row], scores[row], p)
            value += shares[row, k] * max(0.0, 1.0 - below)
        out[row] = value


@kernel
def critical_scores(
    means: F64, weights: I64, nodes: F64, shares: F64, alpha: float, room: Int, out: I64
) -> None:  # fmt: skip
    """Smallest score that error reaches with probability ``alpha`` at most; ``room`` if none below it."""
    p = np.empty(room)
    below = np.empty(room)
    for row in range(len(out)):
        below[:] = 0.0
        for k in range(nodes.shape[1]):
            complete = fill(means[row], nodes[row, k], weights[row], room, p)
            if complete == 0.0:
                continue
            reached = 0.0
            for s in range(room):
                reached += p[s]
                below[s] += shares[row, k] * reached
        s = 0
        while s < room and 1.0 - below[s] > alpha:
            s += 1
        out[row] = min(room, s + 1)


@kernel
def smallest_vafs(means: F64, molecules: F64, weights: I64, scores: I64, power: float, out: F64) -> None:
    """VAF at which each row's score is reached with probability ``power``; 2 where not even by VAF 1.

    Signal and background are Poisson: ``molecules`` · VAF + ``means`` in each class.
    """
    p = np.empty(max(1, scores.max()))
    mixed = np.empty(means.shape[1])
    for row in range(len(scores)):
        low, high = 0.0, 1.0
        for step in range(BISECTIONS + 1):
            vaf = 1.0 if step == 0 else (low + high) / 2
            total = 0.0
            for c in range(len(mixed)):
                mixed[c] = means[row, c] + vaf * molecules[row, c]
                total += mixed[c]
            found = 1.0
            if total <= MEAN_MAX:
                found = 1.0 - fill(mixed, 1.0, weights[row], scores[row], p)
            if step == 0:
                if found < power:
                    high = 2.0
                    break
            elif found < power:
                low = vaf
            else:
                high = vaf
        out[row] = high
