"""Where a window of nucleotides occurs in the distinct reads: exactly, or nearly.

A window with at most k mismatches has one of its k + 1 pieces unchanged (pigeonhole), so
every piece is looked up exactly and only its finds are compared in full.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import DistinctReads, reverse_complement

__all__ = ["WindowCount", "count_window", "window_mismatches"]

_ROWS_AT_ONCE = 20_000  # bounds the memory of one comparison to some 20 MB


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
    if len(window) <= max_mismatches or window.translate(None, b"ACGT"):
        raise ValueError("a window is a longer run of A, C, G and T")
    fewest = np.full(len(reads), max_mismatches + 1, dtype=np.int64)
    for strand in {window, reverse_complement(window)}:
        for start, piece in _pieces(strand, max_mismatches + 1):
            places = _occurrences(reads.blob, piece) - start
            for rows in range(0, len(places), _ROWS_AT_ONCE):
                _compare(reads, strand, places[rows : rows + _ROWS_AT_ONCE], start, fewest)
    indices = np.flatnonzero(fewest <= max_mismatches)
    return indices, fewest[indices]


def count_window(reads: DistinctReads, window: bytes) -> WindowCount:
    """Count reads with the window unchanged and with one or two substitutions in it."""
    indices, mismatches = window_mismatches(reads, window, max_mismatches=2)
    counts = np.bincount(mismatches, weights=reads.counts[indices], minlength=3)
    exact, one, two = (int(count) for count in counts)
    return WindowCount(exact=exact, one_mismatch=one, two_mismatches=two)


def _pieces(window: bytes, count: int) -> list[tuple[int, bytes]]:
    bounds = [len(window) * i // count for i in range(count + 1)]
    return [(bounds[i], window[bounds[i] : bounds[i + 1]]) for i in range(count)]


def _occurrences(blob: bytes, piece: bytes) -> NDArray[np.int64]:
    places = []
    place = blob.find(piece)
    while place >= 0:
        places.append(place)
        place = blob.find(piece, place + 1)
    return np.array(places, dtype=np.int64)


def _compare(
    reads: DistinctReads,
    window: bytes,
    places: NDArray[np.int64],
    piece_start: int,
    fewest: NDArray[np.int64],
) -> None:
    """Lower ``fewest`` by the mismatches of a window laid at ``places`` (in the blob)."""
    index = np.searchsorted(reads.starts, places + piece_start, side="right") - 1
    inside = (places >= reads.starts[index]) & (places + len(window) <= reads.ends[index])
    places, index = places[inside], index[inside]
    letters = np.frombuffer(reads.blob, dtype=np.uint8)
    laid = letters[places[:, np.newaxis] + np.arange(len(window))]
    mismatches = (laid != np.frombuffer(window, dtype=np.uint8)).sum(axis=1)
    np.minimum.at(fewest, index, mismatches)
