"""Alleles at common SNPs from BAM files."""

from pathlib import Path

import numpy as np

from cfdna.counting.alignments import opened_bam
from cfdna.counting.fragment_pileup import pile_up
from cfdna.identity.genotypes import SnpCounts
from cfdna.settings import CfdnaSettings
from pipeline.errors import InputRefused

__all__ = ["Snp", "read_snp_counts", "read_snps"]

_FREQUENCY = 0.4  # where the file states none: these SNPs are chosen for being common
Snp = tuple[str, int, str, str, float]
"""Contig, 1-based position, reference and alternative base, frequency of the alternative."""


def read_snps(path: Path) -> tuple[Snp, ...]:
    """Biallelic SNPs of a VCF, with the frequency of INFO/AF.

    Raises
    ------
    InputRefused
        If it cannot be read or holds no biallelic SNP.
    """
    import pysam

    before = pysam.set_verbosity(0)
    found = []
    try:
        with pysam.VariantFile(str(path)) as file:
            for record in file:
                alts = record.alts or ()
                if len(alts) != 1 or len(record.ref or "") != 1 or alts[0] not in ("A", "C", "G", "T"):
                    continue
                value = record.info.get("AF", _FREQUENCY)
                frequency = float(value[0] if isinstance(value, tuple) else value)
                found.append((record.chrom, record.pos, str(record.ref), alts[0], frequency))
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, remedy="give common SNPs as VCF") from error
    finally:
        pysam.set_verbosity(before)
    if not found:
        raise InputRefused("holds no biallelic SNP", path=path, remedy="give common SNPs as VCF")
    return tuple(found)


def read_snp_counts(path: Path, snps: tuple[Snp, ...], settings: CfdnaSettings) -> SnpCounts:
    """Fragments that show either allele of each SNP; none where the BAM lacks the contig."""
    ref, alt = np.zeros(len(snps), dtype=np.int64), np.zeros(len(snps), dtype=np.int64)
    with opened_bam(path) as bam:
        for number, (contig, position, ref_base, alt_base, _) in enumerate(snps):
            if contig not in bam.references or position > bam.get_reference_length(contig):
                continue
            window = pile_up(
                bam.fetch(contig, position - 1, position),
                position - 1,
                position,
                mapping_quality_min=settings.mapping_quality_min,
                base_quality_min=settings.base_quality_min,
                fold_copies=settings.fold_copies,
            )
            counts = window.counts()[0]
            ref[number], alt[number] = counts["ACGT".index(ref_base)], counts["ACGT".index(alt_base)]
    return SnpCounts(sample=path.name, ref=ref, alt=alt, frequency=np.array([snp[4] for snp in snps]))
