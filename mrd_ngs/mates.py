"""Two mates of one fragment to one read, by the overlap that their qualities make likeliest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import MateMerging
from mrd_ngs.settings import NgsSettings

__all__ = ["MergeTally", "MergedPairs", "ReadBatch", "merge_mates"]

_HIGHEST_SCORE = 93  # Phred+33 ends at '~'
_HIGHEST_MERGED = 41  # errors made before sequencing are in both mates, so no merged base is surer
_LOWEST_MERGED = 2
_COMPLEMENT = np.frombuffer(bytes.maketrans(b"ACGT", b"TGCA"), dtype=np.uint8)
_UNIT = 1000  # scores are whole thousandths of a bit
_MIN_BITS = 30  # 1e-9 by chance at one place; a pair has some 600 places


@dataclass(frozen=True, slots=True, eq=False)
class ReadBatch:
    """Some reads joined end to end: letters and Phred scores (uint8), where each starts and ends."""

    letters: NDArray[np.uint8]
    scores: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[bytes], qualities: Sequence[bytes]) -> "ReadBatch":
        """A batch of sequences in ``ACGTN`` and their Phred+33 qualities."""
        ends = np.cumsum([len(sequence) for sequence in sequences], dtype=np.int64)
        return cls(
            letters=np.frombuffer(b"".join(sequences), dtype=np.uint8),
            scores=np.frombuffer(b"".join(qualities), dtype=np.uint8) - np.uint8(33),
            starts=np.concatenate((np.zeros(min(1, len(ends)), dtype=np.int64), ends[:-1])),
            ends=ends,
        )

    def __len__(self) -> int:
        return len(self.starts)

    def sequences(self) -> list[bytes]:
        """The bases of every read."""
        blob = self.letters.tobytes()
        return [blob[i:j] for i, j in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def qualities(self) -> list[bytes]:
        """The Phred scores of every read, a byte each."""
        blob = self.scores.tobytes()
        return [blob[i:j] for i, j in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def select(self, which: NDArray[np.bool_]) -> "ReadBatch":
        """The reads marked in ``which``, shape (reads,), in the same order."""
        return replace(self, starts=self.starts[which], ends=self.ends[which])

    def cut(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> "ReadBatch":
        """The reads between other places, in the same letters."""
        return replace(self, starts=starts, ends=ends)

    def reverse_complement(self) -> "ReadBatch":
        """The other strand of every read."""
        return ReadBatch(
            letters=_COMPLEMENT[self.letters[::-1]],
            scores=self.scores[::-1],
            starts=len(self.letters) - self.ends,
            ends=len(self.letters) - self.starts,
        )

    def sequence(self, index: int) -> bytes:
        """The bases of one read."""
        return self.letters[self.starts[index] : self.ends[index]].tobytes()

    def quality(self, index: int) -> NDArray[np.uint8]:
        """The Phred scores of one read."""
        return self.scores[self.starts[index] : self.ends[index]]


class MergedPairs(NamedTuple):
    """What became of a batch of pairs.

    ``reads`` has one read a pair, without length where the pair was not merged. ``merged``,
    shape (pairs,) bool; ``overlaps``, ``columns`` (of the overlap, both bases called) and
    ``mismatches`` (among these), shape (pairs,) int64; ``dovetailed``, shape (pairs,) bool.
    """

    reads: ReadBatch
    merged: NDArray[np.bool_]
    overlaps: NDArray[np.int64]
    columns: NDArray[np.int64]
    mismatches: NDArray[np.int64]
    dovetailed: NDArray[np.bool_]


def merge_mates(first: ReadBatch, second: ReadBatch, settings: NgsSettings) -> MergedPairs:
    """Merge pairs whose mates overlap.

    Parameters
    ----------
    first, second
        Mates as they were read, so that the second runs against the first; equally many.
    settings
        ``mates_min_overlap_nt`` and ``mates_max_mismatch_rate``.

    Returns
    -------
    MergedPairs

    Notes
    -----
    Every ungapped overlap with enough columns and few enough mismatches is scored by the
    logarithm of how much likelier its columns are if both mates read the same base than if
    they read random ones, given their error probabilities; the best one counts, if it
    reaches 30 bits. So a mismatch between two poor bases costs little. An insertion or
    deletion between the mates is not bridged. Where the insert is shorter than a read, what was read
    beyond its end (adapter) is cut off.

    Where the mates agree, the error probability of the merged base is (eq. 8 of Edgar &
    Flyvbjerg, Bioinformatics 2015;31:3476) p1 p2/3 / (1 - p1 - p2 + 4 p1 p2/3); where they
    do not, the better base is taken (the first mate's if they are equal) with
    p1 (1 - p2/3) / (p1 + p2 - 4 p1 p2/3) (eq. 9), p1 being the smaller.
    """
    from mrd_ngs.mates_kernels import merge_batch

    if not len(first):
        nothing = np.zeros(0, dtype=np.int64)
        return MergedPairs(
            reads=first,
            merged=nothing.astype(np.bool_),
            overlaps=nothing,
            columns=nothing,
            mismatches=nothing,
            dovetailed=nothing.astype(np.bool_),
        )
    longest = int(max((first.ends - first.starts).max(), (second.ends - second.starts).max()))
    allowed = (settings.mates_max_mismatch_rate * np.arange(longest + 1)).astype(np.int64)
    letters, scores, bounds, facts = merge_batch(
        *_arrays(first), *_arrays(second), settings.mates_min_overlap_nt, _MIN_BITS * _UNIT, allowed, *_TABLES
    )
    return MergedPairs(
        reads=ReadBatch(letters=letters, scores=scores, starts=bounds[:-1], ends=bounds[1:]),
        merged=np.diff(bounds) > 0,
        overlaps=facts[:, 0],
        columns=facts[:, 1],
        mismatches=facts[:, 2],
        dovetailed=facts[:, 3] > 0,
    )


@dataclass(slots=True)
class MergeTally:
    """Sums over batches, of which `MateMerging` is made."""

    pairs: int = 0
    merged: int = 0
    dovetailed: int = 0
    overlaps_nt: int = 0
    columns: int = 0
    mismatches: int = 0

    def add(self, found: MergedPairs) -> None:
        """Count a batch."""
        self.pairs += len(found.merged)
        self.merged += int(found.merged.sum())
        self.dovetailed += int(found.dovetailed.sum())
        self.overlaps_nt += int(found.overlaps.sum())
        self.columns += int(found.columns.sum())
        self.mismatches += int(found.mismatches.sum())

    def summary(self) -> MateMerging:
        """Pairs, overlaps and disagreement; the mean overlap is 0 where none was merged."""
        return MateMerging(
            pairs=self.pairs,
            merged=self.merged,
            dovetailed=self.dovetailed,
            mean_overlap_nt=self.overlaps_nt / self.merged if self.merged else 0.0,
            overlap_columns=self.columns,
            mismatches=self.mismatches,
        )


def _arrays(
    reads: ReadBatch,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    # numba tells arrays in one piece from others, and read-only ones; one kind is one compilation
    return (
        np.require(reads.letters, requirements=["C", "W"]),
        np.require(reads.scores, requirements=["C", "W"]),
        np.require(reads.starts, requirements=["C", "W"]),
        np.require(reads.ends, requirements=["C", "W"]),
    )


def _tables() -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8], NDArray[np.uint8]]:
    """By the Phred scores of both mates: score of a match and of a mismatch, quality of either."""
    # A base of score 0 is no worse than a random one.
    error = np.minimum(10.0 ** (-np.arange(_HIGHEST_SCORE + 1) / 10), 0.75)
    one, two = np.meshgrid(error, error, indexing="ij")
    same = (1 - one) * (1 - two) + one * two / 3
    match = np.rint(_UNIT * np.log2(same / 0.25)).astype(np.int32)
    mismatch = np.rint(_UNIT * np.log2((1 - same) / 0.75)).astype(np.int32)
    better, worse = np.minimum(one, two), np.maximum(one, two)
    agreed = better * worse / 3 / (1 - better - worse + 4 * better * worse / 3)
    disputed = better * (1 - worse / 3) / (better + worse - 4 * better * worse / 3)
    return match, mismatch, _phred(agreed), _phred(disputed)


def _phred(error: NDArray[np.float64]) -> NDArray[np.uint8]:
    scores: NDArray[np.float64] = np.rint(-10 * np.log10(error))
    return scores.clip(_LOWEST_MERGED, _HIGHEST_MERGED).astype(np.uint8)


_TABLES = _tables()
