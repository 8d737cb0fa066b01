"""CHIP against what happens to patients: engraftment, response, second myeloid neoplasm.

Estimates come before p-values: risks by group with their difference and odds ratio, exact tests, and
the false discovery rate over everything that was tested. Patients whose CHIP is undecided are counted
and named, never put into a group.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.detection.intervals import newcombe

__all__ = ["Association", "associate", "benjamini_hochberg", "cumulative_incidence", "exact_odds_ratio"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """One exposure against one outcome.

    ``exposed_events`` of ``exposed`` patients with it, ``other_events`` of ``others`` without;
    ``undecided`` have no call of the exposure, ``unknown`` no outcome. Numbers are None, with a
    ``reason``, where a group is empty.
    """

    exposure: str
    outcome: str
    exposed: int
    exposed_events: int
    others: int
    other_events: int
    undecided: int
    unknown: int
    risk_exposed: float | None = None
    risk_others: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    odds_ratio: float | None = None
    odds_low: float | None = None
    odds_high: float | None = None
    p_exact: float | None = None
    q: float | None = None
    reason: str = ""


def associate(
    exposures: Mapping[str, Mapping[str, bool | None]], outcomes: Mapping[str, Mapping[str, bool | None]]
) -> tuple[Association, ...]:
    """Every exposure against every outcome.

    Parameters
    ----------
    exposures, outcomes
        By name, then by patient; None where not known. A patient whom an outcome's table lacks is
        unknown there.

    Returns
    -------
    tuple of Association
        In the order given, with q over all that have a p-value.
    """
    found = [
        _one(exposure, of_patient, outcome, happened)
        for exposure, of_patient in exposures.items()
        for outcome, happened in outcomes.items()
    ]
    tested = [i for i, a in enumerate(found) if a.p_exact is not None]
    qs = benjamini_hochberg([p for i in tested if (p := found[i].p_exact) is not None])
    for i, q in zip(tested, qs, strict=True):
        found[i] = replace(found[i], q=q)
    return tuple(found)


def _one(
    exposure: str,
    of_patient: Mapping[str, bool | None],
    outcome: str,
    happened: Mapping[str, bool | None],
) -> Association:
    decided = {p: e for p, e in of_patient.items() if e is not None}
    known = {p: e for p, e in decided.items() if happened.get(p) is not None}
    a = sum(e and bool(happened[p]) for p, e in known.items())
    exposed = sum(known.values())
    c = sum(not e and bool(happened[p]) for p, e in known.items())
    others = len(known) - exposed
    counts = Association(
        exposure=exposure,
        outcome=outcome,
        exposed=exposed,
        exposed_events=a,
        others=others,
        other_events=c,
        undecided=len(of_patient) - len(decided),
        unknown=len(decided) - len(known),
    )
    if exposed == 0 or others == 0:
        return replace(counts, reason="a group is empty")
    low, high = newcombe((c, others), (a, exposed))
    odds, odds_low, odds_high, p = exact_odds_ratio(a, exposed - a, c, others - c)
    return replace(
        counts,
        risk_exposed=a / exposed,
        risk_others=c / others,
        difference=a / exposed - c / others,
        difference_low=low,
        difference_high=high,
        odds_ratio=odds,
        odds_low=odds_low,
        odds_high=odds_high,
        p_exact=p,
    )


def exact_odds_ratio(a: int, b: int, c: int, d: int) -> tuple[float | None, float, float | None, float]:
    """Conditional odds ratio of [[a, b], [c, d]], its exact interval, and Fisher's two-sided p.

    None stands for infinity (a zero in the second diagonal).

    Examples
    --------
    >>> [round(v, 4) for v in exact_odds_ratio(3, 1, 1, 3)]
    [6.4083, 0.2117, 626.2435, 0.4857]
    """
    import numpy as np
    from scipy.stats import fisher_exact
    from scipy.stats.contingency import odds_ratio

    table = np.array([[a, b], [c, d]])
    p = float(fisher_exact(table).pvalue)
    if table.sum(axis=0).min() == 0 or table.sum(axis=1).min() == 0:
        return None, 0.0, None, p
    found = odds_ratio(table)
    low, high = found.confidence_interval(0.95)
    estimate = float(found.statistic)
    return _finite(estimate), float(low), _finite(float(high)), p


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """False discovery rates (Benjamini and Hochberg, J R Stat Soc B 1995;57:289), in the order given.

    >>> [round(q, 4) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.5])]
    [0.04, 0.0533, 0.0533, 0.5]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    found = [0.0] * len(p_values)
    smallest = 1.0
    for rank, i in enumerate(order):
        smallest = min(smallest, p_values[i] * len(p_values) / (len(p_values) - rank))
        found[i] = smallest
    return found


def cumulative_incidence(
    exposure: Mapping[str, bool | None], follow_up: Mapping[str, tuple[float, int]]
) -> list[tuple[str, float, float, float | None, float | None]]:
    """Cumulative incidence of event 1 with event 2 competing, by exposure (Aalen and Johansen).

    Parameters
    ----------
    exposure
        By patient; those undecided are a group of their own.
    follow_up
        (time, event) by patient: 0 censored, 1 the event, 2 a competing one.

    Returns
    -------
    list of (group, time, estimate, low, high)
        One row at every event time.
    """
    import numpy as np

    from pipeline.clinical.survival import aalen_johansen

    names = {True: "yes", False: "no", None: "undecided"}
    rows = []
    for value, name in names.items():
        own = [follow_up[p] for p, e in exposure.items() if e is value and p in follow_up]
        if not own:
            continue
        times, events = np.array(own, dtype=float).T
        curve = aalen_johansen(times, events)
        rows += [
            (name, float(t), float(e), _known(low), _known(high))
            for t, e, low, high in zip(curve.times, curve.estimates, curve.ci_low, curve.ci_high, strict=True)
        ]
    return rows


def _known(value: float) -> float | None:
    """None where an estimate has no interval (0 and 1)."""
    return float(value) if math.isfinite(value) else None
