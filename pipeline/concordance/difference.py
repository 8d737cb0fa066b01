"""How far two methods lie apart: Bland-Altman, total deviation, concordance correlation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.concordance.series import PAIRS_MIN, Floats, paired
from pipeline.detection import Interval, wilson

__all__ = [
    "BlandAltman",
    "Estimate",
    "bland_altman",
    "bland_altman_repeated",
    "lin_ccc",
    "share_within",
    "total_deviation_index",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, its interval, and the pairs it rests on."""

    value: float
    ci: Interval
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlandAltman:
    """Mean and spread of y - x, and the limits that hold 95 % of differences."""

    bias: Estimate
    sd: Estimate
    limit_low: Estimate
    limit_high: Estimate


def bland_altman(x: npt.ArrayLike, y: npt.ArrayLike, *, confidence: float = 0.95) -> BlandAltman:
    """Bias and 95 % limits of agreement of y - x, each with its interval.

    Intervals are exact for normal differences: Student's t (bias), chi-square (standard
    deviation), non-central t (limits; Carkeet, Optom Vis Sci 2015;92:e71).

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, on one scale.
    confidence
        Two-sided coverage of the intervals, in (0, 1); the limits stay at 95 %.

    Returns
    -------
    BlandAltman
        On the scale of the data.

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold fewer than 10 pairs or a value that is not
        finite, or if every difference is the same.

    References
    ----------
    Bland and Altman, Lancet 1986;1:307.
    """
    from scipy.special import chdtri, ndtri, stdtrit
    from scipy.stats import nct

    d = _difference(x, y)
    pairs, tail = len(d), (1 - confidence) / 2
    mean, sd = float(np.mean(d)), float(np.std(d, ddof=1))
    _check_spread(d, sd)
    error, freedom = sd / pairs**0.5, pairs - 1
    z = float(ndtri(0.975))
    half = float(stdtrit(freedom, 1 - tail)) * error
    near, far = (float(nct.ppf(q, freedom, z * pairs**0.5)) * error for q in (tail, 1 - tail))
    spread = tuple(sd * (freedom / float(chdtri(freedom, q))) ** 0.5 for q in (tail, 1 - tail))
    return BlandAltman(
        bias=Estimate(value=mean, ci=Interval(mean - half, mean + half), pairs=pairs),
        sd=Estimate(value=sd, ci=Interval(spread[0], spread[1]), pairs=pairs),
        limit_low=Estimate(value=mean - z * sd, ci=Interval(mean - far, mean - near), pairs=pairs),
        limit_high=Estimate(value=mean + z * sd, ci=Interval(mean + near, mean + far), pairs=pairs),
    )


def bland_altman_repeated(x: npt.ArrayLike, y: npt.ArrayLike, patients: Sequence[str]) -> BlandAltman:
    """Bias and 95 % limits of agreement where patients come back and the true value varies.

    The variance of a difference is that between patients plus that within one (one-way
    analysis of variance, unequal numbers); the bias is the mean over patients. Intervals by
    the method of variance estimates recovery.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, on one scale.
    patients
        Patient of each pair.

    Returns
    -------
    BlandAltman
        On the scale of the data; ``pairs`` counts pairs.

    Raises
    ------
    ValueError
        As `bland_altman`, or if fewer than 10 patients, or none of them twice, gave pairs.

    References
    ----------
    Bland and Altman, J Biopharm Stat 2007;17:571, section 3; Zou, Stat Methods Med Res
    2013;22:630, section 3.2.
    """
    from scipy.special import chdtri, ndtri, stdtrit

    d = _difference(x, y)
    names, cluster = np.unique(np.array(patients), return_inverse=True)
    groups, pairs = len(names), len(d)
    if groups < PAIRS_MIN:
        raise ValueError(f"{groups} patients are too few for limits over patients")
    if groups == pairs:
        raise ValueError("no patient gives more than one pair")
    sizes = np.bincount(cluster)
    means = np.bincount(cluster, weights=d) / sizes
    within = float(np.square(d - means[cluster]).sum()) / (pairs - groups)
    between = float(np.var(means, ddof=1))
    _check_spread(d, (between + within) ** 0.5)
    # Variance of one difference: that of patients' means, and what averaging took from within.
    taken = 1 - float(np.mean(1 / sizes))
    total = between + taken * within
    mean, z = float(means.mean()), float(ndtri(0.975))

    def moved(share: float) -> float:
        """How far the total's bound lies from it, both variances at this quantile."""
        of_means = between * ((groups - 1) / float(chdtri(groups - 1, share)) - 1)
        of_pairs = taken * within * ((pairs - groups) / float(chdtri(pairs - groups, share)) - 1)
        return float(np.hypot(of_means, of_pairs))

    sd = total**0.5
    low, high = (max(total - moved(0.025), 0.0)) ** 0.5, (total + moved(0.975)) ** 0.5
    error = between / groups
    half = float(stdtrit(groups - 1, 0.975)) * error**0.5
    inner, outer = (float(np.hypot(half, z * (b - sd))) for b in (low, high))
    return BlandAltman(
        bias=Estimate(value=mean, ci=Interval(mean - half, mean + half), pairs=pairs),
        sd=Estimate(value=sd, ci=Interval(low, high), pairs=pairs),
        limit_low=Estimate(
            value=mean - z * sd, ci=Interval(mean - z * sd - outer, mean - z * sd + inner), pairs=pairs
        ),
        limit_high=Estimate(
            value=mean + z * sd, ci=Interval(mean + z * sd - inner, mean + z * sd + outer), pairs=pairs
        ),
    )


