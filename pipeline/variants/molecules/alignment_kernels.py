"""Compiled kernels of single alignments: CIGARs, indels in their leftmost place, ends realigned.

Reference bases are BAM's nibble codes (1, 2, 4, 8 for A, C, G, T, 15 for N) over a region that begins
at ``origin``; positions ``x`` count from there.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.variants.molecules.record_kernels import (
    FLAG,
    FLAG_REVERSE,
    NAME_HASH,
    OFFSET,
    POS,
    QUALITY,
    i32,
    u16,
)

__all__ = ["find_indels", "leftmost_indel", "operations_of", "realign_end", "repeat_ends"]

U8: TypeAlias = NDArray[np.uint8]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

MATCH, INSERTION, DELETION, SKIP, CLIP = 0, 1, 2, 3, 4
MOST_OPERATIONS = 64  # of one alignment; one with more is passed over
LONGEST_CODED_NT = 31  # inserted bases that fit a word, two bits each; longer ones are hashed

# Columns of an indel: anchor (the base before it), length (< 0 deleted), inserted bases as a word, and of
# long insertions where they can be read: record, index of the first base, rotation by left-alignment.
ANCHOR, LENGTH, BASES, EXAMPLE, INDEX, ROTATION, NAME = range(7)
INDEL_COLUMNS = 7

_OF_NIBBLE = np.full(16, 4, dtype=np.int64)
_OF_NIBBLE[[1, 2, 4, 8]] = [0, 1, 2, 3]
_FIXED = 36
_MISMATCH, _ONE_MENDED, _CLIP_MENDED, _SUPPORT = 4, 5, 8, 10
_READABLE = 10  # Phred


@kernel
def nibble(data: U8, sequence: Int, i: Int) -> Int:
    """Code of base ``i``."""
    byte = np.int64(data[sequence + (i >> 1)])
    return byte & 15 if i & 1 else byte >> 4


@kernel
def sequence_of(data: U8, at: Int) -> tuple[Int, Int, Int]:
    """Where the bases and the qualities of the record at ``at`` are, and how many."""
    sequence = at + _FIXED + np.int64(data[at + 12]) + 4 * u16(data, at + 16)
    bases = i32(data, at + 20)
    return sequence, sequence + (bases + 1) // 2, bases


@kernel
def operations_of(data: U8, at: Int, operations: I64) -> Int:
    """Put the CIGAR into ``operations`` (`MOST_OPERATIONS`, 2); how many, 0 if there are too many.

    ``=`` and ``X`` become M; hard clips and padding are left out.
    """
    cigar = at + _FIXED + np.int64(data[at + 12])
    count = 0
    for k in range(u16(data, at + 16)):
        word = i32(data, cigar + 4 * k) & 0xFFFFFFFF
        kind, length = word & 15, word >> 4
        if kind == 7 or kind == 8:
            kind = MATCH
        if kind > CLIP or length == 0:
            continue
        if count == MOST_OPERATIONS:
            return 0
        operations[count, 0], operations[count, 1] = kind, length
        count += 1
    return count


@kernel
def leftmost_indel(
    data: U8, sequence: Int, begin: Int, x: Int, length: Int, reference: U8, indel: I64
) -> Any:
    """Put the indel after anchor ``x`` in its leftmost place; False if it cannot be named.

    ``length`` < 0 deletes; else ``length`` bases are inserted, which begin at base ``begin`` of the read.
    """
    indel[LENGTH], indel[BASES], indel[INDEX], indel[ROTATION] = length, 0, begin, 0
    if x < 0 or x + max(-length, 0) >= len(reference):
        return False
    if length < 0:
        while x > 0 and reference[x] == reference[x - length] and reference[x] != 15:
            x -= 1
        indel[ANCHOR] = x
        return reference[x] != 15
    turned = 0  # bases of the insertion's end that moved to its front, one for each step to the left
    while x > 0 and reference[x] == nibble(data, sequence, begin + (length - 1 - turned) % length):
        turned += 1
        x -= 1
    word = np.uint64(length)
    for i in range(length):
        code = _OF_NIBBLE[nibble(data, sequence, begin + (i - turned) % length)]
        if code == 4:
            return False
        if length <= LONGEST_CODED_NT:
            word = np.uint64(code) if i == 0 else word << np.uint64(2) | np.uint64(code)
        else:
            word = (word ^ np.uint64(code + 1)) * np.uint64(1099511628211)
    if length > LONGEST_CODED_NT:
        word >>= np.uint64(1)  # so that it fits a signed word
    indel[ANCHOR], indel[BASES], indel[ROTATION] = x, np.int64(word), turned
    return reference[x] != 15


@kernel
def find_indels(data: U8, table: I64, origin: Int, reference: U8, min_quality: Int, found: I64) -> Int:
    """Put every indel of every well-mapped record into ``found``; how many there are, maybe more than fit."""
    operations = np.empty((MOST_OPERATIONS, 2), dtype=np.int64)
    indel = np.zeros(INDEL_COLUMNS, dtype=np.int64)
    count = 0
    for n in range(len(table)):
        if table[n, QUALITY] < min_quality:
            continue
        at = table[n, OFFSET]
        if u16(data, at + 16) < 3:
            continue
        sequence = sequence_of(data, at)[0]
        x, i = table[n, POS] - origin, 0
        for k in range(operations_of(data, at, operations)):
            kind, length = operations[k, 0], operations[k, 1]
            if kind in (INSERTION, DELETION):
                signed = length if kind == INSERTION else -length
                if leftmost_indel(data, sequence, i, x - 1, signed, reference, indel):
                    indel[EXAMPLE], indel[NAME] = at, table[n, NAME_HASH]
                    if count < len(found):
                        found[count] = indel
                    count += 1
            if kind in (MATCH, DELETION, SKIP):
                x += length
            if kind in (MATCH, INSERTION, CLIP):
                i += length
    return count


@kernel
def repeat_ends(reference: U8, ends: I32) -> None:
    """Put the last base of the repeat that begins behind each position into ``ends``; itself where none does.

    Repeats are two or more copies of a unit of one to six bases; within one the place of an indel is free.
    """
    size = len(reference)
    for x in range(size):
        ends[x] = x
    for unit in range(1, 7):
        equal = 0
        for x in range(size - unit - 1, -1, -1):
            equal = equal + 1 if reference[x] == reference[x + unit] and reference[x] != 15 else 0
            if equal >= unit and x > 0:
                ends[x - 1] = max(ends[x - 1], x - 1 + equal + unit)


@kernel
def _fit(data: U8, sequence: Int, qualities: Int, i: Int, x: Int, reference: U8) -> Int:
    """Score of base ``i`` of a read at ``x``: 1 equal, -4 not, 0 where either is not known."""
    if x < 0 or x >= len(reference) or data[qualities + i] < _READABLE:
        return 0
    code = nibble(data, sequence, i)
    if code == 15 or reference[x] == 15:
        return 0
    return 1 if code == reference[x] else -_MISMATCH


@kernel
def _moved_fit(
    data: U8, sequence: Int, qualities: Int, i: Int, x: Int, step: Int, gone: Int, indel: I64, reference: U8
) -> Int:
    """Score of base ``i``, the ``gone``-th beyond the indel, whose place without the indel would be ``x``.

    ``step`` is 1 where the read's left part stays and its right part moves, -1 the other way round.
    """
    length = indel[LENGTH]
    if length < 0:
        return _fit(data, sequence, qualities, i, x - step * length, reference)
    if gone < length:
        k = gone if step == 1 else length - 1 - gone
        code = 1 << (indel[BASES] >> (2 * (length - 1 - k)) & 3)
        if data[qualities + i] < _READABLE:
            return 0
        return 1 if nibble(data, sequence, i) == code else -_MISMATCH
    return _fit(data, sequence, qualities, i, x - step * length, reference)


@kernel
def realign_end(
    data: U8, row: I64, origin: Int, reference: U8, indel: I64, operations: I64, count: Int, inline_nt: Int
) -> tuple[Int, Int, Int]:
    """Try whether one end of an ungapped alignment fits better across a known indel.

    The end beyond the indel is scored base by base (equal 1, different -4) where the aligner put it and
    where the indel puts it, there as far as it fits. If that mends at least one mismatch it is moved;
    what is moved too little to speak for the indel is clipped, since it speaks against it no more.

    Returns
    -------
    count, position, changed
        Operations, new reference position of the first aligned base, and 0 unchanged, 1 clipped, 2 moved.
    """
    at = row[OFFSET]
    sequence, qualities, bases = sequence_of(data, at)
    front = operations[0, 1] if operations[0, 0] == CLIP else 0
    back = operations[count - 1, 1] if count > 1 and operations[count - 1, 0] == CLIP else 0
    start = row[POS] - origin
    stop = bases - back
    first, last = 0, bases  # the UMI is no part of the fragment
    if row[FLAG] & FLAG_REVERSE:
        last -= inline_nt
    else:
        first += inline_nt
    length = indel[LENGTH]
    deleted, inserted = max(-length, 0), max(length, 0)
    for step in (1, -1):
        if step == 1:
            edge = front + indel[ANCHOR] + 1 - start  # the first base that moves
            if edge <= front or edge >= last or edge > stop:
                continue
        else:
            edge = front + indel[ANCHOR] + deleted - start  # the last one that does
            if edge >= stop - 1 or edge < first or edge < front - 1:
                continue
        stays = moves = best = 0
        reach = edge - step
        gone = 0
        mended_clip = True
        i = edge
        while first <= i < last:
            x = start + i - front
            if front <= i < stop:
                score = _fit(data, sequence, qualities, i, x, reference)
                stays += score
                mended_clip = mended_clip and score >= 0
            moves += _moved_fit(data, sequence, qualities, i, x, step, gone, indel, reference)
            if moves > best:
                best, reach = moves, i
            gone += 1
            i += step
        gain = best - max(stays, 0) if mended_clip else best - stays
        if gain < (_CLIP_MENDED if mended_clip else _ONE_MENDED):
            continue
        moved = (reach - edge) * step + 1
        supports = gain >= _SUPPORT and moved > inserted
        if step == 1:
            return _cut_right(operations, front, edge, moved, bases, deleted, inserted, supports, row[POS])
        return _cut_left(
            operations, edge, moved, bases, stop, deleted, inserted, supports, indel[ANCHOR] + origin
        )
    return count, row[POS], 0


@kernel
def _put(operations: I64, count: Int, kind: Int, length: Int) -> Int:
    if length <= 0:
        return count
    operations[count, 0], operations[count, 1] = kind, length
    return count + 1


@kernel
def _cut_right(
    operations: I64,
    front: Int,
    edge: Int,
    moved: Int,
    bases: Int,
    deleted: Int,
    inserted: Int,
    supports: Int,
    pos: Int,
) -> tuple[Int, Int, Int]:
    """Operations where the part right of the indel moves (or is clipped)."""
    n = _put(operations, 0, CLIP, front)
    n = _put(operations, n, MATCH, edge - front)
    if not supports:
        return _put(operations, n, CLIP, bases - edge), pos, 1
    n = _put(operations, n, DELETION, deleted)
    n = _put(operations, n, INSERTION, inserted)
    n = _put(operations, n, MATCH, moved - inserted)
    return _put(operations, n, CLIP, bases - edge - moved), pos, 2


@kernel
def _cut_left(
    operations: I64,
    edge: Int,
    moved: Int,
    bases: Int,
    stop: Int,
    deleted: Int,
    inserted: Int,
    supports: Int,
    anchor: Int,
) -> tuple[Int, Int, Int]:
    """Operations where the part left of the indel moves (or is clipped)."""
    if not supports:
        n = _put(operations, 0, CLIP, edge + 1)
        n = _put(operations, n, MATCH, stop - edge - 1)
        return _put(operations, n, CLIP, bases - stop), anchor + deleted + 1, 1
    n = _put(operations, 0, CLIP, edge + 1 - moved)
    n = _put(operations, n, MATCH, moved - inserted)
    n = _put(operations, n, DELETION, deleted)
    n = _put(operations, n, INSERTION, inserted)
    n = _put(operations, n, MATCH, stop - edge - 1)
    return _put(operations, n, CLIP, bases - stop), anchor + 1 - (moved - inserted), 2
