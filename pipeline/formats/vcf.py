"""Alleles of one sample from a VCF file, with the depth on which each rests."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputRefused

__all__ = ["Allele", "read_alleles"]

_REMEDY = "give VCF with FORMAT fields DP and AD, such as `nadir variants call` writes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allele:
    """One alternative allele: ``pos`` is 1-based, ``alt_count`` of ``depth`` molecules (or reads).

    ``called``: the record passes its filters and the genotype holds the allele (or there is
    no genotype). ``filters`` are the names of filters it fails.
    """

    chrom: str
    pos: int
    ref: str
    alt: str
    gene: str
    depth: int
    alt_count: int
    called: bool
    filters: tuple[str, ...]


def read_alleles(path: Path) -> Iterator[Allele]:
    """Every alternative allele of the file's one sample, in its order; multi-allelic records split.

    A record without alternative alleles, or whose genotype is 0/0, is not called but has its
    depth, so that what was looked at and not found is known.

    Parameters
    ----------
    path
        VCF, plain or bgzipped, or BCF.

    Raises
    ------
    InputRefused
        If it cannot be read, holds none or several samples, or lacks depth or allele counts.
    """
    import pysam

    before = pysam.set_verbosity(0)  # its own messages would name lines on stderr
    try:
        with pysam.VariantFile(str(path)) as file:
            if len(file.header.samples) != 1:
                raise InputRefused(
                    f"holds {len(file.header.samples)} samples",
                    path=path,
                    expected="one sample",
                    remedy=_REMEDY,
                )
            for number, record in enumerate(file, start=1):
                yield from _alleles(record, path, number)
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, remedy=_REMEDY) from error
    finally:
        pysam.set_verbosity(before)


def _alleles(record: Any, path: Path, number: int) -> Iterator[Allele]:
    sample = record.samples[0]
    depth, counts = sample.get("DP"), sample.get("AD")
    if depth is None:
        raise InputRefused(f"record {number} has no depth (DP)", path=path, remedy=_REMEDY)
    genotype = [a for a in sample.get("GT", ()) if a is not None]
    filters = tuple(f for f in record.filter if f != "PASS")
    alternatives = [a for a in record.alts or () if a not in (".", "<NON_REF>", "<*>")]
    if alternatives and (counts is None or len(counts) <= len(alternatives) - 1 or None in counts):
        raise InputRefused(f"record {number} has no allele counts (AD)", path=path, remedy=_REMEDY)
    for index, alt in enumerate(alternatives, start=1):
        held = not genotype or index in genotype
        count = int(counts[index])
        yield Allele(
            chrom=record.chrom,
            pos=record.pos,
            ref=record.ref.upper(),
            alt=alt.upper(),
            gene=_gene(record),
            depth=max(int(depth), count),
            alt_count=count,
            called=held and not filters and count > 0,
            filters=filters,
        )


def _gene(record: Any) -> str:
    if "GENE" not in record.info:
        return ""
    value = record.info["GENE"]
    return str(value if isinstance(value, str) else value[0])
