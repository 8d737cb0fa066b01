"""Compiled kernel of the consensus pileup: molecules of one window to counts and observations.

What a read says of a position is one vote for its base, of weight ln((1 - e) / (e / 3)), e its
probability of error (quality and post-UMI error together). The log-likelihood ratio of two bases given
independent reads is the difference of their votes: each read contributes (1 - e) under its own base and
e / 3 under any other, so all but its vote cancels. Votes are kept by strand of the molecule.

Nearly all votes agree with the reference and are summed in one pass; the others go to a dense table of
which only touched positions are looked at. Number and weight of votes share one word, in fixed point:
one addition a base, and sums that no order of reads can change.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.variants.molecules.alignment_kernels import (
    ANCHOR,
    BASES,
    DELETION,
    INDEL_COLUMNS,
    LENGTH,
    MATCH,
    MOST_OPERATIONS,
    NAME,
    SKIP,
)
from pipeline.variants.molecules.layer_kernels import (
    CODE_MASK,
    DISPUTED,
    MATES_SHIFT,
    PHRED_MASK,
    PHRED_SHIFT,
    lay_mate,
    meet_position,
    placed,
)
from pipeline.variants.molecules.record_kernels import (
    END,
    FIVE_PRIME,
    FLAG,
    FLAG_PAIRED,
    FLAG_REVERSE,
    POS,
    QUALITY,
)

__all__ = ["find_extents", "pile_up"]

U8: TypeAlias = NDArray[np.uint8]
U32: TypeAlias = NDArray[np.uint32]
U16: TypeAlias = NDArray[np.uint16]
I32: TypeAlias = NDArray[np.int32]
I8: TypeAlias = NDArray[np.int8]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

# Votes: how many above, their weight in units of 1 / `UNIT` below.
COUNT_SHIFT, UNIT = 44, 1 << 20
_ONE, _WEIGHT = 1 << COUNT_SHIFT, (1 << COUNT_SHIFT) - 1

# Columns of an observation; the first six name its allele (length 0: substitution, BASES its base).
O_ANCHOR, O_LENGTH, O_BASES, O_EXAMPLE, O_INDEX, O_ROTATION = range(6)
O_MOLECULE, O_CLASS, O_FLAGS, O_QUALITY, O_MISMATCHES = range(6, 11)
O_READS, O_ALT, O_MAPPED, O_END, O_CYCLE, O_RATIO = 11, 13, 15, 17, 18, 19
OBSERVATION_COLUMNS = 21

# What is summed over reads that support an allele.
S_QUALITY, S_CYCLE, S_MAPPED, S_FLAGS = 0, 1, 2, 4
_SUMS = 5

CLIPPED, NEAR_INDEL, REALIGNED, MATES_DISAGREE, NOT_PAIRED_WELL = 1, 2, 4, 8, 16
DELETED, NO_CALL, DUPLEX = 4, 5, 4
_NEAR = 10
_MOST_INDELS = 64  # distinct ones of one molecule; more is no molecule but a pile
_INDEL_VOTE = int(6.9 * UNIT)  # ln((1 - e) / e), e = 0.001 per read
_FAR = 32767


@kernel
def _index_of(code: Int) -> Int:
    """0 to 3 for the nibble codes of A, C, G, T; 4 for a gap or N."""
    return 0 if code == 1 else 1 if code == 2 else 2 if code == 4 else 3 if code == 8 else 4


@kernel
def _class_of(forward: Int, reverse: Int) -> Int:
    """Strand class of so many reads on the strands."""
    if forward and reverse:
        return DUPLEX
    if forward:
        return 2 if forward > 1 else 0
    return 3 if reverse > 1 else 1


@kernel
def _add_support(
    data: U8,
    table: I64,
    mates: I64,
    covering: Int,
    pos: Int,
    inline: I64,
    operations: I64,
    flags: Int,
    sums: I64,
) -> None:
    """Add what is known of one pair's support of an allele to ``sums``; ``covering`` 3 asks both mates."""
    alignments = quality = cycles = 0
    for mate in range(2):
        if not covering >> mate & 1 or mates[mate] < 0:
            continue
        row = table[mates[mate]]
        cycle, clipped = meet_position(data, row, pos, inline[mate], operations)
        if cycle < 0 and covering == 3:
            continue
        sums[S_MAPPED + (1 if row[FLAG] & FLAG_REVERSE else 0)] += 1
        quality += row[QUALITY]
        cycles += max(cycle, 0)
        alignments += 1
        flags |= CLIPPED if clipped else 0
    if mates[0] < 0 or (mates[1] < 0 and table[mates[0], FLAG] & FLAG_PAIRED):
        flags |= NOT_PAIRED_WELL
    sums[S_QUALITY] += quality // max(alignments, 1)
    sums[S_CYCLE] += cycles // max(alignments, 1)
    sums[S_FLAGS] |= flags


