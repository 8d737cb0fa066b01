"""The sample sheet: rows of text to `Sample`, every problem in one pass.

One row is one sample of one assay. The rules about a single cell are in `sheet_cells`,
those about encoding and delimiters in `delimited`; here are the columns, what a row must
agree on with itself, and (`sheet_rows`) what rows must agree on with each other.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import Record, read_table
from pipeline.formats.sheet_cells import (
    Refusal,
    closest,
    locate_file,
    read_cells,
    read_choice,
    read_date,
    read_dna_ng,
    read_identifier,
    read_sha256,
    unreadable_text,
)
from pipeline.formats.sheet_rows import Row, between_rows
from pipeline.model import Assay, Material, Sample, Sex, is_identifier, looks_personal

__all__ = ["COLUMNS", "OPTIONAL_COLUMNS", "SheetCheck", "check_sheet", "read_sheet"]

COLUMNS = (
    "patient_id", "timepoint", "collected_on", "material", "assay", "file_1", "file_2", "run_id", "cells",
    "dna_ng", "spike_ins", "panel", "sex",
)  # fmt: skip
OPTIONAL_COLUMNS = ("sha256_1", "sha256_2")
_FILLED = ("patient_id", "timepoint", "collected_on", "material", "assay", "file_1")
_RANK = {name: i for i, name in enumerate((*COLUMNS, *OPTIONAL_COLUMNS))}

_READS = (".fastq", ".fastq.gz", ".fq", ".fq.gz")
_VARIANTS = (".bam", ".cram", ".vcf", ".vcf.gz", ".tsv", *_READS)
_SUFFIXES: Mapping[Assay, tuple[str, ...]] = {
    Assay.NGS: _READS,
    Assay.FLOW: (".fcs", ".lmd"),
    Assay.CYTOF: (".fcs",),
    Assay.TUMOUR: _VARIANTS,
    Assay.CFDNA: _VARIANTS,
    Assay.CHIP: _VARIANTS,
}
# Formats with a checksum or an end mark of their own; damage to the others shows in a hash only.
_CHECKED_BY_THEMSELVES = (".gz", ".bam", ".cram")
_CELLULAR = (Assay.NGS, Assay.FLOW, Assay.CYTOF)
_ALIASES = {
    "material": {
        "bm": "bone_marrow", "marrow": "bone_marrow", "bm_aspirate": "bone_marrow", "aspirate": "bone_marrow",
        "pb": "peripheral_blood", "blood": "peripheral_blood", "graft": "stem_cell_product",
        "pbsc": "stem_cell_product", "apheresis": "stem_cell_product",
    },
    "assay": {
        "ngf": "flow", "facs": "flow", "euroflow": "flow", "srl": "flow", "ig_ngs": "ngs", "clonoseq": "ngs",
        "tumor": "tumour", "wgs": "tumour", "ctdna": "cfdna", "cfdna_panel": "cfdna", "mass_cytometry": "cytof",
    },
    "sex": {"female": "F", "male": "M", "f": "F", "m": "M", "woman": "F", "man": "M"},
}  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetCheck:
    """Everything that can be said of a sheet: ``samples`` are given where there is no problem."""

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def read_sheet(
    path: Path,
    *,
    study_id: str,
    timepoints: Sequence[str] | None,
    panels: Collection[str] | None,
    baseline: str | None = None,
) -> tuple[Sample, ...]:
    """Samples of a sheet that has no problem; see `check_sheet` for the parameters.

    Raises
    ------
    SheetRefused
        With every problem of the sheet, in the order of lines and columns.
    """
    check = check_sheet(path, study_id=study_id, timepoints=timepoints, panels=panels, baseline=baseline)
    if check.problems:
        raise SheetRefused(path, check.problems)
    return check.samples


def check_sheet(
    path: Path,
    *,
    study_id: str,
    timepoints: Sequence[str] | None,
    panels: Collection[str] | None,
    baseline: str | None = None,
) -> SheetCheck:
    """Read a sheet and find everything that is wrong with it; open no file that it names.

    Parameters
    ----------
    path
        CSV, TSV or semicolons; paths inside are relative to its folder.
    study_id
        The study all samples belong to.
    timepoints
        Known codes in the order of time; None where any may occur.
    panels
        Names of the flow panels that ship; a mapping gives the number of tubes of each
        besides. None where any may occur. A path of a TOML file is always accepted.
    baseline
        Code of the baseline; by default the first of ``timepoints``, else ``BASE``.

    Returns
    -------
    SheetCheck
        Problems, which refuse the sheet, and warnings, which do not.

    Notes
    -----
    Two rows are the same sample when patient, time point, material, assay, panel and
    run_id agree: replicates need different run_ids, two panels of one visit do not.
    One file may serve two assays of the same patient, time point and material (a marrow
    BAM for tumour and chip) and nothing else.
    """
    path = Path(path)
    try:
        table = read_table(path, _RANK)
    except SheetRefused as refused:
        return SheetCheck(samples=(), problems=refused.problems, warnings=())
    found = _Findings(list(table.problems))
    columns = _columns_of(table.header, found)
    if columns is None:
        return found.check(())
    if not table.records and not table.problems:
        found.problem(
            table.header.line, None, Refusal("no_samples", "has a header only", "add a row per sample")
        )
    rules = _Rules(
        study_id=study_id,
        folder=path.parent,
        timepoints=timepoints,
        panels=panels,
        baseline=baseline or (timepoints[0] if timepoints else "BASE"),
    )
    rows = [_read_row(record, columns, len(table.header.cells), rules, found) for record in table.records]
    for problem in between_rows(rows, baseline=rules.baseline, timepoints=timepoints):
        found.problems.append(problem)
    return found.check(() if found.problems else tuple(_sample(row, rules) for row in rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    study_id: str
    folder: Path
    timepoints: Sequence[str] | None
    panels: Collection[str] | None
    baseline: str


class _Findings:
    """Problems and warnings as they are found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.warnings: list[Problem] = []

    def problem(self, line: int, column: str | None, refusal: Refusal) -> None:
        self.problems.append(_at(line, column, refusal))

    def warn(self, line: int, column: str | None, refusal: Refusal) -> None:
        self.warnings.append(_at(line, column, refusal))

    def check(self, samples: tuple[Sample, ...]) -> SheetCheck:
        return SheetCheck(
            samples=samples, problems=_in_order(self.problems), warnings=_in_order(self.warnings)
        )


