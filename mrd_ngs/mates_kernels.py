"""Compiled kernels that mend reads before they are counted: trimming, and the overlap of mates.

Both take a whole batch: letters and Phred scores joined end to end, with the place where each
read starts and ends. Scores are whole numbers throughout, so that the same batch gives the
same bytes on every machine.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["find_adapters", "find_primers", "merge_batch"]

_F = TypeVar("_F", bound=Callable[..., Any])
kernel: Callable[[_F], _F] = njit(cache=True, nogil=True)

_COMPLEMENT_LIST = list(range(256))
for _one, _other in (b"AT", b"TA", b"CG", b"GC"):
    _COMPLEMENT_LIST[_one] = _other
COMPLEMENT = np.array(_COMPLEMENT_LIST, dtype=np.uint8)
N = 78  # the letter
NO_CALL = 2  # Phred score of a base that neither mate called


@kernel
def _best_insert(
    a: NDArray[np.uint8],
    qa: NDArray[np.uint8],
    b: NDArray[np.uint8],
    qb: NDArray[np.uint8],
    min_overlap: int,
    allowed: NDArray[np.int64],
    match: NDArray[np.int32],
    mismatch: NDArray[np.int32],
) -> tuple[int, int]:
    """Length of the insert whose overlap is likeliest, 0 for none, and the score of it.

    ``a`` is the first mate and ``b`` the reverse complement of the second, so an insert of n
    nucleotides starts with ``a`` and ends with ``b``: ``a[i]`` faces ``b[i + len(b) - n]``.
    """
    best, best_score = 0, 0
    for n in range(len(a) + len(b) - min_overlap, min_overlap - 1, -1):
        shift = len(b) - n
        first, last = max(0, -shift), min(len(a), n)
        columns, wrong, most = last - first, 0, allowed[last - first]
        for i in range(first, last):
            if a[i] != b[i + shift]:
                if a[i] == N or b[i + shift] == N:
                    columns -= 1
                else:
                    wrong += 1
                    if wrong > most:
                        break
            elif a[i] == N:
                columns -= 1
        if wrong > most or columns < min_overlap or wrong > allowed[columns]:
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
    letters_a: NDArray[np.uint8],
    scores_a: NDArray[np.uint8],
    starts_a: NDArray[np.int64],
    ends_a: NDArray[np.int64],
    letters_b: NDArray[np.uint8],
    scores_b: NDArray[np.uint8],
    starts_b: NDArray[np.int64],
    ends_b: NDArray[np.int64],
    min_overlap: int,
    min_score: int,
    allowed: NDArray[np.int64],
    match: NDArray[np.int32],
    mismatch: NDArray[np.int32],
    agreed: NDArray[np.uint8],
    disputed: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
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
    place = 0
    for pair in range(pairs):
        a = letters_a[starts_a[pair] : ends_a[pair]]
        qa = scores_a[starts_a[pair] : ends_a[pair]]
        b = COMPLEMENT[letters_b[starts_b[pair] : ends_b[pair]][::-1]]
        qb = scores_b[starts_b[pair] : ends_b[pair]][::-1]
        n, score = _best_insert(a, qa, b, qb, min_overlap, allowed, match, mismatch)
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
    masks: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    primers: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    allowed: NDArray[np.int64],
    max_offset: int,
) -> NDArray[np.int64]:
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
    masks: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    adapters: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    max_mismatch_rate: float,
    min_overlap: int,
) -> NDArray[np.int64]:
    """Place where the first adapter begins in each read, whole or cut off by its end; else its end."""
    found = ends.copy()
    for read in range(len(starts)):
        for p in range(len(lengths)):
            for place in range(starts[read], found[read] - min(min_overlap, lengths[p]) + 1):
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
