"""How far Deming's line could lie elsewhere, at each x: a band for pictures."""

from dataclasses import dataclass

import numpy as np

from pipeline.concordance.regression import deming, leave_one_out
from pipeline.concordance.series import Floats

__all__ = ["LineBand", "deming_band"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBand:
    """A line with its pointwise 95 % band; each of shape (places,)."""

    at: Floats
    line: Floats
    low: Floats
    high: Floats


def deming_band(x: Floats, y: Floats, at: Floats) -> LineBand:
    """Deming's line, its band by the jackknife of the line's height at each place (Linnet 1990).

    Parameters
    ----------
    x, y
        Shape (pairs,), finite, on one scale.
    at
        Places on x, shape (places,).

    Returns
    -------
    LineBand
        Student's t with pairs - 2 degrees of freedom, as the intervals of `deming`.

    Raises
    ------
    ValueError
        As `deming`.
    """
    from scipy.special import stdtrit

    fit, count = deming(x, y), len(x)
    slopes, intercepts = leave_one_out(x, y, 1.0, weighted=False)
    heights = intercepts[:, None] + slopes[:, None] * at
    error = (count - 1) * np.std(heights, axis=0, ddof=1) / count**0.5
    half = float(stdtrit(count - 2, 0.975)) * error
    line = np.asarray(fit.intercept + fit.slope * at)
    return LineBand(at=at, line=line, low=line - half, high=line + half)
