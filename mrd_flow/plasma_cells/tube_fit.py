"""One tube's plasma cells as a mixture: its normal reference as it stands there, and its clones."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.plasma_cells.clone_search import Clone
from mrd_flow.reference.adaptation import AdaptedReference, adapt, log_prior, settled_weights
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, log_sum
from mrd_flow.reference.normal_reference import NormalReference

__all__ = ["TubeFit", "clone_gaussians", "resettled", "start_fit", "with_reference"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeFit:
    """A tube's features (n_cells, n_features), its adapted reference, clones, and densities.

    ``log_components`` (n_components, n_cells) holds log weight plus log density of the
    reference's components, ``log_normal`` their sum; the weights of ``clones`` and of the
    normal cells sum to 1.
    """

    tube: int
    cells: Floats
    adapted: AdaptedReference
    log_components: Floats
    log_normal: Floats
    clones: tuple[Clone, ...]

    @property
    def log_clones(self) -> Floats:
        """Log density of all clones together, weights summing to 1; -inf without any."""
        if not self.clones:
            return np.full(len(self.cells), -np.inf)
        weights = np.array([c.weight for c in self.clones])
        terms = np.log(weights / weights.sum())[:, None] + np.array([c.log_density for c in self.clones])
        return log_sum(terms)

    @property
    def clone_weight(self) -> float:
        """Share of the table's cells that the clones make."""
        return float(sum(c.weight for c in self.clones))

    @property
    def log_known(self) -> Floats:
        """Log density of the mixture as it is explained so far."""
        weight = self.clone_weight
        if weight == 0:
            return self.log_normal
        joint = np.logaddexp(np.log1p(-weight) + self.log_normal, np.log(weight) + self.log_clones)
        return np.asarray(joint, np.float64)

    @property
    def posterior(self) -> Floats:
        """Probability of each cell to be a clone's."""
        weight = self.clone_weight
        if weight == 0:
            return np.zeros(len(self.cells))
        odds = np.log(weight) - np.log1p(-weight) + self.log_clones - self.log_normal
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))

    @property
    def objective(self) -> float:
        """Log likelihood of the tube's cells, with the prior of what the reference was moved by."""
        return float(self.log_known.sum()) + log_prior(self.adapted)


def start_fit(
    tube: int, cells: Floats, reference: NormalReference, *, normal_share: Floats | None = None
) -> TubeFit:
    """Adapt the reference to a tube's cells; no clone yet."""
    adapted = adapt(reference, cells, normal_share=normal_share)
    densities = log_densities(cells, adapted.gaussians)
    if len(cells):
        share = np.ones(len(cells)) if normal_share is None else normal_share
        weights, _ = settled_weights(reference, densities, adapted.log_weights, share)
        adapted = replace(adapted, log_weights=weights)
    return _made(tube, cells, adapted, densities, ())


def with_reference(fit: TubeFit, adapted: AdaptedReference) -> TubeFit:
    """The same clones beside the reference as it stands elsewhere."""
    return _made(fit.tube, fit.cells, adapted, log_densities(fit.cells, adapted.gaussians), fit.clones)


def resettled(fit: TubeFit, clones: tuple[Clone, ...]) -> TubeFit:
    """Other clones, and the weights of all components as these and the normal cells settle them."""
    densities = fit.log_components - fit.adapted.log_weights[:, None]
    log_weights, shares = settled_weights(
        fit.adapted.reference,
        densities,
        fit.adapted.log_weights,
        np.ones(len(fit.cells)),
        beside=np.array([c.log_density for c in clones]),
        beside_weights=np.array([c.weight for c in clones]),
    )
    weighted = tuple(replace(c, weight=float(w)) for c, w in zip(clones, shares, strict=True))
    return _made(fit.tube, fit.cells, replace(fit.adapted, log_weights=log_weights), densities, weighted)


def clone_gaussians(fit: TubeFit) -> tuple[Gaussians, Floats]:
    """The clones of a tube as Gaussians, and their shares of all clonal cells."""
    weights = np.array([c.weight for c in fit.clones])
    return (
        Gaussians(
            means=np.array([c.mean for c in fit.clones]),
            covariances=np.array([c.covariance for c in fit.clones]),
        ),
        weights / weights.sum(),
    )


def _made(
    tube: int, cells: Floats, adapted: AdaptedReference, densities: Floats, clones: tuple[Clone, ...]
) -> TubeFit:
    components = adapted.log_weights[:, None] + densities
    return TubeFit(
        tube=tube,
        cells=cells,
        adapted=adapted,
        log_components=components,
        log_normal=log_sum(components) if len(cells) else np.empty(0),
        clones=clones,
    )