def _at(line: int, column: str | None, refusal: Refusal) -> Problem:
    return Problem(line=line, column=column, code=refusal.code, cause=refusal.cause, remedy=refusal.remedy)


def _in_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    def key(problem: Problem) -> tuple[int, int, str, str]:
        column = problem.column
        rank = -1 if column is None else _RANK.get(column, len(_RANK))
        return (problem.line or 0, rank, column or "", problem.code)

    return tuple(sorted(problems, key=key))


# --- header ---------------------------------------------------------------------------


def _columns_of(header: Record, found: _Findings) -> dict[str, int] | None:
    """Place of each column; a misspelled name stands for the column it resembles, so that rows are read."""
    names = [cell.strip().strip("\ufeff") for cell in header.cells]
    if sum(name.lower() in _RANK for name in names) < 2:
        found.problem(
            header.line,
            None,
            Refusal("no_header", "no column names on the first line", f"start with {','.join(COLUMNS)}"),
        )
        return None
    columns: dict[str, int] = {}
    strangers: list[tuple[int, str]] = []
    for place, name in enumerate(names):
        if name in columns:
            found.problem(
                header.line, name, Refusal("duplicate_column", "is there twice", "keep one of the two")
            )
        elif name in _RANK:
            columns[name] = place
        elif name or any(names[place:]):
            strangers.append((place, name))
    for place, name in strangers:
        _stranger(header.line, place, name, columns, found)
    for name in COLUMNS:
        if name not in columns:
            remedy = "add it" if name in _FILLED else "add it; its cells may be empty"
            found.problem(header.line, name, Refusal("missing_column", "the column is missing", remedy))
    return columns


