"""Fragments over a panel's targets, of a tumour and of the normal samples it is compared with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfdna.counting.alignments import opened_bam
from pipeline.errors import DamagedFile, InputRefused, printable
from pipeline.formats.atomic import replacing
from pipeline.formats.bed import Target

__all__ = ["count_targets", "read_normals", "write_normals"]

_LEFT_OUT = 0x4 | 0x100 | 0x200 | 0x400 | 0x800
_REMEDY = "make it anew by `nadir cfdna normals` with the same targets"


def count_targets(path: Path, targets: Sequence[Target], *, mapping_quality_min: int) -> NDArray[np.float64]:
    """First mates (or single reads) that touch each target, shape (targets,).

    Raises
    ------
    InputRefused
        If the BAM lacks a target's contig or ends before it.
    """
    counts = np.zeros(len(targets), dtype=np.float64)
    with opened_bam(path) as bam:
        for number, target in enumerate(targets):
            known = target.contig in bam.references
            if not known or target.end > bam.get_reference_length(target.contig):
                raise InputRefused(
                    f"does not hold the target {printable(target.contig)}:{target.start + 1}-{target.end}",
                    path=path,
                    remedy="use targets and BAM of one genome build and one spelling of contigs",
                )
            for read in bam.fetch(target.contig, target.start, target.end):
                counts[number] += (
                    not read.flag & _LEFT_OUT
                    and not read.is_read2
                    and read.mapping_quality >= mapping_quality_min
                )
    return counts


def write_normals(path: Path, targets: Sequence[Target], counts: NDArray[np.float64]) -> None:
    """Write the counts of normal samples, shape (samples, targets), as Parquet; no sample is named."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[str] | list[int] | NDArray[np.float64]] = {
        "contig": [t.contig for t in targets],
        "start": [t.start for t in targets],
        "end": [t.end for t in targets],
    }
    columns |= {f"normal_{number:03d}": row for number, row in enumerate(counts, start=1)}
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read_normals(path: Path, targets: Sequence[Target]) -> NDArray[np.float64]:
    """Read what `write_normals` wrote for the same targets.

    Raises
    ------
    DamagedFile
        If it is no such table.
    InputRefused
        If it was made for other targets.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).to_pydict()
        found = list(zip(table.pop("contig"), table.pop("start"), table.pop("end"), strict=True))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DamagedFile("is no table of normal samples", path=path, remedy=_REMEDY) from error
    if found != [(t.contig, t.start, t.end) for t in targets]:
        raise InputRefused("was made for other targets", path=path, remedy=_REMEDY)
    counts: NDArray[np.float64] = np.array(list(table.values()), dtype=np.float64).reshape(-1, len(targets))
    return counts
