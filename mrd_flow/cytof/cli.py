"""``nadir flow cytof``: arguments only. The flow commands register `cytof`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.formats.sample_options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from mrd_flow.cytof.run import CytofResult

__all__ = ["cytof"]


def cytof(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="FCS files of one run: parts of one barcoded set, or without barcodes one per sample.",
            show_default=False,
        ),
    ],
    panel: Annotated[
        str,
        typer.Option(
            "--panel", metavar="NAME|P.toml", help="marrow, or your own template.", show_default=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", help="Folder for populations.csv, result.json and the other tables."
        ),
    ],
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", metavar="A,B", help="Two sample ids, first and second; may be given again."
        ),
    ] = None,
    samples: Annotated[
        str, typer.Option("--samples", metavar="A,B,...", help="Sample ids of the files, without barcodes.")
    ] = "",
    json_output: Json = False,
) -> None:
    """Debarcode a mass cytometry run, gate it, and count its populations per sample."""
    from mrd_flow.cytof.panel import load_cytof_panel
    from mrd_flow.cytof.read import read_run
    from mrd_flow.cytof.run import analyse_run
    from mrd_flow.cytof.tables import write_result

    template = load_cytof_panel(panel)
    pairs = [_pair(text) for text in compare or ()]
    run = read_run(files, template)
    names = tuple(samples.split(",")) if samples else ()
    result = analyse_run(run, template, samples=names, comparisons=pairs)
    written = write_result(result, run, template, out)
    if json_output:
        typer.echo(written[-1].read_text(encoding="utf-8"), nl=False)
    _show(result, out)


def _pair(text: str) -> tuple[str, str]:
    from pipeline.errors import UsageError

    names = text.split(",")
    if len(names) != 2:
        raise UsageError("--compare needs two sample ids with a comma between them")
    return names[0], names[1]


def _show(result: "CytofResult", out: Path) -> None:
    """The result for people, on stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mrd_flow.cytof.parts import LIVE_CELLS

    console = Console(stderr=True, highlight=False)
    live = {m.sample: m.cells for m in result.masking if m.population == LIVE_CELLS}
    table = Table("sample")
    table.add_column("live single cells", justify="right")
    for sample, cells in live.items():
        table.add_row(escape(sample), f"{cells:,}")
    console.print(table)
    for pair in dict.fromkeys((d.first, d.second) for d in result.differences):
        console.print(_differences(pair, result))
    console.print(
        f"{result.events:,} events, {result.beads:,} with beads, {result.live_cells:,} live single cells, "
        f"{result.assigned:,} of them assigned to {sum(map(bool, live.values()))} of {len(live)} samples"
    )
    for flag in result.flags:
        console.print(escape(f"- {flag.code}: {flag.text}"))
    console.print(escape(f"written to {out}; research use, not for diagnosis"))


def _differences(pair: tuple[str, str], result: "CytofResult") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{pair[0]} to {pair[1]}, %"), title_justify="left")
    table.add_column("population")
    for name in ("first", "second", "difference", "95 % interval"):
        table.add_column(name, justify="right")
    for d in result.differences:
        if (d.first, d.second) != pair or d.measure != "fraction" or d.difference is None:
            continue
        shares = [f"{100 * s:.2f}" for s in (d.first_fraction or 0.0, d.second_fraction or 0.0)]
        interval = f"{100 * (d.ci_low or 0.0):+.2f} to {100 * (d.ci_high or 0.0):+.2f}"
        table.add_row(escape(d.population), *shares, f"{100 * d.difference:+.2f}", interval)
    return table
