"""Estimators of time-to-event data: Kaplan-Meier, Aalen-Johansen, log-rank, Cox with Efron's ties.

Times are compared as they are: tied times stay tied. ``event`` is 0 (censored), 1 (the event) or
2 (a competing event); the log-rank test and Cox's model are cause-specific, 2 counts as censored.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.clinical.interval_kind import IntervalKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "CoxFit",
    "Curve",
    "LogRank",
    "aalen_johansen",
    "cox_log_hazard_ratios",
    "kaplan_meier",
    "log_rank",
]

_TOLERANCE = 1e-12
_STEPS_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A step function at its event times; an interval is NaN where the estimate has none (0 and 1)."""

    times: "Floats"
    estimates: "Floats"
    ci_low: "Floats"
    ci_high: "Floats"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """Chi-square statistic, its degrees of freedom and p-value."""

    chi_square: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CoxFit:
    """Log hazard ratios, one per column of the covariates, and their standard errors."""

    log_hazard_ratios: "Floats"
    standard_errors: "Floats"


def kaplan_meier(
    times: "Floats",
    events: "Floats",
    *,
    interval: IntervalKind = IntervalKind.LOG_LOG,
    confidence: float = 0.95,
) -> Curve:
    """Probability to be free of any event, with Greenwood's variance.

    Parameters
    ----------
    times, events
        One entry a patient; any event but 0 counts.
    interval, confidence
        Kind of the pointwise interval and its coverage.

    Returns
    -------
    Curve
        One entry per event time, in order.
    """
    at, at_risk, by_cause = _counts(times, events)
    deaths = by_cause.sum(axis=0)
    survival = np.cumprod(1 - deaths / at_risk)
    # An event that leaves nobody brings the curve to 0, where there is no interval: its term is unused.
    left = at_risk - deaths
    terms = np.divide(deaths, at_risk * left, out=np.zeros(len(at)), where=left > 0)
    errors = survival * np.sqrt(np.cumsum(terms))
    low, high = _interval(survival, errors, interval, confidence)
    return Curve(times=at, estimates=survival, ci_low=low, ci_high=high)


def aalen_johansen(
    times: "Floats",
    events: "Floats",
    *,
    interval: IntervalKind = IntervalKind.LOG_LOG,
    confidence: float = 0.95,
) -> Curve:
    """Cumulative incidence of event 1 where event 2 may come first.

    The variance is the delta method's (Marubini and Valsecchi 1995, equation 10.12); without
    competing events it is Greenwood's.

    Returns
    -------
    Curve
        One entry per time at which either event occurs, in order.
    """
    at, at_risk, by_cause = _counts(times, events)
    deaths, ones = by_cause.sum(axis=0), by_cause[0]
    survival = np.cumprod(1 - deaths / at_risk)
    before = np.concatenate(([1.0], survival[:-1])) if len(at) else survival
    incidence = np.cumsum(before * ones / at_risk)
    left = at_risk - deaths
    greenwood = np.divide(deaths, at_risk * left, out=np.zeros(len(at)), where=left > 0)
    rise = np.tril(incidence[:, None] - incidence[None, :])  # from each earlier time to each time
    own = np.cumsum(before**2 * ones * (at_risk - ones) / at_risk**3)
    variance = (rise**2) @ greenwood + own - 2 * rise @ (before * ones / at_risk**2)
    low, high = _interval(incidence, np.sqrt(np.maximum(variance, 0)), interval, confidence)
    return Curve(times=at, estimates=incidence, ci_low=low, ci_high=high)


def log_rank(times: "Floats", events: "Floats", groups: "Floats") -> LogRank:
    """Test that the hazard of event 1 is the same in all groups.

    Parameters
    ----------
    times, events
        One entry a patient.
    groups
        Numbers of the groups, from 0.

    Raises
    ------
    ValueError
        If there is one group only, or the data cannot tell the groups apart.
    """
    from scipy.stats import chi2

    count = int(groups.max(initial=0)) + 1
    observed_less_expected = np.zeros(count)
    covariance = np.zeros((count, count))
    for time in np.unique(times[events == 1]):
        at_risk = np.bincount(groups[times >= time].astype(np.int64), minlength=count).astype(np.float64)
        died = np.bincount(groups[(times == time) & (events == 1)].astype(np.int64), minlength=count)
        n, d = at_risk.sum(), died.sum()
        share = at_risk / n
        observed_less_expected += died - d * share
        if n > 1:
            covariance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    reduced = covariance[1:, 1:]
    if count < 2 or np.linalg.matrix_rank(reduced) < count - 1:
        raise ValueError("the groups cannot be compared")
    difference = observed_less_expected[1:]
    statistic = float(difference @ np.linalg.solve(reduced, difference))
    return LogRank(
        chi_square=statistic, degrees_of_freedom=count - 1, p_value=float(chi2.sf(statistic, count - 1))
    )


