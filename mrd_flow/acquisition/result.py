"""Choices of the acquisition check, and what it finds in one data set."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.anomaly import Anomaly

__all__ = ["AcquisitionQc", "AcquisitionSettings", "MarginTally", "RemovedRun", "TimeTrace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquisitionSettings:
    """Choices of the acquisition check; every default is this project's own choice, unverified.

    Runs. A run of events is at fault where it deviates from the file's own course by more
    than ``z_limit`` robust standard deviations and by enough to matter: the rate by a
    factor of ``rate_change``, or the mean rank of a channel by ``shift`` (of 1; 0.5 would put
    every event below or above all others). Runs of up to ``longest_window_events`` are
    averaged to find faint faults. ``clock_ticks`` is how many ticks of the clock a
    stretch must last for its rate to be known; ``jitter_ticks`` how far time may step back.

    Margins. Events off a channel's scale are removed, unless that would take more than
    ``margin_share_max`` of the file: the scale then does not tell faults from cells.

    Whole file. Below ``bins_min`` bins, or where the clock cannot be trusted, nothing is
    judged. More than ``removed_share_max`` removed is grave. A course that changes by
    ``drift_shift`` (rank) or ``drift_rate`` (factor) from end to end is flagged, not removed.

    Rare events (`mrd_flow.acquisition.rare_event_guard`). ``guard_alpha`` is the probability below which
    the cells looked for are enriched among removed events, ``guard_ratio`` how many times
    their share must be the kept events', ``guard_share_max`` the largest share of them that
    may be removed without a grave flag.
    """

    z_limit: float = 6.5
    rate_change: float = 1.3
    shift: float = 0.05
    longest_window_events: int = 8_000
    clock_ticks: float = 8.0
    jitter_ticks: float = 1.0
    margin_share_max: float = 0.05
    bins_min: int = 40
    removed_share_max: float = 0.20
    drift_shift: float = 0.10
    drift_rate: float = 1.5
    guard_alpha: float = 1e-3
    guard_ratio: float = 2.0
    guard_share_max: float = 0.10
    trace_points: int = 1_000

    def __post_init__(self) -> None:
        for name in ("shift", "margin_share_max", "removed_share_max", "guard_alpha", "guard_share_max"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        for name in ("z_limit", "rate_change", "drift_rate", "guard_ratio", "clock_ticks"):
            if not getattr(self, name) > 1:
                raise ValueError(f"{name} must be above 1")
        if not self.drift_shift > 0 or not self.jitter_ticks >= 0:
            raise ValueError("drift_shift must be above 0, jitter_ticks at least 0")
        if min(self.longest_window_events, self.trace_points) < 1 or self.bins_min < 20:
            raise ValueError("windows and points must be at least 1, bins_min at least 20")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedRun:
    """Consecutive events at fault, ``first_event`` to ``last_event`` (0-based, both included).

    ``code`` is ``clot`` (rate down, signals shifted), ``bubble`` (a gap, and what lies about
    it), ``surge`` (rate up), ``slow`` (rate down, signals not shifted) or ``shift`` (signals
    only): what the pattern is like, not a proven cause. ``channels`` shifted,
    ``largest_shift`` the mean rank of the most shifted less the file's at that time,
    ``rate_ratio`` the rate over the file's (None where it is not known). ``statistic`` is the
    largest deviation in robust standard deviations, ``limit`` what it passed.
    ``withdrawn`` is why the events are kept all the same, or empty.
    """

    first_event: int
    last_event: int
    code: str
    sentence: str
    channels: tuple[str, ...]
    largest_shift: float
    rate_ratio: float | None
    statistic: float
    limit: float
    withdrawn: str = ""

    @property
    def events(self) -> int:
        """Length of the run."""
        return self.last_event - self.first_event + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTally:
    """Events off one channel's scale: ``events`` of them, or of too many at least so many.

    ``top`` is the smallest value above the scale. ``withdrawn`` is why they are kept all
    the same, or empty.
    """

    channel: str
    scatter: bool
    events: int
    top: float
    withdrawn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeTrace:
    """The file's course in few points, for a plot.

    ``first_event`` int64 (n_points,); ``seconds`` float64 (n_points,) from the first event, in
    ticks where the file states no $TIMESTEP (``unit``); ``rate`` events per unit; ``medians``
    (n_points, n_channels), raw values to within about a tenth; ``removed_share`` (n_points,).
    Without a clock ``seconds`` and ``rate`` are 0 and ``unit`` is empty.
    """

    unit: str
    first_event: NDArray[np.int64]
    seconds: NDArray[np.float64]
    rate: NDArray[np.float64]
    channels: tuple[str, ...]
    medians: NDArray[np.float64]
    removed_share: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquisitionQc:
    """Which events of a data set were acquired soundly.

    ``kept`` is bool (n_events,). ``not_checked`` is empty, or says why runs were not
    judged (margins are all the same). ``runs`` and ``margins`` hold what was found, those
    withdrawn too. ``margin_events`` int64 (n,) and ``margin_channels`` uint64 (n,) are the
    events off any scale and the channels (bit = place in ``margins``). ``anomalies`` are
    for the result; ``bin_events`` is the length of a bin.
    """

    events: int
    bin_events: int
    kept: NDArray[np.bool_]
    not_checked: str
    runs: tuple[RemovedRun, ...]
    margins: tuple[MarginTally, ...]
    margin_events: NDArray[np.int64]
    margin_channels: NDArray[np.uint64]
    anomalies: tuple[Anomaly, ...]
    trace: TimeTrace
    settings: AcquisitionSettings

    @property
    def removed(self) -> int:
        """Events not kept."""
        return self.events - int(np.count_nonzero(self.kept))

    @property
    def removed_share(self) -> float:
        """Share of the file's events not kept."""
        return self.removed / self.events if self.events else 0.0
