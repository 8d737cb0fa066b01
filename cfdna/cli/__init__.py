"""``nadir cfdna``: arguments only."""

import typer

from cfdna.cli.fraction import fraction
from cfdna.cli.profile import normals, profile
from cfdna.cli.samples import fragments, identity
from cfdna.cli.tracking import track

__all__ = ["app"]

app = typer.Typer(
    help="Tumour DNA in plasma and marrow: track, profile, fraction, fragments, identity.",
    no_args_is_help=True,
)


@app.callback()
def _cfdna() -> None:
    pass


for command in (track, profile, normals, fraction, fragments, identity):
    app.command()(command)