def cox_log_hazard_ratios(times: "Floats", events: "Floats", covariates: "Floats") -> CoxFit:
    """Cox's proportional hazards for event 1, ties by Efron (1977), by Newton's method.

    Parameters
    ----------
    times, events
        One entry a patient.
    covariates
        One row a patient, one column a term.

    Raises
    ------
    ValueError
        If the likelihood has no maximum, as where a group has no event.
    """
    beta = np.zeros(covariates.shape[1])
    previous = -np.inf
    for _ in range(_STEPS_MAX):
        likelihood, score, information = _efron(times, events, covariates, beta)
        if not np.isfinite(likelihood) or np.linalg.matrix_rank(information) < len(beta):
            break
        if abs(likelihood - previous) <= _TOLERANCE * abs(likelihood) and np.abs(score).max() < 1e-8:
            errors = np.sqrt(np.diag(np.linalg.inv(information)))
            if np.abs(beta).max() > 15:  # a hazard ratio of millions: a maximum at infinity
                break
            return CoxFit(log_hazard_ratios=beta, standard_errors=errors)
        previous = likelihood
        beta = beta + np.clip(np.linalg.solve(information, score), -3, 3)
    raise ValueError(
        "the likelihood has no maximum: a group without events, or terms that depend on each other"
    )


def _efron(
    times: "Floats", events: "Floats", covariates: "Floats", beta: "Floats"
) -> "tuple[float, Floats, Floats]":
    risk = np.exp(covariates @ beta)
    likelihood, score = 0.0, np.zeros(len(beta))
    information = np.zeros((len(beta), len(beta)))
    for time in np.unique(times[events == 1]):
        at_risk, died = times >= time, (times == time) & (events == 1)
        x, w = covariates[at_risk], risk[at_risk]
        tied, v = covariates[died], risk[died]
        likelihood += float(np.log(v).sum())
        score += tied.sum(axis=0)
        for i in range(len(v)):
            part = i / len(v)
            total = w.sum() - part * v.sum()
            mean = (w @ x - part * (v @ tied)) / total
            second = ((x.T * w) @ x - part * ((tied.T * v) @ tied)) / total
            likelihood -= float(np.log(total))
            score -= mean
            information += second - np.outer(mean, mean)
    return likelihood, score, information


def _counts(times: "Floats", events: "Floats") -> "tuple[Floats, Floats, Floats]":
    """Event times, patients at risk at each, and counts of event 1 and event 2 (two rows)."""
    at = np.unique(times[events > 0])
    ordered = np.sort(times)
    at_risk = (len(times) - np.searchsorted(ordered, at, side="left")).astype(np.float64)
    by_cause = np.stack(
        [np.bincount(np.searchsorted(at, times[events == cause]), minlength=len(at)) for cause in (1, 2)]
    ).astype(np.float64)
    return at, at_risk, by_cause


def _interval(
    estimates: "Floats", errors: "Floats", kind: IntervalKind, confidence: float
) -> "tuple[Floats, Floats]":
    """Pointwise bounds within [0, 1]; NaN where the estimate is 0 or 1."""
    from scipy.special import ndtri

    z = float(ndtri(0.5 + confidence / 2))
    inside = (estimates > 0) & (estimates < 1)
    p = np.where(inside, estimates, 0.5)
    if kind is IntervalKind.LOG_LOG:
        width = z * errors / (p * np.abs(np.log(p)))
        low, high = p ** np.exp(width), p ** np.exp(-width)
    elif kind is IntervalKind.LOG:
        low, high = p * np.exp(-z * errors / p), p * np.exp(z * errors / p)
    else:
        low, high = p - z * errors, p + z * errors
    bounds = np.clip(np.stack([low, high]), 0, 1)
    bounds[:, ~inside] = np.nan
    return bounds[0], bounds[1]
