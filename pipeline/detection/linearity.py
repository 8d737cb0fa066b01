"""Whether an assay's results go with the level (CLSI EP06).

Edition 1 (EP06-A): polynomials of order 2 and 3 against the line. Edition 2: deviation
of each level's mean from a weighted line, with its interval, against an allowed
deviation. Both on the log10 scale for fractions that span decades.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.hit_rate import NotEstimable
from pipeline.detection.intervals import Interval

__all__ = ["LevelDeviation", "Linearity", "fit_linearity"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelDeviation:
    """How far the mean at a level lies from the line, on the scale compared.

    ``within`` says that the whole interval lies within the allowed deviation.
    """

    level: float
    results: int
    deviation: float
    ci: Interval
    within: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Linearity:
    """A line through the levels and what departs from it.

    ``curvature_p`` is the smaller p of the highest coefficient of the second and third
    order fits; ``curvature_deviation`` the largest distance between the line and the
    best-fitting polynomial at a level (0 where none is significant at 5 %).
    ``range_low`` and ``range_high`` bound the widest run of levels within the allowed
    deviation, None where no two neighbours are.
    """

    slope: float
    slope_ci: Interval
    intercept: float
    r_squared: float
    curvature_p: float
    curvature_deviation: float
    levels: tuple[LevelDeviation, ...]
    range_low: float | None
    range_high: float | None


def fit_linearity(
    levels: Floats, groups: Sequence[Floats], *, allowed: float, log10: bool = True
) -> Linearity:
    """Judge linearity.

    Parameters
    ----------
    levels
        Nominal levels in rising order, above 0 on the log10 scale; float64 (n_levels,).
    groups
        Results at each level, two or more; above 0 on the log10 scale.
    allowed
        Largest deviation accepted: in log10 units, or as a share of the line's value on
        the linear scale.
    log10
        The scale.

    Returns
    -------
    Linearity

    Raises
    ------
    NotEstimable
        If there are fewer than five levels (EP06-A asks for five to nine).
    """
    from scipy.stats import t

    if len(levels) < 5:
        raise NotEstimable("linearity needs at least five levels with results")
    x_levels = np.log10(levels) if log10 else levels
    values = [np.log10(g) if log10 else g for g in groups]
    sizes = np.array([len(v) for v in values])
    means = np.array([v.mean() for v in values])
    spread = _level_sd(values, log10=log10, means=means)
    weights = sizes / spread**2
    design = np.column_stack([np.ones_like(x_levels), x_levels])
    information = (design.T * weights) @ design
    line = np.linalg.solve(information, (design.T * weights) @ means)
    fitted = design @ line
    free = int(sizes.sum()) - len(levels)
    quantile = float(t.ppf(0.975, free))
    covariance = np.linalg.inv(information)
    leverage = np.einsum("ij,jk,ik->i", design, covariance, design)
    error = np.sqrt(np.maximum(spread**2 / sizes - leverage, 0))
    unit = np.ones_like(fitted) if log10 else np.abs(fitted)
    found = tuple(
        LevelDeviation(
            level=float(level),
            results=int(n),
            deviation=float(d),
            ci=Interval(float(d - quantile * e), float(d + quantile * e)),
            within=bool(abs(d) + quantile * e <= allowed),
        )
        for level, n, d, e in zip(levels, sizes, (means - fitted) / unit, error / unit, strict=True)
    )
    half = quantile * float(np.sqrt(covariance[1, 1]))
    p, curved = _curvature(x_levels, values)
    low, high = _widest_run(found)
    total = float((weights * np.square(means - np.average(means, weights=weights))).sum())
    return Linearity(
        slope=float(line[1]),
        slope_ci=Interval(float(line[1]) - half, float(line[1]) + half),
        intercept=float(line[0]),
        r_squared=1 - float((weights * np.square(means - fitted)).sum()) / total,
        curvature_p=p,
        curvature_deviation=curved,
        levels=found,
        range_low=low,
        range_high=high,
    )


def _level_sd(values: Sequence[Floats], *, log10: bool, means: Floats) -> Floats:
    """Standard deviation of one result per level: each level's own, and the pooled one.

    The pooled one counts as four more degrees of freedom: a level with few results may show
    no spread by chance and would take all the weight.
    On the linear scale what is pooled is the coefficient of variation.
    """
    unit = np.ones_like(means) if log10 else np.abs(means)
    free = np.array([len(v) - 1 for v in values])
    variance = np.array([v.var(ddof=1) for v in values]) / unit**2
    pooled = float((free * variance).sum() / free.sum())
    if pooled == 0:
        raise NotEstimable("repeated results do not differ at any level")
    found: Floats = np.sqrt((free * variance + 4 * pooled) / (free + 4)) * unit
    return found


def _curvature(x_levels: Floats, values: Sequence[Floats]) -> tuple[float, float]:
    """EP06-A: smaller p of the highest coefficients, and the distance of the best polynomial."""
    from scipy.stats import t

    centre = x_levels - x_levels.mean()
    centre = centre / np.abs(centre).max()
    x = np.repeat(centre, [len(v) for v in values])
    y = np.concatenate(values)
    line = np.polynomial.polynomial.polyfit(x, y, 1)
    smallest, best, best_error = 1.0, line, np.inf
    for order in (2, 3):
        if len(centre) <= order + 1:
            continue
        design = np.vander(x, order + 1, increasing=True)
        coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
        free = len(y) - order - 1
        residual = float(np.square(y - design @ coefficients).sum()) / free
        se = np.sqrt(residual * np.diag(np.linalg.inv(design.T @ design)))
        p = 2 * t.sf(np.abs(coefficients) / np.maximum(se, 1e-300), free)
        smallest = min(smallest, float(p[2:].min()))
        if (p[2:] < 0.05).any() and residual < best_error:
            best, best_error = coefficients, residual
    polyval = np.polynomial.polynomial.polyval
    return smallest, float(np.abs(polyval(centre, best) - polyval(centre, line)).max())


def _widest_run(levels: Sequence[LevelDeviation]) -> tuple[float | None, float | None]:
    best: list[LevelDeviation] = []
    run: list[LevelDeviation] = []
    for level in levels:
        run = [*run, level] if level.within else []
        best = run if len(run) > max(len(best), 1) else best
    return (best[0].level, best[-1].level) if best else (None, None)
