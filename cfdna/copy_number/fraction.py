"""Tumour fraction from copy number as a result: detected or not, with what could have been seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cfdna.copy_number.bins import Bins
from cfdna.copy_number.informed import FractionEstimate, Segment, informed_fraction
from cfdna.copy_number.purity import Explanation, Observed, explain_levels
from cfdna.copy_number.segments import Levels, measure_levels
from cfdna.settings import CfdnaSettings
from pipeline.detection import DETECTION_POWER
from pipeline.model import WHOLE_CLONE, DenominatorUnit, MrdResult, Reason, Sample, Status

__all__ = ["METHOD_VERSION", "BlindFraction", "InformedFraction", "call_blind", "call_informed"]

METHOD_VERSION = "cfdna.copy_number 0.1.0"
_REFERENCE_SHARE = 0.2
_GAIN_MIN = 12.0
_PRICE_OF_ONE = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InformedFraction:
    """A result and the estimate behind it (None where nothing could be fitted)."""

    result: MrdResult
    estimate: FractionEstimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindFraction:
    """A result, the segments and what explains them (None where too few bins are usable)."""

    result: MrdResult
    levels: Levels | None
    explanation: Explanation | None


def call_informed(
    sample: Sample, bins: Bins, karyotype: Sequence[Segment], settings: CfdnaSettings, *, input_sha256: str
) -> InformedFraction:
    """Tumour fraction from the marrow's karyotype.

    Detected where the estimate exceeds the (1 - alpha) normal quantile of its standard error; the limit of
    detection lies a further 95 % quantile above. NOT_EVALUABLE without a copy-number change or with too
    few bins: a tumour without a change in copy number cannot be seen this way.
    """
    try:
        estimate = informed_fraction(bins, karyotype, mappability_min=settings.mappability_min)
    except ValueError as error:
        return InformedFraction(result=_not_evaluable(sample, str(error), input_sha256), estimate=None)
    needed, limit = _quantiles(settings)
    basis = (
        f"95 % power, false positives <= {settings.alpha:.2g}; informed by the karyotype "
        f"({estimate.altered_bins} of {estimate.bins} bins altered), standard error "
        f"{100 * estimate.standard_error:.3g} points; ploidy 2 where the karyotype says nothing"
    )
    value, error_ = max(0.0, estimate.fraction), estimate.standard_error
    result = _result(
        sample,
        estimate.fraction > needed * error_,
        value,
        (max(0.0, estimate.fraction - 1.96 * error_), min(1.0, max(0.0, estimate.fraction) + 1.96 * error_)),
        min(1.0, limit * error_),
        estimate.fragments,
        basis,
        input_sha256,
    )
    return InformedFraction(result=result, estimate=estimate)


def call_blind(sample: Sample, bins: Bins, settings: CfdnaSettings, *, input_sha256: str) -> BlindFraction:
    """Tumour fraction without knowing the karyotype.

    The limit of detection is that of a tumour in which a fifth of the genome has gained or lost one
    copy; one with fewer changes is seen later, one with none never, and the result says so.
    """
    try:
        levels = measure_levels(bins, mappability_min=settings.mappability_min)
    except ValueError as error:
        return BlindFraction(
            result=_not_evaluable(sample, str(error), input_sha256), levels=None, explanation=None
        )
    observed = [
        Observed(ratio=s.ratio, standard_error=s.standard_error, weight=s.bins) for s in levels.segments
    ]
    found = explain_levels(observed, gain_min=_GAIN_MIN)
    size = len(levels.bins)
    error_ = (
        2 * levels.spread * math.sqrt(levels.inflation / (size * _REFERENCE_SHARE * (1 - _REFERENCE_SHARE)))
    )
    # Its gain in deviance is (f / error)^2 less the price of the changes, taken as eight arms.
    needed = math.sqrt(_GAIN_MIN + 8 * _PRICE_OF_ONE)
    lod = min(1.0, (needed + _quantiles(settings)[1] - _quantiles(settings)[0]) * error_)
    altered = sum(s.copies != 2 for s in found.states)
    basis = (
        f"95 % power for a tumour with one copy gained or lost in {_REFERENCE_SHARE:.0%} of the genome "
        f"(karyotype not known; a tumour without changes is not seen); {size} bins, "
        f"spread {100 * levels.spread:.3g} %; "
        f"{altered} of {len(found.states)} segments altered"
    )
    low, high = max(0.0, found.purity - 1.96 * error_), min(1.0, found.purity + 1.96 * error_)
    result = _result(
        sample,
        found.purity > 0,
        found.purity,
        (low, high),
        lod,
        float(levels.bins.counts.sum()),
        basis,
        input_sha256,
    )
    return BlindFraction(result=result, levels=levels, explanation=found)


def _quantiles(settings: CfdnaSettings) -> tuple[float, float]:
    """Standard errors that decide, and those of the limit of detection."""
    from scipy.special import ndtri

    needed = float(ndtri(1 - settings.alpha))
    return needed, needed + float(ndtri(DETECTION_POWER))


def _result(
    sample: Sample,
    detected: bool,
    value: float,
    interval: tuple[float, float],
    lod: float,
    fragments: float,
    basis: str,
    input_sha256: str,
) -> MrdResult:
    status = Status.DETECTED if detected else Status.NOT_DETECTED
    reason = Reason.AT_OR_ABOVE_DECISION_COUNT if detected else Reason.EXPLAINED_BY_BACKGROUND
    return _row(
        sample,
        status,
        reason,
        basis,
        input_sha256,
        value=value,
        interval=interval,
        lod=lod,
        fragments=fragments,
    )


def _not_evaluable(sample: Sample, why: str, input_sha256: str) -> MrdResult:
    return _row(sample, Status.NOT_EVALUABLE, Reason.NO_USABLE_SITE, f"no limit: {why}", input_sha256)


def _row(
    sample: Sample,
    status: Status,
    reason: Reason,
    basis: str,
    input_sha256: str,
    *,
    value: float | None = None,
    interval: tuple[float | None, float | None] = (None, None),
    lod: float | None = None,
    fragments: float = 0.0,
) -> MrdResult:
    return MrdResult(
        study_id=sample.study_id,
        patient_id=sample.patient_id,
        timepoint=sample.timepoint,
        collected_on=sample.collected_on,
        material=sample.material,
        assay=sample.assay,
        panel=sample.panel,
        target_id=WHOLE_CLONE,
        value=value,
        ci_low=interval[0],
        ci_high=interval[1],
        unit="tumour_fraction",
        numerator=fragments * (value or 0.0),
        denominator=fragments,
        denominator_unit=DenominatorUnit.MOLECULES,
        lod=lod,
        loq=None,
        lod_basis=basis,
        status=status,
        reason=reason,
        qc="pass",
        run_id=sample.run_id,
        input_sha256=input_sha256,
        method_version=METHOD_VERSION,
    )