@kernel
def find_extents(table: I64, pairs: I64, starts: I64, origin: Int, extents: I64) -> None:
    """Put each molecule's aligned extent and its two ends (-1: unknown) into ``extents`` (molecules, 4)."""
    for m in range(len(starts) - 1):
        low, high = np.int64(1) << 40, np.int64(-1)
        left = right = np.int64(-1)
        for p in range(starts[m], starts[m + 1]):
            for mate in range(2):
                if pairs[p, mate] >= 0:
                    row = table[pairs[p, mate]]
                    low, high = min(low, row[POS] - origin), max(high, row[END] - origin)
                    five = row[FIVE_PRIME] - origin
                    if row[FLAG] & FLAG_REVERSE:
                        right = max(right, five)
                    else:
                        left = five if left < 0 else min(left, five)
        extents[m, 0], extents[m, 1], extents[m, 2], extents[m, 3] = low, high, left, right


@kernel
def _lay_pair(
    data: U8,
    table: I64,
    mates: I64,
    origin: Int,
    reference: U8,
    known: I64,
    next_known: I32,
    window: I64,
    inline: I64,
    min_quality: Int,
    min_phred: Int,
    layer: U16,
    operations: I64,
    mate_indels: I64,
    laid: I64,
    low_mapping: U32,
) -> Int:
    """Lay both mates; extent into ``laid``, indels into ``mate_indels`` (NAME: realigned); how many."""
    laid[0], laid[1] = len(reference), 0
    events = 0
    for mate in range(2):
        if mates[mate] < 0:
            continue
        row = table[mates[mate]]
        if row[QUALITY] < min_quality:
            for x in range(max(row[POS] - origin, window[0]), min(row[END] - origin, window[1])):
                low_mapping[x - window[0]] += 1
            continue
        count, pos, changed = placed(
            data, row, origin, reference, known, next_known, inline[mate], operations
        )
        end = x = pos - origin
        for k in range(count):
            if operations[k, 0] == MATCH or operations[k, 0] == DELETION or operations[k, 0] == SKIP:
                end += operations[k, 1]
        if x < 0 or end > len(reference):
            continue
        laid[0], laid[1] = min(laid[0], x), max(laid[1], end)
        before = events
        events += lay_mate(
            data,
            row,
            operations,
            count,
            x,
            mate,
            inline[mate],
            min_phred,
            reference,
            layer,
            mate_indels[before:],
        )
        for e in range(before, events):
            mate_indels[e, NAME] = changed
    return events


