"""The tumour's variants and what blood shows of them, from VCF or a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfdna.evidence import BloodCount, TumourVariant
from pipeline.errors import InputRefused, Problem, SheetRefused
from pipeline.formats.delimited import read_table
from pipeline.formats.named_cells import finite_number, named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal
from pipeline.formats.vcf import Allele, read_alleles

__all__ = ["BloodAlleles", "read_blood", "read_tumour_variants"]

_COLUMNS = ("chrom", "pos", "ref", "alt")
_VCF_SUFFIXES = (".vcf", ".vcf.gz", ".bcf")
_REMEDY = "give VCF, or a table with the columns chrom, pos (1-based), ref, alt"
_BLOOD_ERROR_RATE = 1e-5


class BloodAlleles:
    """Alleles and depths of the blood (or graft) control of one person."""

    def __init__(
        self, alleles: Mapping[tuple[str, int, str, str], Allele], depths: Mapping[tuple[str, int], int]
    ):
        self._alleles, self._depths = alleles, depths

    def count(self, variant: TumourVariant) -> BloodCount | None:
        """Molecules at the variant's site; None where the file does not say that it was covered."""
        allele = self._alleles.get(variant.key)
        if allele is not None:
            return BloodCount(depth=allele.depth, mutant=allele.alt_count, error_rate=_BLOOD_ERROR_RATE)
        depth = self._depths.get((variant.chrom, variant.pos))
        return None if depth is None else BloodCount(depth=depth, mutant=0, error_rate=_BLOOD_ERROR_RATE)


def read_blood(path: Path) -> BloodAlleles:
    """What `nadir variants call` wrote of the blood, best with ``--sites`` of the tumour.

    Raises
    ------
    InputRefused
        As `pipeline.formats.vcf.read_alleles`.
    """
    alleles: dict[tuple[str, int, str, str], Allele] = {}
    depths: dict[tuple[str, int], int] = {}
    for allele in _alleles_and_depths(path, depths):
        alleles[(allele.chrom, allele.pos, allele.ref, allele.alt)] = allele
    return BloodAlleles(alleles, depths)


def _alleles_and_depths(path: Path, depths: dict[tuple[str, int], int]) -> list[Allele]:
    """Alleles, and beside them the depth of records that hold none (0/0)."""
    import pysam

    found = list(read_alleles(path))
    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            for record in file:
                depth = record.samples[0].get("DP")
                if depth is not None:
                    depths[(record.chrom, record.pos)] = int(depth)
    finally:
        pysam.set_verbosity(before)
    return found


def read_tumour_variants(path: Path) -> tuple[TumourVariant, ...]:
    """The variants to look for, sorted, each once.

    Parameters
    ----------
    path
        VCF or BCF (records that pass their filters; several samples are refused), or a table with
        ``chrom,pos,ref,alt`` and, where known, ``gene``, ``vaf`` and ``allele_share``.

    Returns
    -------
    tuple of TumourVariant
        Empty where the file holds none.

    Raises
    ------
    InputRefused
        If it cannot be read; SheetRefused with every row of a table that is no variant.
    """
    if not path.is_file():
        raise InputRefused("there is no such file", path=path, remedy=_REMEDY)
    is_vcf = path.name.lower().endswith(_VCF_SUFFIXES)
    variants = _from_vcf(path) if is_vcf else _from_table(path)
    return tuple(sorted({v.key: v for v in reversed(variants)}.values(), key=lambda v: v.key))


def _from_table(path: Path) -> list[TumourVariant]:
    table = read_table(path, {*_COLUMNS, "gene", "vaf", "allele_share"})
    names = named_columns(table, _COLUMNS, path=path, remedy=_REMEDY)
    variants: list[TumourVariant] = []
    problems: list[Problem] = []
    for record in table.records:
        cells = named_cells(record, names)
        found = cells if isinstance(cells, Refusal) else _variant_of(cells)
        if isinstance(found, Refusal):
            problems.append(found.at(record.line, None))
        else:
            variants.append(found)
    if problems:
        raise SheetRefused(path, problems)
    return variants


def _variant_of(cells: Mapping[str, str]) -> TumourVariant | Refusal:
    position = cells["pos"].replace(",", "")
    if not position.isdigit():
        return Refusal("no_position", "pos is no whole number", "give the 1-based position")
    try:
        return TumourVariant(
            chrom=cells["chrom"],
            pos=int(position),
            ref=cells["ref"].upper(),
            alt=cells["alt"].upper(),
            gene=cells.get("gene", ""),
            allele_share=_share(cells.get("allele_share", "")),
            tumour_vaf=_share(cells.get("vaf", "")),
        )
    except ValueError as error:
        return Refusal("no_variant", str(error), _REMEDY)


def _share(text: str) -> float | None:
    if not text or text == ".":
        return None
    number = finite_number(text)
    if number is None or not 0 < number <= 1:
        raise ValueError("a share lies above 0 and is at most 1")
    return number


def _from_vcf(path: Path) -> list[TumourVariant]:
    import pysam

    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(path)) as file:
            if len(file.header.samples) > 1:
                raise InputRefused(
                    f"holds {len(file.header.samples)} samples",
                    path=path,
                    expected="the tumour's alone",
                    remedy="take its sample out of the file",
                )
            return [variant for record in file for variant in _of_record(record)]
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as VCF", path=path, remedy=_REMEDY) from error
    finally:
        pysam.set_verbosity(before)


def _of_record(record: Any) -> list[TumourVariant]:
    """The record's alleles that pass, are written in bases and are held by its sample."""
    if any(name not in ("PASS", ".") for name in record.filter):
        return []
    sample = record.samples[0] if len(record.samples) else None
    held = None if sample is None else [a for a in sample.get("GT", ()) if a is not None]
    found = []
    for index, alt in enumerate(record.alts or (), start=1):
        bases = f"{record.ref}{alt}".upper()
        if set(bases) - set("ACGT") or (held and index not in held):
            continue
        found.append(
            TumourVariant(
                chrom=record.chrom,
                pos=record.pos,
                ref=record.ref.upper(),
                alt=alt.upper(),
                gene=_gene(record),
                tumour_vaf=_vaf(sample, index),
            )
        )
    return found


def _gene(record: Any) -> str:
    if "GENE" not in record.info:
        return ""
    value = record.info["GENE"]
    return str(value if isinstance(value, str) else value[0])


def _vaf(sample: Any, index: int) -> float | None:
    counts = None if sample is None else sample.get("AD")
    depth = None if sample is None else sample.get("DP")
    if not counts or not depth or len(counts) <= index or counts[index] is None:
        return None
    return float(min(1.0, counts[index] / depth)) or None
