"""How many cells look as much like the clone as this one, against how many normal cells should.

Cells are ordered by their likelihood ratio of clone to normal. The number of normal cells
expected above any ratio follows from the reference alone: it is the mean of 1/ratio over
cells drawn from the clone, so that even one cell in a hundred million is known from a few
thousand draws. The draws are a fixed low-discrepancy sequence: same input, same bytes.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, log_sum

__all__ = ["CloneDraws", "OperatingPoint", "clone_draws"]

Floats = NDArray[np.float64]
_DRAWS = 2_048
_SMALLEST = 1e-12  # events, so that a ratio can be formed


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What a threshold on the posterior does: share of the clone kept, normal events let through."""

    recall: float
    false_events: float

    def precision(self, clone_events: float) -> float:
        """Share of the called events that are the clone's; 1 where nothing is called."""
        kept = self.recall * clone_events
        called = kept + self.false_events
        return kept / called if called > 0 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneDraws:
    """Log ratios of clone to normal density at cells drawn from the clone, falling (n_draws,).

    ``kept`` is the share of the clone, ``normal_events`` the expected number of normal
    cells at or above each.
    """

    log_ratio: Floats
    kept: Floats
    normal_events: Floats

    def expected_normal(self, log_ratio: Floats) -> Floats:
        """Normal cells expected at or above each log ratio."""
        at = np.searchsorted(-self.log_ratio, -log_ratio, side="right")
        return np.asarray(np.concatenate([self.normal_events[:1], self.normal_events])[at])

    def excess(self, log_ratio: Floats) -> tuple[Floats, Floats]:
        """Cells seen over normal cells expected at or above each cell's ratio, and the Poisson p of it."""
        from scipy.special import gammainc

        seen = np.empty(len(log_ratio))
        order = np.argsort(-log_ratio, kind="stable")
        seen[order] = np.arange(1, len(order) + 1)
        expected = self.expected_normal(log_ratio)
        return seen / expected, np.asarray(gammainc(seen, expected), np.float64)

    def operating_point(self, log_ratio: float) -> OperatingPoint:
        """What calling every cell at or above a log ratio gives."""
        above = int(np.searchsorted(-self.log_ratio, -log_ratio, side="right"))
        if above == 0:
            return OperatingPoint(recall=0.0, false_events=0.0)
        return OperatingPoint(
            recall=float(self.kept[above - 1]), false_events=float(self.normal_events[above - 1])
        )


def clone_draws(
    clone: Gaussians, shares: Floats, normal: Gaussians, log_weights: Floats, cells: float
) -> CloneDraws:
    """Draw a clone of one or more Gaussians.

    Parameters
    ----------
    clone, shares
        Its components and their shares of it.
    normal, log_weights
        Normal cells as they stand in the sample, and the log weights of their components.
    cells
        Normal cells of the sample.
    """
    points = _drawn(clone)
    drawn = points.reshape(-1, points.shape[-1])
    of_clone = log_sum(np.log(shares)[:, None] + log_densities(drawn, clone))
    of_normal = log_sum(log_weights[:, None] + log_densities(drawn, normal))
    ratio = of_clone - of_normal
    order = np.argsort(-ratio, kind="stable")
    weights = (np.repeat(shares, points.shape[1]) / points.shape[1])[order]
    events = np.cumsum(weights * np.exp(-np.clip(ratio[order], -700, 700))) * cells
    return CloneDraws(
        log_ratio=ratio[order],
        kept=np.minimum(np.cumsum(weights), 1.0),
        normal_events=np.maximum(events, _SMALLEST),
    )


def _drawn(clone: Gaussians) -> Floats:
    """Cells of each component, (n_components, n_draws, n_features)."""
    normal = _normal_points(clone.means.shape[1])
    factors = np.linalg.cholesky(clone.covariances)
    return np.asarray(clone.means[:, None, :] + np.einsum("ib,kab->kia", normal, factors))


@cache
def _normal_points(features: int) -> Floats:
    """Evenly spread standard normal points, (n_draws, n_features): steps of the square roots of primes."""
    from scipy.special import ndtri

    primes = [n for n in range(2, 8 * features + 8) if all(n % k for k in range(2, n))][:features]
    steps = np.arange(1, _DRAWS + 1)[:, None] * np.sqrt(np.array(primes, np.float64))
    points = np.asarray(ndtri((0.5 + steps) % 1.0), np.float64)
    points.flags.writeable = False
    return points
