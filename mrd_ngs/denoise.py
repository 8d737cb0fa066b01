"""Sequences that are errors of a more abundant one, told from true neighbours by their counts.

Reading a sequence N times at an error rate e a base makes N e/3 copies of each of its
neighbours at one mismatch. A neighbour with no more reads than that, give or take
chance, is folded into its parent; one with more is another cell's sequence and stays
apart, however near it lies. Where qualities are known, the reads in which the base that
differs is a good one decide: errors are rare among them, true neighbours are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import Library
from mrd_ngs.poor_bases import BaseQuality
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import calibrate
from pipeline.detection.tails import gamma_lower

__all__ = ["Folding", "fold_errors", "substitution_rate"]

_BASES = b"ACGT"
_ROWS_AT_ONCE = 50_000  # bounds the memory of one comparison


_FEW = 300  # sequences
_MOSTLY_POOR = 0.5  # above this share of poor reads in the parent, what good ones are left decides nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folding:
    """Where each sequence belongs.

    ``parent``, shape (sequences,) int64, is the sequence it is folded into, directly or
    through others; its own index where it stays. ``reads``, shape (sequences,) int64,
    are reads with those of folded errors added; 0 for what was folded.
    ``expected_errors``, shape (sequences,) float64, are the reads that errors of
    its neighbours explain, with the safety factor.
    """

    parent: NDArray[np.int64]
    reads: NDArray[np.int64]
    expected_errors: NDArray[np.float64]

    @property
    def is_kept(self) -> NDArray[np.bool_]:
        """Which sequences stay, shape (sequences,)."""
        return np.equal(self.parent, np.arange(len(self.parent)))


def fold_errors(
    sequences: Sequence[bytes],
    counts: NDArray[np.int64],
    *,
    error_rate: float,
    safety: float,
    alpha: float,
    quality: BaseQuality | None = None,
) -> Folding:
    """Fold error satellites into their parents.

    Parameters
    ----------
    sequences
        Distinct, in ``ACGT``, of any lengths.
    counts
        Reads of each, shape (sequences,), >= 1.
    error_rate
        Substitutions a base, in (0, 1).
    safety
        Factor, >= 1, by which a position may be misread more often than on average.
    alpha
        Accepted probability that any error at all passes for a true sequence; it is
        divided by the number of sequences tested (Bonferroni).
    quality
        Of the bases of each sequence. Then a sequence at one mismatch is judged by its reads with a
        good base there, against errors at good bases; but where more than half of its parent's reads
        have a poor one, or nothing is known of either, by all reads, against errors at bases of both
        kinds.

    Returns
    -------
    Folding

    Raises
    ------
    ValueError
        If there are not as many counts as sequences.

    Notes
    -----
    A sequence with c reads is kept if P(X >= c) < alpha / tests for a Poisson count with
    the mean error reads of all its more abundant neighbours together: N e/3 s at one mismatch,
    N (e/3 s)^2 at two (looked for where that could matter: N e s >= 1). An error of
    an error is folded along with it. Substitutions only: insertions and deletions stay
    apart. A PCR error of an early cycle is copied like a true sequence, so a sequence
    of one or two templates may keep a satellite; ties in reads are never folded.

    Examples
    --------
    >>> fold = fold_errors([b"ACGTACGT", b"ACGTACGA", b"ACGTACGG"], np.array([9000, 3, 400]),
    ...                    error_rate=0.001, safety=3.0, alpha=0.01)
    >>> fold.parent.tolist(), fold.reads.tolist()
    ([0, 0, 2], [9003, 0, 400])
    """
    if len(sequences) != len(counts):
        raise ValueError(f"{len(sequences)} sequences and {len(counts)} counts")
    order = sorted(range(len(sequences)), key=lambda i: (-int(counts[i]), sequences[i]))
    errors = _ErrorRates.of(error_rate, quality, safety)
    expected, at_good_bases = np.zeros(len(sequences)), np.zeros(len(sequences))
    nearest = np.full(len(sequences), -1, dtype=np.int64)  # the most abundant neighbour
    place = np.full(len(sequences), -1, dtype=np.int64)  # where it differs, at one mismatch
    for parent, child, position in _pairs(sequences, counts, order, safety * error_rate):
        good, poor = errors.a_read(parent, position)
        expected[child] += counts[parent] * (good + poor)
        at_good_bases[child] += counts[parent] * good
        if nearest[child] < 0 or (position >= 0 > place[child]):
            nearest[child], place[child] = parent, position
    weighed = counts.astype(np.float64)
    against = expected.copy()
    if quality is not None:
        for child in np.flatnonzero(place >= 0).tolist():
            own, parents = quality.poor_shares[child], quality.poor_shares[nearest[child]]
            if own is not None and parents is not None and parents[place[child]] <= _MOSTLY_POOR:
                weighed[child] *= 1 - float(own[place[child]])
                against[child] = at_good_bases[child]
    explained = (nearest >= 0) & _reachable(weighed, against, alpha)
    return _folded(counts, order, nearest, explained, expected)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _ErrorRates:
    """Errors a base to one of the three others, with the safety factor."""

    poor_shares: Sequence[NDArray[np.floating] | None] | None
    any_base: float
    good_base: float
    poor_base: float

    @classmethod
    def of(cls, error_rate: float, quality: BaseQuality | None, safety: float) -> "_ErrorRates":
        rates = (error_rate, error_rate, error_rate)
        if quality is not None:
            rates = (error_rate, quality.good_error_rate, quality.poor_error_rate)
        any_base, good_base, poor_base = (min(1.0, safety * rate / 3) for rate in rates)
        return cls(
            poor_shares=None if quality is None else quality.poor_shares,
            any_base=any_base,
            good_base=good_base,
            poor_base=poor_base,
        )

    def a_read(self, parent: int, position: int) -> tuple[float, float]:
        """Errors that make one read of a parent its neighbour: at good bases, and at poor ones.

        ``position`` is where they differ; -1 at two mismatches, which like those of a parent of which
        nothing is known all count as good.
        """
        if position < 0:
            return self.any_base**2, 0.0
        shares = None if self.poor_shares is None else self.poor_shares[parent]
        if shares is None:
            return self.any_base, 0.0
        poor = float(shares[position])
        return (1 - poor) * self.good_base, poor * self.poor_base


def substitution_rate(library: Library, settings: NgsSettings) -> float:
    """Substitutions a base: of the spike-ins, or what is assumed where none was read."""
    window_nt = settings.spike_in_window_nt
    calibration = calibrate(library.spike_in_reads, library.spike_ins, window_nt=window_nt, settings=settings)
    return settings.error_rate_assumed if calibration is None else calibration.error_rate


def _reachable(counts: NDArray[np.float64], expected: NDArray[np.float64], alpha: float) -> NDArray[np.bool_]:
    """Whether a Poisson count of this mean reaches ``counts`` often enough."""
    tests = max(1, int((expected > 0).sum()))
    # P(X >= c) = P(c, mean), which is defined for weighed counts that are not whole, too
    reached = np.where(counts > 0, _tails(np.maximum(counts, 1e-9), expected), 1.0)
    return np.asarray(reached >= alpha / tests, dtype=np.bool_)


def _tails(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(X >= count); scipy is worth its import for a whole repertoire, not for a clone's neighbours."""
    if len(counts) <= _FEW:
        return np.array([gamma_lower(c, m) for c, m in zip(counts.tolist(), expected.tolist(), strict=True)])
    from scipy.special import gammainc

    return np.asarray(gammainc(counts, expected), dtype=np.float64)


