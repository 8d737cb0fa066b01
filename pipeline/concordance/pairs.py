"""Pairs of results of two methods, as arrays, and how they read at a threshold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.concordance.series import Bools, Floats
from pipeline.concordance.table import AgreementTable
from pipeline.detection import Call, Interval, ReadingReason, call_at, garwood

__all__ = [
    "Pairs",
    "Reading",
    "Results",
    "log10_values",
    "pair_readings",
    "patient_readings",
    "reading",
    "sampling_compatible",
    "tabulate",
]

Reading = tuple[Call, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One method's results, one per pair, shape (pairs,).

    ``evaluable`` is false where the method says nothing (failed, no trackable clone, no
    limit); ``detected``, ``value`` and ``lod`` are then without meaning. ``value`` and
    ``lod`` are fractions. ``numerator`` and ``denominator`` are NaN where not known;
    ``reason`` says why a result is not evaluable, "" where it is. ``ci_low`` and ``ci_high``
    bound the 95 % interval of the value; None where intervals are not given.
    """

    evaluable: Bools
    detected: Bools
    value: Floats
    lod: Floats
    numerator: Floats
    denominator: Floats
    reason: tuple[str, ...]
    ci_low: Floats | None = None
    ci_high: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Results of two methods on the same samples and the patient of each."""

    patients: tuple[str, ...]
    x: Results
    y: Results

    def __len__(self) -> int:
        return len(self.patients)


def reading(results: Results, row: int, threshold: float) -> Reading:
    """POS, NEG or IND of one result at a threshold, with its reason (`pipeline.detection.call_at`)."""
    if not results.evaluable[row]:
        return Call.INDETERMINATE, results.reason[row] or str(ReadingReason.NOT_EVALUABLE_RESULT)
    call, reason = call_at(
        threshold,
        detected=bool(results.detected[row]),
        value=float(results.value[row]),
        lod=float(results.lod[row]),
    )
    return call, str(reason)


def pair_readings(
    pairs: Pairs, threshold: float, *, common_depth: bool = False
) -> list[tuple[Reading, Reading]]:
    """Readings of every pair at c, or at the pair's common depth max(c, LoD x, LoD y).

    At its common depth a pair with two limits of detection has no indeterminate reading
    for want of cells.

    Raises
    ------
    ValueError
        If the threshold is not above 0.
    """
    if not threshold > 0:
        raise ValueError(f"a threshold must be above 0, not {threshold}")
    found = []
    for row in range(len(pairs)):
        at = threshold
        if common_depth and pairs.x.evaluable[row] and pairs.y.evaluable[row]:
            at = max(threshold, float(pairs.x.lod[row]), float(pairs.y.lod[row]))
        found.append((reading(pairs.x, row, at), reading(pairs.y, row, at)))
    return found


def patient_readings(
    patients: Sequence[str], readings: Sequence[tuple[Reading, Reading]]
) -> list[tuple[Reading, Reading]]:
    """One pair of readings per patient, in order of first appearance.

    A method reads a patient POS if any of the samples is POS, NEG if every one is NEG, and
    IND otherwise: one sample without a reading keeps a patient from being called negative.
    """
    rows: dict[str, list[tuple[Reading, Reading]]] = {}
    for patient, both in zip(patients, readings, strict=True):
        rows.setdefault(patient, []).append(both)
    return [(_whole([x for x, _ in both]), _whole([y for _, y in both])) for both in rows.values()]


def _whole(readings: Sequence[Reading]) -> Reading:
    for call in (Call.POSITIVE, Call.INDETERMINATE):
        for found in readings:
            if found[0] is call:
                return found
    return readings[0]


def sampling_compatible(pairs: Pairs) -> list[bool | None]:
    """Whether the intervals of a pair overlap: counting alone can then explain its difference.

    Where an interval is not given it is Garwood's of the numerator, scaled like the value; a
    result that was not detected and has no numerator lies anywhere up to its limit.

    Returns
    -------
    list
        One answer per pair; None where a method says nothing or gives no count.
    """
    bounds = [[_interval(side, row) for side in (pairs.x, pairs.y)] for row in range(len(pairs))]
    return [None if x is None or y is None else max(x.low, y.low) <= min(x.high, y.high) for x, y in bounds]


def _interval(results: Results, row: int) -> Interval | None:
    if not results.evaluable[row]:
        return None
    if results.ci_low is not None and results.ci_high is not None and np.isfinite(results.ci_low[row]):
        return Interval(float(results.ci_low[row]), float(results.ci_high[row]))
    count, value = float(results.numerator[row]), float(results.value[row])
    if count > 0 and value > 0:
        low, high = garwood(count)
        return Interval(low * value / count, high * value / count)
    return None if results.detected[row] else Interval(0.0, float(results.lod[row]))


def tabulate(readings: Sequence[tuple[Reading, Reading]]) -> AgreementTable:
    """Count pairs of readings; an indeterminate one is counted as such and nowhere else."""
    count = Counter((x[0], y[0]) for x, y in readings)
    pos, neg, ind = Call.POSITIVE, Call.NEGATIVE, Call.INDETERMINATE
    return AgreementTable(
        both_pos=count[pos, pos],
        x_only=count[pos, neg],
        y_only=count[neg, pos],
        both_neg=count[neg, neg],
        pos_ind=count[pos, ind],
        neg_ind=count[neg, ind],
        ind_pos=count[ind, pos],
        ind_neg=count[ind, neg],
        ind_both=count[ind, ind],
    )


def log10_values(results: Results) -> tuple[Floats, Bools]:
    """Log10 values, with the limit where not detected, and which those are; evaluable rows only."""
    seen = results.detected
    values: Floats = np.log10(np.where(seen, results.value, results.lod))
    return values, ~seen
