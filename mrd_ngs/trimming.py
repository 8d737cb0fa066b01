"""Primers at the start of a read and adapters behind its insert, removed as the settings say."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.mates import ReadBatch
from mrd_ngs.settings import NgsSettings

__all__ = ["Trimmed", "Trimmer", "mismatches_at"]

_CODES = {
    "A": 1, "C": 2, "G": 4, "T": 8, "R": 5, "Y": 10, "S": 6, "W": 9, "K": 12, "M": 3,
    "B": 14, "D": 13, "H": 11, "V": 7, "N": 15,
}  # fmt: skip
_MASKS = np.zeros(256, dtype=np.uint8)  # what a read's letter is: N is nothing
for _letter in "ACGT":
    _MASKS[ord(_letter)] = _CODES[_letter]


class Trimmed(NamedTuple):
    """Reads after trimming, and in which of them a primer and an adapter were found, shape (reads,)."""

    reads: ReadBatch
    has_primer: NDArray[np.bool_]
    has_adapter: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trimmer:
    """What is removed from one mate.

    ``primers`` and ``adapters``, 5' to 3' in IUPAC codes, in the order in which they are tried;
    either may be empty.
    """

    primers: tuple[str, ...]
    adapters: tuple[str, ...]
    max_offset_nt: int
    min_overlap_nt: int
    max_mismatch_rate: float

    @classmethod
    def of(cls, settings: NgsSettings, mate: str) -> "Trimmer":
        """The trimmer of the ``first`` or ``second`` mate.

        >>> Trimmer.of(NgsSettings(primers_first="ACGT,accr"), "first").primers
        ('ACGT', 'ACCR')
        """
        return cls(
            primers=_listed(settings.primers_first if mate == "first" else settings.primers_second),
            adapters=_listed(settings.adapters_first if mate == "first" else settings.adapters_second),
            max_offset_nt=settings.primer_max_offset_nt,
            min_overlap_nt=settings.adapter_min_overlap_nt,
            max_mismatch_rate=settings.trim_max_mismatch_rate,
        )

    def without_adapters(self) -> "Trimmer":
        """The same, for primers only."""
        return replace(self, adapters=())

    def trim(self, reads: ReadBatch) -> Trimmed:
        """Cut a batch of reads: primers from the start, adapters from the end.

        Parameters
        ----------
        reads
            As they were read, less an inline UMI.

        Returns
        -------
        Trimmed
            The same letters with later starts and earlier ends.

        Notes
        -----
        A primer is found with its whole length at most ``max_offset_nt`` from the start, with
        at most the stated share of mismatches; the one with fewest mismatches counts. An
        adapter begins at the first place behind it from which on it, or as much of it as the
        read has left, agrees. N in a read is a mismatch.
        """
        if not len(reads):
            return Trimmed(reads, np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_))
        from mrd_ngs.mates_kernels import find_adapters, find_primers

        masks = _MASKS[reads.letters]
        starts, ends = reads.starts, reads.ends
        has_primer = has_adapter = np.zeros(len(reads), dtype=np.bool_)
        if self.primers:
            rows, lengths = _rows(self.primers)
            allowed = (self.max_mismatch_rate * lengths).astype(np.int64)
            behind = find_primers(masks, starts, ends, rows, lengths, allowed, self.max_offset_nt)
            has_primer = behind >= 0
            starts = np.where(has_primer, behind, starts)
        if self.adapters:
            rows, lengths = _rows(self.adapters)
            ends = find_adapters(
                masks, starts, ends, rows, lengths, self.max_mismatch_rate, self.min_overlap_nt
            )
            has_adapter = ends < reads.ends
        return Trimmed(reads.cut(starts, ends), has_primer, has_adapter)


def mismatches_at(reads: ReadBatch, offset_nt: int, pattern: str) -> NDArray[np.int64]:
    """Mismatches of an IUPAC pattern at one place of every read, all of which reach beyond it.

    >>> mismatches_at(ReadBatch.of([b"TTACG", b"TTACN"], [b"FFFFF"] * 2), 2, "ARS").tolist()
    [1, 2]
    """
    codes = np.array([_CODES[code] for code in pattern.upper()], dtype=np.uint8)
    places = reads.starts[:, None] + offset_nt + np.arange(len(codes))
    found: NDArray[np.int64] = ((_MASKS[reads.letters[places]] & codes) == 0).sum(axis=1)
    return found


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.upper().split(",")) if text else ()


def _rows(sequences: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Sequences as rows of base masks, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    rows = np.zeros((len(sequences), int(lengths.max())), dtype=np.uint8)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = [_CODES[code] for code in sequence]
    return rows, lengths
