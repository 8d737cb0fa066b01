"""What people decided about a batch: results revised by hand, and signatures."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.model.result import MrdResult

__all__ = ["AppliedChange", "Change", "Revision", "SampleKey", "Signature"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SampleKey:
    """One sample as one method saw it."""

    patient_id: str
    timepoint: str
    material: str
    assay: str
    panel: str
    run_id: str

    @classmethod
    def of(cls, result: MrdResult) -> "SampleKey":
        """The sample that a result is of."""
        return cls(
            patient_id=result.patient_id,
            timepoint=result.timepoint,
            material=str(result.material),
            assay=str(result.assay),
            panel=result.panel,
            run_id=result.run_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that an analyst decided otherwise, and why.

    A gate: ``tube`` (1-based), ``gate``, ``dimension`` and the new ``low``, ``high`` or both,
    on the scale of the gate. A marker: ``target_id`` of the one that is left out.
    """

    reviewer: str
    reason: str
    made_at: datetime
    tube: int = 0
    gate: str = ""
    dimension: str = ""
    low: float | None = None
    high: float | None = None
    target_id: str = ""

    def __post_init__(self) -> None:
        if bool(self.gate) == bool(self.target_id):
            raise ValueError("a change is of a gate or of a marker")
        if self.gate and (self.tube < 1 or not self.dimension or (self.low is None and self.high is None)):
            raise ValueError("a gate is changed in a tube and a dimension, to a low or a high bound")

    @property
    def text(self) -> str:
        """What was changed, in words.

        >>> from datetime import datetime, UTC
        >>> who = {"reviewer": "A1", "reason": "dim", "made_at": datetime(2026, 3, 1, tzinfo=UTC)}
        >>> Change(tube=1, gate="plasma_cells", dimension="CD38", low=0.6, **who).text
        'tube 1, gate plasma_cells: CD38 from 0.6'
        >>> Change(target_id="IGK-1", **who).text
        'marker IGK-1 left out'
        """
        if self.target_id:
            return f"marker {self.target_id} left out"
        low = "" if self.low is None else f" from {self.low:g}"
        high = "" if self.high is None else f" to {self.high:g}"
        return f"tube {self.tube}, gate {self.gate}: {self.dimension}{low}{high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedChange:
    """A change as a table keeps it: the sample, what, why, who, when, and whether it is in force."""

    patient_id: str
    timepoint: str
    material: str
    assay: str
    panel: str
    run_id: str
    change: str
    reason: str
    reviewer: str
    made_at: datetime
    applies: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The results of one sample after the changes that are in force; the automatic ones stay beside.

    ``automatic_sha256`` is the digest of the automatic results it was made from; where these
    are others now, ``applies`` is False and the automatic results stand alone.
    """

    sample: SampleKey
    changes: tuple[Change, ...]
    results: tuple[MrdResult, ...]
    automatic_sha256: str
    applies: bool

    @property
    def rows(self) -> tuple[AppliedChange, ...]:
        """Each change with its sample, as a table keeps it."""
        return tuple(
            AppliedChange(
                patient_id=self.sample.patient_id,
                timepoint=self.sample.timepoint,
                material=self.sample.material,
                assay=self.sample.assay,
                panel=self.sample.panel,
                run_id=self.sample.run_id,
                change=change.text,
                reason=change.reason,
                reviewer=change.reviewer,
                made_at=change.made_at,
                applies=self.applies,
            )
            for change in self.changes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A person vouches for what was seen of one patient.

    ``seen_sha256`` is the digest of all results, automatic and revised, that were shown;
    ``is_current`` whether they are the same now. ``withdrawn_by`` is empty where it stands.
    """

    signature_id: str
    patient_id: str
    reviewer: str
    meaning: str
    signed_at: datetime
    seen_sha256: str
    is_current: bool
    withdrawn_by: str = ""
    withdrawn_reason: str = ""
    withdrawn_at: datetime | None = None

    @property
    def stands(self) -> bool:
        """Neither withdrawn nor of results that have changed since."""
        return self.is_current and not self.withdrawn_by
