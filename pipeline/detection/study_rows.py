"""What goes into a validation study, and the form of what comes out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.intervals import Interval

__all__ = ["Limit", "StudyGoals", "StudyResults"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyGoals:
    """What the laboratory asks of its assay; choices of the study, not published limits.

    ``alpha`` is the share of blanks that may be found. ``cv`` and ``total_error`` are
    fractions of the level, ``deviation_log10`` the largest departure from the line.
    ``resamples`` bootstrap samples give intervals where there is no formula.
    """

    alpha: float = 0.05
    cv: float = 0.35
    total_error: float = 0.7
    deviation_log10: float = 0.2
    resamples: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5 or min(self.cv, self.total_error, self.deviation_log10) <= 0:
            raise ValueError("alpha must lie between 0 and 0.5 and every goal above 0")
        if self.resamples < 100:
            raise ValueError("an interval needs at least 100 resamples")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResults:
    """Results of the study, one row each, shape (n,).

    ``level`` is the nominal fraction (0 for a blank), ``value`` the measured one,
    ``detected`` the assay's own call: 1, 0, or -1 where it makes none (a value above the
    limit of blank is then a detection). ``lot`` and ``sample`` name reagent lot and sample.
    """

    level: Floats
    value: Floats
    detected: NDArray[np.int8]
    lot: tuple[str, ...]
    sample: tuple[str, ...]

    def rows(self, keep: NDArray[np.bool_]) -> "StudyResults":
        """Some of the rows."""
        at = np.flatnonzero(keep)
        return StudyResults(
            level=self.level[at],
            value=self.value[at],
            detected=self.detected[at],
            lot=tuple(self.lot[i] for i in at),
            sample=tuple(self.sample[i] for i in at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number of one method for one lot (``largest`` or ``all`` for the assay), or why there is none.

    ``note`` is for what a reader of the number must know.
    """

    lot: str
    parameter: str
    method: str
    estimate: float | None
    ci: Interval | None = None
    n: int
    reason: str = ""
    note: str = ""
