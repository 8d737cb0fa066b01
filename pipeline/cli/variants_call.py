"""``nadir variants call|background``: variants of a BAM file, and the errors they must exceed."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

__all__ = ["background", "call"]

_Reference = Annotated[Path, typer.Option("--reference", metavar="FA", help="FASTA with .fai.")]
_Targets = Annotated[Path, typer.Option("--targets", metavar="BED", help="Where to look.")]
_Umi = Annotated[
    str, typer.Option("--umi", metavar="tag|header|none|inline:4+4", help="Where reads have their UMIs.")
]
_Threads = Annotated[int, typer.Option("--threads", min=1, help="Changes no result.")]


def call(
    bam: Annotated[Path, typer.Argument(metavar="BAM", help="BAM or CRAM.", show_default=False)],
    reference: _Reference,
    targets: _Targets,
    out: Annotated[Path, typer.Option("--out", metavar="X.vcf.gz", help="VCF 4.4 to write, bgzipped.")],
    background: Annotated[
        Path | None,
        typer.Option(
            "--background", metavar="B.parquet", help="Errors of controls [the sample's own, conservatively]."
        ),
    ] = None,
    umi: _Umi = "tag",
    sites: Annotated[
        Path | None,
        typer.Option("--sites", metavar="V.vcf", help="Variants that get a record whatever is seen."),
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option("--limits", metavar="X.tsv.gz", help="Depth and limit of detection of every site."),
    ] = None,
    false_calls_per_mb: Annotated[
        float, typer.Option("--false-calls-per-mb", help="Accepted calls by error alone.")
    ] = 0.5,
    min_molecules: Annotated[int, typer.Option("--min-molecules", min=1, help="Fewest of a call.")] = 2,
    sample: Annotated[
        str | None, typer.Option("--sample", help="Name in the VCF [the file's, without suffix].")
    ] = None,
    threads: _Threads = 1,
) -> None:
    """Variants of molecules, each with its interval and its limit of detection.

    Rejected candidates stay in the file with their reasons; docs/methods/variant_calls.md lists the fields.
    """
    from pipeline.formats.bed import read_targets
    from pipeline.model.sample import looks_personal
    from pipeline.variants.calling.background import read_background
    from pipeline.variants.calling.files import call_bam, read_asked
    from pipeline.variants.calling.settings import CallSettings
    from pipeline.variants.molecules.settings import MoleculeSettings, UmiSource
    from pipeline.variants.reference import Reference

    if not out.name.endswith(".vcf.gz"):
        raise UsageError("--out is written bgzipped: give a name that ends in .vcf.gz")
    name = sample or bam.name.split(".")[0] or "sample"
    if looks_personal(name) or not name.isprintable() or any(c in name for c in "\t "):
        raise UsageError("--sample is a pseudonym of letters, digits, _ and -")
    settings = CallSettings(false_calls_per_mb=false_calls_per_mb, min_molecules=min_molecules)
    molecules = MoleculeSettings(umi=UmiSource.parse(umi))
    errors = None if background is None else read_background(background)
    with Reference(reference) as bases:
        regions = read_targets(targets, bases.lengths_nt)
        asked = None if sites is None else read_asked(sites, bases)
        tally = call_bam(
            bam, out, bases, regions, molecules, settings, sample=name, background=errors, asked=asked,
            limits=limits, threads=threads,
        )  # fmt: skip
    learned = f"{errors.samples} controls" if errors is not None else "the sample itself, outside candidates"
    typer.echo(
        f"{tally.called} called, {tally.rejected} rejected with their reasons, at {tally.sites:,} sites; "
        f"background from {learned}; research use only",
        err=True,
    )
    if tally.median_limit is not None:
        typer.echo(
            f"  limit of detection: VAF {tally.median_limit:.3g}, median of {tally.sites_with_limit:,} sites",
            err=True,
        )


def background(
    bams: Annotated[list[Path], typer.Argument(metavar="BAM…", help="Controls, two or more.")],
    reference: _Reference,
    targets: _Targets,
    out: Annotated[Path, typer.Option("--out", metavar="B.parquet")],
    umi: _Umi = "tag",
    threads: _Threads = 1,
) -> None:
    """Error rates of control samples by context, strand class and site, for `nadir variants call`."""
    from pipeline.formats.bed import read_targets
    from pipeline.variants.calling.background import write_background
    from pipeline.variants.calling.files import learn_background
    from pipeline.variants.calling.settings import CallSettings
    from pipeline.variants.molecules.settings import MoleculeSettings, UmiSource
    from pipeline.variants.reference import Reference

    if len({path.resolve() for path in bams}) < 2:
        raise UsageError("a background needs two controls or more; without one, the sample teaches itself")
    molecules = MoleculeSettings(umi=UmiSource.parse(umi))
    with Reference(reference) as bases:
        regions = read_targets(targets, bases.lengths_nt)
        learned = learn_background(bams, bases, regions, molecules, CallSettings(), threads=threads)
    write_background(out, learned)
    means = learned.substitution.mean(axis=(0, 1))
    typer.echo(
        f"{learned.samples} controls; errors per base and molecule: one read {means[0]:.2g}, "
        f"family {means[1]:.2g}, duplex {means[2]:.2g}",
        err=True,
    )
