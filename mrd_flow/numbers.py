"""The numbers of one sample: what was counted, what that means, and what would have been seen.

Three limits that are often mixed up stand here under their own names. The *decision
counts* (20 events for detected, 50 for quantified) divided by the cells are decision
thresholds: a sample exactly there is called detected about half of the time. The *95 % limit
of detection* is the fraction that reaches the decision count in 95 of 100 samples.
Where normal cells are expected among those counted, the decision count is first raised
to what a blank reaches in at most 5 % of samples.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from mrd_flow.evidence import Classification, FlowEvidence, FlowSettings
from mrd_flow.intervals import ClassifierError, Fraction, fraction_of
from mrd_flow.plasma_cells.classified import Expectation
from pipeline.detection import decision_count_above_background, decision_threshold, sample_lod

__all__ = ["Numbers", "Quantity", "numbers_of"]

_LEAST_RECALL = 0.01  # so that a limit can be stated where next to nothing is recognised


class Quantity(StrEnum):
    """What may be said of the count."""

    NOT_DETECTED = "not_detected"
    POSITIVE_NOT_QUANTIFIABLE = "positive_not_quantifiable"
    QUANTIFIABLE = "quantifiable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Sums over the tubes, and the limits that follow.

    ``error`` is what the classifier adds and misses where it finds a clone.
    ``lod_count`` and ``loq_count`` are the template's decision counts,
    ``decision_count`` the largest of ``lod_count``, what the expected background demands
    of this sample, and what blanks of the template reach. ``lod_threshold`` and
    ``loq_threshold`` are ``decision_count`` and ``loq_count`` over the cells, ``lod_95``
    is the 95 % limit of detection at the mean recall of the phenotypes looked for,
    ``lod_by_phenotype`` that of each; None where there are too few cells. ``fraction`` is
    None where there is no cell.
    """

    nucleated: int
    aberrant: int
    error: ClassifierError
    lod_count: int
    loq_count: int
    decision_count: int
    lod_threshold: float | None
    loq_threshold: float | None
    lod_95: float | None
    lod_by_phenotype: tuple[tuple[str, float | None], ...]
    fraction: Fraction | None

    @property
    def quantity(self) -> Quantity:
        """Below the decision count, below the count for quantification, or quantifiable."""
        if self.aberrant < self.decision_count:
            return Quantity.NOT_DETECTED
        enough = self.aberrant >= max(self.loq_count, self.decision_count)
        return Quantity.QUANTIFIABLE if enough else Quantity.POSITIVE_NOT_QUANTIFIABLE


def numbers_of(evidence: FlowEvidence, settings: FlowSettings) -> Numbers:
    """Sum the tubes: numerator over numerator, cells over cells.

    Parameters
    ----------
    evidence
        One sample.
    settings
        ``accepted_false_calls`` is the share of blanks that may reach the decision count.
    """
    nucleated = sum(t.nucleated for t in evidence.tubes)
    aberrant = sum(t.aberrant for t in evidence.tubes)
    found = evidence.classification
    error = _error(found)
    needed = decision_count_above_background(
        error.false_events_high, minimum=evidence.rules.decision_count, alpha=settings.accepted_false_calls
    )
    # What the classifier reckons with is not all: marrows differ from its reference.
    normal = sum(t.plasma_cells for t in evidence.tubes) - aberrant
    needed = max(needed, math.floor(evidence.rules.blank_per_thousand * normal / 1000) + 1)
    return Numbers(
        nucleated=nucleated,
        aberrant=aberrant,
        error=error,
        lod_count=evidence.rules.decision_count,
        loq_count=evidence.rules.loq_count,
        decision_count=needed,
        lod_threshold=decision_threshold(nucleated, needed),
        loq_threshold=decision_threshold(nucleated, evidence.rules.loq_count),
        lod_95=sample_lod(nucleated, needed, efficiency=error.recall, background_mean=error.false_events),
        lod_by_phenotype=tuple(
            (
                e.phenotype,
                sample_lod(nucleated, needed, efficiency=_recall(e), background_mean=e.false_events),
            )
            for e in (found.expectations if found is not None else ())
        ),
        fraction=fraction_of(aberrant, nucleated, _of_count(found, error)) if nucleated else None,
    )


def _error(found: Classification | None) -> ClassifierError:
    """False events and recall expected; of several phenotypes looked for, the hardest bounds them."""
    if found is None or not found.expectations:
        return ClassifierError()
    false_events = [e.false_events for e in found.expectations]
    recalls = [_recall(e) for e in found.expectations]
    return ClassifierError(
        false_events=sum(false_events) / len(false_events),
        false_events_high=max(false_events),
        recall=sum(recalls) / len(recalls),
        recall_low=min(recalls),
    )


def _of_count(found: Classification | None, error: ClassifierError) -> ClassifierError:
    """The error of the count itself: where no clone was found no cell was called, so none falsely."""
    if found is None or found.origin:
        return error
    return replace(error, false_events=0.0, false_events_high=0.0)


def _recall(expected: Expectation) -> float:
    return min(1.0, max(expected.recall, _LEAST_RECALL))
