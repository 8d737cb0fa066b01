"""Whether a cluster's light chains are those of one clone, against the patient's own normal plasma cells.

Given how many cells of both groups make kappa, the cluster's share of them is
hypergeometric if the cluster is as mixed as the normal cells (Fisher's exact test), so
that the uncertainty of the patient's own ratio is part of the test. Only cells whose
light chains were stained in their own tube may be counted; imputed values may not.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["ClonalityRules", "ClonalityTest", "clonality_power", "clonality_test"]

Verdict = Literal["kappa restricted", "lambda restricted", "not restricted", "not assessable"]
_TAIL = 1e-12  # of a Poisson law left out of the enumeration


@dataclass(frozen=True, slots=True, kw_only=True)
class ClonalityRules:
    """``alpha`` is one-sided, for each light chain; below ``least_power`` there is no verdict."""

    alpha: float = 1e-3
    least_power: float = 0.80

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 0.5 and 0 < self.least_power < 1):
            raise ValueError("alpha must lie between 0 and 0.5, the least power between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClonalityTest:
    """Counts, exact one-sided p for the chain in excess, and the power that the counts had.

    ``normal_kappa_share`` is None where there was no normal cell.
    """

    verdict: Verdict
    reason: str
    cluster_kappa: int
    cluster_lambda: int
    normal_kappa: int
    normal_lambda: int
    normal_kappa_share: float | None
    p: float
    power: float


def clonality_power(
    clone_events: float,
    background_events: float,
    *,
    chain: Literal["kappa", "lambda"] = "kappa",
    normal_kappa_share: float = 0.6,
    alpha: float = 1e-3,
) -> float:
    """Probability that a restricted clone among normal cells is shown to be one, by enumeration.

    Both groups' sizes are Poisson, the test is the exact binomial one against a known
    normal share.

    Parameters
    ----------
    clone_events, background_events
        Expected cells of the clone, and of normal ones in the cluster, >= 0.
    chain
        The clone's.
    normal_kappa_share
        Among normal cells, in (0, 1).
    alpha
        One-sided.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(clonality_power(20, 0), 2), round(clonality_power(100, 240), 2)
    (0.93, 0.92)
    """
    from scipy.stats import binom, poisson

    if min(clone_events, background_events) < 0 or not (0 < normal_kappa_share < 1 and 0 < alpha < 1):
        raise ValueError("events must be at least 0, the normal share and alpha between 0 and 1")
    share = normal_kappa_share if chain == "kappa" else 1 - normal_kappa_share
    means = (clone_events + share * background_events, (1 - share) * background_events)
    own, other = (np.arange(int(poisson.isf(_TAIL, m)) + 2) for m in means)
    joint = poisson.pmf(own, means[0])[:, None] * poisson.pmf(other, means[1])[None, :]
    p = binom.sf(own[:, None] - 1, own[:, None] + other[None, :], share)
    return float(joint[p <= alpha].sum())


def clonality_test(
    cluster: tuple[int, int],
    normal: tuple[int, int],
    *,
    background_events: float,
    rules: ClonalityRules | None = None,
) -> ClonalityTest:
    """Test the cluster's (kappa, lambda) counts against those of the patient's normal plasma cells.

    Parameters
    ----------
    cluster, normal
        Cells with kappa and with lambda, >= 0. The cluster must have been chosen without
        looking at light chains.
    background_events
        Normal cells expected in the cluster, >= 0; they lower the power.
    rules
        Significance and least power.

    Returns
    -------
    ClonalityTest
        "not assessable" where even a restricted clone of this size would have been shown
        with less than the least power; a significant excess is stated all the same.

    Raises
    ------
    ValueError
        If a count is negative.
    """
    from scipy.stats import hypergeom

    rules = rules or ClonalityRules()
    if min(*cluster, *normal) < 0 or background_events < 0:
        raise ValueError("counts must be at least 0")
    size, cells = sum(cluster), sum(normal)
    if size == 0 or cells == 0:
        return _made(cluster, normal, "not assessable", "no cells to compare", 1.0, 0.0)
    ps = [float(hypergeom.sf(c - 1, size + cells, c + n, size)) for c, n in zip(cluster, normal, strict=True)]
    p = min(ps)
    chain: Literal["kappa", "lambda"] = "kappa" if ps[0] <= ps[1] else "lambda"
    share = min(max(normal[0] / cells, 0.5 / cells), 1 - 0.5 / cells)
    background = min(background_events, float(size))
    power = clonality_power(
        size - background, background, chain=chain, normal_kappa_share=share, alpha=rules.alpha
    )
    if p <= rules.alpha:
        verdict: Verdict = "kappa restricted" if chain == "kappa" else "lambda restricted"
        return _made(cluster, normal, verdict, f"p {p:.2g} at alpha {rules.alpha:g}", p, power)
    if power < rules.least_power:
        reason = f"power {power:.2f} is below {rules.least_power:g}"
        return _made(cluster, normal, "not assessable", reason, p, power)
    return _made(cluster, normal, "not restricted", f"p {p:.2g} at alpha {rules.alpha:g}", p, power)


def _made(
    cluster: tuple[int, int], normal: tuple[int, int], verdict: Verdict, reason: str, p: float, power: float
) -> ClonalityTest:
    cells = sum(normal)
    return ClonalityTest(
        verdict=verdict,
        reason=reason,
        cluster_kappa=cluster[0],
        cluster_lambda=cluster[1],
        normal_kappa=normal[0],
        normal_lambda=normal[1],
        normal_kappa_share=normal[0] / cells if cells else None,
        p=p,
        power=power,
    )
