"""Intervals of agreement where patients come back: pairs of one patient are not independent.

Shares take Wilson's interval at the effective number of pairs (design effect of patients,
never below 1; Korn and Graubard, Surv Methodol 1998;24:193, who use it with Clopper and
Pearson's). Kappa takes the percentile bootstrap of whole patients.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.concordance.difference import Estimate
from pipeline.concordance.pairs import Reading
from pipeline.concordance.series import Bools, Floats
from pipeline.detection import Call, Interval, wilson

__all__ = ["RESAMPLES", "clustered_kappa", "clustered_share"]

RESAMPLES = 2000
_PATIENTS_MIN = 10
_UNDEFINED_MAX = 0.05  # of resamples in which a method has one class only
_SEED = 1
_CELLS = (
    (Call.POSITIVE, Call.POSITIVE),
    (Call.POSITIVE, Call.NEGATIVE),
    (Call.NEGATIVE, Call.POSITIVE),
    (Call.NEGATIVE, Call.NEGATIVE),
)


def clustered_share(agreeing: Bools, patients: Sequence[str]) -> Estimate:
    """A share of pairs with its 95 % interval over patients.

    Parameters
    ----------
    agreeing
        Shape (pairs,).
    patients
        Patient of each pair.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If there are fewer than 10 patients.
    """
    effective = _effective_pairs(agreeing, patients)
    share = float(agreeing.mean())
    return Estimate(value=share, ci=wilson(share * effective, effective), pairs=len(agreeing))


def clustered_kappa(
    readings: Sequence[tuple[Reading, Reading]], patients: Sequence[str], *, resamples: int = RESAMPLES
) -> Estimate:
    """Kappa with its 95 % interval by drawing patients again, all pairs of one together.

    Parameters
    ----------
    readings, patients
        One per pair; pairs with an indeterminate reading take no part.
    resamples
        Draws, >= 100. The random numbers are the same in every call.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If there are fewer than 10 patients, or a method has one class only, in the data or in
        more than 5 % of the draws.
    """
    if resamples < 100:
        raise ValueError("an interval needs at least 100 resamples")
    cells = np.array([[(x[0], y[0]) == cell for cell in _CELLS] for x, y in readings]).reshape(-1, 4)
    read = cells.any(axis=1)
    names, cluster = np.unique(np.array(patients)[read], return_inverse=True)
    _check_patients(len(names))
    counts = np.zeros((len(names), 4))
    np.add.at(counts, cluster, cells[read].astype(np.float64))
    totals = counts.sum(axis=0)
    value = _kappa(totals[None, :])[0]
    if np.isnan(value):
        raise ValueError("a method has one class only")
    rng = np.random.default_rng(_SEED)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    drawn = _kappa(weights @ counts)
    known = drawn[~np.isnan(drawn)]
    if len(known) < (1 - _UNDEFINED_MAX) * resamples:
        raise ValueError("a method has one class only in many draws of patients")
    low, high = np.quantile(known, (0.025, 0.975))
    return Estimate(value=float(value), ci=Interval(float(low), float(high)), pairs=int(read.sum()))


def _kappa(counts: Floats) -> Floats:
    """Cohen's kappa of tables (tables, 4) in the order of `_CELLS`; NaN where it is not defined."""
    both_pos, x_only, y_only, both_neg = counts.T
    pairs = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = (both_pos + both_neg) / pairs
        x_pos, y_pos = (both_pos + x_only) / pairs, (both_pos + y_only) / pairs
        expected = x_pos * y_pos + (1 - x_pos) * (1 - y_pos)
        found: Floats = (observed - expected) / (1 - expected)
    one_class = (x_pos <= 0) | (x_pos >= 1) | (y_pos <= 0) | (y_pos >= 1)
    found[one_class] = np.nan
    return found


def _effective_pairs(agreeing: Bools, patients: Sequence[str]) -> float:
    """Independent pairs that would carry as much: over the design effect, less for few patients (t for z)."""
    from scipy.special import ndtri, stdtrit

    names, cluster = np.unique(np.array(patients), return_inverse=True)
    clusters, pairs = len(names), len(cluster)
    _check_patients(clusters)
    sizes = np.bincount(cluster)
    hits = np.bincount(cluster, weights=agreeing.astype(np.float64))
    share = float(agreeing.mean())
    variance = clusters / (clusters - 1) * float(np.square(hits - share * sizes).sum()) / pairs**2
    independent = share * (1 - share) / pairs
    effect = max(1.0, variance / independent) if independent > 0 else 1.0
    few = float(ndtri(0.975)) / float(stdtrit(clusters - 1, 0.975))
    return pairs / effect * few**2


def _check_patients(patients: int) -> None:
    if patients < _PATIENTS_MIN:
        raise ValueError(f"{patients} patients are too few for an interval over patients")
