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
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

U8: TypeAlias = NDArray[np.uint8]
U64: TypeAlias = NDArray[np.uint64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))
integer = cast("Callable[[Any], Int]", np.int64)

WORDS, CYS_AT = 6, 320  # V frame: 384 bases, Cys104 at 320
J_WORDS, TRP_AT = 2, 64  # J frame: 128 bases, Trp/Phe118 at 64
PAD = 448  # clear bits on either side of a packed read, so that a frame may hang over its ends
VOTE_PAD, VOTES_BEYOND = 96, 336  # an anchor may be voted this far before and behind a read
V_K, J_K, D_K, E_K = 8, 7, 5, 8  # bases of a word
MAX_V_TIES, MAX_D_TIES, MAX_J_TIES, MAX_STEPS, MAX_J_STEPS = 64, 16, 16, 24, 8
LONGEST_CDR3 = 200  # nt downstream of Cys104 in which the anchor of J may stand

MATCH, MISMATCH, GAP_OPEN, GAP_EXTEND = 2, -3, -12, -1
CLIPPED, CLIPPED_NEAR_CYS, DEEP_FALL = 12, 6, 14  # what makes a straight V alignment doubtful
CLIPPED_J, GAP_J = 8, 12  # the same for J, and the longest gap looked for in it
GAP_REACH, BAND_MARGIN = 40, 8  # nt between diagonals that one V may use; cells beyond them
FOLD_ROWS, FOLD_BANDS, FOLD_TRIALS = 512, 128, 3
SHORT_GAP = 9  # nt of a gap so near Cys104 that no word need lie behind it
FOLD_VOTES = 4  # of the best diagonal, for a gapped alignment to be tried
SECOND_DIAGONAL = 3  # votes that make a second diagonal worth a gapped alignment
FALL_D = 8  # a D alignment is given up this far below its best score
# Lowest scores at which a segment is believed. With a match at 2 and a mismatch at -3 a random
# alignment reaches S with a probability of some m n exp(-0.63 S) (Karlin & Altschul 1990).
MIN_V, MIN_J, MIN_PAIR, MIN_V_ALONE, MIN_J_ALONE = 30, 24, 76, 100, 50
MIN_D, MIN_D_WITH_HEPTAMER, MIN_D_ALONE, MIN_ELEMENT = 14, 16, 24, 50
WEAK_V, WEAK_V_SHORT = 60, 8  # below this score V has to reach Cys104 within so many bases
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


