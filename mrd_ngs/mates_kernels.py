"""Compiled kernels that mend reads before they are counted: trimming, and the overlap of mates.

Both take a whole batch: letters and Phred scores joined end to end, with the place where each
read starts and ends. Scores are whole numbers throughout, so that the same batch gives the
same bytes on every machine.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["find_adapters", "find_primers", "merge_batch"]

U8: TypeAlias = NDArray[np.uint8]
U64: TypeAlias = NDArray[np.uint64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
Word: TypeAlias = Any  # uint64
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))
integer = cast("Callable[[Any], Int]", np.int64)

_COMPLEMENT_LIST = list(range(256))
for _one, _other in (b"AT", b"TA", b"CG", b"GC"):
    _COMPLEMENT_LIST[_one] = _other
COMPLEMENT = np.array(_COMPLEMENT_LIST, dtype=np.uint8)
_CODE_LIST = [4] * 256
for _code, _letter in enumerate(b"ACGT"):
    _CODE_LIST[_letter] = _code
CODE = np.array(_CODE_LIST, dtype=np.uint8)
N = 78  # the letter
NO_CALL = 2  # Phred score of a base that neither mate called


@kernel
def _pack(letters: U8, planes: U64) -> None:
    """One bit a base: low and high bit of its code, and whether it was called, 64 to a word."""
    planes[:] = 0
    for i in range(len(letters)):
        code = CODE[letters[i]]
        if code > 3:
            continue
        word, bit = i >> 6, np.uint64(i & 63)
        planes[0, word] |= np.uint64(code & 1) << bit
        planes[1, word] |= np.uint64(code >> 1) << bit
        planes[2, word] |= np.uint64(1) << bit


@kernel
def _bits(planes: U64, row: Int, start: Int) -> Word:
    """64 bits of a plane from any place on."""
    word, shift = start >> 6, start & 63
    low = planes[row, word] >> np.uint64(shift)
    return low | (planes[row, word + 1] << np.uint64(64 - shift)) if shift else low


@kernel
def _count(bits: Word) -> Int:
    """Number of ones, added up in parallel within the word."""
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return integer((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def _agrees(
    planes_a: U64, planes_b: U64, at_a: Int, at_b: Int, overlap: Int, least: Int, allowed: I64
) -> bool:
    """Whether a laid overlap has enough columns and few enough mismatches among them."""
    wrong, columns, most = 0, 0, allowed[overlap]
    for done in range(0, overlap, 64):
        both = _bits(planes_a, 2, at_a + done) & _bits(planes_b, 2, at_b + done)
        if overlap - done < 64:
            both &= (np.uint64(1) << np.uint64(overlap - done)) - np.uint64(1)
        differ = _bits(planes_a, 0, at_a + done) ^ _bits(planes_b, 0, at_b + done)
        differ |= _bits(planes_a, 1, at_a + done) ^ _bits(planes_b, 1, at_b + done)
        wrong += _count(differ & both)
        if wrong > most:  # nearly every wrong overlap ends with its first word
            return False
        columns += _count(both)
    return bool(columns >= least and wrong <= allowed[columns])


@kernel
def _best_insert(
    a: U8, qa: U8, b: U8, qb: U8, planes_a: U64, planes_b: U64, min_overlap: Int, allowed: I64,
    match: I32, mismatch: I32,
) -> tuple[Int, Int]:  # fmt: skip
    """Length of the insert whose overlap is likeliest, 0 for none, and the score of it.

    ``a`` is the first mate and ``b`` the reverse complement of the second, so an insert of n
    nucleotides starts with ``a`` and ends with ``b``: ``a[i]`` faces ``b[i + len(b) - n]``.
    """
    _pack(a, planes_a)
    _pack(b, planes_b)
    a_low, a_high, a_called = planes_a[0, 0], planes_a[1, 0], planes_a[2, 0]
    b_low, b_high, b_called = planes_b[0, 0], planes_b[1, 0], planes_b[2, 0]
    best, best_score = 0, 0
    for n in range(len(a) + len(b) - min_overlap, min_overlap - 1, -1):
        shift = len(b) - n
        first, last = max(0, -shift), min(len(a), n)
        # One mate starts at its own start, so its first word is at hand; it alone ends most trials.
        if shift >= 0:
            differ = (a_low ^ _bits(planes_b, 0, shift)) | (a_high ^ _bits(planes_b, 1, shift))
            both = a_called & _bits(planes_b, 2, shift)
        else:
            differ = (b_low ^ _bits(planes_a, 0, first)) | (b_high ^ _bits(planes_a, 1, first))
            both = b_called & _bits(planes_a, 2, first)
        # Bits beyond the overlap lie beyond the end of a mate, where nothing is called.
        if _count(differ & both) > allowed[last - first]:
            continue
        if not _agrees(planes_a, planes_b, first, first + shift, last - first, min_overlap, allowed):
            continue
        score = 0
        for i in range(first, last):
            if a[i] == N or b[i + shift] == N:
                continue
            table = match if a[i] == b[i + shift] else mismatch
            score += table[qa[i], qb[i + shift]]
        if score > best_score:  # of equals the longest insert, with which the scan begins
            best, best_score = n, score
    return best, best_score


@kernel
def merge_batch(
    letters_a: U8,
    scores_a: U8,
    starts_a: I64,
    ends_a: I64,
    letters_b: U8,
    scores_b: U8,
    starts_b: I64,
    ends_b: I64,
    min_overlap: int,
    min_score: int,
    allowed: I64,
    match: I32,
    mismatch: I32,
    agreed: U8,
    disputed: U8,
) -> tuple[U8, U8, I64, I64]:
    """Merge every pair of a batch; see `mrd_ngs.mates.merge_mates` for what comes in and out.

    Returns letters and scores of the merged reads, the place where each ends in them
    (shape (pairs + 1,), starting with 0; an unmerged pair has no length), and for each pair
    the overlap, its columns without N, its mismatches, and whether it is dovetailed.
    """
    pairs = len(starts_a)
    out = np.empty(len(letters_a) + len(letters_b), dtype=np.uint8)
    out_scores = np.empty(len(out), dtype=np.uint8)
    bounds = np.zeros(pairs + 1, dtype=np.int64)
    facts = np.zeros((pairs, 4), dtype=np.int64)
    place, longest = 0, 0
    for pair in range(pairs):
        longest = max(longest, ends_a[pair] - starts_a[pair], ends_b[pair] - starts_b[pair])
    # Words beyond the last base stay clear, so that 64 bits can be read from any place on.
    planes_a = np.zeros((3, longest // 64 + 3), dtype=np.uint64)
    planes_b = np.zeros((3, longest // 64 + 3), dtype=np.uint64)
    for pair in range(pairs):
        a = letters_a[starts_a[pair] : ends_a[pair]]
        qa = scores_a[starts_a[pair] : ends_a[pair]]
        b = COMPLEMENT[letters_b[starts_b[pair] : ends_b[pair]][::-1]]
        qb = scores_b[starts_b[pair] : ends_b[pair]][::-1]
        n, score = _best_insert(a, qa, b, qb, planes_a, planes_b, min_overlap, allowed, match, mismatch)
        if n and score >= min_score:
            shift = len(b) - n
            for i in range(n):
                j = i + shift
                if i >= len(a) or (j >= 0 and a[i] == N):
                    out[place + i], out_scores[place + i] = b[j], qb[j]
                    continue
                if j < 0 or b[j] == N:
                    out[place + i], out_scores[place + i] = a[i], qa[i]
                    continue
                facts[pair, 1] += 1
                if a[i] == b[j]:
                    out[place + i], out_scores[place + i] = a[i], agreed[qa[i], qb[j]]
                    continue
                facts[pair, 2] += 1
                out[place + i] = a[i] if qa[i] >= qb[j] else b[j]
                out_scores[place + i] = disputed[qa[i], qb[j]]
            for i in range(place, place + n):
                if out[i] == N:
                    out_scores[i] = NO_CALL
            facts[pair, 0] = min(len(a), n) - max(0, -shift)
            facts[pair, 3] = n < len(a) or n < len(b)
            place += n
        bounds[pair + 1] = place
    return out[:place], out_scores[:place], bounds, facts


@kernel
def find_primers(
    masks: U8,
    starts: I64,
    ends: I64,
    primers: U8,
    lengths: I64,
    allowed: I64,
    max_offset: int,
) -> I64:
    """Place behind the best primer at the start of each read, -1 where there is none.

    ``masks`` and ``primers`` (a row each) hold one bit a base, A 1, C 2, G 4, T 8; N of a
    read is 0 and agrees with nothing. Fewest mismatches win, then the first offset, then
    the first primer.
    """
    found = np.full(len(starts), -1, dtype=np.int64)
    for read in range(len(starts)):
        fewest = -1
        for offset in range(max_offset + 1):
            for p in range(len(lengths)):
                place = starts[read] + offset
                if place + lengths[p] > ends[read]:
                    continue
                most = allowed[p] if fewest < 0 else min(allowed[p], fewest - 1)
                wrong = 0
                for i in range(lengths[p]):
                    wrong += (masks[place + i] & primers[p, i]) == 0
                    if wrong > most:
                        break
                if wrong <= most:
                    fewest = wrong
                    found[read] = place + lengths[p]
    return found


@kernel
def find_adapters(
    masks: U8,
    starts: I64,
    ends: I64,
    adapters: U8,
    lengths: I64,
    max_mismatch_rate: float,
    min_overlap: int,
) -> I64:
    """Place where the first adapter begins in each read, whole or cut off by its end; else its end."""
    found = ends.copy()
    for read in range(len(starts)):
        for p in range(len(lengths)):
            last = min(found[read] - 1, ends[read] - min(min_overlap, lengths[p]))
            for place in range(starts[read], last + 1):
                length = min(lengths[p], ends[read] - place)
                most = int(max_mismatch_rate * length)
                wrong = 0
                for i in range(length):
                    wrong += (masks[place + i] & adapters[p, i]) == 0
                    if wrong > most:
                        break
                if wrong <= most:
                    found[read] = place
                    break
    return found
