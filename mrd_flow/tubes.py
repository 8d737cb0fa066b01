"""Whether the tubes of one sample tell the same fraction."""

from dataclasses import dataclass

__all__ = ["TubeAgreement", "tube_agreement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeAgreement:
    """Exact p of equal fractions, and how many times the larger exceeds the smaller.

    ``ratio`` is None where the smaller fraction is 0 (no upper limit).
    """

    p: float
    ratio: float | None


def tube_agreement(counts: tuple[int, int], exposures: tuple[float, float]) -> TubeAgreement:
    """Exact conditional test of two Poisson rates (Przyborowski and Wilenski 1940).

    Given the total, the first count is binomial with the first exposure's share; the p
    value is two-sided, the sum over outcomes no more likely than the one seen.

    Parameters
    ----------
    counts
        Aberrant events in each tube, >= 0.
    exposures
        Nucleated cells times the gates' efficiency in each tube, > 0.

    Returns
    -------
    TubeAgreement

    Raises
    ------
    ValueError
        If an exposure is not above 0 or a count is negative.

    Examples
    --------
    >>> tube_agreement((20, 0), (1e6, 1e6)).p < 1e-5, tube_agreement((20, 22), (1e6, 1e6)).p > 0.5
    (True, True)
    """
    from scipy.stats import binomtest

    if min(exposures) <= 0 or min(counts) < 0:
        raise ValueError("need counts of at least 0 and exposures above 0")
    total = sum(counts)
    if total == 0:
        return TubeAgreement(p=1.0, ratio=1.0)
    p = float(binomtest(counts[0], total, exposures[0] / sum(exposures)).pvalue)
    low, high = sorted(c / e for c, e in zip(counts, exposures, strict=True))
    return TubeAgreement(p=p, ratio=high / low if low > 0 else None)
