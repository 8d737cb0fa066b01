"""The numbers per plasma cell that the classifier looks at: every marker, size, granularity, roundness.

The logicle scale of a template spreads the noise of a negative population over two humps
about zero. Here a marker is taken as asinh of its compensated value over a thousandth of
the scale's top, which leaves noise bell-shaped and a bright population lognormal, and
divided so that a decade is as wide as on a logicle scale of 4.5 decades.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Logicle

__all__ = [
    "LIGHT_CHAINS",
    "SCATTER_FEATURES",
    "brightness",
    "feature_names",
    "features",
    "marker_position",
    "position",
]

LIGHT_CHAINS = ("cyKappa", "cyLambda")
SCATTER_FEATURES = ("FSC-A", "FSC-H/FSC-A", "SSC-A")
_SIZE, _HEIGHT, _SIDE = "FSC-A", "FSC-H", "SSC-A"
_SMALLEST_SCATTER = 1.0  # channels; an event at or below zero has no logarithm
_COFACTOR = 1e-3  # of the scale's top
_UNIT = 4.5 * np.log(10.0)
_MOST = 25.0  # of asinh: 10 decades


def feature_names(dimensions: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the features of a table with these columns, in order.

    Forward area and side scatter are taken as natural logarithms, forward height as the
    logarithm of its ratio to the area (pairs of cells lie lower).

    >>> feature_names(("FSC-A", "FSC-H", "SSC-A", "CD38"))
    ('FSC-A', 'FSC-H/FSC-A', 'SSC-A', 'CD38')
    """
    return tuple(SCATTER_FEATURES[1] if d == _HEIGHT else d for d in dimensions)


def features(
    table: NDArray[np.float64], dimensions: tuple[str, ...], scales: Mapping[str, Logicle]
) -> NDArray[np.float64]:
    """Features of plasma cells, float64 (n_cells, n_dimensions).

    Parameters
    ----------
    table
        Float64 (n_cells, n_dimensions): markers on the logicle scale, scatter linear.
    dimensions
        Names of its columns; forward height needs forward area beside it.
    scales
        Logicle scale of every marker.

    Raises
    ------
    ValueError
        If the table's width is not that of ``dimensions``, a value is not finite, a
        marker has no scale, or forward height stands without forward area.
    """
    if table.ndim != 2 or table.shape[1] != len(dimensions):
        raise ValueError("a plasma-cell table needs one column per dimension")
    if not np.isfinite(table).all():
        raise ValueError("a plasma-cell table may hold only finite numbers")
    if _HEIGHT in dimensions and _SIZE not in dimensions:
        raise ValueError("forward height says nothing without forward area")
    scatter = (_SIZE, _HEIGHT, _SIDE)
    if set(dimensions) - set(scatter) - set(scales):
        raise ValueError("every marker of a plasma-cell table needs its logicle scale")
    out = np.empty(table.shape)
    for column, name in enumerate(dimensions):
        values = np.ascontiguousarray(table[:, column], np.float64)
        if name in scatter:
            out[:, column] = np.log(np.maximum(values, _SMALLEST_SCATTER))
        else:
            out[:, column] = marker_position(_channels(values, scales[name]), scales[name].t)
    if _HEIGHT in dimensions:
        out[:, dimensions.index(_HEIGHT)] -= out[:, dimensions.index(_SIZE)]
    return out


def marker_position(channels: NDArray[np.float64], top: float) -> NDArray[np.float64]:
    """Feature of compensated values in channels of a scale that ends at ``top``."""
    return np.asarray(np.arcsinh(channels / (_COFACTOR * top)) / _UNIT, np.float64)


def _channels(values: NDArray[np.float64], scale: Logicle) -> NDArray[np.float64]:
    from flowutils.transforms import logicle_inverse

    inverse: Callable[..., NDArray[np.float64]] = logicle_inverse
    return inverse(values, None, t=scale.t, w=scale.w, m=scale.m, a=scale.a)


def brightness(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compensated light behind features of markers, in thousandths of the scale's top.

    Of features in the range of scales only: of others it is cut, not infinite.
    """
    return np.asarray(np.sinh(np.clip(positions * _UNIT, -_MOST, _MOST)), np.float64)


def position(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `brightness`."""
    return np.asarray(np.arcsinh(light) / _UNIT, np.float64)
