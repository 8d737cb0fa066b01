"""Files of one sample to evidence: an aligned BAM and the tumour's variants in, one `Plasma` out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cfdna.counting.alignments import opened_bam
from cfdna.counting.fragment_pileup import WindowPileup, pile_up
from cfdna.counting.own_background import INDEL, BackgroundTally, substitution_class
from cfdna.counting.variant_list import BloodAlleles
from cfdna.evidence import ClonotypeCount, Plasma, SiteCount, TumourVariant
from cfdna.settings import CfdnaSettings
from pipeline.errors import InputRefused, printable
from pipeline.formats.digest import sha256_file
from pipeline.model import Sample
from pipeline.variants.reference import Reference

__all__ = ["read_plasma"]

_FRAGMENT_MAX_NT = 700
_BUILD_MISMATCH_SHARE = 0.2
_HAPLOID_GENOME_NG = 0.0033


def read_plasma(
    sample: Sample,
    variants: Sequence[TumourVariant],
    settings: CfdnaSettings,
    *,
    blood: BloodAlleles | None = None,
    clonotypes: Sequence[ClonotypeCount] = (),
    reference: Path | None = None,
) -> Plasma:
    """Count the tumour's variants in an aligned, indexed BAM of plasma.

    Parameters
    ----------
    sample
        Its first file is the BAM (or CRAM).
    variants
        As `cfdna.counting.variant_list.read_tumour_variants` gives them.
    settings
        Qualities, flank for the background.
    blood
        The same person's blood cells or graft, if sequenced.
    clonotypes
        Immunoglobulin rearrangements counted in the same plasma.
    reference
        FASTA with index; without it REF is taken from the list, and the evidence says so.

    Returns
    -------
    Plasma
        Counts of fragments; the background is this sample's own, beside the sites.

    Raises
    ------
    InputRefused
        If the BAM lacks a contig of the list, a position lies outside, REF is not the reference's,
        or most sites show another base: another genome build.
    """
    path = sample.files[0]
    _check_reference(variants, reference)
    with opened_bam(path) as bam:
        _check_contigs(bam, variants, path)
        windows = [
            (_pile(bam, group, settings), group) for group in _groups(variants, settings.background_flank_nt)
        ]
    tally = BackgroundTally.empty()
    for window, group in windows:
        own = frozenset(p for v in group for p in range(v.pos - 1, v.pos - 1 + max(1, len(v.ref))))
        tally.add(window, own)
    sites, fragments = [], 0
    for window, group in windows:
        found, mutant_fragments = _sites(window, group, tally, settings, blood)
        sites += found
        fragments += mutant_fragments
    _check_build(sites, path)
    notes = () if reference is not None else ("REF taken from the variant list: no reference was given",)
    return Plasma(
        sample=sample,
        sites=tuple(sites),
        clonotypes=tuple(clonotypes),
        mutant_fragments=None if clonotypes else fragments,
        genomes=None if sample.dna_ng is None else sample.dna_ng / _HAPLOID_GENOME_NG,
        notes=notes,
        input_sha256=sha256_file(path),
    )


def _groups(variants: Sequence[TumourVariant], flank: int) -> list[list[TumourVariant]]:
    """Variants whose windows touch, so that a fragment over several is seen once."""
    groups: list[list[TumourVariant]] = []
    for variant in sorted(variants, key=lambda v: (v.chrom, v.pos)):
        last = groups[-1][-1] if groups else None
        if last is not None and last.chrom == variant.chrom and variant.pos - last.pos <= 2 * flank + 200:
            groups[-1].append(variant)
        else:
            groups.append([variant])
    return groups


def _pile(bam: Any, group: Sequence[TumourVariant], settings: CfdnaSettings) -> WindowPileup:
    contig = group[0].chrom
    length = bam.get_reference_length(contig)
    start = max(0, group[0].pos - 1 - settings.background_flank_nt)
    end = min(length, max(v.pos - 1 + len(v.ref) for v in group) + settings.background_flank_nt)
    return pile_up(
        bam.fetch(contig, start, end),
        start,
        end,
        mapping_quality_min=settings.mapping_quality_min,
        base_quality_min=settings.base_quality_min,
        fold_copies=settings.fold_copies,
    )


def _sites(
    window: WindowPileup,
    group: Sequence[TumourVariant],
    tally: BackgroundTally,
    settings: CfdnaSettings,
    blood: BloodAlleles | None,
) -> tuple[list[SiteCount], int]:
    """Counts of the group's sites, and how many different fragments are mutant at any."""
    shows = [_allele_rows(window, variant) for variant in group]
    covering = sum((either.astype(np.int64) for either, _ in shows), np.zeros(len(window.names), np.int64))
    mutant_rows = np.zeros(len(window.names), dtype=bool)
    sites = []
    for variant, (either, mutant) in zip(group, shows, strict=True):
        # A fragment over several sites stands for the tumour once: at the first it is mutant at.
        counted = mutant & ~mutant_rows
        mutant_rows |= mutant
        rate, basis = _error_rate(variant, tally, settings)
        counts = window.counts()[variant.pos - 1 - window.start]
        sites.append(
            SiteCount(
                variant=variant,
                depth=int(either.sum()),
                mutant=int(counted.sum()),
                shown=int(mutant.sum()),
                informative=float((1.0 / covering[either]).sum()),
                error_rate=rate,
                error_basis=basis,
                reference_seen="ACGT"[int(counts.argmax())] if len(variant.ref) == 1 and counts.any() else "",
                blood=None if blood is None else blood.count(variant),
                blood_given=blood is not None,
            )
        )
    return sites, int(mutant_rows.sum())