@kernel
def _sum_votes(
    layer: U16,
    a: Int,
    b: Int,
    strand: Int,
    reference: U8,
    vote: I64,
    votes: I64,
    others: I64,
    touched: U8,
    differing: I64,
) -> Int:
    """Add one pair's votes and empty its layer; positions that differ into ``differing``; how many."""
    lane, expected, sums = layer[a:b], reference[a:b], votes[strand, a:b]
    count = 0
    for j in range(len(lane)):
        value = np.int64(lane[j])
        if value == 0:
            continue
        lane[j] = 0
        phred = value >> PHRED_SHIFT & PHRED_MASK
        if value & CODE_MASK == expected[j] and phred > 0:
            sums[j] += vote[phred]
        else:
            sums[j] += _ONE
        if phred > 0 and value & CODE_MASK != expected[j]:
            others[a + j, 5 * strand + _index_of(value & CODE_MASK)] += vote[phred]
            touched[a + j] = 1
            differing[2 * count], differing[2 * count + 1] = a + j, value
            count += 1
    return count


@kernel
def _note_indels(
    data: U8,
    table: I64,
    mates: I64,
    strand: Int,
    p: Int,
    origin: Int,
    inline: I64,
    operations: I64,
    mate_indels: I64,
    events: Int,
    indels: I64,
    reads: I64,
    sums: I64,
    found: Int,
) -> Int:
    """Count one pair's indels (mates once) among the molecule's; how many distinct ones it has now."""
    for e in range(events):
        event = mate_indels[e]
        i = 0
        while i < found and (
            indels[i, ANCHOR] != event[ANCHOR]
            or indels[i, LENGTH] != event[LENGTH]
            or indels[i, BASES] != event[BASES]
        ):
            i += 1
        if i == _MOST_INDELS:
            continue
        if i == found:
            for k in range(INDEL_COLUMNS):
                indels[i, k] = event[k]
            for k in range(_SUMS):
                sums[i, k] = 0
            reads[i, 0] = reads[i, 1] = 0
            reads[i, 2] = -1  # the pair that was counted last
            found += 1
        if reads[i, 2] != p:
            reads[i, strand] += 1
            reads[i, 2] = p
            flags = REALIGNED if event[NAME] == 2 else 0
            _add_support(data, table, mates, 3, origin + event[ANCHOR], inline, operations, flags, sums[i])
    return found


@kernel
def _favoured(votes: I64, others: I64, x: Int, s: Int, expected: Int, min_weight: Int) -> Int:
    """Base (4: gap) that a strand's reads favour by enough over every other, or -1."""
    top, best, second = -1, np.int64(-1), np.int64(-1)
    for k in range(5):
        weight = others[x, 5 * s + k] & _WEIGHT
        if k == expected and k < 4:
            weight += votes[s, x] & _WEIGHT
        if weight > best:
            top, best, second = k, weight, best
        elif weight > second:
            second = weight
    return top if best - second >= min_weight else -1


