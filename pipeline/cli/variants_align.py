"""``nadir variants align``."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

__all__ = ["align"]


def align(
    reads: Annotated[Path, typer.Argument(metavar="READS", help="FASTQ of read 1.", show_default=False)],
    mates: Annotated[Path, typer.Argument(metavar="MATES", help="FASTQ of read 2.", show_default=False)],
    reference: Annotated[Path, typer.Option("--reference", metavar="FA", help="FASTA with .fai.")],
    out: Annotated[Path, typer.Option("--out", metavar="X.bam", help="BAM to write; its .bai beside it.")],
    umi: Annotated[
        str, typer.Option("--umi", metavar="header|inline:4+4|none", help="Where UMIs are; they become RX.")
    ] = "none",
    aligner: Annotated[
        str,
        typer.Option(
            "--aligner",
            metavar="auto|bwa-mem2|bwa|minimap2",
            help="auto: bwa-mem2 or bwa where installed and indexed.",
        ),
    ] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="For bwa and sorting.")] = 1,
) -> None:
    """FASTQ pairs to a sorted, indexed BAM whose reads carry their UMIs and whose contigs have MD5s."""
    from pipeline.variants.alignment import align_reads
    from pipeline.variants.molecules.settings import UmiSource
    from pipeline.variants.reference import Reference

    source = UmiSource.parse(umi)
    if source.kind == "tag":
        raise UsageError("FASTQ has no tags. Expected: --umi header, inline:4+4 or none")
    if out.suffix != ".bam":
        raise UsageError("--out is a BAM file. Expected: a name that ends in .bam")
    with Reference(reference) as bases:
        tally = align_reads(reads, mates, bases, out, umi=source, aligner=aligner, threads=threads)
    typer.echo(
        f"{tally.pairs:,} pairs by {tally.aligner}, {tally.alignments:,} alignments, "
        f"{tally.unmapped:,} reads unmapped, in {out}",
        err=True,
    )
