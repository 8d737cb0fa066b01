"""Compiled kernels of V(D)J annotation; `mrd_ngs.annotate` prepares their tables.

One long file on purpose: numba's cache on disk watches only the file of the function it
compiled, so a kernel called from another file would go on running in its old form.

Bases are codes 0-3 (A C G T) and 4 (anything else). A *frame* is a stretch of the read
laid so that the codon of Cys104 (for J: of Trp/Phe118) starts at a fixed bit; there every
allele has its own bits, and one XOR compares 64 bases. So one voted diagonal per read is
compared with all alleles at once (bit-parallel counting, after Myers, J. ACM 1999;46:395,
without its dynamic programming).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

WORDS, CYS_AT = 6, 320  # V frame: 384 bases, Cys104 at 320
J_WORDS, TRP_AT = 2, 64  # J frame: 128 bases, Trp/Phe118 at 64
PAD = 448  # clear bits on either side of a read, so that a frame may hang over its ends
V_K, J_K, D_K, E_K = 8, 7, 5, 8
MAX_V_TIES, MAX_D_TIES, MAX_J_TIES, MAX_OPS = 64, 16, 16, 24
LONGEST_CDR3 = 200  # nt downstream of Cys104 in which a J may start

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2, -3, -12, -1
CLIPPED, CLIPPED_NEAR_CYS, DEEP_FALL = 12, 6, 14  # what makes a straight V alignment doubtful
FALL_D = 8  # a D alignment is given up this far below its best score
# Lowest scores at which a segment is believed. A match scores 2 and a mismatch -3, so that a random
# alignment scores S with a probability of some m n exp(-0.63 S).
MIN_V, MIN_J, MIN_PAIR, MIN_V_ALONE, MIN_J_ALONE = 30, 24, 76, 100, 50
MIN_D, MIN_D_WITH_HEPTAMER, MIN_D_ALONE, MIN_ELEMENT = 14, 16, 24, 50
FARTHEST_KDE, LONGEST_DJ = 60, 80  # nt of Kde that a join may delete; nt upstream of J in which D is looked for
SHORTEST, CERTAIN = 30, 150  # a shorter read is not looked at; the other strand is not, from this score on
HEPTAMER = np.array([1, 0, 1, 3, 2, 3, 2], dtype=np.uint8)

# Columns of a result row; places are 0-based half-open on the coding strand, -1 is "not there".
(
    KIND, REV, LOCUS, CYS, TRP,
    V_START, V_END, VG_START, VG_END, V_SCORE, V_MATCHES, V_COLUMNS, V_TIES, V_OPS,
    D_START, D_END, DG_START, DG_END, D_SCORE, D_MATCHES, D_COLUMNS, D_TIES,
    J_START, J_END, JG_START, JG_END, J_SCORE, J_MATCHES, J_COLUMNS, J_TIES, J_OPS,
    JUNCTION_START, JUNCTION_END, IN_FRAME, STOP, FRAMESHIFT, PRODUCTIVE, COMPLETE,
) = range(38)  # fmt: skip
FIELDS = 38
NONE, V_J, D_J, V_KDE, INTRON_KDE, V_ONLY = range(6)  # KIND
OP_MATCH, OP_INSERTION, OP_DELETION = range(3)  # an alignment step is length << 2 | op


class Tables(NamedTuple):
    """A germline set as the kernels read it; V and J are sorted by locus."""

    v_lo: NDArray[np.uint64]  # (WORDS, v): low bit of each base, in frames
    v_hi: NDArray[np.uint64]
    v_ok: NDArray[np.uint64]  # bases the allele has
    v_codes: NDArray[np.uint8]  # flat, alleles and then the intron element
    v_offsets: NDArray[np.int64]
    v_cys: NDArray[np.int32]
    v_gene: NDArray[np.int32]
    v_range: NDArray[np.int32]  # (4,): first allele of each locus, and the end
    v_seed_starts: NDArray[np.int32]
    v_seed_places: NDArray[np.int16]  # place of a word relative to Cys104
    j_lo: NDArray[np.uint64]
    j_hi: NDArray[np.uint64]
    j_ok: NDArray[np.uint64]
    j_codes: NDArray[np.uint8]  # flat, alleles and then Kde
    j_offsets: NDArray[np.int64]
    j_trp: NDArray[np.int32]
    j_gene: NDArray[np.int32]
    j_range: NDArray[np.int32]
    j_seed_starts: NDArray[np.int32]
    j_seed_places: NDArray[np.int16]
    d_codes: NDArray[np.uint8]
    d_offsets: NDArray[np.int64]
    d_seed_starts: NDArray[np.int32]
    d_seed_allele: NDArray[np.int16]
    d_seed_places: NDArray[np.int16]
    d_gene: NDArray[np.int32]
    e_seed_starts: NDArray[np.int32]  # Kde
    e_seed_places: NDArray[np.int16]
    i_seed_starts: NDArray[np.int32]  # intron
    i_seed_places: NDArray[np.int16]


class Scratch(NamedTuple):
    """Working memory of one thread."""

    lo: NDArray[np.uint64]
    hi: NDArray[np.uint64]
    ok: NDArray[np.uint64]
    v_votes: NDArray[np.int32]
    j_votes: NDArray[np.int32]
    frame: NDArray[np.uint64]  # (3, WORDS)
    mismatches: NDArray[np.int64]
    compared: NDArray[np.int64]
    total: NDArray[np.int64]
    piece: NDArray[np.int64]
    trace: NDArray[np.uint8]
    dp: NDArray[np.int32]
    path: NDArray[np.int32]  # read place of each frame base
    reverse: NDArray[np.uint8]
    d_where: NDArray[np.int64]  # read start, read end, germline start of each D


def new_scratch(longest: int, tables: Tables) -> Scratch:
    """Working memory for reads up to ``longest`` bases."""
    words = (longest + 2 * PAD) // 64 + 3
    alleles = tables.v_lo.shape[1]
    most = max(alleles, tables.j_lo.shape[1], len(tables.d_offsets))
    return Scratch(
        lo=np.zeros(words, dtype=np.uint64),
        hi=np.zeros(words, dtype=np.uint64),
        ok=np.zeros(words, dtype=np.uint64),
        v_votes=np.zeros(longest + 2 * PAD, dtype=np.int32),
        j_votes=np.zeros(longest + 2 * PAD, dtype=np.int32),
        frame=np.zeros((3, WORDS), dtype=np.uint64),
        mismatches=np.zeros(alleles, dtype=np.int64),
        compared=np.zeros(alleles, dtype=np.int64),
        total=np.zeros(most, dtype=np.int64),
        piece=np.zeros(most, dtype=np.int64),
        trace=np.zeros((512, 160), dtype=np.uint8),
        dp=np.zeros((4, 162), dtype=np.int32),
        path=np.zeros(WORDS * 64, dtype=np.int32),
        reverse=np.zeros(longest + 1, dtype=np.uint8),
        d_where=np.zeros((len(tables.d_offsets) - 1, 3), dtype=np.int64),
    )


@intrinsic  # type: ignore[untyped-decorator]
def popcount(_context: Any, _word: Any) -> Any:
    """Set bits of a 64-bit word, by the processor's own instruction."""

    def generate(_c: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def pack(codes, length, lo, hi, ok):  # type: ignore[no-untyped-def]
    """Lay a read's bases as bits, from bit ``PAD`` on; N has no bit in ``ok``."""
    one = np.uint64(1)
    for word in range((length + 2 * PAD) // 64 + 2):
        lo[word] = 0
        hi[word] = 0
        ok[word] = 0
    for i in range(length):
        code = codes[i]
        if code < 4:
            word = (i + PAD) >> 6
            bit = np.uint64((i + PAD) & 63)
            lo[word] |= np.uint64(code & 1) << bit
            hi[word] |= np.uint64(code >> 1) << bit
            ok[word] |= one << bit


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def word_at(plane, place):  # type: ignore[no-untyped-def]
    """The 64 bits of a packed read that start at base ``place`` (may be negative)."""
    bit = place + PAD
    word = bit >> 6
    shift = np.uint64(bit & 63)
    if shift == 0:
        return plane[word]
    return (plane[word] >> shift) | (plane[word + 1] << (np.uint64(64) - shift))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def vote(codes, begin, end, k, seed_starts, seed_places, votes):  # type: ignore[no-untyped-def]
    """Count, for each place an anchor might have, the words that put it there.

    ``votes`` is cleared first and indexed by place + PAD. Returns the place with most
    votes (the first to reach them) and their number.
    """
    length = len(codes)
    for i in range(length + 2 * PAD):
        votes[i] = 0
    mask = (1 << (2 * k)) - 1
    word = 0
    clean = 0
    most = 0
    place = -PAD
    for i in range(begin, end):
        code = codes[i]
        if code > 3:
            clean = 0
            word = 0
            continue
        word = ((word << 2) | code) & mask
        clean += 1
        if clean >= k:
            start = i - k + 1
            for s in range(seed_starts[word], seed_starts[word + 1]):
                x = start - seed_places[s] + PAD
                if 0 <= x < length + 2 * PAD:
                    votes[x] += 1
                    if votes[x] > most:
                        most = votes[x]
                        place = x - PAD
    return place, most


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def straight_frame(scratch, cys):  # type: ignore[no-untyped-def]
    """The V frame of a read without gaps whose Cys104 is at ``cys``."""
    for w in range(WORDS):
        place = cys - CYS_AT + 64 * w
        scratch.frame[0, w] = word_at(scratch.lo, place)
        scratch.frame[1, w] = word_at(scratch.hi, place)
        scratch.frame[2, w] = word_at(scratch.ok, place)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def folded_frame(codes, path, frame):  # type: ignore[no-untyped-def]
    """The V frame of a read with gaps: base f of it is read base ``path[f]``, or none at -1."""
    for w in range(WORDS):
        lo = np.uint64(0)
        hi = np.uint64(0)
        ok = np.uint64(0)
        for b in range(64):
            i = path[64 * w + b]
            if 0 <= i < len(codes) and codes[i] < 4:
                bit = np.uint64(b)
                lo |= np.uint64(codes[i] & 1) << bit
                hi |= np.uint64(codes[i] >> 1) << bit
                ok |= np.uint64(1) << bit
        frame[0, w] = lo
        frame[1, w] = hi
        frame[2, w] = ok


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def bits_between(start, end, word):  # type: ignore[no-untyped-def]
    """The bits of frame word ``word`` that lie in [start, end)."""
    low = min(max(start - 64 * word, 0), 64)
    high = min(max(end - 64 * word, 0), 64)
    if low >= high:
        return np.uint64(0)
    full = ~np.uint64(0)
    bits = full << np.uint64(low)
    if high < 64:
        bits &= ~(full << np.uint64(high))
    return bits


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_mismatches(frame, start, end, t, mismatches, compared):  # type: ignore[no-untyped-def]
    """Mismatches and compared bases of every V allele with a frame, within [start, end)."""
    alleles = t.v_lo.shape[1]
    for a in range(alleles):
        mismatches[a] = 0
        compared[a] = 0
    for w in range(WORDS):
        lo = frame[0, w]
        hi = frame[1, w]
        ok = frame[2, w] & bits_between(start, end, w)
        if ok == 0:
            continue
        for a in range(alleles):
            both = t.v_ok[w, a] & ok
            differ = ((t.v_lo[w, a] ^ lo) | (t.v_hi[w, a] ^ hi)) & both
            mismatches[a] += popcount(differ)
            compared[a] += popcount(both)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def best_stretch(lo, hi, ok, frame, a, start, end):  # type: ignore[no-untyped-def]
    """Highest-scoring stretch of an allele against a frame within [start, end).

    Returns its start, end, score and the deepest fall of the score inside it. Bases that
    the read does not know (N) count nothing.
    """
    best = 0
    best_start = start
    best_end = start
    best_fall = 0
    run = 0
    run_start = start
    peak = 0
    fall = 0
    f = start
    while f < end:
        w = f >> 6
        stop = min(end, 64 * (w + 1))
        both = ok[w, a] & frame[2, w]
        differ = (lo[w, a] ^ frame[0, w]) | (hi[w, a] ^ frame[1, w])
        both >>= np.uint64(f & 63)
        differ >>= np.uint64(f & 63)
        while f < stop:
            if both & np.uint64(1):
                if differ & np.uint64(1):
                    run += MISMATCH
                    if run <= 0:
                        run = 0
                        run_start = f + 1
                        peak = 0
                        fall = 0
                    elif peak - run > fall:
                        fall = peak - run
                else:
                    run += MATCH
                    peak = max(peak, run)
                    if run > best:
                        best = run
                        best_start = run_start
                        best_end = f + 1
                        best_fall = fall
            both >>= np.uint64(1)
            differ >>= np.uint64(1)
            f += 1
    return best_start, best_end, best, best_fall


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def tail(t, frame, a):  # type: ignore[no-untyped-def]
    """Bases after the codon of Cys104 that still follow the allele, and what they score."""
    shift = np.uint64(3)
    w = CYS_AT >> 6
    both = (t.v_ok[w, a] & frame[2, w]) >> shift
    differ = ((t.v_lo[w, a] ^ frame[0, w]) | (t.v_hi[w, a] ^ frame[1, w])) >> shift
    best = 0
    length = 0
    run = 0
    i = 0
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def band_align(codes, begin, end, gene, diagonal_min, bands, dp, trace):  # type: ignore[no-untyped-def]
    """Local alignment with affine gaps inside a band (Smith-Waterman, Gotoh).

    Cell (i, b) stands for read base i and gene base i - diagonal_min - b. A first gap base
    costs GAP_OPEN, each further one GAP_EXTEND. Returns the score and the last cell; ``trace``
    gets, per cell, where the score came from (bits 0-1: nothing, pair, insertion,
    deletion; bit 2, bit 3: the insertion, the deletion was already open).
    """
    low = -(1 << 28)
    h = dp[0]
    ins = dp[1]
    for b in range(bands + 2):
        h[b] = 0
        ins[b] = low
    best = 0
    best_i = begin
    best_b = 0
    genes = len(gene)
    for i in range(begin, end):
        del_next = low
        code = codes[i]
        for b in range(bands - 1, -1, -1):
            j = i - diagonal_min - b
            mark = 0
            if j < 0 or j >= genes:
                h[b + 1] = 0
                ins[b + 1] = low
                del_next = low
                trace[i - begin, b] = 0
                continue
            # h[b + 1] still holds the row above; h[b] and ins[b] its neighbour diagonal.
            opened = h[b] + GAP_OPEN if b > 0 else low
            longer = ins[b] + GAP_EXTEND if b > 0 else low
            insertion = opened
            if longer > opened:
                insertion = longer
                mark |= 4
            deletion = low
            if b < bands - 1:
                deletion = h[b + 2] + GAP_OPEN
                longer = del_next + GAP_EXTEND
                if longer > deletion:
                    deletion = longer
                    mark |= 8
            pair = h[b + 1]
            if code < 4 and gene[j] < 4:
                pair += MATCH if code == gene[j] else MISMATCH
            score = 0
            if pair > score:
                score = pair
                mark = (mark & 12) | 1
            if insertion > score:
                score = insertion
                mark = (mark & 12) | 2
            if deletion > score:
                score = deletion
                mark = (mark & 12) | 3
            h[b + 1] = score
            ins[b + 1] = insertion
            del_next = deletion
            trace[i - begin, b] = mark
            if score > best:
                best = score
                best_i = i
                best_b = b
    return best, best_i, best_b


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def follow(trace, begin, diagonal_min, i, b, shift, path):  # type: ignore[no-untyped-def]
    """Walk an alignment back; ``path[gene base + shift]`` becomes its read base, others -1.

    Returns the first gene base of the alignment. The path is continued beyond the last
    pair along its diagonal, so that other alleles may reach further.
    """
    size = len(path)
    for f in range(size):
        path[f] = -1
    last = i - diagonal_min - b
    for f in range(max(0, last + 1 + shift), size):
        path[f] = i + f - shift - last
    state = 0
    first = last
    while i >= begin:
        mark = trace[i - begin, b]
        if state == 0:
            source = mark & 3
            if source == 0:
                break
            if source == 1:
                j = i - diagonal_min - b
                if 0 <= j + shift < size:
                    path[j + shift] = i
                first = j
                i -= 1
                continue
            state = source - 1
        if state == 1:
            state = 1 if mark & 4 else 0
            i -= 1
            b -= 1
        else:
            state = 2 if mark & 8 else 0
            b += 1
    return first


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def choose_v(t, scratch, start, first, last, ties):  # type: ignore[no-untyped-def]
    """Rank the V alleles [first, last) by the frame in ``scratch``; returns the ties and the best score.

    ``ties`` gets the equally good alleles: genes with most of them first, as two genes
    that explain a read alike are likelier the one with more alleles that do.
    """
    count_mismatches(scratch.frame, start, CYS_AT + 3, t, scratch.mismatches, scratch.compared)
    best_body = -(1 << 20)
    for a in range(first, last):
        score = MATCH * scratch.compared[a] + (MISMATCH - MATCH) * scratch.mismatches[a]
        scratch.total[a] = score
        best_body = max(best_body, score)
    best = -(1 << 20)
    for a in range(first, last):
        if scratch.total[a] > best_body - 2 * MATCH * 32:
            scratch.total[a] += tail(t, scratch.frame, a)[1]
            best = max(best, scratch.total[a])
        else:
            scratch.total[a] = -(1 << 20)
    count = order_ties(scratch.total, t.v_gene, first, last, best, ties)
    return count, best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def order_ties(total, gene_of, first, last, best, ties):  # type: ignore[no-untyped-def]
    """Alleles of score ``best``, by falling number per gene, then by place."""
    count = 0
    room = len(ties)
    most = 1
    a = first
    while a < last:  # the largest number of tied alleles of one gene
        gene = gene_of[a]
        here = 0
        while a < last and gene_of[a] == gene:
            if total[a] == best:
                here += 1
            a += 1
        most = max(most, here)
    for size in range(most, 0, -1):
        a = first
        while a < last:
            gene = gene_of[a]
            begin = a
            here = 0
            while a < last and gene_of[a] == gene:
                if total[a] == best:
                    here += 1
                a += 1
            if here == size:
                for x in range(begin, a):
                    if total[x] == best and count < room:
                        ties[count] = x
                        count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def fold(codes, t, scratch, cys, ties):  # type: ignore[no-untyped-def]
    """Align V with gaps where a second diagonal has votes; leaves the folded frame in ``scratch``.

    Returns (alignment score or 0, first frame base aligned, its gaps' score). The alleles likeliest by the best
    diagonal of each 64-base piece are aligned in a band over all voted diagonals; the
    best path folds the read, all alleles are compared with the folded read, and the
    winner is aligned once more if it is another.
    """
    votes = scratch.v_votes
    length = len(codes)
    low = cys
    high = cys
    for c in range(max(cys - 40, 40 - PAD), min(cys + 40, length + PAD - 40) + 1):
        if votes[c + PAD] >= 2:
            low = min(low, c)
            high = max(high, c)
    if low == high:
        return 0, 0, 0
    alleles = t.v_lo.shape[1]
    for a in range(alleles):
        scratch.total[a] = 0
    for w in range(WORDS):
        for a in range(alleles):
            scratch.piece[a] = 0
        for c in range(low, high + 1):
            if votes[c + PAD] < 2:
                continue
            place = c - CYS_AT + 64 * w
            lo = word_at(scratch.lo, place)
            hi = word_at(scratch.hi, place)
            ok = word_at(scratch.ok, place)
            for a in range(alleles):
                both = t.v_ok[w, a] & ok
                differ = ((t.v_lo[w, a] ^ lo) | (t.v_hi[w, a] ^ hi)) & both
                score = MATCH * np.int64(popcount(both)) + (MISMATCH - MATCH) * np.int64(popcount(differ))
                scratch.piece[a] = max(scratch.piece[a], score)
        for a in range(alleles):
            scratch.total[a] += scratch.piece[a]
    begin = max(0, low - CYS_AT)
    end = min(length, high + 64)
    bands = high - low + 17
    if end - begin > scratch.trace.shape[0] or bands > scratch.trace.shape[1]:
        return 0, 0, 0
    best = 0
    chosen = -1
    first = 0
    for trial in range(6):
        a = 0
        if trial < 5:  # the best five genes by pieces
            for x in range(alleles):
                if scratch.total[x] > scratch.total[a]:
                    a = x
            if scratch.total[a] <= 0:
                continue
            gene = t.v_gene[a]
            for x in range(alleles):
                if t.v_gene[x] == gene:
                    scratch.total[x] = -1
        else:
            if chosen < 0:
                break
            folded_frame(codes, scratch.path, scratch.frame)
            count, score = choose_v(t, scratch, first, 0, alleles, ties)
            a = ties[0]
            if a == chosen:
                break
        gene_codes = t.v_codes[t.v_offsets[a] : t.v_offsets[a + 1]]
        diagonal = low - t.v_cys[a] - 8
        score, i, b = band_align(codes, begin, end, gene_codes, diagonal, bands, scratch.dp, scratch.trace)
        if score > best:
            best = score
            chosen = a
            shift = CYS_AT - t.v_cys[a]
            first = shift + follow(scratch.trace, begin, diagonal, i, b, shift, scratch.path)
    if chosen < 0:
        return 0, 0, 0
    folded_frame(codes, scratch.path, scratch.frame)
    gaps = 0
    place = -1
    f = first
    last = CYS_AT + 3
    while f < last:
        if scratch.path[f] < 0:
            gaps += GAP_OPEN - GAP_EXTEND
            while f < last and scratch.path[f] < 0:
                gaps += GAP_EXTEND
                f += 1
            continue
        if place >= 0 and scratch.path[f] > place + 1:
            gaps += GAP_OPEN + GAP_EXTEND * (scratch.path[f] - place - 2)
        place = scratch.path[f]
        f += 1
    return best, first, gaps


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def steps_of(path, start, end, steps):  # type: ignore[no-untyped-def]
    """Matches, insertions and deletions of a path over frame [start, end); both ends are pairs.

    Returns their number, or -1 if there are more than ``steps`` can hold.
    """
    count = 0
    place = -1
    f = start
    while f < end:
        if count + 2 > len(steps):
            return -1
        g = f
        if path[f] < 0:
            while g < end and path[g] < 0:
                g += 1
            steps[count] = ((g - f) << 2) | OP_DELETION
        else:
            if place >= 0 and path[f] > place + 1:
                steps[count] = ((path[f] - place - 1) << 2) | OP_INSERTION
                count += 1
            while g + 1 < end and path[g + 1] == path[g] + 1:
                g += 1
            place = path[g]
            g += 1
            steps[count] = ((g - f) << 2) | OP_MATCH
        count += 1
        f = g
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_v(codes, t, scratch, row, ties, steps):  # type: ignore[no-untyped-def]
    """Find and align V; fills the row's V columns and returns V's score (0: none)."""
    length = len(codes)
    cys, most = vote(codes, 0, length, V_K, t.v_seed_starts, t.v_seed_places, scratch.v_votes)
    if most < 2:
        return 0
    alleles = t.v_lo.shape[1]
    straight_frame(scratch, cys)
    start = max(0, CYS_AT - cys)
    stop = min(CYS_AT + 3, CYS_AT + length - cys)
    count_mismatches(scratch.frame, start, CYS_AT + 3, t, scratch.mismatches, scratch.compared)
    a = 0
    best = -(1 << 20)
    for x in range(alleles):
        score = MATCH * scratch.compared[x] + (MISMATCH - MATCH) * scratch.mismatches[x]
        if score > best:
            best = score
            a = x
    overlap = scratch.compared[a]
    begin = max(start, CYS_AT - t.v_cys[a])
    s, e, score, fall = best_stretch(t.v_lo, t.v_hi, t.v_ok, scratch.frame, a, start, CYS_AT + 3)
    gaps = 0
    folded = False
    if s - begin >= CLIPPED or stop - e >= CLIPPED_NEAR_CYS or fall >= DEEP_FALL or best < overlap:
        extent = CYS_AT + 3 + tail(t, scratch.frame, a)[0]
        score = best_stretch(t.v_lo, t.v_hi, t.v_ok, scratch.frame, a, start, extent)[2]
        aligned, first, gaps = fold(codes, t, scratch, cys, ties)
        if aligned > score:
            folded = True
            start = first
        else:
            gaps = 0
            straight_frame(scratch, cys)
            if s - begin >= CLIPPED:
                start = s
    count, _ = choose_v(t, scratch, start, 0, alleles, ties)
    a = ties[0]
    extent = CYS_AT + 3 + tail(t, scratch.frame, a)[0]
    if folded:
        s = max(start, CYS_AT - t.v_cys[a])
        e = extent
        while s < e and scratch.path[s] < 0:
            s += 1
        while s < e and not 0 <= scratch.path[e - 1] < length:
            e -= 1
        row[V_OPS] = steps_of(scratch.path, s, e, steps)
        if s >= e or row[V_OPS] < 0:
            return 0
    else:
        s, e, score, fall = best_stretch(t.v_lo, t.v_hi, t.v_ok, scratch.frame, a, start, extent)
        for f in range(WORDS * 64):
            scratch.path[f] = cys - CYS_AT + f
        row[V_OPS] = 1
        steps[0] = (e - s) << 2
        if s >= e:
            return 0
    matches = 0
    mismatches = 0
    for w in range(WORDS):
        both = t.v_ok[w, a] & scratch.frame[2, w] & bits_between(s, e, w)
        differ = ((t.v_lo[w, a] ^ scratch.frame[0, w]) | (t.v_hi[w, a] ^ scratch.frame[1, w])) & both
        matches += np.int64(popcount(both)) - np.int64(popcount(differ))
        mismatches += np.int64(popcount(differ))
    columns = 0
    for x in range(row[V_OPS]):
        columns += steps[x] >> 2
    row[LOCUS] = 0
    while t.v_range[row[LOCUS] + 1] <= a:
        row[LOCUS] += 1
    row[V_TIES] = count
    row[V_START] = scratch.path[s]
    row[V_END] = scratch.path[e - 1] + 1
    row[VG_START] = s - CYS_AT + t.v_cys[a]
    row[VG_END] = e - CYS_AT + t.v_cys[a]
    row[V_MATCHES] = matches
    row[V_COLUMNS] = columns
    row[V_SCORE] = MATCH * matches + MISMATCH * mismatches + gaps
    row[CYS] = cys
    if folded:
        row[CYS] = anchor_place(scratch.path)
    return row[V_SCORE]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def anchor_place(path):  # type: ignore[no-untyped-def]
    """Where the path puts the first base of Cys104, also when a gap swallowed it."""
    for f in range(CYS_AT, CYS_AT + 3):
        if path[f] >= 0:
            return path[f] - (f - CYS_AT)
    for f in range(CYS_AT - 1, 0, -1):
        if path[f] >= 0:
            return path[f] + 1
    return -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_j(codes, t, scratch, row, begin, end, locus, ties, total):  # type: ignore[no-untyped-def]
    """Find and align J of a locus within [begin, end); fills the row's J columns, returns the score."""
    length = len(codes)
    trp, most = vote(codes, begin, end, J_K, t.j_seed_starts, t.j_seed_places, scratch.j_votes)
    if most < 2:
        return 0
    frame = np.zeros((3, J_WORDS), dtype=np.uint64)
    first = t.j_range[locus]
    last = t.j_range[locus + 1]
    best = 0
    best_trp = -1
    second = max(2, (most + 1) // 2)
    best_start = 0
    best_end = 0
    for candidate in range(max(begin - 30, trp - length), min(end + 40, length + 60)):
        if scratch.j_votes[candidate + PAD] < second:
            continue
        for w in range(J_WORDS):
            place = candidate - TRP_AT + 64 * w
            frame[0, w] = word_at(scratch.lo, place)
            frame[1, w] = word_at(scratch.hi, place)
            frame[2, w] = word_at(scratch.ok, place)
        low = max(0, TRP_AT - candidate + begin)
        for a in range(first, last):
            s, e, score, fall = best_stretch(t.j_lo, t.j_hi, t.j_ok, frame, a, low, J_WORDS * 64)
            if score > best:
                best = score
                best_trp = candidate
    if best <= 0:
        return 0
    for w in range(J_WORDS):
        place = best_trp - TRP_AT + 64 * w
        frame[0, w] = word_at(scratch.lo, place)
        frame[1, w] = word_at(scratch.hi, place)
        frame[2, w] = word_at(scratch.ok, place)
    low = max(0, TRP_AT - best_trp + begin)
    for a in range(first, last):
        total[a] = best_stretch(t.j_lo, t.j_hi, t.j_ok, frame, a, low, J_WORDS * 64)[2]
    row[J_TIES] = order_ties(total, t.j_gene, first, last, best, ties)
    a = ties[0]
    s, e, score, fall = best_stretch(t.j_lo, t.j_hi, t.j_ok, frame, a, low, J_WORDS * 64)
    matches = 0
    for w in range(J_WORDS):
        both = t.j_ok[w, a] & frame[2, w] & bits_between(s, e, w)
        differ = ((t.j_lo[w, a] ^ frame[0, w]) | (t.j_hi[w, a] ^ frame[1, w])) & both
        matches += np.int64(popcount(both)) - np.int64(popcount(differ))
    row[J_START] = s - TRP_AT + best_trp
    row[J_END] = e - TRP_AT + best_trp
    row[JG_START] = s - TRP_AT + t.j_trp[a]
    row[JG_END] = e - TRP_AT + t.j_trp[a]
    row[J_SCORE] = best
    row[J_MATCHES] = matches
    row[J_COLUMNS] = e - s
    row[TRP] = best_trp
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_d(codes, t, row, begin, end, ties, total, where):  # type: ignore[no-untyped-def]
    """Find D within [begin, end); fills the row's D columns, returns the score.

    Each exact word of five bases is extended both ways; bases beyond [begin, end) are V's and J's.
    """
    best = 0
    alleles = len(t.d_offsets) - 1
    for a in range(alleles):
        total[a] = 0
    mask = (1 << (2 * D_K)) - 1
    word = 0
    clean = 0
    for i in range(begin, end):
        code = codes[i]
        if code > 3:
            clean = 0
            continue
        word = ((word << 2) | code) & mask
        clean += 1
        if clean < D_K:
            continue
        start = i - D_K + 1
        for x in range(t.d_seed_starts[word], t.d_seed_starts[word + 1]):
            a = t.d_seed_allele[x]
            place = t.d_seed_places[x]
            offset = t.d_offsets[a]
            if start > begin and place > 0 and codes[start - 1] == t.d_codes[offset + place - 1]:
                continue  # this run of matches was extended from its first word
            size = t.d_offsets[a + 1] - offset
            score = D_K * MATCH
            top = score
            right = D_K
            k = D_K
            while start + k < end and place + k < size and score > top - FALL_D:
                score += MATCH if codes[start + k] == t.d_codes[offset + place + k] else MISMATCH
                k += 1
                if score > top:
                    top = score
                    right = k
            score = top
            left = 0
            k = 1
            while start - k >= begin and place - k >= 0 and score > top - FALL_D:
                score += MATCH if codes[start - k] == t.d_codes[offset + place - k] else MISMATCH
                if score > top:
                    top = score
                    left = k
                k += 1
            if top > total[a]:
                total[a] = top
                best = max(best, top)
                where[a, 0] = start - left
                where[a, 1] = start + right
                where[a, 2] = place - left
    if best < MIN_D:
        return 0
    row[D_TIES] = order_ties(total, t.d_gene, 0, alleles, best, ties)
    a = ties[0]
    row[D_START] = where[a, 0]
    row[D_END] = where[a, 1]
    row[DG_START] = where[a, 2]
    row[DG_END] = where[a, 2] + where[a, 1] - where[a, 0]
    row[D_SCORE] = best
    row[D_COLUMNS] = where[a, 1] - where[a, 0]
    row[D_MATCHES] = 0
    shift = t.d_offsets[a] + where[a, 2] - where[a, 0]
    for i in range(where[a, 0], where[a, 1]):
        row[D_MATCHES] += codes[i] == t.d_codes[shift + i]
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def part(codes, t, row, v, j, v_steps):  # type: ignore[no-untyped-def]
    """Share bases that both V and J claim: the split with fewest mismatches, J the longer of equals."""
    begin = row[J_START]
    end = row[V_END]
    if end <= begin:
        return
    last = v_steps[row[V_OPS] - 1] >> 2
    begin = max(begin, end - last + 1)
    shift_v = t.v_offsets[v] + row[VG_END] - row[V_END]
    shift_j = t.j_offsets[j] + row[JG_START] - row[J_START]
    wrong_v = 0
    wrong_j = 0
    for i in range(begin, end):
        wrong_j += codes[i] != t.j_codes[shift_j + i]
    fewest = wrong_j
    split = begin
    for i in range(begin, end):
        wrong_v += codes[i] != t.v_codes[shift_v + i]
        wrong_j -= codes[i] != t.j_codes[shift_j + i]
        if wrong_v + wrong_j < fewest:
            fewest = wrong_v + wrong_j
            split = i + 1
    for i in range(split, end):
        same = codes[i] == t.v_codes[shift_v + i]
        row[V_MATCHES] -= same
        row[V_SCORE] -= MATCH if same else MISMATCH
    row[V_COLUMNS] -= end - split
    v_steps[row[V_OPS] - 1] -= (end - split) << 2
    row[VG_END] -= end - split
    row[V_END] = split
    for i in range(row[J_START], split):
        same = codes[i] == t.j_codes[shift_j + i]
        row[J_MATCHES] -= same
        row[J_SCORE] -= MATCH if same else MISMATCH
    row[J_COLUMNS] -= split - row[J_START]
    row[JG_START] += split - row[J_START]
    row[J_START] = split


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def judge(codes, row, v_steps, v_size, j_size):  # type: ignore[no-untyped-def]
    """Junction, reading frame, stop codon, productive."""
    length = len(codes)
    cys = row[CYS]
    trp = row[TRP]
    row[IN_FRAME : COMPLETE + 1] = -1
    if row[KIND] == D_J or row[KIND] == V_KDE or row[KIND] == INTRON_KDE:
        row[PRODUCTIVE] = 0
        row[COMPLETE] = 0
        return
    if row[KIND] == V_J and 0 <= cys and trp + 3 <= length and trp >= cys + 3:
        row[JUNCTION_START] = cys
        row[JUNCTION_END] = trp + 3
    if row[KIND] == V_J:
        row[IN_FRAME] = (trp - cys) % 3 == 0
    row[FRAMESHIFT] = 0
    for x in range(row[V_OPS]):
        if v_steps[x] & 3 != OP_MATCH and (v_steps[x] >> 2) % 3 != 0:
            row[FRAMESHIFT] = 1
    row[STOP] = 0
    end = row[J_END] if row[KIND] == V_J else row[V_END]
    i = row[V_START] + (cys - row[V_START]) % 3
    while i + 3 <= end:
        if is_stop(codes[i], codes[i + 1], codes[i + 2]):
            row[STOP] = 1
        i += 3
    row[COMPLETE] = row[KIND] == V_J and row[VG_START] == 0 and row[JG_END] >= j_size - 1
    if row[STOP] == 1 or row[FRAMESHIFT] == 1 or row[IN_FRAME] == 0:
        row[PRODUCTIVE] = 0
    elif row[JUNCTION_START] >= 0:
        row[PRODUCTIVE] = 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def is_stop(first, second, third):  # type: ignore[no-untyped-def]
    """TAA, TAG or TGA, in codes."""
    return first == 3 and ((second == 0 and (third == 0 or third == 2)) or (second == 2 and third == 0))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_element(codes, gene, begin, end, starts, places, votes):  # type: ignore[no-untyped-def]
    """Best stretch of one long germline element: score, read start and end, germline start, matches."""
    length = len(codes)
    diagonal, most = vote(codes, begin, end, E_K, starts, places, votes)
    if most < 4:
        return 0, 0, 0, 0, 0
    best = 0
    best_start = 0
    best_end = 0
    run = 0
    low = max(begin, diagonal)
    run_start = low
    for i in range(low, min(end, diagonal + len(gene), length)):
        if codes[i] < 4:
            run += MATCH if codes[i] == gene[i - diagonal] else MISMATCH
        if run <= 0:
            run = 0
            run_start = i + 1
        elif run > best:
            best = run
            best_start = run_start
            best_end = i + 1
    matches = 0
    for i in range(best_start, best_end):
        matches += codes[i] == gene[i - diagonal]
    return best, best_start, best_end, best_start - diagonal, matches


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_kde(codes, t, scratch, row, begin, end, ties):  # type: ignore[no-untyped-def]
    """Kde within [begin, end), in the row's J columns; returns its score."""
    kde = len(t.j_offsets) - 2
    gene = t.j_codes[t.j_offsets[kde] : t.j_offsets[kde + 1]]
    score, s, e, g, matches = find_element(
        codes, gene, begin, end, t.e_seed_starts, t.e_seed_places, scratch.j_votes
    )
    if score < MIN_ELEMENT or g > FARTHEST_KDE:
        return 0
    row[J_START] = s
    row[J_END] = e
    row[JG_START] = g
    row[JG_END] = g + e - s
    row[J_SCORE] = score
    row[J_MATCHES] = matches
    row[J_COLUMNS] = e - s
    row[J_TIES] = 1
    row[TRP] = -1
    ties[0] = kde
    return score


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def like_heptamer(codes, place):  # type: ignore[no-untyped-def]
    """Whether the bases before ``place`` are a recombination heptamer, CACTGTG with one change allowed."""
    if place < 7:
        return False
    same = 0
    for k in range(7):
        same += codes[place - 7 + k] == HEPTAMER[k]
    return same >= 6


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def clear(row):  # type: ignore[no-untyped-def]
    """An empty result row."""
    row[:] = -1
    row[KIND] = NONE
    row[V_TIES] = 0
    row[D_TIES] = 0
    row[J_TIES] = 0
    row[V_OPS] = 0
    row[J_OPS] = 0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_strand(codes, t, scratch, row, v_ties, d_ties, j_ties, v_steps):  # type: ignore[no-untyped-def]
    """Annotate one strand of one read; returns the score of what was found, 0 for nothing."""
    length = len(codes)
    clear(row)
    pack(codes, length, scratch.lo, scratch.hi, scratch.ok)
    v = annotate_v(codes, t, scratch, row, v_ties, v_steps)
    if v >= MIN_V:
        cys = row[CYS]
        begin = min(max(cys + 3, row[V_START] + 1), length)
        end = min(length, cys + LONGEST_CDR3 + 64)
        j = 0
        if begin < end:
            j = annotate_j(codes, t, scratch, row, begin, end, row[LOCUS], j_ties, scratch.piece)
        if j >= MIN_J and v + j >= MIN_PAIR:
            row[KIND] = V_J
            part(codes, t, row, v_ties[0], j_ties[0], v_steps)
            if row[LOCUS] == 0:
                annotate_d(codes, t, row, row[V_END], row[J_START], d_ties, scratch.piece, scratch.d_where)
            judge(codes, row, v_steps, 0, t.j_offsets[j_ties[0] + 1] - t.j_offsets[j_ties[0]])
            return v + j
        row[J_START : J_OPS + 1] = -1
        row[J_TIES] = 0
        row[J_OPS] = 0
        row[TRP] = -1
        if row[LOCUS] == 1 and begin < length:
            kde = annotate_kde(codes, t, scratch, row, row[V_START] + 1, length, j_ties)
            if kde > 0:
                row[KIND] = V_KDE
                part(codes, t, row, v_ties[0], j_ties[0], v_steps)
                judge(codes, row, v_steps, 0, 0)
                return v + kde
        if v >= MIN_V_ALONE:
            row[KIND] = V_ONLY
            judge(codes, row, v_steps, 0, 0)
            return v
    clear(row)
    score = annotate_intron_kde(codes, t, scratch, row, v_ties, j_ties, v_steps)
    if score > 0:
        return score
    clear(row)
    return annotate_dj(codes, t, scratch, row, d_ties, j_ties)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_intron_kde(codes, t, scratch, row, v_ties, j_ties, v_steps):  # type: ignore[no-untyped-def]
    """The intron signal's flank joined to Kde."""
    intron = len(t.v_offsets) - 2
    gene = t.v_codes[t.v_offsets[intron] : t.v_offsets[intron + 1]]
    score, s, e, g, matches = find_element(
        codes, gene, 0, len(codes), t.i_seed_starts, t.i_seed_places, scratch.v_votes
    )
    if score < MIN_ELEMENT:
        return 0
    row[V_START] = s
    row[V_END] = e
    row[VG_START] = g
    row[VG_END] = g + e - s
    row[V_SCORE] = score
    row[V_MATCHES] = matches
    row[V_COLUMNS] = e - s
    row[V_TIES] = 1
    row[V_OPS] = 1
    v_steps[0] = (e - s) << 2
    v_ties[0] = intron
    row[LOCUS] = 1
    kde = annotate_kde(codes, t, scratch, row, s + 1, len(codes), j_ties)
    if kde == 0:
        return 0
    row[KIND] = INTRON_KDE
    part(codes, t, row, intron, j_ties[0], v_steps)
    judge(codes, row, v_steps, 0, 0)
    return score + kde


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_dj(codes, t, scratch, row, d_ties, j_ties):  # type: ignore[no-untyped-def]
    """An incomplete rearrangement: D joined to J, no V.

    D's 5' end is as in the germline, behind its heptamer; without that end a longer D is
    asked for. A J behind its own heptamer is not rearranged.
    """
    score = annotate_j(codes, t, scratch, row, 0, len(codes), 0, j_ties, scratch.piece)
    if score < MIN_J_ALONE or (row[JG_START] <= 1 and like_heptamer(codes, row[J_START] - row[JG_START])):
        return 0
    begin = max(0, row[J_START] - LONGEST_DJ)
    d = annotate_d(codes, t, row, begin, row[J_START], d_ties, scratch.piece, scratch.d_where)
    if d < MIN_D_WITH_HEPTAMER:
        return 0
    if d < MIN_D_ALONE and not (row[DG_START] == 0 and like_heptamer(codes, row[D_START])):
        return 0
    row[KIND] = D_J
    row[LOCUS] = 0
    judge(codes, row, j_ties, 0, 0)
    return score + d


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def complement(codes, other):  # type: ignore[no-untyped-def]
    """The other strand of ``codes``, in ``other``."""
    length = len(codes)
    for i in range(length):
        code = codes[length - 1 - i]
        other[i] = 3 - code if code < 4 else 4


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def annotate_batch(codes, offsets, t, scratch, rows, v_ties, d_ties, j_ties, v_steps):  # type: ignore[no-untyped-def]
    """Annotate reads; ``codes`` (flat, cut at ``offsets``) is turned to the coding strand in place."""
    for r in range(len(offsets) - 1):
        read = codes[offsets[r] : offsets[r + 1]]
        length = len(read)
        row = rows[r]
        clear(row)
        row[REV] = 0
        if length < SHORTEST:
            continue
        forward = annotate_strand(read, t, scratch, row, v_ties[r], d_ties[r], j_ties[r], v_steps[r])
        if forward >= CERTAIN:
            row[REV] = 0
            continue
        other = scratch.reverse[:length]
        complement(read, other)
        backward = annotate_strand(other, t, scratch, row, v_ties[r], d_ties[r], j_ties[r], v_steps[r])
        if backward > forward:
            row[REV] = 1
            read[:] = other
        else:
            if forward > 0:
                annotate_strand(read, t, scratch, row, v_ties[r], d_ties[r], j_ties[r], v_steps[r])
            row[REV] = 0
