"""The one result type every assay ends in.

A residual-disease result cannot be constructed without its numerator, its
denominator and that denominator's unit, its limit of detection and what the
limit rests on, a status and a reason. That is the project's first rule made
into a type: nothing can be called negative without saying what would have been
seen.
"""

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pipeline.model.sample import Assay, Material, is_identifier

__all__ = ["WHOLE_CLONE", "DenominatorUnit", "MrdResult", "Reason", "Status"]

WHOLE_CLONE = "clone"
"""``target_id`` of the result of all markers of a patient together; it stands for the sample."""


class Status(StrEnum):
    """What the assay says of one target in one sample, before any threshold."""

    DETECTED = "DETECTED"
    NOT_DETECTED = "NOT_DETECTED"
    INDETERMINATE = "INDETERMINATE"
    NOT_EVALUABLE = "NOT_EVALUABLE"


class DenominatorUnit(StrEnum):
    """What was counted below the line."""

    NUCLEATED_CELLS = "nucleated_cells"
    MOLECULES = "molecules"


class Reason(StrEnum):
    """Why a result has its status: one stable code."""

    AT_OR_ABOVE_DECISION_COUNT = "at_or_above_decision_count"
    BELOW_DECISION_COUNT = "below_decision_count"
    EXPLAINED_BY_BACKGROUND = "explained_by_background"
    NO_TRACKABLE_CLONE = "no_trackable_clone"
    NO_BASELINE = "no_baseline"
    CLONE_OUTSIDE_GATE = "clone_outside_gate"
    NO_CELLS = "no_cells"
    TOO_FEW_CELLS = "too_few_cells"
    CELLS_UNKNOWN = "cells_unknown"
    NO_TUMOUR_VARIANT = "no_tumour_variant"
    NO_USABLE_SITE = "no_usable_site"
    NO_MOLECULES = "no_molecules"
    TOO_FEW_MOLECULES = "too_few_molecules"
    SPIKE_INS_NOT_FOUND = "spike_ins_not_found"
    IMPLAUSIBLE_CALIBRATION = "implausible_calibration"
    DISCORDANT_MARKERS = "discordant_markers"
    DISCORDANT_TUBES = "discordant_tubes"
    PANEL_MISMATCH = "panel_mismatch"
    SUSPECTED_SWAP = "suspected_swap"
    FAILED_QC = "failed_qc"


@dataclass(frozen=True, slots=True, kw_only=True)
class MrdResult:
    """Residual disease of one sample by one assay for one target.

    ``value``, its interval, ``lod`` and ``loq`` are fractions in [0, 1]: of nucleated
    cells, never of reads (cell-free DNA: of tumour DNA). ``numerator`` counts what was
    found (templates, events, mutant molecules) and ``denominator`` what was examined.
    ``ci_low`` and ``ci_high`` bound the 95 % interval.

    Raises
    ------
    ValueError
        If a DETECTED or NOT_DETECTED result lacks a value or a positive limit of
        detection, if the interval does not contain the value, or any number is
        outside its range or not finite.
    """

    study_id: str
    patient_id: str
    timepoint: str
    collected_on: date
    material: Material
    assay: Assay
    panel: str
    target_id: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    unit: str = "fraction_of_nucleated_cells"
    numerator: float
    denominator: float
    denominator_unit: DenominatorUnit
    lod: float | None
    loq: float | None
    lod_basis: str
    status: Status
    reason: Reason
    qc: str
    run_id: str
    input_sha256: str
    method_version: str

    def __post_init__(self) -> None:
        for name in ("study_id", "patient_id", "timepoint"):
            if not is_identifier(getattr(self, name)):
                raise ValueError(f"{name} is not an identifier")
        for name in ("value", "ci_low", "ci_high", "lod", "loq"):
            _check_fraction(name, getattr(self, name))
        if self.numerator < 0 or not math.isfinite(self.numerator):
            raise ValueError(f"numerator must be finite and not negative, not {self.numerator}")
        if self.denominator < 0 or not math.isfinite(self.denominator):
            raise ValueError(f"denominator must be finite and not negative, not {self.denominator}")
        if not self.lod_basis:
            raise ValueError("lod_basis must say what the limit of detection rests on")
        self._check_status()
        self._check_interval()

    def _check_status(self) -> None:
        if self.status in (Status.DETECTED, Status.NOT_DETECTED):
            if self.lod is None or self.lod <= 0:
                raise ValueError(f"a {self.status} result needs a limit of detection above 0")
            if self.value is None or self.ci_low is None or self.ci_high is None:
                raise ValueError(f"a {self.status} result needs a value and its interval")
            if self.denominator == 0:
                raise ValueError(f"a {self.status} result needs a denominator above 0")
        if self.status is Status.DETECTED and not self.numerator > 0:
            raise ValueError("a DETECTED result needs a numerator above 0")
        if self.status is Status.NOT_EVALUABLE and self.value is not None:
            raise ValueError("a NOT_EVALUABLE result has no value")

    def _check_interval(self) -> None:
        bounds = (self.ci_low, self.value, self.ci_high)
        if all(b is None for b in bounds):
            return
        if self.value is None or self.ci_low is None or self.ci_high is None:
            raise ValueError("value, ci_low and ci_high are given together or not at all")
        if not self.ci_low <= self.value <= self.ci_high:
            raise ValueError("the interval does not contain the value")

    @property
    def method(self) -> str:
        """Name under which this result is compared: ``assay`` or ``assay:panel``."""
        return f"{self.assay}:{self.panel}" if self.panel else str(self.assay)


def _check_fraction(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(f"{name} must be a fraction in [0, 1], not {value}")
