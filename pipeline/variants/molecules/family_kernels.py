"""Compiled kernels of grouping: pairs to fragments, fragments with their UMIs to molecules."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.variants.molecules.record_kernels import (
    FIVE_PRIME,
    FLAG,
    FLAG_PAIRED,
    FLAG_REVERSE,
    NAME_HASH,
    UMI_FIRST,
    UMI_SECOND,
)

__all__ = ["cluster_umis", "describe_fragments"]

I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

# Columns of a fragment: what tells molecules apart, in the order of sorting, then its strand.
PLACE, UMI_LOW, UMI_HIGH, STRAND, ORDER = range(5)
FRAGMENT_COLUMNS = 5
START_SHIFT, SPAN_SHIFT = 25, 4  # of PLACE: first end, from there to the other, orientation

_FAR = 1 << 31
_FEW = 48  # UMIs of one place compared one with another; beyond, neighbours are looked up
_CHANCE = 0.5  # neighbours by chance alone per UMI, above which only small UMIs are taken for errors
_ERROR_SHARE = 0.02  # reads of a UMI that misread it at one given base, generously


@kernel
def describe_fragments(table: I64, pairs: I64, duplex: Int, inline: Int, fragments: I64) -> None:
    """Fill ``fragments`` (n, 5): place (both ends, orientation), UMIs by end, strand, order of names.

    A fragment's ends are the unclipped 5' ends of its mates. UMIs of two parts are laid by the end they
    sit at, so that both strands of a molecule have the same; ``duplex`` 0 keeps the strands apart.
    """
    for n in range(len(pairs)):
        first, second = pairs[n, 0], pairs[n, 1]
        one = table[first] if first >= 0 else table[second]
        strand = 1 if (one[FLAG] & FLAG_REVERSE != 0) == (first >= 0) else 0
        umi_a, umi_b = one[UMI_FIRST], one[UMI_SECOND]
        odd = 0
        if first >= 0 and second >= 0:
            other = table[second]
            if inline:
                umi_b = other[UMI_FIRST]
            low, high = one[FIVE_PRIME], other[FIVE_PRIME]
            if one[FLAG] & FLAG_REVERSE:
                low, high = high, low
            if (one[FLAG] ^ other[FLAG]) & FLAG_REVERSE == 0:
                odd = 1 + (one[FLAG] & FLAG_REVERSE != 0)
        else:
            # The other end is unknown: reads are told apart by the end they have.
            low = high = one[FIVE_PRIME]
            odd = 3 + (one[FLAG] & FLAG_REVERSE != 0) + 2 * (one[FLAG] & FLAG_PAIRED)
        if strand == 1 and duplex:
            umi_a, umi_b = umi_b, umi_a
        span = min(max(high - low + (1 << 20), 0), (1 << 21) - 1)
        key = ((low + 1024) << START_SHIFT) | (span << SPAN_SHIFT) | (odd << 1)
        fragments[n, PLACE] = key if duplex else key | strand
        fragments[n, UMI_LOW], fragments[n, UMI_HIGH] = umi_a, umi_b
        fragments[n, STRAND] = strand
        fragments[n, ORDER] = table[first if first >= 0 else second, NAME_HASH]


@kernel
def _distance(low: Int, high: Int, other_low: Int, other_high: Int) -> Int:
    """Hamming distance of two UMIs in two bits a base."""
    total = 0
    for word in (low ^ other_low, high ^ other_high):
        word = (word | word >> 1) & 0x5555555555555555
        while word:
            word &= word - 1
            total += 1
    return total


@kernel
def _find(low: I64, high: I64, begin: Int, end: Int, a: Int, b: Int) -> Int:
    """Place of UMI (a, b) among those sorted from ``begin`` to ``end``; -1 if it is not there."""
    stop = end
    while begin < end:
        middle = (begin + end) // 2
        if low[middle] < a or (low[middle] == a and high[middle] < b):
            begin = middle + 1
        else:
            end = middle
    return begin if begin < stop and low[begin] == a and high[begin] == b else -1


@kernel
def _absorb(
    u: Int,
    low: I64,
    high: I64,
    reads: I64,
    root: I64,
    stack: I64,
    depth: Int,
    edits: Int,
    begin: Int,
    end: Int,
    nt_low: Int,
    nt_high: Int,
    saturated: Int,
) -> Int:
    """Give UMIs near ``u`` and rare enough beside it to its molecule; the new depth of ``stack``."""
    if end - begin <= _FEW:
        for v in range(begin, end):
            if (
                root[v] < 0
                and _is_error(reads[v], reads[u], saturated)
                and _distance(low[u], high[u], low[v], high[v]) <= edits
            ):
                root[v] = root[u]
                stack[depth] = v
                depth += 1
        return depth
    bases = nt_low + nt_high
    for i in range(bases):
        for x in range(1, 4):
            a, b = low[u], high[u]
            if i < nt_low:
                a ^= x << (2 * i)
            else:
                b ^= x << (2 * (i - nt_low))
            v = _find(low, high, begin, end, a, b)
            if v >= 0 and root[v] < 0 and _is_error(reads[v], reads[u], saturated):
                root[v] = root[u]
                stack[depth] = v
                depth += 1
            if edits < 2:
                continue
            for j in range(i):
                for y in range(1, 4):
                    c, d = a, b
                    if j < nt_low:
                        c ^= y << (2 * j)
                    else:
                        d ^= y << (2 * (j - nt_low))
                    v = _find(low, high, begin, end, c, d)
                    if v >= 0 and root[v] < 0 and _is_error(reads[v], reads[u], saturated):
                        root[v] = root[u]
                        stack[depth] = v
                        depth += 1
    return depth


@kernel
def _is_error(rare: Int, common: Int, saturated: Int) -> Any:
    """Directional adjacency (Smith et al. 2017): a misread UMI has at most half the reads of the true one.

    Where so many UMIs are taken that neighbours are there by chance, no more than errors make.
    """
    if saturated:
        return rare <= 1 + _ERROR_SHARE * common and rare < common
    return 2 * rare - 1 <= common


@kernel
def _by_falling_reads(reads: I64) -> I64:
    """Indices by falling reads, ties in their order; sorted by counting, fast for few and for many."""
    most = np.int64(0)
    for count in reads:
        most = max(most, count)
    place = np.zeros(most + 2, dtype=np.int64)
    for count in reads:
        place[most - count + 1] += 1
    for k in range(most + 1):
        place[k + 1] += place[k]
    order = np.empty(len(reads), dtype=np.int64)
    for i in range(len(reads)):
        order[place[most - reads[i]]] = i
        place[most - reads[i]] += 1
    return order


@kernel
def cluster_umis(fragments: I64, edits: Int, nt_low: Int, nt_high: Int, molecules: I64) -> Int:
    """Give every fragment the number of its molecule; how many molecules.

    ``fragments`` are sorted by PLACE, UMI_LOW, UMI_HIGH. Molecules are numbered in the order of place,
    then by falling reads and rising UMI of the one that others were misread from, so that the order of
    the input changes nothing.
    """
    rows = len(fragments)
    low, high = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    reads, root = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    starts, stack = np.empty(rows + 1, dtype=np.int64), np.empty(rows, dtype=np.int64)
    count = 0
    at = 0
    while at < rows:
        place = fragments[at, PLACE]
        umis = 0
        while at < rows and fragments[at, PLACE] == place:
            a, b = fragments[at, UMI_LOW], fragments[at, UMI_HIGH]
            starts[umis] = at
            low[umis], high[umis], root[umis] = a, b, -1
            while (
                at < rows
                and fragments[at, PLACE] == place
                and fragments[at, UMI_LOW] == a
                and (fragments[at, UMI_HIGH] == b)
            ):
                at += 1
            reads[umis] = at - starts[umis]
            umis += 1
        starts[umis] = at
        if umis == 1 or edits == 0:
            for u in range(umis):
                molecules[starts[u] : starts[u + 1]] = count + u
            count += umis
            continue
        neighbours = 3.0 * (nt_low + nt_high)
        if edits == 2:
            neighbours *= neighbours / 2
        saturated = umis * neighbours / 4.0 ** (nt_low + nt_high) > _CHANCE
        for u in _by_falling_reads(reads[:umis]):
            if root[u] >= 0:
                continue
            root[u] = count
            count += 1
            stack[0] = u
            depth = 1
            while depth > 0:
                depth -= 1
                depth = _absorb(
                    stack[depth],
                    low,
                    high,
                    reads,
                    root,
                    stack,
                    depth,
                    edits,
                    0,
                    umis,
                    nt_low,
                    nt_high,
                    saturated,
                )
        for u in range(umis):
            molecules[starts[u] : starts[u + 1]] = root[u]
    return count
