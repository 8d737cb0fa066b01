"""Score, p-value and limit of alleles against the background.

An allele's score is the sum over its molecules of the log-likelihood ratio that one such molecule carries:
ln(1 + VAF / error), rounded to quarters, at a VAF of 0.1 % or three times the mean error. Its p-value is the
probability of such a score by error alone: the molecules of each strand class are Poisson with the
background's rate, all rates times the site's gamma factor.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.lod import DETECTION_POWER
from pipeline.variants.calling.background import (
    CLASS_OF_STRAND,
    Background,
    indel_kind,
)
from pipeline.variants.calling.contexts import RUN_MAX_NT, Surroundings
from pipeline.variants.calling.score_kernels import critical_scores, smallest_vafs, tail_probabilities
from pipeline.variants.evidence import Allele, SiteEvidence

__all__ = ["Rates", "limits_of", "p_values", "rates_of_alleles", "rates_of_sites", "score_weights"]

_REFERENCE_VAF = 1e-3
_UNIT_NATS = 0.25
_NODES = 6
_SCORE_MAX = 4000
_INDEL_SHAPE = 3.0  # runs of one length differ more in how they slip than sites do in other errors
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rates:
    """Of some alleles: molecules that could show each and errors per molecule, (alleles, 5) float64.

    ``seen`` and ``expected``: errors of controls at the site, and how many the rates would have given;
    ``shape``: of the gamma factor by which sites differ, all three (alleles,).
    """

    molecules: F64
    errors: F64
    seen: F64
    expected: F64
    shape: F64

    @property
    def factor(self) -> F64:
        """Posterior mean of the sites' factors."""
        factor: F64 = (self.shape + self.seen) / (self.shape + self.expected)
        return factor

    @property
    def means(self) -> F64:
        """Expected molecules by error."""
        means: F64 = self.molecules * self.errors * self.factor[:, None]
        return means


def rates_of_sites(evidence: SiteEvidence, around: Surroundings, background: Background) -> Rates:
    """Of the three substitutions of every site, the one whose errors are most frequent."""
    table = background.by_strand()[around.context]
    molecules = evidence.counts[:, :5].sum(axis=1).astype(np.float64)
    weighted = (table * (molecules[:, None, :] + 1e-9)).sum(axis=2)
    weighted[np.arange(evidence.sites), np.minimum(around.codes, 3)] = -1
    worst = weighted.argmax(axis=1)
    errors = table[np.arange(evidence.sites), worst]
    alleles = [
        Allele(position=evidence.start + k, ref=evidence.reference[k], alt="ACGT"[b])
        for k, b in enumerate(worst)
    ]
    seen, expected = _of_controls(evidence.contig, alleles, errors, background)
    shape = np.full(len(alleles), background.shape)
    return Rates(molecules=molecules, errors=errors, seen=seen, expected=expected, shape=shape)


def rates_of_alleles(
    evidence: SiteEvidence, around: Surroundings, background: Background, alleles: list[Allele]
) -> Rates:
    """Of these alleles; substitutions have one base."""
    table = background.by_strand()
    molecules, errors = np.zeros((len(alleles), 5)), np.zeros((len(alleles), 5))
    shape = np.full(len(alleles), background.shape)
    for row, allele in enumerate(alleles):
        site = allele.position - evidence.start
        if len(allele.ref) == len(allele.alt):
            molecules[row] = evidence.counts[site, :5].sum(axis=0)
            errors[row] = table[around.context[site], "ACGT".index(allele.alt[0])]
        else:
            run = int(around.run_after[site])
            kind = indel_kind(allele.ref, allele.alt, run, around.next_base(site))
            shape[row] = min(background.shape, _INDEL_SHAPE)
            molecules[row] = evidence.spanning[site]
            errors[row] = background.indel[kind, min(run, RUN_MAX_NT)][CLASS_OF_STRAND]
    seen, expected = _of_controls(evidence.contig, alleles, errors, background)
    return Rates(molecules=molecules, errors=errors, seen=seen, expected=expected, shape=shape)


