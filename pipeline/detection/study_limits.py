"""Limits of one reagent lot by every method of CLSI EP17-A2."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.blank import blank_limit_by_moments, blank_limit_by_rank
from pipeline.detection.hit_rate import HitRateFit, NotEstimable, poisson_limit, probit_limit
from pipeline.detection.intervals import Interval
from pipeline.detection.precision import (
    classical_detection_limit,
    fit_variance,
    precision_quantification_limit,
    total_error_quantification_limit,
)
from pipeline.detection.study_rows import Limit, StudyGoals, StudyResults

__all__ = ["chosen_blank_limit", "found_by", "lot_limits"]

Floats = NDArray[np.float64]
_LOW_LEVEL_SHARE = 5.0  # low samples lie at most so many times above the limit of blank


def found_by(part: StudyResults, blank_limit: float) -> NDArray[np.bool_]:
    """Which results were found: by the assay's own call, else above the limit of blank."""
    return np.where(part.detected < 0, part.value > blank_limit, part.detected == 1)


def lot_limits(lot: str, part: StudyResults, goals: StudyGoals, rng: np.random.Generator) -> list[Limit]:
    """Limits of blank, detection and quantification from the results of one lot, by every method."""
    blanks = part.rows(part.level == 0)
    found = [
        _limit(
            lot,
            "lob",
            "rank",
            len(blanks.value),
            lambda: blank_limit_by_rank(blanks.value, alpha=goals.alpha),
        ),
        _limit(lot, "lob", "moments", len(blanks.value), lambda: _moments(blanks)),
    ]
    blank_limit = chosen_blank_limit(found)
    if 0 < len(blanks.value) < 60:
        found[0] = replace(found[0], note="EP17-A2 asks for at least 60 blank results of a lot")
    low = part.rows((part.level > 0) & (part.level <= _low_level(part, blank_limit)))
    found.append(_classical(lot, low, blank_limit))
    levels, hits, tested = _hits(part, blank_limit)
    for method, fit in (("probit", probit_limit), ("poisson", poisson_limit)):
        found.append(_hit_limit(lot, method, fit, levels, hits, tested))
    return found + _quantification(lot, part, goals, rng)


def _limit(
    lot: str, parameter: str, method: str, n: int, make: Callable[[], tuple[float, Interval | None]]
) -> Limit:
    try:
        estimate, ci = make()
    except ValueError as error:
        return Limit(lot=lot, parameter=parameter, method=method, estimate=None, n=n, reason=str(error))
    return Limit(lot=lot, parameter=parameter, method=method, estimate=estimate, ci=ci, n=n)


def _moments(blanks: StudyResults) -> tuple[float, Interval | None]:
    if not len(blanks.value):
        raise NotEstimable("there is no blank")
    return blank_limit_by_moments(_grouped(blanks, blanks.sample))


def _grouped(part: StudyResults, keys: Sequence[object]) -> list[Floats]:
    rows: dict[object, list[float]] = {}
    for key, value in zip(keys, part.value, strict=True):
        rows.setdefault(key, []).append(float(value))
    return [np.array(values) for values in rows.values()]


def chosen_blank_limit(limits: Sequence[Limit]) -> float:
    """The limit without an assumed distribution where there is one, the largest lot's; 0 without blanks."""
    known = [x.estimate for x in limits if x.parameter == "lob" and x.estimate is not None]
    ranks = [
        x.estimate for x in limits if x.parameter == "lob" and x.method == "rank" and x.estimate is not None
    ]
    return max(ranks or known or [0.0])


def _low_level(part: StudyResults, blank_limit: float) -> float:
    """Up to where a sample is low: near the limit of blank, or the lowest two levels where that is 0."""
    levels = np.unique(part.level[part.level > 0])
    if not len(levels):
        return 0.0
    return max(blank_limit * _LOW_LEVEL_SHARE, float(levels[:2][-1]))


def _classical(lot: str, low: StudyResults, blank_limit: float) -> Limit:
    groups = _grouped(low, [*zip(low.level.tolist(), low.sample, strict=True)])
    found = _limit(
        lot, "lod", "classical", len(low.value), lambda: classical_detection_limit(blank_limit, groups)
    )
    return replace(found, note="assumes normal results with one spread at low levels")


def _hits(part: StudyResults, blank_limit: float) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    levels = np.unique(part.level[part.level > 0])
    seen = found_by(part, blank_limit)
    hits = np.array([int(seen[part.level == x].sum()) for x in levels], np.int64)
    return levels, hits, np.array([int((part.level == x).sum()) for x in levels], np.int64)


def _hit_limit(
    lot: str,
    method: str,
    fit: Callable[[Floats, NDArray[np.int64], NDArray[np.int64]], HitRateFit],
    levels: Floats,
    hits: NDArray[np.int64],
    tested: NDArray[np.int64],
) -> Limit:
    n = int(tested.sum())
    try:
        if not n:
            raise NotEstimable("there is no level above 0")
        made = fit(levels, hits, tested)
    except NotEstimable as error:
        return Limit(lot=lot, parameter="lod", method=method, estimate=None, n=n, reason=str(error))
    misfit = made.fit_p is not None and made.fit_p < 0.05
    note = f"the model does not fit (chi-square p = {made.fit_p:.2g})" if misfit else ""
    outside = not levels[0] <= made.limit <= levels[-1]
    note = "; ".join(n for n in (note, "lies outside the levels tested" if outside else "") if n)
    return Limit(lot=lot, parameter="lod", method=method, estimate=made.limit, ci=made.ci, n=n, note=note)


def _quantification(lot: str, part: StudyResults, goals: StudyGoals, rng: np.random.Generator) -> list[Limit]:
    levels = np.unique(part.level[part.level > 0])
    groups = [part.value[part.level == x] for x in levels]
    n = sum(len(g) for g in groups)

    def by_cv(drawn: Sequence[Floats]) -> float:
        profile = fit_variance(drawn)
        means = [float(g.mean()) for g in drawn if g.mean() > 0]
        return precision_quantification_limit(
            profile, lowest=min(means), highest=max(means), goal_cv=goals.cv
        )

    def by_error(drawn: Sequence[Floats]) -> float:
        return total_error_quantification_limit(levels, drawn, goal=goals.total_error)

    found = []
    for method, measure in (("precision_profile", by_cv), ("total_error", by_error)):

        def make(measure: Callable[[Sequence[Floats]], float] = measure) -> tuple[float, Interval | None]:
            return measure(groups), _resampled(measure, groups, goals, rng)

        limit = _limit(lot, "loq", method, n, make)
        lowest = limit.estimate is not None and limit.estimate <= float(levels[0]) * 1.0001
        note = "the goal is met at the lowest level tested; the limit may be lower" if lowest else ""
        found.append(replace(limit, note=note))
    return found


def _resampled(
    measure: Callable[[Sequence[Floats]], float],
    groups: Sequence[Floats],
    goals: StudyGoals,
    rng: np.random.Generator,
) -> Interval | None:
    """Percentile interval over results drawn again within each level; None if one draw has no limit."""
    draws = []
    for _ in range(goals.resamples):
        try:
            draws.append(measure([rng.choice(g, len(g)) for g in groups]))
        except NotEstimable:
            return None
    return _percentiles(draws)


def _percentiles(draws: Sequence[float]) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(low), float(high))