def _folded(
    counts: NDArray[np.int64],
    order: Sequence[int],
    nearest: NDArray[np.int64],
    explained: NDArray[np.bool_],
    expected: NDArray[np.float64],
) -> Folding:
    parent = np.arange(len(counts), dtype=np.int64)
    for i in order:  # parents before their satellites
        if explained[i]:
            parent[i] = parent[nearest[i]]
    reads = np.zeros(len(counts), dtype=np.int64)
    np.add.at(reads, parent, counts)
    return Folding(parent=parent, reads=reads, expected_errors=expected)


def _pairs(
    sequences: Sequence[bytes], counts: NDArray[np.int64], order: Sequence[int], misread: float
) -> list[tuple[int, int, int]]:
    """Parent, less abundant neighbour, and the position where they differ (-1: two mismatches).

    Most abundant parents first.
    """
    halves = _Halves(sequences)
    by_length: dict[int, list[int]] = {}
    for i in order:
        by_length.setdefault(len(sequences[i]), []).append(i)
    matrices = {
        length: np.frombuffer(b"".join(sequences[i] for i in members), dtype=np.uint8).reshape(-1, length)
        for length, members in by_length.items()
        if length
    }
    least = int(counts.min()) if len(counts) else 0
    pairs: list[tuple[int, int, int]] = []
    for parent in order:
        count = int(counts[parent])
        if count <= least:
            break
        if count * misread >= 1:
            members = by_length[len(sequences[parent])]
            found = _near(matrices[len(sequences[parent])], sequences[parent])
            pairs += [(parent, members[row], at) for row, at in found if counts[members[row]] < count]
            continue
        pairs += [
            (parent, child, at)
            for child, at in halves.one_mismatch(sequences[parent])
            if counts[child] < count
        ]
    return pairs