def _allele_rows(
    window: WindowPileup, variant: TumourVariant
) -> "tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], np.ndarray[tuple[int], np.dtype[np.bool_]]]":
    """Rows that show either allele, and rows that show the variant."""
    at = variant.pos - 1 - window.start
    if len(variant.ref) == len(variant.alt):
        columns = window.bases[:, at : at + len(variant.ref)]
        is_ref, is_alt = (
            (columns == np.array(["ACGT".index(b) for b in allele], dtype=np.uint8)).all(axis=1)
            for allele in (variant.ref, variant.alt)
        )
        return is_ref | is_alt, is_alt
    covers = (window.bases[:, at : at + 2] < 4).all(axis=1)
    event = _event(variant)
    is_alt = np.zeros(len(window.names), dtype=bool)
    if event is not None and event in window.indels:
        is_alt[window.indels[event]] = True
    return covers | is_alt, is_alt


def _event(variant: TumourVariant) -> tuple[int, str] | None:
    """How the pileup names an insertion or deletion; None for one that also replaces bases."""
    ref, alt = variant.ref, variant.alt
    if ref[0] != alt[0] or min(len(ref), len(alt)) != 1:
        return None
    if len(alt) > 1:
        return variant.pos - 1, alt[1:]
    return variant.pos - 1, f"-{len(ref) - 1}"


def _error_rate(variant: TumourVariant, tally: BackgroundTally, settings: CfdnaSettings) -> tuple[float, str]:
    if len(variant.ref) == len(variant.alt):
        pairs = zip(variant.ref, variant.alt, strict=True)
        names = sorted({substitution_class(r, a) for r, a in pairs if r != a})
    else:
        names = [INDEL]
    found = [
        tally.rate(name, confidence=settings.background_confidence, floor=settings.error_rate_min)
        for name in names
    ]
    return min(found)


def _check_reference(variants: Sequence[TumourVariant], reference: Path | None) -> None:
    if reference is None:
        return
    with Reference(reference) as bases:
        for variant in variants:
            bases.require(variant.chrom)
            end = variant.pos - 1 + len(variant.ref)
            inside = end <= bases.lengths_nt[variant.chrom]
            seen = bases.bases(variant.chrom, variant.pos - 1, end) if inside else ""
            if seen != variant.ref:
                raise InputRefused(
                    f"the list says {variant.ref} at {printable(variant.chrom)}:{variant.pos}, the reference "
                    f"{seen or 'ends before it'}",
                    path=reference,
                    remedy="give the reference that the variants were called on (same build)",
                )


def _check_contigs(bam: Any, variants: Sequence[TumourVariant], path: Path) -> None:
    for variant in variants:
        length = bam.get_reference_length(variant.chrom) if variant.chrom in bam.references else None
        if length is None:
            raise InputRefused(
                f"has no contig {printable(variant.chrom)}",
                path=path,
                expected=f"those of the variant list; it has {printable(str(bam.references[0]))} and others",
                remedy="use variants and BAM of one genome build and one spelling of contigs",
            )
        if variant.pos > length:
            raise InputRefused(
                f"{printable(variant.chrom)} ends at {length:,}, before position {variant.pos:,} of the list",
                path=path,
                remedy="use variants and BAM of one genome build",
            )


def _check_build(sites: Sequence[SiteCount], path: Path) -> None:
    """Refuse a BAM in which many sites show a base that is neither allele."""
    covered = [s for s in sites if s.reference_seen]
    strange = [s for s in covered if s.reference_seen not in (s.variant.ref, s.variant.alt)]
    if len(strange) >= 3 and len(strange) > _BUILD_MISMATCH_SHARE * len(covered):
        raise InputRefused(
            f"shows neither allele at {len(strange)} of {len(covered)} sites of the variant list",
            path=path,
            expected="REF of the list in most molecules",
            remedy="use variants and BAM of one genome build",
        )
