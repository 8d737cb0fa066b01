"""Every pair of methods of a batch, compared.

Methods go by their name (``flow:euroflow``, ``ngs``) and material: a graft's results are
never pooled with a marrow's. Two methods that look at the same material are paired within
it; marrow and plasma are paired across, by patient and time point.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypedDict

import numpy as np

from pipeline.concordance.agreement import agreement
from pipeline.concordance.pairs import Pairs, Results, reading, sampling_compatible
from pipeline.concordance.quantitative import quantitative
from pipeline.concordance.statistic import Statistic
from pipeline.model import WHOLE_CLONE, Material, MrdResult, Status

__all__ = ["Comparison", "ComparisonRow", "PairRow", "comparison_rows", "comparisons", "pair_rows"]

_PAIRS_MIN_VALUES = 10  # fewer say nothing about a line
Place = tuple[str, str]  # patient, time point
Side = tuple[str, Material]  # method, material


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two methods and the samples both looked at; ``places`` are patient and time point of each pair."""

    x: str
    y: str
    x_material: Material
    y_material: Material
    places: tuple[Place, ...]
    pairs: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """A statistic of a comparison; fields as in `Statistic`."""

    x: str
    y: str
    x_material: Material
    y_material: Material
    method: str
    parameter: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    reason: str
    threshold: float | None
    population: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One pair as it was compared, read at the headline threshold.

    ``sampling_compatible`` says whether the two intervals overlap, so that counting alone
    can explain the difference; None where a method says nothing.
    """

    x: str
    y: str
    x_material: Material
    y_material: Material
    patient_id: str
    timepoint: str
    x_value: float | None
    x_lod: float | None
    x_call: str
    y_value: float | None
    y_lod: float | None
    y_call: str
    threshold: float
    sampling_compatible: bool | None


def comparisons(results: Iterable[MrdResult]) -> tuple[Comparison, ...]:
    """Pair up every two methods that looked at the same patient and time point.

    Parameters
    ----------
    results
        Of a batch. Where a sample has results of several targets, that of the whole clone
        stands for it; a sample measured twice by one method counts with its last result.

    Returns
    -------
    tuple of Comparison
        By method names, marrow first.
    """
    samples: dict[Side, dict[Place, MrdResult]] = {}
    for result in results:
        side = samples.setdefault((result.method, result.material), {})
        place = (result.patient_id, result.timepoint)
        if place not in side or side[place].target_id != WHOLE_CLONE or result.target_id == WHOLE_CLONE:
            side[place] = result
    order = sorted(samples, key=lambda s: (s[1] is not Material.BONE_MARROW, s[1], s[0]))
    found = []
    for x, y in combinations(order, 2):
        if x[0] == y[0] or not _belong_together(x, y, samples):
            continue
        places = tuple(sorted(set(samples[x]) & set(samples[y])))
        if places:
            found.append(_comparison(x, y, places, samples))
    return tuple(found)


def comparison_rows(comparison: Comparison, thresholds: Sequence[float]) -> tuple[ComparisonRow, ...]:
    """Agreement at every threshold and, from ten pairs on, the comparison of values."""
    rows: list[Statistic] = []
    if len(comparison.pairs) >= _PAIRS_MIN_VALUES:
        rows += quantitative(comparison.pairs)
    for threshold in thresholds:
        rows += agreement(comparison.pairs, threshold)
        rows += agreement(comparison.pairs, threshold, common_depth=True)
    return tuple(
        ComparisonRow(
            **_names(comparison),
            method=row.method,
            parameter=row.parameter,
            estimate=row.estimate,
            ci_low=row.ci_low,
            ci_high=row.ci_high,
            n=row.n,
            reason=row.reason,
            threshold=row.threshold,
            population=row.population,
        )
        for row in rows
    )


def pair_rows(comparison: Comparison, threshold: float) -> tuple[PairRow, ...]:
    """Every pair with its values, limits and readings at one threshold."""
    x, y = comparison.pairs.x, comparison.pairs.y
    compatible = sampling_compatible(comparison.pairs)
    return tuple(
        PairRow(
            **_names(comparison),
            patient_id=patient,
            timepoint=timepoint,
            x_value=_number(x, x.value, row),
            x_lod=_number(x, x.lod, row),
            x_call=reading(x, row, threshold)[0].value,
            y_value=_number(y, y.value, row),
            y_lod=_number(y, y.lod, row),
            y_call=reading(y, row, threshold)[0].value,
            threshold=threshold,
            sampling_compatible=compatible[row],
        )
        for row, (patient, timepoint) in enumerate(comparison.places)
    )


def _belong_together(x: Side, y: Side, samples: dict[Side, dict[Place, MrdResult]]) -> bool:
    """Same material; or materials of which the two methods share none."""
    if x[1] is y[1]:
        return True
    return not {m for n, m in samples if n == x[0]} & {m for n, m in samples if n == y[0]}


def _comparison(
    x: Side, y: Side, places: tuple[Place, ...], samples: dict[Side, dict[Place, MrdResult]]
) -> Comparison:
    return Comparison(
        x=x[0],
        y=y[0],
        x_material=x[1],
        y_material=y[1],
        places=places,
        pairs=Pairs(
            patients=tuple(patient for patient, _ in places),
            x=_results([samples[x][p] for p in places]),
            y=_results([samples[y][p] for p in places]),
        ),
    )


def _results(found: Sequence[MrdResult]) -> Results:
    evaluable = np.array([r.status in (Status.DETECTED, Status.NOT_DETECTED) for r in found])

    def numbers(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        values = [getattr(r, name) for r in found]
        return np.array([np.nan if v is None else float(v) for v in values])

    return Results(
        evaluable=evaluable,
        detected=np.array([r.status is Status.DETECTED for r in found]),
        value=numbers("value"),
        lod=numbers("lod"),
        numerator=numbers("numerator"),
        denominator=numbers("denominator"),
        reason=tuple("" if e else r.reason.value for r, e in zip(found, evaluable, strict=True)),
        ci_low=numbers("ci_low"),
        ci_high=numbers("ci_high"),
    )


class _Names(TypedDict):
    x: str
    y: str
    x_material: Material
    y_material: Material


def _names(comparison: Comparison) -> _Names:
    return {
        "x": comparison.x,
        "y": comparison.y,
        "x_material": comparison.x_material,
        "y_material": comparison.y_material,
    }


def _number(results: Results, values: np.ndarray[tuple[int], np.dtype[np.float64]], row: int) -> float | None:
    return float(values[row]) if results.evaluable[row] else None
