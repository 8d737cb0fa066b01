"""Reads under their names, mates merged: what is annotated read by read."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mrd_ngs.evidence import MateMerging
from mrd_ngs.mates import MergeTally, ReadBatch, merge_mates
from mrd_ngs.settings import NgsSettings
from pipeline.formats.fastq import Read, read_fastq, read_mates

__all__ = ["NamedReads"]

_PAIRS_AT_ONCE = 20_000


class NamedReads:
    """Names and bases of the reads of one file, or of the pairs of two; read anew at each iteration.

    Primers, adapters and UMIs stay on the reads: V and J are found between them.

    Parameters
    ----------
    reads
        Merged or single reads, FASTQ or FASTA, or first mates.
    mates
        Second mates; None without.
    settings
        ``max_read_nt``, and how mates are merged. A pair has the name of its first mate; what
        becomes of one whose mates do not overlap is ``mates_unmerged``.
    """

    def __init__(self, reads: Path, mates: Path | None, settings: NgsSettings) -> None:
        self._reads = reads
        self._mates = mates
        self._settings = settings
        self._tally = MergeTally()

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        if self._mates is None:
            reads = read_fastq(self._reads, max_length=self._settings.max_read_nt)
            return ((read.name, read.sequence) for read in reads)
        return self._pairs(self._mates)

    @property
    def merging(self) -> MateMerging | None:
        """How the mates overlapped, in the last iteration so far; None for single reads."""
        return None if self._mates is None else self._tally.summary()

    def _pairs(self, mates: Path) -> Iterator[tuple[str, bytes]]:
        self._tally = MergeTally()
        pairs = read_mates(self._reads, mates, max_length=self._settings.max_read_nt)
        while batch := list(islice(pairs, _PAIRS_AT_ONCE)):
            first, second = ([pair[mate] for pair in batch] for mate in (0, 1))
            found = merge_mates(_batch(first), _batch(second), self._settings)
            self._tally.add(found)
            alone = {"first": first, "second": second, "drop": None}[self._settings.mates_unmerged]
            merged = found.reads.sequences()
            for number, (one, is_merged) in enumerate(zip(first, found.merged.tolist(), strict=True)):
                if is_merged:
                    yield one.name, merged[number]
                elif alone is not None:
                    yield one.name, alone[number].sequence


def _batch(reads: list[Read]) -> ReadBatch:
    return ReadBatch.of([read.sequence for read in reads], [read.qualities for read in reads])
