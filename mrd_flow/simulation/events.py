"""From kinds of cells to what detectors show: scatter, light, doublets, spillover, noise.

Two cells in one event stand in line (their areas add, the height is that of the larger)
or abreast (areas and heights add: they look like one large cell and pass a gate on
singlets). Light mixes by the spillover matrix; photon noise grows with it, so a bright
neighbour spreads a negative population after compensation.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mrd_flow.simulation.populations import CellKinds

__all__ = [
    "ABREAST_SHARE",
    "DEBRIS_SHARE",
    "DOUBLET_SHARE",
    "ELECTRONIC_NOISE",
    "PHOTON_GAIN",
    "TOP",
    "draw_cells",
    "gain_of",
    "join_pairs",
    "light_of",
    "measure",
    "single_scatter",
]

Floats = NDArray[np.float32]

DEBRIS_SHARE = 0.06
"""Of recorded events."""
DOUBLET_SHARE = 0.025
"""Of recorded events."""
ABREAST_SHARE = 0.08
"""Of doublets."""
ELECTRONIC_NOISE = 110.0
"""Standard deviation of a dark detector, in channels."""
PHOTON_GAIN = 0.6
"""Channels per photoelectron: variance = gain x signal."""
TOP = np.float32(262143.0)
"""Largest value a detector writes."""
_AREA_TO_HEIGHT = 0.82
_HEIGHT_SPREAD_LN = 0.035
_HEIGHT_IN_LINE = 1.05  # the edge of the second cell overlaps


def draw_cells(kinds: CellKinds, rows: NDArray[np.intp], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """FSC-A, FSC-H, SSC-A (n, 3) and true light (n, n_markers) of single cells of the kinds ``rows``."""
    normal = rng.standard_normal((len(rows), 4), dtype=np.float32)
    scatter = single_scatter(kinds.scatter[rows], normal)
    latent = rng.standard_normal((len(rows), kinds.median_ln.shape[1]), dtype=np.float32)
    latent *= np.float32(np.sqrt(1 - kinds.shared**2))
    latent += np.float32(kinds.shared) * normal[:, 3:4]
    return scatter, light_of(kinds, rows, latent)


def light_of(kinds: CellKinds, rows: NDArray[np.intp], latent: Floats) -> Floats:
    """True light (n, n_markers) of cells that lie ``latent`` spreads above their kind's median."""
    light = latent * kinds.spread[rows]
    light += kinds.median_ln[rows]
    return np.asarray(np.exp(light, out=light), np.float32)


def single_scatter(scatter: Floats, normal: Floats) -> Floats:
    """FSC-A, FSC-H, SSC-A (n, 3) of single cells.

    Parameters
    ----------
    scatter
        Rows of `CellKinds.scatter`, (n, 4) or (4,).
    normal
        Standard normal deviates, (n, 3 or more).
    """
    forward, forward_spread, side, side_spread = scatter.T
    shown = np.empty((len(normal), 3), np.float32)
    shown[:, 0] = forward * np.exp(forward_spread * normal[:, 0])
    shown[:, 1] = shown[:, 0] * np.float32(_AREA_TO_HEIGHT)
    shown[:, 1] *= np.exp(np.float32(_HEIGHT_SPREAD_LN) * normal[:, 1])
    shown[:, 2] = side * np.exp(side_spread * normal[:, 2])
    return shown


def join_pairs(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Scatter and light of events that hold two cells each."""
    abreast = rng.random(len(first[0])) < ABREAST_SHARE
    scatter = first[0] + second[0]
    in_line = np.maximum(first[0][:, 1], second[0][:, 1]) * np.float32(_HEIGHT_IN_LINE)
    scatter[:, 1] = np.where(abreast, scatter[:, 1], in_line)
    return scatter, first[1] + second[1]


def measure(
    scatter: Floats,
    light: Floats,
    mixing: Floats,
    rng: np.random.Generator,
    gain: Floats | None = None,
) -> Floats:
    """What the detectors write, float32 (n, 3 + n_markers): FSC-A, FSC-H, SSC-A, fluorescence.

    Parameters
    ----------
    scatter, light
        Of `draw_cells` or `join_pairs`.
    mixing
        Spillover matrix.
    rng
        Source of the noise.
    gain
        Factor of each detector, (n_markers,) or (n, n_markers); what it was when the
        compensation was set is 1.
    """
    mixed = light @ mixing
    noise = rng.standard_normal(mixed.shape, dtype=np.float32)
    noise *= np.sqrt(np.float32(PHOTON_GAIN) * mixed + np.float32(ELECTRONIC_NOISE**2))
    mixed += noise
    if gain is not None:
        mixed *= gain
    return np.hstack([np.clip(scatter, 0, TOP), np.minimum(mixed, TOP)])


def gain_of(markers: Iterable[str], factors: Mapping[str, float]) -> Floats:
    """Factor of each marker's detector, float32; 1 where none is given.

    Raises
    ------
    ValueError
        If a factor is not above 0 or names a marker the tube does not stain.

    Examples
    --------
    >>> gain_of(("CD38", "CD19"), {"CD19": 0.5}).tolist()
    [1.0, 0.5]
    """
    markers = tuple(markers)
    if set(factors) - set(markers) or not all(0 < f < np.inf for f in factors.values()):
        raise ValueError("a gain or drift must be above 0 and that of a marker of the tube")
    return np.array([factors.get(m, 1.0) for m in markers], np.float32)
