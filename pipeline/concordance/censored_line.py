"""The line that two methods share when values below their limits are taken as what they are.

Lines through pairs that both methods detected are drawn through a truncated cloud and come out
too flat or too steep; this one follows from the moments of the censored likelihood.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.concordance.censored import CensoredFit
from pipeline.detection import Interval

__all__ = ["CensoredLine", "censored_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CensoredLine:
    """y = intercept + slope x on log10 values, with 95 % intervals."""

    slope: float
    intercept: float
    slope_ci: Interval
    intercept_ci: Interval


def censored_line(fit: CensoredFit, *, confidence: float = 0.95) -> CensoredLine:
    """Deming's line (equal errors) of the moments of a censored fit.

    With d = log sd y - log sd x the slope is exp(asinh(sinh(d) / rho)): Deming's estimate written
    in the parameters of the likelihood. Intervals by the delta method, on the logarithm of the slope.

    Parameters
    ----------
    fit
        Of `pipeline.concordance.censored_bivariate`; its clusters carry over.
    confidence
        Two-sided coverage, in (0, 1).

    Raises
    ------
    ValueError
        If the methods do not correlate positively.
    """
    from scipy.special import ndtri, stdtrit

    if fit.rho <= 0:
        raise ValueError("the methods do not correlate positively: no line")
    apart = float(np.log(fit.sd_y / fit.sd_x))
    tilt = float(np.sinh(apart)) / fit.rho
    slope = float(np.exp(np.arcsinh(tilt)))
    steep = (1 + tilt**2) ** 0.5
    of_apart = float(np.cosh(apart)) / fit.rho / steep
    of_z = -tilt / fit.rho * (1 - fit.rho**2) / steep
    # Mean x, mean y, log sd x, log sd y, atanh rho.
    log_slope = np.array([0.0, 0.0, -of_apart, of_apart, of_z])
    intercept = fit.mean_y - slope * fit.mean_x
    of_intercept = np.array([-slope, 1.0, 0.0, 0.0, 0.0]) - slope * fit.mean_x * log_slope
    share = (1 + confidence) / 2
    z = float(stdtrit(fit.clusters - 1, share)) if fit.clusters else float(ndtri(share))
    width = z * float(log_slope @ fit.covariance @ log_slope) ** 0.5
    half = z * float(of_intercept @ fit.covariance @ of_intercept) ** 0.5
    return CensoredLine(
        slope=slope,
        intercept=intercept,
        slope_ci=Interval(slope * float(np.exp(-width)), slope * float(np.exp(width))),
        intercept_ci=Interval(intercept - half, intercept + half),
    )
