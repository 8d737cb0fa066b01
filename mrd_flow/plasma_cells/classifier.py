"""Plasma cells of a sample, each normal, aberrant or no plasma cell, and what such a call is worth.

An aberrant cell must deviate from the normal reference as it stands in this sample, look
more like a clone than like anything normal, and lie in a place where there are more cells
than the normal ones account for. All three are given for every cell, with what the calls
are worth: events expected to be false, precision and recall at this phenotype and depth.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mrd_flow.panel.template import Logicle
from mrd_flow.plasma_cells.aberrant_cells import NeededEvidence, find_clones
from mrd_flow.plasma_cells.archetypes import Archetypes
from mrd_flow.plasma_cells.classified import (
    ClassifiedSample,
    ClassifiedTube,
    ClassifierSettings,
    Expectation,
    PlasmaCellTable,
)
from mrd_flow.plasma_cells.clone_expectations import (
    estimated_events,
    found_expectation,
    looked_for_expectations,
)
from mrd_flow.plasma_cells.cohesion import clone_draws
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype
from mrd_flow.plasma_cells.phenotype_words import antigen_words
from mrd_flow.plasma_cells.tube_fit import TubeFit, clone_gaussians, start_fit
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, log_sum
from mrd_flow.reference.normal_reference import TAIL, NormalReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS, feature_names, features
from mrd_flow.reference.residual_spillover import corrected

__all__ = ["classify_plasma_cells"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_CHAIN_CLEAR = 4.0  # variances between a cell's two light chains that settle which one it makes


def classify_plasma_cells(
    tables: Sequence[PlasmaCellTable],
    references: Mapping[int, NormalReference],
    archetypes: Archetypes,
    *,
    scales: Mapping[str, Logicle],
    diagnosis: DiagnosticPhenotype | None = None,
    settings: ClassifierSettings | None = None,
) -> ClassifiedSample:
    """Classify the plasma cells of all tubes of one sample together.

    Parameters
    ----------
    tables
        One table per tube, of the sample's usable tubes.
    references
        Normal plasma cells by tube.
    archetypes
        Phenotypes to look for; with a diagnosis, they are looked for beside it.
    scales
        Logicle scale of every marker, as the tables have it.
    diagnosis
        The patient's clone at diagnosis.
    settings
        Thresholds.

    Returns
    -------
    ClassifiedSample
        The same for any number of threads.

    Raises
    ------
    ValueError
        If a table has no reference, or other features than its reference.
    """
    settings = settings or ClassifierSettings()
    fits = tuple(_started(t, references, scales) for t in tables)
    known = {f.tube: p for f in fits if diagnosis is not None and (p := diagnosis.of(f.tube)) is not None}
    fits = find_clones(
        fits,
        archetypes,
        known,
        needed=NeededEvidence(
            archetype=settings.least_evidence,
            diagnosis=settings.known_evidence,
            further=settings.further_evidence,
        ),
        most_clones=settings.most_clones,
    )
    tubes = tuple(_classified(f, settings) for f in fits)
    expectations = (
        (found_expectation(fits, settings),)
        if any(f.clones for f in fits)
        else looked_for_expectations(fits, archetypes, known, settings)
    )
    return _sample(fits, tubes, expectations)


def _sample(
    fits: tuple[TubeFit, ...],
    tubes: tuple[ClassifiedTube, ...],
    expectations: tuple[Expectation, ...],
) -> ClassifiedSample:
    found = [(f, c) for f in fits for c in f.clones]
    estimates = [estimated_events(f) for f in fits]
    aberrant = sum(int(t.aberrant.sum()) for t in tubes)
    true = float(sum(t.posterior[t.aberrant].sum() for t in tubes))
    clonal = float(sum(t.posterior.sum() for t in tubes))
    if not found:
        precision = min((e.precision for e in expectations), default=0.0)
        recall = min((e.recall for e in expectations), default=0.0)
    else:
        precision, recall = true / aberrant if aberrant else 0.0, true / clonal if clonal else 0.0
    words: dict[str, str] = {}
    for fit, clone in found:
        for marker, word in antigen_words(clone.mean, fit.adapted):
            words.setdefault(marker, word)
    return ClassifiedSample(
        tubes=tubes,
        aberrant_events=aberrant,
        evidence=float(sum(c.evidence for _, c in found)),
        origin=found[0][1].template.origin if found else "",
        archetype=found[0][1].template.name if found else "",
        light_chain=next((c.template.light_chain for _, c in found if c.template.light_chain), ""),
        clusters=max((len(f.clones) for f in fits), default=0),
        antigens=tuple(words.items()),
        estimated_events=float(sum(e for e, _ in estimates)),
        estimated_events_sd=float(np.sqrt(sum(v for _, v in estimates))),
        expected_false_events=aberrant - true,
        expected_precision=precision,
        expected_recall=recall,
        expectations=expectations,
    )


def _started(
    table: PlasmaCellTable, references: Mapping[int, NormalReference], scales: Mapping[str, Logicle]
) -> TubeFit:
    reference = references.get(table.tube)
    if reference is None or reference.features != feature_names(table.dimensions):
        raise ValueError("every table needs a reference of normal plasma cells with the same markers")
    cells = corrected(features(table.cells, table.dimensions, scales), reference)
    return start_fit(table.tube, cells, reference)


def _classified(fit: TubeFit, settings: ClassifierSettings) -> ClassifiedTube:
    size = len(fit.cells)
    posterior = fit.posterior
    deviation_p = _deviation_p(fit)
    log_ratio, cohesion, cohesion_p = np.full(size, -np.inf), np.zeros(size), np.ones(size)
    if fit.clones and size:
        log_ratio = fit.log_clones - fit.log_normal
        draws = clone_draws(
            *clone_gaussians(fit),
            fit.adapted.gaussians,
            fit.adapted.log_weights,
            size * (1 - fit.clone_weight),
        )
        cohesion, cohesion_p = draws.excess(log_ratio)
    called = posterior > settings.posterior
    if called.any() and not (
        np.median(deviation_p[called]) <= settings.deviation_p
        and cohesion_p[called & (log_ratio == log_ratio[called].min())].max() <= settings.cohesion_p
    ):
        called = np.zeros(size, np.bool_)
    kappa, lambda_ = _light_chains(fit)
    return ClassifiedTube(
        tube=fit.tube,
        aberrant=called,
        not_plasma_cell=_not_plasma_cell(fit) & ~called,
        posterior=posterior,
        deviation_p=deviation_p,
        log_ratio=log_ratio,
        cohesion=cohesion,
        cohesion_p=cohesion_p,
        cluster=_without_light_chains(fit, settings.posterior),
        kappa=kappa,
        lambda_=lambda_,
        shift_at_limit=fit.adapted.at_limit,
    )


def _deviation_p(fit: TubeFit) -> Floats:
    """Share of normal cells at least as unlikely under the reference, not below the last of `TAIL`.

    The kinds of normal cells stand where this sample has them, but with the reference's
    weights: a large clone would otherwise raise those of the kinds it resembles.
    """
    reference = fit.adapted.reference
    if not len(fit.cells):
        return np.zeros(0)
    weights = np.array(reference.weights)
    moved = np.log(weights / weights.sum()) - fit.adapted.log_weights
    deviance = -log_sum(fit.log_components + moved[:, None])
    return np.asarray(np.exp(np.interp(deviance, np.array(reference.deviances), np.log(TAIL))))


def _not_plasma_cell(fit: TubeFit) -> Mask:
    other = ~fit.adapted.reference.of_plasma_cells
    if not len(fit.cells):
        return np.zeros(0, np.bool_)
    return np.asarray(log_sum(fit.log_components[other]) > log_sum(fit.log_components[~other]))


def _light_chains(fit: TubeFit) -> tuple[Mask, Mask]:
    """Which cells clearly make kappa, which lambda; none where a tube does not have both."""
    names = fit.adapted.reference.features
    if not set(LIGHT_CHAINS) <= set(names):
        nothing = np.zeros(len(fit.cells), np.bool_)
        return nothing, nothing.copy()
    against = []
    for chain in LIGHT_CHAINS:
        values = fit.cells[:, names.index(chain)]
        (low, low_spread), (high, high_spread) = (fit.adapted.level(chain, i) for i in (0, 1))
        against.append(((values - low) / low_spread) ** 2 - ((values - high) / high_spread) ** 2)
    difference = against[0] - against[1]
    return difference > _CHAIN_CLEAR, difference < -_CHAIN_CLEAR


def _without_light_chains(fit: TubeFit, threshold: float) -> Mask:
    """Cells more likely the clone's than not by all features but the light chains."""
    names = fit.adapted.reference.features
    if not fit.clones or not set(LIGHT_CHAINS) <= set(names):
        return np.zeros(len(fit.cells), np.bool_)
    kept = np.array([i for i, n in enumerate(names) if n not in LIGHT_CHAINS])
    cells = fit.cells[:, kept]
    clones, shares = clone_gaussians(fit)
    clone = log_sum(np.log(shares)[:, None] + log_densities(cells, _marginal(clones, kept)))
    normal = log_sum(
        fit.adapted.log_weights[:, None] + log_densities(cells, _marginal(fit.adapted.gaussians, kept))
    )
    weight = fit.clone_weight
    odds = np.log(weight) - np.log1p(-weight) + clone - normal
    return np.asarray(odds > np.log(threshold) - np.log1p(-threshold))


def _marginal(gaussians: Gaussians, kept: NDArray[np.int64]) -> Gaussians:
    return Gaussians(
        means=gaussians.means[:, kept], covariances=gaussians.covariances[:, kept[:, None], kept[None, :]]
    )
