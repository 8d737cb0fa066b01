"""Looking for a clone among plasma cells: which template explains cells that the normal ones do not.

A clone is one more Gaussian beside the normal mixture. Its weight, mean and spread are
fitted by expectation-maximisation with the template as the prior. What it explains is
weighed as a log evidence ratio: the gain in likelihood over the normal cells alone, less
what the freedom of weight and mean costs. Cells are only worth looking at where the
template, widened by what is unknown of it, comes near the density of normal cells; all
others are counted, not computed.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.plasma_cells.clone_templates import CloneTemplate
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, moments

__all__ = ["Clone", "cost", "fit_clone", "moved", "screen"]

Floats = NDArray[np.float64]

_SCREEN_CELLS = (10.0, 60.0, 600.0, 6000.0)  # weights tried before anything is fitted, in cells
_NEAR = -14.0  # ln(weight x clone density / normal density) below which a cell is not looked at
_ROUNDS = 40
_CONVERGED = 2e-3  # relative change of the clone's cells
_FEWEST_CELLS = 0.5
_LEAST_SHARE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A fitted clone in one tube.

    ``weight`` is its share of the table's cells, ``log_density`` (n_cells,) its log
    density at every cell, ``evidence`` the log evidence ratio against none.
    """

    template: CloneTemplate
    weight: float
    mean: Floats
    covariance: Floats
    log_density: Floats
    evidence: float


def screen(cells: Floats, log_known: Floats, templates: tuple[CloneTemplate, ...]) -> Floats:
    """Log evidence of each template as it stands, its mean left uncertain, at the best of a few weights.

    Parameters
    ----------
    cells, log_known
        Features (n_cells, n_features), and the log density of what is already explained.
    templates
        Those to weigh.

    Returns
    -------
    numpy.ndarray
        Float64 (n_templates,), the templates' prior included.
    """
    predictive = Gaussians(
        means=np.array([t.mean for t in templates]),
        covariances=np.array([t.covariance + np.diag(t.mean_spread**2) for t in templates]),
    )
    ratios = log_densities(cells, predictive) - log_known
    evidence = np.array(
        [
            max((_gain(r, w / len(cells)) for w in _SCREEN_CELLS if w < len(cells)), default=0.0)
            for r in ratios
        ]
    )
    return np.asarray(evidence + np.log([t.prior for t in templates]))


def fit_clone(
    cells: Floats,
    log_known: Floats,
    template: CloneTemplate,
    *,
    start_cells: float = 20.0,
    start: "Clone | None" = None,
) -> Clone:
    """Fit one template to a tube's plasma cells.

    Parameters
    ----------
    cells, log_known
        As in `screen`.
    template
        The prior.
    start_cells
        Cells that the clone is held to have before the first round.
    start
        An earlier fit to go on from; the template where None.

    Returns
    -------
    Clone
    """
    size = len(cells)
    mean, covariance = template.mean, template.covariance + np.diag(template.mean_spread**2)
    if start is not None:
        mean, covariance = start.mean, start.covariance
    log_density = _log_density(cells, mean, covariance)
    near = np.flatnonzero(log_density - log_known > _NEAR - np.log(0.5))
    seen, known = cells[near], log_known[near]
    ratio = (log_density - log_known)[near]
    weight = min(start_cells / size, 0.5)
    for _ in range(_ROUNDS):
        share = _posterior(ratio, weight)
        total, mean, covariance = _updated(seen, share, template)
        before, weight = weight, max(total, _FEWEST_CELLS) / size
        ratio = _log_density(seen, mean, covariance) - known
        if abs(weight - before) < _CONVERGED * before:
            break
    weight = min(weight, 1 - 1e-9)
    log_density = _log_density(cells, mean, covariance)
    clone = Clone(
        template=template,
        weight=weight,
        mean=mean,
        covariance=covariance,
        log_density=log_density,
        evidence=0.0,
    )
    return replace(clone, evidence=_gain(log_density - log_known, weight) - cost(clone, size))


def moved(clone: Clone, cells: Floats, share: Floats) -> Clone:
    """The clone where its template and the ``share`` (n_cells,) it has of each cell put it; weight kept."""
    near = np.flatnonzero(share > _LEAST_SHARE)
    _, mean, covariance = _updated(cells[near], share[near], clone.template)
    return replace(clone, mean=mean, covariance=covariance, log_density=_log_density(cells, mean, covariance))


def cost(clone: Clone, size: int) -> float:
    """What a clone in a table of ``size`` cells pays for its freedom.

    The distance of its mean from the template and the width of what was left open (the
    integral over the mean by its Gaussian form), the same for its covariance, and the
    prior of the template.
    """
    template = clone.template
    cells = clone.weight * size
    distance = ((clone.mean - template.mean) / template.mean_spread) ** 2
    freedom = np.log1p(cells * template.mean_spread**2 / np.diagonal(clone.covariance))
    of_mean = 0.5 * float(distance.sum() + freedom.sum())
    return of_mean + _covariance_cost(clone, cells) - float(np.log(template.prior))


def _covariance_cost(clone: Clone, cells: float) -> float:
    """Log likelihood at the fitted covariance less that averaged over the template's inverse Wishart prior.

    Both follow from the number of cells and the two covariances alone, since the fitted
    one is the mean of the template's and the cells' own, each by its number of cells.
    """
    from math import lgamma

    known, features = clone.template.covariance_cells, len(clone.mean)
    both = known + cells
    fitted = float(np.linalg.slogdet(clone.covariance)[1])
    expected = float(np.linalg.slogdet(clone.template.covariance)[1])
    misfit = known * float(np.trace(np.linalg.solve(clone.covariance, clone.template.covariance)))
    at_fit = -0.5 * (cells * (features * np.log(2.0) + fitted) + both * features - misfit)
    gammas = sum(lgamma((both - i) / 2) - lgamma((known - i) / 2) for i in range(features))
    averaged = 0.5 * known * (features * np.log(known) + expected)
    averaged -= 0.5 * both * (features * np.log(both) + fitted)
    return float(at_fit - gammas - averaged)


def _gain(log_ratio: Floats, weight: float) -> float:
    """Log likelihood with the clone less that without."""
    share = np.logaddexp(np.log1p(-weight), np.log(weight) + log_ratio)
    return float(share.sum())


def _posterior(log_ratio: Floats, weight: float) -> Floats:
    odds = np.log(weight) - np.log1p(-weight) + log_ratio
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def _updated(cells: Floats, share: Floats, template: CloneTemplate) -> tuple[float, Floats, Floats]:
    """Cells, mean and covariance that the template and the cells together make most probable."""
    total, mean, scatter = moments(cells, share)
    of_cells = total / np.diagonal(template.covariance)
    of_template = template.mean_spread**-2
    pooled = (of_cells * mean + of_template * template.mean) / (of_cells + of_template)
    off = mean - pooled
    scatter = scatter + total * np.outer(off, off)
    known = template.covariance_cells
    covariance: Floats = (known * template.covariance + scatter) / (known + total)
    return total, pooled, covariance


def _log_density(cells: Floats, mean: Floats, covariance: Floats) -> Floats:
    density: Floats = log_densities(cells, Gaussians(means=mean[None], covariances=covariance[None]))[0]
    return density