def _stranger(line: int, place: int, name: str, columns: dict[str, int], found: _Findings) -> None:
    guess = closest(name, [known for known in _RANK if known not in columns]) if name else None
    shown = name if _harmless(name) else f"column {place + 1}"
    if guess is not None:
        columns[guess] = place
        remedy = f"did you mean '{guess}'?"
    else:
        remedy = f"remove it; nadir reads {', '.join(_RANK)}"
    code, cause = ("unknown_column", "not a known column") if name else ("unnamed_column", "has no name")
    found.problem(line, shown, Refusal(code, cause, remedy))


def _harmless(name: str) -> bool:
    plain = "_".join(name.split())
    return is_identifier(plain) and looks_personal(plain) is None


# --- rows -----------------------------------------------------------------------------


def _read_row(record: Record, columns: dict[str, int], width: int, rules: _Rules, found: _Findings) -> Row:
    cells = list(record.cells)
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    if len(cells) != width:
        found.problem(
            record.line,
            None,
            Refusal(
                "wrong_cell_count",
                f"{len(cells)} cells under {width} column names",
                "give every column a cell, if an empty one; quote a cell that holds the delimiter",
            ),
        )
        place = columns.get("patient_id", width)
        return Row(line=record.line, patient_id=cells[place].strip() if place < len(cells) else None)
    reader = _RowReader(record.line, {name: cells[place] for name, place in columns.items()}, found)
    return _checked(reader, rules)


class _RowReader:
    """One row's cells, each read at most once; refusals go to the findings."""

    def __init__(self, line: int, cells: Mapping[str, str], found: _Findings) -> None:
        self.line = line
        self.found = found
        self._cells: dict[str, str] = {}
        self.unreadable: set[str] = set()
        for name, cell in cells.items():
            text = cell.strip()
            refusal = unreadable_text(text)
            if refusal is None:
                self._cells[name] = text
            else:
                self.unreadable.add(name)
                found.problem(line, name, refusal)
            if name in _FILLED and not text:
                self.problem(name, Refusal("missing_value", "the cell is empty", "fill it in"))

    def text(self, name: str) -> str:
        return self._cells.get(name, "")

    def problem(self, column: str, refusal: Refusal) -> None:
        self.found.problem(self.line, column, refusal)

    def warn(self, column: str | None, refusal: Refusal) -> None:
        self.found.warn(self.line, column, refusal)

    def value(self, name: str, read: Callable[[str], T | Refusal]) -> T | None:
        """The cell as ``read`` understands it; None where it is empty or refused."""
        text = self.text(name)
        if not text:
            return None
        value = read(text)
        if isinstance(value, Refusal):
            self.problem(name, value)
            return None
        return value


def _checked(cell: _RowReader, rules: _Rules) -> Row:
    assay = cell.value("assay", lambda t: read_choice(t, Assay, "assay", _ALIASES["assay"]))
    row = Row(
        line=cell.line,
        patient_id=cell.value("patient_id", lambda t: read_identifier(t, "patient_id")),
        timepoint=cell.value("timepoint", lambda t: _timepoint(t, rules.timepoints)),
        collected_on=cell.value("collected_on", read_date),
        material=cell.value("material", lambda t: read_choice(t, Material, "material", _ALIASES["material"])),
        assay=assay,
        run_id=cell.value("run_id", lambda t: read_identifier(t, "run_id", sequencer_run=True)) or "",
        cells=cell.value("cells", read_cells),
        dna_ng=cell.value("dna_ng", read_dna_ng),
        sex=cell.value("sex", lambda t: read_choice(t, Sex, "sex", _ALIASES["sex"])),
        panel=_panel(cell, assay, rules),
    )
    return _with_files(_material_fits(row, cell), cell, rules)


