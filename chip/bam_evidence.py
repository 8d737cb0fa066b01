"""A BAM file to evidence: calls by molecules, their names, the genes' coverage, U2AF1 over both copies."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chip.coverage import coverage_of_genes, read_site_depths
from chip.evidence import Candidate, GeneCoverage, GraftEvidence
from chip.false_duplicate import U2AF1_GRCH38, CopiedStretch, at_home
from chip.pooled_pileup import PooledCounts, PooledSubstitution, read_pooled, substitutions
from chip.population import with_frequencies
from chip.settings import ChipSettings
from chip.tumour_match import with_tumour
from chip.variant_files import read_variants
from pipeline.formats.digest import sha256_file
from pipeline.model import Sample, Sex

if TYPE_CHECKING:
    from pipeline.formats.bed import Target
    from pipeline.variants.calling.background import Background
    from pipeline.variants.effect import Annotator
    from pipeline.variants.molecules.settings import MoleculeSettings

__all__ = ["GraftFiles", "read_graft"]

_CHR21_GRCH38_NT = 46_709_983
_HET = (0.3, 0.7)  # fractions of inherited heterozygous variants, from which their spread is learned


@dataclass(frozen=True, slots=True, kw_only=True)
class GraftFiles:
    """The files of a sample and what they are held against; ``background`` is that of controls."""

    bam: Path
    reference: Path
    genes: Path
    targets: Path
    tumour: Path | None = None
    population: Path | None = None
    background: "Background | None" = None


def read_graft(
    files: GraftFiles,
    molecules: "MoleculeSettings",
    settings: ChipSettings,
    *,
    sex: Sex | None = None,
    plasma_cell_fraction: float | None = None,
    sample: Sample | None = None,
    stretches: Sequence[CopiedStretch] | None = None,
    threads: int = 1,
) -> GraftEvidence:
    """Call one sample's BAM file and bring together what calling CHIP needs.

    Parameters
    ----------
    files
        Targets should hold the genes' coding exons; U2AF1 is read over both copies where the reference
        is GRCh38 and a target lies in the gene.
    molecules, settings
        How molecules are told apart; thresholds.
    sex, plasma_cell_fraction, sample
        What is known beside the file.
    stretches
        Genes with a false copy; None: U2AF1's where the reference has chromosome 21 of GRCh38.
    threads
        Change no result.

    Raises
    ------
    InputRefused
        If a file cannot be used.
    """
    from pipeline.formats.bed import read_targets
    from pipeline.variants.calling.files import call_bam
    from pipeline.variants.calling.settings import CallSettings
    from pipeline.variants.effect import Annotator
    from pipeline.variants.gene_models import read_gene_models
    from pipeline.variants.reference import Reference

    with tempfile.TemporaryDirectory(prefix="nadir-chip-") as folder, Reference(files.reference) as bases:
        called, limits = Path(folder) / "calls.vcf.gz", Path(folder) / "limits.tsv.gz"
        regions = read_targets(files.targets, bases.lengths_nt)
        models = read_gene_models(files.genes, reference=bases)
        annotator = Annotator(bases, models)
        call_bam(
            files.bam,
            called,
            bases,
            regions,
            molecules,
            CallSettings(),
            sample="sample",
            background=files.background,
            limits=limits,
            threads=threads,
        )
        candidates = _named(called, Path(folder) / "named.vcf", annotator)
        coverage = coverage_of_genes(
            read_site_depths(limits),
            models.transcripts,
            min_depth=settings.min_depth,
            share=settings.gene_share,
        )
        copied = _stretches(bases.lengths_nt) if stretches is None else tuple(stretches)
        copied = tuple(s for s in copied if _is_targeted(s, regions))
        if copied:
            pooled = read_pooled(files.bam, copied)
            candidates = _with_pooled(candidates, pooled, annotator, settings)
            coverage = _pooled_coverage(coverage, pooled, settings)
    if files.tumour is not None:
        candidates = with_tumour(candidates, read_variants(files.tumour, needs_names=False).candidates)
    if files.population is not None:
        candidates = with_frequencies(candidates, files.population)
    return GraftEvidence(
        candidates=candidates,
        coverage=coverage,
        heterozygous=_heterozygous(candidates),
        sex=sex,
        plasma_cell_fraction=plasma_cell_fraction,
        has_tumour=files.tumour is not None,
        counted="molecules",
        sample=sample,
        input_sha256=sha256_file(files.bam),
        notes=() if copied or _has_no_u2af1(regions, models) else (_NO_COPY,),
    )


_NO_COPY = "U2AF1 is read at its own place alone: the reference is not GRCh38 with chromosome 21"


def _has_no_u2af1(regions: "Sequence[Target]", models: object) -> bool:
    transcripts = getattr(models, "transcripts", ())
    own = [t for t in transcripts if t.gene == "U2AF1"]
    return not any(r.contig == t.contig and r.start < t.end and t.start < r.end for t in own for r in regions)


def _named(called: Path, named: Path, annotator: "Annotator") -> tuple[Candidate, ...]:
    from pipeline.variants.annotate import annotate_vcf

    annotate_vcf(called, named, annotator)
    return read_variants(named).candidates


def _stretches(lengths_nt: dict[str, int]) -> tuple[CopiedStretch, ...]:
    """U2AF1's exons under the reference's own name of chromosome 21, where that is GRCh38's."""
    name = next((n for n in ("chr21", "21") if lengths_nt.get(n) == _CHR21_GRCH38_NT), None)
    if name is None:
        return ()
    return tuple(replace(s, chrom=name, copy_chrom=name) for s in U2AF1_GRCH38)


