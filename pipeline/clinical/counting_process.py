"""Cox's model of one covariate that changes with time, with Firth's penalty where events are few.

A patient is a run of intervals (start, stop], each with the covariate's value in it; an event ends the
last. Ties by Efron. With few events, or where the likelihood has no maximum, the penalised likelihood
of Firth (half the logarithm of the information is added) has one; its interval is the profile's.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["EVENTS_FOR_WALD", "HazardRatio", "hazard_ratio"]

EVENTS_FOR_WALD = 10
"""Fewer events take Firth's penalty: the plain estimate is biased away from 1 then."""

_BOUND = 12.0  # of a log hazard ratio: beyond it there is no maximum
_HALF_CHI_SQUARE = 1.920729410347063  # 95 % of one degree of freedom, halved
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRatio:
    """Hazard ratio per unit of the covariate; ``model`` is ``efron`` or ``firth``.

    The p-value is Wald's (Efron) or the penalised likelihood ratio's (Firth).
    """

    model: str
    estimate: float
    ci_low: float
    ci_high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ties:
    """Covariates at one time: of everyone at risk, and of those with the event."""

    at_risk: "Floats"
    events: "Floats"


def hazard_ratio(start: "Floats", stop: "Floats", event: "Floats", covariate: "Floats") -> HazardRatio:
    """Fit the model.

    Parameters
    ----------
    start, stop
        Ends of the intervals, (n,), start < stop; several of one patient do not overlap.
    event
        1 where the interval ends with the event, else 0.
    covariate
        Its value in the interval.

    Returns
    -------
    HazardRatio

    Raises
    ------
    ValueError
        If there is no event, or the covariate is the same in everyone at risk at every event.

    References
    ----------
    Efron, J Am Stat Assoc 1977;72:557. Firth, Biometrika 1993;80:27; Heinze and Schemper, Biometrics
    2001;57:114 (Cox's model, profile intervals).
    """
    ties = _ties(start, stop, event, covariate)
    if not ties:
        raise ValueError("there is no event")
    if not any(np.ptp(t.at_risk) > 0 for t in ties):
        raise ValueError("everyone at risk at every event has the same covariate")
    if sum(len(t.events) for t in ties) >= EVENTS_FOR_WALD:
        found = _newton(ties)
        if found is not None:
            return found
    return _penalised(ties)


def _ties(start: "Floats", stop: "Floats", event: "Floats", covariate: "Floats") -> list[_Ties]:
    found = []
    for time in np.unique(stop[event == 1]):
        at_risk = (start < time) & (stop >= time)
        found.append(_Ties(at_risk=covariate[at_risk], events=covariate[(stop == time) & (event == 1)]))
    return found


def _terms(ties: list[_Ties], beta: float) -> tuple[float, float, float]:
    """Log likelihood, score and information at a log hazard ratio."""
    likelihood = score = information = 0.0
    for t in ties:
        weight, of_events = np.exp(beta * t.at_risk), np.exp(beta * t.events)
        sums = [float(np.sum(weight * t.at_risk**k)) for k in range(3)]
        tied = [float(np.sum(of_events * t.events**k)) for k in range(3)]
        likelihood += beta * float(np.sum(t.events))
        score += float(np.sum(t.events))
        for i in range(len(t.events)):
            total, first, second = (s - i / len(t.events) * e for s, e in zip(sums, tied, strict=True))
            likelihood -= math.log(total)
            score -= first / total
            information += second / total - (first / total) ** 2
    return likelihood, score, information


def _newton(ties: list[_Ties]) -> HazardRatio | None:
    """The plain estimate with Wald's interval; None where the likelihood has no maximum."""
    beta = 0.0
    for _ in range(60):
        _, score, information = _terms(ties, beta)
        if information <= 1e-12 or abs(beta) > _BOUND:
            return None
        step = score / information
        beta += min(max(step, -2.0), 2.0)
        if abs(step) < 1e-10:
            error = _terms(ties, beta)[2] ** -0.5
            low, high = math.exp(beta - _Z * error), math.exp(beta + _Z * error)
            p = math.erfc(abs(beta) / error / math.sqrt(2))
            return HazardRatio(model="efron", estimate=math.exp(beta), ci_low=low, ci_high=high, p_value=p)
    return None


def _penalised(ties: list[_Ties]) -> HazardRatio:
    from scipy.optimize import brentq, minimize_scalar

    def negative(beta: float) -> float:
        likelihood, _, information = _terms(ties, beta)
        return -likelihood - 0.5 * math.log(max(information, 1e-300))

    found = minimize_scalar(negative, bounds=(-_BOUND, _BOUND), method="bounded", options={"xatol": 1e-9})
    beta, lowest = float(found.x), float(found.fun)

    def beyond(at: float) -> float:
        return negative(at) - lowest - _HALF_CHI_SQUARE

    far = 3 * _BOUND
    if beyond(-far) <= 0 or beyond(far) <= 0:
        raise ValueError("the data do not bound the hazard ratio")
    ends = (float(brentq(beyond, -far, beta)), float(brentq(beyond, beta, far)))
    p = math.erfc(math.sqrt(max(negative(0.0) - lowest, 0.0)))
    return HazardRatio(
        model="firth",
        estimate=math.exp(beta),
        ci_low=math.exp(ends[0]),
        ci_high=math.exp(ends[1]),
        p_value=p,
    )
