"""Sequences near the tracked one: its read errors, its descendants, and other cells' sequences.

A clone may go on mutating, and a subclone that differs in one to three bases of the tracked
window is not counted by it. It is reported beside the result and never added to it: near
sequences that are not the clone's exist, and a limit of detection holds for the
tracked sequence alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

import numpy as np

from mrd_ngs.denoise import fold_errors
from mrd_ngs.evidence import DistinctReads, reverse_complement
from mrd_ngs.poor_bases import BaseQuality, PoorReads
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import Calibration
from mrd_ngs.window import exact_reads, window_mismatches
from pipeline.detection import decision_count_above_background

__all__ = ["Baseline", "Neighbourhood", "Relation", "Surroundings", "Variant", "look_around", "surroundings"]

_MISMATCHES_MAX = 3
_MIN_TEMPLATES = 2.0
"""Own choice: an error of the first PCR cycles is copied like a template, but is at most half
of one (or, by jackpots, somewhat more); a subclone must weigh as much as two."""

_MIN_COMPARED_NT = 20
_SURROUNDINGS_MISMATCH_RATE = 0.03
"""Own choice: above what errors and a few further mutations change, below the some 6 % by
which hypermutated cells of one V gene differ from each other."""


class Relation(StrEnum):
    """What the bases beyond the tracked window say of a variant."""

    DESCENDANT = "same_sequence_beyond_the_window"
    LOOK_ALIKE = "other_sequence_beyond_the_window"
    UNKNOWN = "not_comparable_beyond_the_window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Bases of a read before and after the tracked window, on the window's strand."""

    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """Reads of the baseline library and its substitutions a base, for one patient."""

    reads: DistinctReads
    error_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A window near the tracked one with more reads than errors of its neighbours explain.

    ``mismatches`` 1 to 3, ``reads`` those of its errors included, ``expected_errors`` the
    reads that errors of its neighbours explain (with the safety factor). ``share`` is its part of the
    reads of the tracked sequence and its own together. ``baseline_reads`` and
    ``in_baseline`` (more of them than errors of the clone explain) are None where no baseline
    library was at hand.
    """

    sequence: str
    mismatches: int
    reads: int
    expected_errors: float
    share: float
    relation: Relation
    baseline_reads: int | None
    in_baseline: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What lies within three mismatches of the tracked window.

    ``own_error_reads`` are explained as read errors of the tracked sequence: evidence for it
    that the count of exact windows leaves out. ``variants``, most abundant first, are other
    sequences.
    """

    own_error_reads: int
    variants: tuple[Variant, ...]

    @property
    def subclones(self) -> tuple[Variant, ...]:
        """Variants that may descend from the clone."""
        return tuple(v for v in self.variants if v.relation is not Relation.LOOK_ALIKE)


@dataclass(slots=True, kw_only=True)
class _Near:
    """One distinct window and the most abundant read that holds it, on the window's strand."""

    mismatches: int
    reads: int
    read: bytes
    start: int
    poor: PoorReads = field(default_factory=PoorReads)


def look_around(
    reads: DistinctReads,
    window: bytes,
    settings: NgsSettings,
    *,
    calibration: Calibration | None,
    clone: Surroundings | None,
    baseline: Baseline | None,
) -> Neighbourhood:
    """Sort the sequences within three mismatches of a tracked window.

    Parameters
    ----------
    reads
        Distinct reads of a library.
    window
        The tracked window, coding strand.
    settings
        Denoising, and the smallest number of reads.
    calibration
        Of the library for this window; without it the error rate is assumed and a variant
        is not held against two templates.
    clone
        The clone's bases beyond the window, from a library in which it was found; None
        where there is none.
    baseline
        Where a variant is looked up; None where it is not at hand.

    Returns
    -------
    Neighbourhood

    Notes
    -----
    Windows that errors of more abundant ones explain are folded into them
    (`mrd_ngs.denoise.fold_errors`), by the qualities of their bases where ``reads`` know them.
    What remains, with at least ``min_reads`` and as much as
    two templates, is a variant. One whose read beyond the window differs from the clone's in
    more than 3 % of the bases is another cell's sequence; one that agrees may be a descendant,
    or a cell that is related to the clone but was never part of it. Insertions and
    deletions are not looked for.
    """
    near = _near_windows(reads, window)
    error_rate = settings.error_rate_assumed if calibration is None else calibration.error_rate
    sequences = sorted(near)
    if not sequences:
        return Neighbourhood(own_error_reads=0, variants=())
    folding = fold_errors(
        sequences,
        np.array([near[s].reads for s in sequences], dtype=np.int64),
        error_rate=error_rate,
        safety=settings.denoise_safety,
        alpha=settings.denoise_alpha,
        quality=BaseQuality.of(reads, [near[s].poor for s in sequences], error_rate),
    )
    exact = near[window].reads if window in near else 0
    own = 0
    least = float(settings.min_reads)
    if calibration is not None:
        least = max(least, _MIN_TEMPLATES * calibration.reads_per_template)
    variants = []
    for i in np.flatnonzero(folding.is_kept).tolist():
        sequence, found = sequences[i], int(folding.reads[i])
        if sequence == window:
            own = found - exact
        elif found >= least:
            baseline_reads, in_baseline = _in_baseline(baseline, sequence, window, settings)
            variants.append(
                Variant(
                    sequence=sequence.decode(),
                    mismatches=near[sequence].mismatches,
                    reads=found,
                    expected_errors=float(folding.expected_errors[i]),
                    share=found / (exact + found),
                    relation=_relation(near[sequence], len(window), clone),
                    baseline_reads=baseline_reads,
                    in_baseline=in_baseline,
                )
            )
    variants.sort(key=lambda v: (-v.reads, v.sequence))
    return Neighbourhood(own_error_reads=own, variants=tuple(variants))


