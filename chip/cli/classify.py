"""``nadir chip classify``: variants that are already called or listed, held against the rules."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chip.cli import options as o
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from chip.evidence import GeneCoverage
    from chip.settings import ChipSettings

__all__ = ["classify"]


def classify(
    variants: Annotated[
        Path, typer.Argument(metavar="VARIANTS.vcf|.tsv", help="One sample.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="chip.tsv", help="Beside it chip.genes.tsv and chip.result.json.")
    ],
    rules: o.Rules = "topmed_2022",
    sex: o.SexOption = None,
    tumour: o.Tumour = None,
    plasma_cell_fraction: o.PlasmaCells = None,
    population: o.Population = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", metavar="FA", help="With --genes: names the variants first."),
    ] = None,
    genes: Annotated[Path | None, typer.Option("--genes", metavar="GFF3", help="Gene models.")] = None,
    limits: Annotated[
        Path | None,
        typer.Option(
            "--limits",
            metavar="X.tsv.gz",
            help="With --genes: depths of all sites, of `nadir variants call --limits`.",
        ),
    ] = None,
    patient: o.Patient = "P1",
    timepoint: o.Timepoint = "S1",
    collected_on: o.CollectedOn = None,
    material: o.MaterialName = "stem_cell_product",
    age: o.Age = None,
    haemoglobin: o.Haemoglobin = None,
    neutrophils: o.Neutrophils = None,
    platelets: o.Platelets = None,
    mcv: o.Mcv = None,
    rdw: o.Rdw = None,
) -> None:
    """Each variant IN, OUT or REVIEW, with the rule, its citation and the reason.

    A list of variants says nothing of what was not found: the limits of the genes need --limits, or
    `nadir chip call` on the BAM file itself.
    """
    from chip.call import call_graft
    from chip.read import read_listed
    from chip.rules.asked import rule_sets_asked
    from chip.settings import ChipSettings
    from chip.tables import write_calls

    if (reference is not None or limits is not None) and genes is None:
        raise UsageError("--reference and --limits need --genes beside them")
    for path in (variants, tumour, population, reference, genes, limits):
        o.require_file(path)
    rule_sets = rule_sets_asked(rules)
    sample = o.sample_named(variants, patient, timepoint, collected_on, material)
    blood = o.blood_of(age, haemoglobin, neutrophils, platelets, mcv, rdw)
    settings = ChipSettings()
    with tempfile.TemporaryDirectory(prefix="nadir-chip-") as folder:
        named = variants
        if reference is not None and genes is not None:
            named = _annotated(variants, Path(folder) / "named.vcf", reference, genes)
        evidence = read_listed(
            named,
            tumour=tumour,
            population=population,
            sex=o.sex_of(sex),
            plasma_cell_fraction=plasma_cell_fraction,
            sample=sample,
            coverage=() if limits is None or genes is None else _coverage(limits, genes, settings),
        )
    calls = call_graft(evidence, rule_sets, settings, blood=blood)
    write_calls(out, calls, [s.id for s in rule_sets], evidence.notes)
    o.say(calls, evidence, out)


def _coverage(limits: Path, genes: Path, settings: "ChipSettings") -> "tuple[GeneCoverage, ...]":
    from chip.coverage import coverage_of_genes, read_site_depths
    from pipeline.variants.gene_models import read_gene_models

    return coverage_of_genes(
        read_site_depths(limits),
        read_gene_models(genes).transcripts,
        min_depth=settings.min_depth,
        share=settings.gene_share,
    )


def _annotated(variants: Path, named: Path, reference: Path, genes: Path) -> Path:
    from pipeline.variants.annotate import annotate_vcf
    from pipeline.variants.effect import Annotator
    from pipeline.variants.gene_models import read_gene_models
    from pipeline.variants.reference import Reference

    with Reference(reference) as bases:
        models = read_gene_models(genes, isoforms=None, reference=bases)
        annotate_vcf(variants, named, Annotator(bases, models))
    return named
