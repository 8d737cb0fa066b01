"""The acquisition mask may not remove the population that is looked for.

A cluster of the cells looked for that passes the laser together changes the signals of
its moment and would be taken for a fault; very bright cells lie off a detector's scale.
So the candidates found without the mask are counted in what it removes. Where they are
enriched (exact test), a channel's margin is withdrawn; a run is withdrawn where they
could be all that deviates in it: ``s`` events more of a hundred cannot move a mean rank by
more than about ``s / 2`` hundredths, nor the rate by more than what they add. A run that
deviates by more than that stays removed, and is flagged.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrd_flow.acquisition.check import with_verdict
from mrd_flow.acquisition.result import AcquisitionQc, MarginTally, RemovedRun
from mrd_flow.fcs.anomaly import Anomaly

__all__ = ["guard_rare_events"]

_RANK_PER_SHARE = 0.6  # 0.5 for scores about 0.5; a course may lie a little off it
_CODES = ("rare_events_in_fault", "rare_events_removed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """Sorted event numbers of one population."""

    name: str
    events: NDArray[np.int64]

    def within(self, first: int, last: int) -> int:
        found = np.searchsorted(self.events, [first, last + 1])
        return int(found[1] - found[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Enriched:
    """A population found more often among ``events`` removed than among those kept."""

    name: str
    count: int
    events: int
    kept_share: float

    @property
    def excess(self) -> float:
        """Candidates beyond what the kept events' share leads one to expect."""
        return self.count - self.kept_share * self.events

    def __str__(self) -> str:
        share = f"{self.count / self.events:.2g} of its events against {self.kept_share:.2g} of those kept"
        return f"{self.count:,} {self.name} ({share})"


def guard_rare_events(
    qc: AcquisitionQc, plasma_cell_events: NDArray[np.int64], suspicious: NDArray[np.bool_] | None = None
) -> AcquisitionQc:
    """Withdraw from the mask what would remove the cells looked for.

    Parameters
    ----------
    qc
        The check of one data set.
    plasma_cell_events
        0-based event numbers of all plasma-cell candidates, gated without the mask.
    suspicious
        bool, one for each of them: whether it looks aberrant. None if that is not known.

    Returns
    -------
    AcquisitionQc
        With runs and margins withdrawn where need be, the mask made anew, and anomalies: a
        grave one where more of the candidates are removed than ``guard_share_max`` and than
        chance would have it.

    Raises
    ------
    ValueError
        If an event number lies outside the data set or ``suspicious`` has another length.
    """
    candidates = _candidates(qc, plasma_cell_events, suspicious)
    noted: list[Anomaly] = []
    margins = tuple(_guarded_margin(qc, place, candidates) for place in range(len(qc.margins)))
    runs = tuple(_guarded_run(qc, run, candidates, noted) for run in qc.runs)
    others = tuple(a for a in qc.anomalies if a.code not in _CODES)
    guarded = with_verdict(replace(qc, margins=margins, runs=runs, anomalies=others))
    noted += _much_removed(guarded, candidates)
    return replace(guarded, anomalies=(*guarded.anomalies, *noted))


def _candidates(
    qc: AcquisitionQc, events: NDArray[np.int64], suspicious: NDArray[np.bool_] | None
) -> tuple[_Candidates, ...]:
    numbers = np.asarray(events, np.int64)
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= qc.events):
        raise ValueError("a plasma cell's event number lies outside the data set")
    found = [_Candidates(name="plasma-cell candidates", events=np.sort(numbers))]
    if suspicious is not None:
        if len(suspicious) != len(numbers):
            raise ValueError("suspicious must hold one value for each plasma cell")
        found.append(_Candidates(name="suspicious plasma cells", events=np.sort(numbers[suspicious])))
    return tuple(c for c in found if len(c.events))


def _guarded_margin(qc: AcquisitionQc, place: int, candidates: tuple[_Candidates, ...]) -> MarginTally:
    margin = qc.margins[place]
    if margin.withdrawn or not margin.events:
        return margin
    bit = np.uint64(1 << place)
    numbers = qc.margin_events[(qc.margin_channels & bit) != 0]
    outside = numbers[~_in_runs(qc, numbers)]
    for group in candidates:
        count = int(np.isin(group.events, outside, assume_unique=True).sum())
        enriched = _enriched(qc, group, count, len(outside))
        if enriched is not None:
            return replace(margin, withdrawn=f"among them are {enriched}")
    return margin


def _guarded_run(
    qc: AcquisitionQc, run: RemovedRun, candidates: tuple[_Candidates, ...], noted: list[Anomaly]
) -> RemovedRun:
    if run.withdrawn:
        return run
    for group in candidates:
        count = group.within(run.first_event, run.last_event)
        enriched = _enriched(qc, group, count, run.events)
        if enriched is None:
            continue
        if _explains(enriched, run, qc):
            return replace(run, withdrawn=f"it holds {enriched}, enough to be all that deviates in it")
        text = f"events {run.first_event:,} to {run.last_event:,} ({run.code}) removed, though they hold "
        text += f"{enriched}: more deviates than these explain"
        noted.append(Anomaly(code="rare_events_in_fault", text=text))
        break
    return run


def _in_runs(qc: AcquisitionQc, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(numbers), np.bool_)
    for run in qc.runs:
        if not run.withdrawn:
            inside |= (numbers >= run.first_event) & (numbers <= run.last_event)
    return inside


def _enriched(qc: AcquisitionQc, group: _Candidates, count: int, events: int) -> _Enriched | None:
    """The population's enrichment among ``events`` removed, if it passes both limits."""
    if not count:
        return None
    kept_events, kept_count = int(np.count_nonzero(qc.kept)), int(np.count_nonzero(qc.kept[group.events]))
    kept_share = kept_count / kept_events if kept_events else 0.0
    tests = len(qc.runs) + len(qc.margins)
    p = _chance(count, count + kept_count, events, events + kept_events)
    if count / events < qc.settings.guard_ratio * kept_share or p >= qc.settings.guard_alpha / tests:
        return None
    return _Enriched(name=group.name, count=count, events=events, kept_share=kept_share)


def _chance(count: int, of_count: int, among: int, of_events: int) -> float:
    """Probability that ``among`` events drawn of all hold at least ``count`` candidates (hypergeometric)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(count - 1, of_events, of_count, among))


def _explains(enriched: _Enriched, run: RemovedRun, qc: AcquisitionQc) -> bool:
    """Whether the candidates could be all that deviates; a run's outermost bins do not."""
    deviating = max(run.events - 2 * qc.bin_events, qc.bin_events)
    share = min(enriched.excess / deviating, 1.0)
    if abs(run.largest_shift) > _RANK_PER_SHARE * share:
        return False
    factor = qc.settings.rate_change
    fastest = factor / max(1 - share, 1e-9)
    return run.rate_ratio is None or 1 / factor <= run.rate_ratio <= fastest


def _much_removed(qc: AcquisitionQc, candidates: tuple[_Candidates, ...]) -> list[Anomaly]:
    noted = []
    for group in candidates:
        total = len(group.events)
        count = total - int(np.count_nonzero(qc.kept[group.events]))
        p = _chance(count, total, qc.removed, qc.events) if count else 1.0
        if count / total > qc.settings.guard_share_max and p < qc.settings.guard_alpha:
            text = (
                f"the acquisition check removed {count:,} of {total:,} {group.name} ({count / total:.0%}), "
            )
            text += f"but {qc.removed_share:.1%} of all events"
            noted.append(Anomaly(code="rare_events_removed", text=text, grave=True))
    return noted
