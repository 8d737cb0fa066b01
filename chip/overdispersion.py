"""Tails of counts that vary more than chance: the beta-binomial, summed term by term."""

__all__ = ["beta_binomial_tails"]


def beta_binomial_tails(count: int, depth: int, mean: float, dispersion: float) -> tuple[float, float]:
    """P(X <= count) and P(X >= count) of a beta-binomial.

    Parameters
    ----------
    count, depth
        0 <= count <= depth.
    mean
        Expected share, in (0, 1).
    dispersion
        Intra-class correlation, in (0, 1): the share's variance is mean (1 - mean) dispersion before
        sampling.

    Examples
    --------
    >>> [round(p, 3) for p in beta_binomial_tails(40, 100, 0.5, 1e-6)]
    [0.028, 0.982]
    """
    import numpy as np
    from scipy.special import betaln, gammaln

    total = 1 / dispersion - 1
    a, b = mean * total, (1 - mean) * total
    x = np.arange(depth + 1)
    ways = gammaln(depth + 1) - gammaln(x + 1) - gammaln(depth - x + 1)
    share = np.exp(ways + betaln(x + a, depth - x + b) - betaln(a, b))
    share /= share.sum()  # rounding alone
    return float(share[: count + 1].sum()), float(share[count:].sum())
