"""``nadir cfdna track``: the tumour's variants in one plasma."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cfdna.cli.options import Bam, ConfigFile, DnaNg, Reference, settings_of
from pipeline.formats.sample_options import (
    NO_DATE,
    CollectedOn,
    Json,
    MaterialName,
    Patient,
    Timepoint,
    say,
    write_document,
)

if TYPE_CHECKING:
    from cfdna.tracking.result import Tracking

__all__ = ["track"]


def track(
    bam: Bam,
    variants: Annotated[
        Path,
        typer.Option(
            "--variants",
            metavar="V.vcf|.tsv",
            help="The tumour's variants: VCF, or a table chrom,pos,ref,alt[,gene,vaf,allele_share].",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="result.json", help="Result with its limit of detection.")
    ],
    reference: Reference = None,
    blood: Annotated[
        Path | None,
        typer.Option(
            "--blood",
            metavar="WBC.vcf",
            help="The same person's blood cells or graft, called with --sites of the tumour.",
        ),
    ] = None,
    clonotype: Annotated[
        Path | None,
        typer.Option("--clonotype", metavar="R.json", help="What `nadir ngs track` wrote of this plasma."),
    ] = None,
    config: ConfigFile = None,
    dna_ng: DnaNg = None,
    patient: Patient = "P1",
    timepoint: Timepoint = "FU1",
    collected_on: CollectedOn = NO_DATE,
    material: MaterialName = "plasma",
    json_output: Json = False,
) -> None:
    """Look for the tumour's variants in plasma and say what could have been seen."""
    from cfdna.call import call_plasma
    from cfdna.counting.clonotype_result import read_clonotypes
    from cfdna.counting.variant_list import read_blood, read_tumour_variants
    from cfdna.read import read_plasma
    from pipeline.formats.records import to_json
    from pipeline.formats.single_sample import single_sample
    from pipeline.model import Assay

    sample = single_sample(
        Assay.CFDNA,
        [bam],
        patient=patient,
        timepoint=timepoint,
        collected_on=collected_on,
        material=material,
        dna_ng=dna_ng,
    )
    settings = settings_of(config)
    plasma = read_plasma(
        sample,
        read_tumour_variants(variants),
        settings,
        blood=None if blood is None else read_blood(blood),
        clonotypes=() if clonotype is None else read_clonotypes(clonotype),
        reference=reference,
    )
    tracking = call_plasma(plasma, settings)
    document = {**to_json(tracking.result), **to_json(tracking), "settings": to_json(settings)}
    del document["result"]
    write_document(out, document, json_output)
    _say_tracking(tracking)


def _say_tracking(tracking: "Tracking") -> None:
    from collections import Counter

    from pipeline.model import format_fraction

    result = tracking.result
    value = "" if result.value is None else f" tumour fraction {format_fraction(result.value)}"
    if result.ci_low is not None:
        value += f" (95 % {format_fraction(result.ci_low)} to {format_fraction(result.ci_high)})"
    limit = f"; limit of detection {format_fraction(result.lod)}" if result.lod is not None else ""
    p = "" if tracking.p_value is None else f", p {tracking.p_value:.2g}"
    say(f"{result.status}{value}{limit} [{result.reason}]")
    say(
        f"  {tracking.mutant_molecules} mutant molecules (mutant at {tracking.mutant_observations} sites) of "
        f"{tracking.informative_molecules:,.0f} informative, "
        f"{tracking.expected_background:.3g} expected from background{p}"
    )
    fates = Counter(site.fate for site in tracking.sites)
    say(f"  sites: {', '.join(f'{count} {fate}' for fate, count in sorted(fates.items())) or 'none'}")
    say(f"  {result.lod_basis}")
    for note in (*tracking.notes, result.qc):
        say(f"  {note}")
