"""Slabs of simulated reads, written as aligned BAM and as FASTQ."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from pipeline import __version__
from pipeline.formats.atomic import replacing
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.records import AlignedRows, bam_bytes, fastq_bytes

__all__ = ["BamWriter", "FastqWriter", "Slab", "index_bam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slab:
    """Reads of a run of molecules, and the position of the contig that no later read comes before."""

    rows: AlignedRows
    bound: int


class _Writer:
    """Bgzipped files that appear when the block ends well."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._stack = ExitStack()
        self._files: list[Any] = []

    def __enter__(self) -> Self:
        import pysam

        for path in self._paths:
            temporary = self._stack.enter_context(replacing(path))
            self._files.append(self._stack.enter_context(pysam.BGZFile(str(temporary), "wb", None)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


class BamWriter(_Writer):
    """A BAM file written slab by slab in order of position."""

    def __init__(self, path: Path, reference: Reference, sample: str) -> None:
        super().__init__(path)
        self._header = _bam_header(reference, sample)
        self._pending: AlignedRows | None = None

    def __enter__(self) -> Self:
        """Open the file and write its header."""
        super().__enter__()
        self._files[0].write(self._header)
        return self

    def write(self, slab: Slab) -> None:
        """Write the records that no later slab can come before; keep the others."""
        rows = slab.rows if self._pending is None else self._pending.joined(slab.rows)
        position = rows.columns["position"].astype(np.int64)
        order = np.argsort(position, kind="stable")
        ready = int(np.searchsorted(position[order], slab.bound))
        if ready:
            self._files[0].write(bam_bytes(rows.taken(order[:ready])))
        self._pending = rows.taken(order[ready:]) if ready < len(order) else None


class FastqWriter(_Writer):
    """First and second mates in gzip (BGZF), in order of molecules."""

    def __init__(self, paths: tuple[Path, Path], umi_in: str) -> None:
        super().__init__(*paths)
        self._umi_in = umi_in

    def write(self, slab: Slab) -> None:
        """Write every pair."""
        for mate, file in enumerate(self._files):
            file.write(fastq_bytes(slab.rows, mate, umi=self._umi_in))


def index_bam(path: Path) -> None:
    """Write the index (BAI) beside a sorted BAM."""
    import pysam

    pysam.index(str(path))


def _bam_header(reference: Reference, sample: str) -> bytes:
    lengths = reference.lengths_nt
    lines = ["@HD\tVN:1.6\tSO:coordinate"]
    lines += [f"@SQ\tSN:{name}\tLN:{size}\tM5:{reference.md5(name)}" for name, size in lengths.items()]
    lines += [f"@RG\tID:1\tSM:{sample}", f"@PG\tID:nadir\tPN:nadir variants simulate\tVN:{__version__}"]
    text = ("\n".join(lines) + "\n").encode()
    parts = [b"BAM\x01", len(text).to_bytes(4, "little"), text, len(lengths).to_bytes(4, "little")]
    for name, size in lengths.items():
        parts += [(len(name) + 1).to_bytes(4, "little"), name.encode() + b"\0", size.to_bytes(4, "little")]
    return b"".join(parts)
