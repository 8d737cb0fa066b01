"""Compiled kernels over the raw bytes of BAM records (SAM specification 4.2): found, read, joined to pairs.

A record's facts are one row of a table (n, `COLUMNS`) int64; its bases and qualities stay where they
are, at ``OFFSET`` in the unpacked bytes.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["find_records", "join_mates", "keep_records", "read_records"]

U8: TypeAlias = NDArray[np.uint8]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

OFFSET, POS, END, FIVE_PRIME, FLAG, QUALITY, NAME_HASH, UMI_FIRST, UMI_SECOND, FATE = range(10)
COLUMNS = 10

# FATE: why a record is no evidence; names in pipeline.variants.molecules.tally
KEPT, UNMAPPED, NOT_PRIMARY, FAILED_QC, NO_UMI, UMI_WITH_N, NO_BASES = range(7)
FATES = 7

NO_SOURCE, TAG, HEADER, INLINE = range(4)

FLAG_PAIRED, FLAG_UNMAPPED, FLAG_REVERSE, FLAG_SECOND = 1, 4, 16, 128
FLAG_NOT_PRIMARY, FLAG_FAILED = 0x900, 0x200

_FIXED = 36  # bytes of a record before its name, block_size included
_CODES = np.full(256, -1, dtype=np.int64)
_CODES[[65, 67, 71, 84]] = [0, 1, 2, 3]
_CODES[[97, 99, 103, 116]] = [0, 1, 2, 3]
_CODES[[78, 110]] = 4
_OF_NIBBLE = np.full(16, 4, dtype=np.int64)
_OF_NIBBLE[[1, 2, 4, 8]] = [0, 1, 2, 3]
_AUX_BYTES = np.zeros(256, dtype=np.int64)  # size of a tag's value by its type
for _type, _size in ((65, 1), (99, 1), (67, 1), (115, 2), (83, 2), (105, 4), (73, 4), (102, 4)):
    _AUX_BYTES[_type] = _size


@kernel
def u16(data: U8, at: Int) -> Int:
    """Little-endian unsigned 16-bit integer."""
    return np.int64(data[at]) | np.int64(data[at + 1]) << 8


@kernel
def i32(data: U8, at: Int) -> Int:
    """Little-endian signed 32-bit integer."""
    value = u16(data, at) | u16(data, at + 2) << 16
    return value - ((value & 0x80000000) << 1)


@kernel
def find_records(data: U8, at: Int, contig: Int, last_pos: Int, found: I64) -> tuple[Int, Int, Int]:
    """Offsets of the whole records from ``at`` on: how many, where the next begins, and how it ended.

    It ends 0 at the end of the bytes (or of ``found``), 1 at a record of a later contig or beyond
    ``last_pos``, 2 at one that contradicts itself, 3 at one that should have come before.
    """
    size = len(data)
    records = 0
    before = -1
    while at + 4 <= size and records < len(found):
        block = i32(data, at)
        if block < 32:
            return records, at, 2
        if at + 4 + block > size:
            break
        name, operations = np.int64(data[at + 12]), u16(data, at + 16)
        bases = i32(data, at + 20)
        if name < 1 or bases < 0 or 32 + name + 4 * operations + (bases + 1) // 2 + bases > block:
            return records, at, 2
        on, pos = i32(data, at + 4), i32(data, at + 8)
        if on != contig:
            if on < 0 or on > contig:
                return records, at, 1
        elif pos > last_pos:
            return records, at, 1
        elif pos < before:
            return records, at, 3
        else:
            found[records] = at
            records += 1
            before = pos
        at += 4 + block
    return records, at, 0


@kernel
def _encoded_umi(data: U8, begin: Int, end: Int, umi: I64) -> Int:
    """Put the parts of the UMI between two bytes, and their lengths, into ``umi``; its FATE.

    Parts are separated by one character that is no letter.
    """
    umi[:] = 0
    part, fate = 0, KEPT
    for i in range(begin, end):
        code = _CODES[data[i]]
        if code < 0:
            if part == 1 or umi[2] == 0:
                return NO_UMI
            part = 1
            continue
        if code == 4:
            fate, code = UMI_WITH_N, 0
        umi[part] = umi[part] << 2 | code
        umi[2 + part] += 1
    if umi[2] == 0 or (part == 1 and umi[3] == 0) or max(umi[2], umi[3]) > 31:
        return NO_UMI
    return fate


@kernel
def _inline_umi(data: U8, sequence: Int, bases: Int, nt: Int, reverse: Int, umi: I64) -> Int:
    """Put the first ``nt`` bases as sequenced into ``umi``; the read's FATE."""
    umi[:] = 0
    fate = KEPT
    if nt > bases:
        return NO_UMI
    for i in range(nt):
        k = bases - 1 - i if reverse else i
        code = _OF_NIBBLE[data[sequence + (k >> 1)] >> (4 if k & 1 == 0 else 0) & 15]
        if code == 4:
            fate, code = UMI_WITH_N, 0
        elif reverse:
            code = 3 - code
        umi[0] = umi[0] << 2 | code
    umi[2] = nt
    return fate


