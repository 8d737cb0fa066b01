"""How sure the bases of parts of reads are: junctions, windows, which several distinct reads share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import DistinctReads

__all__ = ["BaseQuality", "PoorReads"]


@dataclass(slots=True, kw_only=True)
class PoorReads:
    """Reads with a poor base, of one part that several distinct reads share.

    ``known`` counts the reads whose qualities are known; ``poor``, shape (length,), those of them in
    which each base is poor, None without any.
    """

    known: int = 0
    poor: NDArray[np.float64] | None = None

    def add(self, reads: int, shares: NDArray[np.float32] | None) -> None:
        """More reads of the part, with the share in which each base is poor; None: not known."""
        if shares is not None:
            self.known += reads
            poor = reads * shares.astype(np.float64)
            self.poor = poor if self.poor is None else self.poor + poor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaseQuality:
    """How sure the bases of some sequences are.

    ``poor_shares`` holds, of each sequence, the share of its reads in which a base has a poor
    quality, shape (length,), or None where that is not known. ``good_error_rate`` and
    ``poor_error_rate`` are substitutions a good and a poor base.
    """

    poor_shares: Sequence[NDArray[np.floating] | None]
    good_error_rate: float
    poor_error_rate: float

    @classmethod
    def of(cls, reads: DistinctReads, parts: Sequence[PoorReads], error_rate: float) -> "BaseQuality | None":
        """Of parts of a library's reads; None where the library's qualities are not known."""
        if reads.qualities is None:
            return None
        good, poor = reads.qualities.error_rates(error_rate)
        shares = [None if part.poor is None else part.poor / part.known for part in parts]
        return cls(poor_shares=shares, good_error_rate=good, poor_error_rate=poor)