def surroundings(reads: DistinctReads, window: bytes) -> Surroundings | None:
    """The bases beyond a window in the most abundant read that holds it unchanged; None without one.

    Examples
    --------
    >>> window = b"ACGTACCAGT"
    >>> surroundings(DistinctReads.from_counts({b"TT" + window + b"GGG": 4, window: 1}), window)
    Surroundings(before=b'TT', after=b'GGG')
    """
    indices, _ = window_mismatches(reads, window)
    if not len(indices):
        return None
    sequence = reads.sequence(int(indices[0]))
    coding = sequence if window in sequence else reverse_complement(sequence)
    start = coding.index(window)
    return Surroundings(before=coding[:start], after=coding[start + len(window) :])


def _near_windows(reads: DistinctReads, window: bytes) -> dict[bytes, _Near]:
    """Distinct windows within three mismatches, with their reads."""
    near: dict[bytes, _Near] = {}
    indices, mismatches = window_mismatches(reads, window, max_mismatches=_MISMATCHES_MAX)
    for index, fewest in zip(indices.tolist(), mismatches.tolist(), strict=True):  # most abundant first
        canonical = reads.sequence(index)
        coding, start = _laid(canonical, window, fewest)
        sequence, count = coding[start : start + len(window)], int(reads.counts[index])
        if sequence.translate(None, b"ACGT"):
            continue  # a base that was not read is no mutation
        if sequence not in near:
            near[sequence] = _Near(mismatches=fewest, reads=0, read=coding, start=start)
        near[sequence].reads += count
        shares = reads.poor_shares(index, turned=coding != canonical)
        near[sequence].poor.add(count, None if shares is None else shares[start : start + len(window)])
    return near


def _laid(sequence: bytes, window: bytes, mismatches: int) -> tuple[bytes, int]:
    """The read on the window's strand, and where the window lies in it with these mismatches."""
    return next(
        (coding, start)
        for coding in (sequence, reverse_complement(sequence))
        for start in _candidates(coding, window)
        if _differences(coding[start : start + len(window)], window) == mismatches
    )


def _candidates(sequence: bytes, window: bytes) -> Iterator[int]:
    """Places where one of the window's four quarters lies unchanged and the window fits in."""
    quarters = [len(window) * i // (_MISMATCHES_MAX + 1) for i in range(_MISMATCHES_MAX + 2)]
    for at, end in pairwise(quarters):
        place = sequence.find(window[at:end])
        while place >= 0:
            if 0 <= place - at <= len(sequence) - len(window):
                yield place - at
            place = sequence.find(window[at:end], place + 1)


def _differences(one: Sequence[int], other: Sequence[int]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _relation(near: _Near, window_nt: int, clone: Surroundings | None) -> Relation:
    if clone is None:
        return Relation.UNKNOWN
    before, after = near.read[: near.start], near.read[near.start + window_nt :]
    left, right = min(len(before), len(clone.before)), min(len(after), len(clone.after))
    compared = left + right
    if compared < _MIN_COMPARED_NT:
        return Relation.UNKNOWN
    differing = _differences(before[len(before) - left :], clone.before[len(clone.before) - left :])
    differing += _differences(after[:right], clone.after[:right])
    # One further mutation must not part two short stretches.
    is_same = differing <= max(1.0, _SURROUNDINGS_MISMATCH_RATE * compared)
    return Relation.DESCENDANT if is_same else Relation.LOOK_ALIKE


def _in_baseline(
    baseline: Baseline | None, sequence: bytes, window: bytes, settings: NgsSettings
) -> tuple[int | None, bool | None]:
    """Reads of a variant in the baseline, and whether they are more than errors of the clone there."""
    if baseline is None:
        return None, None
    found, clone = (exact_reads(baseline.reads, w) for w in (sequence, window))
    per_base = min(1.0, settings.denoise_safety * baseline.error_rate / 3)
    least = decision_count_above_background(
        clone * per_base ** _differences(sequence, window),
        minimum=settings.min_reads,
        alpha=settings.denoise_alpha,
    )
    return found, found >= least
