"""Lengths and end motifs of cell-free DNA fragments, from proper pairs of an aligned BAM."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LENGTH_MAX_NT", "FragmentProfile", "motif_diversity", "profile_fragments"]

LENGTH_MAX_NT = 700
SHORT_NT, LONG_NT = (100, 150), (151, 220)
_LEFT_OUT = 0x4 | 0x8 | 0x100 | 0x200 | 0x400 | 0x800
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FragmentProfile:
    """``lengths``: fragments of 0 to 700 nt, int64. ``motifs``: first four bases of both ends, 5' to 3'."""

    lengths: NDArray[np.int64]
    motifs: dict[str, int]

    @property
    def fragments(self) -> int:
        """Fragments counted."""
        return int(self.lengths.sum())

    @property
    def median_nt(self) -> int | None:
        """Median length; None without fragments."""
        if not self.fragments:
            return None
        return int(np.searchsorted(np.cumsum(self.lengths), self.fragments / 2))

    @property
    def short_long_ratio(self) -> float | None:
        """Fragments of 100-150 nt over those of 151-220 (Cristiano, Nature 2019;570:385).

        None without long ones.
        """
        short = int(self.lengths[SHORT_NT[0] : SHORT_NT[1] + 1].sum())
        long = int(self.lengths[LONG_NT[0] : LONG_NT[1] + 1].sum())
        return short / long if long else None


def profile_fragments(reads: Iterable[Any], *, mapping_quality_min: int) -> FragmentProfile:
    """Count fragments by length and end motif.

    Parameters
    ----------
    reads
        `pysam.AlignedSegment`. Each mate of a proper pair gives the motif of its own end, unless it is
        clipped there; the mate that lies left gives the length.
    mapping_quality_min
        Reads below are left out.
    """
    lengths = np.zeros(LENGTH_MAX_NT + 1, dtype=np.int64)
    motifs: dict[str, int] = {}
    for read in reads:
        if read.flag & _LEFT_OUT or not read.is_proper_pair or read.mapping_quality < mapping_quality_min:
            continue
        if 0 < read.template_length <= LENGTH_MAX_NT:
            lengths[read.template_length] += 1
        motif = _end_motif(read)
        if motif:
            motifs[motif] = motifs.get(motif, 0) + 1
    return FragmentProfile(lengths=lengths, motifs=dict(sorted(motifs.items())))


def _end_motif(read: Any) -> str:
    """First four bases of the read's strand; empty where it is clipped, too short or holds N."""
    bases, operations = read.query_sequence, read.cigartuples
    if not bases or not operations or len(bases) < 4:
        return ""
    if read.is_reverse:
        motif = bases[-4:].upper().translate(_COMPLEMENT)[::-1]
        clipped = operations[-1][0] in (4, 5)
    else:
        motif, clipped = bases[:4].upper(), operations[0][0] in (4, 5)
    return "" if clipped or set(motif) - set("ACGT") else motif


def motif_diversity(motifs: dict[str, int]) -> float | None:
    """Shannon entropy of the 256 motifs over its maximum, in [0, 1] (Jiang, Cancer Discov 2020;10:664).

    >>> motif_diversity({"CCCA": 5}), motif_diversity({})
    (0.0, None)
    """
    counts = np.array([n for n in motifs.values() if n > 0], dtype=np.float64)
    if not len(counts):
        return None
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum() / np.log(256)) + 0.0
