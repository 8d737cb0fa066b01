"""Compiled kernels from molecules to aligned reads."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.simulation.template_kernels import (
    CLIPPED,
    EARLY_MAX,
    I64,
    INSERTED,
    TEMPLATE_MAX_NT,
    U8,
    Int,
    PlantedTable,
    RateTable,
    Rng,
    copy_with_errors,
    damage_strand,
    draw_early_errors,
    kernel,
    molecule_template,
    repair_ends,
)

__all__ = ["CIGAR_MAX", "Molecules", "Reads", "simulate_reads"]

CIGAR_MAX = 64
MATCH, INSERTION, DELETION, SOFT_CLIP = 0, 1, 2, 4
GAP_OPEN, GAP_EXTEND, MISMATCH, CLIP = 6, 1, 4, 5  # penalties of bwa mem; a match gives 1
_BASES, _SEQUENCING, _FOREIGN = 0, 6, 9
_MARGIN_NT = 1  # an indel counts in molecules that reach a base further on either side


class Molecules(NamedTuple):
    """Molecules of one slab: ``start`` and ``end`` in the window, ``copies`` (molecules, 2) of each strand.

    ``first`` and ``stop`` bound the planted variants that can lie inside; ``haplotype`` is 1 or 2,
    ``foreign`` marks what comes from elsewhere.
    """

    start: I64
    end: I64
    copies: I64
    first: I64
    stop: I64
    haplotype: I64
    foreign: NDArray[np.bool_]
    mapping_quality: I64


class Reads(NamedTuple):
    """Two rows a pair: the mate that lies forward, then the one that lies reverse.

    ``bases`` (codes 0 to 4) and ``qualities`` are as in a BAM record: the plus strand's order.
    """

    bases: U8
    qualities: U8
    length: I64
    position: I64
    cigar: NDArray[np.uint32]
    operations: I64
    edits: I64
    molecule: I64
    strand: I64
    copy: I64


@kernel
def diverge(bases: U8, places: I64, length: Int) -> None:
    """Bases of the other locus: 3 % of the positions differ, always the same and in the same way."""
    for i in range(length):
        if places[i] >= 0 and bases[i] < 4:
            mixed = (places[i] * 2654435761 + 974711) % 4294967296
            if mixed % 1000 < 30:
                bases[i] = (bases[i] + 1 + (mixed // 1000) % 3) % 4


@kernel
def sequence_mate(
    rng: Rng, copy: U8, copy_places: I64, length: Int, forward: bool, read_nt: Int, factor: float,
    bases: U8, places: I64, qualities: U8, counts: I64,
) -> Int:  # fmt: skip
    """Read one end of a copy; qualities fall and errors rise with the cycle; the read's length.

    One draw a base decides on its quality and on whether it is wrong.
    """
    size = min(read_nt, length)
    offset = 0 if forward else length - size
    for i in range(size):
        cycle = i if forward else size - 1 - i
        low = 0.01 + 0.05 * (cycle / 150.0) ** 2
        middle = 0.06
        draw = rng.random()
        if draw < low:
            quality, wrong = 11, draw < low * 0.0794 * factor
        elif draw < low + middle:
            quality, wrong = 25, draw < low + middle * 0.00316 * factor
        else:
            rest = 1.0 - low - middle
            quality, wrong = 37, draw < low + middle + rest * 0.0002 * factor
        base = copy[offset + i]
        if wrong and base < 4:
            base = (base + 1 + int(rng.random() * 3)) % 4
            counts[_SEQUENCING] += 1
        bases[i] = base
        places[i] = copy_places[offset + i]
        qualities[i] = quality if base < 4 else 2
    counts[_BASES] += size
    return size


@kernel
def settle_end(reference: U8, bases: U8, places: I64, length: Int, right: bool) -> None:
    """Put the bases beyond the last gap near an end where an aligner would: gap, mismatches or clip.

    A short tail behind an insertion or deletion scores higher without the gap; that is how indels leave
    mismatches at read ends.
    """
    step = -1 if right else 1
    i = length - 1 if right else 0
    tail = 1
    while tail < length and places[i + step * tail] == places[i + step * (tail - 1)] + step:
        tail += 1
    if tail >= length or tail > 40 or places[i] < 0:
        return
    inner = i + step * tail
    inserted = 0
    while 0 <= inner < length and places[inner] == INSERTED:
        inserted += 1
        inner += step
    if not 0 <= inner < length:
        return
    deleted = abs(places[inner] - places[i + step * (tail - 1)]) - 1
    moved = tail + inserted
    matched = 0
    for k in range(1, moved + 1):
        matched += bases[inner - step * k] == reference[places[inner] - step * k]
    with_gap = tail - GAP_OPEN - GAP_EXTEND * max(inserted, deleted)
    without = matched - MISMATCH * (moved - matched)
    if with_gap > max(without, -CLIP):
        return
    for k in range(1, moved + 1):
        places[inner - step * k] = places[inner] - step * k if without >= -CLIP else CLIPPED


@kernel
def write_cigar(places: I64, length: Int, cigar: NDArray[np.uint32]) -> tuple[Int, Int]:
    """CIGAR of a read (BAM's encoding); how many operations, and the position of the first aligned base.

    Insertions at the ends are clipped, as aligners do.
    """
    first, last = 0, length - 1
    while places[first] < 0:
        first += 1
    while places[last] < 0:
        last -= 1
    operations = 0
    if first:
        cigar[0] = first << 4 | SOFT_CLIP
        operations = 1
    run, kind, place = 0, MATCH, places[first] - 1
    for i in range(first, last + 1):
        now = MATCH if places[i] >= 0 else INSERTION
        gap = places[i] - place - 1 if now == MATCH else 0
        if (now != kind or gap) and run:
            cigar[operations] = run << 4 | kind
            operations += 1
            run = 0
        if gap:
            cigar[operations] = gap << 4 | DELETION
            operations += 1
        kind = now
        run += 1
        place = places[i] if now == MATCH else place
    cigar[operations] = run << 4 | kind
    operations += 1
    if last < length - 1:
        cigar[operations] = (length - 1 - last) << 4 | SOFT_CLIP
        operations += 1
    return operations, places[first]


@kernel
def count_edits(reference: U8, bases: U8, places: I64, length: Int) -> Int:
    """Mismatches, inserted and deleted bases of the aligned part (SAM's ``NM``)."""
    edits, before, pending = 0, -1, 0
    for i in range(length):
        if places[i] >= 0:
            if before >= 0:
                edits += pending + places[i] - before - 1
            edits += bases[i] != reference[places[i]]
            before, pending = places[i], 0
        elif places[i] == INSERTED:
            pending += 1
    return edits


@kernel
def carry(
    rng: Rng, molecules: Molecules, m: Int, planted: PlantedTable, read_nt: Int, carried: NDArray[np.bool_],
    tally: I64,
) -> None:  # fmt: skip
    """Which variants a molecule has; ``tally`` (variants, 4) counts molecules, mutant, both of duplex."""
    start, end = molecules.start[m], molecules.end[m]
    duplex = molecules.copies[m, 0] > 0 and molecules.copies[m, 1] > 0
    for v in range(molecules.first[m], molecules.stop[m]):
        margin = 0 if planted.ref_nt[v] == planted.alt_nt[v] else _MARGIN_NT
        left, right = planted.start[v] - margin, planted.start[v] + planted.ref_nt[v] + margin
        inside = start <= left and right <= end and not molecules.foreign[m]
        if planted.haplotype[v]:
            mutant = planted.haplotype[v] & molecules.haplotype[m] != 0
        else:
            mutant = rng.random() < planted.vaf[v]
        carried[v - molecules.first[m]] = inside and mutant
        if inside and (right <= start + read_nt or left >= end - read_nt):
            tally[v, 0] += 1
            tally[v, 1] += mutant
            tally[v, 2] += duplex
            tally[v, 3] += duplex and mutant


@kernel
def simulate_reads(
    rng: Rng, reference: U8, molecules: Molecules, planted: PlantedTable, rates: RateTable, read_nt: Int,
    reads: Reads, tally: I64, counts: I64,
) -> None:  # fmt: skip
    """Fill ``reads`` (two rows for each copy of each strand) molecule by molecule.

    One loop, so that no intermediate outlives its molecule.
    """
    bases, places = np.empty(TEMPLATE_MAX_NT, np.uint8), np.empty(TEMPLATE_MAX_NT, np.int64)
    strand, strand_places = np.empty_like(bases), np.empty_like(places)
    copy, copy_places = np.empty_like(bases), np.empty_like(places)
    read_places = np.empty_like(places)
    where, what, share = np.empty(EARLY_MAX, np.int64), np.empty(EARLY_MAX, np.int64), np.empty(EARLY_MAX)
    carried = np.zeros(max(1, len(planted.start)), np.bool_)
    row = 0
    for m in range(len(molecules.start)):
        carry(rng, molecules, m, planted, read_nt, carried, tally)
        length = molecule_template(
            reference,
            molecules.start[m],
            molecules.end[m],
            planted,
            carried,
            molecules.first[m],
            bases,
            places,
        )
        if molecules.foreign[m]:
            diverge(bases, places, length)
            counts[_FOREIGN] += 1
        repair_ends(rng, bases, length, rates, counts)
        for side in range(2):
            if molecules.copies[m, side] == 0:
                continue
            for i in range(length):
                strand[i], strand_places[i] = bases[i], places[i]
            strand_nt = damage_strand(rng, strand, strand_places, length, side == 0, rates, counts)
            early = draw_early_errors(rng, strand_nt, rates, where, what, share)
            for c in range(molecules.copies[m, side]):
                copy_nt = copy_with_errors(
                    rng, strand, strand_places, strand_nt, early, where, what, share, rates, copy,
                    copy_places, counts,
                )  # fmt: skip
                for reverse in range(2):
                    size = sequence_mate(
                        rng, copy, copy_places, copy_nt, reverse == 0, read_nt, rates.sequencing,
                        reads.bases[row], read_places, reads.qualities[row], counts,
                    )  # fmt: skip
                    for end in range(2):
                        settle_end(reference, reads.bases[row], read_places, size, end == 1)
                    reads.operations[row], reads.position[row] = write_cigar(
                        read_places, size, reads.cigar[row]
                    )
                    reads.edits[row] = count_edits(reference, reads.bases[row], read_places, size)
                    reads.length[row] = size
                    reads.molecule[row], reads.strand[row], reads.copy[row] = m, side, c
                    row += 1
