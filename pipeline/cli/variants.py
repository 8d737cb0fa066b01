"""``nadir variants``: variants on the genome and what they do."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.variants_align import align
from pipeline.cli.variants_call import background, call
from pipeline.cli.variants_simulate import simulate
from pipeline.errors import UsageError

__all__ = ["app"]

app = typer.Typer(help="Variants on the genome: from reads to calls with names.", no_args_is_help=True)


for command in (align, call, background, simulate):
    app.command()(command)


@app.callback()
def _variants() -> None:
    pass


@app.command()
def annotate(
    variants: Annotated[
        Path, typer.Argument(metavar="IN.vcf", help="VCF, VCF.gz or BCF.", show_default=False)
    ],
    reference: Annotated[
        Path, typer.Option("--reference", metavar="FA", help="FASTA with .fai, of the same build.")
    ],
    genes: Annotated[
        Path, typer.Option("--genes", metavar="GFF3", help="Gene models: Ensembl, GENCODE or RefSeq.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="X.vcf.gz", help="VCF to write; .gz is bgzipped.")],
    isoforms: Annotated[
        Path | None,
        typer.Option(
            "--isoforms",
            metavar="TOML",
            help='Transcripts under [isoforms], GENE = "ID" [MANE Select, else canonical, else longest CDS].',
        ),
    ] = None,
    merge_phased: Annotated[
        bool,
        typer.Option(
            "--merge-phased",
            help="Name substitutions of one haplotype (GT with |, PS) that touch or share a codon as one.",
        ),
    ] = False,
    parentheses: Annotated[
        bool, typer.Option("--parentheses", help="p.(Arg882His): the protein is predicted, not seen.")
    ] = False,
) -> None:
    """HGVS names, genes and consequences in INFO (HGVSC, HGVSP, HGVSG, GENE, CSQ).

    Multi-allelic records are split. A REF that is not the reference's is refused; what N in the
    reference leaves open is said in ANNOTATION_NOTE.
    """
    from pipeline.variants.annotate import AnnotationSettings, annotate_vcf
    from pipeline.variants.effect import NOTES, Annotator
    from pipeline.variants.gene_models import read_gene_models, read_isoforms
    from pipeline.variants.reference import Reference

    if out.resolve() == variants.resolve():
        raise UsageError("--out is the file to read: name another")
    chosen = None if isoforms is None else read_isoforms(isoforms)
    settings = AnnotationSettings(merge_phased=merge_phased, parentheses=parentheses)
    with Reference(reference) as bases:
        models = read_gene_models(genes, isoforms=chosen, reference=bases)
        tally = annotate_vcf(variants, out, Annotator(bases, models), settings)
    unnamed = f", {tally.unnamed} without an allele in bases" if tally.unnamed else ""
    merged = f", {tally.merged} named together with their neighbours" if tally.merged else ""
    typer.echo(f"{tally.alleles} alternative alleles{unnamed}{merged} in {out}; research use only", err=True)
    for note, count in sorted(tally.notes.items()):
        typer.echo(f"  {count} with {note}: {NOTES[note]}", err=True)
