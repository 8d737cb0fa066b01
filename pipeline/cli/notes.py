"""What was mended or left out, said on stderr."""

from collections.abc import Sequence

import typer

__all__ = ["say"]

_NOTES_SHOWN = 20


def say(notes: Sequence[str]) -> None:
    """Notes on stderr; a table in another unit throughout has one per row, and the first tell it."""
    for note in notes[:_NOTES_SHOWN]:
        typer.echo(note, err=True)
    if len(notes) > _NOTES_SHOWN:
        typer.echo(f"and {len(notes) - _NOTES_SHOWN} more of the kind", err=True)
