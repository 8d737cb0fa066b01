"""What the rows of a sample sheet must agree on with each other.

A rule here looks only at cells that were read without a problem, so that one mistake is
reported once: a baseline whose date is refused still counts as a baseline.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain, pairwise
from pathlib import Path

from pipeline.errors import Problem
from pipeline.formats.sheet_cells import LocatedFile
from pipeline.model import Assay, Material, Role, Sex

__all__ = ["Row", "between_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row as far as it could be read; None stands for a cell that was empty or refused."""

    line: int
    patient_id: str | None = None
    timepoint: str | None = None
    collected_on: date | None = None
    material: Material | None = None
    assay: Assay | None = None
    panel: str = ""
    run_id: str = ""
    cells: int | None = None
    dna_ng: float | None = None
    sex: Sex | None = None
    role: Role = Role.PATIENT
    files: tuple[LocatedFile, ...] = ()
    sha256: tuple[str, ...] = ()
    spike_ins: Path | None = None
    readable: bool = True

    @property
    def visit(self) -> tuple[str | None, str | None, Material | None]:
        """Patient, time point and material."""
        return (self.patient_id, self.timepoint, self.material)


def between_rows(
    rows: Sequence[Row], *, baseline: str, timepoints: Sequence[str] | None
) -> Iterator[Problem]:
    """Every contradiction between rows, reported at the later row."""
    yield from _duplicates(rows)
    yield from _shared_files(rows)
    yield from _shared_digests(rows)
    yield from _spellings(rows)
    by_patient: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.patient_id is not None:
            by_patient[row.patient_id].append(row)
    for patient_rows in by_patient.values():
        yield from _roles(patient_rows)
        if any(row.role is not Role.PATIENT for row in patient_rows):
            continue
        yield from _sexes(patient_rows)
        yield from _baselines(patient_rows, baseline)
        if timepoints is not None:
            yield from _dates(patient_rows, timepoints)


def _problem(line: int, column: str | None, code: str, cause: str, remedy: str) -> Problem:
    return Problem(line=line, column=column, code=code, cause=cause, remedy=remedy)


def _duplicates(rows: Iterable[Row]) -> Iterator[Problem]:
    first: dict[object, int] = {}
    for row in rows:
        if None in (*row.visit, row.assay):
            continue
        key = (row.visit, row.assay, row.panel, row.run_id)
        if key in first:
            yield _problem(
                row.line,
                None,
                "duplicate_row",
                f"the same sample as line {first[key]}",
                "remove one of the two; give replicates different run_ids",
            )
        first.setdefault(key, row.line)


def _shared_files(rows: Iterable[Row]) -> Iterator[Problem]:
    users: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        for file in row.files:
            others = users[file.identity]
            # One marrow BAM serves both the tumour panel and chip, one barcoded mass cytometry run
            # all of its samples; nothing else may share.
            if row.assay is Assay.CYTOF and all(o.assay is Assay.CYTOF for o in others):
                others.append(row)
                continue
            clash = next((o for o in others if o.visit != row.visit or o.assay is row.assay), None)
            if clash is not None:
                yield _problem(
                    row.line,
                    f"file_{row.files.index(file) + 1}",
                    "file_reused",
                    f"the same file as in line {clash.line}",
                    "name each sample's own file (links and other spellings of a path are followed)",
                )
            others.append(row)


def _shared_digests(rows: Iterable[Row]) -> Iterator[Problem]:
    seen: dict[str, Row] = {}
    for row in rows:
        for number, digest in enumerate(row.sha256, start=1):
            other = seen.setdefault(digest, row) if digest else row
            if row.assay is Assay.CYTOF and other.assay is Assay.CYTOF and other is not row:
                continue  # one run holds many samples
            within = row.sha256.index(digest) + 1 < number and bool(digest)
            if within or (other is not row and (other.visit != row.visit or other.assay is row.assay)):
                yield _problem(
                    row.line,
                    f"sha256_{number}",
                    "sha256_reused",
                    f"the same SHA-256 as in line {other.line}",
                    "two files cannot have one content; correct the digest or the file",
                )


def _spellings(rows: Iterable[Row]) -> Iterator[Problem]:
    """Patients whose pseudonyms differ in case only: one page would overwrite the other on some disks."""
    first: dict[str, Row] = {}
    reported: set[str] = set()
    for row in rows:
        if row.patient_id is None or row.patient_id in reported:
            continue
        other = first.setdefault(row.patient_id.lower(), row)
        if other.patient_id != row.patient_id:
            reported.add(row.patient_id)
            yield _problem(
                row.line,
                "patient_id",
                "differs_in_case",
                f"differs from the patient of line {other.line} in upper and lower case only",
                "spell one patient alike everywhere",
            )


def _roles(rows: Sequence[Row]) -> Iterator[Problem]:
    """A name is a patient's, or one control's."""
    known = [row for row in rows if row.readable]
    for row in known[1:]:
        if row.role is not known[0].role:
            yield _problem(
                row.line,
                "role",
                "role_contradicted",
                f"not the role that line {known[0].line} gives for the same patient_id",
                "give a control a name of its own in patient_id",
            )


def _sexes(rows: Sequence[Row]) -> Iterator[Problem]:
    stated = [row for row in rows if row.sex is not None]
    for row in stated:
        if row.sex is not stated[0].sex:
            yield _problem(
                row.line,
                "sex",
                "sex_contradicted",
                f"not the sex that line {stated[0].line} gives for this patient",
                "correct one of the two, or find out whether the sample was swapped",
            )


def _baselines(rows: Sequence[Row], baseline: str) -> Iterator[Problem]:
    """Sequencing follows a clone that is found at baseline."""
    uncertain = any(
        not r.readable or r.assay is None or (r.assay is Assay.NGS and r.timepoint is None) for r in rows
    )
    sequenced = [row for row in rows if row.assay is Assay.NGS]
    if uncertain or not sequenced or any(row.timepoint == baseline for row in sequenced):
        return
    yield _problem(
        sequenced[0].line,
        "timepoint",
        "baseline_missing",
        f"a follow-up by ngs, but no row gives this patient's ngs sample at {baseline}",
        f"add the row of the {baseline} sample: its clone is what is looked for later",
    )


def _dates(rows: Sequence[Row], timepoints: Sequence[str]) -> Iterator[Problem]:
    """Time points in the study's order have dates in that order; each is compared with the one before."""
    by_timepoint: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.timepoint is not None and row.collected_on is not None:
            by_timepoint[row.timepoint].append(row)
    present = [by_timepoint[code] for code in timepoints if code in by_timepoint]
    yield from chain.from_iterable(_pair_of_dates(a, b) for a, b in pairwise(present))


def _pair_of_dates(earlier: Sequence[Row], later: Sequence[Row]) -> Iterator[Problem]:
    def day(row: Row) -> date:
        assert row.collected_on is not None  # _dates keeps no other
        return row.collected_on

    last, first = max(earlier, key=day), min(later, key=day)
    if day(first) < day(last):
        yield _problem(
            first.line,
            "collected_on",
            "dates_out_of_order",
            f"before this patient's {last.timepoint} of line {last.line}, which comes earlier in the study",
            "correct the date or the time point of one of the two",
        )
