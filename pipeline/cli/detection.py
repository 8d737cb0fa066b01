"""``nadir detection``: the limits of an assay, from a study of blanks and dilutions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.figures import Language, words_of, write_figures
from pipeline.errors import Problem, SheetRefused, UsageError
from pipeline.formats.csv_table import number_cell, write_csv
from pipeline.formats.named_cells import finite_number, named_cells
from pipeline.formats.sheet_cells import Refusal

if TYPE_CHECKING:
    from pipeline.detection.study import LevelSummary, Study
    from pipeline.detection.study_rows import Limit, StudyResults
    from pipeline.formats.delimited import Record

__all__ = ["app"]

app = typer.Typer(
    help="Limits of an assay: blank, detection, quantification, linearity.", no_args_is_help=True
)

_NEEDED = ("level", "value")
_OPTIONAL = ("detected", "lot", "sample")
_FOUND = {"": -1, "1": 1, "true": 1, "yes": 1, "0": 0, "false": 0, "no": 0}
_LIMIT_COLUMNS = ("lot", "parameter", "method", "estimate", "ci_low", "ci_high", "n", "reason", "note")
_LEVEL_COLUMNS = (
    "level", "results", "detected", "hit_rate", "hit_rate_low", "hit_rate_high", "mean", "sd", "cv", "bias",
    "total_error", "deviation_log10", "deviation_low", "deviation_high", "within",
)  # fmt: skip


@app.callback()
def _group() -> None:
    """A group, although it holds one command so far."""


@app.command()
def study(
    dilutions: Annotated[
        Path,
        typer.Argument(
            metavar="DILUTIONS.csv",
            help="One row a result: level (nominal fraction, 0 for a blank), value; optional detected, "
            "lot, sample.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for limits.csv and levels.csv.")],
    alpha: Annotated[
        float, typer.Option("--alpha", help="Share of blanks that may lie above the limit of blank.")
    ] = 0.05,
    goal_cv: Annotated[
        float, typer.Option("--goal-cv", help="Coefficient of variation from which a number is stated.")
    ] = 0.35,
    goal_total_error: Annotated[
        float, typer.Option("--goal-total-error", help="|bias| + 2 SD accepted, as a share of the level.")
    ] = 0.7,
    goal_deviation: Annotated[
        float, typer.Option("--goal-deviation", help="Departure from the line accepted, in log10 units.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap; same seed, same bytes.")] = 1,
    language: Language = "en",
) -> None:
    """Limits of blank, detection and quantification and linearity by CLSI EP17-A2 and EP06.

    DIR/figures holds precision.svg, hit_rate.svg and linearity.svg. The goals are the laboratory's
    own; their defaults are choices of this project.
    """
    import numpy as np

    from pipeline.detection.study import run_study
    from pipeline.detection.study_rows import StudyGoals
    from pipeline.report.figures.assay_limits import hit_rate_figure, linearity_figure, precision_figure

    texts = words_of(language)
    try:
        goals = StudyGoals(
            alpha=alpha, cv=goal_cv, total_error=goal_total_error, deviation_log10=goal_deviation
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    results = _read(dilutions)
    found = run_study(results, goals, rng=np.random.default_rng(seed))
    write_csv(out / "limits.csv", _LIMIT_COLUMNS, map(_limit_cells, found.limits))
    write_csv(out / "levels.csv", _LEVEL_COLUMNS, _level_rows(found))
    write_figures(
        out / "figures",
        {
            "precision": lambda: precision_figure(results, found, goals, texts),
            "hit_rate": lambda: hit_rate_figure(found, texts),
            "linearity": lambda: linearity_figure(results, found, goals, texts),
        },
    )
    _show(found.limits)
    typer.echo(f"wrote {out / 'limits.csv'} and {out / 'levels.csv'}", err=True)


def _limit_cells(limit: "Limit") -> list[str]:
    low, high = limit.ci or (None, None)
    numbers = [number_cell(v) for v in (limit.estimate, low, high)]
    return [limit.lot, limit.parameter, limit.method, *numbers, str(limit.n), limit.reason, limit.note]


def _level_rows(study: "Study") -> list[list[str]]:
    line = {} if study.linearity is None else {level.level: level for level in study.linearity.levels}
    rows = []
    for level in study.levels:
        cells = _level_cells(level)
        deviation = line.get(level.level)
        if deviation is None:
            rows.append([*cells, "", "", "", ""])
            continue
        numbers = (deviation.deviation, *deviation.ci)
        rows.append([*cells, *map(number_cell, numbers), "true" if deviation.within else "false"])
    return rows


def _level_cells(level: "LevelSummary") -> list[str]:
    shares = (level.detected / level.results, *level.hit_rate_ci)
    numbers = (*shares, level.mean, level.sd, level.cv, level.bias, level.total_error)
    return [number_cell(level.level), str(level.results), str(level.detected), *map(number_cell, numbers)]


def _show(limits: Sequence["Limit"]) -> None:
    """The assay's own limits, for people; those of single lots stand in the table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("limit", "method", "estimate", "95 % interval", "remark")
    for limit in limits:
        if limit.lot not in ("all", "largest"):
            continue
        interval = "" if limit.ci is None else f"{limit.ci.low:.3g} to {limit.ci.high:.3g}"
        shown = "-" if limit.estimate is None else f"{limit.estimate:.3g}"
        remark = limit.reason or limit.note
        table.add_row(limit.parameter, limit.method, shown, interval, escape(remark))
    console = Console(stderr=True, highlight=False)
    console.print(table)
    console.print("research use, not for diagnosis")


def _read(path: Path) -> "StudyResults":
    """The study's results, or every problem of the file at once."""
    import numpy as np

    from pipeline.detection.study_rows import StudyResults
    from pipeline.formats.delimited import read_table
    from pipeline.formats.named_cells import named_columns

    table = read_table(path, (*_NEEDED, *_OPTIONAL))
    names = named_columns(table, _NEEDED, path=path, remedy="give level and value once each")
    read = [_row(record, names) for record in table.records]
    problems = [row for row in read if isinstance(row, Problem)]
    rows = [row for row in read if not isinstance(row, Problem)]
    if problems or not rows:
        empty = Refusal("no_results", "there is no result", "give one row a result")
        raise SheetRefused(path, problems or [empty.at(table.header.line, "value")])
    level, value, detected, lot, sample = zip(*rows, strict=True)
    return StudyResults(
        level=np.array(level, np.float64),
        value=np.array(value, np.float64),
        detected=np.array(detected, np.int8),
        lot=lot,
        sample=sample,
    )


def _row(record: "Record", names: Sequence[str]) -> tuple[float, float, int, str, str] | Problem:
    cells = named_cells(record, names)
    if isinstance(cells, Refusal):
        return cells.at(record.line, None)
    numbers = []
    for column in _NEEDED:
        number = finite_number(cells[column])
        if number is None or number < 0:
            remedy = "write it like 1.5e-5; a result that found nothing is 0"
            return Refusal("not_a_number", "is not a number of at least 0", remedy).at(record.line, column)
        numbers.append(number)
    detected = _FOUND.get(cells.get("detected", "").lower())
    if detected is None:
        refusal = Refusal("not_true_or_false", "is not true or false", "write 1, 0 or nothing")
        return refusal.at(record.line, "detected")
    return numbers[0], numbers[1], detected, cells.get("lot", ""), cells.get("sample", "")
