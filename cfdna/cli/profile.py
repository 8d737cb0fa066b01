"""``nadir cfdna profile|normals``: arms and IGH partners of a tumour."""

from pathlib import Path
from typing import Annotated

import typer

from cfdna.cli.options import Bam, ConfigFile, settings_of
from pipeline.formats.sample_options import Json, say, write_document

__all__ = ["normals", "profile"]

Targets = Annotated[Path, typer.Option("--targets", metavar="BED", help="The panel's targets.")]


def profile(
    bam: Bam,
    targets: Targets,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="arms.csv, partners.csv, karyotype.bed.")],
    normals: Annotated[
        Path | None,
        typer.Option(
            "--normals", metavar="N.parquet", help="What `nadir cfdna normals` wrote; else no arms."
        ),
    ] = None,
    partners: Annotated[
        Path | None, typer.Option("--partners", metavar="TOML", help="Own baits and partner regions.")
    ] = None,
    config: ConfigFile = None,
    json_output: Json = False,
) -> None:
    """Arms gained or lost against normal samples, purity, and partners of the IGH locus (GRCh38)."""
    from cfdna.profile.report_files import profile_tumour, write_profile
    from pipeline.formats.bed import read_targets

    settings = settings_of(config)
    found = profile_tumour(bam, read_targets(targets), settings, normals=normals, partners=partners)
    write_document(out / "profile.json", write_profile(out, found), json_output)
    if found.arms is None:
        say("arms: not evaluable without --normals")
    else:
        altered = [
            f"{a.arm} {a.state}" for a in found.arms.arms if a.state not in ("neutral", "not_evaluable")
        ]
        purity = f"purity {found.arms.purity:.2f}; {found.arms.reason}"
        say(f"arms: {', '.join(altered) or 'none altered'}; {purity}")
    for call in found.partners:
        say(f"{call.event} IGH::{call.partner}: {call.fragments} fragments, {call.split_fragments} split")
    if not found.partners:
        say(f"partners: none among {found.junctions} fragments that join the baits to a partner region")


def normals(
    bams: Annotated[
        list[Path], typer.Argument(metavar="BAM...", help="Normal samples of the panel.", show_default=False)
    ],
    targets: Targets,
    out: Annotated[Path, typer.Option("--out", metavar="N.parquet", help="Counts by target.")],
    config: ConfigFile = None,
) -> None:
    """Depth of normal samples, with which a tumour's is compared; at least five are asked for."""
    import numpy as np

    from cfdna.profile.target_depth import count_targets, write_normals
    from pipeline.formats.bed import read_targets

    settings, regions = settings_of(config), read_targets(targets)
    quality = settings.mapping_quality_min
    counts = np.array([count_targets(bam, regions, mapping_quality_min=quality) for bam in bams])
    write_normals(out, regions, counts)
    say(f"{len(bams)} normal samples over {len(regions)} targets written to {out}")
