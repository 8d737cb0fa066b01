"""Reads counted in bins along the genome."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.copy_number.genome import AUTOSOMES, CHROMOSOMES, arm_of, plain_name

__all__ = ["Bins", "genome_bins"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """Bins in genome order.

    ``chroms`` names without ``chr``; ``starts``, ``ends`` int64, 0-based half open; ``counts`` float64,
    fragments or reads; ``gc`` and ``mappability`` float64 shares, NaN where they are not known.
    """

    chroms: tuple[str, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    counts: NDArray[np.float64]
    gc: NDArray[np.float64]
    mappability: NDArray[np.float64]

    def __post_init__(self) -> None:
        sizes = {len(self.chroms), *(len(a) for a in (self.starts, self.ends, self.counts))}
        if len(sizes | {len(self.gc), len(self.mappability)}) != 1:
            raise ValueError("bins have one value of each kind")
        if len(self.chroms) and (self.counts.min() < 0 or (self.ends <= self.starts).any()):
            raise ValueError("counts are not negative and bins end after they start")

    def __len__(self) -> int:
        return len(self.chroms)

    @property
    def arms(self) -> tuple[str, ...]:
        """Arm of each bin's middle; empty in centromeres."""
        middles = (self.starts + self.ends) // 2
        return tuple(arm_of(c, int(p)) for c, p in zip(self.chroms, middles, strict=True))

    def select(self, keep: NDArray[np.bool_]) -> "Bins":
        """The bins that are marked."""
        return Bins(
            chroms=tuple(c for c, k in zip(self.chroms, keep, strict=True) if k),
            starts=self.starts[keep],
            ends=self.ends[keep],
            counts=self.counts[keep],
            gc=self.gc[keep],
            mappability=self.mappability[keep],
        )

    def usable(self, mappability_min: float) -> NDArray[np.bool_]:
        """Autosomal bins of known arm, mappable, of common GC, whose count is not far from the others'."""
        autosomal = np.array([plain_name(c) in AUTOSOMES for c in self.chroms], dtype=bool)
        on_arm = np.array([bool(a) for a in self.arms], dtype=bool)
        mappable = ~(self.mappability < mappability_min)
        keep = autosomal & on_arm & mappable
        known = keep & ~np.isnan(self.gc)
        if known.any():  # beyond the last knots nothing holds the smooth function of GC
            low, high = np.quantile(self.gc[known], [0.02, 0.98])
            keep &= np.isnan(self.gc) | ((self.gc >= low) & (self.gc <= high))
        if keep.any():
            middle = float(np.median(self.counts[keep]))
            keep &= (self.counts > 0.1 * middle) & (self.counts < 5 * middle)
        marked: NDArray[np.bool_] = keep
        return marked


def genome_bins(bin_nt: int) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Names, starts and ends of whole bins over autosomes and X."""
    chroms: list[str] = []
    starts: list[int] = []
    for name in (*AUTOSOMES, "X"):
        whole = CHROMOSOMES[name].length_nt // bin_nt
        chroms += [name] * whole
        starts += [bin_nt * i for i in range(whole)]
    first = np.array(starts, dtype=np.int64)
    return tuple(chroms), first, first + bin_nt
