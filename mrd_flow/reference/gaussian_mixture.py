"""Mixtures of Gaussians: densities and the sums that expectation-maximisation needs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gaussians", "log_densities", "log_sum", "moments", "shares", "weighted"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussians:
    """Several Gaussians: ``means`` (n, n_features), ``covariances`` (n, n_features, n_features)."""

    means: Floats
    covariances: Floats

    def __len__(self) -> int:
        return len(self.means)


def log_densities(cells: Floats, gaussians: Gaussians) -> Floats:
    """Log density of each Gaussian at each cell, float64 (n_components, n_cells).

    Parameters
    ----------
    cells
        Float64 (n_cells, n_features).
    gaussians
        Components with positive definite covariances.

    Raises
    ------
    ValueError
        If a covariance is not positive definite.
    """
    from mrd_flow.reference.mixture_kernels import log_gaussians

    factors = _cholesky(gaussians.covariances)
    diagonals = np.diagonal(factors, axis1=1, axis2=2)
    constants = -np.log(diagonals).sum(axis=1) - 0.5 * cells.shape[1] * np.log(2 * np.pi)
    out = np.empty((len(gaussians), len(cells)))
    log_gaussians(
        np.ascontiguousarray(cells),
        np.ascontiguousarray(gaussians.means),
        np.ascontiguousarray(np.linalg.inv(factors)),
        constants,
        out,
    )
    return out


def log_sum(terms: Floats) -> Floats:
    """Logarithm of the sum of exponentials over the first axis; -inf where all terms are."""
    top = terms.max(axis=0)
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(finite + np.log(np.exp(terms - finite).sum(axis=0)))


def shares(weighted: Floats) -> tuple[Floats, Floats]:
    """Posterior of each component at each cell, and each cell's log density.

    ``weighted`` (n_components, n_cells) holds log weight plus log density.
    """
    density = log_sum(weighted)
    return np.exp(weighted - density), density


def moments(cells: Floats, share: Floats) -> tuple[float, Floats, Floats]:
    """Sum of the shares, mean and scatter about it, of cells that belong to a component by ``share``.

    The scatter is a sum, not divided by the total. A total of 0 gives zeros.
    """
    total = float(share.sum())
    if total <= 0:
        features = cells.shape[1]
        return 0.0, np.zeros(features), np.zeros((features, features))
    mean = (cells * share[:, None]).sum(axis=0) / total
    centred = cells - mean
    return total, mean, weighted((centred * share[:, None]).T, centred)


def weighted(weights: Floats, cells: Floats) -> Floats:
    """``weights`` (n_components, n_cells) times ``cells``, the same for any number of threads."""
    from mrd_flow.reference.mixture_kernels import weighted_sums

    out = np.empty((len(weights), cells.shape[1]))
    weighted_sums(np.ascontiguousarray(weights), np.ascontiguousarray(cells), out)
    return out


def _cholesky(covariances: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.cholesky(covariances), np.float64)
    except np.linalg.LinAlgError as error:
        raise ValueError("a covariance is not positive definite") from error
