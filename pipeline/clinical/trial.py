"""A trial's clinical tables together, and the form every endpoint table has."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pipeline.clinical.follow_up import AdverseEvent, ImagingResult, Outcome, Patient
from pipeline.clinical.laboratory import LabValue
from pipeline.clinical.response_table import AssignedResponse
from pipeline.clinical.treatment import Course, Harvest
from pipeline.detection import Call, call_at, clopper_pearson
from pipeline.formats.csv_table import number_cell
from pipeline.model import Material, Status

if TYPE_CHECKING:
    from pipeline.clinical.lesions import Lesion

__all__ = ["RATE_COLUMNS", "EndpointTable", "MrdReading", "Trial", "rate_cells", "shown", "unknown_patients"]

RATE_COLUMNS = ("patients", "with_it", "rate", "ci_low", "ci_high", "reason")
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MrdReading:
    """One result of one sample: what the endpoints need of it."""

    patient_id: str
    timepoint: str
    collected_on: date
    material: Material
    method: str
    target_id: str
    status: Status
    value: float | None
    lod: float | None

    def reaches(self, threshold: float) -> bool:
        """Whether it was evaluable, and its own limit of detection is at or below a threshold."""
        evaluable = self.status in (Status.DETECTED, Status.NOT_DETECTED)
        return evaluable and self.lod is not None and self.lod <= threshold

    def call(self, threshold: float) -> Call:
        """How it reads at a threshold; indeterminate unless it was evaluable."""
        if (
            self.status not in (Status.DETECTED, Status.NOT_DETECTED)
            or self.value is None
            or self.lod is None
        ):
            return Call.INDETERMINATE
        detected = self.status is Status.DETECTED
        return call_at(threshold, detected=detected, value=self.value, lod=self.lod)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The tables of a trial; one that was not given is empty."""

    patients: tuple[Patient, ...] = ()
    courses: tuple[Course, ...] = ()
    harvests: tuple[Harvest, ...] = ()
    events: tuple[AdverseEvent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    imaging: tuple[ImagingResult, ...] = ()
    responses: tuple[AssignedResponse, ...] = ()
    mrd: tuple[MrdReading, ...] = ()
    lesions: "tuple[Lesion, ...]" = ()
    labs: tuple[LabValue, ...] = ()

    @property
    def enrolled(self) -> tuple[str, ...]:
        """The intention-to-treat set: the baseline table's patients, in order of their pseudonyms."""
        return tuple(sorted(p.patient_id for p in self.patients))

    def arms(self) -> dict[str, frozenset[str]]:
        """Patients by arm; all of them under an empty name, first."""
        found: dict[str, set[str]] = {"": set(self.enrolled)}
        for patient in sorted(self.patients, key=lambda p: p.arm):
            if patient.arm:
                found.setdefault(patient.arm, set()).add(patient.patient_id)
        return {arm: frozenset(members) for arm, members in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTable:
    """A table by the name of its file, without the suffix."""

    name: str
    columns: Cells
    rows: tuple[Cells, ...]


def rate_cells(with_it: int, patients: int, *, why_none: str = "nobody is in this set") -> Cells:
    """The cells of `RATE_COLUMNS`: a share with its exact interval, or the reason why there is none.

    >>> rate_cells(86, 172)[:5]
    ('172', '86', '0.5', '0.422942009', '0.577057991')
    """
    if not patients:
        return "0", "0", "", "", "", why_none
    low, high = clopper_pearson(with_it, patients)
    return str(patients), str(with_it), *map(shown, (with_it / patients, low, high)), ""


def shown(value: float | None) -> str:
    """A number of an endpoint table, with nine digits; an empty cell for none."""
    return number_cell(value, digits=9)


def unknown_patients(trial: Trial) -> tuple[str, ...]:
    """One sentence per table that has patients the baseline table does not know."""
    known = set(trial.enrolled)
    tables: Sequence[tuple[str, Iterable[str]]] = (
        ("treatment", (c.patient_id for c in trial.courses)),
        ("harvest", (h.patient_id for h in trial.harvests)),
        ("adverse events", (r.patient_id for r in trial.events)),
        ("outcome", (r.patient_id for r in trial.outcomes)),
        ("imaging", (i.patient_id for i in trial.imaging)),
        ("responses", (r.patient_id for r in trial.responses)),
        ("MRD", (r.patient_id for r in trial.mrd)),
        ("lesions", (x.patient_id for x in trial.lesions)),
    )
    notes = []
    for name, members in tables:
        strangers = sorted(set(members) - known)
        if strangers:
            first = ", ".join(strangers[:5]) + (" …" if len(strangers) > 5 else "")
            notes.append(f"{name}: {len(strangers)} patients are not in the baseline table: {first}")
    return tuple(notes)
