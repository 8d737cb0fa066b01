"""The clone's phenotype as the called cells of a sample at diagnosis show it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Logicle
from mrd_flow.plasma_cells.classified import ClassifiedSample, ClassifiedTube, PlasmaCellTable
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype, TubePhenotype
from mrd_flow.plasma_cells.phenotype_words import antigen_words
from mrd_flow.plasma_cells.tube_fit import start_fit
from mrd_flow.reference.gaussian_mixture import moments
from mrd_flow.reference.normal_reference import NormalReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS, feature_names, features
from mrd_flow.reference.residual_spillover import corrected

__all__ = ["diagnostic_phenotype"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_CELLS_PER_FEATURE = 3
_CORE = 0.999  # share of a Gaussian that is its core
_CORE_ROUNDS = 3


def diagnostic_phenotype(
    panel: str,
    tables: Sequence[PlasmaCellTable],
    sample: ClassifiedSample,
    references: Mapping[int, NormalReference],
    *,
    scales: Mapping[str, Logicle],
) -> DiagnosticPhenotype:
    """The phenotype of the cells called aberrant in a sample at diagnosis.

    Parameters
    ----------
    panel
        Name of the template.
    tables, sample, references, scales
        What `classify_plasma_cells` was given, and what it gave.

    Returns
    -------
    DiagnosticPhenotype
        Of the tubes with at least three called cells per feature, so that the spread
        between cells is theirs. Called cells of the other light chain, and those far from
        the rest, are normal ones and left out.

    Raises
    ------
    ValueError
        If no tube has so many.
    """
    tubes = []
    for table, called in zip(tables, sample.tubes, strict=True):
        reference = references[table.tube]
        cells = corrected(features(table.cells, table.dimensions, scales), reference)
        own = _core(cells[called.aberrant & _own_chain(called, sample.light_chain)])
        if len(own) < _CELLS_PER_FEATURE * cells.shape[1]:
            continue
        fit = start_fit(table.tube, cells, reference, normal_share=1 - called.posterior)
        mean = own.mean(axis=0)
        # The reference's coordinates: what the sample's normal cells were moved by is taken back.
        mean_in_reference = mean - fit.adapted.shift_at(mean)
        tubes.append(
            TubePhenotype(
                tube=table.tube,
                cells=len(own),
                light_chain=sample.light_chain if set(LIGHT_CHAINS) <= set(table.dimensions) else "",
                features=feature_names(table.dimensions),
                mean=tuple(mean_in_reference.tolist()),
                covariance=tuple(map(tuple, _covariance(own).tolist())),
                antigens=antigen_words(mean, fit.adapted),
            )
        )
    if not tubes:
        raise ValueError("too few aberrant cells to keep their phenotype")
    return DiagnosticPhenotype(panel=panel, tubes=tuple(tubes))


def _own_chain(called: ClassifiedTube, light_chain: str) -> Mask:
    """Cells that do not make the other light chain than the clone's."""
    if light_chain == LIGHT_CHAINS[0]:
        return ~called.lambda_
    return ~called.kappa if light_chain == LIGHT_CHAINS[1] else np.ones(len(called.kappa), np.bool_)


def _core(cells: Floats) -> Floats:
    """Cells within the middle of a Gaussian, those far out left out and the rest looked at again."""
    from scipy.special import chdtri

    features = cells.shape[1]
    spread = np.quantile(cells, [0.16, 0.5, 0.84], axis=0) if len(cells) else np.zeros((3, features))
    distance = ((cells - spread[1]) / np.maximum((spread[2] - spread[0]) / 2, 1e-6)) ** 2
    inside = distance.sum(axis=1) <= chdtri(features, 1 - _CORE)
    for _ in range(_CORE_ROUNDS):
        if inside.sum() < _CELLS_PER_FEATURE * features:
            break
        centred = cells - cells[inside].mean(axis=0)
        precision = np.linalg.inv(_covariance(cells[inside]))
        inside = np.einsum("ia,ab,ib->i", centred, precision, centred) <= chdtri(features, 1 - _CORE)
    return np.asarray(cells[inside], np.float64)


def _covariance(cells: Floats) -> Floats:
    """As `numpy.cov` of the columns, the same for any number of threads."""
    return moments(cells, np.ones(len(cells)))[2] / (len(cells) - 1)
