"""What the calls of a sample are worth: false events, precision and recall at a phenotype and depth."""

import numpy as np
from numpy.typing import NDArray

from mrd_flow.plasma_cells.archetypes import Archetypes
from mrd_flow.plasma_cells.classified import ClassifierSettings, Expectation
from mrd_flow.plasma_cells.clone_templates import CloneTemplate, archetype_templates, diagnostic_template
from mrd_flow.plasma_cells.cohesion import CloneDraws, OperatingPoint, clone_draws
from mrd_flow.plasma_cells.diagnostic_phenotype import TubePhenotype
from mrd_flow.plasma_cells.tube_fit import TubeFit, clone_gaussians
from mrd_flow.reference.gaussian_mixture import Gaussians
from pipeline.detection.lod import decision_count_above_background

__all__ = ["estimated_events", "found_expectation", "looked_for_expectations"]

Floats = NDArray[np.float64]
_BLANKS = 0.95  # share of blanks at or below the limit of blank
_SMALLEST_INFORMATION = 1e-12


def found_expectation(fits: tuple[TubeFit, ...], settings: ClassifierSettings) -> Expectation:
    """What is expected of the clone that was found, at the size it was found in."""
    points, events = [], []
    for fit in fits:
        if not fit.clones:
            continue
        weight = fit.clone_weight
        clone, shares = clone_gaussians(fit)
        draws = _draws(fit, clone, shares, weight)
        points.append(draws.operating_point(_threshold(weight, settings)))
        events.append(weight * len(fit.cells))
    name = next(f.clones[0].template.name for f in fits if f.clones)
    return _joined(name, points, np.array(events))


def looked_for_expectations(
    fits: tuple[TubeFit, ...],
    archetypes: Archetypes,
    diagnosis: dict[int, TubePhenotype],
    settings: ClassifierSettings,
) -> tuple[Expectation, ...]:
    """What a clone of each phenotype looked for would give, were it there with the decision size.

    Of an archetype's variants the one that is hardest to tell from normal cells counts.
    """
    usable = [f for f in fits if len(f.cells) >= 2]
    if not usable:
        return ()
    total = sum(len(f.cells) for f in usable)
    by_name: dict[str, list[tuple[OperatingPoint, float]]] = {}
    for fit in usable:
        events = settings.decision_events * len(fit.cells) / total
        for name, templates in _by_name(fit, archetypes, diagnosis.get(fit.tube)).items():
            found = [_at_template(fit, t, events, settings) for t in templates]
            worst = min(found, key=lambda p: (p.precision(events) * p.recall, -p.false_events))
            by_name.setdefault(name, []).append((worst, events))
    return tuple(
        _joined(name, [p for p, _ in parts], np.array([e for _, e in parts]))
        for name, parts in by_name.items()
    )


def estimated_events(fit: TubeFit) -> tuple[float, float]:
    """The clone's events among a tube's plasma cells by the mixture, and the variance of that number.

    The variance is the inverse of the observed information about the clone's weight at
    the densities as fitted: it holds the counting error and that of misclassification,
    not that of the clone's position.
    """
    if not fit.clones:
        return 0.0, 0.0
    size, weight = len(fit.cells), fit.clone_weight
    log_ratio = np.clip(fit.log_clones - fit.log_normal, -500, 500)
    # (r - 1) / (1 + w (r - 1)), written so that a large ratio does not overflow
    score = np.where(
        log_ratio > 0,
        (1 - np.exp(-log_ratio)) / ((1 - weight) * np.exp(-log_ratio) + weight),
        np.expm1(log_ratio) / (1 + weight * np.expm1(log_ratio)),
    )
    return weight * size, size**2 / max(float((score**2).sum()), _SMALLEST_INFORMATION)


def _by_name(
    fit: TubeFit, archetypes: Archetypes, diagnosis: TubePhenotype | None
) -> dict[str, list[CloneTemplate]]:
    if diagnosis is not None:
        return {"diagnosis": [diagnostic_template(diagnosis, fit.adapted)]}
    found: dict[str, list[CloneTemplate]] = {}
    for template in archetype_templates(archetypes, fit.adapted):
        found.setdefault(template.name, []).append(template)
    return found


def _at_template(
    fit: TubeFit, template: CloneTemplate, events: float, settings: ClassifierSettings
) -> OperatingPoint:
    weight = min(events / len(fit.cells), 0.5)
    clone = Gaussians(means=template.mean[None], covariances=template.covariance[None])
    return _draws(fit, clone, np.ones(1), weight).operating_point(_threshold(weight, settings))


def _draws(fit: TubeFit, clone: Gaussians, shares: Floats, weight: float) -> CloneDraws:
    normal = len(fit.cells) * (1 - weight)
    return clone_draws(clone, shares, fit.adapted.gaussians, fit.adapted.log_weights, normal)


def _threshold(weight: float, settings: ClassifierSettings) -> float:
    """Log ratio at which the posterior is the least one that is called."""
    wanted = np.log(settings.posterior) - np.log1p(-settings.posterior)
    return float(wanted - np.log(weight) + np.log1p(-weight))


def _joined(name: str, points: list[OperatingPoint], events: Floats) -> Expectation:
    kept = float(sum(p.recall * e for p, e in zip(points, events, strict=True)))
    false = float(sum(p.false_events for p in points))
    total = float(events.sum())
    return Expectation(
        phenotype=name,
        clone_events=total,
        recall=kept / total if total > 0 else 0.0,
        precision=kept / (kept + false) if kept + false > 0 else 1.0,
        false_events=false,
        lob_events=decision_count_above_background(false, minimum=1, alpha=1 - _BLANKS) - 1,
    )