class _Halves:
    """Sequences by either half: of two with one mismatch, one half is the same (pigeonhole)."""

    def __init__(self, sequences: Sequence[bytes]) -> None:
        self._numbers = [int.from_bytes(sequence, "little") for sequence in sequences]
        self._index = {sequence: i for i, sequence in enumerate(sequences)}
        self._members: dict[tuple[int, bool, bytes], list[int]] = {}
        for i, sequence in enumerate(sequences):
            for key in self._keys(sequence):
                self._members.setdefault(key, []).append(i)

    @staticmethod
    def _keys(sequence: bytes) -> tuple[tuple[int, bool, bytes], tuple[int, bool, bytes]]:
        middle = len(sequence) // 2
        return (len(sequence), False, sequence[:middle]), (len(sequence), True, sequence[middle:])

    def one_mismatch(self, sequence: bytes) -> list[tuple[int, int]]:
        """Sequences at one mismatch, and where."""
        found = []
        own = int.from_bytes(sequence, "little")
        for key in self._keys(sequence):
            members = self._members[key]
            if len(members) > len(sequence):  # many share this half: making all neighbours is less work
                return self._made(sequence)
            for other in members:
                differ = own ^ self._numbers[other]
                at = ((differ & -differ).bit_length() - 1) >> 3  # the first letter that differs
                if differ and differ >> (8 * at) < 256:  # and no letter behind it
                    found.append((other, at))
        return found

    def _made(self, sequence: bytes) -> list[tuple[int, int]]:
        found = []
        for at in range(len(sequence)):
            head, tail = sequence[:at], sequence[at + 1 :]
            for base in _BASES:
                child = self._index.get(head + bytes((base,)) + tail) if base != sequence[at] else None
                if child is not None:
                    found.append((child, at))
        return found


def _near(matrix: NDArray[np.uint8], sequence: bytes) -> list[tuple[int, int]]:
    """Rows at one or two mismatches, with the position of a single one."""
    wanted = np.frombuffer(sequence, dtype=np.uint8)
    found: list[tuple[int, int]] = []
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        differs = matrix[start : start + _ROWS_AT_ONCE] != wanted
        mismatches = differs.sum(axis=1)
        for row in np.flatnonzero((mismatches == 1) | (mismatches == 2)).tolist():
            at = int(differs[row].argmax()) if mismatches[row] == 1 else -1
            found.append((start + row, at))
    return found
