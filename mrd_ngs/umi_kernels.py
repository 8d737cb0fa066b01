"""Compiled kernel of UMI families: which of the sequences seen with one UMI belong together."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["LONGEST_GAP_NT", "differences", "group_members"]

U8: TypeAlias = NDArray[np.uint8]
I64: TypeAlias = NDArray[np.int64]
Int: TypeAlias = Any  # int where Python calls, int64 in compiled code
_F = TypeVar("_F", bound=Callable[..., Any])
kernel = cast("Callable[[_F], _F]", njit(cache=True, nogil=True))

LONGEST_GAP_NT = 5  # insertions and deletions of the sequencer are shorter
N = 78  # the letter


@kernel
def differences(one: U8, other: U8, most: Int) -> Int:
    """Bases that differ, N aside, a gap of up to five bases counting one; ``most`` + 1 if more."""
    if len(one) > len(other):
        one, other = other, one
    gap, length = len(other) - len(one), len(one)
    if gap > LONGEST_GAP_NT:
        return most + 1
    if gap == 0:
        wrong = 0
        for i in range(length):
            if one[i] != other[i] and one[i] != N and other[i] != N:
                wrong += 1
                if wrong > most:
                    return most + 1
        return wrong
    behind = 1  # the gap; first all is laid behind it, then base after base before it
    for i in range(length):
        behind += one[i] != other[i + gap] and one[i] != N and other[i + gap] != N
    fewest = behind
    for i in range(length):
        behind -= one[i] != other[i + gap] and one[i] != N and other[i + gap] != N
        behind += one[i] != other[i] and one[i] != N and other[i] != N
        fewest = min(fewest, behind)
    return min(fewest, most + 1)


@kernel
def group_members(
    letters: U8, turned: U8, starts: I64, ends: I64, reads: I64, established: NDArray[np.bool_], rate: float
) -> tuple[I64, NDArray[np.bool_]]:
    """The family of each member, and whether it lies on the other strand of the family's lead.

    Members come by falling number of reads; the first of a family leads it. ``turned`` are the
    reverse complements, each in the place of its sequence. See `mrd_ngs.umi.UmiCollector.resolve`.
    """
    members = len(starts)
    family = np.zeros(members, dtype=np.int64)
    flipped = np.zeros(members, dtype=np.bool_)
    leads = np.zeros(members, dtype=np.int64)
    families = 0
    for i in range(members):
        one, other = letters[starts[i] : ends[i]], turned[starts[i] : ends[i]]
        best, best_family = -1, -1
        for f in range(families):
            lead = leads[f]
            if 2 * reads[i] > reads[lead] + 1:
                break  # families come by falling reads of their leads
            most = int(rate * (ends[lead] - starts[lead]))
            if best >= 0:
                most = min(most, best - 1)
            wanted = letters[starts[lead] : ends[lead]]
            straight = differences(one, wanted, most)
            differs, is_turned = straight, False
            if straight > most:  # an error at the base that decides which strand is the smaller turns a read
                differs, is_turned = differences(other, wanted, most), True
            if differs > most or (established[i] and (differs > 1 or reads[i] > 1)):
                continue
            best, best_family, flipped[i] = differs, f, is_turned
            if best == 0:
                break
        if best_family < 0:
            flipped[i] = False
            leads[families] = i
            best_family = families
            families += 1
        family[i] = best_family
    return family, flipped
