"""Two mates of one fragment to one read, by the overlap that their qualities make likeliest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import MateMerging, NgsSettings

__all__ = ["MergeTally", "MergedPairs", "ReadBatch", "merge_mates"]

_HIGHEST_SCORE = 93  # Phred+33 ends at '~'
_HIGHEST_MERGED = 41  # errors made before sequencing are in both mates, so no merged base is surer
_LOWEST_MERGED = 2
_UNIT = 1000  # scores are whole thousandths of a bit
_MIN_BITS = 30  # 1e-9 by chance at one place; a pair has some 600 places


class ReadBatch(NamedTuple):
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
            starts=np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1])),
            ends=ends,
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

    longest = int(max((first.ends - first.starts).max(), (second.ends - second.starts).max()))
    allowed = (settings.mates_max_mismatch_rate * np.arange(longest + 1)).astype(np.int64)
    letters, scores, bounds, facts = merge_batch(
        *first, *second, settings.mates_min_overlap_nt, _MIN_BITS * _UNIT, allowed, *_TABLES
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

    overlaps: NDArray[np.int64]
    pairs: int = 0
    dovetailed: int = 0
    columns: int = 0
    mismatches: int = 0

    @classmethod
    def empty(cls) -> "MergeTally":
        """Nothing merged yet."""
        return cls(overlaps=np.zeros(1, dtype=np.int64))

    def add(self, found: MergedPairs) -> None:
        """Count a batch."""
        counts = np.bincount(found.overlaps[found.merged])
        longer, shorter = sorted((self.overlaps, counts), key=len, reverse=True)
        self.overlaps = longer.copy()
        self.overlaps[: len(shorter)] += shorter
        self.pairs += len(found.merged)
        self.dovetailed += int(found.dovetailed.sum())
        self.columns += int(found.columns.sum())
        self.mismatches += int(found.mismatches.sum())

    def summary(self) -> MateMerging:
        """Pairs, overlaps and disagreement."""
        merged = int(self.overlaps.sum())
        reached = np.cumsum(self.overlaps)
        low, median, high = (
            int(np.searchsorted(reached, max(1.0, share * merged))) if merged else 0
            for share in (0.05, 0.5, 0.95)
        )
        return MateMerging(
            pairs=self.pairs,
            merged=merged,
            dovetailed=self.dovetailed,
            overlap_low_nt=low,
            overlap_median_nt=median,
            overlap_high_nt=high,
            mismatch_rate=self.mismatches / self.columns if self.columns else 0.0,
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
