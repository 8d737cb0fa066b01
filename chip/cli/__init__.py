"""``nadir chip``: clonal haematopoiesis in graft and blood."""

import typer

from chip.cli.call import call
from chip.cli.classify import classify
from chip.cli.cohort import cohort
from chip.cli.rules import rules
from chip.cli.series import series

__all__ = ["app"]

app = typer.Typer(help="Clonal haematopoiesis in graft and blood.", no_args_is_help=True)
app.command()(call)
app.command()(classify)
app.command()(series)
app.command()(cohort)
app.command()(rules)
