"""What became of every alignment that was read: nothing is dropped without being counted under a name."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["FATE_NAMES", "ReadTally"]

# In the order of FATE in record_kernels.
FATE_NAMES = ("kept", "unmapped", "not_primary", "failed_qc", "without_umi", "umi_with_n", "without_bases")


@dataclass(slots=True, kw_only=True)
class ReadTally:
    """Alignments near targets by fate, fragments and molecules; filled while windows are read.

    ``alignments`` by `FATE_NAMES`; ``without_mate``, fragments of which one mate only was found;
    ``molecules``, those that touch a window (in two windows, counted twice).
    """

    alignments: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FATE_NAMES, 0))
    fragments: int = 0
    without_mate: int = 0
    molecules: int = 0

    def add_alignments(self, fates: NDArray[np.int64]) -> None:
        """Count alignments by their fate."""
        for name, count in zip(FATE_NAMES, np.bincount(fates, minlength=len(FATE_NAMES)), strict=True):
            self.alignments[name] += int(count)

    def add(self, other: "ReadTally") -> None:
        """Add another's counts."""
        for name, count in other.alignments.items():
            self.alignments[name] += count
        self.fragments += other.fragments
        self.without_mate += other.without_mate
        self.molecules += other.molecules
