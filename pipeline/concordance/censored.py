"""Correlation and bias of two methods when many values lie below their own limits.

Leaving such pairs out, or writing half the limit for them, moves correlation and bias;
the likelihood takes "below this sample's limit" as what it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.concordance.likelihood import CensoredPairs
from pipeline.concordance.series import PAIRS_MIN, Floats, flags, paired
from pipeline.detection import Interval

__all__ = ["CensoredFit", "censored_bivariate"]

_SEEN_MIN = 3  # pairs with both values seen, without which a correlation rests on nothing
_CLUSTERS_MIN = 10
_Z_LINE = 7.25  # atanh of 1 - 1e-6: values of two assays never lie so close to a line
_Z_MAX = 8.0
_LINE = "the methods lie on a straight line: the correlation has no interval"
_STEPS_MAX = 200
_NEWTON_MAX = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CensoredFit:
    """Bivariate normal of log10 values: moments, and what follows from them, with intervals.

    ``bias_log10`` is mean y - mean x. ``covariance`` is that of mean x, mean y, log sd x,
    log sd y and atanh rho, shape (5, 5). ``clusters`` is 0 where pairs count as independent.
    """

    rho: float
    rho_ci: Interval
    bias_log10: float
    bias_ci: Interval
    ccc: float
    ccc_ci: Interval
    mean_x: float
    mean_y: float
    mean_x_ci: Interval
    mean_y_ci: Interval
    sd_x: float
    sd_y: float
    log_likelihood: float
    covariance: Floats
    pairs: int
    both_seen: int
    clusters: int


def censored_bivariate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_censored: npt.ArrayLike,
    y_censored: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> CensoredFit:
    """Maximum likelihood of a bivariate normal, each value seen or known to lie below a limit.

    Parameters
    ----------
    x, y
        Shape (pairs,), log10; where censored, the limit of that value.
    x_censored, y_censored
        Shape (pairs,), true where the value lies below its limit.
    clusters
        Shape (pairs,), the patient of each pair; by default pairs are independent. With
        it every interval comes from the clustered sandwich, with Student's t of clusters - 1 degrees
        of freedom.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    CensoredFit
        Without clusters the interval of ``rho`` is that of the profile likelihood (Wald's where
        the profile has no such bound), the others are Wald's (concordance on Fisher's z).

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold fewer than 10 pairs, a value that is not
        finite, fewer than 3 pairs with both values seen or fewer than 10 clusters, if seen
        values do not vary, or if the likelihood has no maximum inside |rho| < 1.
    """
    data, centre, scale, labels = _standardised(x, y, x_censored, y_censored, clusters)
    at, lowest, inverse = _maximum(data)
    covariance = inverse if labels is None else _sandwich(data, at, inverse, labels)
    z = _quantile(confidence, 0 if labels is None else int(labels.max()) + 1)
    rho_ci = _fisher(at[4], covariance[4, 4], z)
    if labels is None:
        rho_ci = _profile(data, at, lowest, inverse, z) or rho_ci
    # Back from standardised values: means shift and stretch, log sd shifts, rho stays.
    mean_x, mean_y = (float(centre + scale * m) for m in at[:2])
    stretch = np.diag([scale, scale, 1.0, 1.0, 1.0])
    covariance = stretch @ covariance @ stretch
    bias = mean_y - mean_x
    bias_error = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5
    sd_x, sd_y = (float(scale * np.exp(v)) for v in at[2:4])
    seen_values = int(np.count_nonzero(~data.x_censored) + np.count_nonzero(~data.y_censored))
    ccc, ccc_variance = _concordance(bias, sd_x, sd_y, float(at[4]), covariance)
    return CensoredFit(
        rho=float(np.tanh(at[4])),
        rho_ci=rho_ci,
        bias_log10=bias,
        bias_ci=Interval(bias - z * bias_error, bias + z * bias_error),
        ccc=ccc,
        ccc_ci=_fisher(float(np.arctanh(ccc)), ccc_variance, z),
        mean_x=mean_x,
        mean_y=mean_y,
        mean_x_ci=_wald(mean_x, covariance[0, 0], z),
        mean_y_ci=_wald(mean_y, covariance[1, 1], z),
        sd_x=sd_x,
        sd_y=sd_y,
        log_likelihood=-lowest - float(np.log(scale)) * seen_values,
        covariance=covariance,
        pairs=len(data.x),
        both_seen=int(np.count_nonzero(~data.x_censored & ~data.y_censored)),
        clusters=0 if labels is None else int(labels.max()) + 1,
    )


def _standardised(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_censored: npt.ArrayLike,
    y_censored: npt.ArrayLike,
    clusters: npt.ArrayLike | None,
) -> tuple[CensoredPairs, float, float, npt.NDArray[np.intp] | None]:
    xs, ys = paired(x, y, minimum=PAIRS_MIN)
    cut_x, cut_y = flags(x_censored, len(xs)), flags(y_censored, len(xs))
    seen = int(np.count_nonzero(~cut_x & ~cut_y))
    if seen < _SEEN_MIN:
        raise ValueError(f"fewer than {_SEEN_MIN} pairs with both values seen: {seen}")
    for values, cut in ((xs, cut_x), (ys, cut_y)):
        if float(np.ptp(values[~cut])) <= 1e-9 * float(np.max(np.abs(values))):
            raise ValueError("the seen values of a method do not vary")
    labels = None
    if clusters is not None:
        names, labels = np.unique(np.asarray(clusters), return_inverse=True)
        if labels.shape != xs.shape:
            raise ValueError(f"one cluster per pair is needed: {len(xs)}, not shape {labels.shape}")
        if len(names) < _CLUSTERS_MIN:
            raise ValueError(f"fewer than {_CLUSTERS_MIN} clusters: {len(names)}")
    every = np.concatenate([xs, ys])
    centre, scale = float(np.mean(every)), float(np.std(every))
    data = CensoredPairs(x=(xs - centre) / scale, y=(ys - centre) / scale, x_censored=cut_x, y_censored=cut_y)
    return data, centre, scale, labels


def _maximum(data: CensoredPairs) -> tuple[Floats, float, Floats]:
    """Parameters, minus log-likelihood and inverse information at the maximum."""
    at = _near_maximum(data)
    lowest, gradient = data.negative(at)
    for _ in range(_NEWTON_MAX):
        _check_inside(at)
        information = data.information(at)
        scales = np.linalg.eigvalsh(information)
        floor = 1e-3 * float(scales[-1])
        lift = 0.0 if scales[0] > 0 else floor - float(scales[0])
        step = np.clip(np.linalg.solve(information + lift * np.eye(5), -gradient), -0.5, 0.5)
        size = float(np.max(np.abs(step)))
        if size < 1e-7 and not lift:
            return at, lowest, np.asarray(np.linalg.inv(information), dtype=np.float64)
        value, next_gradient = data.negative(at + step)
        # Below 1e-5 the likelihood is flat to its last digits and tells better from worse no longer.
        while value > lowest and size > 1e-5:
            step, size = step / 2, size / 2
            value, next_gradient = data.negative(at + step)
        at, lowest, gradient = at + step, value, next_gradient
    raise ValueError("the likelihood has no maximum: too few values were seen")


def _check_inside(at: Floats) -> None:
    if abs(float(at[4])) >= _Z_LINE:
        raise ValueError(_LINE)


def _near_maximum(data: CensoredPairs) -> Floats:
    """Scoring with the sum of squared scores as curvature (Berndt et al. 1974), halving long steps.

    That curvature costs nothing beyond the gradient and is never negative, so each step climbs.
    """
    seen = ~data.x_censored & ~data.y_censored
    r = float(np.corrcoef(data.x[seen], data.y[seen])[0, 1])
    if abs(r) >= 1 - 1e-9:
        raise ValueError(_LINE)
    z = float(np.arctanh(np.clip(r, -0.95, 0.95)))
    spread = (float(np.log(np.std(v) + 0.1)) for v in (data.x, data.y))
    at = np.array([float(np.mean(data.x)), float(np.mean(data.y)), *spread, z])
    logs, scores = data.terms(at)
    value = float(np.sum(logs))
    for _ in range(_STEPS_MAX):
        gradient = np.sum(scores, axis=0)
        curvature = scores.T @ scores
        curvature += np.diag(np.diag(curvature)) * 1e-9 + np.eye(5) * 1e-12
        step = np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        if float(np.max(np.abs(step))) < 1e-3:
            break
        for _ in range(30):
            tried = at + step
            tried[4] = np.clip(tried[4], -_Z_MAX, _Z_MAX)
            logs, scores = data.terms(tried)
            if float(np.sum(logs)) >= value:
                break
            step = step / 2
        else:
            break
        if abs(tried[4]) == _Z_MAX and abs(at[4]) == _Z_MAX:
            break
        at, value = tried, float(np.sum(logs))
    return at


def _sandwich(data: CensoredPairs, at: Floats, inverse: Floats, labels: npt.NDArray[np.intp]) -> Floats:
    """Covariance that lets pairs of one patient depend on each other (Liang and Zeger 1986)."""
    scores = data.terms(at)[1]
    clusters = int(labels.max()) + 1
    sums = np.zeros((clusters, 5))
    np.add.at(sums, labels, scores)
    found: Floats = inverse @ (sums.T @ sums) @ inverse * (clusters / (clusters - 1))
    return found


def _profile(data: CensoredPairs, at: Floats, lowest: float, inverse: Floats, z: float) -> Interval | None:
    """Where the profile likelihood of rho has fallen by z^2 / 2 (Venzon and Moolgavkar 1988)."""
    from scipy.optimize import root

    def conditions(parameters: Floats) -> Floats:
        value, gradient = data.negative(parameters)
        return np.append(gradient[:4], value - lowest - z * z / 2)

    bounds = []
    toward = inverse[:, 4] / inverse[4, 4] ** 0.5
    for sign in (-1.0, 1.0):
        with np.errstate(all="ignore"):  # a search that runs away ends in NaN and is refused below
            found = root(conditions, at + sign * z * toward, method="hybr", options={"xtol": 1e-9})
        beyond = sign * (float(found.x[4]) - float(at[4]))
        left = float(np.max(np.abs(found.fun)))
        if not (found.success and beyond > 0 and left <= 1e-4 * len(data.x)):
            return None
        bounds.append(float(np.tanh(found.x[4])))
    return Interval(bounds[0], bounds[1])


def _concordance(bias: float, sd_x: float, sd_y: float, z: float, covariance: Floats) -> tuple[float, float]:
    """Lin's coefficient from the moments, and the variance of its atanh by the delta method."""
    rho = float(np.tanh(z))
    below = sd_x**2 + sd_y**2 + bias**2
    ccc = 2 * rho * sd_x * sd_y / below
    gradient = np.array(
        [
            ccc * 2 * bias / below,
            -ccc * 2 * bias / below,
            ccc * (1 - 2 * sd_x**2 / below),
            ccc * (1 - 2 * sd_y**2 / below),
            2 * sd_x * sd_y * (1 - rho**2) / below,
        ]
    )
    return ccc, float(gradient @ covariance @ gradient) / (1 - ccc**2) ** 2


def _quantile(confidence: float, clusters: int) -> float:
    """Normal, or Student's t with clusters - 1 degrees of freedom: few patients bound a sandwich loosely."""
    from scipy.special import ndtri, stdtrit

    share = (1 + confidence) / 2
    return float(stdtrit(clusters - 1, share)) if clusters else float(ndtri(share))


def _fisher(at: float, variance: float, z: float) -> Interval:
    half = z * float(variance) ** 0.5
    return Interval(float(np.tanh(at - half)), float(np.tanh(at + half)))


def _wald(value: float, variance: float, z: float) -> Interval:
    half = z * float(variance) ** 0.5
    return Interval(value - half, value + half)
