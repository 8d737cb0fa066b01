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
V_K, J_K, D_K, E_K = 8, 7, 5, 10
MAX_V_TIES, MAX_D_TIES, MAX_J_TIES, MAX_OPS = 64, 16, 16, 24
LONGEST_CDR3 = 200  # nt downstream of Cys104 in which a J may start

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2, -3, -12, -1

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
    j_range: NDArray[np.int32]
    j_seed_starts: NDArray[np.int32]
    j_seed_places: NDArray[np.int16]
    d_codes: NDArray[np.uint8]
    d_offsets: NDArray[np.int64]
    d_seed_starts: NDArray[np.int32]
    d_seed_allele: NDArray[np.int16]
    d_seed_places: NDArray[np.int16]


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


def new_scratch(longest: int, tables: Tables) -> Scratch:
    """Working memory for reads up to ``longest`` bases."""
    words = (longest + 2 * PAD) // 64 + 3
    alleles = tables.v_lo.shape[1]
    return Scratch(
        lo=np.zeros(words, dtype=np.uint64),
        hi=np.zeros(words, dtype=np.uint64),
        ok=np.zeros(words, dtype=np.uint64),
        v_votes=np.zeros(longest + 2 * PAD, dtype=np.int32),
        j_votes=np.zeros(longest + 2 * PAD, dtype=np.int32),
        frame=np.zeros((3, WORDS), dtype=np.uint64),
        mismatches=np.zeros(alleles, dtype=np.int64),
        compared=np.zeros(alleles, dtype=np.int64),
        total=np.zeros(alleles, dtype=np.int64),
        piece=np.zeros(alleles, dtype=np.int64),
        trace=np.zeros((512, 160), dtype=np.uint8),
        dp=np.zeros((4, 162), dtype=np.int32),
        path=np.zeros(WORDS * 64, dtype=np.int32),
        reverse=np.zeros(longest + 1, dtype=np.uint8),
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

    Returns (found, first frame base aligned, gap score). The alleles likeliest by the best
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
        return False, 0, 0
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
        return False, 0, 0
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
        return False, 0, 0
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
    return True, first, gaps


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def steps_of(path, start, end, steps):  # type: ignore[no-untyped-def]
    """Matches, insertions and deletions of a path over frame [start, end); both ends are pairs."""
    count = 0
    f = start
    while f < end and count < len(steps):
        g = f
        if path[f] < 0:
            while g < end and path[g] < 0:
                g += 1
            steps[count] = ((g - f) << 2) | OP_DELETION
        else:
            while g + 1 < end and path[g + 1] == path[g] + 1:
                g += 1
            g += 1
            steps[count] = ((g - f) << 2) | OP_MATCH
            if g < end and path[g] > path[g - 1] + 1 and count + 1 < len(steps):
                count += 1
                steps[count] = ((path[g] - path[g - 1] - 1) << 2) | OP_INSERTION
        count += 1
        f = g
    return count
