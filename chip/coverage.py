"""How deep each gene was seen: limits of sites, as `nadir variants call --limits` writes them, by gene."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chip.evidence import GeneCoverage
from chip.rules.genes import symbol
from pipeline.errors import InputRefused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.variants.coordinates import Transcript

    Integers = NDArray[np.int64]

__all__ = ["coding_intervals", "coverage_of_genes", "read_site_depths"]

_COLUMNS = ("chrom", "pos", "depth_molecules")
_REMEDY = "give the table that `nadir variants call --limits` wrote"


def read_site_depths(path: Path) -> Iterator[tuple[str, int, int]]:
    """Contig, 1-based position and depth in molecules of every target site, plain or gzip-packed.

    Raises
    ------
    InputRefused
        If it cannot be read or is no such table.
    """
    import gzip
    import zlib

    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open() as file:
            names = file.readline().lstrip("#").rstrip("\n").split("\t")
            if not set(_COLUMNS) <= set(names):
                wanted = ", ".join(_COLUMNS)
                raise InputRefused("has other columns", path=path, expected=wanted, remedy=_REMEDY)
            chrom, pos, depth = (names.index(c) for c in _COLUMNS)
            for number, line in enumerate(file, start=2):
                cells = line.rstrip("\n").split("\t")
                try:
                    row = cells[chrom], int(cells[pos]), int(float(cells[depth]))
                except (IndexError, ValueError) as error:
                    what = "is no site with a depth"
                    raise InputRefused(what, path=path, line=number, remedy=_REMEDY) from error
                yield row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputRefused("cannot be read", path=path, remedy=_REMEDY) from error


def coverage_of_genes(
    depths: Iterable[tuple[str, int, int]],
    transcripts: Sequence["Transcript"],
    *,
    min_depth: int,
    share: float,
) -> tuple[GeneCoverage, ...]:
    """Coverage of each gene's coding bases that were targets, and of the two bases beside its exons.

    Parameters
    ----------
    depths
        Contig, 1-based position and depth of every target site.
    transcripts
        One a gene.
    min_depth
        Depth that counts as covered.
    share
        Of the gene's target bases reach ``molecules_low``.

    Returns
    -------
    tuple of GeneCoverage
        Genes with at least one target base, by name.
    """
    import numpy as np

    sites = _by_contig(depths)
    found = []
    for transcript in transcripts:
        of_contig = sites.get(transcript.contig)
        if of_contig is None:
            continue
        positions, values = of_contig
        inside = np.zeros(len(positions), dtype=bool)
        for start, end in coding_intervals(transcript):
            inside |= (positions > start) & (positions <= end)
        own = np.sort(values[inside])
        if len(own) == 0:
            continue
        lowest = own[min(len(own) - 1, int((1 - share) * len(own)))]
        found.append(
            GeneCoverage(
                gene=symbol(transcript.gene),
                target_nt=len(own),
                covered_fraction=float((own >= min_depth).mean()),
                molecules_median=float(np.median(own)),
                molecules_low=float(lowest),
            )
        )
    return tuple(sorted(found, key=lambda c: c.gene))


def _by_contig(depths: Iterable[tuple[str, int, int]]) -> "dict[str, tuple[Integers, Integers]]":
    """Positions and depths of each contig."""
    import numpy as np

    rows: dict[str, list[tuple[int, int]]] = {}
    for chrom, pos, depth in depths:
        rows.setdefault(chrom, []).append((pos, depth))
    arrays = {chrom: np.array(found, dtype=np.int64) for chrom, found in rows.items()}
    return {chrom: (found[:, 0], found[:, 1]) for chrom, found in arrays.items()}


_SPLICE_NT = 2


def coding_intervals(transcript: "Transcript") -> list[tuple[int, int]]:
    """Half-open genome intervals of the coding bases with the splice sites beside them."""
    if transcript.coding is None:
        return []
    first, last = transcript.coding[0], transcript.coding[1]
    order = transcript.exons if transcript.strand == 1 else transcript.exons[::-1]
    found, before = [], 0
    for start, end in order:
        low, high = max(first, before), min(last, before + end - start)
        if low < high:
            if transcript.strand == 1:
                found.append((start + low - before - _SPLICE_NT, start + high - before + _SPLICE_NT))
            else:
                found.append((end - (high - before) - _SPLICE_NT, end - (low - before) + _SPLICE_NT))
        before += end - start
    return found
