"""Options that every assay's command on one sample has, and how such a command ends."""

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "NO_DATE",
    "CollectedOn",
    "Json",
    "MaterialName",
    "Patient",
    "Timepoint",
    "say",
    "write_document",
]

NO_DATE = "1900-01-01"

Patient = Annotated[str, typer.Option("--patient", metavar="ID", help="Pseudonym written into the result.")]
Timepoint = Annotated[str, typer.Option("--timepoint", metavar="CODE", help="Code written into the result.")]
CollectedOn = Annotated[
    str,
    typer.Option(
        "--collected-on",
        metavar="YYYY-MM-DD",
        help="Date written into the result; 1900-01-01 stands for not given.",
    ),
]
MaterialName = Annotated[
    str,
    typer.Option(
        "--material",
        help="bone_marrow, peripheral_blood, plasma or stem_cell_product; written into the result.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]


def write_document(out: Path, document: dict[str, Any], json_output: bool) -> None:
    """Write a JSON file, and print it where asked to."""
    from pipeline.formats.atomic import canonical_json, write_json

    write_json(out, document)
    if json_output:
        typer.echo(canonical_json(document), nl=False)


def say(text: str) -> None:
    """A line for people."""
    typer.echo(text, err=True)
