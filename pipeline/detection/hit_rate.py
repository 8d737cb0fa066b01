"""Limit of detection of an assay, from how often each level was found.

Probit regression (CLSI EP17-A2, section 5.5; Finney, Probit Analysis, 3rd ed.) and, for
assays that count single molecules, the one-parameter model in which a sample is found
where at least one of a Poisson number of targets is (Haldane, J Hyg 1939;39:289).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.intervals import Interval

__all__ = ["HitRateFit", "NotEstimable", "poisson_limit", "probit_limit"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_Z95 = 1.6448536269514722
_Z_TWO_SIDED = 1.959963984540054


class NotEstimable(ValueError):
    """The data do not hold what is asked for; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitRateFit:
    """A limit of detection in the unit of the levels.

    ``ci`` is None where the data do not bound it (a slope that might be 0). ``fit_p`` is
    Pearson's chi-square p of the model, None without a degree of freedom.
    """

    limit: float
    ci: Interval | None
    fit_p: float | None


def probit_limit(levels: Floats, found: Counts, tested: Counts, *, power: float = 0.95) -> HitRateFit:
    """Level that is found with probability ``power``, by probit regression on log10 level.

    Fisher scoring; interval by Fieller's theorem on the log10 scale, which is where the
    95 % band of the fitted line crosses ``power``.

    Parameters
    ----------
    levels
        Levels above 0, float64 (n_levels,).
    found, tested
        Results found and results in all, int64 (n_levels,).
    power
        In (0, 1).

    Returns
    -------
    HitRateFit

    Raises
    ------
    NotEstimable
        If no level was found, every level was always found, or found and missed levels do
        not overlap, so that the slope has no bound.
    """
    from scipy.special import ndtri

    _check(levels, found, tested)
    x = np.log10(levels)
    if x[found < tested].max() <= x[found > 0].min():
        raise NotEstimable("found and missed levels do not overlap: test levels in between")
    beta, covariance = _scored(x, found, tested)
    if beta[1] <= 0:
        raise NotEstimable("higher levels were not found more often")
    z = float(ndtri(power))
    limit = (z - beta[0]) / beta[1]
    return HitRateFit(
        limit=float(10**limit),
        ci=_fieller(beta, covariance, z),
        fit_p=_pearson_p(found, tested, _probability(beta[0] + beta[1] * x), 2),
    )


def poisson_limit(levels: Floats, found: Counts, tested: Counts, *, power: float = 0.95) -> HitRateFit:
    """Level that is found with probability ``power`` where one target suffices.

    P(found) = 1 - exp(-c level): c by maximum likelihood, interval by its profile
    likelihood (chi-square, one degree of freedom).

    Parameters
    ----------
    levels, found, tested, power
        As for `probit_limit`.

    Returns
    -------
    HitRateFit

    Raises
    ------
    NotEstimable
        If no result, or every result, was found.
    """
    from scipy.optimize import brentq

    _check(levels, found, tested)
    missed = tested - found

    def slope(log_rate: float) -> float:
        mean = math.exp(log_rate) * levels
        gain = np.where(found > 0, found * levels / np.expm1(np.minimum(mean, 700.0)), 0.0)
        return float((gain - missed * levels).sum())

    def likelihood(log_rate: float) -> float:
        mean = math.exp(log_rate) * levels
        hits = np.log(-np.expm1(-mean), where=found > 0, out=np.zeros_like(mean))
        return float((found * hits - missed * mean).sum())

    low, high = -math.log(levels.max()) - 30, -math.log(levels.min()) + 8
    best = float(brentq(slope, low, high, xtol=1e-12))
    drop = likelihood(best) - _Z_TWO_SIDED**2 / 2
    bounds = [
        float(brentq(lambda r: likelihood(r) - drop, *ends)) for ends in ((low, best), (best, high + 30))
    ]
    needed = -math.log1p(-power)
    return HitRateFit(
        limit=needed / math.exp(best),
        ci=Interval(needed / math.exp(bounds[1]), needed / math.exp(bounds[0])),
        fit_p=_pearson_p(found, tested, -np.expm1(-math.exp(best) * levels), 1),
    )


def _check(levels: Floats, found: Counts, tested: Counts) -> None:
    if not (levels > 0).all() or (found > tested).any() or (tested < 1).any():
        raise ValueError("levels must lie above 0, with 0 <= found <= tested and tested >= 1")
    if not found.any():
        raise NotEstimable("no level was found")
    if (found == tested).all():
        raise NotEstimable("every level was always found: test lower ones")


def _probability(eta: Floats) -> Floats:
    from scipy.special import ndtr

    return np.clip(np.asarray(ndtr(eta), np.float64), 1e-12, 1 - 1e-12)


def _scored(x: Floats, found: Counts, tested: Counts) -> tuple[Floats, Floats]:
    """Coefficients and their covariance by Fisher scoring with step halving."""
    from scipy.special import xlogy

    design = np.column_stack([np.ones_like(x), x])

    def likelihood(beta: Floats) -> float:
        p = _probability(design @ beta)
        return float((xlogy(found, p) + xlogy(tested - found, 1 - p)).sum())

    beta = np.array([-x.mean(), 1.0])
    for _ in range(200):
        eta = design @ beta
        p = _probability(eta)
        density = np.exp(-np.square(eta) / 2) / math.sqrt(2 * math.pi)
        weight = tested * density**2 / (p * (1 - p))
        score = design.T @ (density * (found - tested * p) / (p * (1 - p)))
        information = (design.T * weight) @ design
        step = np.linalg.solve(information, score)
        while likelihood(beta + step) < likelihood(beta) - 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            return beta, np.linalg.inv(information)
    raise NotEstimable("the regression does not converge")


def _fieller(beta: Floats, covariance: Floats, z: float) -> Interval | None:
    q = _Z_TWO_SIDED**2
    a = beta[1] ** 2 - q * covariance[1, 1]
    if a <= 0:
        return None
    b = 2 * (beta[1] * (beta[0] - z) - q * covariance[0, 1])
    c = (beta[0] - z) ** 2 - q * covariance[0, 0]
    root = math.sqrt(b * b - 4 * a * c)
    return Interval(float(10 ** ((-b - root) / (2 * a))), float(10 ** ((-b + root) / (2 * a))))


def _pearson_p(found: Counts, tested: Counts, p: Floats, parameters: int) -> float | None:
    from scipy.special import chdtrc

    free = len(found) - parameters
    if free < 1:
        return None
    chi_square = (np.square(found - tested * p) / np.maximum(tested * p * (1 - p), 1e-9)).sum()
    return float(chdtrc(free, chi_square))
