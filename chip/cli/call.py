"""``nadir chip call``: a sample's BAM file to its CHIP result, with the limit of every gene."""

from pathlib import Path
from typing import Annotated

import typer

from chip.cli import options as o

__all__ = ["call"]


def call(
    bam: Annotated[Path, typer.Argument(metavar="BAM", help="BAM or CRAM, indexed.", show_default=False)],
    reference: Annotated[Path, typer.Option("--reference", metavar="FA", help="FASTA with .fai.")],
    genes: Annotated[Path, typer.Option("--genes", metavar="GFF3", help="Gene models of the same build.")],
    targets: Annotated[Path, typer.Option("--targets", metavar="BED", help="Where to look.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="chip.tsv", help="Beside it chip.genes.tsv and chip.result.json.")
    ],
    rules: o.Rules = "topmed_2022",
    sex: o.SexOption = None,
    tumour: o.Tumour = None,
    plasma_cell_fraction: o.PlasmaCells = None,
    population: o.Population = None,
    background: Annotated[
        Path | None,
        typer.Option("--background", metavar="B.parquet", help="Errors of controls [the sample's own]."),
    ] = None,
    umi: Annotated[
        str, typer.Option("--umi", metavar="tag|header|none|inline:4+4", help="Where reads have their UMIs.")
    ] = "tag",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Changes no result.")] = 1,
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
    """Variants by molecules, each IN, OUT or REVIEW, and how far down every gene was seen.

    U2AF1 is read over both of its copies in GRCh38.
    """
    from chip.bam_evidence import GraftFiles, read_graft
    from chip.call import call_graft
    from chip.rules.asked import rule_sets_asked
    from chip.settings import ChipSettings
    from chip.tables import write_calls
    from pipeline.variants.calling.background import read_background
    from pipeline.variants.molecules.settings import MoleculeSettings, UmiSource

    for path in (bam, reference, genes, targets, tumour, population, background):
        o.require_file(path)
    rule_sets = rule_sets_asked(rules)
    settings = ChipSettings()
    sample = o.sample_named(bam, patient, timepoint, collected_on, material)
    blood = o.blood_of(age, haemoglobin, neutrophils, platelets, mcv, rdw)
    files = GraftFiles(
        bam=bam,
        reference=reference,
        genes=genes,
        targets=targets,
        tumour=tumour,
        population=population,
        background=None if background is None else read_background(background),
    )
    evidence = read_graft(
        files,
        MoleculeSettings(umi=UmiSource.parse(umi)),
        settings,
        sex=o.sex_of(sex),
        plasma_cell_fraction=plasma_cell_fraction,
        sample=sample,
        threads=threads,
    )
    calls = call_graft(evidence, rule_sets, settings, blood=blood)
    write_calls(out, calls, [s.id for s in rule_sets], evidence.notes)
    o.say(calls, evidence, out)
