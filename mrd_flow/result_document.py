"""``result.json``: the result's fields, and everything they rest on."""

from dataclasses import fields, replace
from typing import Any

from mrd_flow.call import FlowCalls
from mrd_flow.evidence import Classification, FlowEvidence, GateTally, TubeEvidence
from mrd_flow.gating.overrides import Override, overrides_of
from mrd_flow.hemodilution import Hemodilution, undiluted
from mrd_flow.intervals import Fraction
from mrd_flow.numbers import Numbers
from pipeline.detection import Call, ReadingReason, read_at
from pipeline.formats.records import to_json
from pipeline.model import MrdResult, format_fraction

__all__ = ["reading_in_words", "result_document"]

_TUBE_FIELDS = (
    "tube", "name", "events", "nucleated", "plasma_cells", "aberrant", "not_plasma_cells", "compensated",
    "mismatch",
)  # fmt: skip


def result_document(
    evidence: FlowEvidence, calls: FlowCalls, *, threshold: float, automatic: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The document of one sample.

    Parameters
    ----------
    evidence, calls
        Of this sample alone.
    threshold
        Fraction at which the result is read as positive or negative.
    automatic
        The document of the same files without the analyst's overrides, kept beside.
    """
    result = calls.results[0]
    return {
        **to_json(result),
        "panel_version": evidence.rules.version,
        "numbers": _numbers(calls.numbers[0]),
        "reading": _reading(result, threshold),
        "classification": _classification(evidence.classification),
        "diagnostic_phenotype": _phenotype(evidence.classification),
        "hemodilution": _dilution(calls.dilutions[0], result),
        "tubes": [_tube(t) for t in evidence.tubes],
        "tube_distances": [to_json(d) for d in evidence.distances],
        "gates": [_gate(evidence, tube, tally) for tube in evidence.tubes for tally in tube.gates],
        "flags": [{"code": f.code, "text": f.text} for f in calls.flags],
        "overrides": [_override(o) for o in evidence.overrides],
        "automatic": automatic,
    }


def reading_in_words(result: MrdResult, threshold: float) -> str:
    """Whether the sample is negative at a threshold, and if not, why that cannot be said."""
    reading = read_at(result, threshold)
    at = format_fraction(threshold)
    if reading.call is Call.POSITIVE:
        return f"positive at {at}"
    if reading.call is Call.NEGATIVE and reading.reason is ReadingReason.DETECTED_BELOW:
        return f"negative at {at}: detected at {format_fraction(result.value)}, below it"
    if reading.call is Call.NEGATIVE:
        return f"negative at {at}: this sample would have shown {format_fraction(result.lod)}"
    if result.lod is not None and result.lod > threshold:
        reach = format_fraction(result.lod)
        return f"neither positive nor negative at {at}: the sample could only have shown {reach}"
    return f"neither positive nor negative at {at}: {str(result.reason).replace('_', ' ')}"


def _reading(result: MrdResult, threshold: float) -> dict[str, Any]:
    reading = read_at(result, threshold)
    return {
        "threshold": threshold,
        "call": str(reading.call),
        "reason": str(reading.reason),
        "text": reading_in_words(result, threshold),
    }


def _numbers(numbers: Numbers) -> dict[str, Any]:
    return {
        "aberrant": numbers.aberrant,
        "nucleated_cells": numbers.nucleated,
        "quantity": str(numbers.quantity),
        "decision_counts": {
            "detection": numbers.lod_count,
            "quantification": numbers.loq_count,
            "used": numbers.decision_count,
        },
        "decision_thresholds": {
            "detection": numbers.lod_threshold,
            "quantification": numbers.loq_threshold,
        },
        "lod_95": numbers.lod_95,
        "lod_95_by_phenotype": dict(numbers.lod_by_phenotype),
        "classifier_error": to_json(numbers.error),
        **(_intervals(numbers.fraction) if numbers.fraction else {"intervals": None, "corrected": None}),
    }


def _intervals(fraction: Fraction) -> dict[str, Any]:
    named = {"exact": fraction.exact, "wilson": fraction.wilson, "reported": fraction.reported}
    return {
        "intervals": {name: {"low": i.low, "high": i.high} for name, i in named.items()},
        "corrected": {
            "value": fraction.corrected_value,
            "low": fraction.corrected.low,
            "high": fraction.corrected.high,
        },
    }


def _classification(found: Classification | None) -> dict[str, Any] | None:
    if found is None:
        return None
    named = to_json(replace(found, phenotype=None, antigens=()))
    del named["phenotype"]
    return named | {"antigens": dict(found.antigens)}


def _phenotype(found: Classification | None) -> dict[str, Any] | None:
    """What ``--diagnosis`` takes of this document."""
    return None if found is None or found.phenotype is None else to_json(found.phenotype)


def _dilution(found: Hemodilution, result: MrdResult) -> dict[str, Any]:
    offered = {
        f"undiluted_{name}": None if number is None else undiluted(number, found)
        for name, number in (("value", result.value), ("lod", result.lod))
    }
    return {**to_json(found), **offered, "reference_unverified": True}


def _tube(tube: TubeEvidence) -> dict[str, Any]:
    return {
        **{name: getattr(tube, name) for name in _TUBE_FIELDS},
        "acquisition": None if tube.acquisition is None else to_json(tube.acquisition),
        "anomalies": [to_json(a) for a in tube.anomalies],
    }


def _gate(evidence: FlowEvidence, tube: TubeEvidence, tally: GateTally) -> dict[str, Any]:
    authors = [o.author for o in overrides_of(evidence.overrides, tube.tube) if o.gate == tally.gate]
    percent = 100 * tally.count / tally.parent_count if tally.parent_count else None
    return {
        "tube": tube.tube,
        **to_json(tally),
        "percent_parent": percent,
        "template": f"{evidence.rules.panel} {evidence.rules.version}",
        "author": ", ".join(dict.fromkeys(authors)) or "template",
    }


def _override(override: Override) -> dict[str, Any]:
    named = {f.name: getattr(override, f.name) for f in fields(override)}
    return named | {
        "made_on": override.made_on.isoformat(),
        "vertices": [list(v) for v in override.vertices],
        "boundary": override.boundary,
    }
