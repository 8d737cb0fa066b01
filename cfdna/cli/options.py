"""What the commands of ``nadir cfdna`` have in common: arguments, and what they print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cfdna.settings import CfdnaSettings

__all__ = [
    "NO_DATE",
    "Bam",
    "CollectedOn",
    "ConfigFile",
    "DnaNg",
    "Json",
    "MaterialName",
    "Patient",
    "Reference",
    "Timepoint",
    "say",
    "settings_of",
    "write_document",
]

NO_DATE = "1900-01-01"

Bam = Annotated[
    Path, typer.Argument(metavar="BAM", help="Aligned, sorted, indexed BAM or CRAM.", show_default=False)
]
Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference", metavar="FA", help="FASTA with .fai; REF of the variants is checked with it."
    ),
]
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
        help="plasma, bone_marrow, peripheral_blood or stem_cell_product; written into the result.",
    ),
]
DnaNg = Annotated[
    float | None,
    typer.Option("--dna-ng", min=0.0, metavar="NG", help="DNA put into the library; little is flagged."),
]
Json = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="C.toml", help="A study's configuration; its table 'cfdna' is read."),
]


def settings_of(config: Path | None) -> "CfdnaSettings":
    """The run choices of a configuration, or the defaults."""
    from cfdna.settings import CfdnaSettings
    from pipeline.formats.toml_tables import read_settings

    return read_settings(config, "cfdna", CfdnaSettings)


def write_document(out: Path, document: dict[str, Any], json_output: bool) -> None:
    """Write a JSON file, and print it where asked to."""
    from pipeline.formats.atomic import canonical_json, write_json

    write_json(out, document)
    if json_output:
        typer.echo(canonical_json(document), nl=False)


def say(text: str) -> None:
    """A line for people."""
    typer.echo(text, err=True)
