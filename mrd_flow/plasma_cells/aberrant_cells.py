"""Plasma cells against their normal reference: clones looked for, fitted, shared between tubes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.plasma_cells.archetypes import Archetypes
from mrd_flow.plasma_cells.clone_search import Clone, fit_clone, screen
from mrd_flow.plasma_cells.clone_templates import (
    CloneTemplate,
    archetype_templates,
    diagnostic_template,
    other_light_chain,
)
from mrd_flow.plasma_cells.diagnostic_phenotype import TubePhenotype
from mrd_flow.reference.adaptation import AdaptedReference, adapt
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities, log_sum
from mrd_flow.reference.normal_reference import NormalReference

__all__ = ["TubeFit", "clone_gaussians", "find_clones", "start_fit"]

Floats = NDArray[np.float64]
Key = tuple[tuple[str, str], ...]

_FITTED_VARIANTS = 3  # of each tube's templates, the most promising are fitted
_ARCHETYPE_SHARE = 0.05  # prior that a clone differs from the one known from diagnosis
_READAPT_ABOVE = 0.005  # share of the table's cells above which clones would disturb the adaptation
_POLYCLONAL = 0.3  # of a clone's evidence: as much for the other light chain, and the cells are of both
_TUBE_DRIFT = 0.015  # standard deviation of a marker of one clone between two tubes
_WEIGHT_ROUNDS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeFit:
    """A tube's features (n_cells, n_features), its adapted reference, clones, and densities.

    ``log_components`` (n_components, n_cells) holds log weight plus log density of the
    reference's components, ``log_normal`` their sum; the weights of ``clones`` and of the
    normal cells sum to 1.
    """

    tube: int
    cells: Floats
    adapted: AdaptedReference
    log_components: Floats
    log_normal: Floats
    clones: tuple[Clone, ...]

    @property
    def log_clones(self) -> Floats:
        """Log density of all clones together, weights summing to 1; -inf without any."""
        if not self.clones:
            return np.full(len(self.cells), -np.inf)
        weights = np.array([c.weight for c in self.clones])
        terms = np.log(weights / weights.sum())[:, None] + np.array([c.log_density for c in self.clones])
        return log_sum(terms)

    @property
    def clone_weight(self) -> float:
        """Share of the table's cells that the clones make."""
        return float(sum(c.weight for c in self.clones))

    @property
    def log_known(self) -> Floats:
        """Log density of the mixture as it is explained so far."""
        weight = self.clone_weight
        if weight == 0:
            return self.log_normal
        joint = np.logaddexp(np.log1p(-weight) + self.log_normal, np.log(weight) + self.log_clones)
        return np.asarray(joint, np.float64)

    @property
    def posterior(self) -> Floats:
        """Probability of each cell to be a clone's."""
        weight = self.clone_weight
        if weight == 0:
            return np.zeros(len(self.cells))
        odds = np.log(weight) - np.log1p(-weight) + self.log_clones - self.log_normal
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def start_fit(
    tube: int, cells: Floats, reference: NormalReference, *, normal_share: Floats | None = None
) -> TubeFit:
    """Adapt the reference to a tube's cells; no clone yet."""
    adapted = adapt(reference, cells, normal_share=normal_share)
    components = adapted.log_weights[:, None] + log_densities(cells, adapted.gaussians)
    return TubeFit(
        tube=tube,
        cells=cells,
        adapted=adapted,
        log_components=components,
        log_normal=log_sum(components) if len(cells) else np.empty(0),
        clones=(),
    )


def find_clones(
    fits: tuple[TubeFit, ...],
    archetypes: Archetypes,
    diagnosis: dict[int, TubePhenotype],
    *,
    least_evidence: float,
    most_clones: int,
) -> tuple[TubeFit, ...]:
    """Add clones to the tubes of a sample, one after another, while the tubes' joint evidence suffices.

    Parameters
    ----------
    fits
        Tubes as `start_fit` gives them.
    archetypes, diagnosis
        What is looked for: archetypes, and by tube the clone known from diagnosis.
    least_evidence
        Log evidence ratio, summed over tubes, that a clone needs.
    most_clones
        Where the search ends.
    """
    for _ in range(most_clones):
        found = _next_clones(fits, archetypes, diagnosis, least_evidence)
        if found is None:
            break
        fits = tuple(_with_clone(f, c) for f, c in zip(fits, found, strict=True))
        fits = tuple(_readapted(f) for f in fits)
    return fits


def _next_clones(
    fits: tuple[TubeFit, ...],
    archetypes: Archetypes,
    diagnosis: dict[int, TubePhenotype],
    least_evidence: float,
) -> tuple[Clone | None, ...] | None:
    """The clone whose phenotype on the markers that all tubes have is best supported by all of them."""
    shared = set.intersection(*(set(f.adapted.reference.features) for f in fits))
    offered = [_best_by_phenotype(f, archetypes, diagnosis.get(f.tube), shared) for f in fits]
    keys = sorted(set().union(*offered))
    if not keys:
        return None
    evidence = [sum(o[k].evidence for o in offered if k in o) for k in keys]
    best = keys[int(np.argmax(evidence))]
    if max(evidence) < least_evidence:
        return None
    chosen = tuple(o.get(best) for o in offered)
    return _informed(fits, chosen, shared)


