"""Molecules of a panel: where they lie, how often each strand is read, which UMIs they have."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.bed import Target
from pipeline.variants.simulation.design import LibraryDesign

__all__ = ["FRAGMENT_MAX_NT", "FRAGMENT_MIN_NT", "draw_families", "draw_fragments"]

FRAGMENT_MIN_NT, FRAGMENT_MAX_NT = 60, 500
_FROM_END_NT = 10  # no fragment reaches the end of a contig, where alignment ends too


def draw_fragments(
    targets: Sequence[Target], length_nt: int, design: LibraryDesign, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and ends of the molecules that overlap targets of one contig, by rising start.

    Starts are uniform at the rate that gives the depth inside a target; towards its edges the depth
    stays, since fragments that reach in from outside are captured.
    """
    longest = min(FRAGMENT_MAX_NT, round(design.fragment_mean_nt + 4 * design.fragment_sd_nt))
    begin = np.array([max(_FROM_END_NT, t.start - longest) for t in targets])
    stop = np.array([t.end for t in targets])
    begin[1:] = np.maximum(begin[1:], stop[:-1])  # what lies between near targets is drawn once
    room = np.maximum(stop - begin, 0)
    molecules = int(rng.poisson(design.depth_molecules / design.fragment_mean_nt * room.sum()))
    place = rng.integers(0, max(room.sum(), 1), molecules)
    region = np.searchsorted(np.cumsum(room), place, side="right")
    start = begin[region] + place - (np.cumsum(room) - room)[region]
    drawn = np.rint(rng.normal(design.fragment_mean_nt, design.fragment_sd_nt, molecules))
    end = start + np.clip(drawn, FRAGMENT_MIN_NT, longest).astype(np.int64)
    captured = (end <= length_nt - _FROM_END_NT) & _overlaps(start, end, targets)
    start, end = start[captured], end[captured]
    order = np.lexsort((end, start))
    return start[order], end[order]


def draw_families(molecules: int, design: LibraryDesign, rng: np.random.Generator) -> NDArray[np.int64]:
    """Read pairs of the two strands, (molecules, 2) int64; each molecule has at least one."""
    p = design.family_shape / (design.family_shape + design.family_mean)
    sizes = rng.negative_binomial(design.family_shape, p, (molecules, 2))
    while len(unread := np.flatnonzero(sizes.sum(axis=1) == 0)):
        sizes[unread] = rng.negative_binomial(design.family_shape, p, (len(unread), 2))
    return sizes.astype(np.int64)


def _overlaps(
    start: NDArray[np.int64], end: NDArray[np.int64], targets: Sequence[Target]
) -> NDArray[np.bool_]:
    """Whether each fragment shares a base with a target; targets are sorted and do not touch."""
    ends = np.array([t.end for t in targets])
    starts = np.array([t.start for t in targets])
    following = np.searchsorted(ends, start, side="right")
    inside = following < len(targets)
    return inside & (starts[np.minimum(following, len(targets) - 1)] < end)
