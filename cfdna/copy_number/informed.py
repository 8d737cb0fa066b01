"""Tumour fraction from a known karyotype: how far plasma's bins follow the marrow's copy number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.copy_number.bins import Bins
from cfdna.copy_number.count_model import autocorrelated_covariance, design_of, fit_counts
from cfdna.copy_number.genome import plain_name

__all__ = ["FractionEstimate", "Segment", "copies_of_bins", "informed_fraction"]

_ROUNDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of the tumour's genome, 0-based half open, with its copies in a tumour cell."""

    chrom: str
    start: int
    end: int
    copies: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionEstimate:
    """Tumour fraction (share of tumour DNA, by cells) with its standard error.

    ``fraction`` may be negative; ``bins`` took part, ``altered_bins`` of them are not diploid,
    ``fragments`` lie in them all. ``extra_cv`` is the spread of bins beyond Poisson.
    """

    fraction: float
    standard_error: float
    bins: int
    altered_bins: int
    fragments: float
    extra_cv: float


def copies_of_bins(bins: Bins, karyotype: Sequence[Segment]) -> NDArray[np.float64]:
    """Copies of each bin in the tumour, by length; what no segment covers has two."""
    copies = np.full(len(bins), 2.0)
    chroms = np.array([plain_name(c) for c in bins.chroms])
    for segment in karyotype:
        on = chroms == plain_name(segment.chrom)
        shared = np.minimum(bins.ends, segment.end) - np.maximum(bins.starts, segment.start)
        share = np.clip(shared, 0, None) / (bins.ends - bins.starts)
        copies += np.where(on, share * (segment.copies - 2.0), 0.0)
    return copies


def informed_fraction(
    bins: Bins, karyotype: Sequence[Segment], *, mappability_min: float
) -> FractionEstimate:
    """Least-squares tumour fraction under a known karyotype, GC and mappability fitted along with it.

    A bin with c copies in the tumour and two elsewhere is expected to hold 1 + f (c - 2) / 2 times what a
    diploid one holds; what the tumour's ploidy does to depth is common to all bins.

    Parameters
    ----------
    bins
        Counts, in genome order.
    karyotype
        Altered segments.
    mappability_min
        Bins below are left out.

    Raises
    ------
    ValueError
        If fewer than 50 bins are usable, or all have the same copy number.
    """
    used = bins.select(bins.usable(mappability_min))
    if len(used) < 50:
        raise ValueError(f"only {len(used)} usable bins, at least 50 are needed")
    excess = (copies_of_bins(used, karyotype) - 2.0) / 2.0
    if np.ptp(excess) < 1e-9:
        raise ValueError("every bin has the same copy number, so nothing tells tumour from other DNA")
    design = design_of(used)
    fraction = 0.0
    groups = np.unique(np.array(used.chroms), return_inverse=True)[1].astype(np.int64)
    for _ in range(_ROUNDS):
        growth = 1 + fraction * excess
        fit = fit_counts(used.counts, design, offset=np.log(growth))
        columns = np.column_stack([design, excess / growth])
        root = np.sqrt(fit.working_weights)
        step = np.linalg.lstsq(columns * root[:, None], fit.residuals * root, rcond=None)[0]
        before, fraction = fraction, float(np.clip(fraction + step[-1], -0.5, 1.0))
        if abs(fraction - before) < 1e-7:
            break
    # The residuals of the last fit, without what the step still takes away.
    rest = fit.residuals - columns @ step
    covariance = autocorrelated_covariance(columns, fit.plain_weights, rest, groups)
    return FractionEstimate(
        fraction=fraction,
        standard_error=float(np.sqrt(covariance[-1, -1])),
        bins=len(used),
        altered_bins=int((np.abs(excess) > 0.05).sum()),
        fragments=float(used.counts.sum()),
        extra_cv=fit.extra_cv,
    )
