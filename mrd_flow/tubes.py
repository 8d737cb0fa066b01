"""Whether the tubes of one sample tell the same, and so may come from the same patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "PhenotypeDistance",
    "PopulationShare",
    "TubeAgreement",
    "phenotype_distances",
    "population_shares",
    "tube_agreement",
]

_FEWEST_CELLS = 100  # plasma cells of a tube below which their phenotypes are not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeAgreement:
    """Exact p of equal fractions, and how many times the larger exceeds the smaller.

    ``ratio`` is None where the smaller fraction is 0 (no upper limit).
    """

    p: float
    ratio: float | None

    def contradicts(self, p: float, ratio: float) -> bool:
        """Whether the fractions differ both significantly and by more than ``ratio``."""
        return self.p < p and (self.ratio is None or self.ratio > ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationShare:
    """One population counted in both tubes, and how far its shares agree."""

    population: str
    counts: tuple[int, int]
    agreement: TubeAgreement


@dataclass(frozen=True, slots=True, kw_only=True)
class PhenotypeDistance:
    """Largest difference of the two tubes' cumulative distributions of one marker (0 to 1)."""

    marker: str
    distance: float
    p: float


def tube_agreement(counts: tuple[int, int], exposures: tuple[float, float]) -> TubeAgreement:
    """Exact conditional test of two Poisson rates (Przyborowski and Wilenski 1940).

    Given the total, the first count is binomial with the first exposure's share; the p
    value is two-sided, the sum over outcomes no more likely than the one seen.

    Parameters
    ----------
    counts
        Events in each tube, >= 0.
    exposures
        Nucleated cells times the share recognised in each tube, > 0.

    Returns
    -------
    TubeAgreement

    Raises
    ------
    ValueError
        If an exposure is not above 0 or a count is negative.

    Examples
    --------
    >>> tube_agreement((20, 0), (1e6, 1e6)).p < 1e-5, tube_agreement((20, 22), (1e6, 1e6)).p > 0.5
    (True, True)
    """
    from scipy.stats import binomtest

    if min(exposures) <= 0 or min(counts) < 0:
        raise ValueError("need counts of at least 0 and exposures above 0")
    total = sum(counts)
    if total == 0:
        return TubeAgreement(p=1.0, ratio=1.0)
    p = float(binomtest(counts[0], total, exposures[0] / sum(exposures)).pvalue)
    low, high = sorted(c / e for c, e in zip(counts, exposures, strict=True))
    return TubeAgreement(p=p, ratio=high / low if low > 0 else None)


def population_shares(
    first: Mapping[str, int], second: Mapping[str, int], nucleated: tuple[int, int]
) -> tuple[PopulationShare, ...]:
    """Compare the populations that both tubes counted, as shares of nucleated cells.

    Parameters
    ----------
    first, second
        Cells by population in each tube.
    nucleated
        Nucleated cells of each tube, > 0.
    """
    found = []
    for name in first:
        if name in second:
            counts = (first[name], second[name])
            agreement = tube_agreement(counts, (float(nucleated[0]), float(nucleated[1])))
            found.append(PopulationShare(population=name, counts=counts, agreement=agreement))
    return tuple(found)


def phenotype_distances(
    first: NDArray[np.float64], second: NDArray[np.float64], markers: Sequence[str]
) -> tuple[PhenotypeDistance, ...]:
    """Two-sample Kolmogorov-Smirnov distance of the plasma cells of two tubes, marker by marker.

    Parameters
    ----------
    first, second
        Plasma cells of each tube on the logicle scale, shape (n_cells, n_markers), the
        markers stained in both.
    markers
        Their names.

    Returns
    -------
    tuple
        Empty where a tube has fewer than 100 plasma cells.
    """
    from scipy.stats import ks_2samp

    if min(len(first), len(second)) < _FEWEST_CELLS:
        return ()
    found = []
    for column, marker in enumerate(markers):
        test = ks_2samp(first[:, column], second[:, column], method="asymp")
        found.append(PhenotypeDistance(marker=marker, distance=float(test.statistic), p=float(test.pvalue)))
    return tuple(found)
