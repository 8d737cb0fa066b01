"""Counts and shapes of the sequencing assay: settings, distinct reads, one library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.model import Sample

__all__ = [
    "UNVERIFIED",
    "DistinctReads",
    "Library",
    "NgsSettings",
    "ReadFate",
    "SpikeIn",
    "reverse_complement",
]

UNVERIFIED = (
    "marker rule: at least 5 % of the reads of its locus",
    "6.6 pg DNA a diploid cell (read in secondary sources only)",
)
"""Defaults in use here that no published text confirmed."""


_COMPLEMENT = bytes.maketrans(b"ACGTN", b"TGCAN")


@dataclass(frozen=True, slots=True, kw_only=True)
class NgsSettings:
    """Run choices of the sequencing assay; the defaults are those a batch without a table gets.

    Marker rules. ``marker_min_share`` of the reads of its locus (5 %, EuroClonality-NGS as
    recalled: **unverified**), ``marker_min_cell_fraction`` of nucleated cells (0.2 %),
    ``marker_min_templates`` genome equivalents (40) and at most
    ``marker_max_next_decade`` other sequences of the locus within the next decade of
    frequency (5): the last three from the clonoSEQ technical text.

    Window. The tracked window is the junction with ``window_flank_nt`` on either side, at
    least ``window_min_nt`` long. The junction holds what is unique to the clone; the
    flanks anchor it in V and J and add the clone's own mutations there. A longer window
    loses more reads to errors (1 - (1 - e)^L: 9 % for 98 nt at 0.1 %), but the spike-ins
    are counted in windows of the same length and lose the same share.

    Reads. ``min_read_nt`` is the shortest read that is looked at, ``min_reads`` the
    smallest number of reads called a clone (2, so that one hopped or chimaeric read is
    not a relapse), ``background_alpha`` the accepted probability that errors of
    look-alike reads reach the decision count, ``error_rate_min`` the floor of the
    measured substitution rate per base.
    Sequences of at least ``annotated_share_min`` of the reads, and at most
    ``annotated_sequences_max`` of them, are annotated at baseline; of the others about
    ``tail_sequences``.

    Markers of one clone together. ``marker_shared_sampling`` is the share of the drawn
    DNA that went into the assay: with 1, on the safe side, a cell not drawn is missed by
    every marker. ``marker_amplification_sd`` is the relative spread of amplification
    between markers that the spike-ins do not show (0.25, own choice: at many templates
    markers then disagree beyond a factor of about three); ``discordance_alpha`` the accepted
    probability of calling agreeing markers discordant.

    Denoising. A sequence that errors of its more abundant neighbours explain is folded into
    them: at the error rate of the spike-ins (``error_rate_assumed`` without), times
    ``denoise_safety``, unless that has a probability below ``denoise_alpha`` in the
    whole library.

    Run control (own choices, unverified). ``hop_rate_assumed`` is the share of a donor's
    reads reckoned with in each other sample where the run says too little,
    ``hop_rate_max`` the largest that passes for hopping. A foreign marker with at least
    ``swap_min_share`` of a sample's reads and ``swap_ratio`` times its own marker's is a
    suspected exchange. A negative control has at most ``negative_control_max_share`` of a
    typical sample's reads; no sequence of a polyclonal one more than ``polyclonal_max_share``.

    Raises
    ------
    ValueError
        If a value is out of its range; the message names the key.
    """

    min_read_nt: int = 50
    max_read_nt: int = 100_000
    window_flank_nt: int = 10
    window_min_nt: int = 50
    spike_in_window_nt: int = 80
    min_reads: int = 2
    background_alpha: float = 0.001
    error_rate_min: float = 2e-4
    annotated_share_min: float = 2.5e-4
    annotated_sequences_max: int = 5000
    tail_sequences: int = 200
    marker_min_share: float = 0.05
    marker_min_cell_fraction: float = 0.002
    marker_min_templates: float = 40.0
    marker_max_next_decade: int = 5
    candidates_listed: int = 10
    # markers together
    marker_shared_sampling: float = 1.0
    marker_amplification_sd: float = 0.25
    discordance_alpha: float = 0.001
    # errors of abundant sequences
    error_rate_assumed: float = 0.001
    denoise_safety: float = 3.0
    denoise_alpha: float = 0.01
    # samples of a run together
    hop_rate_assumed: float = 0.001
    hop_rate_max: float = 0.01
    swap_min_share: float = 0.001
    swap_ratio: float = 10.0
    negative_control_max_share: float = 0.01
    polyclonal_max_share: float = 0.05

    def __post_init__(self) -> None:
        for name in (
            "background_alpha",
            "error_rate_min",
            "annotated_share_min",
            "marker_min_share",
            "marker_min_cell_fraction",
            "discordance_alpha",
            "error_rate_assumed",
            "denoise_alpha",
            "hop_rate_assumed",
            "hop_rate_max",
            "swap_min_share",
            "negative_control_max_share",
            "polyclonal_max_share",
        ):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        for name in ("window_min_nt", "spike_in_window_nt"):
            if getattr(self, name) < 30:
                raise ValueError(f"{name} must be at least 30: shorter windows are not unique")
        for name in (
            "min_read_nt",
            "min_reads",
            "annotated_sequences_max",
            "tail_sequences",
            "candidates_listed",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("window_flank_nt", "marker_min_templates", "marker_max_next_decade"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} cannot be negative")
        if not 0 < self.marker_shared_sampling <= 1:
            raise ValueError("marker_shared_sampling must lie in (0, 1]")
        if not self.marker_amplification_sd >= 0:
            raise ValueError("marker_amplification_sd cannot be negative")
        if not self.swap_ratio > 1:
            raise ValueError("swap_ratio must be above 1")
        if not self.denoise_safety >= 1:
            raise ValueError("denoise_safety must be at least 1")
        if self.max_read_nt < self.min_read_nt:
            raise ValueError("max_read_nt must not be below min_read_nt")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeIn:
    """A synthetic template of known number.

    ``sequence`` in ``ACGT``, ``copies`` added to the sample, ``centre`` the 0-based position
    around which it is recognised: the middle of its junction, or of the sequence where it
    has none.
    """

    name: str
    sequence: bytes
    copies: float
    centre: int

    def window(self, length_nt: int) -> bytes:
        """The part by which it is recognised: ``length_nt`` around the centre, within the sequence."""
        length = min(length_nt, len(self.sequence))
        start = min(max(0, self.centre - length // 2), len(self.sequence) - length)
        return self.sequence[start : start + length]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DistinctReads:
    """Distinct read sequences with their counts, most abundant first, ties by sequence.

    A read and its reverse complement are one sequence: the alphabetically smaller of the
    two. ``blob`` holds them joined by newlines, so that one search runs over all;
    ``starts`` and ``ends``, shape (sequences,) int64, are their places in it; ``counts``,
    shape (sequences,) int64, reads of each.
    """

    blob: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def from_counts(cls, counts: Mapping[bytes, int]) -> "DistinctReads":
        """Distinct reads of sequences as they were read, on either strand.

        >>> reads = DistinctReads.from_counts({b"AACG": 2, b"CGTT": 3, b"GGGA": 9})
        >>> [reads.sequence(i) for i in range(2)], reads.counts.tolist()
        ([b'GGGA', b'AACG'], [9, 5])
        """
        merged: dict[bytes, int] = {}
        for sequence, count in counts.items():
            canonical = min(sequence, reverse_complement(sequence))
            merged[canonical] = merged.get(canonical, 0) + count
        return cls._joined(sorted(merged.items(), key=lambda item: (-item[1], item[0])))

    def subset(self, which: NDArray[np.bool_]) -> "DistinctReads":
        """The sequences marked in ``which``, shape (sequences,), in the same order."""
        return self._joined([(self.sequence(i), int(self.counts[i])) for i in np.flatnonzero(which).tolist()])

    @classmethod
    def _joined(cls, ordered: Sequence[tuple[bytes, int]]) -> "DistinctReads":
        lengths = np.array([len(sequence) for sequence, _ in ordered], dtype=np.int64)
        ends = np.cumsum(lengths + 1) - 1
        return cls(
            blob=b"\n".join(sequence for sequence, _ in ordered),
            starts=ends - lengths,
            ends=ends,
            counts=np.array([count for _, count in ordered], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.counts)

    def sequence(self, index: int) -> bytes:
        """One sequence by its rank."""
        return self.blob[int(self.starts[index]) : int(self.ends[index])]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFate:
    """What became of some of the reads."""

    fate: str
    reads: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Library:
    """One sequenced sample, reduced to what calling needs.

    ``spike_in_reads`` carry a spike-in, with at most two errors in it; ``reads`` are all the
    others that are long enough. ``fates`` says what became of every read; their sum is
    ``input_reads``.
    """

    sample: Sample
    reads: DistinctReads
    spike_ins: tuple[SpikeIn, ...]
    spike_in_reads: DistinctReads
    input_reads: int
    fates: tuple[ReadFate, ...]
    input_sha256: str


def reverse_complement(sequence: bytes) -> bytes:
    """The other strand, 5' to 3'.

    >>> reverse_complement(b"AACN")
    b'NGTT'
    """
    return sequence.translate(_COMPLEMENT)[::-1]
