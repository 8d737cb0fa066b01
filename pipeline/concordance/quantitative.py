"""Every quantitative comparison of two methods, as rows: what cannot be estimated says why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.concordance.censored import CensoredFit, censored_bivariate
from pipeline.concordance.censored_line import censored_line
from pipeline.concordance.difference import (
    BlandAltman,
    bland_altman,
    bland_altman_repeated,
    lin_ccc,
    share_within,
    total_deviation_index,
)
from pipeline.concordance.pairs import Pairs, log10_values
from pipeline.concordance.rank import akritas_theil_sen, censored_tau
from pipeline.concordance.regression import Regression, deming, passing_bablok, weighted_deming
from pipeline.concordance.series import Bools, Floats
from pipeline.concordance.statistic import Statistic, absent, measured, of_estimate

__all__ = ["censored_fit", "quantitative"]

_HALF_LOG10 = 0.5
_ON_LOG10 = "defined on the log10 scale"
_LINES: tuple[tuple[str, Callable[[Floats, Floats], Regression]], ...] = (
    ("passing_bablok", passing_bablok),
    ("deming", deming),
    ("weighted_deming", weighted_deming),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """Evaluable pairs on the chosen scale; where cut off, the value is the limit."""

    x: Floats
    y: Floats
    cut_x: Bools
    cut_y: Bools
    patients: tuple[str, ...]


def quantitative(pairs: Pairs, *, scale: str = "log10") -> tuple[Statistic, ...]:
    """Compare the values of two methods.

    Lines, differences and Lin's coefficient take pairs detected by both methods and say
    beside themselves which fraction of evaluable pairs that drops. The censored likelihood
    (log10 only, clustered by patient where patients come back) and the rank methods take
    every evaluable pair.

    Parameters
    ----------
    pairs
        Results of both methods.
    scale
        ``log10``, or ``linear`` for reference data that are not fractions.

    Returns
    -------
    tuple of Statistic
        One row per method and parameter, in a fixed order; differences are y - x.

    Raises
    ------
    ValueError
        If the scale is neither of the two.
    """
    if scale not in ("log10", "linear"):
        raise ValueError(f"a scale is log10 or linear, not {scale}")
    series = _series(pairs, logarithmic=scale == "log10")
    seen = ~series.cut_x & ~series.cut_y
    x, y = series.x[seen], series.y[seen]
    dropped = _dropped(len(seen), len(x))
    rows: list[Statistic] = []
    for method, fit in _LINES:
        rows += [*_line(method, fit, x, y), dropped(method)]
    rows += [*_differences(x, y, logarithmic=scale == "log10"), dropped("bland_altman")]
    seen_patients = [p for p, s in zip(series.patients, seen, strict=True) if s]
    rows += [*_repeated(x, y, seen_patients), dropped("bland_altman_repeated")]
    rows += _tried("lin_ccc", ("ccc",), len(x), lambda: [of_estimate("lin_ccc", "ccc", lin_ccc(x, y))])
    rows.append(dropped("lin_ccc"))
    rows += _censored(pairs, logarithmic=scale == "log10")
    rows += _ranks(series)
    return tuple(rows)


def censored_fit(pairs: Pairs) -> CensoredFit:
    """The censored likelihood of all evaluable pairs, clustered where patients come back.

    Raises
    ------
    ValueError
        As `censored_bivariate`.
    """
    series = _series(pairs, logarithmic=True)
    # Too few patients for a sandwich: the intervals then treat pairs as independent.
    few = len(set(series.patients)) < 10
    alone = len(set(series.patients)) == len(series.patients)
    clusters = None if few or alone else np.array(series.patients)
    return censored_bivariate(series.x, series.y, series.cut_x, series.cut_y, clusters=clusters)


def _series(pairs: Pairs, *, logarithmic: bool) -> _Series:
    kept = pairs.x.evaluable & pairs.y.evaluable
    columns = []
    for results in (pairs.x, pairs.y):
        if logarithmic:
            with np.errstate(divide="ignore", invalid="ignore"):  # rows that are not evaluable
                columns.append(log10_values(results))
        else:
            columns.append((np.where(results.detected, results.value, results.lod), ~results.detected))
    (x, cut_x), (y, cut_y) = columns
    return _Series(
        x=x[kept],
        y=y[kept],
        cut_x=cut_x[kept],
        cut_y=cut_y[kept],
        patients=tuple(p for p, k in zip(pairs.patients, kept, strict=True) if k),
    )


def _dropped(evaluable: int, used: int) -> Callable[[str], Statistic]:
    def row(method: str) -> Statistic:
        if not evaluable:
            return absent(method, "fraction_dropped", "no evaluable pair", 0)
        return measured(method, "fraction_dropped", (evaluable - used) / evaluable, None, evaluable)

    return row


def _tried(
    method: str, parameters: tuple[str, ...], n: int, compute: Callable[[], list[Statistic]]
) -> list[Statistic]:
    """The rows, or the same rows without numbers and with what the method refused."""
    try:
        return compute()
    except ValueError as refused:
        return [absent(method, parameter, str(refused), n) for parameter in parameters]


def _line(method: str, fit: Callable[[Floats, Floats], Regression], x: Floats, y: Floats) -> list[Statistic]:
    def compute() -> list[Statistic]:
        found = fit(x, y)
        return [
            measured(method, "slope", found.slope, found.slope_ci, found.pairs),
            measured(method, "intercept", found.intercept, found.intercept_ci, found.pairs),
        ]

    return _tried(method, ("slope", "intercept"), len(x), compute)


def _differences(x: Floats, y: Floats, *, logarithmic: bool) -> list[Statistic]:
    method = "bland_altman"

    def within() -> list[Statistic]:
        return [of_estimate(method, "share_within_half_log10", share_within(x, y, _HALF_LOG10))]

    def deviation() -> list[Statistic]:
        return [of_estimate(method, "total_deviation_index", total_deviation_index(x, y))]

    rows = _limits(method, len(x), lambda: bland_altman(x, y))
    if logarithmic:
        rows += _tried(method, ("share_within_half_log10",), len(x), within)
    else:
        rows.append(absent(method, "share_within_half_log10", _ON_LOG10, len(x)))
    return rows + _tried(method, ("total_deviation_index",), len(x), deviation)


def _repeated(x: Floats, y: Floats, patients: Sequence[str]) -> list[Statistic]:
    """Limits of agreement that know that patients come back."""
    return _limits("bland_altman_repeated", len(x), lambda: bland_altman_repeated(x, y, patients))


def _limits(method: str, n: int, compute: Callable[[], BlandAltman]) -> list[Statistic]:
    names = ("bias", "sd", "limit_low", "limit_high")

    def rows() -> list[Statistic]:
        found = compute()
        return [of_estimate(method, name, getattr(found, name)) for name in names]

    return _tried(method, names, n, rows)


def _censored(pairs: Pairs, *, logarithmic: bool) -> list[Statistic]:
    method, names = "censored_mle", ("rho", "bias_log10", "ccc")
    line_names = ("slope", "intercept")
    n = int(np.count_nonzero(pairs.x.evaluable & pairs.y.evaluable))
    if not logarithmic:
        return [absent(method, name, _ON_LOG10, n) for name in (*names, *line_names)]

    def line() -> list[Statistic]:
        found = censored_line(censored_fit(pairs))
        return [
            measured(method, "slope", found.slope, found.slope_ci, n),
            measured(method, "intercept", found.intercept, found.intercept_ci, n),
        ]

    def compute() -> list[Statistic]:
        fit = censored_fit(pairs)
        return [
            measured(method, "rho", fit.rho, fit.rho_ci, n),
            measured(method, "bias_log10", fit.bias_log10, fit.bias_ci, n),
            measured(method, "ccc", fit.ccc, fit.ccc_ci, n),
        ]

    return _tried(method, names, n, compute) + _tried(method, line_names, n, line)


def _ranks(series: _Series) -> list[Statistic]:
    method = "akritas_theil_sen"
    data = (series.x, series.y, series.cut_x, series.cut_y)
    seen = int(np.count_nonzero(~series.cut_x))

    def line() -> list[Statistic]:
        found = akritas_theil_sen(*data)
        slope = measured(method, "slope", found.slope, found.slope_ci, found.pairs)
        if found.intercept is None:
            reason = "the median residual lies below every seen one"
            return [slope, absent(method, "intercept", reason, found.pairs)]
        return [slope, measured(method, "intercept", found.intercept, found.intercept_ci, found.pairs)]

    def tau() -> list[Statistic]:
        return [of_estimate(method, "tau_b", censored_tau(*data))]

    rows = _tried(method, ("slope", "intercept"), seen, line)
    rows += _tried(method, ("tau_b",), len(series.x), tau)
    return [*rows, _dropped(len(series.x), seen)(method)]
