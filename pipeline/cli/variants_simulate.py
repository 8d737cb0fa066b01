"""``nadir variants simulate``: libraries with known variants."""

from pathlib import Path
from typing import Annotated, cast

import typer

from pipeline.errors import UsageError

__all__ = ["simulate"]


def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into.")],
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FA", help="FASTA with .fai [one is made up]."),
    ] = None,
    targets: Annotated[
        Path | None, typer.Option("--targets", metavar="BED", help="Where molecules lie [every 2 kb].")
    ] = None,
    variants: Annotated[
        Path | None,
        typer.Option("--variants", metavar="VCF", help="Plant these (INFO VAF) instead of drawing some."),
    ] = None,
    vaf: Annotated[
        list[float] | None,
        typer.Option("--vaf", help="VAFs dealt to drawn variants, repeatable [0.05 0.01 0.005 0.001]."),
    ] = None,
    snvs: Annotated[int, typer.Option("--snvs", min=0, help="Substitutions to draw.")] = 8,
    insertions: Annotated[int, typer.Option("--insertions", min=0)] = 4,
    deletions: Annotated[int, typer.Option("--deletions", min=0)] = 4,
    mnvs: Annotated[int, typer.Option("--mnvs", min=0, help="Substitutions of 2 or 3 bases.")] = 0,
    complexes: Annotated[int, typer.Option("--complex", min=0, help="Deletions with insertion.")] = 0,
    snps: Annotated[int, typer.Option("--snps", min=0, help="Germline polymorphisms of each library.")] = 10,
    depth_molecules: Annotated[
        float, typer.Option("--depth-molecules", help="Sequenced molecules over a base.")
    ] = 1000.0,
    family_mean: Annotated[
        float, typer.Option("--family-mean", help="Mean read pairs of a strand of a molecule.")
    ] = 2.0,
    read_length: Annotated[int, typer.Option("--read-length")] = 100,
    umi: Annotated[str, typer.Option("--umi", metavar="duplex|single|none")] = "duplex",
    umi_in: Annotated[
        str, typer.Option("--umi-in", metavar="name|inline", help="Where FASTQ has UMIs; BAM has RX.")
    ] = "name",
    controls: Annotated[
        int, typer.Option("--controls", min=0, help="Further libraries without planted variants.")
    ] = 0,
    fastq: Annotated[bool, typer.Option("--fastq", help="Write FASTQ beside BAM.")] = False,
    seed: Annotated[int, typer.Option("--seed")] = 1,
) -> None:
    """UMI libraries with known variants and errors: BAM, FASTQ, truth VCF, error counts.

    DIR gets sample.bam, control_N.bam, a NAME.truth.vcf.gz of each, targets.bed and truth.json.
    """
    from pipeline.variants.simulation.design import LibraryDesign, UmiLayout
    from pipeline.variants.simulation.series import SeriesPlan, write_series

    if umi not in ("duplex", "single", "none"):
        raise UsageError(f"--umi is duplex, single or none, not {umi}")
    if umi_in not in ("name", "inline"):
        raise UsageError(f"--umi-in is name or inline, not {umi_in}")
    if reference is None and (targets or variants):
        raise UsageError("--targets and --variants need --reference")
    vafs = tuple(vaf or (0.05, 0.01, 0.005, 0.001))
    if not all(0 <= v <= 1 for v in vafs):
        raise UsageError("--vaf lies between 0 and 1")
    design = LibraryDesign(
        depth_molecules=depth_molecules,
        family_mean=family_mean,
        read_nt=read_length,
        umi=cast("UmiLayout", umi),
    )
    counts = {
        "snv": snvs, "insertion": insertions, "deletion": deletions, "mnv": mnvs, "complex": complexes
    }  # fmt: skip
    plan = SeriesPlan(
        vafs=vafs,
        counts=tuple(counts.items()),  # type: ignore[arg-type]
        variants=variants,
        snps=snps,
        controls=controls,
        fastq=fastq,
        umi_in=umi_in,
    )
    truth = write_series(out, plan, design, seed=seed, reference=reference, targets=targets)
    for name, library in truth["libraries"].items():
        typer.echo(
            f"{name}: {library['molecules']:,} molecules, {library['duplex_molecules']:,} of them duplex, "
            f"{library['read_pairs']:,} read pairs",
            err=True,
        )
