"""One sample of a run, reduced to the reads of every marker of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mrd_ngs.evidence import Library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.track import track_marker
from pipeline.model import Marker

__all__ = ["Role", "Tally", "donor_reads", "is_shared", "tally"]


class Role(StrEnum):
    """What a sample of a run is."""

    PATIENT = "patient"
    NEGATIVE = "negative_control"
    POLYCLONAL = "polyclonal_control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One sample of the run, reduced to the reads of every marker of the run.

    ``marker_reads`` and ``look_alike_reads`` (expected from errors of near sequences) are in
    the order of the run's markers. ``kept_reads`` are all but spike-ins and short
    ones; ``top_sequence_reads`` those of the most abundant sequence among them.
    """

    patient_id: str
    role: Role
    input_sha256: str
    kept_reads: int
    top_sequence_reads: int
    marker_reads: tuple[int, ...]
    look_alike_reads: tuple[float, ...]


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
    counts = library.reads.counts
    return Tally(
        patient_id=library.sample.patient_id if role is Role.PATIENT else "",
        role=role,
        input_sha256=library.input_sha256,
        kept_reads=int(counts.sum()),
        top_sequence_reads=int(counts.max()) if len(counts) else 0,
        marker_reads=tuple(track.window.exact for track in tracks),
        look_alike_reads=tuple(track.background_reads for track in tracks),
    )


def donor_reads(tallies: Sequence[Tally], column: int, sample: int) -> int:
    """Reads of one marker in all samples but one; both count from 0."""
    return sum(t.marker_reads[column] for number, t in enumerate(tallies) if number != sample)


def is_shared(marker: Marker, patient_id: str, markers: Sequence[Marker]) -> bool:
    """Whether a patient has a marker of the same window as another's."""
    own = [m.sequence for m in markers if m.patient_id == patient_id]
    return any(marker.sequence in window or window in marker.sequence for window in own)
