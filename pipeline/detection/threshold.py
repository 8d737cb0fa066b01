"""How a result reads at a threshold: positive, negative, or not to be said."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.model import MrdResult, Status

__all__ = ["Call", "Reading", "ReadingReason", "call_at", "read_at"]


class Call(StrEnum):
    """A result's reading at a threshold."""

    POSITIVE = "POS"
    NEGATIVE = "NEG"
    INDETERMINATE = "IND"


class ReadingReason(StrEnum):
    """Why a result reads as it does at a threshold."""

    AT_OR_ABOVE = "at_or_above_threshold"
    NOT_DETECTED = "not_detected_within_reach"
    DETECTED_BELOW = "detected_below_threshold"
    LOD_ABOVE = "lod_above_threshold"
    DETECTED_BELOW_LOD_ABOVE = "detected_below_threshold_but_lod_above"
    INDETERMINATE_RESULT = "indeterminate_result"
    NOT_EVALUABLE_RESULT = "not_evaluable_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A call at a threshold, with its reason; ``below_loq`` marks a count too small to quantify."""

    call: Call
    reason: ReadingReason
    threshold: float
    below_loq: bool = False


def read_at(result: MrdResult, threshold: float) -> Reading:
    """Read one result at a threshold c.

    POS(c): detected with value >= c. NEG(c): lod <= c, and not detected or detected
    below c. IND(c): everything else.

    Parameters
    ----------
    result
        A result of any assay.
    threshold
        A fraction in (0, 1), on the scale of ``result.value``.

    Returns
    -------
    Reading
        The call with its reason.

    Raises
    ------
    ValueError
        If the threshold lies outside (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f"a threshold is a fraction between 0 and 1, not {threshold}")
    call, reason = _call(result, threshold)
    detected = result.status is Status.DETECTED and result.value is not None
    below_loq = detected and result.loq is not None and (result.value or 0.0) < result.loq
    return Reading(call=call, reason=reason, threshold=threshold, below_loq=below_loq)


def _call(result: MrdResult, threshold: float) -> tuple[Call, ReadingReason]:
    if result.status is Status.NOT_EVALUABLE:
        return Call.INDETERMINATE, ReadingReason.NOT_EVALUABLE_RESULT
    if result.status is Status.INDETERMINATE:
        return Call.INDETERMINATE, ReadingReason.INDETERMINATE_RESULT
    if result.value is None or result.lod is None:
        raise ValueError(f"a {result.status} result without value or limit of detection")
    detected = result.status is Status.DETECTED
    return call_at(threshold, detected=detected, value=result.value, lod=result.lod)


def call_at(threshold: float, *, detected: bool, value: float, lod: float) -> tuple[Call, ReadingReason]:
    """Read an evaluable measurement at a threshold c: the rule of `read_at`, for plain numbers.

    Parameters
    ----------
    threshold
        A fraction, > 0.
    detected
        Whether the decision count was reached.
    value
        Fraction of nucleated cells; not looked at where nothing was detected.
    lod
        The sample's own limit of detection, on the same scale.

    Examples
    --------
    >>> [str(call_at(c, detected=False, value=0.0, lod=3e-6)[0]) for c in (1e-5, 1e-6)]
    ['NEG', 'IND']
    """
    if detected and value >= threshold:
        return Call.POSITIVE, ReadingReason.AT_OR_ABOVE
    if lod <= threshold:
        return Call.NEGATIVE, ReadingReason.DETECTED_BELOW if detected else ReadingReason.NOT_DETECTED
    above = ReadingReason.DETECTED_BELOW_LOD_ABOVE if detected else ReadingReason.LOD_ABOVE
    return Call.INDETERMINATE, above
