"""``nadir concordance``: two methods on the same samples."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.concordance_simulate import simulate
from pipeline.cli.concordance_variants import variants
from pipeline.cli.figures import Language, words_of, write_figures
from pipeline.errors import InputRefused, Problem, SheetRefused, UsageError
from pipeline.formats.csv_table import number_cell, write_csv
from pipeline.formats.named_cells import finite_number
from pipeline.formats.sheet_cells import Refusal, read_identifier

if TYPE_CHECKING:
    from pipeline.concordance.pairs import Pairs, Results
    from pipeline.concordance.statistic import Statistic
    from pipeline.formats.delimited import Record, Table

__all__ = ["app"]

app = typer.Typer(
    help="Compare two methods on the same samples: values, and readings at a threshold.", no_args_is_help=True
)

app.command()(variants)
app.command()(simulate)

_PAIRS_MIN = 10
_COLUMNS = ("method", "parameter", "estimate", "ci_low", "ci_high", "n", "reason")
_NEEDED = ("value", "lod", "detected")
_KNOWN = ("status", "reason", "numerator", "denominator")
_EMPTY = {"", "na", "nan", "null", "none"}
_TRUTH = {
    "true": True,
    "t": True,
    "yes": True,
    "1": True,
    "false": False,
    "f": False,
    "no": False,
    "0": False,
}
_UNREAD = {"INDETERMINATE": "indeterminate_result", "NOT_EVALUABLE": "not_evaluable_result"}
_STATUSES = ("DETECTED", "NOT_DETECTED", *_UNREAD)

PairsFile = Annotated[
    Path,
    typer.Argument(
        metavar="PAIRS.csv",
        help="One row a pair: patient_id, timepoint, and for each method m the columns m_value, m_lod, "
        "m_detected.",
        show_default=False,
    ),
]
MethodX = Annotated[str, typer.Option("--x", metavar="M", help="Comparator: the m of its columns.")]
MethodY = Annotated[str, typer.Option("--y", metavar="M", help="Compared with it; differences are y - x.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the tables.")]


@app.command()
def quantitative(
    pairs: PairsFile,
    x: MethodX,
    y: MethodY,
    out: Out,
    scale: Annotated[
        str, typer.Option("--scale", help="log10, or linear for reference data that are not fractions.")
    ] = "log10",
    language: Language = "en",
) -> None:
    """Lines, differences and censored correlation of the values: DIR/quantitative.csv.

    DIR/figures holds comparison.svg (values, limits and lines) and bland_altman.svg.
    """
    from pipeline.concordance.quantitative import quantitative as compare
    from pipeline.report.figures.values import bland_altman_figure, comparison_figure

    texts = words_of(language)
    if scale not in ("log10", "linear"):
        raise UsageError("--scale is log10 or linear")
    found = _read(pairs, x, y, fractions=scale == "log10")
    if len(found) < _PAIRS_MIN:
        raise InputRefused(
            f"{len(found)} pairs are too few to compare values",
            path=pairs,
            line=len(found) + 1,
            expected=f"at least {_PAIRS_MIN} pairs",
            remedy="add pairs, or use `nadir concordance agreement`",
        )
    _write(out / "quantitative.csv", _COLUMNS, map(_cells, compare(found, scale=scale)))
    write_figures(
        out / "figures",
        {
            "comparison": lambda: comparison_figure(found, x, y, texts, scale=scale),
            "bland_altman": lambda: bland_altman_figure(found, x, y, texts, scale=scale),
        },
    )


@app.command()
def agreement(
    pairs: PairsFile,
    x: MethodX,
    y: MethodY,
    threshold: Annotated[
        list[float], typer.Option("--threshold", metavar="C", help="Fraction, such as 1e-5; may be repeated.")
    ],
    out: Out,
    language: Language = "en",
) -> None:
    """Agreement of readings at a threshold: DIR/agreement.csv and its companions.

    Beside it agreement_common_depth.csv (each pair at the depth both samples reach),
    agreement_curve.csv (thresholds 1e-6 to 1e-3) and indeterminate.csv (reasons). DIR/figures holds
    mosaic.svg (the thresholds given, 1e-4, 1e-5 and 1e-6) and curve.svg.
    """
    from pipeline.concordance.agreement import agreement as compare
    from pipeline.concordance.agreement import curve, indeterminate_reasons
    from pipeline.report.figures.readings import MOSAIC_THRESHOLDS, agreement_curve_figure, mosaic_figure

    texts = words_of(language)
    if not all(0 < c < 1 for c in threshold):
        raise UsageError("--threshold is a fraction between 0 and 1, such as 1e-5")
    found = _read(pairs, x, y, fractions=True)
    thresholds = sorted(set(threshold))
    columns = (*_COLUMNS, "threshold", "population")
    at = [row for c in thresholds for row in compare(found, c)]
    common = [row for c in thresholds for row in compare(found, c, common_depth=True)]
    counts = [count for c in thresholds for count in indeterminate_reasons(found, c, (x, y))]
    _write(out / "agreement.csv", columns, map(_agreement_cells, at))
    _write(out / "agreement_common_depth.csv", columns, map(_agreement_cells, common))
    along = curve(found)
    _write(out / "agreement_curve.csv", columns, map(_agreement_cells, along))
    _write(
        out / "indeterminate.csv",
        ("threshold", "method", "reason", "pairs"),
        ([number_cell(c.threshold), c.method, c.reason, str(c.pairs)] for c in counts),
    )
    panels = sorted({*thresholds, *MOSAIC_THRESHOLDS}, reverse=True)
    write_figures(
        out / "figures",
        {
            "mosaic": lambda: mosaic_figure(found, x, y, panels, texts),
            "curve": lambda: agreement_curve_figure(along, x, y, texts),
        },
    )


def _cells(row: "Statistic") -> list[str]:
    numbers = [number_cell(v) for v in (row.estimate, row.ci_low, row.ci_high)]
    return [row.method, row.parameter, *numbers, str(row.n), row.reason]


def _agreement_cells(row: "Statistic") -> list[str]:
    return [*_cells(row), number_cell(row.threshold), row.population]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    write_csv(path, columns, rows)
    typer.echo(f"wrote {path}", err=True)


def _read(path: Path, x: str, y: str, *, fractions: bool) -> "Pairs":
    """The pairs of a file, or every problem of it at once."""
    from pipeline.concordance.pairs import Pairs
    from pipeline.formats.delimited import read_table

    if x == y:
        raise UsageError("--x and --y name the same method: name two")
    wanted = ["patient_id", "timepoint", *(f"{m}_{c}" for m in (x, y) for c in (*_NEEDED, *_KNOWN))]
    table = read_table(path, [w.lower() for w in wanted])
    places = _places(path, table, x, y)
    problems = list(table.problems)
    rows: list[tuple[str, _Row | list[Problem], _Row | list[Problem]]] = []
    first: dict[tuple[str, str], int] = {}
    for record in table.records:
        cells = {name: record.cells[at].strip() for name, at in places.items() if at < len(record.cells)}
        key = (cells.get("patient_id", ""), cells.get("timepoint", ""))
        problems += _key_problems(record, key, first)
        of_x, of_y = (_result(record, cells, m, fractions=fractions) for m in (x, y))
        problems += [p for result in (of_x, of_y) if isinstance(result, list) for p in result]
        rows.append((key[0], of_x, of_y))
    if problems:
        raise SheetRefused(path, sorted(problems, key=lambda p: p.line or 0))
    if not rows:
        raise InputRefused("there is no pair", path=path, line=2, remedy="give one row per pair")
    return Pairs(
        patients=tuple(row[0] for row in rows),
        x=_results([row[1] for row in rows if isinstance(row[1], _Row)]),
        y=_results([row[2] for row in rows if isinstance(row[2], _Row)]),
    )


def _places(path: Path, table: "Table", x: str, y: str) -> dict[str, int]:
    names = [cell.strip() for cell in table.header.cells]
    needed = ["patient_id", "timepoint", *(f"{m}_{c}" for m in (x, y) for c in _NEEDED)]
    optional = [f"{m}_{c}" for m in (x, y) for c in _KNOWN]
    remedy = "give each column once; methods are named by --x and --y"
    absent = Refusal("no_column", "there is no such column", remedy)
    twice = Refusal("column_twice", "the column is there more than once", remedy)
    problems = [
        (twice if name in names else absent).at(table.header.line, name)
        for name in [*needed, *optional]
        if names.count(name) > 1 or (name in needed and name not in names)
    ]
    if problems:
        raise SheetRefused(path, problems)
    return {name: names.index(name) for name in (*needed, *optional) if name in names}


def _key_problems(record: "Record", key: tuple[str, str], first: dict[tuple[str, str], int]) -> list[Problem]:
    identifier = read_identifier(key[0])
    if isinstance(identifier, Refusal):
        return [identifier.at(record.line, "patient_id")]
    earlier = first.setdefault(key, record.line)
    if earlier == record.line:
        return []
    cause = f"patient and time point are those of line {earlier}"
    return [Refusal("duplicated_pair", cause, "keep one row per pair").at(record.line, "timepoint")]


class _Row(tuple[bool, bool, float, float, float, float, str]):
    """Evaluable, detected, value, lod, numerator, denominator, reason of one result."""

    __slots__ = ()


def _result(record: "Record", cells: dict[str, str], method: str, *, fractions: bool) -> _Row | list[Problem]:
    texts = {c: cells.get(f"{method}_{c}", "") for c in (*_NEEDED, *_KNOWN)}
    texts = {c: "" if text.lower() in _EMPTY else text for c, text in texts.items()}
    nothing = float("nan")
    status = texts["status"].upper()

    def wrong(column: str, code: str, cause: str, remedy: str) -> list[Problem]:
        return [Refusal(code, cause, remedy).at(record.line, f"{method}_{column}")]

    if status and status not in _STATUSES:
        return wrong("status", "unknown_status", "is not a status", f"write one of {', '.join(_STATUSES)}")
    if not texts["detected"] or status in _UNREAD:
        reason = texts["reason"] or _UNREAD.get(status, _UNREAD["NOT_EVALUABLE"])
        return _Row((False, False, nothing, nothing, nothing, nothing, reason))
    detected = _TRUTH.get(texts["detected"].lower())
    if detected is None:
        return wrong("detected", "not_true_or_false", "is not true or false", "write true, false, or nothing")
    if status and (status == "DETECTED") != detected:
        return wrong("status", "contradiction", "contradicts the column detected", "correct one of the two")
    numbers: dict[str, float] = {}
    for column in ("value", "lod", "numerator", "denominator"):
        number = finite_number(texts[column])
        if texts[column] and number is None:
            return wrong(column, "not_a_number", "is not a number", "write it like 1.5e-5, with a point")
        numbers[column] = nothing if number is None else number
    for column, code, cause, remedy in _out_of_range(numbers, detected=detected, fractions=fractions):
        return wrong(column, code, cause, remedy)
    return _Row(
        (True, detected, numbers["value"], numbers["lod"], numbers["numerator"], numbers["denominator"], "")
    )


def _out_of_range(
    numbers: dict[str, float], *, detected: bool, fractions: bool
) -> list[tuple[str, str, str, str]]:
    """What is wrong with the numbers of one result, most telling first."""
    value, lod = numbers["value"], numbers["lod"]
    found = []
    if detected and math.isnan(value):
        found.append(("value", "no_value", "a detected result has no value", "write the value"))
    if fractions and detected and value <= 0:
        remedy = "write a fraction above 0, or false under detected"
        found.append(("value", "not_positive", "a detected result is not above 0", remedy))
    if fractions and not detected and value < 0:
        found.append(("value", "negative", "a fraction is negative", "write 0 or nothing"))
    if math.isnan(lod) and (fractions or not detected):
        remedy = "write the sample's limit of detection, or leave detected empty (not evaluable)"
        found.append(("lod", "no_limit", "the limit of detection is missing", remedy))
    if lod <= 0 and fractions:
        found.append(("lod", "not_positive", "a limit of detection is not above 0", "write a fraction"))
    for column in ("value", "lod"):
        if fractions and numbers[column] > 1:
            remedy = "divide per-million or per-cent values; --scale linear takes values of any unit"
            found.append((column, "not_a_fraction", "is above 1, so not a fraction", remedy))
    found += [
        (column, "negative", "a count is negative", "write what was counted, or nothing")
        for column in ("numerator", "denominator")
        if numbers[column] < 0
    ]
    return found


def _results(rows: Sequence[_Row]) -> "Results":
    import numpy as np

    from pipeline.concordance.pairs import Results

    evaluable, detected, value, lod, numerator, denominator, reason = zip(*rows, strict=True)
    return Results(
        evaluable=np.array(evaluable, dtype=np.bool_),
        detected=np.array(detected, dtype=np.bool_),
        value=np.array(value, dtype=np.float64),
        lod=np.array(lod, dtype=np.float64),
        numerator=np.array(numerator, dtype=np.float64),
        denominator=np.array(denominator, dtype=np.float64),
        reason=tuple(reason),
    )
