"""What surrounds a site: trinucleotides, and runs of equal bases."""

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.reference import Reference

__all__ = [
    "CONTEXTS", "FLANK_NT", "RUN_MAX_NT", "Surroundings", "context_name", "reverse_context", "surroundings",
]  # fmt: skip

CONTEXTS = 64
FLANK_NT = 30
RUN_MAX_NT = 20
"""Longer runs count as this long."""
_CODES = np.full(256, 4, np.uint8)
_CODES[np.frombuffer(b"ACGT", np.uint8)] = np.arange(4, dtype=np.uint8)


class Surroundings:
    """Of the sites ``start`` to ``end`` of a contig.

    Attributes
    ----------
    codes
        Bases 0 to 3, 4 where unknown, (sites,) uint8.
    context
        16 · before + 4 · base + after, (sites,) int64; -1 where one of them is unknown.
    run_after
        Length of the run of equal bases that begins with the next base, (sites,) int64: what an insertion or
        deletion anchored at the site adds to or takes from.
    run_near
        Longest run that holds the site or touches it.
    """

    __slots__ = ("_after", "codes", "context", "run_after", "run_near")

    def __init__(self, padded: NDArray[np.uint8], left_nt: int, sites: int) -> None:
        here = slice(left_nt, left_nt + sites)
        self.codes = padded[here]
        before, after = padded[left_nt - 1 : left_nt + sites - 1], padded[left_nt + 1 : left_nt + sites + 1]
        self._after = after
        known = (before < 4) & (self.codes < 4) & (after < 4)
        context = 16 * before.astype(np.int64) + 4 * self.codes.astype(np.int64) + after.astype(np.int64)
        self.context: NDArray[np.int64] = np.where(known, context, -1)
        starts, lengths = _runs(padded)
        run = np.repeat(np.arange(len(starts)), lengths)
        whole = np.where(padded < 4, lengths[run], 1)
        begins = starts[run] == np.arange(len(padded))
        after_run = np.where(begins, whole, 1)
        self.run_after: NDArray[np.int64] = after_run[left_nt + 1 : left_nt + sites + 1]
        beside = [whole[left_nt + k : left_nt + sites + k] for k in (-1, 0, 1)]
        self.run_near: NDArray[np.int64] = np.maximum.reduce(beside)

    def next_base(self, site: int) -> str:
        """The base behind a site."""
        return "ACGTN"[self._after[site]]


def surroundings(reference: Reference, contig: str, start: int, end: int) -> Surroundings:
    """Read them from the reference; beyond a contig's ends bases are unknown."""
    left, right = max(0, start - FLANK_NT), min(reference.lengths_nt[contig], end + FLANK_NT)
    codes = _CODES[np.frombuffer(reference.bases(contig, left, right).encode(), np.uint8)]
    padded = np.full(end - start + 2 * FLANK_NT, 4, np.uint8)
    offset = FLANK_NT - (start - left)
    padded[offset : offset + len(codes)] = codes
    return Surroundings(padded, FLANK_NT, end - start)


def reverse_context(context: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same trinucleotides on the other strand.

    >>> [context_name(int(c)) for c in reverse_context(np.array([0b000110]))]
    ['CGT']
    """
    before, base, after = context >> 4, (context >> 2) & 3, context & 3
    turned: NDArray[np.int64] = 16 * (3 - after) + 4 * (3 - base) + 3 - before
    return turned


def context_name(context: int) -> str:
    """Three letters.

    >>> context_name(0b000110)
    'ACG'
    """
    return "".join("ACGT"[(context >> shift) & 3] for shift in (4, 2, 0))


def _runs(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    return starts, np.diff(np.append(starts, len(codes)))
