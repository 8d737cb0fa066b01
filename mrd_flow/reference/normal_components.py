"""Principal components of normal plasma cells, on which a sample's are shown against them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.reference.normal_reference import NormalReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS

__all__ = ["Components", "components_of", "normal_kinds", "shown_features"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The two first principal components of normal plasma cells.

    ``loadings`` float64 (n_features, 2), of features less ``centre`` in units of
    ``spread``; ``explained`` the share of the normal cells' variance in each.
    """

    features: tuple[str, ...]
    centre: Floats
    spread: Floats
    loadings: Floats
    explained: tuple[float, float]

    def places(self, cells: Floats) -> Floats:
        """Cells (n_cells, n_features) on the two components, float64 (n_cells, 2)."""
        return np.asarray((cells - self.centre) / self.spread @ self.loadings, np.float64)


def components_of(reference: NormalReference) -> Components:
    """Principal components of the reference's plasma cells, every feature in units of its own spread.

    They are the reference's and not the sample's, so that samples can be compared; light
    chains, which part every normal sample in two, are left out. Each component is turned
    so that its largest loading is positive.
    """
    shown = shown_features(reference)
    weights, means, within = normal_kinds(reference)
    centre = weights @ means
    off = means - centre
    covariance = np.einsum("k,kij->ij", weights, within) + np.einsum("k,ki,kj->ij", weights, off, off)
    spread = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(spread, spread))
    chosen = vectors[:, ::-1][:, :2]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), [0, 1]])
    shares = values[::-1][:2] / values.sum()
    return Components(
        features=tuple(reference.features[i] for i in shown),
        centre=centre,
        spread=spread,
        loadings=chosen,
        explained=(float(shares[0]), float(shares[1])),
    )


def shown_features(reference: NormalReference) -> list[int]:
    """Columns of the features that the components are made of: all but light chains."""
    return [i for i, name in enumerate(reference.features) if name not in LIGHT_CHAINS]


def normal_kinds(reference: NormalReference) -> tuple[Floats, Floats, Floats]:
    """Weights, means and covariances of the kinds of plasma cells, without light chains."""
    cells, shown = reference.of_plasma_cells, shown_features(reference)
    weights = np.array(reference.weights)[cells]
    return (
        weights / weights.sum(),
        np.array(reference.means)[cells][:, shown],
        np.array(reference.covariances)[cells][:, shown][:, :, shown],
    )
