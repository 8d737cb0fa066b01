"""One sample of a run, reduced to the reads of every marker of the run."""

from collections.abc import Sequence
from dataclasses import dataclass

from mrd_ngs.clonotype import find_clonotypes
from mrd_ngs.evidence import Library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.track import track_marker
from pipeline.model import Marker, Role

__all__ = ["LocusTally", "Tally", "donor_reads", "is_shared", "tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocusTally:
    """Clones with a junction of one locus, their reads, and those of the largest."""

    locus: str
    clones: int
    reads: int
    largest_reads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One sample of the run, reduced to the reads of every marker of the run.

    ``marker_reads`` and ``look_alike_reads`` (expected from errors of near sequences) are in
    the order of the run's markers. ``kept_reads`` are all but spike-ins and short
    ones. ``loci`` are those of a polyclonal control; nobody looks at them in another sample.
    """

    patient_id: str
    role: Role
    input_sha256: str
    kept_reads: int
    marker_reads: tuple[int, ...]
    look_alike_reads: tuple[float, ...]
    loci: tuple[LocusTally, ...] = ()


def tally(library: Library, role: Role, markers: Sequence[Marker], settings: NgsSettings) -> Tally:
    """Count every marker of the run in one sample.

    Parameters
    ----------
    library
        Any sample of the run; it need not be kept afterwards.
    role
        Patient or control.
    markers
        All tracked markers of the run, of all patients.
    settings
        Run choices.
    """
    tracks = [track_marker(library, marker, settings) for marker in markers]
    return Tally(
        patient_id=library.sample.patient_id if role is Role.PATIENT else "",
        role=role,
        input_sha256=library.input_sha256,
        kept_reads=int(library.reads.counts.sum()),
        marker_reads=tuple(track.window.exact for track in tracks),
        look_alike_reads=tuple(track.background_reads for track in tracks),
        loci=_loci(library, settings) if role is Role.POLYCLONAL else (),
    )


def _loci(library: Library, settings: NgsSettings) -> tuple[LocusTally, ...]:
    """By clones and not by sequences: errors and lengths of reads split a clone, not its junction."""
    clones = [c for c in find_clonotypes(library, settings).clonotypes if c.junction]
    reads = {
        locus: [c.duplicate_count for c in clones if c.locus == locus]
        for locus in sorted({c.locus for c in clones})
    }
    return tuple(
        LocusTally(locus=locus, clones=len(each), reads=sum(each), largest_reads=max(each))
        for locus, each in reads.items()
    )


def donor_reads(tallies: Sequence[Tally], column: int, sample: int) -> int:
    """Reads of one marker in all samples but one; both count from 0."""
    return sum(t.marker_reads[column] for number, t in enumerate(tallies) if number != sample)


def is_shared(marker: Marker, patient_id: str, markers: Sequence[Marker]) -> bool:
    """Whether a patient has a marker of the same window as another's."""
    own = [m.sequence for m in markers if m.patient_id == patient_id]
    return any(marker.sequence in window or window in marker.sequence for window in own)