@kernel
def _tag_value(data: U8, at: Int, end: Int, first: Int, second: Int) -> tuple[Int, Int]:
    """Begin and end of the text of a tag of type Z, both 0 where there is none."""
    while at + 3 < end:
        wanted = data[at] == first and data[at + 1] == second
        kind = data[at + 2]
        at += 3
        if kind == 90 or kind == 72:  # Z, H
            begin = at
            while at < end and data[at] != 0:
                at += 1
            if wanted:
                return begin, at
            at += 1
        elif kind == 66:  # B
            if at + 5 > end:
                return 0, 0
            at += 5 + _AUX_BYTES[data[at]] * (i32(data, at + 1) & 0xFFFFFFFF)
        elif _AUX_BYTES[kind] == 0:
            return 0, 0
        else:
            at += _AUX_BYTES[kind]
    return 0, 0


@kernel
def _umi_of(data: U8, row: I64, source: I64, umi: I64) -> Int:
    """Find a record's UMI as ``source`` says (kind, inline lengths, tag's letters); its FATE."""
    at = row[OFFSET]
    name = np.int64(data[at + 12])
    sequence = at + _FIXED + name + 4 * u16(data, at + 16)
    bases = i32(data, at + 20)
    if source[0] == INLINE:
        nt = source[2] if row[FLAG] & FLAG_SECOND else source[1]
        return _inline_umi(data, sequence, bases, nt, row[FLAG] & FLAG_REVERSE, umi)
    if source[0] == TAG:
        end = at + 4 + i32(data, at)
        begin, end = _tag_value(data, sequence + (bases + 1) // 2 + bases, end, source[3], source[4])
        return _encoded_umi(data, begin, end, umi) if end > begin else NO_UMI
    end = at + _FIXED + name - 1
    begin = end  # the letters, and one character between two parts, that end the name
    while begin > at + _FIXED and data[begin - 1] != 58 and data[begin - 1] != 95:  # ':', '_'
        begin -= 1
    if begin == at + _FIXED:
        return NO_UMI
    return _encoded_umi(data, begin, end, umi)


@kernel
def read_records(data: U8, offsets: I64, source: I64, table: I64, lengths: I64) -> None:
    """Fill the rows of ``table`` for the records at ``offsets``.

    ``lengths`` collects the lengths of UMI parts seen: smallest and largest of the first, of the second.
    """
    umi = np.zeros(4, dtype=np.int64)
    for n in range(len(offsets)):
        row = table[n]
        at = offsets[n]
        flag, operations = u16(data, at + 18), u16(data, at + 16)
        row[OFFSET], row[POS], row[FLAG], row[QUALITY] = at, i32(data, at + 8), flag, data[at + 13]
        row[UMI_FIRST] = row[UMI_SECOND] = 0
        row[END] = row[FIVE_PRIME] = row[POS]
        row[FATE] = KEPT
        if flag & FLAG_UNMAPPED or operations == 0:
            row[FATE] = UNMAPPED
        elif flag & FLAG_NOT_PRIMARY:
            row[FATE] = NOT_PRIMARY
        elif flag & FLAG_FAILED:
            row[FATE] = FAILED_QC
        elif i32(data, at + 20) == 0:
            row[FATE] = NO_BASES
        if row[FATE] != KEPT:
            continue
        name_end = at + _FIXED + np.int64(data[at + 12])
        _place(data, name_end, operations, row)
        value = np.uint64(14695981039346656037)
        for i in range(at + _FIXED, name_end - 1):
            value = (value ^ np.uint64(data[i])) * np.uint64(1099511628211)
        row[NAME_HASH] = np.int64(value >> np.uint64(1))
        if source[0] != NO_SOURCE:
            row[FATE] = _umi_of(data, row, source, umi)
            row[UMI_FIRST], row[UMI_SECOND] = umi[0], umi[1]
            if row[FATE] == KEPT:
                lengths[0], lengths[1] = min(lengths[0], umi[2]), max(lengths[1], umi[2])
                lengths[2], lengths[3] = min(lengths[2], umi[3]), max(lengths[3], umi[3])


@kernel
def _place(data: U8, cigar: Int, operations: Int, row: I64) -> None:
    """Where the alignment ends on the reference, and where the read's 5' end would lie unclipped."""
    end = row[POS]
    before: Int = np.int64(0)
    after: Int = np.int64(0)
    for k in range(operations):
        word = i32(data, cigar + 4 * k) & 0xFFFFFFFF
        operation, length = word & 15, word >> 4
        if operation == 0 or operation == 2 or operation == 3 or operation == 7 or operation == 8:
            end += length
            after = 0
        elif operation == 4 or operation == 5:
            if end == row[POS]:
                before += length
            else:
                after += length
    row[END] = end
    row[FIVE_PRIME] = end + after if row[FLAG] & FLAG_REVERSE else row[POS] - before


@kernel
def _same_name(data: U8, one: Int, other: Int) -> Any:
    length = data[one + 12]
    if data[other + 12] != length:
        return False
    i: Int = _FIXED
    while i < _FIXED + np.int64(length) and data[one + i] == data[other + i]:
        i += 1
    return i == _FIXED + np.int64(length)


@kernel
def join_mates(data: U8, table: I64, pairs: I64) -> Int:
    """Put rows of read 1 and read 2 of each fragment into ``pairs`` (n, 2), -1 for a mate not here; how many.

    Only rows that are KEPT. A read that is not paired stands alone in the first column.
    """
    rows = len(table)
    slots = 16
    while slots < 2 * rows:
        slots *= 2
    seats = np.full(slots, -1, dtype=np.int64)
    count = 0
    for n in range(rows):
        row = table[n]
        if row[FATE] != KEPT:
            continue
        side = 1 if row[FLAG] & FLAG_PAIRED and row[FLAG] & FLAG_SECOND else 0
        if row[FLAG] & FLAG_PAIRED:
            seat = row[NAME_HASH] & (slots - 1)
            joined = False
            while seats[seat] >= 0:
                p = seats[seat]
                waiting = pairs[p, 1 - side]
                if (
                    waiting >= 0
                    and pairs[p, side] < 0
                    and table[waiting, NAME_HASH] == row[NAME_HASH]
                    and _same_name(data, table[waiting, OFFSET], row[OFFSET])
                ):
                    pairs[p, side] = n
                    joined = True
                    break
                seat = (seat + 1) & (slots - 1)
            if joined:
                continue
            seats[seat] = count
        pairs[count, side], pairs[count, 1 - side] = n, -1
        count += 1
    return count


@kernel
def keep_records(data: U8, table: I64, wanted: NDArray[np.bool_]) -> tuple[Int, Int]:
    """Move the wanted records and their rows to the front of both; how many bytes and rows they take."""
    at, rows = np.int64(0), np.int64(0)
    for n in range(len(table)):
        if wanted[n]:
            begin = table[n, OFFSET]
            block = 4 + i32(data, begin)
            if begin != at:
                for i in range(block):
                    data[at + i] = data[begin + i]
            for k in range(COLUMNS):
                table[rows, k] = table[n, k]
            table[rows, OFFSET] = at
            at += block
            rows += 1
    return at, rows
