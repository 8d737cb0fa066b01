"""Probability that both of two correlated standard normals stay below their limits, as logarithm."""

import numpy as np

from pipeline.concordance.series import Floats

__all__ = ["log_both_below"]

_TAIL = 1e-7  # below it, differences of Owen's function lose digits and quadrature takes over
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_LOG_2PI = float(np.log(2 * np.pi))


def log_both_below(h: Floats, k: Floats, rho: float) -> Floats:
    """Log P(U < h, V < k) for standard normals U, V with correlation ``rho``.

    Owen's T function where the probability is not small; in the tail a 64-point
    Gauss-Legendre integral of the density of the scarcer variable.

    Parameters
    ----------
    h, k
        Shape (points,), finite.
    rho
        In (-1, 1).

    Returns
    -------
    ndarray
        Shape (points,), <= 0 and finite.

    References
    ----------
    Owen, Ann Math Stat 1956;27:1075.
    """
    from scipy.special import ndtr, owens_t

    residual = float(np.sqrt((1 - rho) * (1 + rho)))
    # A limit at 0 is the limit of small positive ones; the angle at it is a right one.
    h1, k1 = np.where(h == 0, 1e-200, h), np.where(k == 0, 1e-200, k)
    with np.errstate(over="ignore"):
        at_h, at_k = (k1 - rho * h1) / (h1 * residual), (h1 - rho * k1) / (k1 * residual)
    opposite = np.where((h1 < 0) != (k1 < 0), 0.5, 0.0)
    found = (ndtr(h1) + ndtr(k1)) / 2 - owens_t(h1, at_h) - owens_t(k1, at_k) - opposite
    small = found < _TAIL
    result: Floats = np.log(np.where(small, 1.0, np.minimum(found, 1.0)))
    if np.any(small):
        result[small] = _log_tail(np.minimum(h, k)[small], np.maximum(h, k)[small], rho, residual)
    return result


def _log_tail(low: Floats, high: Floats, rho: float, residual: float) -> Floats:
    from scipy.special import log_ndtr, logsumexp

    # The density falls by e^-40 within this reach below its limit; U < high is the weaker condition,
    # so for anticorrelated limits the mass may lie far below `low`, where the reach still holds it.
    start = np.minimum(low, 0.0)
    reach = start + np.sqrt(start * start + 80) + (low - start)
    middle = low - reach / 2
    t = middle[:, None] + reach[:, None] / 2 * _NODES
    logs = -t * t / 2 - _LOG_2PI / 2 + log_ndtr((high[:, None] - rho * t) / residual)
    found: Floats = logsumexp(logs, axis=1, b=_WEIGHTS * reach[:, None] / 2)
    return found
