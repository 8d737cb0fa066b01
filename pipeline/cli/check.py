"""``nadir check``: everything that is wrong with a sample sheet, in one pass."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import ConfigRefused, Problem, printable
from pipeline.formats.sample_options import Json

if TYPE_CHECKING:
    from pipeline.formats.samplesheet import SheetCheck
    from pipeline.model import Sample
    from pipeline.workflow.config import Config

__all__ = ["check"]

_REFUSED = 3
_EXAMPLES = 3  # file names or lines shown of a repeated warning on a terminal


def check(
    sheet: Annotated[
        Path, typer.Argument(metavar="SHEET", help="Sample sheet, CSV or TSV.", show_default=False)
    ],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Study and assay configuration, TOML.", show_default=False),
    ] = None,
    json_output: Json = False,
) -> None:
    """Check a sample sheet: every problem at once, with its line, column, cause and remedy.

    Exit code 0 where the sheet can be run, 3 where it cannot. Warnings refuse nothing.
    """
    from pipeline.workflow.config import load_config

    try:
        settings = load_config(config)
    except ConfigRefused as refused:
        if not json_output:
            raise
        _show_json((_config_problem(refused),), (), 0)
        raise typer.Exit(_REFUSED) from refused
    found = _checked(sheet, settings)
    warnings = (*found.warnings, *_not_run(found.samples, settings))
    if json_output:
        _show_json(found.problems, warnings, len(found.samples))
    elif sys.stdout.isatty():
        _show_tables(sheet, found.problems, warnings)
    else:
        _show_lines(sheet, found.problems, warnings)
    if not json_output:
        _show_summary(sheet, found.problems, warnings)
        if found.samples:
            _show_work(found.samples, settings)
    if found.problems:
        raise typer.Exit(_REFUSED)


def _checked(sheet: Path, config: "Config") -> "SheetCheck":
    from pipeline.formats.samplesheet import check_sheet
    from pipeline.workflow.config import shipped_panels

    return check_sheet(
        sheet,
        study_id=config.study_id,
        timepoints=config.timepoint_codes,
        panels=shipped_panels(),
        baseline=config.baseline,
    )


def _not_run(samples: Sequence["Sample"], config: "Config") -> tuple[Problem, ...]:
    """A warning for each assay that the sheet may hold but this version cannot analyse."""
    first = {s.assay: s.line for s in reversed(samples) if s.assay not in config.settings}
    return tuple(
        Problem(
            line=line,
            column="assay",
            code="assay_not_run",
            cause=f"{assay} cannot be analysed by this version",
            remedy=f"`nadir run` takes {', '.join(config.settings)}; leave the other rows out for it",
        )
        for assay, line in first.items()
    )


def _config_problem(refused: ConfigRefused) -> Problem:
    return Problem(
        line=refused.line,
        column=None,
        code="config_refused",
        cause=str(refused).rstrip("."),
        remedy=refused.remedy or "correct the configuration",
    )


def _show_json(problems: Sequence[Problem], warnings: Sequence[Problem], samples: int) -> None:
    from pipeline.formats.atomic import canonical_json
    from pipeline.formats.records import to_json

    value = {
        "ok": not problems,
        "problems": [to_json(p) for p in problems],
        "warnings": [to_json(w) for w in warnings],
        "samples": samples,
    }
    typer.echo(canonical_json(value), nl=False)


def _show_lines(sheet: Path, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    for found, kind in ((problems, ""), (warnings, "warning: ")):
        for p in found:
            place = printable(sheet.name) if p.line is None else f"{printable(sheet.name)}:{p.line}"
            column = "" if p.column is None else f" {p.column}:"
            typer.echo(f"{place}:{column} {kind}{p.cause} -> {p.remedy}")


def _show_tables(sheet: Path, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    """Problems by line; warnings of one kind together, as a study without digests has hundreds."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for title, style, rows in (
        (f"{printable(sheet.name)}: problems", "bold red", _by_line(problems)),
        (f"{printable(sheet.name)}: warnings", "yellow", _by_code(warnings)),
    ):
        if not rows:
            continue
        table = Table(
            title=Text(title, style=style),
            title_justify="left",
            box=SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
        )
        table.add_column("line", justify="right", no_wrap=True)
        table.add_column("column", style="cyan", no_wrap=True)
        table.add_column("what is wrong", overflow="fold", ratio=4)
        table.add_column("what to do", style="green", overflow="fold", ratio=5)
        for line, *texts in rows:
            table.add_row(line, *(Text(text) for text in texts))
        console.print(table)
        console.print()


def _by_line(problems: Sequence[Problem]) -> list[tuple[str, str, str, str]]:
    rows = []
    for i, p in enumerate(problems):
        again = i > 0 and problems[i - 1].line == p.line
        rows.append(("" if again or p.line is None else str(p.line), p.column or "", p.cause, p.remedy))
    return rows


def _by_code(warnings: Sequence[Problem]) -> list[tuple[str, str, str, str]]:
    groups: dict[str, list[Problem]] = {}
    for warning in warnings:
        groups.setdefault(warning.code, []).append(warning)
    rows = []
    for group in groups.values():
        rows += _by_line(group[:_EXAMPLES])
        if len(group) > _EXAMPLES:
            rows.append(("…", "", f"and {len(group) - _EXAMPLES} more of this kind", "--json lists them all"))
    return rows


def _show_summary(sheet: Path, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    name = printable(sheet.name)
    noted = f", {_counted(len(warnings), 'warning')}" if warnings else ""
    if problems:
        lines = len({p.line for p in problems if p.line is not None})
        where = f" on {_counted(lines, 'line')}" if lines else ""
        typer.echo(f"{name} cannot be run: {_counted(len(problems), 'problem')}{where}{noted}")
    else:
        typer.echo(f"{name} can be run: no problem{noted}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _show_work(samples: Sequence["Sample"], config: "Config") -> None:
    """Samples by method and time point: what `nadir run` will do."""
    own = [s for s in samples if not s.is_control]
    patients, tasks = {s.patient_id for s in own}, {(s.patient_id, s.assay) for s in own}
    present = {s.timepoint for s in own}
    codes = [code for code in config.timepoint_codes if code in present]
    methods = sorted({_method(s) for s in own})
    rows = [["samples", *codes]]
    for method in methods:
        mine = [s.timepoint for s in own if _method(s) == method]
        rows.append([method, *(str(mine.count(code) or "-") for code in codes)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    counts = [(len(patients), "patient"), (len(own), "sample"), (len(tasks), "task")]
    counts += [(len(samples) - len(own), "run control")] if len(own) < len(samples) else []
    typer.echo(f"study {config.study_id}: {', '.join(_counted(n, what) for n, what in counts)}\n")
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        typer.echo("  " + "  ".join(cells))


def _method(sample: "Sample") -> str:
    """The sample's method; a panel given as a file goes by the file's name."""
    return f"{sample.assay}:{Path(sample.panel).stem}" if sample.panel else str(sample.assay)
