"""Density of measured light for cells whose antigens are lognormal, noise and compensation included.

Given the brightness z that a cell's antigens share, each compensated value is lognormal
light plus a normal error whose variance follows from the raw signals of all detectors
(known from the event itself). The convolution is tabulated per antigen level, z and error
variance; z is then summed out over a grid. Left out: errors of two markers go together a
little, because compensation mixes the same noise into both.
"""

import numpy as np
from numpy.typing import NDArray

from mrd_flow.simulation.events import ELECTRONIC_NOISE, PHOTON_GAIN

__all__ = ["error_variance", "light_log_density"]

Values = NDArray[np.float64]

_SHARED_NODES = np.linspace(-4.2, 4.2, 13)
_LIGHT_NODES = np.linspace(-5.5, 5.5, 89)  # of ln light, in its standard deviations
_UNIT = 100.0  # channels; the grid of values is even in asinh(value / unit)
_GRID = np.linspace(-6.5, 8.6, 220)
_VARIANCES = 3
_FLOOR = -700.0
_CHUNK_EVENTS = 4096


def error_variance(light: Values, spillover: Values) -> Values:
    """Variance (n, n_markers) of the error of compensated values ``light`` (n, n_markers)."""
    raw = np.maximum(light @ spillover, 0.0)
    unmixing = np.linalg.inv(spillover)
    return np.asarray((PHOTON_GAIN * raw + ELECTRONIC_NOISE**2) @ unmixing**2)


def light_log_density(
    light: Values, variance: Values, median_ln: Values, spread: Values, shared: Values
) -> Values:
    """Log density per channels^n_markers of every event under every component.

    Parameters
    ----------
    light, variance
        Compensated values and the variance of their error, (n, n_markers).
    median_ln, spread
        Of the components, (n_components, n_markers), ln units.
    shared
        Correlation of each antigen with the brightness a cell's antigens share,
        (n_components, n_markers).

    Returns
    -------
    numpy.ndarray
        float64 (n_components, n).
    """
    nodes = _SHARED_NODES if shared.any() else np.zeros(1)
    weight_ln = -0.5 * nodes**2
    weight_ln -= np.log(np.exp(weight_ln).sum())
    levels = np.stack([median_ln, spread, shared], axis=-1)
    tables = [_MarkerTable(variance[:, m], levels[:, m], nodes) for m in range(light.shape[1])]
    density = np.empty((len(median_ln), len(light)))
    for first in range(0, len(light), _CHUNK_EVENTS):
        part = slice(first, first + _CHUNK_EVENTS)
        looked_up = [t.log_density(light[part, m], variance[part, m]) for m, t in enumerate(tables)]
        for k in range(len(median_ln)):
            joint = sum(
                (found[t.level_of[k]] for found, t in zip(looked_up, tables, strict=True)),
                weight_ln[:, np.newaxis],
            )
            top = joint.max(axis=0)
            density[k, part] = top + np.log(np.exp(joint - top).sum(axis=0))
    return density


class _MarkerTable:
    """Log density of one marker on a grid of value x error variance, per level and shared node."""

    def __init__(self, variance: Values, components: Values, nodes: Values) -> None:
        levels, self.level_of = np.unique(components, axis=0, return_inverse=True)
        median, spread, shared = levels.T
        low, high = (variance.min(), variance.max()) if len(variance) else (1.0, 1.0)
        self.variance_ln = np.linspace(np.log(low) - 1e-9, np.log(high) + 1e-6, _VARIANCES)
        own = spread * np.sqrt(1.0 - shared**2)
        centre = median[:, np.newaxis] + (spread * shared)[:, np.newaxis] * nodes  # (n_levels, n_nodes)
        self.table = np.array(
            [
                [_convolved(c, s, np.exp(self.variance_ln)) for c in row]
                for row, s in zip(centre, own, strict=True)
            ]
        )  # (n_levels, n_nodes, n_grid, n_variances)

    def log_density(self, values: Values, variance: Values) -> Values:
        """(n_levels, n_nodes, n) by bilinear interpolation."""
        i, across = _place(np.arcsinh(values / _UNIT), _GRID)
        j, along = _place(np.log(variance), self.variance_ln)
        low = self.table[:, :, i, j] * (1 - across) + self.table[:, :, i + 1, j] * across
        high = self.table[:, :, i, j + 1] * (1 - across) + self.table[:, :, i + 1, j + 1] * across
        return np.asarray(low * (1 - along) + high * along)


def _convolved(centre_ln: float, spread_ln: float, variances: Values) -> Values:
    """Log density (n_grid, n_variances) of lognormal light plus a normal error."""
    light = np.exp(centre_ln + spread_ln * _LIGHT_NODES)
    weights = np.exp(-0.5 * _LIGHT_NODES**2)
    weights /= weights.sum()
    # Light between two nodes: a kernel as wide as the nodes are apart.
    step = spread_ln * (_LIGHT_NODES[1] - _LIGHT_NODES[0])
    width = np.sqrt(variances[:, np.newaxis] + (step * light) ** 2)
    values = _UNIT * np.sinh(_GRID)
    deviate = (values[:, np.newaxis, np.newaxis] - light) / width
    density = (weights / width * np.exp(-0.5 * deviate**2)).sum(axis=-1) / np.sqrt(2 * np.pi)
    return np.asarray(np.log(np.maximum(density, np.exp(_FLOOR))))


def _place(values: Values, grid: Values) -> tuple[NDArray[np.intp], Values]:
    """Interval of an even grid each value lies in, and how far through it; clipped to the ends."""
    position = np.clip((values - grid[0]) / (grid[1] - grid[0]), 0.0, len(grid) - 1.000001)
    index = position.astype(np.intp)
    return index, position - index
