"""Where a window of nucleotides occurs in the distinct reads: exactly, or nearly.

A window with at most k mismatches has one of its k + 1 pieces unchanged (pigeonhole). A
piece of p bases holds a whole word of w at any p - w + 1 neighbouring places, so it is
enough to read one word every p - w + 1 bases; only what lies about a word of the window is
compared in full.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import DistinctReads, reverse_complement

__all__ = ["WindowCount", "count_window", "exact_reads", "fewest_mismatches", "window_mismatches"]

_ROWS_AT_ONCE = 20_000  # bounds the memory of one comparison to a few MB
_WORDS = ("<u8", "<u4", "<u2", "u1")  # words of 8, 4, 2, 1 letters, read as one number
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # odd, 2^64 / golden ratio: Knuth's multiplicative hash
_HASH_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCount:
    """Reads with the window unchanged, and beside it with one and with two mismatches."""

    exact: int
    one_mismatch: int
    two_mismatches: int


def window_mismatches(
    reads: DistinctReads, window: bytes, *, max_mismatches: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences that hold a window on either strand.

    Parameters
    ----------
    reads
        Distinct reads.
    window
        Nucleotides in ``ACGT``, longer than ``max_mismatches``.
    max_mismatches
        Substitutions allowed; no insertions or deletions.

    Returns
    -------
    indices, mismatches : ndarray of int64, shape (found,)
        Ranks of the sequences in ascending order, and the fewest mismatches in each.

    Raises
    ------
    ValueError
        If the window holds anything but ``ACGT`` or is too short.

    Examples
    --------
    >>> reads = DistinctReads.from_counts({b"TTACGTACCATT": 5, b"GGACGTACGAGG": 1})
    >>> window_mismatches(reads, b"ACGTACCA", max_mismatches=1)
    (array([0, 1]), array([0, 1]))
    """
    fewest = fewest_mismatches(reads, [window], max_mismatches=max_mismatches)
    indices = np.flatnonzero(fewest <= max_mismatches)
    return indices, fewest[indices]


def fewest_mismatches(
    reads: DistinctReads, windows: Sequence[bytes], *, max_mismatches: int
) -> NDArray[np.int64]:
    """Mismatches of every sequence with the one of several windows that it is most like.

    Parameters
    ----------
    reads
        Distinct reads.
    windows
        As in `window_mismatches`. Those of one length are looked for together.
    max_mismatches
        Substitutions allowed.

    Returns
    -------
    ndarray of int64, shape (sequences,)
        ``max_mismatches + 1`` where no window is found.

    Raises
    ------
    ValueError
        If a window holds anything but ``ACGT`` or is too short.
    """
    if any(len(window) <= max_mismatches or window.translate(None, b"ACGT") for window in windows):
        raise ValueError("a window is a longer run of A, C, G and T")
    fewest = np.full(len(reads), max_mismatches + 1, dtype=np.int64)
    strands = sorted({strand for window in windows for strand in (window, reverse_complement(window))})
    for length in sorted({len(strand) for strand in strands}):
        alike = [strand for strand in strands if len(strand) == length]
        letters = np.frombuffer(b"".join(alike), dtype=np.uint8).reshape(-1, length)
        for numbers, places, inside in _candidates(reads.blob, alike, max_mismatches + 1):
            _compare(reads, letters, numbers, places, inside, fewest)
    return fewest


def exact_reads(reads: DistinctReads, window: bytes) -> int:
    """Reads that hold a window unchanged, on either strand."""
    indices, _ = window_mismatches(reads, window)
    return int(reads.counts[indices].sum())


def count_window(reads: DistinctReads, window: bytes) -> WindowCount:
    """Count reads with the window unchanged and with one or two substitutions in it."""
    indices, mismatches = window_mismatches(reads, window, max_mismatches=2)
    counts = np.bincount(mismatches, weights=reads.counts[indices], minlength=3)
    exact, one, two = (int(count) for count in counts)
    return WindowCount(exact=exact, one_mismatch=one, two_mismatches=two)


def _candidates(
    blob: bytes, windows: Sequence[bytes], pieces: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Windows by number, places where they may lie, and of each a place inside one read; some at once."""
    length = len(windows[0])
    piece_nt = length // pieces
    kind = next(np.dtype(name) for name in _WORDS if np.dtype(name).itemsize <= piece_nt)
    step = piece_nt - kind.itemsize + 1
    if len(blob) < kind.itemsize:
        return
    starts = [length * i // pieces + x for i in range(pieces) for x in range(step)]
    wanted = np.array([_word(w, start, kind) for w in windows for start in starts], dtype=np.uint64)
    order = np.argsort(wanted, kind="stable")
    wanted, offsets = wanted[order], np.tile(np.array(starts, dtype=np.int64), len(windows))[order]
    numbers = order // len(starts)
    # Words of the blob at every step-th place; the layout in memory does not have to be aligned.
    read = np.ndarray(((len(blob) - kind.itemsize) // step + 1,), kind, blob, 0, (step,)).astype(np.uint64)
    likely = np.zeros(1 << _HASH_BITS, dtype=np.bool_)
    likely[_hashed(wanted)] = True
    found = np.flatnonzero(likely[_hashed(read)])
    first, last = (np.searchsorted(wanted, read[found], side=side) for side in ("left", "right"))
    several = last - first  # a word may stand at several places of windows, or be another of its hash
    for alike in range(int(several.max(initial=0))):
        chosen = np.flatnonzero(several > alike)
        for rows in range(0, len(chosen), _ROWS_AT_ONCE):
            part = chosen[rows : rows + _ROWS_AT_ONCE]
            words, which = found[part] * step, first[part] + alike
            yield numbers[which], words - offsets[which], words


def _word(window: bytes, start: int, kind: np.dtype[Any]) -> int:
    return int.from_bytes(window[start : start + kind.itemsize], "little")


def _hashed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * _SPREAD) >> np.uint64(64 - _HASH_BITS)


def _compare(
    reads: DistinctReads,
    windows: NDArray[np.uint8],
    numbers: NDArray[np.int64],
    places: NDArray[np.int64],
    inside: NDArray[np.int64],
    fewest: NDArray[np.int64],
) -> None:
    """Lower ``fewest`` by the mismatches of windows ``numbers`` laid at ``places`` (in the blob)."""
    length = windows.shape[1]
    index = np.searchsorted(reads.starts, inside, side="right") - 1
    fits = (places >= reads.starts[index]) & (places + length <= reads.ends[index])
    numbers, places, index = numbers[fits], places[fits], index[fits]
    if not len(places):
        return
    letters = np.frombuffer(reads.blob, dtype=np.uint8)
    laid = np.lib.stride_tricks.sliding_window_view(letters, length)[places]
    mismatches = np.count_nonzero(laid != windows[numbers], axis=1)
    np.minimum.at(fewest, index, mismatches)
