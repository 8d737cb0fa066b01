"""Confidence intervals of a count and of a share.

The only module of the house that turns counts into intervals; everything else
calls it.
"""

from typing import NamedTuple

from pipeline.detection.tails import gamma_lower_inverse

__all__ = ["Interval", "clopper_pearson", "garwood", "newcombe", "wilson"]


class Interval(NamedTuple):
    """Lower and upper bound, both included."""

    low: float
    high: float


def garwood(count: float, *, confidence: float = 0.95) -> Interval:
    """Exact (conservative) interval of a Poisson mean.

    Bounds by the chi-square quantiles of Garwood (1936), equation given as (9) in
    Ulm (Am J Epidemiol 1990;131:373): ``low = chi2(a/2; 2k)/2``,
    ``high = chi2(1-a/2; 2k+2)/2``. A count that is not whole (an estimated number of
    templates) is interpolated by the same formula, which stays monotone.

    Parameters
    ----------
    count
        Observed count, >= 0.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Interval
        Bounds of the mean, in counts; the lower bound of a zero count is 0.

    Raises
    ------
    ValueError
        If the count is negative or the confidence outside (0, 1).

    Examples
    --------
    >>> [round(b, 4) for b in garwood(0)], [round(b, 4) for b in garwood(20)]
    ([0.0, 3.6889], [12.2165, 30.8884])
    """
    alpha = _alpha(confidence)
    if not count >= 0:
        raise ValueError(f"a count cannot be negative: {count}")
    # Below 1e-3 the bound, about (alpha/2)^(1/count), is 0 in double precision.
    low = gamma_lower_inverse(count, alpha / 2) if count > 1e-3 else 0.0
    return Interval(low, gamma_lower_inverse(count + 1, 1 - alpha / 2))


def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Exact (conservative) interval of a binomial probability (Clopper and Pearson 1934).

    Parameters
    ----------
    successes, trials
        Counts with ``0 <= successes <= trials`` and ``trials >= 1``.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Interval
        Bounds of the probability, in [0, 1].

    Raises
    ------
    ValueError
        If the counts contradict each other or the confidence is outside (0, 1).

    Examples
    --------
    >>> [round(b, 5) for b in clopper_pearson(81, 263)]
    [0.25274, 0.36762]
    """
    from scipy.special import betaincinv

    alpha = _alpha(confidence)
    _check_share(successes, trials)
    failures = trials - successes
    low = float(betaincinv(successes, failures + 1, alpha / 2)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - alpha / 2)) if failures else 1.0
    return Interval(low, high)


def wilson(successes: float, trials: float, *, confidence: float = 0.95) -> Interval:
    """Score interval of a binomial probability (Wilson 1927), without continuity correction.

    Approximate: its coverage lies near the nominal one on average, not above it always.

    Parameters
    ----------
    successes, trials
        Counts with ``0 <= successes <= trials`` and ``trials >= 1``; effective numbers of
        dependent trials need not be whole.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Interval
        Bounds of the probability, in [0, 1].

    Raises
    ------
    ValueError
        If the counts contradict each other or the confidence is outside (0, 1).

    Examples
    --------
    >>> [round(b, 5) for b in wilson(81, 263)]
    [0.25529, 0.36621]
    """
    from scipy.special import ndtri

    alpha = _alpha(confidence)
    _check_share(successes, trials)
    z2 = float(ndtri(1 - alpha / 2)) ** 2
    share = successes / trials
    centre = share + z2 / (2 * trials)
    half = (z2 * share * (1 - share) / trials + z2 * z2 / (4 * trials * trials)) ** 0.5
    scale = 1 + z2 / trials
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if successes == trials else min(1.0, (centre + half) / scale)
    return Interval(low, high)


def newcombe(first: tuple[int, int], second: tuple[int, int], *, confidence: float = 0.95) -> Interval:
    """Interval of the difference of two independent shares, second minus first.

    Hybrid score interval without continuity correction, method 10 of Newcombe
    (Stat Med 1998;17:873), from the Wilson interval of each share.

    Parameters
    ----------
    first, second
        Count and total of each sample; totals >= 1.
    confidence
        Two-sided coverage, in (0, 1).

    Raises
    ------
    ValueError
        As `wilson`.

    Examples
    --------
    >>> [round(b, 4) for b in newcombe((48, 80), (56, 70))]
    [0.0524, 0.3339]
    """
    low1, high1 = wilson(*first, confidence=confidence)
    low2, high2 = wilson(*second, confidence=confidence)
    p1, p2 = first[0] / first[1], second[0] / second[1]
    below = ((p2 - low2) ** 2 + (high1 - p1) ** 2) ** 0.5
    above = ((high2 - p2) ** 2 + (p1 - low1) ** 2) ** 0.5
    return Interval(p2 - p1 - below, p2 - p1 + above)


def _alpha(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return 1 - confidence


def _check_share(successes: float, trials: float) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"need 0 <= successes <= trials and trials >= 1, not {successes} of {trials}")
