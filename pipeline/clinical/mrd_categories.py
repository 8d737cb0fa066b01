"""MRD categories of one patient and assay at a threshold, from results with their own limits.

Negative at c needs the sample's limit of detection at or below c. Sustained negativity is two
negative marrows at least a year apart with no positive one between; an indeterminate result
neither counts nor breaks it. The IMWG class asks for imaging as well, so both are given. A graft
is no marrow: its results are read, and given apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.clinical.levels import Level
from pipeline.detection import Call, read_at
from pipeline.model import Material, MrdResult

__all__ = ["SUSTAINED_DAYS", "MrdCategories", "Span", "mrd_categories", "sustained_negative"]

SUSTAINED_DAYS = 365  # the IMWG's "minimum of 1 year apart" (Kumar et al., Lancet Oncol 2016;17:e328)
Readings = Sequence[tuple[date, Call]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """First and last of the negative results that show sustained negativity."""

    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class MrdCategories:
    """Categories at ``threshold``.

    ``negative_on`` and ``negative_in_complete_response_on`` are days of marrow samples, the second of
    those with a confirmed CR or sCR; ``sustained`` rests on the marrow alone,
    ``sustained_with_imaging`` is the IMWG class; ``graft`` holds readings of stem cell products.
    """

    threshold: float
    negative_on: tuple[date, ...]
    negative_in_complete_response_on: tuple[date, ...]
    sustained: Span | None
    sustained_with_imaging: bool
    graft: tuple[tuple[date, Call], ...]


def sustained_negative(readings: Readings) -> Span | None:
    """The longest stretch of negative readings without a positive one between, if it is a year or more."""
    first: date | None = None
    best: Span | None = None
    # On one day the positive reading counts last, so that it breaks what the negative one began.
    for day, call in sorted(readings, key=lambda r: (r[0], r[1] is Call.POSITIVE)):
        if call is Call.POSITIVE:
            first = None
        elif call is Call.NEGATIVE:
            first = first or day
            length = (day - first).days
            if length >= SUSTAINED_DAYS and (best is None or length > (best.last - best.first).days):
                best = Span(first=first, last=day)
    return best


def mrd_categories(
    results: Sequence[MrdResult],
    *,
    threshold: float,
    responses: Sequence[tuple[date, Level]] = (),
    imaging: Readings = (),
) -> MrdCategories:
    """Read one patient's results of one assay.

    Parameters
    ----------
    results
        Of one patient, assay and panel; marrow and stem cell products, others are left out.
    threshold
        The fraction c.
    responses
        Confirmed responses by day; the last one on or before a sample's day is the response it
        is read with.
    imaging
        PET results as readings; they show the IMWG class where they are sustained as well.

    Raises
    ------
    ValueError
        If the results are of several patients or assays.
    """
    if len({(r.patient_id, r.assay, r.panel) for r in results}) > 1:
        raise ValueError("results of one patient, assay and panel are read together, not of several")
    marrow = [
        (r.collected_on, read_at(r, threshold).call) for r in results if r.material is Material.BONE_MARROW
    ]
    graft = [
        (r.collected_on, read_at(r, threshold).call)
        for r in results
        if r.material is Material.STEM_CELL_PRODUCT
    ]
    negative = sorted({day for day, call in marrow if call is Call.NEGATIVE})
    complete = [day for day in negative if _response_on(day, responses) in (Level.CR, Level.SCR)]
    sustained = sustained_negative(marrow)
    return MrdCategories(
        threshold=threshold,
        negative_on=tuple(negative),
        negative_in_complete_response_on=tuple(complete),
        sustained=sustained,
        sustained_with_imaging=sustained is not None and sustained_negative(imaging) is not None,
        graft=tuple(sorted(graft)),
    )


def _response_on(day: date, responses: Sequence[tuple[date, Level]]) -> Level:
    before = [(on, level) for on, level in responses if on <= day]
    return max(before, key=lambda r: r[0])[1] if before else Level.NE
