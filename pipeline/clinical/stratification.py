"""The trial's allocation by response at day 60 to 90 after transplant.

VGPR or better: DRD; PR or less: KRD; progression: off study; not evaluable: a query. An allocation
that was made is never edited: a later or differing response is logged beside it.
"""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.clinical.levels import Level

__all__ = ["WINDOW_DAYS", "Allocation", "Arm", "allocate"]

WINDOW_DAYS = (60, 90)  # after the transplant, both days included


class Arm(StrEnum):
    """What a response leads to."""

    DRD = "DRD"
    KRD = "KRD"
    OFF_STUDY = "OFF_STUDY"
    QUERY = "QUERY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The arm by central response, whether the visit was in the window, and what to ask about."""

    arm: Arm
    in_window: bool
    queries: tuple[str, ...]


def allocate(central: Level, *, days_after_transplant: int, site: Level | None = None) -> Allocation:
    """Allocate by the central response; window and disagreement become queries, never another arm.

    Parameters
    ----------
    central
        Response by central review at the visit.
    days_after_transplant
        Day of the visit, counted from the transplant.
    site
        The response the site reported, where it did.

    Examples
    --------
    >>> allocate(Level.PR, days_after_transplant=91, site=Level.VGPR).queries
    ('day 91 is outside 60-90', 'site reports VGPR, central review PR: another arm')
    """
    arm = _arm(central)
    first, last = WINDOW_DAYS
    in_window = first <= days_after_transplant <= last
    queries = [] if in_window else [f"day {days_after_transplant} is outside {first}-{last}"]
    if arm is Arm.QUERY:
        queries.append("the response is not evaluable")
    if site is not None and site != central:
        effect = "the same arm" if _arm(site) is arm else "another arm"
        queries.append(f"site reports {site.label}, central review {central.label}: {effect}")
    return Allocation(arm=arm, in_window=in_window, queries=tuple(queries))


def _arm(level: Level) -> Arm:
    if level is Level.PD:
        return Arm.OFF_STUDY
    if level is Level.NE:
        return Arm.QUERY
    return Arm.DRD if level >= Level.VGPR else Arm.KRD
