"""How many clones share a repertoire, and how evenly: the sign of a polyclonal, recovering marrow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrd_ngs.clonotype import Clonotype

__all__ = ["Diversity", "measure_diversity", "measure_loci"]

_DRAWS = 20  # rarefactions averaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Diversity of one locus.

    ``counted`` names what is counted (templates, or reads where templates are unknown) and
    ``individuals`` how many there are. ``shannon`` is in nats and ``effective_clones``
    its exponential; ``gini_simpson`` the probability that two are of different clones;
    ``chao1`` the estimated number of clones, unseen ones included. The ``rarefied``
    values are means over random subsamples of ``rarefied_to`` individuals; None where
    there are fewer. ``largest_share`` is that of the largest clone.
    """

    locus: str
    counted: str
    individuals: int
    clones: int
    shannon: float
    effective_clones: float
    gini_simpson: float
    chao1: float
    rarefied_to: int
    rarefied_clones: float | None
    rarefied_shannon: float | None
    rarefied_gini_simpson: float | None
    largest_share: float


def measure_loci(
    clonotypes: Sequence[Clonotype], *, rarefied_to: int, rng: np.random.Generator
) -> tuple[Diversity, ...]:
    """Diversity of every locus that has a clone with a junction, by name of the locus.

    DJ and Kde clones are left out: a cell may carry one beside its V(D)J.
    """
    whole = [c for c in clonotypes if c.junction]
    return tuple(
        measure_diversity(
            [c for c in whole if c.locus == locus], locus=locus, rarefied_to=rarefied_to, rng=rng
        )
        for locus in sorted({c.locus for c in whole})
    )


def measure_diversity(
    clonotypes: Sequence[Clonotype], *, locus: str, rarefied_to: int, rng: np.random.Generator
) -> Diversity:
    """Diversity of clones.

    Parameters
    ----------
    clonotypes
        At least one, of one locus.
    locus
        Its name.
    rarefied_to
        Individuals of each subsample, >= 1. Libraries are compared at one and the same.
    rng
        Source of the subsamples.

    Returns
    -------
    Diversity

    Raises
    ------
    ValueError
        Without clonotypes.

    Notes
    -----
    Shannon, Gini-Simpson and Chao1 (bias-corrected) by scikit-bio. Templates are rounded,
    at least one a clone. Reads overstate what was seen: every template is read several
    times, so that no clone is seen once and Chao1 finds nothing unseen.
    """
    from skbio.diversity.alpha import chao1, shannon, simpson  # type: ignore[import-untyped]
    from skbio.stats import subsample_counts  # type: ignore[import-untyped]

    if not clonotypes:
        raise ValueError("no clone to measure")
    by_templates = all(c.templates is not None for c in clonotypes)
    counts = np.array(
        [max(1, round(c.templates or 0.0)) if by_templates else c.duplicate_count for c in clonotypes],
        dtype=np.int64,
    )
    individuals = int(counts.sum())
    entropy = float(shannon(counts, base=math.e))
    clones = rarefied_shannon = rarefied_simpson = None
    if individuals >= rarefied_to:
        drawn = [subsample_counts(counts, rarefied_to, seed=rng) for _ in range(_DRAWS)]
        clones = float(np.mean([(one > 0).sum() for one in drawn]))
        rarefied_shannon = float(np.mean([shannon(one, base=math.e) for one in drawn]))
        rarefied_simpson = float(np.mean([simpson(one) for one in drawn]))
    return Diversity(
        locus=locus,
        counted="templates" if by_templates else "reads",
        individuals=individuals,
        clones=len(counts),
        shannon=entropy,
        effective_clones=math.exp(entropy),
        gini_simpson=float(simpson(counts)),
        chao1=float(chao1(counts, bias_corrected=True)),
        rarefied_to=rarefied_to,
        rarefied_clones=clones,
        rarefied_shannon=rarefied_shannon,
        rarefied_gini_simpson=rarefied_simpson,
        largest_share=float(counts.max()) / individuals,
    )
