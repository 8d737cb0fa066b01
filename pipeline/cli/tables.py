"""``nadir query`` and ``export``: what a batch found, for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.formats.sample_options import Json

__all__ = ["export", "query"]

BatchFolder = Annotated[Path, typer.Argument(metavar="BATCH", help="Folder that `nadir run --out` made.")]


def query(
    batch: BatchFolder,
    sql: Annotated[str, typer.Argument(metavar="SQL", help='Such as "SELECT patient_id, value FROM mrd".')],
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated on stdout.")] = False,
    json_output: Json = False,
) -> None:
    """Answer SQL (DuckDB's) from the tables of a batch (results/*.parquet, each by its name)."""
    from pipeline.formats.atomic import canonical_json
    from pipeline.workflow.query import query_batch

    answer = query_batch(batch, sql)
    if json_output:
        rows = [dict(zip(answer.columns, map(_plain, row), strict=True)) for row in answer.rows]
        typer.echo(canonical_json(rows), nl=False)
    elif csv:
        from pipeline.formats.csv_table import csv_text

        cells = [["" if v is None else str(v) for v in row] for row in answer.rows]
        typer.echo(csv_text([answer.columns, *cells]), nl=False)
    else:
        _print_table(answer.columns, answer.rows)


def export(
    batch: BatchFolder,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into.")],
    form: Annotated[
        str, typer.Option("--as", metavar="FORM", help="csv, parquet, or crate (an RO-Crate with pages).")
    ] = "csv",
) -> None:
    """Write a batch's results in another form."""
    from pipeline.workflow.export import FORMS, export_batch

    if form not in FORMS:
        raise UsageError(f"--as is one of {', '.join(FORMS)}")
    written = export_batch(batch, out, form=form)
    typer.echo(f"{len(written)} files written to {out}", err=True)


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _print_table(columns: tuple[str, ...], rows: tuple[tuple[object, ...], ...]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*map(escape, columns))
    for row in rows:
        table.add_row(*("" if v is None else escape(str(v)) for v in row))
    Console(highlight=False).print(table)