@kernel
def _fill(row: I64, molecule: Int, seen: Int, x: Int, extent: I64, sums: I64, alt: I64, reads: I64) -> None:
    """Fill what observations of substitutions and indels have alike."""
    supporting = max(alt[0] + alt[1], 1)
    distance: Int = np.int64(_FAR)
    if extent[2] >= 0:
        distance = min(distance, max(x - extent[2], 0))
    if extent[3] >= 0:
        distance = min(distance, max(extent[3] - 1 - x, 0))
    row[O_ANCHOR], row[O_MOLECULE], row[O_CLASS], row[O_END] = x, molecule, seen, distance
    row[O_FLAGS] = sums[S_FLAGS]
    row[O_QUALITY] = (sums[S_QUALITY] + supporting // 2) // supporting
    row[O_CYCLE] = sums[S_CYCLE] // supporting
    for s in range(2):
        row[O_READS + s], row[O_ALT + s], row[O_MAPPED + s] = reads[s], alt[s], sums[S_MAPPED + s]


@kernel
def _call_sites(
    low: Int,
    high: Int,
    window: I64,
    reference: U8,
    votes: I64,
    others: I64,
    touched: U8,
    sums: I64,
    min_weight: Int,
    molecule: Int,
    extent: I64,
    call: I8,
    rows: I64,
    written: Int,
    tally: I64,
    counts: U32,
    disagreements: U32,
    reads_at: U32,
) -> Int:
    """Call one molecule at every position it covers; how many observations are written then.

    ``call`` gets the strand class, or -1; ``tally`` [0] how many of its bases differ from the reference.
    """
    sites = window[1] - window[0]
    alt, reads = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for x in range(low, high):
        call[x] = -1
        one, other = votes[0, x], votes[1, x]
        if one + other == 0:
            continue
        forward, reverse = one >> COUNT_SHIFT, other >> COUNT_SHIFT
        site = x - window[0]
        inside = 0 <= site < sites
        if inside:
            reads_at[site] += forward + reverse
        expected = _index_of(reference[x])
        if touched[x] == 0:
            f = forward if one & _WEIGHT >= min_weight else 0
            r = reverse if other & _WEIGHT >= min_weight else 0
            column = expected
        else:
            base_f = _favoured(votes, others, x, 0, expected, min_weight) if forward else -1
            base_r = _favoured(votes, others, x, 1, expected, min_weight) if reverse else -1
            f, r = forward if base_f >= 0 else 0, reverse if base_r >= 0 else 0
            column = max(base_f, base_r)
            if f and r and base_f != base_r:
                if inside and expected < 4:
                    if base_r == expected and base_f < 4:
                        disagreements[site, base_f, 0] += 1
                    if base_f == expected and base_r < 4:
                        disagreements[site, base_r, 1] += 1
                f = r = 0
        if f + r == 0:
            if inside:
                counts[site, NO_CALL, _class_of(forward, reverse)] += 1
        else:
            seen = _class_of(f, r)
            call[x] = seen
            if inside:
                counts[site, column, seen] += 1
            if touched[x] and column < 4 and expected < 4 and column != expected:
                tally[0] += 1
                if inside:
                    row = rows[written]
                    reads[0], reads[1] = forward, reverse
                    for s in range(2):
                        alt[s] = others[x, 5 * s + column] >> COUNT_SHIFT
                        row[O_RATIO + s] = (others[x, 5 * s + column] & _WEIGHT) - (votes[s, x] & _WEIGHT)
                    row[O_LENGTH] = row[O_EXAMPLE] = row[O_INDEX] = row[O_ROTATION] = 0
                    row[O_BASES] = column
                    _fill(
                        row,
                        molecule,
                        seen,
                        x,
                        extent,
                        sums[x, _SUMS * column : _SUMS * column + _SUMS],
                        alt,
                        reads,
                    )
                    written += 1
    return written


@kernel
def _call_indels(
    low: Int,
    high: Int,
    window: I64,
    votes: I64,
    repeat_end: I32,
    min_weight: Int,
    molecule: Int,
    extent: I64,
    indels: I64,
    indel_reads: I64,
    indel_sums: I64,
    found: Int,
    call: I8,
    rows: I64,
    written: Int,
    tally: I64,
    spanning: U32,
) -> Int:
    """Call one molecule's indels, at each anchor the best supported; how many observations are written then.

    Reads that cover the anchor's repeat without the indel speak against it. ``call`` becomes -1 at
    anchors, which are counted in ``spanning`` here or, where strands disagree, nowhere.
    """
    reads = np.zeros(2, dtype=np.int64)
    ratio = np.zeros(2, dtype=np.int64)
    for i in range(found):
        x = indels[i, ANCHOR]
        rival = not low <= x < high
        for j in range(found):
            if j != i and indels[j, ANCHOR] == x:
                more = indel_reads[j, 0] + indel_reads[j, 1] - indel_reads[i, 0] - indel_reads[i, 1]
                rival = rival or more > 0 or (more == 0 and j < i)
        if rival:
            continue
        call[x] = -1
        last = min(max(repeat_end[x], x + max(-indels[i, LENGTH], 0)) + 1, votes.shape[1] - 1)
        for s in range(2):
            without = (
                max(min(votes[s, x], votes[s, last]) >> COUNT_SHIFT, indel_reads[i, s]) - indel_reads[i, s]
            )
            reads[s] = indel_reads[i, s] + without
            ratio[s] = _INDEL_VOTE * (indel_reads[i, s] - without)
        f = reads[0] if abs(ratio[0]) >= min_weight else 0
        r = reads[1] if abs(ratio[1]) >= min_weight else 0
        if f + r == 0 or (f and r and (ratio[0] > 0) != (ratio[1] > 0)):
            continue
        seen = _class_of(f, r)
        inside = window[0] <= x < window[1]
        if inside:
            spanning[x - window[0], seen] += 1
        if (ratio[0] if f else ratio[1]) < 0:
            continue
        tally[0] += 1
        if inside:
            row = rows[written]
            for k in range(6):
                row[k] = indels[i, k]  # anchor to rotation, the same columns
            row[O_RATIO], row[O_RATIO + 1] = ratio[0], ratio[1]
            _fill(row, molecule, seen, x, extent, indel_sums[i], indel_reads[i], reads)
            written += 1
    return written


@kernel
def _count_spanning(
    low: Int, high: Int, window: I64, votes: I64, repeat_end: I32, call: I8, flank: Int, spanning: U32
) -> None:
    """Count the anchors that a molecule spans without an indel: covered without a break, and wide enough."""
    run_start, run_end = low, -1
    for x in range(low, min(high, window[1])):
        if votes[0, x] + votes[1, x] == 0:
            run_start = x + 1
        elif x >= window[0] and call[x] >= 0 and x - run_start >= flank - 1:
            if run_end < x:
                run_end = x
                while run_end + 1 < high and votes[0, run_end + 1] + votes[1, run_end + 1] > 0:
                    run_end += 1
            if run_end >= repeat_end[x] + flank:
                spanning[x - window[0], call[x]] += 1


@kernel
def pile_up(
    data: U8,
    table: I64,
    pairs: I64,
    strands: U8,
    starts: I64,
    extents: I64,
    origin: Int,
    reference: U8,
    repeat_end: I32,
    known: I64,
    next_known: I32,
    window: I64,
    vote: I64,
    inline: I64,
    min_quality: Int,
    min_phred: Int,
    min_weight: Int,
    flank: Int,
    counts: U32,
    disagreements: U32,
    reads_at: U32,
    spanning: U32,
    low_mapping: U32,
) -> tuple[I64, Int]:
    """Count the molecules over a window and list what differs from the reference.

    Parameters
    ----------
    data, table
        Bytes of the records and their table, see `record_kernels`.
    pairs
        (n, 2) rows of read 1 and read 2, sorted by molecule, strand and name; ``strands`` 0 or 1 of each.
    starts
        Where molecules begin in ``pairs``, and its length at the end.
    extents
        Of each molecule, see `find_extents`.
    origin, reference
        Nibble codes of the reference from ``origin`` on, beyond every record.
    repeat_end
        Of each position the last base of the repeat that begins behind it (itself where there is none).
    known, next_known
        Indels to realign to, by anchor; of each position the first at or behind it.
    window
        Begin and end (positions from ``origin``).
    vote
        One vote of a base by its quality.
    inline
        Bases of read 1 and read 2 that are UMI.
    min_weight
        Weight by which a strand's votes must favour a base.
    counts, disagreements, reads_at, spanning, low_mapping
        Filled; see `pipeline.variants.evidence.SiteEvidence`.

    Returns
    -------
    observations (n, `OBSERVATION_COLUMNS`), molecules
    """
    region = len(reference)
    layer, touched = np.zeros(region, dtype=np.uint16), np.zeros(region, dtype=np.uint8)
    votes, others = np.zeros((2, region), dtype=np.int64), np.zeros((region, 10), dtype=np.int64)
    sums = np.zeros((region, 4 * _SUMS), dtype=np.int64)
    call = np.full(region, -1, dtype=np.int8)
    operations = np.empty((MOST_OPERATIONS, 2), dtype=np.int64)
    mate_indels = np.zeros((2 * MOST_OPERATIONS, INDEL_COLUMNS), dtype=np.int64)
    indels = np.zeros((_MOST_INDELS, INDEL_COLUMNS), dtype=np.int64)
    indel_reads, indel_sums = (
        np.zeros((_MOST_INDELS, 3), dtype=np.int64),
        np.zeros((_MOST_INDELS, _SUMS), dtype=np.int64),
    )
    differing = np.empty(2 * region, dtype=np.int64)
    rows = np.empty((1024, OBSERVATION_COLUMNS), dtype=np.int64)
    laid, tally = np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int64)
    written = molecules = 0
    for m in range(len(starts) - 1):
        extent = extents[m]
        if extent[1] <= window[0] or extent[0] >= window[1]:
            continue
        low, high = np.int64(region), np.int64(0)  # of what is laid; realignment may move it
        found = changes = 0
        for p in range(starts[m], starts[m + 1]):
            events = _lay_pair(
                data,
                table,
                pairs[p],
                origin,
                reference,
                known,
                next_known,
                window,
                inline,
                min_quality,
                min_phred,
                layer,
                operations,
                mate_indels,
                laid,
                low_mapping,
            )
            found = _note_indels(
                data,
                table,
                pairs[p],
                strands[p],
                p,
                origin,
                inline,
                operations,
                mate_indels,
                events,
                indels,
                indel_reads,
                indel_sums,
                found,
            )
            count = _sum_votes(
                layer, laid[0], laid[1], strands[p], reference, vote, votes, others, touched, differing
            )
            for d in range(count):
                x, value = differing[2 * d], differing[2 * d + 1]
                base = _index_of(value & CODE_MASK)
                if base < 4:
                    flags = MATES_DISAGREE if value & DISPUTED else 0
                    _add_support(
                        data,
                        table,
                        pairs[p],
                        value >> MATES_SHIFT & 3,
                        origin + x,
                        inline,
                        operations,
                        flags,
                        sums[x, _SUMS * base : _SUMS * base + _SUMS],
                    )
            changes += count
            low, high = min(low, laid[0]), max(high, laid[1])
        if low >= high:
            continue
        if written + changes + found > len(rows):
            larger = np.empty((2 * (written + changes + found), OBSERVATION_COLUMNS), dtype=np.int64)
            larger[:written] = rows[:written]
            rows = larger
        begin = written
        tally[0] = 0
        written = _call_sites(
            low,
            high,
            window,
            reference,
            votes,
            others,
            touched,
            sums,
            min_weight,
            molecules,
            extent,
            call,
            rows,
            written,
            tally,
            counts,
            disagreements,
            reads_at,
        )
        if found:
            written = _call_indels(
                low,
                high,
                window,
                votes,
                repeat_end,
                min_weight,
                molecules,
                extent,
                indels,
                indel_reads,
                indel_sums,
                found,
                call,
                rows,
                written,
                tally,
                spanning,
            )
        _count_spanning(low, high, window, votes, repeat_end, call, flank, spanning)
        for x in range(low, high):
            votes[0, x] = votes[1, x] = 0
            if touched[x]:
                touched[x] = 0
                for k in range(10):
                    others[x, k] = 0
                for k in range(4 * _SUMS):
                    sums[x, k] = 0
        for n in range(begin, written):
            rows[n, O_MISMATCHES] = tally[0] - 1
            for i in range(found):
                gap = rows[n, O_ANCHOR] - indels[i, ANCHOR]
                same = rows[n, O_LENGTH] == indels[i, LENGTH] and gap == 0
                if not same and -_NEAR <= gap <= max(-indels[i, LENGTH], 0) + _NEAR:
                    rows[n, O_FLAGS] |= NEAR_INDEL
        molecules += 1
    return rows[:written], molecules
