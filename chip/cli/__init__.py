"""``nadir chip``: clonal haematopoiesis in graft and blood."""

import typer

from chip.cli.classify import classify
from chip.cli.rules import rules

__all__ = ["app"]

app = typer.Typer(help="Clonal haematopoiesis in graft and blood.", no_args_is_help=True)
app.command()(classify)
app.command()(rules)
