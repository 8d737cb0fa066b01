"""Limit of blank of an assay, from results of samples without disease (CLSI EP17-A2, section 5.3)."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.intervals import Interval

__all__ = ["Limited", "blank_limit_by_moments", "blank_limit_by_rank", "small_sample_factor"]

Floats = NDArray[np.float64]
_Z95 = 1.6448536269514722  # normal quantile of 0.95


class Limited(NamedTuple):
    """A limit with its 95 % interval; ``ci`` is None where too few results bound it."""

    value: float
    ci: Interval | None


def blank_limit_by_rank(values: Sequence[float] | Floats, *, alpha: float = 0.05) -> Limited:
    """Limit of blank without an assumed distribution.

    The result at rank 0.5 + B (1 - alpha), between two ranks by linear interpolation
    (EP17-A2, section 5.3.3.1). The interval is that of a quantile by order statistics
    (Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2), at least 95 %.

    Parameters
    ----------
    values
        Results of blanks, B of them, any unit.
    alpha
        Share of blanks that may lie above the limit, in (0, 1).

    Returns
    -------
    Limited
        In the unit of the values.

    Raises
    ------
    ValueError
        If there are too few blanks for the rank (fewer than 10 at alpha = 0.05).

    Examples
    --------
    >>> blank_limit_by_rank(list(range(1, 61))).value
    57.5
    """
    from scipy.stats import binom

    ordered = np.sort(np.asarray(values, np.float64))
    blanks = len(ordered)
    rank = 0.5 + blanks * (1 - alpha)
    if rank > blanks:
        raise ValueError(f"{blanks} blanks are too few; the rank needs at least {math.ceil(0.5 / alpha)}")
    below = math.floor(rank + 1e-9)
    value = float(np.interp(rank, np.arange(1, blanks + 1), ordered))
    # Ranks r < s with P(X_(r) <= quantile <= X_(s)) >= 95 %.
    low = int(binom.ppf(0.025, blanks, 1 - alpha))
    high = int(binom.ppf(0.975, blanks, 1 - alpha)) + 1
    bounded = 1 <= low <= below and high <= blanks
    return Limited(value, Interval(float(ordered[low - 1]), float(ordered[high - 1])) if bounded else None)


def small_sample_factor(degrees_of_freedom: float, *, z: float = _Z95) -> float:
    """Normal quantile divided by 1 - 1/(4 f): the standard deviation's small-sample bias.

    EP17-A2, c_p in sections 5.3.3.2 and 5.3.3.3; f is results less samples.

    Raises
    ------
    ValueError
        If there is no degree of freedom.

    Examples
    --------
    >>> round(small_sample_factor(56), 3)
    1.652
    """
    if not degrees_of_freedom >= 1:
        raise ValueError("there are no repeated results, so no standard deviation")
    return z / (1 - 1 / (4 * degrees_of_freedom))


def blank_limit_by_moments(groups: Sequence[Floats]) -> Limited:
    """Limit of blank under a normal distribution: mean + c_p SD (EP17-A2, section 5.3.3.2).

    The interval is the exact one of a normal quantile by the noncentral t distribution
    (Owen, Technometrics 1968;10:445).

    Parameters
    ----------
    groups
        Results of each blank sample.

    Returns
    -------
    Limited

    Raises
    ------
    ValueError
        If there are fewer than two results more than samples.
    """
    from scipy.stats import nct

    values = np.concatenate([np.asarray(g, np.float64) for g in groups])
    results, free = len(values), len(values) - len(groups)
    factor = small_sample_factor(free)
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread == 0:
        return Limited(mean, Interval(mean, mean))
    shift = _Z95 * math.sqrt(results)
    low, high = (float(nct.ppf(p, results - 1, shift)) for p in (0.025, 0.975))
    scale = spread / math.sqrt(results)
    return Limited(mean + factor * spread, Interval(mean + low * scale, mean + high * scale))
