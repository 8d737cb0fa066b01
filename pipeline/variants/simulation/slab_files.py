"""Slabs of simulated reads, written as aligned BAM and as FASTQ."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline import __version__
from pipeline.formats.atomic import replacing
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.read_kernels import Reads
from pipeline.variants.simulation.record_kernels import (
    RecordContext,
    fastq_sizes,
    gather,
    record_sizes,
    write_fastq,
    write_records,
)

__all__ = ["BamWriter", "FastqWriter", "Slab", "index_bam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slab:
    """Reads of a run of molecules, and the position that no later read comes before."""

    reads: Reads
    context: RecordContext
    bound: int


class BamWriter:
    """A BAM file written slab by slab in order of position."""

    def __init__(self, path: Path, reference: Reference, sample: str) -> None:
        self._path, self._reference, self._sample = path, reference, sample
        self._stack = ExitStack()
        self._buffer = np.zeros(0, np.uint8)
        self._offsets = self._sizes = self._positions = np.zeros(0, np.int64)

    def __enter__(self) -> Self:
        import pysam

        temporary = self._stack.enter_context(replacing(self._path))
        self._file: Any = self._stack.enter_context(pysam.BGZFile(str(temporary), "wb", None))
        self._file.write(_bam_header(self._reference, self._sample))
        return self

    def __exit__(self, *raised: object) -> bool | None:
        return self._stack.__exit__(*raised)

    def write(self, slab: Slab) -> None:
        """Write the records that no later slab can come before; keep the others."""
        sizes = np.zeros(len(slab.reads.length), np.int64)
        record_sizes(slab.reads, slab.context, sizes)
        offsets = np.cumsum(sizes) - sizes
        new = np.zeros(int(sizes.sum()), np.uint8)
        write_records(slab.reads, slab.context, sizes, offsets, new)
        self._offsets = np.concatenate([self._offsets, offsets + len(self._buffer)])
        self._sizes = np.concatenate([self._sizes, sizes])
        self._positions = np.concatenate([self._positions, slab.context.origin + slab.reads.position])
        self._buffer = np.concatenate([self._buffer, new])
        order = np.argsort(self._positions, kind="stable")
        ready = int(np.searchsorted(self._positions[order], slab.bound))
        self._file.write(self._taken(order[:ready]).tobytes())
        kept = order[ready:]
        self._buffer = self._taken(kept)
        self._sizes, self._positions = self._sizes[kept], self._positions[kept]
        self._offsets = np.cumsum(self._sizes) - self._sizes

    def _taken(self, order: NDArray[np.int64]) -> NDArray[np.uint8]:
        out = np.zeros(int(self._sizes[order].sum()), np.uint8)
        gather(self._buffer, self._offsets, self._sizes, order, out)
        return out


class FastqWriter:
    """First and second mates in gzip (BGZF), in order of molecules."""

    def __init__(self, paths: tuple[Path, Path], umi_in: str) -> None:
        self._paths, self._inline = paths, umi_in == "inline"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        import pysam

        temporaries = [self._stack.enter_context(replacing(path)) for path in self._paths]
        self._files: list[Any] = [
            self._stack.enter_context(pysam.BGZFile(str(t), "wb", None)) for t in temporaries
        ]
        return self

    def __exit__(self, *raised: object) -> bool | None:
        return self._stack.__exit__(*raised)

    def write(self, slab: Slab) -> None:
        """Write every pair."""
        umis = slab.context.umis
        pairs, none = len(umis), np.zeros((len(umis), 0), np.uint8)
        half = (umis.shape[1] + 1) // 2 if umis.shape[1] and (umis[:1] == 5).any() else umis.shape[1]
        letters = np.frombuffer(b"ACGTN+", np.uint8)[umis]
        header = np.concatenate([np.full((pairs, 1), ord(":"), np.uint8), letters], axis=1)
        for mate, file in enumerate(self._files):
            prefix = (
                (umis[:, half:] if mate else umis[:, : half - (umis.shape[1] > half)])
                if self._inline
                else none
            )
            named = none if self._inline or not umis.shape[1] else header
            sizes = np.zeros(pairs, np.int64)
            fastq_sizes(slab.reads, mate, named.shape[1], prefix.shape[1], sizes)
            buffer = np.zeros(int(sizes.sum()), np.uint8)
            offsets = np.cumsum(sizes) - sizes
            write_fastq(
                slab.reads, mate, np.ascontiguousarray(named), np.ascontiguousarray(prefix),
                slab.context.first_molecule, offsets, buffer,
            )  # fmt: skip
            file.write(buffer.tobytes())


def _bam_header(reference: Reference, sample: str) -> bytes:
    lines = ["@HD\tVN:1.6\tSO:coordinate"]
    lines += [f"@SQ\tSN:{n}\tLN:{size}\tM5:{reference.md5(n)}" for n, size in reference.lengths_nt.items()]
    lines += [f"@RG\tID:1\tSM:{sample}", f"@PG\tID:nadir\tPN:nadir variants simulate\tVN:{__version__}"]
    text = ("\n".join(lines) + "\n").encode()
    parts = [
        b"BAM\x01",
        len(text).to_bytes(4, "little"),
        text,
        len(reference.lengths_nt).to_bytes(4, "little"),
    ]
    for name, size in reference.lengths_nt.items():
        parts += [(len(name) + 1).to_bytes(4, "little"), name.encode() + b"\0", size.to_bytes(4, "little")]
    return b"".join(parts)


def index_bam(path: Path) -> None:
    """Write the index (BAI) beside a sorted BAM."""
    import pysam

    pysam.index(str(path))
