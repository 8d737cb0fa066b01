"""Cells of a population in a sample, and how their share changes between two samples."""

from dataclasses import dataclass
from datetime import date

from pipeline.model.sample import Assay, Material

__all__ = ["PopulationChange", "PopulationShare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationShare:
    """One population of one sample.

    ``path`` is the chain of parents joined by ``/``. ``fraction`` is ``count`` over
    ``denominator`` cells, None where there are none; ``ci_low`` and ``ci_high`` its exact 95 %
    interval, ``doubt_low`` and ``doubt_high`` that interval widened by the doubt about where
    the boundaries lie.
    """

    patient_id: str
    timepoint: str
    collected_on: date
    material: Material
    assay: Assay
    panel: str
    population: str
    path: str
    count: int
    denominator: int
    fraction: float | None
    ci_low: float | None
    ci_high: float | None
    doubt_low: float | None
    doubt_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationChange:
    """A share at one time point against the same patient's first, ``first_timepoint``.

    ``measure`` is ``fraction`` of the population's denominator, or ``masking_low``: of the
    population's cells, those that lost the masking marker (CD38). ``difference`` is this share
    minus the first, None where one of them has no cells.
    """

    patient_id: str
    timepoint: str
    first_timepoint: str
    material: Material
    assay: Assay
    panel: str
    population: str
    path: str
    measure: str
    first_fraction: float | None
    fraction: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
