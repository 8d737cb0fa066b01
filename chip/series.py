"""One patient's clones over time: allele fractions with intervals, growth per year, new and lost ones.

A clone grows logistically towards half of the alleles, so logit(2 VAF) is a line in time whose slope is
the yearly growth (Robertson et al. Nat Med 2022;28:1439; Fabre et al. Nature 2022;606:335). It is
fitted to the counts of all samples, also those without a supporting read where their depth is known;
the interval is widened where counts vary more than chance allows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

__all__ = ["Fate", "Growth", "Point", "Trajectory", "fate_of", "grow"]

_DAYS_A_YEAR = 365.25
_TOP = 0.5  # a heterozygous change in every cell


class Fate(StrEnum):
    """What became of a clone between the first and the last sample."""

    PERSISTS = "persists"
    NEW = "new"
    LOST = "lost"
    TRANSIENT = "transient"
    NOT_ASSESSABLE = "not_assessable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A clone in one sample.

    ``alt`` of ``depth``; ``depth`` is None where the sample lists the variant without counts, or does
    not list it and its depth there is not known. ``found``: the sample lists it, not OUT.
    ``detectable_vaf`` is the gene's limit in that sample, None where not known.
    """

    timepoint: str
    collected_on: date
    alt: int
    depth: int | None
    found: bool
    detectable_vaf: float | None

    @property
    def vaf(self) -> float | None:
        """Share of the depth; None where it is not known."""
        return None if not self.depth else self.alt / self.depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Growth per year: 0.2 is a fifth more (of the odds against half) each year; None with the reason."""

    per_year: float | None
    ci_low: float | None
    ci_high: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """One variant of one patient through the samples, in the order of their dates."""

    patient_id: str
    gene: str
    change: str
    points: tuple[Point, ...]
    growth: Growth
    fate: Fate
    fate_reason: str


def grow(points: Sequence[Point]) -> Growth:
    """Fit growth to the counts of at least two dates.

    Notes
    -----
    alt ~ Binomial(depth, 1/2 expit(a + b t)), maximum likelihood by Newton steps; the interval is Wald's
    on b, its variance times the Pearson statistic per degree of freedom where that is above 1, and
    exp(b) - 1 is the growth.
    """
    counted = [p for p in points if p.depth]
    if len({p.collected_on for p in counted}) < 2:
        return _no_growth("fewer than two dates with counts")
    if not any(p.alt for p in counted):
        return _no_growth("no supporting read")
    if any(p.vaf is not None and p.vaf >= _TOP for p in counted):
        return _no_growth("an allele fraction of one half or more: no growth towards one half is left")
    fitted = _fit(counted)
    if fitted is None:
        return _no_growth("the counts do not bound it")
    slope, error = fitted
    low, high = slope - 1.959964 * error, slope + 1.959964 * error
    if high > 20 or low < -20:
        return _no_growth("the counts do not bound it")
    return Growth(per_year=math.expm1(slope), ci_low=math.expm1(low), ci_high=math.expm1(high), reason="")


def _no_growth(reason: str) -> Growth:
    return Growth(per_year=None, ci_low=None, ci_high=None, reason=reason)


def _fit(points: Sequence[Point]) -> tuple[float, float] | None:
    """Slope per year and its standard error; None where the likelihood has no inner maximum."""
    import numpy as np

    first = min(p.collected_on for p in points)
    years = np.array([(p.collected_on - first).days / _DAYS_A_YEAR for p in points])
    alt = np.array([p.alt for p in points], dtype=float)
    depth = np.array([p.depth for p in points], dtype=float)
    design = np.stack([np.ones_like(years), years - years.mean()], axis=1)
    start = (alt.sum() + 0.5) / (depth.sum() + 1) / _TOP
    beta = np.array([math.log(start / (1 - min(start, 0.999))), 0.0])
    for _ in range(100):
        odds = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        p = _TOP * odds
        slope = p * (1 - odds)  # dp / d(linear predictor)
        weight = depth * slope**2 / (p * (1 - p))
        score = design.T @ ((alt - depth * p) * slope / (p * (1 - p)))
        information = (design.T * weight) @ design
        if np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, score)
        step *= min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        beta = beta + step
        if float(np.abs(step).max()) < 1e-9:
            break
    else:
        return None
    spare = len(points) - 2
    pearson = float((((alt - depth * p) ** 2) / (depth * p * (1 - p))).sum())
    widened = max(1.0, pearson / spare) if spare > 0 else 1.0
    return float(beta[1]), float(np.sqrt(np.linalg.inv(information)[1, 1] * widened))


def fate_of(points: Sequence[Point]) -> tuple[Fate, str]:
    """Whether a clone is new or lost, said only where the other sample could have shown it."""
    seen = [p.found for p in points]
    if all(seen):
        return Fate.PERSISTS, "found in every sample"
    first, last = points[0], points[-1]
    if first.found and last.found:
        return Fate.PERSISTS, "found in the first and the last sample"
    if not first.found and not last.found:
        return Fate.TRANSIENT, "found in between alone"
    absent, present, fate = (first, last, Fate.NEW) if last.found else (last, first, Fate.LOST)
    limit = absent.detectable_vaf
    if limit is None:
        return Fate.NOT_ASSESSABLE, f"the limit of {absent.timepoint} is not known"
    if present.vaf is None or present.vaf < limit:
        return Fate.NOT_ASSESSABLE, f"{absent.timepoint} could not have shown it (from {100 * limit:.2g} %)"
    return fate, f"{absent.timepoint} would have shown {100 * limit:.2g} %"
