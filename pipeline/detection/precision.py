"""How precise an assay is at each level, and from which level on it may state a number.

Precision profile and limits of CLSI EP17-A2: limit of detection from the limit of blank
and the spread of low samples (section 5.4), limit of quantification from a goal for
precision or for total error (section 6).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.blank import Limited, small_sample_factor
from pipeline.detection.hit_rate import NotEstimable
from pipeline.detection.intervals import Interval

__all__ = [
    "VarianceFunction",
    "classical_detection_limit",
    "fit_variance",
    "precision_quantification_limit",
    "total_error",
    "total_error_quantification_limit",
]

Floats = NDArray[np.float64]
_FIT_STEPS_MAX = 500


class VarianceFunction:
    """Variance of a result as a + b mean + c mean², each at least 0.

    a is noise of the blank, b counting (Poisson), c what goes with the level.
    """

    __slots__ = ("coefficients",)

    def __init__(self, coefficients: tuple[float, float, float]) -> None:
        self.coefficients = coefficients

    def cv(self, mean: Floats) -> Floats:
        """Coefficient of variation at each mean, a fraction; means above 0."""
        a, b, c = self.coefficients
        found: Floats = np.sqrt(a + b * mean + c * mean**2) / mean
        return found


def classical_detection_limit(blank_limit: float, groups: Sequence[Floats]) -> Limited:
    """Limit of detection from low samples: LoB + c_p SD (EP17-A2, section 5.4).

    Parameters
    ----------
    blank_limit
        Limit of blank, in the unit of the results.
    groups
        Results of each low sample; at least two of some sample. SD is pooled over samples.

    Returns
    -------
    Limited
        The interval is that of the pooled SD (chi-square); the limit of blank is taken as known.

    Raises
    ------
    NotEstimable
        If no sample has two results.

    Examples
    --------
    >>> round(classical_detection_limit(1.0, [np.array([2.0, 3.0, 4.0]), np.array([3.0, 5.0])]).value, 3)
    3.072
    """
    from scipy.special import chdtri

    repeated = [g for g in groups if len(g) > 1]
    free = sum(len(g) - 1 for g in repeated)
    if not free:
        raise NotEstimable("no low sample has two results")
    pooled = math.sqrt(sum((len(g) - 1) * float(np.var(g, ddof=1)) for g in repeated) / free)
    above = small_sample_factor(free) * pooled
    low, high = (blank_limit + above * math.sqrt(free / float(chdtri(free, p))) for p in (0.025, 0.975))
    return Limited(blank_limit + above, Interval(low, high))


def fit_variance(groups: Sequence[Floats]) -> VarianceFunction:
    """Fit the precision profile to groups of repeated results.

    Maximum likelihood of the sample variances, each chi-square about its own expected
    variance, by scoring with no coefficient below 0 (Sadler and Smith, Clin Chem
    1986;32:1773, with a quadratic function).

    Parameters
    ----------
    groups
        Results of each level, two or more with a mean above 0.

    Returns
    -------
    VarianceFunction

    Raises
    ------
    NotEstimable
        If fewer than three levels have repeated results that differ.
    """
    from scipy.optimize import nnls

    used = [g for g in groups if len(g) > 1 and g.mean() > 0 and g.std() > 0]
    if len(used) < 3:
        raise NotEstimable("fewer than three levels have repeated results that differ")
    scale = float(np.median([g.mean() for g in used]))
    mean = np.array([g.mean() for g in used]) / scale
    variance = np.array([g.var(ddof=1) for g in used]) / scale**2
    weight = np.sqrt(np.array([len(g) - 1 for g in used]))
    terms = np.column_stack([np.ones_like(mean), mean, mean**2])
    expected = variance
    for _ in range(_FIT_STEPS_MAX):  # scoring: least squares weighted by 1 / expected variance
        coefficients, _ = nnls(terms * (weight / expected)[:, None], variance * weight / expected)
        before, expected = expected, terms @ coefficients
        if np.allclose(expected, before, rtol=1e-9, atol=0):
            break
    a, b, c = (float(x) for x in coefficients)
    return VarianceFunction((a * scale**2, b * scale, c))


def precision_quantification_limit(
    profile: VarianceFunction, *, lowest: float, highest: float, goal_cv: float
) -> float:
    """Lowest level within the tested range at which the fitted CV meets the goal.

    Parameters
    ----------
    profile
        Of `fit_variance`.
    lowest, highest
        Means of the lowest and highest level tested; the profile is not extended beyond.
    goal_cv
        A fraction, such as 0.2.

    Returns
    -------
    float
        ``lowest`` where the goal is already met there.

    Raises
    ------
    NotEstimable
        If the goal is met nowhere.
    """
    grid = np.geomspace(lowest, highest, 20_001)
    met = profile.cv(grid) <= goal_cv
    if not met[-1]:
        raise NotEstimable(f"the coefficient of variation stays above {goal_cv:g} at every level tested")
    missed = np.flatnonzero(~met)
    return float(grid[missed[-1] + 1]) if len(missed) else lowest


def total_error(level: float, values: Floats) -> float:
    """Total error |bias| + 2 SD as a fraction of the level (Westgard, Clin Chem 1974;20:825).

    Parameters
    ----------
    level
        Nominal level, above 0.
    values
        Two or more results, in its unit.

    Returns
    -------
    float
    """
    return float((abs(values.mean() - level) + 2 * values.std(ddof=1)) / level)


def total_error_quantification_limit(nominal: Floats, groups: Sequence[Floats], *, goal: float) -> float:
    """Lowest level from which the total error stays within a share of the level (EP17-A2, section 6.4).

    Parameters
    ----------
    nominal
        Levels in rising order, above 0.
    groups
        Results at each of them, two or more.
    goal
        Accepted total error, a fraction of the level.

    Returns
    -------
    float

    Raises
    ------
    NotEstimable
        If a level has fewer than two results, or the highest does not meet the goal.
    """
    if not groups or min(len(g) for g in groups) < 2:
        raise NotEstimable("every level needs at least two results")
    missed = [i for i, (x, g) in enumerate(zip(nominal, groups, strict=True)) if total_error(x, g) > goal]
    first = missed[-1] + 1 if missed else 0
    if first == len(nominal):
        raise NotEstimable(f"total error exceeds {goal:g} of the level at the highest level tested")
    return float(nominal[first])