@intrinsic
def _popcount(_context: Any, _word: Any) -> Any:
    """Set bits of a 64-bit word, by the processor's own instruction."""

    def generate(_c: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def _lowest_bit(_context: Any, _word: Any) -> Any:
    """Place of the lowest set bit of a 64-bit word that is not zero."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), generate


popcount = cast("Callable[[Any], Any]", _popcount)
lowest_bit = cast("Callable[[Any], Any]", _lowest_bit)


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
def lay_frame(bits: U64, place: Int, frame: U64) -> None:
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
def vote(codes: U8, begin: Int, end: Int, k: Int, starts: I32, places: I32, votes: I32) -> tuple[Int, Int]:
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
    most = integer(0)
    best = 0
    for i in range(begin, end):
        code = integer(codes[i])
        word = ((word << 2) | (code & 3)) & mask
        clean = 0 if code > 3 else clean + 1
        if clean >= k:
            start = i - k + 1 - begin + VOTE_PAD
            for s in range(starts[word], starts[word + 1]):
                x = start - places[s]
                if 0 <= x < size:
                    count = integer(votes[x]) + 1
                    votes[x] = count
                    if count > most:
                        most = count
                        best = x
    return best + begin - VOTE_PAD, most


@kernel
def bits_between(start: Int, end: Int, word: Int) -> Any:
    """The bits of frame word ``word`` that lie in [start, end)."""
    low = min(max(start - 64 * word, 0), 64)
    high = min(max(end - 64 * word, 0), 64)
    if low >= high:
        return np.uint64(0)
    return (~np.uint64(0) >> np.uint64(64 - high + low)) << np.uint64(low)


@kernel
def compare(frame: U64, start: Int, end: Int, alleles: U64, counts: I64) -> None:
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
            counts[0, a] += integer(popcount(differ))
            counts[1, a] += integer(popcount(both))


@kernel
def best_stretch(alleles: U64, a: Int, frame: U64, start: Int, end: Int) -> tuple[Int, Int, Int, Int]:
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
            place = 64 * w + integer(bit)
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
def matches_in(alleles: U64, a: Int, frame: U64, start: Int, end: Int) -> tuple[Int, Int]:
    """Matches and mismatches of an allele with a frame in [start, end)."""
    matches = mismatches = 0
    for w in range(start >> 6, (end + 63) >> 6):
        both = alleles[2, w, a] & frame[2, w] & bits_between(start, end, w)
        differ = ((alleles[0, w, a] ^ frame[0, w]) | (alleles[1, w, a] ^ frame[1, w])) & both
        wrong = integer(popcount(differ))
        matches += integer(popcount(both)) - wrong
        mismatches += wrong
    return matches, mismatches


@kernel
def tail(alleles: U64, a: Int, frame: U64) -> tuple[Int, Int]:
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
def order_ties(total: I64, table: I64, first: Int, last: Int, best: Int, ties: I32) -> Int:
    """Alleles of score ``best``, by falling number per gene, then by place; returns how many fit."""
    largest = here = 0
    gene = integer(-1)
    for a in range(first, last):
        if total[a] == best:
            here = here + 1 if table[a, GENE] == gene else 1
            gene = table[a, GENE]
            largest = max(largest, here)
    count = 0
    for wanted in range(largest, 0, -1):
        a = first
        while a < last:
            if total[a] != best:
                a += 1
                continue
            gene = table[a, GENE]
            begin = a
            here = 0
            while a < last and table[a, GENE] == gene:
                here += total[a] == best
                a += 1
            if here == wanted:
                for x in range(begin, a):
                    if total[x] == best and count < len(ties):
                        ties[count] = x
                        count += 1
    return count


@kernel
def rank_v(alleles: U64, table: I64, frame: U64, counts: I64, total: I64, ties: I32) -> Int:
    """Rank the V alleles that `compare` counted; ``ties`` gets the best, their number is returned.

    Genes with most equally good alleles come first: of genes that explain a read alike the
    one with more such alleles is the likelier source.
    """
    n = alleles.shape[2]
    best = integer(-(1 << 20))
    for a in range(n):
        total[a] = MATCH * counts[1, a] + (MISMATCH - MATCH) * counts[0, a]
        best = max(best, total[a])
    for a in range(n):
        if total[a] + MATCH * (table[a, LENGTH] - table[a, ANCHOR]) > best:
            total[a] += tail(alleles, a, frame)[1]
    for a in range(n):
        best = max(best, total[a])
    return order_ties(total, table, integer(0), n, best, ties)


@kernel
def clear_row(row: I64) -> None:
    """An empty result row."""
    for x in range(len(row)):
        row[x] = -1
    row[KIND] = NONE
    row[REV] = 0
    row[V_TIES] = row[D_TIES] = row[J_TIES] = 0
    row[V_STEPS] = row[J_STEPS] = 0


@kernel
def clear_j(row: I64) -> None:
    """Take J back."""
    for x in range(J_START, J_STEPS + 1):
        row[x] = -1
    row[J_TIES] = row[J_STEPS] = 0
    row[TRP] = -1


@kernel
def place_v(row: I64, a: Int, table: I64, s: Int, e: Int, matches: Int, mismatches: Int, gaps: Int) -> None:
    """Fill a row's V columns from frame places [s, e)."""
    row[VG_START] = s - CYS_AT + table[a, ANCHOR]
    row[VG_END] = e - CYS_AT + table[a, ANCHOR]
    row[V_MATCHES] = matches
    row[V_SCORE] = MATCH * matches + MISMATCH * mismatches + gaps


@kernel
def straight_v(
    codes: U8, offsets: I64, rows: I64, ties: I32, steps: I64, alleles: U64, table: I64, loci: I64,
    starts: I32, places: I32, bits: U64, votes: I32, counts: I64, total: I64,
) -> None:  # fmt: skip
    """V without gaps for every read, by its best diagonal; rows that doubt it have KIND DOUBTFUL."""
    n = alleles.shape[2]
    frame = np.zeros((3, WORDS), dtype=np.uint64)
    for r in range(len(offsets) - 1):
        read = codes[offsets[r] : offsets[r + 1]]
        row = rows[r]
        clear_row(row)
        length = len(read)
        if length < SHORTEST:
            continue
        cys, most = vote(read, integer(0), length, integer(V_K), starts, places, votes)
        if most < 2:
            continue
        pack(read, bits)
        lay_frame(bits, cys - CYS_AT, frame)
        start = max(0, CYS_AT - cys)
        stop = min(CYS_AT + 3, CYS_AT + length - cys)
        compare(frame, start, CYS_AT + 3, alleles, counts)
        a = integer(0)
        best = integer(-(1 << 20))
        for x in range(n):
            score = MATCH * counts[1, x] + (MISMATCH - MATCH) * counts[0, x]
            if score > best:
                best = score
                a = x
        begin = max(start, CYS_AT - table[a, ANCHOR])
        s, e, score, fall = best_stretch(alleles, a, frame, begin, CYS_AT + 3)
        late = s - begin >= CLIPPED
        short = stop - e >= CLIPPED_NEAR_CYS
        if most >= FOLD_VOTES and (late or short or fall >= DEEP_FALL or best < counts[1, a]):
            row[KIND] = DOUBTFUL
            row[TRP] = short  # until J is looked for, the place of Trp118 tells `folded_v` where the doubt is
        if late:
            start = s
            compare(frame, start, CYS_AT + 3, alleles, counts)
        count = rank_v(alleles, table, frame, counts, total, ties[r])
        a = integer(ties[r, 0])
        extent = CYS_AT + 3 + tail(alleles, a, frame)[0]
        s, e, score, fall = best_stretch(alleles, a, frame, max(start, CYS_AT - table[a, ANCHOR]), extent)
        if s >= e:
            row[KIND] = NONE
            continue
        matches, mismatches = matches_in(alleles, a, frame, s, e)
        place_v(row, a, table, s, e, matches, mismatches, integer(0))
        row[CYS] = cys
        row[LOCUS] = (a >= loci[1]) + (a >= loci[2])
        row[V_TIES] = count
        row[V_START] = cys - CYS_AT + s
        row[V_END] = cys - CYS_AT + e
        row[V_COLUMNS] = e - s
        row[V_STEPS] = 1
        steps[r, 0] = (e - s) << 2


@kernel
def band_align(
    codes: U8, begin: Int, end: Int, gene: U8, diagonal: Int, bands: Int, scores: I64, trace: U8
) -> tuple[Int, Int, Int]:
    """Local alignment with affine gaps inside a band.

    Cell (i, b) pairs read base i with gene base i - diagonal - b. Returns the score and
    the cell it ends in; ``trace`` gets, per cell, where its score came from (bits 0-1:
    nothing, pair, insertion, deletion; bits 2 and 3: the insertion, the deletion was
    already open).
    """
    low = -(1 << 28)
    for b in range(bands + 2):
        scores[0, b] = 0
        scores[1, b] = low
    best = best_i = best_b = 0
    size = len(gene)
    for i in range(begin, end):
        deletion = low
        code = codes[i]
        for b in range(bands - 1, -1, -1):
            j = i - diagonal - b
            if j < 0 or j >= size:
                scores[0, b + 1] = 0
                scores[1, b + 1] = low
                deletion = low
                trace[i - begin, b] = 0
                continue
            # scores[0, b + 1] is still the row above on this diagonal, [0, b] on the one beside it.
            mark = 0
            insertion = scores[0, b] + GAP_OPEN if b > 0 else low
            if b > 0 and scores[1, b] + GAP_EXTEND > insertion:
                insertion = scores[1, b] + GAP_EXTEND
                mark |= 4
            opened = scores[0, b + 2] + GAP_OPEN if b < bands - 1 else low
            if deletion + GAP_EXTEND > opened:
                deletion += GAP_EXTEND
                mark |= 8
            else:
                deletion = opened
            pair = scores[0, b + 1]
            if code < 4 and gene[j] < 4:
                pair += MATCH if code == gene[j] else MISMATCH
            score = 0
            source = 0
            if pair > score:
                score = pair
                source = 1
            if insertion > score:
                score = insertion
                source = 2
            if deletion > score:
                score = deletion
                source = 3
            scores[0, b + 1] = score
            scores[1, b + 1] = insertion
            trace[i - begin, b] = mark | source
            if score > best:
                best, best_i, best_b = score, i, b
    return best, best_i, best_b


@kernel
def follow(trace: U8, begin: Int, diagonal: Int, i: Int, b: Int, shift: Int, path: I64) -> Int:
    """Walk an alignment back: ``path[gene base + shift]`` becomes its read base, else -1.

    Returns the first gene base. The path goes on beyond the last pair along its diagonal,
    so that other alleles may reach further.
    """
    last = i - diagonal - b
    for f in range(len(path)):
        path[f] = i + f - shift - last if f > last + shift else -1
    first = last
    state = 0
    while i >= begin:
        mark = trace[i - begin, b]
        if state == 0:
            if mark & 3 == 0:
                break
            state = integer(mark & 3) - 1
        if state == 0:
            first = i - diagonal - b
            path[first + shift] = i
            i -= 1
        elif state == 1:
            state = 1 if mark & 4 else 0
            i -= 1
            b -= 1
        else:
            state = 2 if mark & 8 else 0
            b += 1
    return first


@kernel
def fold(codes: U8, path: I64, frame: U64) -> None:
    """The frame of a read with gaps: its base f is read base ``path[f]``, or none."""
    for w in range(frame.shape[1]):
        lo = hi = known = np.uint64(0)
        for b in range(64):
            i = path[64 * w + b]
            if 0 <= i < len(codes) and codes[i] < 4:
                code = np.uint64(codes[i])
                place = np.uint64(b)
                lo |= (code & np.uint64(1)) << place
                hi |= (code >> np.uint64(1)) << place
                known |= np.uint64(1) << place
        frame[0, w] = lo
        frame[1, w] = hi
        frame[2, w] = known


@kernel
def steps_of(path: I64, start: Int, end: Int, steps: I64) -> tuple[Int, Int, Int]:
    """Matches, insertions and deletions of a path over frame [start, end); both ends are pairs.

    Returns their number (-1 if ``steps`` cannot hold them), the columns and the gaps' score.
    """
    count = columns = gaps = 0
    place = integer(-1)
    f = start
    while f < end:
        if count + 2 > len(steps):
            return -1, 0, 0
        g = f
        if path[f] < 0:
            while g < end and path[g] < 0:
                g += 1
            steps[count] = ((g - f) << 2) | STEP_DELETION
            gaps += GAP_OPEN + GAP_EXTEND * (g - f - 1)
        else:
            skipped = path[f] - place - 1
            if place >= 0 and skipped > 0:
                steps[count] = (skipped << 2) | STEP_INSERTION
                gaps += GAP_OPEN + GAP_EXTEND * (skipped - 1)
                columns += skipped
                count += 1
            while g + 1 < end and path[g + 1] == path[g] + 1:
                g += 1
            place = path[g]
            g += 1
            steps[count] = ((g - f) << 2) | STEP_MATCH
        columns += g - f
        count += 1
        f = g
    return count, columns, gaps


@kernel
def sum_pieces(bits: U64, votes: I32, low: Int, high: Int, alleles: U64, piece: I64, total: I64) -> None:
    """Score every allele by the best voted diagonal of each 64-base piece, into ``total``."""
    n = alleles.shape[2]
    frame = np.zeros((3, 1), dtype=np.uint64)
    for a in range(n):
        total[a] = 0
    for w in range(WORDS):
        for a in range(n):
            piece[a] = 0
        for cys in range(low, high + 1):
            if votes[cys + VOTE_PAD] < SECOND_DIAGONAL and low < cys < high:
                continue
            lay_frame(bits, cys - CYS_AT + 64 * w, frame)
            for a in range(n):
                both = alleles[2, w, a] & frame[2, 0]
                differ = ((alleles[0, w, a] ^ frame[0, 0]) | (alleles[1, w, a] ^ frame[1, 0])) & both
                score = MATCH * integer(popcount(both)) + (MISMATCH - MATCH) * integer(popcount(differ))
                piece[a] = max(piece[a], score)
        for a in range(n):
            total[a] += piece[a]


@kernel
def anchor_of(path: I64, anchor_at: Int) -> Int:
    """Where a path puts the first base of the anchor codon, also if a gap swallowed it."""
    for f in range(anchor_at, anchor_at + 3):
        if path[f] >= 0:
            return path[f] - (f - anchor_at)
    for f in range(anchor_at - 1, 0, -1):
        if path[f] >= 0:
            return path[f] + 1
    return -1


@kernel
def folded_v(
    codes: U8, offsets: I64, rows: I64, ties: I32, steps: I64, alleles: U64, table: I64, loci: I64,
    gene_codes: U8, starts: I32, places: I32, bits: U64, votes: I32, counts: I64, total: I64,
) -> None:  # fmt: skip
    """V with gaps for DOUBTFUL rows, where a second diagonal has votes and it scores more.

    The genes likeliest by pieces are aligned in a band over all voted diagonals; the best
    path folds the read, all alleles are compared with the folded read, and the winner is
    aligned too if it is another.
    """
    n = alleles.shape[2]
    frame = np.zeros((3, WORDS), dtype=np.uint64)
    path = np.zeros(WORDS * 64, dtype=np.int64)
    scores = np.zeros((2, FOLD_BANDS + 2), dtype=np.int64)
    trace = np.zeros((FOLD_ROWS, FOLD_BANDS), dtype=np.uint8)
    own_steps = np.zeros(MAX_STEPS, dtype=np.int64)
    own_ties = np.zeros(MAX_V_TIES, dtype=np.int32)
    for r in range(len(offsets) - 1):
        row = rows[r]
        if row[KIND] != DOUBTFUL:
            continue
        row[KIND] = NONE
        short = row[TRP] == 1
        row[TRP] = -1
        read = codes[offsets[r] : offsets[r + 1]]
        length = len(read)
        cys, _ = vote(read, integer(0), length, integer(V_K), starts, places, votes)
        low = high = cys
        for c in range(max(cys - GAP_REACH, -VOTE_PAD), min(cys + GAP_REACH, length + VOTES_BEYOND - 1) + 1):
            if votes[c + VOTE_PAD] >= SECOND_DIAGONAL:
                low = min(low, c)
                high = max(high, c)
        alone = low == high
        if short:
            low = min(low, cys - SHORT_GAP)
            high = max(high, cys + SHORT_GAP)
        elif alone:
            continue
        begin = max(0, low - CYS_AT)
        end = min(length, high + 64)
        bands = high - low + 2 * BAND_MARGIN + 1
        if alone:  # nothing but the end near Cys104 speaks for a gap: does the straight winner gain?
            a = integer(ties[r, 0])
            target = gene_codes[table[a, OFFSET] : table[a, OFFSET] + table[a, LENGTH]]
            diagonal = low - table[a, ANCHOR] - BAND_MARGIN
            if band_align(read, begin, end, target, diagonal, bands, scores, trace)[0] <= row[V_SCORE]:
                continue
        pack(read, bits)
        sum_pieces(bits, votes, low, high, alleles, counts[0], total)
        best = first = integer(0)
        chosen = -1
        for trial in range(FOLD_TRIALS + 1):
            a = integer(0)
            if trial < FOLD_TRIALS:
                for x in range(n):
                    if total[x] > total[a]:
                        a = x
                if total[a] <= 0:
                    continue
                gene = table[a, GENE]
                for x in range(n):
                    if table[x, GENE] == gene:
                        total[x] = -1
            elif chosen < 0:
                break
            else:
                fold(read, path, frame)
                compare(frame, first, CYS_AT + 3, alleles, counts)
                rank_v(alleles, table, frame, counts, total, own_ties)
                a = integer(own_ties[0])
                if a == chosen:
                    break
            target = gene_codes[table[a, OFFSET] : table[a, OFFSET] + table[a, LENGTH]]
            diagonal = low - table[a, ANCHOR] - BAND_MARGIN
            score, i, b = band_align(read, begin, end, target, diagonal, bands, scores, trace)
            if score > best:
                best = score
                chosen = a
                shift = CYS_AT - table[a, ANCHOR]
                first = shift + follow(trace, begin, diagonal, i, b, shift, path)
        if chosen < 0 or best <= row[V_SCORE]:
            continue
        fold(read, path, frame)
        compare(frame, first, CYS_AT + 3, alleles, counts)
        count = rank_v(alleles, table, frame, counts, total, own_ties)
        a = integer(own_ties[0])
        s = max(first, CYS_AT - table[a, ANCHOR])
        e = CYS_AT + 3 + tail(alleles, a, frame)[0]
        while s < e and path[s] < 0:
            s += 1
        while s < e and not 0 <= path[e - 1] < length:
            e -= 1
        if s >= e:
            continue
        many, columns, gaps = steps_of(path, s, e, own_steps)
        if many < 0:
            continue
        matches, mismatches = matches_in(alleles, a, frame, s, e)
        place_v(row, a, table, s, e, matches, mismatches, gaps)
        row[CYS] = anchor_of(path, integer(CYS_AT))
        row[LOCUS] = (a >= loci[1]) + (a >= loci[2])
        row[V_TIES] = count
        row[V_START] = path[s]
        row[V_END] = path[e - 1] + 1
        row[V_COLUMNS] = columns
        row[V_STEPS] = many
        for x in range(many):
            steps[r, x] = own_steps[x]
        for x in range(count):
            ties[r, x] = own_ties[x]


@kernel
def find_j(
    read: U8, row: I64, begin: Int, end: Int, first: Int, last: Int, ties: I32, alleles: U64, table: I64,
    starts: I32, places: I32, bits: U64, votes: I32, frame: U64, total: I64, trial: I64, fewest: Int,
    steps: I64,
) -> Int:  # fmt: skip
    """Find J among alleles [first, last) within read [begin, end); fills J columns, returns its score.

    ``fewest``: votes for a diagonal to be looked at; with 0 every diagonal is, whatever the votes.
    """
    _, most = vote(read, begin, end, integer(J_K), starts, places, votes)
    if most < fewest:
        return 0
    enough = max(fewest, (most + 1) >> 1) if fewest > 0 else 0
    best = trp = integer(0)
    for c in range(begin - 30, end + 40):
        if votes[c - begin + VOTE_PAD] < enough:
            continue
        lay_frame(bits, c - TRP_AT, frame)
        here = integer(0)
        for a in range(first, last):
            trial[a] = best_stretch(alleles, a, frame, max(0, TRP_AT - c + begin), J_WORDS * 64)[2]
            here = max(here, trial[a])
        if here > best:
            best = here
            trp = integer(c)
            for a in range(first, last):
                total[a] = trial[a]
    if best == 0:
        return 0
    row[J_TIES] = order_ties(total, table, first, last, best, ties)
    a = integer(ties[0])
    lay_frame(bits, trp - TRP_AT, frame)
    s, e, score, _ = best_stretch(alleles, a, frame, max(0, TRP_AT - trp + begin), J_WORDS * 64)
    row[TRP] = trp
    row[J_START] = s - TRP_AT + trp
    row[J_END] = e - TRP_AT + trp
    row[JG_START] = s - TRP_AT + table[a, ANCHOR]
    row[JG_END] = e - TRP_AT + table[a, ANCHOR]
    row[J_SCORE] = score
    row[J_MATCHES] = matches_in(alleles, a, frame, s, e)[0]
    row[J_COLUMNS] = e - s
    row[J_STEPS] = 1
    steps[0] = (e - s) << 2
    return score


@kernel
def folded_j(
    read: U8, row: I64, begin: Int, first: Int, last: Int, ties: I32, table: I64, codes: U8,
    scores: I64, trace: U8, path: I64, total: I64, steps: I64,
) -> None:  # fmt: skip
    """J with gaps, if the straight alignment leaves J's anchor or its 3' end out and gaps score more."""
    a = integer(ties[0])
    open_end = min(table[a, LENGTH] - row[JG_END], len(read) - row[J_END])
    anchored = row[JG_START] <= table[a, ANCHOR] and row[JG_END] >= table[a, ANCHOR] + 3
    if open_end < CLIPPED_J and anchored:
        return
    trp = row[TRP]
    low = max(begin, trp - TRP_AT)
    high = min(len(read), trp + TRP_AT)
    if low >= high:
        return
    best = integer(0)
    for a in range(first, last):
        gene = codes[table[a, OFFSET] : table[a, OFFSET] + table[a, LENGTH]]
        diagonal = trp - table[a, ANCHOR] - GAP_J
        total[a] = band_align(read, low, high, gene, diagonal, 2 * GAP_J + 1, scores, trace)[0]
        best = max(best, total[a])
    if best <= row[J_SCORE]:
        return
    many = order_ties(total, table, first, last, best, ties)
    a = integer(ties[0])
    gene = codes[table[a, OFFSET] : table[a, OFFSET] + table[a, LENGTH]]
    diagonal = trp - table[a, ANCHOR] - GAP_J
    _, i, b = band_align(read, low, high, gene, diagonal, 2 * GAP_J + 1, scores, trace)
    shift = TRP_AT - table[a, ANCHOR]
    s = shift + follow(trace, low, diagonal, i, b, shift, path)
    e = shift + i - diagonal - b + 1
    count, columns, _ = steps_of(path, s, e, steps)
    if count < 0:
        steps[0] = row[J_COLUMNS] << 2
        return
    row[J_TIES] = many
    row[TRP] = anchor_of(path, integer(TRP_AT))
    row[J_START] = path[s]
    row[J_END] = i + 1
    row[JG_START] = s - shift
    row[JG_END] = e - shift
    row[J_SCORE] = best
    row[J_MATCHES] = 0
    for f in range(s, e):
        row[J_MATCHES] += path[f] >= 0 and read[path[f]] == gene[f - shift]
    row[J_COLUMNS] = columns
    row[J_STEPS] = count


@kernel
def part(read: U8, row: I64, v_codes: U8, v: I64, j_codes: U8, j: I64, steps: I64, j_steps: I64) -> None:
    """Share bases that both V and J claim: the split with fewest mismatches, J the longer of equals."""
    end = min(row[V_END], row[J_START] + (j_steps[0] >> 2) - 1)
    begin = max(row[J_START], row[V_END] - (steps[row[V_STEPS] - 1] >> 2) + 1)
    if row[V_END] <= row[J_START]:
        return
    shift_v = v[OFFSET] + row[VG_END] - row[V_END]
    shift_j = j[OFFSET] + row[JG_START] - row[J_START]
    wrong = 0
    for i in range(begin, end):
        wrong += read[i] != j_codes[shift_j + i]
    fewest = wrong
    split = begin
    for i in range(begin, end):
        wrong += integer(read[i] != v_codes[shift_v + i]) - integer(read[i] != j_codes[shift_j + i])
        if wrong < fewest:
            fewest = wrong
            split = i + 1
    for i in range(split, row[V_END]):
        same = read[i] == v_codes[shift_v + i]
        row[V_MATCHES] -= same
        row[V_SCORE] -= MATCH if same else MISMATCH
    for i in range(row[J_START], split):
        same = read[i] == j_codes[shift_j + i]
        row[J_MATCHES] -= same
        row[J_SCORE] -= MATCH if same else MISMATCH
    cut = row[V_END] - split
    steps[row[V_STEPS] - 1] -= cut << 2
    row[V_COLUMNS] -= cut
    row[VG_END] -= cut
    row[V_END] = split
    j_steps[0] -= (split - row[J_START]) << 2
    row[J_COLUMNS] -= split - row[J_START]
    row[JG_START] += split - row[J_START]
    row[J_START] = split


@kernel
def find_d(
    read: U8, row: I64, begin: Int, end: Int, lowest: Int, ties: I32, codes: U8, table: I64,
    starts: I32, places: I32, owners: I32, total: I64, where: I64,
) -> Int:  # fmt: skip
    """Find D within read [begin, end): every word of five bases extended both ways; returns the score."""
    n = table.shape[0]
    for a in range(n):
        total[a] = 0
    mask = (1 << (2 * D_K)) - 1
    word = clean = 0
    best = integer(0)
    for i in range(begin, end):
        code = integer(read[i])
        word = ((word << 2) | (code & 3)) & mask
        clean = 0 if code > 3 else clean + 1
        if clean < D_K:
            continue
        start = i - D_K + 1
        for x in range(starts[word], starts[word + 1]):
            a = integer(owners[x])
            place = integer(places[x])
            gene = codes[table[a, OFFSET] : table[a, OFFSET] + table[a, LENGTH]]
            if start > begin and place > 0 and read[start - 1] == gene[place - 1]:
                continue  # this run of matches was extended from its first word
            score = top = integer(D_K * MATCH)
            right = D_K
            k = D_K
            while start + k < end and place + k < len(gene) and score > top - FALL_D:
                score += MATCH if read[start + k] == gene[place + k] else MISMATCH
                k += 1
                if score > top:
                    top = score
                    right = k
            score = top
            left = 0
            k = 1
            while start - k >= begin and place - k >= 0 and score > top - FALL_D:
                score += MATCH if read[start - k] == gene[place - k] else MISMATCH
                if score > top:
                    top = score
                    left = k
                k += 1
            if top > total[a]:
                total[a] = top
                where[a, 0] = start - left
                where[a, 1] = start + right
                where[a, 2] = place - left
                best = max(best, top)
    if best < lowest:
        return 0
    row[D_TIES] = order_ties(total, table, integer(0), n, best, ties)
    a = integer(ties[0])
    row[D_START] = where[a, 0]
    row[D_END] = where[a, 1]
    row[DG_START] = where[a, 2]
    row[DG_END] = where[a, 2] + where[a, 1] - where[a, 0]
    row[D_SCORE] = best
    row[D_COLUMNS] = where[a, 1] - where[a, 0]
    row[D_MATCHES] = 0
    shift = table[a, OFFSET] + where[a, 2] - where[a, 0]
    for i in range(where[a, 0], where[a, 1]):
        row[D_MATCHES] += read[i] == codes[shift + i]
    return best


@kernel
def join_vj(
    codes: U8, offsets: I64, rows: I64, v_ties: I32, j_ties: I32, steps: I64, j_steps: I64, v_codes: U8,
    v_table: I64, j_alleles: U64, j_table: I64, j_loci: I64, j_codes: U8, starts: I32, places: I32, bits: U64,
    votes: I32, total: I64, trial: I64,
) -> None:  # fmt: skip
    """J for every read with V; KIND becomes V_J where both are believed."""
    frame = np.zeros((3, J_WORDS), dtype=np.uint64)
    path = np.zeros(2 * TRP_AT, dtype=np.int64)
    scores = np.zeros((2, FOLD_BANDS + 2), dtype=np.int64)
    trace = np.zeros((2 * TRP_AT, FOLD_BANDS), dtype=np.uint8)
    for r in range(len(offsets) - 1):
        row = rows[r]
        row[KIND] = NONE
        if row[V_SCORE] < MIN_V or (row[V_SCORE] < WEAK_V and row[V_END] < row[CYS] - WEAK_V_SHORT):
            continue
        read = codes[offsets[r] : offsets[r + 1]]
        begin = max(row[CYS] + 3, row[V_START] + 1)
        end = min(len(read), row[CYS] + LONGEST_CDR3 + 64)
        if begin >= end:
            continue
        pack(read, bits)
        first = j_loci[row[LOCUS]]
        last = j_loci[row[LOCUS] + 1]
        j = find_j(
            read, row, begin, end, first, last, j_ties[r], j_alleles, j_table, starts, places, bits, votes,
            frame, total, trial, integer(2), j_steps[r],
        )  # fmt: skip
        if j < MIN_J and row[V_SCORE] >= MIN_V_ALONE:  # too mutated for a word of seven bases to be left
            j = find_j(
                read, row, begin, end, first, last, j_ties[r], j_alleles, j_table, starts, places, bits,
                votes, frame, total, trial, integer(0), j_steps[r],
            )  # fmt: skip
        if j >= MIN_J and row[V_SCORE] + j >= MIN_PAIR:
            row[KIND] = V_J
            folded_j(
                read,
                row,
                begin,
                first,
                last,
                j_ties[r],
                j_table,
                j_codes,
                scores,
                trace,
                path,
                total,
                j_steps[r],
            )
            v, j = v_table[v_ties[r, 0]], j_table[j_ties[r, 0]]
            part(read, row, v_codes, v, j_codes, j, steps[r], j_steps[r])
        else:
            clear_j(row)


@kernel
def find_element(
    read: U8, begin: Int, end: Int, gene: U8, starts: I32, places: I32, votes: I32
) -> tuple[Int, Int, Int, Int, Int]:
    """Best stretch of a long germline element: score, read start and end, germline start, matches."""
    diagonal, most = vote(read, begin, end, integer(E_K), starts, places, votes)
    best = best_start = best_end = run = 0
    low = max(begin, diagonal)
    run_start = low
    if most < 4:
        return 0, 0, 0, 0, 0
    for i in range(low, min(end, diagonal + len(gene))):
        if read[i] < 4:
            run += MATCH if read[i] == gene[i - diagonal] else MISMATCH
        if run <= 0:
            run = 0
            run_start = i + 1
        elif run > best:
            best, best_start, best_end = run, run_start, i + 1
    matches = 0
    for i in range(best_start, best_end):
        matches += read[i] == gene[i - diagonal]
    return best, best_start, best_end, best_start - diagonal, matches


@kernel
def join_kde(
    codes: U8, offsets: I64, rows: I64, v_ties: I32, j_ties: I32, steps: I64, j_steps: I64, v_codes: U8,
    v_table: I64, j_codes: U8, j_table: I64, i_starts: I32, i_places: I32, e_starts: I32, e_places: I32,
    votes: I32,
) -> None:  # fmt: skip
    """Kde behind a kappa V without J, or behind the intron signal's flank."""
    intron = len(v_table) - 1
    kde = len(j_table) - 1
    flank = v_codes[v_table[intron, OFFSET] : v_table[intron, OFFSET] + v_table[intron, LENGTH]]
    element = j_codes[j_table[kde, OFFSET] : j_table[kde, OFFSET] + j_table[kde, LENGTH]]
    if len(element) < E_K:
        return
    for r in range(len(offsets) - 1):
        row = rows[r]
        read = codes[offsets[r] : offsets[r + 1]]
        length = len(read)
        if row[KIND] != NONE or length < SHORTEST:
            continue
        score, s, e, g, matches = find_element(read, integer(0), length, element, e_starts, e_places, votes)
        if score < MIN_ELEMENT or g > FARTHEST_KDE:
            continue
        if (
            row[V_SCORE] >= MIN_ELEMENT
            and row[LOCUS] == 1
            and row[V_START] < s
            and row[V_END] > s - LONGEST_CDR3
        ):
            row[KIND] = V_KDE
        else:
            v, vs, ve, vg, v_matches = find_element(
                read, integer(0), length, flank, i_starts, i_places, votes
            )
            if v < MIN_ELEMENT or vs >= s:
                continue
            clear_row(row)
            row[KIND] = INTRON_KDE
            row[LOCUS] = 1
            row[V_START], row[V_END], row[VG_START], row[VG_END] = vs, ve, vg, vg + ve - vs
            row[V_SCORE], row[V_MATCHES], row[V_COLUMNS] = v, v_matches, ve - vs
            row[V_TIES] = row[V_STEPS] = 1
            v_ties[r, 0] = intron
            steps[r, 0] = (ve - vs) << 2
        row[J_START], row[J_END], row[JG_START], row[JG_END] = s, e, g, g + e - s
        row[J_SCORE], row[J_MATCHES], row[J_COLUMNS] = score, matches, e - s
        row[J_TIES] = row[J_STEPS] = 1
        j_ties[r, 0] = kde
        j_steps[r, 0] = (e - s) << 2
        part(read, row, v_codes, v_table[v_ties[r, 0]], j_codes, j_table[kde], steps[r], j_steps[r])


@kernel
def like_heptamer(read: U8, place: Int) -> bool:
    """Whether the bases before ``place`` are a recombination heptamer, one change allowed."""
    same = 0
    for k in range(len(HEPTAMER)):
        i = place - len(HEPTAMER) + k
        same += i >= 0 and read[i] == HEPTAMER[k]
    return same >= len(HEPTAMER) - 1


@kernel
def join_d(
    codes: U8, offsets: I64, rows: I64, d_ties: I32, j_ties: I32, j_steps: I64, d_codes: U8, d_table: I64,
    d_starts: I32,
    d_places: I32, d_owners: I32, j_alleles: U64, j_table: I64, j_loci: I64, starts: I32, places: I32,
    bits: U64, votes: I32, total: I64, trial: I64, where: I64,
) -> None:  # fmt: skip
    """D of heavy chains; D joined to J where no V was found; V alone where it is strong.

    D's 5' end is as in the germline, behind its heptamer; without that end a longer D is
    asked for. A J behind its own heptamer is not rearranged.
    """
    frame = np.zeros((3, J_WORDS), dtype=np.uint64)
    for r in range(len(offsets) - 1):
        row = rows[r]
        read = codes[offsets[r] : offsets[r + 1]]
        if row[KIND] == V_J and row[LOCUS] == 0:
            find_d(
                read, row, row[V_END], row[J_START], integer(MIN_D), d_ties[r], d_codes, d_table, d_starts,
                d_places, d_owners, total, where,
            )  # fmt: skip
        if row[KIND] != NONE or len(read) < SHORTEST:
            continue
        if row[V_SCORE] >= MIN_V_ALONE:
            row[KIND] = V_ONLY
            continue
        clear_row(row)
        pack(read, bits)
        score = find_j(
            read, row, integer(0), len(read), j_loci[0], j_loci[1], j_ties[r], j_alleles, j_table, starts,
            places, bits, votes, frame, total, trial, integer(2), j_steps[r],
        )  # fmt: skip
        unjoined = row[JG_START] <= 1 and like_heptamer(read, row[J_START] - row[JG_START])
        if score >= MIN_J_ALONE and not unjoined:
            d = find_d(
                read, row, max(0, row[J_START] - LONGEST_DJ), row[J_START],
                integer(MIN_D_WITH_HEPTAMER), d_ties[r], d_codes, d_table, d_starts, d_places, d_owners,
                total, where,
            )  # fmt: skip
            whole = row[DG_START] == 0 and like_heptamer(read, row[D_START])
            if d >= MIN_D_ALONE or (d > 0 and whole):
                row[KIND] = D_J
                row[LOCUS] = 0
                continue
        clear_row(row)


@kernel
def judge(codes: U8, offsets: I64, rows: I64, j_ties: I32, steps: I64, j_table: I64) -> None:
    """Junction, reading frame, stop codons and productivity of every rearrangement."""
    for r in range(len(offsets) - 1):
        row = rows[r]
        kind = row[KIND]
        if kind == NONE:
            continue
        if kind in (D_J, V_KDE, INTRON_KDE):
            row[PRODUCTIVE] = row[COMPLETE] = 0
            continue
        read = codes[offsets[r] : offsets[r + 1]]
        cys = row[CYS]
        trp = row[TRP]
        end = row[V_END]
        row[FRAMESHIFT] = row[STOP] = row[COMPLETE] = 0
        if kind == V_J:
            end = row[J_END]
            row[IN_FRAME] = (trp - cys) % 3 == 0
            row[COMPLETE] = row[VG_START] == 0 and row[JG_END] >= j_table[j_ties[r, 0], LENGTH] - 1
            if cys >= 0 and trp >= cys + 3 and trp + 3 <= len(read):
                row[JUNCTION_START] = cys
                row[JUNCTION_END] = trp + 3
        for x in range(row[V_STEPS]):
            if steps[r, x] & 3 != STEP_MATCH and (steps[r, x] >> 2) % 3 != 0:
                row[FRAMESHIFT] = 1
        for i in range(row[V_START] + (cys - row[V_START]) % 3, end - 2, 3):
            if read[i] == 3 and (
                (read[i + 1] == 0 and (read[i + 2] == 0 or read[i + 2] == 2))
                or (read[i + 1] == 2 and read[i + 2] == 0)
            ):
                row[STOP] = 1
        if row[STOP] == 1 or row[FRAMESHIFT] == 1 or row[IN_FRAME] == 0:
            row[PRODUCTIVE] = 0
        elif row[JUNCTION_START] >= 0:
            row[PRODUCTIVE] = 1


@kernel
def complement(codes: U8, offsets: I64, other: U8) -> None:
    """The other strand of every read, into ``other``."""
    for r in range(len(offsets) - 1):
        begin = offsets[r]
        end = offsets[r + 1]
        for i in range(begin, end):
            code = codes[end - 1 - (i - begin)]
            other[i] = 3 - code if code < 4 else 4
