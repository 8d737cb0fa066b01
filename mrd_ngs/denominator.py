"""How many nucleated cells a sample stands for."""

from dataclasses import dataclass

from pipeline.model import Sample

__all__ = ["DNA_NG_PER_CELL", "Cells", "nucleated_cells"]

DNA_NG_PER_CELL = 0.0066
"""Nanograms of DNA in one diploid human cell: twice the 3.3 pg of a haploid genome.

Devonshire et al., Anal Bioanal Chem 2014 (PMC4182654), read in a secondary source only. One
vendor uses 6.5 pg, which gives 1.5 % more cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Nucleated cells examined and, in words, where the number comes from."""

    count: float
    basis: str


def nucleated_cells(sample: Sample) -> Cells | None:
    """Nucleated cells of a sample: as stated, else from its DNA, else None.

    Returns
    -------
    Cells or None
        None where the sheet states neither cells nor nanograms of DNA. The uncertainty
        of a cell count or of a DNA measurement is not known here and enters no interval.

    Examples
    --------
    >>> DNA_NG_PER_CELL * 1_000_000
    6600.0
    """
    if sample.cells is not None:
        return Cells(count=float(sample.cells), basis="as stated in the sheet")
    if sample.dna_ng is not None:
        return Cells(
            count=sample.dna_ng / DNA_NG_PER_CELL,
            basis=f"from {sample.dna_ng:g} ng DNA at {1000 * DNA_NG_PER_CELL:g} pg a cell",
        )
    return None
