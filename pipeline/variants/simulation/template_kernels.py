"""Compiled kernels from a molecule to its strands and their copies, each step with its own errors.

A template is two arrays, bases (0 to 3, 4 for N) and their places: 0-based positions in the window of
the reference, -1 for an inserted base. All templates are written as the plus strand reads.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "CLIPPED",
    "COUNTERS",
    "I64",
    "INSERTED",
    "TEMPLATE_MAX_NT",
    "U8",
    "PlantedTable",
    "RateTable",
    "copy_with_errors",
    "damage_strand",
    "draw_early_errors",
    "kernel",
    "molecule_template",
]  # fmt: skip

U8: TypeAlias = NDArray[np.uint8]
I64: TypeAlias = NDArray[np.int64]
F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
Rng: TypeAlias = np.random.Generator
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

TEMPLATE_MAX_NT = 1024  # fragments of at most 500, with what is inserted into them
INSERTED, CLIPPED = -1, -2
SHORTEST_RUN_NT = 5
EARLY_CYCLES = 5  # errors of later cycles reach few copies of a family, and are drawn one by one
EARLY_MAX = 64
COUNTERS = (
    "bases_sequenced", "deamination", "oxidation", "end_repair", "pcr_early", "pcr_late", "sequencing",
    "slippage_strand", "slippage_copy", "foreign_molecules",
)  # fmt: skip
_DEAMINATION, _OXIDATION, _END_REPAIR, _EARLY, _LATE = 1, 2, 3, 4, 5
_SLIPPAGE_STRAND, _SLIPPAGE_COPY = 7, 8
A, C, G, T = 0, 1, 2, 3


class PlantedTable(NamedTuple):
    """Variants by rising start, in positions of the window; ``haplotype`` 0 is somatic."""

    start: I64
    ref_nt: I64
    alt_offset: I64
    alt_nt: I64
    alt: U8
    vaf: F64
    haplotype: I64


class RateTable(NamedTuple):
    """`pipeline.variants.simulation.design.ErrorRates` as compiled code takes them."""

    deamination: float
    oxidation: float
    end_repair: float
    end_repair_nt: int
    pcr: float
    pcr_cycles: int
    sequencing: float
    slippage_strand: float
    slippage_copy: float


@kernel
def molecule_template(
    reference: U8, start: Int, end: Int, planted: PlantedTable, carried: NDArray[np.bool_], first: Int,
    bases: U8, places: I64,
) -> Int:  # fmt: skip
    """The molecule's bases and places, with the variants that it carries; its length."""
    length, at, v = 0, start, first
    while at < end:
        while v < len(planted.start) and planted.start[v] < at:
            v += 1
        if v < len(planted.start) and planted.start[v] == at and carried[v - first]:
            removed = planted.ref_nt[v]
            for k in range(planted.alt_nt[v]):
                bases[length] = planted.alt[planted.alt_offset[v] + k]
                places[length] = at + k if k < removed else INSERTED
                length += 1
            at += removed
            v += 1
            continue
        bases[length] = reference[at]
        places[length] = at
        length += 1
        at += 1
    return length


@kernel
def repair_ends(rng: Rng, bases: U8, length: Int, rates: RateTable, counts: I64) -> None:
    """Errors of end repair, which both strands have."""
    reach = min(rates.end_repair_nt, length)
    for i in range(reach):
        if bases[i] == C and rng.random() < rates.end_repair:
            bases[i] = T
            counts[_END_REPAIR] += 1
        if bases[length - 1 - i] == G and rng.random() < rates.end_repair:
            bases[length - 1 - i] = A
            counts[_END_REPAIR] += 1


@kernel
def skip(rng: Rng, rate: float) -> Int:
    """Bases until the next event of that rate."""
    if rate <= 0.0:
        return 1 << 40
    return int(np.log(1.0 - rng.random()) / np.log1p(-rate))


@kernel
def damage_strand(
    rng: Rng, bases: U8, places: I64, length: Int, plus: bool, rates: RateTable, counts: I64
) -> Int:
    """Deamination, oxidation and slippage of one strand; the new length."""
    cytosine, uracil_read = (C, T) if plus else (G, A)
    guanine, oxidised_read = (G, T) if plus else (C, A)
    i = skip(rng, rates.deamination)
    while i < length:
        if bases[i] == cytosine:
            bases[i] = uracil_read
            counts[_DEAMINATION] += 1
        i += 1 + skip(rng, rates.deamination)
    i = skip(rng, rates.oxidation)
    while i < length:
        if bases[i] == guanine:
            bases[i] = oxidised_read
            counts[_OXIDATION] += 1
        i += 1 + skip(rng, rates.oxidation)
    return slip(rng, bases, places, length, rates.slippage_strand, counts, _SLIPPAGE_STRAND)


@kernel
def slip(rng: Rng, bases: U8, places: I64, length: Int, rate_at_8: float, counts: I64, counter: Int) -> Int:
    """Runs of equal bases lose or gain one base, written at the run's left end; the new length."""
    if rate_at_8 <= 0.0:
        return length
    i = 0
    while i < length:
        stop = i + 1
        while stop < length and bases[stop] == bases[i]:
            stop += 1
        run = stop - i
        if run >= SHORTEST_RUN_NT and i > 0 and stop < length:
            rate = min(0.2, rate_at_8 * 2.0 ** (run - 8))
            if rng.random() < rate:
                counts[counter] += 1
                if rng.random() < 0.6:  # losses are commoner than gains
                    for k in range(i, length - 1):
                        bases[k], places[k] = bases[k + 1], places[k + 1]
                    length -= 1
                elif length < TEMPLATE_MAX_NT:
                    for k in range(length, i, -1):
                        bases[k], places[k] = bases[k - 1], places[k - 1]
                    places[i] = INSERTED
                    length += 1
                return length  # at most one a template
        i = stop
    return length


@kernel
def draw_early_errors(rng: Rng, length: Int, rates: RateTable, where: I64, what: I64, share: F64) -> Int:
    """PCR errors of the first cycles, which a part of the strand's copies inherit; how many.

    In cycle k there are 2^(k-1) molecules to copy, and an error then is in 2^-k of the copies.
    """
    found = 0
    for cycle in range(1, min(EARLY_CYCLES, rates.pcr_cycles) + 1):
        bases = length * 2 ** (cycle - 1)
        i = skip(rng, rates.pcr)
        while i < bases and found < EARLY_MAX:
            where[found] = i % length
            what[found] = 1 + int(rng.random() * 3)
            share[found] = 0.5**cycle
            found += 1
            i += 1 + skip(rng, rates.pcr)
    return found


@kernel
def copy_with_errors(
    rng: Rng, strand: U8, strand_places: I64, length: Int, early: Int, where: I64, what: I64, share: F64,
    rates: RateTable, bases: U8, places: I64, counts: I64,
) -> Int:  # fmt: skip
    """One copy of a strand: what it inherits of the early errors, its own late ones; its length."""
    for i in range(length):
        bases[i], places[i] = strand[i], strand_places[i]
    for e in range(early):
        if rng.random() < share[e] and bases[where[e]] < 4:
            bases[where[e]] = (bases[where[e]] + what[e]) % 4
            counts[_EARLY] += 1
    late = rates.pcr * max(0, rates.pcr_cycles - EARLY_CYCLES)
    i = skip(rng, late)
    while i < length:
        if bases[i] < 4:
            bases[i] = (bases[i] + 1 + int(rng.random() * 3)) % 4
            counts[_LATE] += 1
        i += 1 + skip(rng, late)
    return slip(rng, bases, places, length, rates.slippage_copy, counts, _SLIPPAGE_COPY)
