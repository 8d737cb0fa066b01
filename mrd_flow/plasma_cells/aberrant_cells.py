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
from mrd_flow.plasma_cells.joint_fit import joined
from mrd_flow.plasma_cells.tube_fit import TubeFit, with_reference
from mrd_flow.reference.adaptation import log_prior, unadapted

__all__ = ["NeededEvidence", "find_clones"]

Floats = NDArray[np.float64]
Key = tuple[tuple[str, str], ...]

_DIAGNOSIS: Key = (("diagnosis", ""),)
_FITTED_VARIANTS = 3  # of each tube's templates, the most promising are fitted
_ARCHETYPE_SHARE = 0.05  # prior that a clone differs from the one known from diagnosis
_STRAINED = -80.0  # log prior of the adapted reference; marrows without a large clone stay above
_JOINT_GAIN = 6.0  # evidence that fitting normal cells anew may add
_POLYCLONAL = 0.3  # of a clone's evidence: as much for the other light chain, and the cells are of both
_TUBE_DRIFT = 0.015  # standard deviation of a marker of one clone between two tubes


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededEvidence:
    """Log evidence ratio, summed over tubes, that a clone needs.

    ``archetype`` of a clone found without knowing it, ``diagnosis`` of the one known from
    diagnosis, ``further`` of each clone beside the first.
    """

    archetype: float
    diagnosis: float
    further: float


def find_clones(
    fits: tuple[TubeFit, ...],
    archetypes: Archetypes,
    diagnosis: dict[int, TubePhenotype],
    *,
    needed: NeededEvidence,
    most_clones: int,
) -> tuple[TubeFit, ...]:
    """Add clones to the tubes of a sample, one after another, while the tubes' joint evidence suffices.

    Parameters
    ----------
    fits
        Tubes as `start_fit` gives them.
    archetypes, diagnosis
        What is looked for: archetypes, and by tube the clone known from diagnosis. The
        known one is looked for first, what differs from it after.
    needed
        Evidence below which nothing is added.
    most_clones
        Where the search ends.
    """
    wanted: list[tuple[dict[int, TubePhenotype], bool]] = [(diagnosis, True)] if diagnosis else []
    wanted += [({}, False)] * most_clones
    for known, of_diagnosis in wanted:
        if len(max((f.clones for f in fits), key=len, default=())) >= most_clones:
            break
        least = needed.diagnosis if of_diagnosis else needed.archetype
        if any(f.clones for f in fits):
            least = needed.further
        elif diagnosis and not of_diagnosis:
            least -= float(np.log(_ARCHETYPE_SHARE))
        found = _with_next_clone(fits, archetypes, known, least)
        if found is not None:
            fits = found
        elif not of_diagnosis:
            break
    return fits


def _with_next_clone(
    fits: tuple[TubeFit, ...], archetypes: Archetypes, known: dict[int, TubePhenotype], least: float
) -> tuple[TubeFit, ...] | None:
    """The tubes with one more clone, or None where its evidence does not suffice."""
    rested = tuple(_unstrained(f) for f in fits)
    for starts in (rested, fits) if any(r is not f for r, f in zip(rested, fits, strict=True)) else (fits,):
        found = _next_clones(starts, archetypes, known, least - _JOINT_GAIN)
        if found is None:
            continue
        tried = tuple(joined(f, c, start=s) for f, c, s in zip(fits, found, starts, strict=True))
        evidence = sum(t.clones[-1].evidence for t, c in zip(tried, found, strict=True) if c is not None)
        if evidence >= least:
            return tried
    return None


def _unstrained(fit: TubeFit) -> TubeFit:
    """The tube as it is, or where its cells pulled the reference far, beside the reference as learned.

    A clone that is large beside the normal cells is explained by them otherwise, and not found.
    """
    if fit.clones or not len(fit.cells) or log_prior(fit.adapted) > _STRAINED:
        return fit
    return with_reference(fit, unadapted(fit.adapted.reference))


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
    at = int(np.argmax(evidence))
    if evidence[at] < least_evidence:
        return None
    best = keys[at]
    chosen = tuple(o.get(best) for o in offered)
    return _informed(fits, chosen, shared)


def _best_by_phenotype(
    fit: TubeFit, archetypes: Archetypes, diagnosis: TubePhenotype | None, shared: set[str]
) -> dict[Key, Clone]:
    """The best-fitting clone of one tube for each phenotype on the shared markers."""
    if len(fit.cells) < 2:
        return {}
    known_density = fit.log_known
    if diagnosis is not None:
        templates: tuple[CloneTemplate, ...] = (diagnostic_template(diagnosis, fit.adapted),)
        fitted = {0}
    else:
        templates = archetype_templates(archetypes, fit.adapted)
        promise = screen(fit.cells, known_density, templates)
        fitted = set(np.argsort(-promise, kind="stable")[:_FITTED_VARIANTS].tolist())
    keys = [_key(t, shared) for t in templates]
    best: dict[Key, Clone] = {}
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
        return _DIAGNOSIS
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
