"""Fragments over a window of the genome, base by base: plain reads, without consensus.

Both mates of a fragment are one observation; where they overlap and disagree it says nothing.
Fragments with the same two ends and orientation are taken for copies of one molecule. This is
what a BAM allows that has no UMIs; with UMIs use the consensus of `pipeline.variants`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DISAGREES", "UNSEEN", "WindowPileup", "pile_up"]

UNSEEN, DISAGREES = 5, 4
_CODES = np.full(256, UNSEEN, dtype=np.uint8)
_CODES[[ord(c) for c in "ACGT"]] = range(4)
_LEFT_OUT = 0x4 | 0x100 | 0x200 | 0x400 | 0x800  # unmapped, secondary, failed, duplicate, supplementary
_MATCH, _INSERTION, _DELETION, _SKIP, _SOFT, _EQUAL, _DIFFERENT = 0, 1, 2, 3, 4, 7, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPileup:
    """Bases of the fragments over ``start`` <= position < ``end`` (0-based).

    ``bases``: shape (fragments, sites) uint8, 0-3 for A, C, G, T, `DISAGREES` or `UNSEEN`.
    ``indels``: by (0-based anchor, inserted bases or ``-`` and a length) the rows that show it.
    ``lengths_nt``: shape (fragments,) int64, template lengths, 0 where unknown.
    ``names``: of the fragments, sorted. ``reads`` were looked at, ``copies`` fragments folded.
    """

    start: int
    end: int
    bases: NDArray[np.uint8]
    indels: dict[tuple[int, str], NDArray[np.int64]]
    lengths_nt: NDArray[np.int64]
    names: tuple[str, ...]
    reads: int
    copies: int

    def counts(self) -> NDArray[np.int64]:
        """Fragments by site and base, shape (sites, 4)."""
        return np.stack([(self.bases == base).sum(axis=0) for base in range(4)], axis=1)


@dataclass(slots=True)
class _Rows:
    """Rows of fragments while reads are gathered."""

    sites: int
    row_of: dict[str, int] = field(default_factory=dict)
    bases: list[NDArray[np.uint8]] = field(default_factory=list)
    ends: list[tuple[int, int, bool]] = field(default_factory=list)
    indels: dict[tuple[int, str], set[int]] = field(default_factory=dict)
    reads: int = 0

    def row(self, read: Any) -> int:
        """The row of the read's fragment, new where its mate has not been seen."""
        name = read.query_name
        if name not in self.row_of:
            self.row_of[name] = len(self.bases)
            self.bases.append(np.full(self.sites, UNSEEN, dtype=np.uint8))
            self.ends.append(_ends_of(read))
        return self.row_of[name]


def pile_up(
    reads: Iterable[Any],
    start: int,
    end: int,
    *,
    mapping_quality_min: int,
    base_quality_min: int,
    fold_copies: bool = True,
) -> WindowPileup:
    """Pile up reads, as pysam's ``fetch`` gives them, over a window.

    Parameters
    ----------
    reads
        `pysam.AlignedSegment` in any order, those that touch the window.
    start, end
        0-based, half open.
    mapping_quality_min, base_quality_min
        Below these a read, or a base, is not looked at.
    fold_copies
        Whether fragments with equal ends and orientation are one.

    Returns
    -------
    WindowPileup
        Rows by fragment name, so the same for any order of reads.
    """
    rows = _Rows(sites=end - start)
    for read in reads:
        if read.flag & _LEFT_OUT or read.mapping_quality < mapping_quality_min or not read.query_sequence:
            continue
        rows.reads += 1
        _add(rows, read, start, end, base_quality_min)
    return _pileup_of(rows, start, end, fold_copies=fold_copies)


def _add(rows: _Rows, read: Any, start: int, end: int, base_quality_min: int) -> None:
    """Lay one read's bases into its fragment's row."""
    codes = _CODES[np.frombuffer(read.query_sequence.encode("ascii"), dtype=np.uint8)].copy()
    qualities = read.query_qualities
    if qualities is not None:
        codes[np.asarray(qualities, dtype=np.uint8) < base_quality_min] = UNSEEN
    number = rows.row(read)
    at, query = read.reference_start, 0
    for operation, length in read.cigartuples or ():
        if operation in (_MATCH, _EQUAL, _DIFFERENT):
            _lay(rows.bases[number], codes[query : query + length], at - start)
            at, query = at + length, query + length
        elif operation == _INSERTION:
            if start <= at - 1 < end:
                bases = read.query_sequence[query : query + length]
                rows.indels.setdefault((at - 1, bases), set()).add(number)
            query += length
        elif operation == _DELETION:
            if start <= at - 1 < end:
                rows.indels.setdefault((at - 1, f"-{length}"), set()).add(number)
            at += length
        elif operation == _SKIP:
            at += length
        elif operation == _SOFT:
            query += length


def _lay(row: NDArray[np.uint8], codes: NDArray[np.uint8], offset: int) -> None:
    low, high = max(offset, 0), min(offset + len(codes), len(row))
    if low >= high:
        return
    new, old = codes[low - offset : high - offset], row[low:high]
    both = (old != UNSEEN) & (new != UNSEEN) & (old != new)
    row[low:high] = np.where(both, DISAGREES, np.where(new == UNSEEN, old, new))


def _pileup_of(rows: _Rows, start: int, end: int, *, fold_copies: bool) -> WindowPileup:
    order = sorted(rows.row_of, key=rows.row_of.__getitem__)
    if not order:
        empty = np.zeros((0, end - start), dtype=np.uint8)
        lengths = np.zeros(0, dtype=np.int64)
        return WindowPileup(
            start=start, end=end, bases=empty, indels={}, lengths_nt=lengths, names=(), reads=0, copies=0
        )
    groups: dict[object, list[int]] = {}
    for number, name in enumerate(order):
        ends = rows.ends[number]
        groups.setdefault(ends if fold_copies and ends[1] > ends[0] else name, []).append(number)
    chosen = sorted(groups.values(), key=lambda members: min(order[m] for m in members))
    bases = np.stack([_consensus([rows.bases[m] for m in members]) for members in chosen])
    new_row = {m: number for number, members in enumerate(chosen) for m in members}
    return WindowPileup(
        start=start,
        end=end,
        bases=bases,
        indels={
            event: np.array(sorted({new_row[m] for m in members}), dtype=np.int64)
            for event, members in sorted(rows.indels.items())
        },
        lengths_nt=np.array(
            [max(0, rows.ends[m[0]][1] - rows.ends[m[0]][0]) for m in chosen], dtype=np.int64
        ),
        names=tuple(min(order[m] for m in members) for members in chosen),
        reads=rows.reads,
        copies=len(order) - len(chosen),
    )


def _consensus(copies: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The base that all copies show that show one; else `DISAGREES`."""
    row = copies[0]
    for other in copies[1:]:
        both = (row != UNSEEN) & (other != UNSEEN) & (row != other)
        row = np.where(both, DISAGREES, np.where(other == UNSEEN, row, other)).astype(np.uint8)
    return row


def _ends_of(read: Any) -> tuple[int, int, bool]:
    """Both ends of the fragment and whether read 1 is its left one; (0, 0) where they are unknown."""
    length = read.template_length
    if not length or read.mate_is_unmapped or read.next_reference_id != read.reference_id:
        return 0, 0, False
    left = min(read.reference_start, read.next_reference_start)
    first_forward = read.is_read1 != read.is_reverse
    return left, left + abs(length), first_forward
