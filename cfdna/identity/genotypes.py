"""Exchanged samples, contamination and sex, from alleles at common SNPs."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SNPS_MIN", "Contamination", "Relation", "SnpCounts", "compare_samples", "estimate_contamination"]

Floats = NDArray[np.float64]
SNPS_MIN = 20
_ERROR = 0.005
_DEPTH_MIN = 10
_SAME = math.log(1000)  # log likelihood ratio that decides between one person and two


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SnpCounts:
    """Molecules at SNPs of one sample, in one order for all samples.

    ``ref``, ``alt`` shape (snps,) int64; ``frequency`` of alt in the population, in (0, 1).
    """

    sample: str
    ref: NDArray[np.int64]
    alt: NDArray[np.int64]
    frequency: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Whether two samples are one person's: same, different, or not_evaluable, with the evidence.

    ``log_ratio`` is the natural logarithm of the likelihood of one person over two unrelated ones.
    """

    first: str
    second: str
    snps: int
    discordant: int
    log_ratio: float
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """Share of the sample's DNA that is another person's, with its 95 % likelihood interval."""

    sample: str
    snps: int
    fraction: float | None
    low: float | None
    high: float | None
    reason: str


def compare_samples(first: SnpCounts, second: SnpCounts) -> Relation:
    """Compare two samples over the SNPs that both cover with ten molecules or more.

    Genotype likelihoods are binomial with an error of 0.5 %, priors Hardy-Weinberg; the verdict needs a
    likelihood ratio of 1,000 either way, and 20 SNPs.
    """
    covered = (first.ref + first.alt >= _DEPTH_MIN) & (second.ref + second.alt >= _DEPTH_MIN)
    snps = int(covered.sum())
    one, two = (np.exp(_genotype_logs(s, covered)) for s in (first, second))
    prior = _hardy_weinberg(first.frequency[covered])
    together = (prior * one * two).sum(axis=1)
    apart = (prior * one).sum(axis=1) * (prior * two).sum(axis=1)
    log_ratio = float(np.log(np.maximum(together, 1e-300) / np.maximum(apart, 1e-300)).sum())
    differ = int((one.argmax(axis=1) != two.argmax(axis=1)).sum()) if snps else 0
    counted = f"{differ} of {snps} genotypes differ, log likelihood ratio {log_ratio:.1f}"
    if snps < SNPS_MIN:
        verdict = "not_evaluable"
        counted += f"; at least {SNPS_MIN} SNPs are needed"
    elif log_ratio >= _SAME:
        verdict = "same"
    else:
        verdict = "different" if log_ratio <= -_SAME else "not_evaluable"
    return Relation(
        first=first.sample,
        second=second.sample,
        snps=snps,
        discordant=differ,
        log_ratio=log_ratio,
        verdict=verdict,
        reason=counted,
    )


def estimate_contamination(counts: SnpCounts) -> Contamination:
    """Maximum-likelihood share of a second, unrelated person's DNA.

    Both genotypes are summed over with Hardy-Weinberg priors (as Jun et al., Am J Hum Genet 2012;91:839,
    equation 1, without base qualities); error 0.1 % a molecule.
    """
    covered = counts.ref + counts.alt >= _DEPTH_MIN
    snps = int(covered.sum())
    if snps < SNPS_MIN:
        reason = f"{snps} SNPs with {_DEPTH_MIN} molecules, at least {SNPS_MIN} are needed"
        return Contamination(
            sample=counts.sample, snps=snps, fraction=None, low=None, high=None, reason=reason
        )
    ref, alt, prior = counts.ref[covered], counts.alt[covered], _hardy_weinberg(counts.frequency[covered])
    grid = np.concatenate([np.arange(0, 0.05, 0.00025), np.arange(0.05, 0.5, 0.005)])
    logs = np.array([_mixture_log_likelihood(ref, alt, prior, f) for f in grid])
    best = int(logs.argmax())
    inside = grid[logs >= logs[best] - 1.92]
    return Contamination(
        sample=counts.sample,
        snps=snps,
        fraction=float(grid[best]),
        low=float(inside.min()),
        high=float(inside.max()),
        reason=f"{snps} SNPs, {int((ref + alt).sum()):,} molecules",
    )


def _mixture_log_likelihood(
    ref: NDArray[np.int64], alt: NDArray[np.int64], prior: Floats, fraction: float, error: float = 0.001
) -> float:
    total = np.full(len(ref), -np.inf)
    for own in range(3):
        for other in range(3):
            share = (1 - fraction) * own / 2 + fraction * other / 2
            p = share * (1 - error) + (1 - share) * error
            log = np.log(prior[:, own] * prior[:, other]) + alt * math.log(p) + ref * math.log1p(-p)
            total = np.logaddexp(total, log)
    return float(total.sum())


def _genotype_logs(counts: SnpCounts, covered: NDArray[np.bool_]) -> Floats:
    """Log likelihood of 0, 1, 2 alternate alleles, the largest at 0; shape (snps, 3)."""
    ref, alt = counts.ref[covered][:, None], counts.alt[covered][:, None]
    p = np.array([_ERROR, 0.5, 1 - _ERROR])[None, :]
    logs = alt * np.log(p) + ref * np.log(1 - p)
    scaled: Floats = logs - logs.max(axis=1, keepdims=True)
    return scaled


def _hardy_weinberg(frequency: Floats) -> Floats:
    q = np.clip(frequency, 0.01, 0.99)
    prior: Floats = np.column_stack([(1 - q) ** 2, 2 * q * (1 - q), q**2])
    return prior
