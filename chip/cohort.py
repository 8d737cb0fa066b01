"""A cohort's samples: who has CH, in which genes, and what it goes with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from chip.association import Association, associate, cumulative_incidence
from chip.pictures import Mark
from chip.series_tables import SampleTable
from pipeline.errors import InputRefused
from pipeline.formats.csv_table import number_cell, write_csv
from pipeline.formats.delimited import read_table
from pipeline.formats.named_cells import finite_number, named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal

__all__ = [
    "Outcomes",
    "decided_by_patient",
    "exposures",
    "marks_of",
    "read_outcomes",
    "write_associations",
    "write_incidence",
]

Outcomes = tuple[dict[str, dict[str, bool | None]], dict[str, tuple[float, int]]]
"""Yes/no outcomes by name and patient, and follow-up (time, event) by patient."""

_REMEDY = (
    "give patient_id and one column an outcome with 0, 1 or nothing; for incidence smn_time and smn_event "
    "(0 censored, 1 second myeloid neoplasm, 2 another first)"
)
_MIN_CARRIERS = 3  # a gene carried by fewer patients is not tested: nothing could be said of it


def decided_by_patient(tables: Sequence[SampleTable]) -> dict[str, str]:
    """POS, NEG or IND at the CHIP threshold by patient.

    Raises
    ------
    InputRefused
        If a patient has two tables.
    """
    found: dict[str, str] = {}
    for table in tables:
        if table.patient_id in found:
            remedy = "give one sample a patient"
            raise InputRefused("is of a patient who has another table", path=table.path, remedy=remedy)
        found[table.patient_id] = table.at_threshold
    return found


def marks_of(tables: Sequence[SampleTable]) -> list[Mark]:
    """Variants IN and REVIEW of all samples."""
    return [
        Mark(patient_id=t.patient_id, gene=v.gene, change=v.change, verdict=v.verdict, vaf=v.vaf)
        for t in tables
        for v in t.variants
        if v.verdict in ("IN", "REVIEW")
    ]


def exposures(tables: Sequence[SampleTable], decided: Mapping[str, str]) -> dict[str, dict[str, bool | None]]:
    """CH at the threshold, and each gene that enough patients carry there, by patient.

    A patient is without a gene's CH where the sample saw the gene to the threshold and no variant of it
    is open; else undecided.
    """
    states = {"POS": True, "NEG": False, "IND": None}
    found: dict[str, dict[str, bool | None]] = {"CH": {p: states[c] for p, c in decided.items()}}
    carriers: dict[str, set[str]] = {}
    for table in tables:
        for v in table.variants:
            if v.verdict == "IN" and v.at_threshold == "POS":
                carriers.setdefault(v.gene, set()).add(table.patient_id)
    for gene in sorted(carriers):
        if len(carriers[gene]) >= _MIN_CARRIERS:
            found[f"CH {gene}"] = {t.patient_id: _carries(t, gene, carriers[gene]) for t in tables}
    return found


def _carries(table: SampleTable, gene: str, carriers: set[str], threshold: float = 0.02) -> bool | None:
    if table.patient_id in carriers:
        return True
    is_open = any(v.gene == gene and v.verdict != "OUT" and v.at_threshold != "NEG" for v in table.variants)
    limit = table.limits.get(gene)
    return None if is_open or limit is None or limit > threshold else False


def read_outcomes(path: Path) -> Outcomes:
    """Outcomes of patients: columns of 0, 1 or nothing, and ``smn_time`` with ``smn_event``.

    Raises
    ------
    SheetRefused, InputRefused
        If a cell or the table cannot be read.
    """
    from pipeline.errors import SheetRefused

    table = read_table(path, ("patient_id", "smn_time", "smn_event"))
    names = named_columns(table, ("patient_id",), path=path, remedy=_REMEDY)
    plain = [n for n in names if n not in ("patient_id", "smn_time", "smn_event")]
    found: dict[str, dict[str, bool | None]] = {name: {} for name in plain}
    follow_up: dict[str, tuple[float, int]] = {}
    problems = []
    for record in table.records:
        cells = named_cells(record, names)
        if isinstance(cells, Refusal):
            problems.append(cells.at(record.line, None))
            continue
        patient = cells["patient_id"]
        for name in plain:
            if cells[name] not in ("0", "1", ""):
                refusal = Refusal("cell_impossible", "is neither 0 nor 1", _REMEDY)
                problems.append(refusal.at(record.line, name))
                continue
            found[name][patient] = None if not cells[name] else cells[name] == "1"
        time, event = cells.get("smn_time", ""), cells.get("smn_event", "")
        if time or event:
            number = finite_number(time)
            if number is None or number <= 0 or event not in ("0", "1", "2"):
                refusal = Refusal("cell_impossible", "no positive time with event 0, 1 or 2", _REMEDY)
                problems.append(refusal.at(record.line, "smn_time"))
                continue
            follow_up[patient] = (number, int(event))
    if problems:
        raise SheetRefused(path, problems)
    return found, follow_up


def write_associations(
    path: Path,
    exposed: Mapping[str, Mapping[str, bool | None]],
    outcomes: Mapping[str, Mapping[str, bool | None]],
) -> tuple[Association, ...]:
    """Test every exposure against every outcome and write the table; gives the rows."""
    found = associate(exposed, outcomes)
    counts = ("exposed", "exposed_events", "others", "other_events", "undecided", "unknown")
    numbers = (
        "risk_exposed", "risk_others", "difference", "difference_low", "difference_high", "odds_ratio",
        "odds_low", "odds_high", "p_exact", "q",
    )  # fmt: skip
    rows = [
        [
            a.exposure,
            a.outcome,
            *(str(getattr(a, name)) for name in counts),
            *(number_cell(getattr(a, name), digits=6) for name in numbers),
            a.reason,
        ]
        for a in found
    ]
    write_csv(path, ("exposure", "outcome", *counts, *numbers, "reason"), rows)
    return found


def write_incidence(
    path: Path, exposure: Mapping[str, bool | None], follow_up: Mapping[str, tuple[float, int]]
) -> None:
    """Write the cumulative incidence of a second myeloid neoplasm by CH at the threshold."""
    rows = [
        [group, *(number_cell(v, digits=6) for v in numbers)]
        for group, *numbers in cumulative_incidence(exposure, follow_up)
    ]
    write_csv(path, ("ch", "time", "estimate", "ci_low", "ci_high"), rows)
