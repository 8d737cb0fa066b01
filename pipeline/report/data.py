"""What a report is made from: results, markers, gates, and where they came from."""

from dataclasses import dataclass

from pipeline.clinical.trial import Trial
from pipeline.concordance import Comparison, ComparisonRow, PairRow
from pipeline.model import (
    Finding,
    GateCount,
    Marker,
    MrdResult,
    PopulationChange,
    PopulationShare,
    Revision,
    Signature,
    ValidatedLimits,
    is_identifier,
)
from pipeline.model.chip import ChipResult, ChipVariant

__all__ = ["InputFile", "PatientNote", "Provenance", "ReportData", "TimepointLabel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimepointLabel:
    """A time point's code in the sheet and its name for people."""

    code: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One input: the patient it belongs to, its name without folders, its SHA-256.

    ``unverified`` marks a file whose damage only a stated digest would have shown, and
    whose sheet stated none.
    """

    patient_id: str
    name: str
    sha256: str
    unverified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientNote:
    """Something to be seen on one patient's page (and on the cohort's)."""

    patient_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """By what the results were made. Method versions are read off the results."""

    version: str
    config_sha256: str
    plan_sha256: str
    inputs: tuple[InputFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything the pages show.

    ``timepoints`` are in the order of the trial; a result at another time point is shown
    after them. ``thresholds`` are fractions in (0, 1), the first is the headline's.
    ``notes`` are shown as a banner on the cohort page (a patient's page only says that
    there are some, as they may name other patients), ``patient_notes`` on both.
    ``unverified`` names defaults in use that no published number confirms. ``comparisons``
    and ``pairs`` are of every two methods of the batch, ``compared`` what they were made from: the
    figures are drawn from it. ``validated`` are the assays' own limits, shown beside each sample's.
    ``trial`` are the clinical tables, where the study has them.

    Raises
    ------
    ValueError
        If a study or patient identifier is none (a path is made from it), if a threshold
        is not a fraction, or if none is given.
    """

    study_id: str
    title: str
    timepoints: tuple[TimepointLabel, ...]
    thresholds: tuple[float, ...]
    results: tuple[MrdResult, ...]
    markers: tuple[Marker, ...] = ()
    gates: tuple[GateCount, ...] = ()
    findings: tuple[Finding, ...] = ()
    populations: tuple[PopulationShare, ...] = ()
    changes: tuple[PopulationChange, ...] = ()
    chip: tuple[ChipResult, ...] = ()
    chip_variants: tuple[ChipVariant, ...] = ()
    revisions: tuple[Revision, ...] = ()
    signatures: tuple[Signature, ...] = ()
    comparisons: tuple[ComparisonRow, ...] = ()
    pairs: tuple[PairRow, ...] = ()
    compared: tuple[Comparison, ...] = ()
    validated: tuple[ValidatedLimits, ...] = ()
    trial: Trial | None = None
    provenance: Provenance
    notes: tuple[str, ...] = ()
    patient_notes: tuple[PatientNote, ...] = ()
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.thresholds or not all(0 < c < 1 for c in self.thresholds):
            raise ValueError("a report needs thresholds, each a fraction between 0 and 1")
        if not is_identifier(self.study_id):
            raise ValueError("study_id is not an identifier")
        if not all(is_identifier(p) for p in self.patients):
            raise ValueError("a patient_id is not an identifier")

    @property
    def patients(self) -> tuple[str, ...]:
        """Everybody who has a result, a marker, a gate count, an input file or a note, sorted."""
        records = (
            *(
                self.results,
                self.markers,
                self.gates,
                self.findings,
                self.populations,
                self.changes,
                self.chip,
            ),
            *(self.provenance.inputs, self.patient_notes),
        )
        return tuple(sorted({r.patient_id for kind in records for r in kind}))

    @property
    def timepoint_codes(self) -> tuple[str, ...]:
        """Time points in order; those that only results know follow, by their first date."""
        planned = tuple(t.code for t in self.timepoints)
        first: dict[str, str] = {}
        for result in self.results:
            day = result.collected_on.isoformat()
            first[result.timepoint] = min(day, first.get(result.timepoint, day))
        others = sorted((day, code) for code, day in first.items() if code not in planned)
        return planned + tuple(code for _, code in others)

    def timepoint_label(self, code: str) -> str:
        """The name of a time point for people; its code where it has none."""
        return next((t.label for t in self.timepoints if t.code == code and t.label), code)

    @property
    def ordered_results(self) -> tuple[MrdResult, ...]:
        """Results by patient, time point, date, method and target."""
        rank = {code: i for i, code in enumerate(self.timepoint_codes)}
        assays = {name: i for i, name in enumerate(method_order(self.results))}
        return tuple(
            sorted(
                self.results,
                key=lambda r: (
                    r.patient_id,
                    rank[r.timepoint],
                    r.collected_on,
                    assays[r.method],
                    r.target_id,
                    r.material,
                ),
            )
        )


def method_order(results: tuple[MrdResult, ...]) -> tuple[str, ...]:
    """Methods in the order in which pages show them: flow, sequencing, the rest; then by panel."""
    place = {"flow": 0, "ngs": 1}
    found = {(place.get(r.assay, 2), r.assay, r.panel, r.method) for r in results}
    return tuple(method for _, _, _, method in sorted(found))
