"""Clonal haematopoiesis of one sample: its variants, its genes with their limits, the result.

Not residual disease, so no `MrdResult`; the same rule holds: a sample without a finding is only
called so with the limit down to which each gene was seen.
"""

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pipeline.model.result import Status

__all__ = ["ChipGene", "ChipReason", "ChipResult", "ChipVariant", "GeneStatus"]

_CALLS = ("POS", "NEG", "IND")


class ChipReason(StrEnum):
    """Why a result has its status: one stable code."""

    DRIVER_FOUND = "driver_found"
    NONE_FOUND = "none_found"
    AWAITS_REVIEW = "awaits_review"
    COVERAGE_UNKNOWN = "coverage_unknown"
    GENES_SHALLOW = "genes_shallow"
    NOTHING_COVERED = "nothing_covered"


class GeneStatus(StrEnum):
    """Whether a gene could have shown a variant at the CHIP threshold."""

    EVALUABLE = "evaluable"
    SHALLOW = "shallow"
    NOT_COVERED = "not_covered"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipVariant:
    """One variant of one sample and what is said of it; a row of ``chip_variants.parquet``.

    ``vaf`` and its 95 % interval are shares of ``counted`` (molecules or reads) at the site, None where
    no counts were given. ``verdict`` is IN, OUT or REVIEW; ``at_threshold`` POS, NEG or IND at the CHIP
    threshold of its gene and the patient's sex. ``flags`` and ``by_set`` are joined by ``;``.
    """

    patient_id: str
    timepoint: str
    collected_on: date | None
    chrom: str
    pos: int | None
    ref: str
    alt: str
    gene: str
    hgvsc: str
    hgvsp: str
    kind: str
    vaf: float | None
    vaf_low: float | None
    vaf_high: float | None
    depth: int | None
    alt_depth: int | None
    counted: str
    verdict: str
    rule_id: str
    reason: str
    citation: str
    caution: str
    flags: str
    at_threshold: str
    in_tumour: bool | None
    by_set: str

    def __post_init__(self) -> None:
        if self.verdict not in ("IN", "OUT", "REVIEW"):
            raise ValueError("a verdict is IN, OUT or REVIEW")
        if not self.reason:
            raise ValueError("a verdict needs a reason")
        if self.at_threshold not in _CALLS:
            raise ValueError("at_threshold is POS, NEG or IND")
        for name in ("vaf", "vaf_low", "vaf_high"):
            _check_share(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipGene:
    """How far down one gene of one sample was seen; a row of ``chip_genes.parquet``.

    ``detectable_vaf`` is found with probability 0.95 at the depth that the asked share of the gene's
    target bases has; None where the gene was not covered, or its coverage is not known.
    """

    patient_id: str
    timepoint: str
    gene: str
    covered_fraction: float | None
    molecules_median: float | None
    detectable_vaf: float | None
    status: GeneStatus

    def __post_init__(self) -> None:
        _check_share("covered_fraction", self.covered_fraction)
        _check_share("detectable_vaf", self.detectable_vaf)
        if self.status in (GeneStatus.EVALUABLE, GeneStatus.SHALLOW) and self.detectable_vaf is None:
            raise ValueError(f"a gene that is {self.status} needs its detectable VAF")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipResult:
    """Clonal haematopoiesis of one sample; a row of ``chip.parquet``.

    ``status`` is at the assay's own limit, ``at_threshold`` (POS, NEG, IND) at the CHIP threshold.
    ``lod`` is the largest detectable VAF among the genes that were seen. ``genes`` (of IN variants),
    ``genes_shallow`` and ``chrs_missing`` are joined by ``;``. ``chrs_group`` is LOW, INTERMEDIATE, HIGH,
    NOT_ASSESSABLE, or NOT_APPLICABLE without a variant at the threshold. ``words`` is the result as it
    is printed.

    Raises
    ------
    ValueError
        If a NOT_DETECTED result lacks its limit of detection, or NEG lacks one at or below the threshold.
    """

    patient_id: str
    timepoint: str
    collected_on: date | None
    panel: str
    status: Status
    reason: ChipReason
    at_threshold: str
    threshold: float
    variants_in: int
    variants_at_threshold: int
    variants_review: int
    genes: str
    vaf_max: float | None
    lod: float | None
    lod_basis: str
    genes_evaluable: int
    genes_shallow: str
    chrs_score: float | None
    chrs_group: str
    chrs_missing: str
    words: str
    rule_set: str
    input_sha256: str
    method_version: str

    def __post_init__(self) -> None:
        _check_share("vaf_max", self.vaf_max)
        _check_share("lod", self.lod)
        if self.at_threshold not in _CALLS:
            raise ValueError("at_threshold is POS, NEG or IND")
        if self.status is Status.NOT_DETECTED and self.lod is None:
            raise ValueError("a NOT_DETECTED result needs a limit of detection")
        if self.at_threshold == "NEG" and (self.lod is None or self.lod > self.threshold):
            raise ValueError("a result below the threshold needs a limit of detection at or below it")
        if not self.lod_basis:
            raise ValueError("lod_basis must say what the limit of detection rests on")


def _check_share(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(f"{name} must be a fraction in [0, 1], not {value}")
