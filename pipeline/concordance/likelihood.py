"""Likelihood of two methods whose logarithms are bivariate normal and cut off at each pair's limits.

Parameters are in the order mean x, mean y, log sd x, log sd y, atanh rho.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.concordance.bivariate_normal import log_both_below
from pipeline.concordance.series import Bools, Floats

__all__ = ["CensoredPairs"]

_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True)
class CensoredPairs:
    """Values of both methods; where censored, the value is the limit it lies below.

    ``x``, ``y``: shape (pairs,), float. ``x_censored``, ``y_censored``: shape (pairs,), bool.
    """

    x: Floats
    y: Floats
    x_censored: Bools
    y_censored: Bools

    def terms(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Log-likelihood of every pair, shape (pairs,), and its gradient, shape (pairs, 5)."""
        mean_x, mean_y, log_sx, log_sy, z = (float(p) for p in parameters)
        sx, sy, rho = float(np.exp(log_sx)), float(np.exp(log_sy)), float(np.tanh(z))
        a, b = (self.x - mean_x) / sx, (self.y - mean_y) / sy
        logs = np.empty(len(a))
        by_a, by_b, by_rho = np.empty(len(a)), np.empty(len(a)), np.empty(len(a))
        for x_cut, y_cut, part in (
            (False, False, _both_seen),
            (True, False, _first_cut),
            (False, True, _second_cut),
            (True, True, _both_cut),
        ):
            rows = np.flatnonzero((self.x_censored == x_cut) & (self.y_censored == y_cut))
            if len(rows):
                logs[rows], by_a[rows], by_b[rows], by_rho[rows] = part(a[rows], b[rows], rho)
        logs -= np.where(self.x_censored, 0.0, log_sx) + np.where(self.y_censored, 0.0, log_sy)
        gradient = np.column_stack(
            [
                -by_a / sx,
                -by_b / sy,
                -by_a * a - ~self.x_censored,
                -by_b * b - ~self.y_censored,
                by_rho * (1 - rho) * (1 + rho),
            ]
        )
        return logs, gradient

    def negative(self, parameters: Floats) -> tuple[float, Floats]:
        """Minus the log-likelihood and its gradient, shape (5,)."""
        logs, gradient = self.terms(parameters)
        return -float(np.sum(logs)), -np.sum(gradient, axis=0)

    def information(self, parameters: Floats) -> Floats:
        """Observed information, shape (5, 5): central differences of the analytic gradient."""
        rows = []
        for i in range(5):
            step = np.zeros(5)
            step[i] = 1e-5
            rows.append((self.negative(parameters + step)[1] - self.negative(parameters - step)[1]) / 2e-5)
        found = np.array(rows)
        return (found + found.T) / 2


def _both_seen(a: Floats, b: Floats, rho: float) -> tuple[Floats, Floats, Floats, Floats]:
    rest = (1 - rho) * (1 + rho)
    form = a * a - 2 * rho * a * b + b * b
    logs = -_LOG_2PI - float(np.log(rest)) / 2 - form / (2 * rest)
    return logs, -(a - rho * b) / rest, -(b - rho * a) / rest, (rho + a * b - rho * form / rest) / rest


def _first_cut(a: Floats, b: Floats, rho: float) -> tuple[Floats, Floats, Floats, Floats]:
    from scipy.special import log_ndtr

    residual = float(np.sqrt((1 - rho) * (1 + rho)))
    u = (a - rho * b) / residual
    below = log_ndtr(u)
    hazard = np.exp(-u * u / 2 - _LOG_2PI / 2 - below) / residual
    logs = -_LOG_2PI / 2 - b * b / 2 + below
    return logs, hazard, -b - rho * hazard, hazard * (rho * a - b) / residual**2


def _second_cut(a: Floats, b: Floats, rho: float) -> tuple[Floats, Floats, Floats, Floats]:
    logs, by_b, by_a, by_rho = _first_cut(b, a, rho)
    return logs, by_a, by_b, by_rho


def _both_cut(a: Floats, b: Floats, rho: float) -> tuple[Floats, Floats, Floats, Floats]:
    from scipy.special import log_ndtr

    rest = (1 - rho) * (1 + rho)
    residual = float(np.sqrt(rest))
    logs = log_both_below(a, b, rho)
    by_a = np.exp(-a * a / 2 - _LOG_2PI / 2 + log_ndtr((b - rho * a) / residual) - logs)
    by_b = np.exp(-b * b / 2 - _LOG_2PI / 2 + log_ndtr((a - rho * b) / residual) - logs)
    form = a * a - 2 * rho * a * b + b * b
    by_rho = np.exp(-_LOG_2PI - form / (2 * rest) - logs) / residual
    return logs, by_a, by_b, by_rho
