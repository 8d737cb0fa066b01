"""Compiled kernels that lay one pair of reads over the reference: one base a position, mates counted once."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.variants.molecules.alignment_kernels import (
    ANCHOR,
    CLIP,
    DELETION,
    EXAMPLE,
    INSERTION,
    MATCH,
    leftmost_indel,
    nibble,
    operations_of,
    realign_end,
    sequence_of,
)
from pipeline.variants.molecules.record_kernels import FLAG, FLAG_REVERSE, OFFSET, POS

__all__ = ["lay_mate", "meet_position", "placed"]

U8: TypeAlias = NDArray[np.uint8]
U16: TypeAlias = NDArray[np.uint16]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

GAP = 32  # code of a deleted base, beside the nibble codes of bases
# One position of the layer, uint16: code, Phred score, bits of the mates that cover it, whether they differ.
CODE_MASK, PHRED_SHIFT, PHRED_MASK, MATES_SHIFT, DISPUTED = 63, 6, 127, 13, 1 << 15
_GAP_PHRED, _MOST_PHRED = 30, 93


@kernel
def placed(
    data: U8,
    row: I64,
    origin: Int,
    reference: U8,
    known: I64,
    next_known: I32,
    inline_nt: Int,
    operations: I64,
) -> tuple[Int, Int, Int]:
    """Operations of a record, realigned where a known indel explains its end: count, position, changed."""
    count = operations_of(data, row[OFFSET], operations)
    if count == 0 or len(known) == 0 or count > 3:
        return count, row[POS], 0
    front = back = 0
    matches = 0
    length = 0
    for k in range(count):
        if operations[k, 0] == MATCH:
            matches += 1
            length = operations[k, 1]
        elif operations[k, 0] != CLIP:
            return count, row[POS], 0
        elif matches:
            back = operations[k, 1]
        else:
            front = operations[k, 1]
    start = row[POS] - origin
    if matches != 1:
        return count, row[POS], 0
    k = next_known[min(max(start - front - 64, 0), len(next_known) - 1)]
    ungapped = front == 0 and back == 0
    if k >= len(known) or known[k, ANCHOR] >= start + length + back:
        return count, row[POS], 0
    if ungapped and _differences(data, row, start, length, reference) == 0:
        return count, row[POS], 0
    while k < len(known) and known[k, ANCHOR] < start + length + back:
        found, position, changed = realign_end(
            data, row, origin, reference, known[k], operations, count, inline_nt
        )
        if changed:
            return found, position, changed
        k += 1
    return count, row[POS], 0


@kernel
def _differences(data: U8, row: I64, start: Int, length: Int, reference: U8) -> Int:
    sequence = sequence_of(data, row[OFFSET])[0]
    wrong = 0
    for i in range(length):
        wrong += nibble(data, sequence, i) != reference[start + i]
    return wrong


@kernel
def lay_mate(
    data: U8,
    row: I64,
    operations: I64,
    count: Int,
    x: Int,
    mate: Int,
    inline_nt: Int,
    min_phred: Int,
    reference: U8,
    layer: U16,
    indels: I64,
) -> Int:
    """Lay one alignment that begins at ``x`` into ``layer``, its indels into ``indels``; how many indels.

    Where the other mate lies already: equal bases add their qualities up, of different ones the better
    stays with the difference, and of equally good ones none. Both copy one molecule end, so this is
    one observation.
    """
    sequence, qualities, bases = sequence_of(data, row[OFFSET])
    first, last = 0, bases
    if row[FLAG] & FLAG_REVERSE:
        last -= inline_nt
    else:
        first += inline_nt
    bit = 1 << (MATES_SHIFT + mate)
    i = events = 0
    for k in range(count):
        kind, length = operations[k, 0], operations[k, 1]
        if kind == MATCH:
            skipped = max(0, first - i)
            phreds = data[qualities + i + skipped : qualities + max(min(i + length, last), i + skipped)]
            letters = data[sequence:qualities]
            lane = layer[x + skipped : x + length]  # slices: their indices need no check for negative ones
            odd = (i + skipped) & 1
            half = (i + skipped) >> 1
            for j in range(len(phreds)):
                phred: Int = np.int64(phreds[j])
                byte = np.int64(letters[half + ((odd + j) >> 1)])
                code = byte & 15 if (odd + j) & 1 else byte >> 4
                if phred < min_phred or code == 15 or code == 0:
                    continue
                phred = min(phred, _MOST_PHRED)
                here = lane[j]
                lane[j] = (code | phred << PHRED_SHIFT | bit) if here == 0 else _met(here, code, phred, bit)
            x += length
            i += length
        elif kind in (DELETION, INSERTION):
            signed = length if kind == INSERTION else -length
            whole = first <= i and i + max(signed, 0) <= last and events < len(indels)
            if whole and leftmost_indel(data, sequence, i, x - 1, signed, reference, indels[events]):
                indels[events, EXAMPLE] = row[OFFSET]
                events += 1
            if kind == INSERTION:
                i += length
                continue
            for at in range(x, x + length):
                here = layer[at]
                gap = GAP | _GAP_PHRED << PHRED_SHIFT | bit
                layer[at] = gap if here == 0 else _met(here, GAP, _GAP_PHRED, bit)
            x += length
        elif kind == CLIP:
            i += length
        else:
            x += length
    return events


@kernel
def _met(here: Int, code: Int, phred: Int, bit: Int) -> Int:
    """The position ``here`` of one mate once the other's base lies on it too."""
    value = np.int64(here)
    before = value >> PHRED_SHIFT & PHRED_MASK
    if value & CODE_MASK == code:
        value &= ~(PHRED_MASK << PHRED_SHIFT)
        return value | min(before + phred, _MOST_PHRED) << PHRED_SHIFT | bit
    if phred > before:
        return code | (phred - before) << PHRED_SHIFT | bit | DISPUTED
    value &= ~(PHRED_MASK << PHRED_SHIFT)
    return value | (before - phred) << PHRED_SHIFT | DISPUTED


@kernel
def meet_position(data: U8, row: I64, pos: Int, inline_nt: Int, operations: I64) -> tuple[Int, Int]:
    """Sequencing cycle of a record's base at ``pos`` (-1 if unknown), and whether a clip is near it."""
    count = operations_of(data, row[OFFSET], operations)
    bases = sequence_of(data, row[OFFSET])[2]
    at, i, cycle = row[POS], 0, -1
    clipped = 0
    for k in range(count):
        kind, length = operations[k, 0], operations[k, 1]
        if kind == CLIP:
            if abs(at - pos) <= 10 and length > inline_nt:
                clipped = 1
            i += length
        elif kind == INSERTION:
            i += length
        else:
            if at <= pos < at + length:
                cycle = i + (pos - at if kind == MATCH else 0)
            if kind == MATCH:
                i += length
            at += length
    if cycle >= 0:
        cycle = (bases - 1 - cycle if row[FLAG] & FLAG_REVERSE else cycle) - inline_nt
    return cycle, clipped
