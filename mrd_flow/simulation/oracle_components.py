"""What an event in the plasma-cell gate can be, as components with rate, light and scatter.

The light of a doublet is taken as lognormal with the right mean and variance, its scatter
as normal in ln units with the moments of drawn pairs that pass the nucleated gate.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Panel
from mrd_flow.simulation.events import DEBRIS_SHARE, DOUBLET_SHARE, join_pairs, single_scatter
from mrd_flow.simulation.plasma_cell_model import PHENOTYPES, average_patient, clone_variation_ln
from mrd_flow.simulation.populations import CellKinds
from mrd_flow.simulation.sample_model import SampleModel
from mrd_flow.simulation.template_gates import inside_gate

__all__ = ["Components", "clones", "doublets", "singles"]

Values = NDArray[np.float64]

_HEIGHT_LN = (float(np.log(0.82)), 0.035)
_PAIRS_DRAWN = 20_000
_LIGHT_CHAINS = ("cyKappa", "cyLambda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Rows of components: rate (of a tube's events, ln), light and its shared part, scatter.

    Scatter is a normal law of ln FSC-A, ln FSC-H/FSC-A and ln SSC-A: ``scatter_mean``
    (n, 3) and ``scatter_covariance`` (n, 3, 3).
    """

    rate_ln: Values
    median_ln: Values
    spread: Values
    shared: Values
    scatter_mean: Values
    scatter_covariance: Values


def singles(kinds: CellKinds, rows: NDArray[np.intp]) -> Components:
    """Single cells of some kinds, one component each."""
    area, area_spread, side, side_spread = kinds.scatter[rows].astype(np.float64).T
    mean = np.stack([np.log(area), np.full(len(rows), _HEIGHT_LN[0]), np.log(side)], axis=1)
    spreads = np.stack([area_spread, np.full(len(rows), _HEIGHT_LN[1]), side_spread], axis=1)
    spread = kinds.spread[rows].astype(np.float64)
    with np.errstate(divide="ignore"):
        rate_ln = np.log((1 - DEBRIS_SHARE - DOUBLET_SHARE) * kinds.share[rows])
    return Components(
        rate_ln=rate_ln,
        median_ln=kinds.median_ln[rows].astype(np.float64),
        spread=spread,
        shared=np.full_like(spread, kinds.shared),
        scatter_mean=mean,
        scatter_covariance=spreads[:, :, np.newaxis] ** 2 * np.eye(3),
    )


def clones(
    kinds: CellKinds, panel: Panel, tube: int, sample: SampleModel, *, phenotype_known: bool
) -> Components:
    """The clone as it was drawn, or one component for every archetype and light chain it may be."""
    own = singles(kinds, kinds.rows("aberrant_plasma_cell"))
    if phenotype_known:
        return own
    options = [_archetype(panel, tube, sample, p, c) for p in PHENOTYPES for c in _LIGHT_CHAINS]
    medians, spreads, shared = (np.concatenate(part) for part in zip(*options, strict=True))
    return replace(
        own,
        rate_ln=np.repeat(own.rate_ln, len(options)),
        median_ln=medians,
        spread=spreads,
        shared=shared,
        scatter_mean=np.repeat(own.scatter_mean, len(options), axis=0),
        scatter_covariance=np.repeat(own.scatter_covariance, len(options), axis=0),
    )


def _archetype(
    panel: Panel, tube: int, sample: SampleModel, phenotype: str, light_chain: str
) -> tuple[Values, Values, Values]:
    """Median, spread and shared part (1, n_markers) of a clone of which only the sort is known."""
    markers = tuple(panel.tubes[tube - 1].markers)
    patient = replace(sample.patient or average_patient(), clone_ln={})
    kinds = replace(sample, phenotype=phenotype, light_chain=light_chain, patient=patient).kinds(markers)
    row = kinds.rows("aberrant_plasma_cell")
    between = clone_variation_ln(phenotype, light_chain)
    within = kinds.spread[row].astype(np.float64)
    spread = np.hypot(within, [between.get(m, 0.0) for m in markers])
    return kinds.median_ln[row].astype(np.float64), spread, kinds.shared * within / spread


def doublets(kinds: CellKinds, panel: Panel, tube: int) -> Components:
    """Any cell with one that is no plasma cell, as far as they pass the nucleated gate."""
    cells = np.flatnonzero(kinds.share > 0)
    plasma = np.isin(cells, [*kinds.rows("normal_plasma_cell"), *kinds.rows("aberrant_plasma_cell")])
    first, second = (m.ravel() for m in np.meshgrid(cells, cells[~plasma], indexing="ij"))
    both_ways = np.isin(first, cells[plasma])  # other pairs stand in the grid twice
    passing, mean, covariance = _pair_scatter(kinds, first, second, panel, tube)
    rate = (1 + both_ways) * DOUBLET_SHARE * kinds.share[first] * kinds.share[second] * passing
    kept = rate > 0
    median_ln, spread = _light_sum(kinds, first[kept], second[kept])
    return Components(
        rate_ln=np.log(rate[kept]),
        median_ln=median_ln,
        spread=spread,
        shared=np.zeros_like(spread),
        scatter_mean=mean[kept],
        scatter_covariance=covariance[kept],
    )


def _light_sum(kinds: CellKinds, first: NDArray[np.intp], second: NDArray[np.intp]) -> tuple[Values, Values]:
    """Lognormal with the mean and variance of the sum of two cells' light."""
    mean, variance = np.zeros((2, len(first), kinds.spread.shape[1]))
    for rows in (first, second):
        spread_square = kinds.spread[rows].astype(np.float64) ** 2
        one = np.exp(kinds.median_ln[rows] + spread_square / 2)
        mean += one
        variance += one**2 * np.expm1(spread_square)
    spread_square = np.log1p(variance / mean**2)
    return np.log(mean) - spread_square / 2, np.sqrt(spread_square)


def _pair_scatter(
    kinds: CellKinds, first: NDArray[np.intp], second: NDArray[np.intp], panel: Panel, tube: int
) -> tuple[Values, Values, Values]:
    """Share of pairs in the nucleated gate, and mean and covariance of the scatter of those.

    One row for each pair of kinds; pairs of which next to none pass have share 0.
    """
    rng = np.random.default_rng(1)
    pairs = np.hstack([kinds.scatter[first], kinds.scatter[second]])
    sorts, which = np.unique(pairs, axis=0, return_inverse=True)
    shares, means = np.zeros(len(sorts)), np.zeros((len(sorts), 3))
    covariances = np.tile(np.eye(3), (len(sorts), 1, 1))
    for k, sort in enumerate(sorts):
        cells = [
            single_scatter(s, rng.standard_normal((_PAIRS_DRAWN, 3), np.float32)) for s in np.split(sort, 2)
        ]
        no_light = np.empty((_PAIRS_DRAWN, 0), np.float32)
        scatter = join_pairs((cells[0], no_light), (cells[1], no_light), rng)[0].astype(np.float64)
        linear = dict(zip(panel.scatter, scatter.T, strict=True))
        kept = scatter[inside_gate(panel, tube, panel.nucleated_gate, linear)]
        if len(kept) > 20:
            seen = np.log(np.column_stack([kept[:, 0], kept[:, 1] / kept[:, 0], kept[:, 2]]))
            shares[k], means[k], covariances[k] = len(kept) / _PAIRS_DRAWN, seen.mean(axis=0), np.cov(seen.T)
    return shares[which], means[which], covariances[which]
