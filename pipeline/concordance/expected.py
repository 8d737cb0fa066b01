"""How often two perfect assays would disagree, by drawing different cells alone.

Observed discordance is read against it: a table at a threshold near the limits of both
methods cannot agree better than sampling allows.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.concordance.censored import CensoredFit
from pipeline.concordance.pairs import Results
from pipeline.concordance.series import Floats
from pipeline.detection import Interval, mean_count_for_detection

__all__ = [
    "LatentLevel",
    "decision_counts",
    "expected_agreement_range",
    "expected_discordance",
    "latent_level",
]

_GRID = np.linspace(-5.0, 5.0, 201)
_COUNT_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentLevel:
    """True log10 fraction over the cohort's samples: normal with this mean and sd."""

    mean: float
    sd: float


def latent_level(fit: CensoredFit) -> LatentLevel:
    """What both methods share: the middle of their means, and their covariance as variance.

    Errors of the two methods are independent, so the covariance is the variance of the truth.

    Raises
    ------
    ValueError
        If the methods do not correlate positively.
    """
    if fit.rho <= 0:
        raise ValueError("the methods share no level: their correlation is not positive")
    return LatentLevel(mean=(fit.mean_x + fit.mean_y) / 2, sd=float((fit.rho * fit.sd_x * fit.sd_y) ** 0.5))


def decision_counts(results: Results) -> tuple[Floats, Floats]:
    """Decision count and effectively examined cells of every result, NaN where not known.

    Numerator / (denominator value) of a detected result is the share of the clone that
    was counted; others take the method's median. The count is the k whose limit of
    detection, m(k) / examined, is the stated one; a limit stated as k / examined is
    recognised by its whole number.

    Returns
    -------
    tuple of ndarray
        Each of shape (pairs,).
    """
    means = np.array([mean_count_for_detection(k) for k in range(1, _COUNT_MAX + 1)])
    known = results.evaluable & (results.denominator > 0)
    counted = known & results.detected & (results.numerator > 0) & (results.value > 0)
    share = np.full(len(known), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        share[counted] = (results.numerator / (results.denominator * results.value))[counted]
    usual = float(np.median(share[counted])) if np.any(counted) else 1.0
    examined = np.where(known, results.denominator * np.where(counted, share, usual), np.nan)
    at_limit = np.where(known, results.lod * examined, np.nan)
    counts = np.full(len(known), np.nan)
    for row in np.flatnonzero(known):
        mean, whole = float(at_limit[row]), round(float(at_limit[row]))
        nearest = int(np.argmin(np.abs(means - mean)))
        exact = abs(float(means[nearest]) - mean) <= 0.01 * mean
        counts[row] = whole if not exact and whole >= 1 and abs(mean - whole) < 1e-3 * whole else nearest + 1
    return counts, examined


def expected_discordance(x: Results, y: Results, level: LatentLevel, threshold: float) -> float | None:
    """Share of evaluable pairs that two perfect assays of these depths would call differently.

    For a true fraction f a sample's count is Poisson(examined f). It reads POS at c if the count
    reaches the decision count and c examined, otherwise NEG if its limit is at or below c.
    Both are averaged over the cohort's latent level.

    Parameters
    ----------
    x, y
        Results of both methods; pairs without both denominators take no part.
    level
        Latent distribution of log10 fractions.
    threshold
        A fraction above 0.

    Returns
    -------
    float or None
        In [0, 1]; None where no pair has both denominators or none could be evaluable.
    """
    k_x, n_x = decision_counts(x)
    k_y, n_y = decision_counts(y)
    rows = np.flatnonzero(np.isfinite(k_x) & np.isfinite(k_y))
    if not len(rows):
        return None
    weights = np.exp(-_GRID * _GRID / 2)
    weights /= np.sum(weights)
    fraction = np.minimum(10 ** (level.mean + level.sd * _GRID), 1.0)
    pos_x = _positive(k_x[rows], n_x[rows], fraction, threshold)
    pos_y = _positive(k_y[rows], n_y[rows], fraction, threshold)
    neg_x = (1 - pos_x) * (x.lod[rows] <= threshold)[:, None]
    neg_y = (1 - pos_y) * (y.lod[rows] <= threshold)[:, None]
    discordant = float(np.sum((pos_x * neg_y + neg_x * pos_y) @ weights))
    evaluable = float(np.sum(((pos_x + neg_x) * (pos_y + neg_y)) @ weights))
    return discordant / evaluable if evaluable > 0 else None


def expected_agreement_range(expected: float, pairs: int) -> Interval:
    """Where the observed agreement of so many pairs lies in 95 % if sampling alone makes them disagree.

    Binomial quantiles (2.5 %, 97.5 %) of the number of agreeing pairs, as shares. Pairs differ in
    their own probability, which only narrows the true range (Hoeffding 1956).

    Parameters
    ----------
    expected
        Expected discordance, in [0, 1].
    pairs
        Evaluable pairs, at least 1.

    Raises
    ------
    ValueError
        If either lies outside its range.

    >>> expected_agreement_range(0.05, 200)
    Interval(low=0.92, high=0.98)
    """
    from scipy.stats import binom

    if pairs < 1 or not 0 <= expected <= 1:
        raise ValueError("a range needs at least one pair and a share between 0 and 1")
    low, high = (float(binom.ppf(q, pairs, 1 - expected)) / pairs for q in (0.025, 0.975))
    return Interval(low, high)


def _positive(counts: Floats, examined: Floats, fraction: Floats, threshold: float) -> Floats:
    """P(count >= max(k, c n)) for every pair and true fraction, shape (pairs, fractions)."""
    from scipy.special import gammainc

    # A count of exactly c n is at the threshold; rounding must not push it above.
    needed = np.maximum(counts, np.ceil(threshold * examined * (1 - 1e-12)))
    found: Floats = gammainc(needed[:, None], examined[:, None] * fraction[None, :])
    return found
