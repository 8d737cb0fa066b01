"""``nadir ngs``: arguments only."""

import typer

from mrd_ngs.cli.libraries import annotate, clones, index, track
from mrd_ngs.cli.runs import control, simulate

__all__ = ["app"]

app = typer.Typer(
    help="Sequencing MRD: find the clone at diagnosis, follow it as cells per million.", no_args_is_help=True
)
for command in (annotate, index, track, clones, control, simulate):
    app.command()(command)