def _is_targeted(stretch: CopiedStretch, regions: "Sequence[Target]") -> bool:
    return any(
        r.contig == stretch.chrom and r.start < stretch.end and stretch.start <= r.end for r in regions
    )


def _with_pooled(
    candidates: Sequence[Candidate],
    pooled: Sequence[PooledCounts],
    annotator: "Annotator",
    settings: ChipSettings,
) -> tuple[Candidate, ...]:
    """Candidates as they are, but substitutions in the stretches as counted over both copies."""
    stretches = [p.stretch for p in pooled]
    kept = [c for c in candidates if not _is_substitution_in(c, stretches)]
    for part in pooled:
        stretch = part.stretch
        bases = annotator.reference.bases(stretch.chrom, stretch.start - 1, stretch.end)
        counted = "molecules" if part.has_umis else "reads"
        kept += [
            _candidate(found, annotator) for found in substitutions(part, bases, settings.min_alt(counted))
        ]
    return tuple(kept)


def _is_substitution_in(candidate: Candidate, stretches: Sequence[CopiedStretch]) -> bool:
    if candidate.pos is None or len(candidate.ref) != 1 or len(candidate.alt) != 1:
        return False
    if at_home(candidate.chrom, candidate.pos, stretches) is not None:
        return True
    return any(s.chrom == candidate.chrom and s.start <= candidate.pos <= s.end for s in stretches)


def _candidate(found: PooledSubstitution, annotator: "Annotator") -> Candidate:
    effects = annotator.effects(found.chrom, found.pos, found.ref, found.alt)
    effect = next((e for e in effects if e.gene), effects[0])
    return Candidate(
        chrom=found.chrom,
        pos=found.pos,
        ref=found.ref,
        alt=found.alt,
        gene=effect.gene,
        hgvsc=effect.hgvs_c or "",
        hgvsp=effect.hgvs_p or "",
        terms=effect.terms,
        counts=found.counts,
        notes=("both_copies",),
    )


def _pooled_coverage(
    coverage: Sequence[GeneCoverage], pooled: Sequence[PooledCounts], settings: ChipSettings
) -> tuple[GeneCoverage, ...]:
    """Coverage with the depth over both copies in place of that of one."""
    import numpy as np

    depths = np.sort(np.concatenate([p.depth for p in pooled]))
    gene = pooled[0].stretch.gene
    own = GeneCoverage(
        gene=gene,
        target_nt=len(depths),
        covered_fraction=float((depths >= settings.min_depth).mean()),
        molecules_median=float(np.median(depths)),
        molecules_low=float(depths[int((1 - settings.gene_share) * len(depths))]),
    )
    return tuple(sorted([c for c in coverage if c.gene != gene] + [own], key=lambda c: c.gene))


def _heterozygous(candidates: Sequence[Candidate]) -> tuple[tuple[int, int], ...]:
    """Substitutions near one half that pass the caller: inherited, most of them."""
    low, high = _HET
    return tuple(
        (c.counts.alt, c.counts.depth)
        for c in candidates
        if c.counts is not None
        and not c.filters
        and len(c.ref) == len(c.alt) == 1
        and c.counts.vaf is not None
        and low <= c.counts.vaf <= high
    )
