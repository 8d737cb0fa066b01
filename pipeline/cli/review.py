"""``nadir review``: arguments only."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["review"]


def review(
    batch: Annotated[
        Path, typer.Argument(metavar="BATCH", help="Folder of a finished batch.", show_default=False)
    ],
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="Port on this machine; 0 takes a free one.")
    ] = 0,
) -> None:
    """Look at results in a browser, change one with a reason, sign. Answers to this machine only.

    Changes and signatures go into the batch's audit trail at once; its tables and pages show
    them after the review ends.
    """
    from pipeline.review.server import serve

    def ready(address: str) -> None:
        typer.echo(address)
        typer.echo("Open this address; stop with Ctrl-C. Research use, not for diagnosis.", err=True)

    page = serve(batch, port, ready)
    typer.echo(f"tables and pages written: {page}", err=True)
