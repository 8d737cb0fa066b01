"""What the commands of ``nadir cfdna`` have in common: arguments."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cfdna.settings import CfdnaSettings

__all__ = [
    "Bam",
    "ConfigFile",
    "DnaNg",
    "Reference",
    "settings_of",
]

Bam = Annotated[
    Path, typer.Argument(metavar="BAM", help="Aligned, sorted, indexed BAM or CRAM.", show_default=False)
]
Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference", metavar="FA", help="FASTA with .fai; REF of the variants is checked with it."
    ),
]
DnaNg = Annotated[
    float | None,
    typer.Option("--dna-ng", min=0.0, metavar="NG", help="DNA put into the library; little is flagged."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="C.toml", help="A study's configuration; its table 'cfdna' is read."),
]


def settings_of(config: Path | None) -> "CfdnaSettings":
    """The run choices of a configuration, or the defaults."""
    from cfdna.settings import CfdnaSettings
    from pipeline.formats.toml_tables import read_settings

    return read_settings(config, "cfdna", CfdnaSettings)
