"""How good the bases of a library's abundant sequences were read: a second look at its files.

Which sequences are abundant is known only after all reads are counted, and keeping the qualities of
all until then would take more memory than everything else.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import BaseQualities, DistinctReads, Library, reverse_complement
from mrd_ngs.preparation import Preparation
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from pipeline.model import Sample

__all__ = ["GOOD_PHRED", "read_with_qualities", "with_base_quality"]

GOOD_PHRED = 30
"""Own choice: sequencers that give few different qualities have their best one above it."""

_SEQUENCES = 20_000  # looked at: some 20 MB; what is rarer is judged by its reads alone
_PHRED = 94
_ERRORS = 10.0 ** (-np.arange(_PHRED) / 10)


def read_with_qualities(sample: Sample, settings: NgsSettings) -> Library:
    """`mrd_ngs.read.read_library`, and qualities where ``denoise_by_quality`` asks for them."""
    library = read_library(sample, settings)
    return with_base_quality(library, settings) if settings.denoise_by_quality else library


def with_base_quality(library: Library, settings: NgsSettings) -> Library:
    """A library whose reads know how good their bases are.

    Parameters
    ----------
    library
        As `mrd_ngs.read.read_library` read it; its files are read again.
    settings
        Those with which it was read.

    Returns
    -------
    Library
        The same counts, with ``reads.qualities`` of up to 20,000 sequences that were read twice or
        more, the same for any order of reads. Molecules are left as they are: qualities
        made their consensus.

    Raises
    ------
    DamagedFile, InputRefused
        As `mrd_ngs.read.read_library`.
    """
    reads = library.reads
    number = min(_SEQUENCES, int((reads.counts > 1).sum()))
    if library.counted != "reads" or not number:
        return library
    tally = _Tally(reads, number)
    for sequences, qualities, _ in Preparation(library.sample.files, settings, with_qualities=True).batches():
        tally.add(sequences, qualities)
    return dataclasses.replace(library, reads=dataclasses.replace(reads, qualities=tally.result()))


class _Tally:
    """Poor bases of the first sequences of a library, counted batch by batch."""

    def __init__(self, reads: DistinctReads, number: int) -> None:
        self._starts = reads.starts[:number]
        self._ends = reads.ends[:number]
        self._counts = reads.counts[:number]
        leading = [reads.sequence(rank) for rank in range(number)]
        # A read of the other strand has the complement of its rank; of a palindrome, the rank.
        self._ranks = {reverse_complement(sequence): ~rank for rank, sequence in enumerate(leading)}
        self._ranks.update((sequence, rank) for rank, sequence in enumerate(leading))
        self._poor = np.zeros(int(self._ends[-1]), dtype=np.int64)
        self._bases = np.zeros(_PHRED, dtype=np.int64)

    def add(self, sequences: Sequence[bytes], qualities: Sequence[bytes]) -> None:
        """Some reads, with Phred scores as bytes."""
        found = [(self._ranks.get(s), q) for s, q in zip(sequences, qualities, strict=True)]
        known = [(rank, q) if rank >= 0 else (~rank, q[::-1]) for rank, q in found if rank is not None]
        if not known:
            return
        ranks = np.array([rank for rank, _ in known], dtype=np.int64)
        scores = np.frombuffer(b"".join(q for _, q in known), dtype=np.uint8)
        self._bases += np.bincount(scores, minlength=_PHRED)[:_PHRED]
        ends = np.cumsum(self._ends[ranks] - self._starts[ranks])
        poor = np.flatnonzero(scores < GOOD_PHRED)
        read = np.searchsorted(ends, poor, side="right")
        places = poor - ends[read] + self._ends[ranks[read]]  # as far before its end as in the batch
        np.add.at(self._poor, places, 1)

    def result(self) -> BaseQualities:
        reads = np.ones(len(self._poor), dtype=np.int64)  # newlines between sequences: 0 of 1
        for start, end, count in zip(self._starts, self._ends, self._counts, strict=True):
            reads[start:end] = count
        errors = self._bases * _ERRORS
        good, poor = self._bases[GOOD_PHRED:].sum(), self._bases[:GOOD_PHRED].sum()
        return BaseQualities(
            poor_shares=(self._poor / reads).astype(np.float32),
            sequences=len(self._starts),
            good_error=_mean(errors[GOOD_PHRED:], int(good)),
            poor_error=_mean(errors[:GOOD_PHRED], int(poor)),
            poor_base_share=float(poor / max(1, good + poor)),
        )


def _mean(errors: NDArray[np.float64], bases: int) -> float:
    return float(errors.sum() / bases) if bases else 0.0