def total_deviation_index(
    x: npt.ArrayLike, y: npt.ArrayLike, *, share: float = 0.9, confidence: float = 0.95
) -> Estimate:
    """The distance within which ``share`` of normal differences lie, whatever their sign.

    The quantile of |d| for d ~ Normal(mean, sd) is found exactly (non-central chi-square);
    the interval is Lin's, on the logarithm of the mean squared deviation.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, on one scale.
    share, confidence
        In (0, 1).

    Returns
    -------
    Estimate
        A distance on the scale of the data.

    Raises
    ------
    ValueError
        As `bland_altman`.

    References
    ----------
    Lin, Stat Med 2000;19:255.
    """
    from scipy.special import ndtri
    from scipy.stats import ncx2

    d = _difference(x, y)
    pairs = len(d)
    mean, sd = float(np.mean(d)), float(np.std(d, ddof=1))
    _check_spread(d, sd)
    value = sd * float(ncx2.ppf(share, 1, (mean / sd) ** 2)) ** 0.5
    squared = mean**2 + sd**2
    error = (2 / (pairs - 2) * (1 - (mean**2 / squared) ** 2)) ** 0.5 / 2
    factor = float(np.exp(float(ndtri((1 + confidence) / 2)) * error))
    return Estimate(value=value, ci=Interval(value / factor, value * factor), pairs=pairs)


def share_within(x: npt.ArrayLike, y: npt.ArrayLike, distance: float) -> Estimate:
    """Share of pairs with |y - x| <= distance, with its 95 % Wilson interval.

    Raises
    ------
    ValueError
        If the arrays do not fit together, are empty or hold a value that is not finite.
    """
    xs, ys = paired(x, y, minimum=1)
    # Logarithms of decimals differ from the distance by rounding where they should equal it.
    within = int(np.count_nonzero(np.abs(ys - xs) <= distance * (1 + 1e-12)))
    return Estimate(value=within / len(xs), ci=wilson(within, len(xs)), pairs=len(xs))


def lin_ccc(x: npt.ArrayLike, y: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Concordance correlation coefficient: closeness to the line y = x (Lin 1989).

    Variances divide by the number of pairs; the interval is on Fisher's z.

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, on one scale.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Estimate
        In [-1, 1].

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold fewer than 10 pairs or a value that is not
        finite, or if a method does not vary.

    References
    ----------
    Lin, Biometrics 1989;45:255, standard error corrected in 2000;56:324.
    """
    from scipy.special import ndtri

    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    pairs = len(xs)
    sx, sy = float(np.std(xs)), float(np.std(ys))
    if min(sx, sy) <= 1e-12 * float(np.max(np.abs(np.concatenate([xs, ys])))):
        raise ValueError("a method does not vary")
    apart = float(np.mean(ys) - np.mean(xs))
    covariance = float(np.mean((xs - np.mean(xs)) * (ys - np.mean(ys))))
    ccc = 2 * covariance / (sx**2 + sy**2 + apart**2)
    r, shift = covariance / (sx * sy), apart**2 / (sx * sy)
    if abs(r) >= 1 - 1e-12:
        raise ValueError("the methods lie on a straight line: no interval")
    if abs(r) < 1e-12:
        return Estimate(value=ccc, ci=Interval(-1.0, 1.0), pairs=pairs)
    # Lin 2000, variance of atanh(ccc); u^2 is `shift`.
    variance = (
        (1 - r**2) * ccc**2 / ((1 - ccc**2) * r**2)
        + 2 * ccc**3 * (1 - ccc) * shift / (r * (1 - ccc**2) ** 2)
        - ccc**4 * shift**2 / (2 * r**2 * (1 - ccc**2) ** 2)
    ) / (pairs - 2)
    half = float(ndtri((1 + confidence) / 2)) * max(variance, 0.0) ** 0.5
    z = float(np.arctanh(ccc))
    return Estimate(value=ccc, ci=Interval(float(np.tanh(z - half)), float(np.tanh(z + half))), pairs=pairs)


def _difference(x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    return ys - xs


def _check_spread(differences: Floats, sd: float) -> None:
    if sd <= 1e-12 * float(np.max(np.abs(differences))):
        raise ValueError("every difference is the same: no spread to estimate")