def _timepoint(text: str, timepoints: Sequence[str] | None) -> str | Refusal:
    code = read_identifier(text, "time point")
    if isinstance(code, Refusal) or timepoints is None or code in timepoints:
        return code
    guess = closest(text, timepoints)
    listed = f"write one of {', '.join(timepoints)}, or add it to [study] timepoints of the configuration"
    return Refusal(
        "unknown_timepoint",
        "not a time point of this study",
        f"did you mean '{guess}'? Else {listed}" if guess else listed,
    )


def _panel(cell: _RowReader, assay: Assay | None, rules: _Rules) -> str:
    if assay is Assay.FLOW:
        if not cell.text("panel") and "panel" not in cell.unreadable:
            names = ", ".join(rules.panels) if rules.panels else "euroflow, srl"
            cell.problem("panel", Refusal("missing_value", "a flow sample needs a panel", f"write {names}"))
        return cell.value("panel", lambda t: _flow_panel(t, rules)) or ""
    return cell.value("panel", lambda t: read_identifier(t, "panel")) or ""


def _flow_panel(text: str, rules: _Rules) -> str | Refusal:
    if rules.panels is not None and text in rules.panels:
        return text
    if text.lower().endswith(".toml"):
        located = locate_file(text, rules.folder, ())
        return located if isinstance(located, Refusal) else str(located.path.absolute())
    if rules.panels is None:
        return read_identifier(text, "panel")
    guess = closest(text, rules.panels)
    listed = f"write {', '.join(rules.panels)}, or the path of a panel template ending in .toml"
    return Refusal(
        "unknown_panel", "not a known panel", f"did you mean '{guess}'? Else {listed}" if guess else listed
    )


def _material_fits(row: Row, cell: _RowReader) -> Row:
    if row.material is Material.PLASMA and row.assay in _CELLULAR:
        cell.problem(
            "material",
            Refusal(
                "impossible_material", f"plasma holds no cells for {row.assay}", "correct material or assay"
            ),
        )
    if row.assay is Assay.CFDNA and row.material not in (None, Material.PLASMA):
        cell.warn(
            "material",
            Refusal("unusual_material", f"cell-free DNA from {row.material}", "cfdna is meant for plasma"),
        )
    return row


def _with_files(row: Row, cell: _RowReader, rules: _Rules) -> Row:
    suffixes = _SUFFIXES[row.assay] if row.assay else ()
    located = [
        cell.value(name, lambda t: locate_file(t, rules.folder, suffixes)) for name in ("file_1", "file_2")
    ]
    digests = [cell.value(name, read_sha256) or "" for name in ("sha256_1", "sha256_2")]
    first, second = located
    if first and second and first.identity == second.identity:
        cell.problem(
            "file_2",
            Refusal("mates_identical", "the same file as file_1", "give the other mate or tube, or none"),
        )
        second = None
    if digests[1] and not cell.text("file_2"):
        cell.problem(
            "sha256_2", Refusal("sha256_without_file", "there is no file_2", "remove it, or add the file")
        )
    spike_ins = cell.value("spike_ins", lambda t: locate_file(t, rules.folder, ()))
    files = tuple(file for file in (first, second) if file is not None)
    _files_fit(row, cell, rules)
    for number, file in enumerate(files, start=1):
        if not cell.text(f"sha256_{number}") and not file.path.name.lower().endswith(_CHECKED_BY_THEMSELVES):
            cell.warn(f"file_{number}", _unverified(cell.text(f"file_{number}")))
    return replace(
        row,
        files=files,
        sha256=tuple(digests) if any(digests) else (),
        spike_ins=None if spike_ins is None else spike_ins.path,
    )
