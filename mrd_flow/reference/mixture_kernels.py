"""Compiled kernels of Gaussian mixtures: log densities at cells, cells of each component, weighted sums.

Terms are added in one fixed order, so that a cell's density does not depend on how many
cells stand beside it or on how many threads a linear algebra library would use.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit

__all__ = ["component_counts", "log_gaussians", "weighted_sums"]

Array: TypeAlias = Any  # of numpy where Python calls, of numba in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True, error_model="numpy"))

_BLOCK_CELLS = 256  # a block's columns stay in the first-level cache


@kernel
def log_gaussians(cells: Array, means: Array, whiteners: Array, constants: Array, out: Array) -> None:
    """Fill ``out`` (n_components, n_cells) with log densities.

    ``cells`` (n_cells, n_features), ``means`` (n_components, n_features), ``whiteners``
    lower triangular inverses of the covariances' Cholesky factors, ``constants`` the log
    density at each mean; all float64.
    """
    size, features = cells.shape
    components = means.shape[0]
    block = np.empty((features, _BLOCK_CELLS))
    part = np.empty(_BLOCK_CELLS)
    total = np.empty(_BLOCK_CELLS)
    for first in range(0, size, _BLOCK_CELLS):
        length = min(_BLOCK_CELLS, size - first)
        for k in range(components):
            for a in range(features):
                for i in range(length):
                    block[a, i] = cells[first + i, a] - means[k, a]
            for i in range(length):
                total[i] = 0.0
            for a in range(features):
                for i in range(length):
                    part[i] = 0.0
                for b in range(a + 1):
                    weight = whiteners[k, a, b]
                    for i in range(length):
                        part[i] += weight * block[b, i]
                for i in range(length):
                    total[i] += part[i] * part[i]
            for i in range(length):
                out[k, first + i] = constants[k] - 0.5 * total[i]


@kernel
def weighted_sums(weights: Array, cells: Array, out: Array) -> None:
    """Fill ``out`` (n_components, n_features): ``weights`` (n_components, n_cells) times ``cells``.

    Cell by cell, unlike the product of a linear algebra library, whose last bits depend on
    its threads.
    """
    components, size = weights.shape
    features = cells.shape[1]
    out[:, :] = 0.0
    for k in range(components):
        for i in range(size):
            weight = weights[k, i]
            for f in range(features):
                out[k, f] += weight * cells[i, f]


@kernel
def component_counts(relative: Array, weights: Array, share: Array, out: Array) -> None:
    """Fill ``out`` (n_components,) with the cells each component accounts for at its weight.

    ``relative`` (n_cells, n_components) holds densities in units of each cell's largest,
    ``share`` (n_cells,) how much of each cell counts.
    """
    size, components = relative.shape
    part = np.empty(components)
    out[:] = 0.0
    for i in range(size):
        total = 1e-300
        for k in range(components):
            part[k] = weights[k] * relative[i, k]
            total += part[k]
        scale = share[i] / total
        for k in range(components):
            out[k] += part[k] * scale
