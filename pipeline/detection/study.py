"""An assay's validation study: limits of blank, detection and quantification, and linearity.

From a table of blanks and dilutions, per reagent lot and for the assay: of two or three
lots the largest limit holds (CLSI EP17-A2, section 5.3.3); with more, all results together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.detection.hit_rate import NotEstimable
from pipeline.detection.intervals import Interval, clopper_pearson
from pipeline.detection.linearity import Linearity, fit_linearity
from pipeline.detection.precision import total_error
from pipeline.detection.study_limits import chosen_blank_limit, found_by, lot_limits
from pipeline.detection.study_rows import Limit, StudyGoals, StudyResults

__all__ = ["LevelSummary", "Study", "run_study"]

_LOTS_POOLED = 4  # from so many lots on all results are taken together


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelSummary:
    """What was measured at one level, all lots together; None where it cannot be said.

    ``hit_rate_ci`` is exact (Clopper-Pearson); ``bias`` and ``total_error`` are fractions
    of the level.
    """

    level: float
    results: int
    detected: int
    hit_rate_ci: Interval
    mean: float
    sd: float | None
    cv: float | None
    bias: float | None
    total_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything the study says."""

    limits: tuple[Limit, ...]
    levels: tuple[LevelSummary, ...]
    linearity: Linearity | None


def run_study(results: StudyResults, goals: StudyGoals, *, rng: np.random.Generator) -> Study:
    """Evaluate a study.

    Parameters
    ----------
    results
        Blanks and dilutions.
    goals
        The laboratory's goals.
    rng
        For the bootstrap intervals.

    Returns
    -------
    Study
        Limits per lot, then for the assay, in a fixed order.
    """
    lots = sorted(set(results.lot))
    pooled = not 2 <= len(lots) < _LOTS_POOLED
    parts = {"all": results} if pooled else {n: results.rows(np.array(results.lot) == n) for n in lots}
    limits = [limit for name, part in parts.items() for limit in lot_limits(name, part, goals, rng)]
    if not pooled:
        limits += _largest(limits)
    blank_limit = chosen_blank_limit(limits)
    line, linear_rows = _linear(results, goals)
    return Study(
        limits=(*limits, *linear_rows),
        levels=_levels(results, blank_limit),
        linearity=line,
    )


def _largest(limits: Sequence[Limit]) -> list[Limit]:
    """The assay's limit by each method: the largest of its lots, none where a lot has none."""
    found = []
    for key in dict.fromkeys((x.parameter, x.method) for x in limits):
        lots = [x for x in limits if (x.parameter, x.method) == key]
        missing = next((x for x in lots if x.estimate is None), None)
        top = missing or max(lots, key=lambda x: x.estimate or 0.0)
        reason = f"lot {top.lot}: {top.reason}" if missing else ""
        found.append(replace(top, lot="largest", n=sum(x.n for x in lots), reason=reason))
    return found


def _linear(results: StudyResults, goals: StudyGoals) -> tuple[Linearity | None, list[Limit]]:
    """Linearity on the log10 scale over levels of which every result is above 0."""
    levels = np.unique(results.level[results.level > 0])
    groups = [results.value[results.level == x] for x in levels]
    used = [i for i, g in enumerate(groups) if len(g) > 1 and (g > 0).all()]
    n = sum(len(groups[i]) for i in used)
    names = (
        "slope",
        "intercept",
        "r_squared",
        "curvature_p",
        "curvature_deviation",
        "range_low",
        "range_high",
    )

    def rows(line: Linearity | None, reason: str) -> list[Limit]:
        found = []
        for name in names:
            value = None if line is None else getattr(line, name)
            why = reason if line is None else "no two neighbouring levels lie within the allowed deviation"
            found.append(
                Limit(
                    lot="all",
                    parameter=name,
                    method="linearity_log10",
                    estimate=value,
                    ci=line.slope_ci if line is not None and name == "slope" else None,
                    n=n,
                    reason=why if value is None else "",
                )
            )
        return found

    try:
        line = fit_linearity(levels[used], [groups[i] for i in used], allowed=goals.deviation_log10)
    except NotEstimable as error:
        return None, rows(None, str(error))
    return line, rows(line, "")


def _levels(results: StudyResults, blank_limit: float) -> tuple[LevelSummary, ...]:
    seen = found_by(results, blank_limit)
    found = []
    for level in np.unique(results.level):
        here = results.level == level
        values, hits = results.value[here], int(seen[here].sum())
        mean = float(values.mean())
        sd = float(values.std(ddof=1)) if len(values) > 1 else None
        bias = mean / float(level) - 1 if level > 0 else None
        found.append(
            LevelSummary(
                level=float(level),
                results=len(values),
                detected=hits,
                hit_rate_ci=clopper_pearson(hits, len(values)),
                mean=mean,
                sd=sd,
                cv=sd / mean if sd is not None and mean > 0 else None,
                bias=bias,
                total_error=total_error(float(level), values) if level > 0 and len(values) > 1 else None,
            )
        )
    return tuple(found)
