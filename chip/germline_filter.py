"""Whether a variant could be inherited, when there is no normal tissue to ask.

A heterozygous inherited variant is expected at one half of the molecules, spread by capture and
alignment more than chance would; how much, the sample's own heterozygous variants say. A fraction
that cannot be told from it (or from 1, or for X-linked genes of males only from 1) may be inherited,
and a driver at such a fraction is looked at, never dropped: a large clone reaches one half too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chip.evidence import Counts
from chip.flags import Flag, Weight
from chip.overdispersion import beta_binomial_tails
from chip.settings import ChipSettings
from pipeline.model import Sex

__all__ = ["Balance", "balance_of", "judge_germline"]

_HOMOZYGOUS = 0.995  # a reference allele read in error is not yet a second haplotype


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How heterozygous variants of a sample lie: beta-binomial mean and intra-class correlation."""

    mean: float
    dispersion: float
    snps: int


def balance_of(heterozygous: Sequence[tuple[int, int]], settings: ChipSettings) -> Balance:
    """Mean and spread of a sample's own heterozygous variants, by moments; the settings' where too few.

    Parameters
    ----------
    heterozygous
        (alternative, depth) of each, depth above 0.

    Notes
    -----
    The estimate of the intra-class correlation is weighted by depth (Kleinman, JASA 1973;68:46,
    eq. 2.6 with equal weights) and never below a tenth of the settings' value: few variants can agree
    by chance.
    """
    import numpy as np

    found = [(a, d) for a, d in heterozygous if d >= settings.min_depth]
    if len(found) < settings.germline_snps_min:
        return Balance(mean=0.5, dispersion=settings.germline_dispersion, snps=len(found))
    alt, depth = np.array(found, dtype=float).T
    share = alt / depth
    mean = float(share.mean())
    variance = float(share.var(ddof=1))
    chance = mean * (1 - mean) * float((1 / depth).mean())
    extra = (variance - chance) / (mean * (1 - mean) * (1 - float((1 / depth).mean())))
    return Balance(mean=mean, dispersion=max(extra, settings.germline_dispersion / 10), snps=len(found))


def judge_germline(
    counts: Counts | None, *, x_linked: bool, sex: Sex | None, balance: Balance, settings: ChipSettings
) -> list[Flag]:
    """A flag where the fraction cannot be told from an inherited variant's.

    Examples
    --------
    >>> s = ChipSettings()
    >>> b = balance_of([], s)
    >>> [f.code for f in judge_germline(Counts(depth=800, alt=360), x_linked=False, sex=None, balance=b,
    ...                                 settings=s)]
    ['germline_possible']
    """
    if counts is None or counts.depth == 0:
        return []
    half = _p_two_sided(counts, balance.mean, balance.dispersion)
    whole = _p_low(counts, _HOMOZYGOUS, balance.dispersion / 10)
    share = 100 * counts.alt / counts.depth
    if x_linked and sex is Sex.MALE:
        near, what = whole >= settings.germline_alpha, "1 (X-linked, male)"
    else:
        near = max(half, whole) >= settings.germline_alpha
        what = "1" if whole > half else f"{balance.mean:.2f}"
    if not near:
        return []
    text = f"{share:.3g} % cannot be told from an inherited variant at {what}"
    return [Flag(code="germline_possible", weight=Weight.DOUBT, text=text)]


def _p_two_sided(counts: Counts, mean: float, dispersion: float) -> float:
    """Twice the smaller tail of the beta-binomial, at most 1."""
    low, high = beta_binomial_tails(counts.alt, counts.depth, mean, dispersion)
    return min(1.0, 2 * min(low, high))


def _p_low(counts: Counts, mean: float, dispersion: float) -> float:
    """P(X <= alt)."""
    return beta_binomial_tails(counts.alt, counts.depth, mean, dispersion)[0]
