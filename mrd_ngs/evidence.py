"""Counts and shapes of the sequencing assay: distinct reads, spike-ins, one library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Sample

__all__ = [
    "BaseQualities",
    "DistinctReads",
    "Library",
    "MateMerging",
    "ReadFate",
    "SpikeIn",
    "Trimming",
    "UmiCounting",
    "reverse_complement",
]

_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeIn:
    """A synthetic template of known number.

    ``sequence`` in ``ACGT``, ``copies`` added to the sample, ``centre`` the 0-based position
    around which it is recognised: the middle of its junction, or of the sequence where it
    has none.
    """

    name: str
    sequence: bytes
    copies: float
    centre: int

    def window(self, length_nt: int) -> bytes:
        """The part by which it is recognised: ``length_nt`` around the centre, within the sequence."""
        length = min(length_nt, len(self.sequence))
        start = min(max(0, self.centre - length // 2), len(self.sequence) - length)
        return self.sequence[start : start + length]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaseQualities:
    """How good the bases of a library's most abundant sequences were read.

    ``poor_shares``, shape (bases,) float32, is the share of a sequence's reads in which a base is
    poor; it is laid like the front of `DistinctReads.blob`, whose first ``sequences`` it covers.
    ``good_error`` and ``poor_error`` are the mean probabilities of error of good and of poor bases by
    their qualities, ``poor_base_share`` is the share of all these bases that is poor.
    """

    poor_shares: NDArray[np.float32]
    sequences: int
    good_error: float
    poor_error: float
    poor_base_share: float

    def error_rates(self, error_rate: float) -> tuple[float, float]:
        """Substitutions a good and a poor base, where all bases have ``error_rate``.

        Errors that the qualities of poor bases do not explain (PCR's, or of qualities that promise too
        much) are good bases' errors.

        >>> quality = BaseQualities(poor_shares=np.zeros(0, dtype=np.float32), sequences=0,
        ...                         good_error=0.0002, poor_error=0.01, poor_base_share=0.05)
        >>> tuple(round(rate, 5) for rate in quality.error_rates(0.001))
        (0.00053, 0.01)
        """
        others = error_rate - self.poor_base_share * self.poor_error
        good = others / (1 - self.poor_base_share) if self.poor_base_share < 1 else error_rate
        return min(error_rate, max(self.good_error, good)), max(error_rate, self.poor_error)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DistinctReads:
    """Distinct read sequences with their counts, most abundant first, ties by sequence.

    A read and its reverse complement are one sequence: the alphabetically smaller of the
    two. ``blob`` holds them joined by newlines, so that one search runs over all;
    ``starts`` and ``ends``, shape (sequences,) int64, are their places in it; ``counts``,
    shape (sequences,) int64, reads of each. ``qualities`` are None where nobody looked at them
    (`mrd_ngs.base_quality`); a subset has none.
    """

    blob: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    counts: NDArray[np.int64]
    qualities: BaseQualities | None = None

    @classmethod
    def from_counts(cls, counts: Mapping[bytes, int]) -> "DistinctReads":
        """Distinct reads of sequences as they were read, on either strand.

        >>> reads = DistinctReads.from_counts({b"AACG": 2, b"CGTT": 3, b"GGGA": 9})
        >>> [reads.sequence(i) for i in range(2)], reads.counts.tolist()
        ([b'GGGA', b'AACG'], [9, 5])
        """
        merged: dict[bytes, int] = {}
        for sequence, count in counts.items():
            turned = reverse_complement(sequence)
            canonical = min(sequence, turned)
            merged[canonical] = merged.get(canonical, 0) + count
        # Sorting is stable, so that the second time leaves ties in the order of the first.
        ordered = sorted(sorted(merged), key=merged.__getitem__, reverse=True)
        return cls._joined(ordered, np.array([merged[sequence] for sequence in ordered], dtype=np.int64))

    def subset(self, which: NDArray[np.bool_]) -> "DistinctReads":
        """The sequences marked in ``which``, shape (sequences,), in the same order."""
        return self._joined(list(compress(self.sequences(), which.tolist())), self.counts[which])

    @classmethod
    def _joined(cls, ordered: Sequence[bytes], counts: NDArray[np.int64]) -> "DistinctReads":
        lengths = np.array([len(sequence) for sequence in ordered], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        return cls(blob=b"\n".join(ordered), starts=ends - lengths, ends=ends, counts=counts)

    def __len__(self) -> int:
        return len(self.counts)

    def sequences(self) -> list[bytes]:
        """All sequences by rank."""
        return self.blob.split(b"\n") if len(self) else []

    def sequence(self, index: int) -> bytes:
        """One sequence by its rank."""
        return self.blob[int(self.starts[index]) : int(self.ends[index])]

    def poor_shares(self, index: int, *, turned: bool = False) -> NDArray[np.float32] | None:
        """Share of a sequence's reads in which each base is poor; None where that is not known.

        In the order of its bases, or, ``turned``, of those of its reverse complement.
        """
        if self.qualities is None or index >= self.qualities.sequences:
            return None
        shares = self.qualities.poor_shares[int(self.starts[index]) : int(self.ends[index])]
        return shares[::-1] if turned else shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFate:
    """What became of some of the reads."""

    fate: str
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MateMerging:
    """How the mates of a library overlap.

    ``pairs`` were looked at (those whose UMI or primer was not found are not) and ``merged``,
    of these ``dovetailed`` with an insert shorter than a read. ``mean_overlap_nt`` of the
    merged; ``overlap_columns`` of them had a base in both mates, and ``mismatches`` of these
    were settled by the better quality.
    """

    pairs: int
    merged: int
    dovetailed: int
    mean_overlap_nt: float
    overlap_columns: int
    mismatches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimming:
    """Reads (first mates, for pairs) and second mates from which something was cut.

    ``primers_second`` of single reads are those found at their end.
    """

    primers_first: int
    primers_second: int
    adapters_first: int
    adapters_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UmiCounting:
    """How UMIs turned reads into molecules.

    ``umis_possible`` is 4^length. ``families`` were counted, after ``umis_folded`` were found
    to be misread UMIs; ``molecules`` is their number corrected for those that drew
    the same UMI, ``saturated_sequences`` used every UMI, so that theirs is a lower bound.
    ``reads_corrected`` differed from the consensus of their family.
    """

    umis_possible: int
    families: int
    umis_folded: int
    molecules: int
    saturated_sequences: int
    reads_corrected: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Library:
    """One sequenced sample, reduced to what calling needs.

    ``spike_in_reads`` carry a spike-in, with at most two errors in it; ``reads`` are all the
    others that are long enough. ``counted`` says what their counts are: ``reads``, or with
    UMIs ``molecules``; both hold it alike, so calibration gives molecules per template then.
    ``fates`` says what became of every read, whatever is counted; a pair of mates is one
    read. Their sum is ``input_reads``. ``merging`` is None without mates, ``trimming`` where
    no primers or adapters are listed, ``umis`` without UMIs.
    """

    sample: Sample
    reads: DistinctReads
    spike_ins: tuple[SpikeIn, ...]
    spike_in_reads: DistinctReads
    input_reads: int
    fates: tuple[ReadFate, ...]
    input_sha256: str
    counted: str = "reads"
    merging: MateMerging | None = None
    trimming: Trimming | None = None
    umis: UmiCounting | None = None


def reverse_complement(sequence: bytes) -> bytes:
    """The other strand, 5' to 3'.

    >>> reverse_complement(b"AACN")
    b'NGTT'
    """
    return sequence.translate(_COMPLEMENT)[::-1]
