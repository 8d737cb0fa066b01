"""Agreement of two methods at a threshold, as rows, over three populations and a curve."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.concordance.clustered import clustered_kappa, clustered_share
from pipeline.concordance.difference import Estimate
from pipeline.concordance.expected import LatentLevel, expected_discordance, latent_level
from pipeline.concordance.pairs import Pairs, Reading, pair_readings, patient_readings, tabulate
from pipeline.concordance.quantitative import censored_fit
from pipeline.concordance.statistic import Statistic, absent, measured, of_estimate
from pipeline.concordance.table import AgreementTable
from pipeline.detection import Call

__all__ = ["CURVE_THRESHOLDS", "IndeterminateCount", "agreement", "curve", "indeterminate_reasons"]

CURVE_THRESHOLDS: tuple[float, ...] = (
    *(float(f"{m}e{e}") for e in (-6, -5, -4) for m in (1, 2, 3, 5, 7)),
    1e-3,
)
"""Thresholds of the agreement curve, 1e-6 to 1e-3."""

_METHOD = "at_threshold"
_COMMON = "common_depth"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndeterminateCount:
    """Indeterminate readings of one method for one reason."""

    threshold: float
    method: str
    reason: str
    pairs: int


def agreement(pairs: Pairs, threshold: float, *, common_depth: bool = False) -> tuple[Statistic, ...]:
    """Agreement at one threshold over evaluable pairs, all pairs, and patients.

    Evaluable pairs read POS or NEG by both methods. Over all pairs and over patients an
    indeterminate reading stays in the denominator and agrees with nothing; it is never
    counted as negative. Kappa, PABAK and McNemar's test need a reading by both methods, so
    over all pairs they stand only where no pair is indeterminate; over patients they take those
    read by both.

    Parameters
    ----------
    pairs
        Results of both methods; x is the comparator of ``ppa`` and ``npa``, y of the reverse.
    threshold
        A fraction above 0.
    common_depth
        Read each pair at max(c, LoD x, LoD y) instead.

    Returns
    -------
    tuple of Statistic
        One row per parameter and population, in a fixed order.

    Raises
    ------
    ValueError
        If the threshold is not above 0.
    """
    method = _COMMON if common_depth else _METHOD
    readings = pair_readings(pairs, threshold, common_depth=common_depth)
    whole = tabulate(readings)
    by_patient = tabulate(patient_readings(pairs.patients, readings))
    found: list[Statistic] = []
    for population, table, everyone in (
        ("evaluable_pairs", whole, False),
        ("all_pairs", whole, True),
        ("patients", by_patient, True),
    ):
        rows = _rows(method, table, everyone=everyone, strict=population == "all_pairs")
        if population == "evaluable_pairs":
            level = "given at the threshold itself" if common_depth else _level(pairs)
            rows += _against_expected(method, pairs, whole, threshold, level)
            rows += _over_patients(method, readings, pairs.patients)
        else:
            rows.append(absent(method, "expected_discordance", "given for evaluable pairs", rows[0].n))
        found += [replace(row, threshold=threshold, population=population) for row in rows]
    return tuple(found)


def curve(pairs: Pairs, thresholds: Sequence[float] = CURVE_THRESHOLDS) -> tuple[Statistic, ...]:
    """Agreement over thresholds: the evaluable pairs of each, as `agreement` gives them."""
    level = _level(pairs)
    found: list[Statistic] = []
    for c in thresholds:
        table = tabulate(pair_readings(pairs, c))
        rows = _rows(_METHOD, table, everyone=False, strict=False)
        rows += _against_expected(_METHOD, pairs, table, c, level)
        found += [replace(row, threshold=c, population="evaluable_pairs") for row in rows]
    return tuple(found)


def indeterminate_reasons(
    pairs: Pairs, threshold: float, names: tuple[str, str]
) -> tuple[IndeterminateCount, ...]:
    """Why results are indeterminate at a threshold, counted by method and reason."""
    readings = pair_readings(pairs, threshold)
    counts: Counter[tuple[str, str]] = Counter()
    for name, side in zip(names, zip(*readings, strict=True), strict=True):
        counts.update((name, reason) for call, reason in side if call is Call.INDETERMINATE)
    return tuple(
        IndeterminateCount(threshold=threshold, method=name, reason=reason, pairs=counts[name, reason])
        for name, reason in sorted(counts)
    )


def _rows(method: str, table: AgreementTable, *, everyone: bool, strict: bool) -> list[Statistic]:
    n = table.all if everyone else table.evaluable
    rows = [
        measured(method, name, float(count), None, n)
        for name, count in (
            ("both_pos", table.both_pos),
            ("x_only", table.x_only),
            ("y_only", table.y_only),
            ("both_neg", table.both_neg),
            ("ind_pairs", table.indeterminate),
        )
    ]
    shares: tuple[tuple[str, Estimate | None, str], ...] = (
        ("opa", table.overall(with_indeterminate=everyone), "no pair to compare"),
        ("opa_exact", table.overall(exact=True, with_indeterminate=everyone), "no pair to compare"),
        ("ppa", table.positive(with_indeterminate=everyone), "x has no positive"),
        ("npa", table.negative(with_indeterminate=everyone), "x has no negative"),
        ("ppa_reverse", table.positive(comparator_y=True, with_indeterminate=everyone), "y has no positive"),
        ("npa_reverse", table.negative(comparator_y=True, with_indeterminate=everyone), "y has no negative"),
    )
    rows += [_row(method, name, found, reason, n) for name, found, reason in shares]
    return rows + _two_class(method, table, n, refused=strict and table.indeterminate > 0)


def _row(method: str, name: str, found: Estimate | None, reason: str, n: int) -> Statistic:
    return absent(method, name, reason, n) if found is None else of_estimate(method, name, found)


def _two_class(method: str, table: AgreementTable, n: int, *, refused: bool) -> list[Statistic]:
    """Kappa and its companions; on indeterminate readings they are not defined."""
    names = ("kappa", "pabak", "prevalence_index", "bias_index", "mcnemar_exact_p", "mcnemar_mid_p")
    if refused:
        return [absent(method, name, "not defined for indeterminate readings", n) for name in names]
    empty = "no pair to compare"
    rows = [
        _row(method, "kappa", table.kappa(), "a method has one class only" if table.evaluable else empty, n),
        _row(method, "pabak", table.pabak(), empty, n),
    ]
    for name, number in (
        ("prevalence_index", table.prevalence_index()),
        ("bias_index", table.bias_index()),
        ("mcnemar_exact_p", table.mcnemar()),
        ("mcnemar_mid_p", table.mcnemar(mid=True)),
    ):
        if number is None:
            rows.append(absent(method, name, empty, n))
        else:
            rows.append(measured(method, name, number, None, table.evaluable))
    return rows


def _over_patients(
    method: str, readings: Sequence[tuple[Reading, Reading]], patients: Sequence[str]
) -> list[Statistic]:
    """The same numbers with intervals over patients, where patients come back."""
    names = ("opa_clustered", "ppa_clustered", "npa_clustered", "kappa_clustered")
    calls = np.array([(x[0].value, y[0].value) for x, y in readings]).reshape(-1, 2)
    read = (calls != Call.INDETERMINATE.value).all(axis=1)
    if len({p for p, r in zip(patients, read, strict=True) if r}) == int(read.sum()):
        reason = "every patient gives one pair" if read.any() else "no pair to compare"
        return [absent(method, name, reason, int(read.sum())) for name in names]
    same = calls[:, 0] == calls[:, 1]
    x_pos = calls[:, 0] == Call.POSITIVE.value
    found = []
    for name, of in zip(names, (read, read & x_pos, read & ~x_pos), strict=False):
        kept = np.flatnonzero(of).tolist()
        try:
            share = clustered_share(same[kept], [patients[i] for i in kept])
            found.append(of_estimate(method, name, share))
        except ValueError as refused:
            found.append(absent(method, name, str(refused), len(kept)))
    try:
        found.append(of_estimate(method, names[3], clustered_kappa(readings, patients)))
    except ValueError as refused:
        found.append(absent(method, names[3], str(refused), int(read.sum())))
    return found


def _level(pairs: Pairs) -> LatentLevel | str:
    """The cohort's latent level, or why there is none."""
    try:
        return latent_level(censored_fit(pairs))
    except ValueError as refused:
        return str(refused)


def _against_expected(
    method: str, pairs: Pairs, table: AgreementTable, threshold: float, level: LatentLevel | str
) -> list[Statistic]:
    """Discordance expected of two perfect assays, and what was observed beyond it."""
    names, n = ("expected_discordance", "observed_minus_expected"), table.evaluable
    if isinstance(level, str):
        return [absent(method, name, level, n) for name in names]
    expected = expected_discordance(pairs.x, pairs.y, level, threshold)
    overall = table.overall()
    known = int(np.count_nonzero((pairs.x.denominator > 0) & (pairs.y.denominator > 0)))
    if expected is None:
        reason = "no pair has both denominators" if known == 0 else "no pair can be evaluable"
        return [absent(method, name, reason, n) for name in names]
    rows = [measured(method, names[0], expected, None, known)]
    if overall is None:
        return [*rows, absent(method, names[1], "no pair to compare", n)]
    low, high = overall.ci
    beyond = 1 - overall.value - expected
    rows.append(
        Statistic(
            method=method,
            parameter=names[1],
            estimate=beyond,
            ci_low=1 - high - expected,
            ci_high=1 - low - expected,
            n=n,
        )
    )
    return rows
