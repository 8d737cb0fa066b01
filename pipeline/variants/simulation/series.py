"""A sample with planted variants and controls without them, as `nadir variants simulate` writes them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.formats.atomic import write_json, write_text
from pipeline.formats.bed import Target, read_targets
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.made_up import MADE_UP_CONTIGS, draw_contigs, targets_of
from pipeline.variants.simulation.planted import (
    Kind,
    PlantedVariant,
    draw_germline,
    draw_somatic,
    read_planted,
)
from pipeline.variants.simulation.truth import write_truth_vcf

__all__ = ["SeriesPlan", "write_series"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlan:
    """What to write: variants to draw (or ``variants``, a VCF of them), polymorphisms, controls, files."""

    vafs: tuple[float, ...] = (0.05, 0.01, 0.005, 0.001)
    counts: tuple[tuple[Kind, int], ...] = (("snv", 8), ("insertion", 4), ("deletion", 4))
    variants: Path | None = None
    snps: int = 10
    controls: int = 0
    bam: bool = True
    fastq: bool = False
    umi_in: str = "name"


def write_series(
    folder: Path,
    plan: SeriesPlan,
    design: LibraryDesign,
    *,
    seed: int,
    reference: Path | None = None,
    targets: Path | None = None,
) -> dict[str, Any]:
    """Write ``sample`` and ``control_1`` … , their truth VCFs, ``targets.bed`` and ``truth.json``.

    Each library has polymorphisms of its own. Without a reference one is made up and written too.

    Returns
    -------
    dict
        What truth.json holds.
    """
    rng = np.random.default_rng(seed)
    fasta = reference or _made_up(folder, rng)
    with Reference(fasta) as bases:
        chosen = targets_of(bases.lengths_nt) if targets is None else read_targets(targets, bases.lengths_nt)
        write_text(folder / "targets.bed", "".join(f"{t.contig}\t{t.start}\t{t.end}\n" for t in chosen))
        libraries = {}
        for name in ("sample", *(f"control_{n}" for n in range(1, plan.controls + 1))):
            planted = _planted(bases, chosen, plan, rng, somatic=name == "sample")
            truth = simulate_library(
                bases, chosen, planted, design, rng, _files(folder, name, plan), sample=name
            )
            write_truth_vcf(folder / f"{name}.truth.vcf.gz", truth, bases, name)
            libraries[name] = truth.as_json()
    stated = {"seed": seed, "design": asdict(design), "libraries": libraries}
    write_json(folder / "truth.json", stated)
    return stated


def _planted(
    reference: Reference,
    targets: Sequence[Target],
    plan: SeriesPlan,
    rng: np.random.Generator,
    *,
    somatic: bool,
) -> list[PlantedVariant]:
    if somatic and plan.variants is not None:
        return read_planted(plan.variants, reference)
    germline = draw_germline(reference, targets, plan.snps, rng)
    if not somatic:
        return germline
    return germline + draw_somatic(reference, targets, plan.vafs, dict(plan.counts), rng, taken=germline)


def _files(folder: Path, name: str, plan: SeriesPlan) -> LibraryFiles:
    mates = (folder / f"{name}_1.fastq.gz", folder / f"{name}_2.fastq.gz")
    return LibraryFiles(
        bam=folder / f"{name}.bam" if plan.bam else None,
        mates=mates if plan.fastq else None,
        umi_in=plan.umi_in,
    )


def _made_up(folder: Path, rng: np.random.Generator) -> Path:
    import pysam

    path = folder / "reference.fa"
    contigs = draw_contigs(rng, MADE_UP_CONTIGS)
    write_text(path, "".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    pysam.faidx(str(path))
    return path
