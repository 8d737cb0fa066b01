"""Compiled kernels of V(D)J annotation; `mrd_ngs.annotate` calls them stage by stage.

One long file on purpose: numba's cache on disk watches only the file of the function it
compiled, so a kernel called from another file would go on running in its old form. Each
stage takes a whole batch of reads and hands over by result rows, which keeps compilation
short (a function is compiled again into every caller).

Bases are codes 0-3 (A C G T) and 4 (anything else). A *frame* is a stretch of the read
laid so that the codon of Cys104 (for J: of Trp/Phe118) starts at a fixed bit; there every
allele has its own bits, and one XOR compares 64 bases. So the one diagonal that the words
of a read vote for is compared with all alleles at once. Reads that do not fit one diagonal
are folded along a banded affine alignment (Smith & Waterman, J Mol Biol 1981;147:195;
Gotoh, J Mol Biol 1982;162:705) into a frame without gaps, and compared in the same way.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

U8, U64 = NDArray[np.uint8], NDArray[np.uint64]
I32, I64 = NDArray[np.int32], NDArray[np.int64]
_F = TypeVar("_F", bound=Callable[..., Any])
kernel: Callable[[_F], _F] = njit(cache=True, nogil=True)

WORDS, CYS_AT = 6, 320  # V frame: 384 bases, Cys104 at 320
J_WORDS, TRP_AT = 2, 64  # J frame: 128 bases, Trp/Phe118 at 64
PAD = 448  # clear bits on either side of a packed read, so that a frame may hang over its ends
VOTE_PAD, VOTES_BEYOND = 96, 416  # an anchor may be voted this far before and behind a read
V_K, J_K, D_K, E_K = 8, 7, 5, 8  # bases of a word
MAX_V_TIES, MAX_D_TIES, MAX_J_TIES, MAX_STEPS = 64, 16, 16, 24
LONGEST_CDR3 = 200  # nt downstream of Cys104 in which the anchor of J may stand

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2, -3, -12, -1
CLIPPED, CLIPPED_NEAR_CYS, DEEP_FALL = 12, 6, 14  # what makes a straight V alignment doubtful
GAP_REACH, BAND_MARGIN = 40, 8  # nt between diagonals that one V may use; cells beyond them
FOLD_ROWS, FOLD_BANDS, FOLD_TRIALS = 512, 128, 5
FALL_D = 8  # a D alignment is given up this far below its best score
# Lowest scores at which a segment is believed. With a match at 2 and a mismatch at -3 a random
# alignment reaches S with a probability of some m n exp(-0.63 S) (Karlin & Altschul 1990).
MIN_V, MIN_J, MIN_PAIR, MIN_V_ALONE, MIN_J_ALONE = 30, 24, 76, 100, 50
MIN_D, MIN_D_WITH_HEPTAMER, MIN_D_ALONE, MIN_ELEMENT = 14, 16, 24, 50
FARTHEST_KDE, LONGEST_DJ = 60, 80  # nt of Kde that a join may delete; nt before J in which D may stand
SHORTEST = 30  # nt; a shorter read is not looked at
HEPTAMER = np.array([1, 0, 1, 3, 2, 3, 2], dtype=np.uint8)  # CACTGTG, before D and J in the germline

# Columns of a result row; places are 0-based half-open on the coding strand, -1 is "not there".
(
    KIND, REV, LOCUS, CYS, TRP,
    V_START, V_END, VG_START, VG_END, V_SCORE, V_MATCHES, V_COLUMNS, V_TIES, V_STEPS,
    D_START, D_END, DG_START, DG_END, D_SCORE, D_MATCHES, D_COLUMNS, D_TIES,
    J_START, J_END, JG_START, JG_END, J_SCORE, J_MATCHES, J_COLUMNS, J_TIES, J_STEPS,
    JUNCTION_START, JUNCTION_END, IN_FRAME, STOP, FRAMESHIFT, PRODUCTIVE, COMPLETE,
) = range(38)  # fmt: skip
FIELDS = 38
NONE, V_J, D_J, V_KDE, INTRON_KDE, V_ONLY, DOUBTFUL = range(7)  # KIND; the last only between stages
STEP_MATCH, STEP_INSERTION, STEP_DELETION = range(3)  # a step is length << 2 | one of these
OFFSET, LENGTH, ANCHOR, GENE = range(4)  # columns of an allele table


@intrinsic  # type: ignore[untyped-decorator]
def popcount(_context: Any, _word: Any) -> Any:
    """Set bits of a 64-bit word, by the processor's own instruction."""

    def generate(_c: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(_context: Any, _word: Any) -> Any:
    """Place of the lowest set bit of a 64-bit word that is not zero."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


@kernel
def pack(codes: U8, bits: U64) -> None:
    """Lay a read's bases as bits (low, high, known) from bit ``PAD`` on."""
    length = len(codes)
    first = PAD >> 6
    last = first + ((length + 63) >> 6)
    for w in range(first):
        bits[0, w] = bits[1, w] = bits[2, w] = 0
    for w in range(last, last + first + 1):
        bits[0, w] = bits[1, w] = bits[2, w] = 0
    for w in range(first, last):
        begin = (w - first) << 6
        lo = hi = known = np.uint64(0)
        for b in range(min(64, length - begin)):
            code = np.uint64(codes[begin + b])
            place = np.uint64(b)
            lo |= (code & np.uint64(1)) << place
            hi |= ((code >> np.uint64(1)) & np.uint64(1)) << place
            known |= ((code >> np.uint64(2)) ^ np.uint64(1)) << place
        bits[0, w] = lo
        bits[1, w] = hi
        bits[2, w] = known


@kernel
def lay_frame(bits: U64, place: int, frame: U64) -> None:
    """The frame of a packed read whose first base is ``place`` (may be negative)."""
    bit = place + PAD
    word = bit >> 6
    shift = np.uint64(bit & 63)
    other = np.uint64(64) - shift
    for plane in range(3):
        for w in range(frame.shape[1]):
            if shift == np.uint64(0):
                frame[plane, w] = bits[plane, word + w]
            else:
                frame[plane, w] = (bits[plane, word + w] >> shift) | (bits[plane, word + w + 1] << other)


@kernel
def vote(codes: U8, begin: int, end: int, k: int, starts: I32, places: I32, votes: I32) -> tuple[int, int]:
    """Count, for each place an anchor might have, the words in [begin, end) that put it there.

    ``votes`` is cleared and indexed by place - begin + VOTE_PAD. Returns the place with
    most votes (the first to reach them) and their number.
    """
    size = end - begin + VOTE_PAD + VOTES_BEYOND
    for i in range(size):
        votes[i] = 0
    mask = (1 << (2 * k)) - 1
    word = 0
    clean = 0
    most = np.int64(0)
    best = 0
    for i in range(begin, end):
        code = np.int64(codes[i])
        word = ((word << 2) | (code & 3)) & mask
        clean = 0 if code > 3 else clean + 1
        if clean >= k:
            start = i - k + 1 - begin + VOTE_PAD
            for s in range(starts[word], starts[word + 1]):
                x = start - places[s]
                if 0 <= x < size:
                    count = np.int64(votes[x]) + 1
                    votes[x] = count
                    if count > most:
                        most = count
                        best = x
    return best + begin - VOTE_PAD, most


@kernel
def bits_between(start: int, end: int, word: int) -> Any:
    """The bits of frame word ``word`` that lie in [start, end)."""
    low = min(max(start - 64 * word, 0), 64)
    high = min(max(end - 64 * word, 0), 64)
    if low >= high:
        return np.uint64(0)
    return (~np.uint64(0) >> np.uint64(64 - high + low)) << np.uint64(low)


@kernel
def compare(frame: U64, start: int, end: int, alleles: U64, counts: I64) -> None:
    """Mismatches (row 0) and compared bases (row 1) of every allele within [start, end)."""
    n = alleles.shape[2]
    for a in range(n):
        counts[0, a] = 0
        counts[1, a] = 0
    for w in range(frame.shape[1]):
        lo = frame[0, w]
        hi = frame[1, w]
        known = frame[2, w] & bits_between(start, end, w)
        if known == np.uint64(0):
            continue
        for a in range(n):
            both = alleles[2, w, a] & known
            differ = ((alleles[0, w, a] ^ lo) | (alleles[1, w, a] ^ hi)) & both
            counts[0, a] += np.int64(popcount(differ))
            counts[1, a] += np.int64(popcount(both))


@kernel
def best_stretch(alleles: U64, a: int, frame: U64, start: int, end: int) -> tuple[int, int, int, int]:
    """Highest-scoring stretch of an allele against a frame within [start, end).

    Returns its start, end, score and the deepest fall of the score inside it. Bases that
    the read or the allele does not know count nothing.
    """
    best = best_fall = run = peak = fall = 0
    best_start = best_end = run_start = f = start
    for w in range(start >> 6, (end + 63) >> 6):
        known = alleles[2, w, a] & frame[2, w]
        differ = (alleles[0, w, a] ^ frame[0, w]) | (alleles[1, w, a] ^ frame[1, w])
        events = (differ | ~known) & bits_between(start, end, w)
        while events:
            bit = lowest_bit(events)
            events &= events - np.uint64(1)
            place = 64 * w + np.int64(bit)
            if place > f:
                run += MATCH * (place - f)
                peak = max(peak, run)
                if run > best:
                    best, best_start, best_end, best_fall = run, run_start, place, fall
            f = place + 1
            if (known >> bit) & np.uint64(1):
                run += MISMATCH
                if run <= 0:
                    run = peak = fall = 0
                    run_start = f
                else:
                    fall = max(fall, peak - run)
            elif run == 0:
                run_start = f
    if end > f:
        run += MATCH * (end - f)
        if run > best:
            best, best_start, best_end, best_fall = run, run_start, end, fall
    return best_start, best_end, best, best_fall


@kernel
def matches_in(alleles: U64, a: int, frame: U64, start: int, end: int) -> tuple[int, int]:
    """Matches and mismatches of an allele with a frame in [start, end)."""
    matches = mismatches = 0
    for w in range(start >> 6, (end + 63) >> 6):
        both = alleles[2, w, a] & frame[2, w] & bits_between(start, end, w)
        differ = ((alleles[0, w, a] ^ frame[0, w]) | (alleles[1, w, a] ^ frame[1, w])) & both
        wrong = np.int64(popcount(differ))
        matches += np.int64(popcount(both)) - wrong
        mismatches += wrong
    return matches, mismatches


@kernel
def tail(alleles: U64, a: int, frame: U64) -> tuple[int, int]:
    """Bases after the codon of Cys104 that still follow the allele, and what they score."""
    w = CYS_AT >> 6
    three = np.uint64(3)
    both = (alleles[2, w, a] & frame[2, w]) >> three
    differ = ((alleles[0, w, a] ^ frame[0, w]) | (alleles[1, w, a] ^ frame[1, w])) >> three
    best = length = run = i = 0
    while both & np.uint64(1):
        i += 1
        if differ & np.uint64(1):
            run += MISMATCH
        else:
            run += MATCH
            if run > best:
                best = run
                length = i
        both >>= np.uint64(1)
        differ >>= np.uint64(1)
    return length, best


@kernel
def order_ties(total: I64, table: I64, first: int, last: int, best: int, ties: I32) -> int:
    """Alleles of score ``best``, by falling number per gene, then by place; returns how many fit."""
    count = 0
    size = most = 1
    while size <= most:  # the first round only finds the largest number of tied alleles in a gene
        wanted = most + 1 - size if most > 1 else 1
        largest = 1
        a = first
        while a < last:
            gene = table[a, GENE]
            begin = a
            here = 0
            while a < last and table[a, GENE] == gene:
                here += total[a] == best
                a += 1
            largest = max(largest, here)
            if here == wanted and (size > 1 or largest <= 1 or most > 1):
                for x in range(begin, a):
                    if total[x] == best and count < len(ties):
                        ties[count] = x
                        count += 1
        if most == 1 and largest > 1:
            most = largest
            count = 0
            size = 1
            continue
        size += 1
    return count


@kernel
def rank_v(alleles: U64, table: I64, frame: U64, counts: I64, total: I64, ties: I32) -> int:
    """Rank the V alleles that `compare` counted; ``ties`` gets the best, their number is returned.

    Genes with most equally good alleles come first: of genes that explain a read alike the
    one with more such alleles is the likelier source.
    """
    n = alleles.shape[2]
    best = -(1 << 20)
    for a in range(n):
        total[a] = MATCH * counts[1, a] + (MISMATCH - MATCH) * counts[0, a]
        best = max(best, total[a])
    for a in range(n):
        if total[a] + MATCH * (table[a, LENGTH] - table[a, ANCHOR]) > best:
            total[a] += tail(alleles, a, frame)[1]
    for a in range(n):
        best = max(best, total[a])
    return order_ties(total, table, 0, n, best, ties)
