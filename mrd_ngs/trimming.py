"""Primers at the start of a read and adapters behind its insert, removed as the settings say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import NgsSettings
from mrd_ngs.mates import ReadBatch

__all__ = ["Trimmer"]

_CODES = {
    "A": 1, "C": 2, "G": 4, "T": 8, "R": 5, "Y": 10, "S": 6, "W": 9, "K": 12, "M": 3,
    "B": 14, "D": 13, "H": 11, "V": 7, "N": 15,
}  # fmt: skip
_MASKS = np.zeros(256, dtype=np.uint8)  # what a read's letter is: N is nothing
for _letter in "ACGT":
    _MASKS[ord(_letter)] = _CODES[_letter]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trimmer:
    """What is removed from one mate.

    ``primers`` and ``adapters``, 5' to 3' in IUPAC codes, in the order in which they are tried;
    ``required`` says whether a read without a primer is lost.
    """

    primers: tuple[str, ...]
    adapters: tuple[str, ...]
    required: bool
    max_offset_nt: int
    min_overlap_nt: int
    max_mismatch_rate: float

    @classmethod
    def of(cls, settings: NgsSettings, mate: str) -> "Trimmer | None":
        """The trimmer of the ``first`` or ``second`` mate; None if there is nothing to trim.

        >>> Trimmer.of(NgsSettings(primers_first="ACGT,accr"), "first").primers
        ('ACGT', 'ACCR')
        """
        primers = _listed(settings.primers_first if mate == "first" else settings.primers_second)
        adapters = _listed(settings.adapters_first if mate == "first" else settings.adapters_second)
        if not primers and not adapters:
            return None
        return cls(
            primers=primers,
            adapters=adapters,
            required=bool(primers) and settings.primer_action == "require",
            max_offset_nt=settings.primer_max_offset_nt,
            min_overlap_nt=settings.adapter_min_overlap_nt,
            max_mismatch_rate=settings.trim_max_mismatch_rate,
        )

    def trim(self, reads: ReadBatch) -> tuple[ReadBatch, NDArray[np.bool_]]:
        """Cut a batch of reads.

        Parameters
        ----------
        reads
            As they were read, less an inline UMI.

        Returns
        -------
        reads
            The same letters with later starts and earlier ends.
        accepted : ndarray of bool, shape (reads,)
            Whether the primer was found, where it is required; else all true.

        Notes
        -----
        A primer is found with its whole length at most ``max_offset_nt`` from the start, with
        at most the stated share of mismatches; the one with fewest mismatches counts. An
        adapter begins at the first place from which on it, or as much of it as the read has
        left, agrees. N in a read is a mismatch.
        """
        from mrd_ngs.mates_kernels import find_adapters, find_primers

        masks = _MASKS[reads.letters]
        starts, ends = reads.starts, reads.ends
        accepted = np.ones(len(starts), dtype=np.bool_)
        if self.primers:
            rows, lengths = _rows(self.primers)
            allowed = (self.max_mismatch_rate * lengths).astype(np.int64)
            behind = find_primers(masks, starts, ends, rows, lengths, allowed, self.max_offset_nt)
            if self.required:
                accepted = behind >= 0
            starts = np.where(behind >= 0, behind, starts)
        if self.adapters:
            rows, lengths = _rows(self.adapters)
            ends = find_adapters(
                masks, starts, ends, rows, lengths, self.max_mismatch_rate, self.min_overlap_nt
            )
        return reads._replace(starts=starts, ends=ends), accepted


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.upper().split(",")) if text else ()


def _rows(sequences: tuple[str, ...]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Sequences as rows of base masks, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    rows = np.zeros((len(sequences), int(lengths.max())), dtype=np.uint8)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: len(sequence)] = [_CODES[code] for code in sequence]
    return rows, lengths
