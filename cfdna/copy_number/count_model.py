"""Expected reads of a bin: depth, a smooth function of GC and mappability, copy number.

Log-linear regression with the variance mean + (cv mean)^2, fitted by iteratively reweighted least
squares with Tukey's weights, so that single odd bins do not pull (Holland, Welsch 1977).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.copy_number.bins import Bins

__all__ = ["CountFit", "autocorrelated_covariance", "design_of", "fit_counts"]

Floats = NDArray[np.float64]
_KNOTS = 9
_TUKEY = 5.0
_ROUNDS = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountFit:
    """A fit: ``coefficients`` of the design, ``expected`` counts, robust ``weights`` in [0, 1] a bin.

    ``working_weights`` are those of the last step, ``plain_weights`` the same without Tukey's but for bins
    that these leave out. ``extra_cv`` is the spread beyond Poisson, ``residuals`` are
    (count - expected) / expected.
    """

    coefficients: Floats
    expected: Floats
    working_weights: Floats
    plain_weights: Floats
    weights: Floats
    extra_cv: float
    residuals: Floats


def design_of(bins: Bins) -> Floats:
    """Intercept, cubic splines of GC (nine knots at its quantiles), and mappability, shape (bins, columns).

    Covariates that are not known for every bin are left out.
    """
    columns = [np.ones(len(bins))]
    if not np.isnan(bins.gc).any() and np.ptp(bins.gc) > 0:
        columns += _splines(bins.gc)
    if not np.isnan(bins.mappability).any() and np.ptp(bins.mappability) > 0:
        columns.append(bins.mappability - bins.mappability.mean())
    return np.column_stack(columns)


def _splines(values: Floats) -> list[Floats]:
    """Natural cubic splines (Hastie, Tibshirani, Friedman 2009, equation 5.4), scaled."""
    knots = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _KNOTS)))
    low, high = knots[0], knots[-1]
    x, k = (values - low) / (high - low), (knots - low) / (high - low)
    columns = [x - x.mean()]
    if len(k) < 3:
        return columns

    def truncated(knot: float) -> Floats:
        cubed: Floats = np.maximum(x - knot, 0.0) ** 3
        return cubed

    def slope(index: int) -> Floats:
        secant: Floats = (truncated(k[index]) - truncated(k[-1])) / (k[-1] - k[index])
        return secant

    last = slope(len(k) - 2)
    for index in range(len(k) - 2):
        column = slope(index) - last
        columns.append(column - column.mean())
    return columns


def fit_counts(counts: Floats, design: Floats, *, offset: Floats | None = None) -> CountFit:
    """Fit log expected counts = design @ coefficients + offset.

    Parameters
    ----------
    counts
        Shape (bins,), >= 0.
    design
        Shape (bins, columns), full rank.
    offset
        Known part of the logarithm, such as that of the copy number.
    """
    shift = np.zeros(len(counts)) if offset is None else offset
    coefficients = np.zeros(design.shape[1])
    coefficients[0] = np.log(max(float(np.median(counts / np.exp(shift))), 1e-9))
    robust, extra = np.ones(len(counts)), 0.01
    for _ in range(_ROUNDS):
        expected = np.exp(design @ coefficients + shift)
        working = robust * expected / (1 + extra**2 * expected)
        response = (counts - expected) / expected
        root = np.sqrt(working)
        step = np.linalg.lstsq(design * root[:, None], response * root, rcond=None)[0]
        coefficients = coefficients + step
        expected = np.exp(design @ coefficients + shift)
        residuals = (counts - expected) / expected
        scale = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        poisson = float(np.median(1 / expected))
        extra = float(np.sqrt(max(scale**2 - poisson, 1e-8)))
        spread = np.sqrt(1 / expected + extra**2)
        robust = np.clip(1 - (residuals / (_TUKEY * spread)) ** 2, 0, None) ** 2
        if np.abs(step).max() < 1e-9:
            break
    return CountFit(
        coefficients=coefficients,
        expected=expected,
        working_weights=robust * expected / (1 + extra**2 * expected),
        plain_weights=np.where(robust > 0, expected / (1 + extra**2 * expected), 0.0),
        weights=robust,
        extra_cv=extra,
        residuals=residuals,
    )


def autocorrelated_covariance(
    columns: Floats, weights: Floats, residuals: Floats, groups: NDArray[np.int64], *, lag: int = 30
) -> Floats:
    """Covariance of weighted least squares where neighbours of a group (chromosome) vary together.

    The autocorrelation of the residuals is taken over the whole genome, with Bartlett weights up to ``lag``
    bins (Newey, West, Econometrica 1987;55:703), and held to be the same everywhere: a sandwich of
    the residuals under one gained arm alone would understate its error, because the fit has used them up.

    Returns
    -------
    ndarray
        Shape (columns, columns).
    """
    bread = np.linalg.inv((columns * weights[:, None]).T @ columns)
    pearson = np.sqrt(weights) * residuals
    leverages = columns * np.sqrt(weights)[:, None]
    size, width = columns.shape
    variance = float(pearson @ pearson) / max(1.0, float((weights > 0).sum()) - width)
    meat = leverages.T @ leverages
    for step in range(1, min(lag, size - 1) + 1):
        same = groups[step:] == groups[:-step]
        shared = float((pearson[step:] * pearson[:-step])[same].mean()) if same.any() else 0.0
        correlation = shared / float((pearson**2).mean())
        cross = leverages[step:][same].T @ leverages[:-step][same]
        meat += (1 - step / (lag + 1)) * correlation * (cross + cross.T)
    covariance: Floats = variance * (bread @ meat @ bread)
    return covariance
