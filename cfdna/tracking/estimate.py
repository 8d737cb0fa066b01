"""The most likely tumour fraction of a plasma, from all its sites."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["most_likely_fraction"]

Floats = NDArray[np.float64]


def most_likely_fraction(
    depth: Floats, mutant: Floats, error_rate: Floats, signal_share: Floats
) -> tuple[float, float]:
    """Maximum-likelihood tumour fraction and its log likelihood ratio against none.

    Site i shows the variant in a molecule with probability e_i + f s_i (1 - e_i), s_i the share of
    molecules that would be mutant in pure tumour DNA; the binomial likelihood is concave in f.

    Parameters
    ----------
    depth, mutant, error_rate, signal_share
        Shape (sites,), float64.

    Returns
    -------
    fraction, log_ratio
        In [0, 1], and natural logarithm, >= 0.
    """
    used = depth > 0

    def log_likelihood(fraction: float) -> float:
        p = np.minimum(error_rate + fraction * signal_share * (1 - error_rate), 1 - 1e-12)[used]
        m, n = mutant[used], depth[used]
        return float((m * np.log(p) + (n - m) * np.log1p(-p)).sum())

    if not used.any():
        return 0.0, 0.0
    best = _maximum(log_likelihood)
    ratio = log_likelihood(best) - log_likelihood(0.0)
    return (best, ratio) if ratio > 1e-9 else (0.0, 0.0)


def _maximum(function: "object") -> float:
    """Maximum of a concave function over [0, 1], by golden section on a logarithmic scale."""
    assert callable(function)
    golden = (math.sqrt(5) - 1) / 2
    low, high = math.log(1e-9), 0.0
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(math.exp(left)), function(math.exp(right))
    while high - low > 1e-9:
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(math.exp(right))
    return math.exp((low + high) / 2)
