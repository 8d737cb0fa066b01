"""``nadir flow export``: arguments only. The flow commands register `export`."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="One tube of the result's sample.", show_default=False)
    ],
    result: Annotated[
        Path, typer.Option("--result", metavar="R.json", help="Result of nadir flow mrd.", show_default=False)
    ],
    form: Annotated[
        str, typer.Option("--as", metavar="FORM", help="gatingml, fcs or miflowcyt.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="File to write.", show_default=False)],
    gate: Annotated[
        str, typer.Option("--gate", metavar="NAME", help="With fcs: whose events; else the plasma cells.")
    ] = "",
    events: Annotated[
        Path | None,
        typer.Option(
            "--events",
            metavar="X.parquet",
            help="With fcs: table of nadir flow mrd --events, whose classes become parameters.",
        ),
    ] = None,
    panel: Annotated[
        str, typer.Option("--panel", metavar="P.toml", help="Template, where the result's does not ship.")
    ] = "",
) -> None:
    """Write the gates, the gated cells or the record of one tube for other programs."""
    from mrd_flow.export.tube import export_tube

    written = export_tube(file, result, form, out, gate=gate, cells=events, panel=panel)
    typer.echo(f"{written} {'events' if form == 'fcs' else 'gates'}; written to {out}", err=True)