def score_weights(rates: Rates) -> NDArray[np.int64]:
    """Whole weights of one molecule of each strand class, (alleles, 5)."""
    errors = rates.errors * rates.factor[:, None]
    mean = rates.means.sum(axis=1) / np.maximum(1, rates.molecules.sum(axis=1))
    vaf = np.maximum(_REFERENCE_VAF, 3 * mean)[:, None]  # about what can be told from errors so frequent
    weights = np.rint(np.log1p(vaf / np.maximum(errors, 1e-12)) / _UNIT_NATS)
    whole: NDArray[np.int64] = np.maximum(1, weights).astype(np.int64)
    return whole


def p_values(rates: Rates, counts: NDArray[np.int64]) -> F64:
    """P(a score as high by error alone), for (alleles, 5) molecules that show each allele."""
    weights = score_weights(rates)
    scores = np.minimum((counts * weights).sum(axis=1), _SCORE_MAX)
    nodes, shares = _factors(rates)
    found = np.ones(len(scores))
    if len(scores):
        tail_probabilities(rates.molecules * rates.errors, weights, scores, nodes, shares, found)
    return np.clip(found, 1e-16, 1.0)


def limits_of(rates: Rates, *, alpha: float) -> F64:
    """Smallest VAF of each allele that would be called with probability 0.95; nan where not even 1 would.

    More than one molecule is always needed.
    """
    weights = score_weights(rates)
    nodes, shares = _factors(rates)
    limits = np.full(len(weights), np.nan)
    covered = np.flatnonzero(rates.molecules.sum(axis=1) > 1)
    if not len(covered):
        return limits
    base = rates.molecules * rates.errors
    spread = (base * weights).sum(axis=1) * nodes[:, -1]
    room = int(min(_SCORE_MAX, np.ceil((spread + 9 * np.sqrt(spread * weights.max(axis=1))).max() + 160)))
    critical = np.zeros(len(covered), np.int64)
    critical_scores(base[covered], weights[covered], nodes[covered], shares[covered], alpha, room, critical)
    present = np.where(rates.molecules[covered] > 0, weights[covered], 0)
    critical = np.maximum(critical, present.max(axis=1) + 1)
    found = np.zeros(len(covered))
    smallest_vafs(
        rates.means[covered], rates.molecules[covered], weights[covered], critical, DETECTION_POWER, found
    )
    limits[covered] = np.where(found <= 1, found, np.nan)
    return limits


def _of_controls(contig: str, alleles: list[Allele], errors: F64, background: Background) -> tuple[F64, F64]:
    """Errors that controls showed of each allele, and what the rates alone would have given."""
    seen, expected = np.zeros(len(alleles)), np.zeros(len(alleles))
    sites = background.sites
    if not sites.molecules:
        return seen, expected
    # Controls are kept by class: the mean of the two strands' rates stands for both.
    by_class = np.stack([errors[:, :2].mean(axis=1), errors[:, 2:4].mean(axis=1), errors[:, 4]], axis=1)
    for row, allele in enumerate(alleles):
        table = sites.molecules if len(allele.ref) == len(allele.alt) else sites.spanning
        molecules = table.get((contig, allele.position))
        if molecules is not None:
            expected[row] = by_class[row] @ np.array(molecules)
            seen[row] = sites.errors.get((contig, allele.position, allele.ref, allele.alt), 0)
    return seen, expected


def _factors(rates: Rates) -> tuple[F64, F64]:
    """Nodes and shares of each site's gamma factor (generalised Gauss-Laguerre quadrature)."""
    nodes, shares = np.zeros((len(rates.seen), _NODES)), np.zeros((len(rates.seen), _NODES))
    posterior = rates.shape + rates.seen
    for shape in np.unique(posterior):
        mine = posterior == shape
        x, w = _laguerre(float(shape))
        nodes[mine] = x[None, :] / (rates.shape[mine] + rates.expected[mine])[:, None]
        shares[mine] = w
    return nodes, shares


@lru_cache(maxsize=4096)
def _laguerre(shape: float) -> tuple[F64, F64]:
    from scipy.special import roots_genlaguerre

    x, w = roots_genlaguerre(_NODES, shape - 1) if shape < 150 else (np.full(_NODES, shape), np.ones(_NODES))
    return np.asarray(x), np.asarray(w) / np.sum(w)
