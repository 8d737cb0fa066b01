"""Records to fragments, fragments to molecules, in an order that the input's does not change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.molecules.family_kernels import (
    FRAGMENT_COLUMNS,
    ORDER,
    PLACE,
    SPAN_SHIFT,
    START_SHIFT,
    STRAND,
    UMI_HIGH,
    UMI_LOW,
    cluster_umis,
    describe_fragments,
)
from pipeline.variants.molecules.record_kernels import POS, join_mates
from pipeline.variants.molecules.settings import MoleculeSettings

__all__ = ["Families", "group_molecules"]

I64 = NDArray[np.int64]

_TELLING_UMI_NT = 10  # a million UMIs: hardly two alike within the few bases that an end may shift
_MOST_SHIFTED_NT = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Families:
    """Fragments sorted by molecule, strand and name.

    ``pairs``, shape (fragments, 2) int64, are rows of read 1 and read 2 in the table of records, -1 for a
    missing mate; ``strands``, shape (fragments,) uint8; ``starts``, shape (molecules + 1,) int64;
    ``umis``, shape (molecules, 2) int64, the commonest fragment's UMI parts, two bits a base.
    """

    pairs: I64
    strands: NDArray[np.uint8]
    starts: I64
    umis: I64

    def begins(self, table: I64) -> I64:
        """Where each fragment's first alignment begins, shape (fragments,)."""
        begins = np.append(table[:, POS], np.iinfo(np.int64).max)[self.pairs]  # -1 is the one appended
        first: I64 = begins.min(axis=1)
        return first

    @property
    def molecules(self) -> int:
        """How many."""
        return len(self.starts) - 1


def group_molecules(
    data: NDArray[np.uint8], table: I64, umi_lengths: tuple[int, int], settings: MoleculeSettings
) -> Families:
    """Join mates and group fragments: same two ends and UMI, misread UMIs with the true one.

    Parameters
    ----------
    data, table
        Records, see `pipeline.variants.molecules.record_kernels`.
    umi_lengths
        Bases of the UMI's two parts; both 0 without UMIs, the second 0 for one part.

    Notes
    -----
    Misread UMIs by directional adjacency (Smith, Heger & Sudbery 2017, Genome Research 27:491): a UMI at
    most ``settings.umi_edits`` away with at least twice the reads, less one, absorbs it, and so on from
    there. UMIs of two parts are laid by the fragment's ends, which makes those of the two strands equal.

    A copy that slipped near its end is aligned some bases off. UMIs of ten bases or more tell enough to join
    molecules of one UMI and one end whose other ends lie at most ten bases apart, under the same rule.
    """
    pairs = np.empty((len(table), 2), dtype=np.int64)
    pairs = pairs[: join_mates(data, table, pairs)]
    inline = settings.umi.kind == "inline"
    if inline and settings.umi.second_nt:
        pairs = pairs[(pairs >= 0).all(axis=1)]  # half a UMI tells nothing
    two_parts = settings.duplex and min(umi_lengths) > 0
    fragments = np.empty((len(pairs), FRAGMENT_COLUMNS), dtype=np.int64)
    describe_fragments(table, pairs, int(two_parts), int(inline), fragments)
    if len(pairs) == 0:
        return _no_families()
    order = np.lexsort([fragments[:, key] for key in (ORDER, STRAND, UMI_HIGH, UMI_LOW, PLACE)])
    pairs, fragments = pairs[order], fragments[order]
    molecules = np.empty(len(pairs), dtype=np.int64)
    nt_low, nt_high = (max(umi_lengths), max(umi_lengths)) if two_parts else umi_lengths
    count = cluster_umis(fragments, settings.umi_edits, nt_low, nt_high, molecules)
    if sum(umi_lengths) >= _TELLING_UMI_NT:
        molecules, count = _joined_across_shifts(fragments, molecules, count)
    order = np.argsort(2 * molecules + fragments[:, STRAND], kind="stable")
    pairs, fragments, molecules = pairs[order], fragments[order], molecules[order]
    starts = np.searchsorted(molecules, np.arange(count + 1))
    return Families(
        pairs=pairs,
        strands=fragments[:, STRAND].astype(np.uint8),
        starts=starts,
        umis=fragments[starts[:-1]][:, [UMI_LOW, UMI_HIGH]],
    )


def _joined_across_shifts(fragments: I64, molecules: I64, count: int) -> tuple[I64, int]:
    """Molecules, and how many, once those that differ in one end by little are one."""
    place, index, reads = np.unique(molecules, return_index=True, return_counts=True)
    first = fragments[index]  # of molecule 0, 1, ...
    low = first[:, PLACE] >> START_SHIFT
    high = low + (first[:, PLACE] >> SPAN_SHIFT & ((1 << (START_SHIFT - SPAN_SHIFT)) - 1))
    kind = first[:, PLACE] & ((1 << SPAN_SHIFT) - 1)
    order = np.lexsort((high, low, kind, first[:, UMI_HIGH], first[:, UMI_LOW]))
    alike = np.column_stack([first[:, UMI_LOW], first[:, UMI_HIGH], kind])[order]
    shifts = np.abs(np.diff(np.column_stack([low, high])[order], axis=0))
    rare, common = (
        np.minimum(reads[order][1:], reads[order][:-1]),
        np.maximum(reads[order][1:], reads[order][:-1]),
    )
    joins = (
        (alike[1:] == alike[:-1]).all(axis=1)
        & (shifts.min(axis=1) == 0)
        & (shifts.max(axis=1) <= _MOST_SHIFTED_NT)
        & (2 * rare - 1 <= common)
    )
    begins = np.flatnonzero(np.r_[True, ~joins])
    lead = np.empty(count, dtype=np.int64)
    lead[order] = np.repeat(np.minimum.reduceat(place[order], begins), np.diff(np.r_[begins, count]))
    kept, renumbered = np.unique(lead[molecules], return_inverse=True)
    return renumbered.astype(np.int64), len(kept)


def _no_families() -> Families:
    none = np.zeros((0, 2), dtype=np.int64)
    return Families(
        pairs=none, strands=np.zeros(0, dtype=np.uint8), starts=np.zeros(1, dtype=np.int64), umis=none
    )