def _best_by_phenotype(
    fit: TubeFit, archetypes: Archetypes, diagnosis: TubePhenotype | None, shared: set[str]
) -> dict[Key, Clone]:
    """The best-fitting clone of one tube for each phenotype on the shared markers."""
    if len(fit.cells) < 2:
        return {}
    templates = archetype_templates(archetypes, fit.adapted)
    if diagnosis is not None:
        templates = tuple(replace(t, prior=t.prior * _ARCHETYPE_SHARE) for t in templates)
        known = replace(diagnostic_template(diagnosis, fit.adapted), prior=1 - _ARCHETYPE_SHARE)
        templates = (known, *templates)
    known_density = fit.log_known
    promise = screen(fit.cells, known_density, templates)
    keys = [_key(t, shared) for t in templates]
    best: dict[Key, Clone] = {}
    fitted = set(np.argsort(-promise, kind="stable")[:_FITTED_VARIANTS].tolist())
    if diagnosis is not None:
        fitted.add(0)
    for i in sorted(fitted):
        clone = _against_other_chain(fit, fit_clone(fit.cells, known_density, templates[i]), known_density)
        if keys[i] not in best or clone.evidence > best[keys[i]].evidence:
            best[keys[i]] = clone
    return best


def _against_other_chain(fit: TubeFit, clone: Clone, known_density: Floats) -> Clone:
    """Take from a clone's evidence what the same phenotype with the other light chain would have.

    A kind of normal cells that lies a little off its place in the reference has evidence for both
    chains, in the proportion of normal cells, however much it is. Two clones that differ in their
    light chain alone would be taken for such a kind.
    """
    other = other_light_chain(clone.template, fit.adapted)
    if other is None or clone.evidence <= 0:
        return clone
    against = max(fit_clone(fit.cells, known_density, other).evidence, 0.0)
    evidence = clone.evidence - against if against < _POLYCLONAL * clone.evidence else 0.0
    return replace(clone, evidence=evidence)


def _key(template: CloneTemplate, shared: set[str]) -> Key:
    if template.origin == "diagnosis":
        return (("diagnosis", ""),)
    return tuple(sorted((m, level) for m, level in template.levels if m in shared))


def _informed(
    fits: tuple[TubeFit, ...], chosen: tuple[Clone | None, ...], shared: set[str]
) -> tuple[Clone | None, ...]:
    """Refit each tube's clone with the shared markers' positions in the other tubes as its prior."""
    if sum(c is not None for c in chosen) < 2:
        return chosen
    return tuple(
        c if c is None else fit_clone(f.cells, f.log_known, _prior_from_others(i, fits, chosen, shared))
        for i, (f, c) in enumerate(zip(fits, chosen, strict=True))
    )


def _prior_from_others(
    index: int, fits: tuple[TubeFit, ...], chosen: tuple[Clone | None, ...], shared: set[str]
) -> CloneTemplate:
    own = chosen[index]
    assert own is not None
    template = own.template
    names = fits[index].adapted.reference.features
    precision = template.mean_spread**-2
    weighted = template.mean * precision
    for j, other in enumerate(chosen):
        if j == index or other is None:
            continue
        theirs = fits[j].adapted.reference.features
        cells = max(other.weight * len(fits[j].cells), 1.0)
        for f, name in enumerate(names):
            if name in shared:
                at = theirs.index(name)
                variance = other.covariance[at, at] / cells + _TUBE_DRIFT**2
                precision[f] += 1 / variance
                weighted[f] += other.mean[at] / variance
    return replace(template, mean=weighted / precision, mean_spread=precision**-0.5)


def _with_clone(fit: TubeFit, clone: Clone | None) -> TubeFit:
    """Add a clone and let all weights settle by expectation-maximisation at fixed densities."""
    if clone is None:
        return fit
    clones = (*fit.clones, clone)
    before = [c.weight * (1 - clone.weight) for c in fit.clones]
    weights = np.array([*before, clone.weight])
    densities = np.array([c.log_density for c in clones])
    for _ in range(_WEIGHT_ROUNDS):
        terms = np.vstack([np.log1p(-weights.sum()) + fit.log_normal, np.log(weights)[:, None] + densities])
        posterior = np.exp(terms[1:] - log_sum(terms))
        weights = np.maximum(posterior.sum(axis=1), 0.5) / (len(fit.cells) + 1.0)
        weights *= min(1.0, (1 - 1e-9) / weights.sum())
    return replace(
        fit, clones=tuple(replace(c, weight=float(w)) for c, w in zip(clones, weights, strict=True))
    )


def _readapted(fit: TubeFit) -> TubeFit:
    """Adapt the reference again without the clone's cells, where these are many, and refit the clones."""
    if fit.clone_weight < _READAPT_ABOVE:
        return fit
    new = start_fit(fit.tube, fit.cells, fit.adapted.reference, normal_share=1 - fit.posterior)
    for clone in fit.clones:
        cells = clone.weight * len(fit.cells)
        refit = fit_clone(fit.cells, new.log_known, clone.template, start_cells=cells, start=clone)
        new = _with_clone(new, refit)
    return new


def clone_gaussians(fit: TubeFit) -> tuple[Gaussians, Floats]:
    """The clones of a tube as Gaussians, and their shares of all clonal cells."""
    weights = np.array([c.weight for c in fit.clones])
    return (
        Gaussians(
            means=np.array([c.mean for c in fit.clones]),
            covariances=np.array([c.covariance for c in fit.clones]),
        ),
        weights / weights.sum(),
    )
