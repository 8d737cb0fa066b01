"""One row of a sample sheet: its cells as values, and what the row must agree on with itself."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipeline.formats.delimited import Record
from pipeline.formats.digest import damage_shows
from pipeline.formats.sheet_agreement import Row
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
    shown_name,
    unreadable_text,
)
from pipeline.formats.sheet_columns import FILLED_COLUMNS, Findings
from pipeline.model import Assay, Material, Role, Sex, is_identifier, looks_personal

__all__ = ["Rules", "read_row"]

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
_CELLULAR = (Assay.NGS, Assay.FLOW, Assay.CYTOF)
_ALIASES = {
    "material": {
        "bm": "bone_marrow", "marrow": "bone_marrow", "bm_aspirate": "bone_marrow", "aspirate": "bone_marrow",
        "pb": "peripheral_blood", "blood": "peripheral_blood", "graft": "stem_cell_product",
        "pbsc": "stem_cell_product", "apheresis": "stem_cell_product",
    },
    "assay": {
        "ngf": "flow", "facs": "flow", "euroflow": "flow", "srl": "flow", "ig_ngs": "ngs", "clonoseq": "ngs",
        "tumor": "tumour", "wgs": "tumour", "ctdna": "cfdna", "cfdna_panel": "cfdna",
        "mass_cytometry": "cytof",
    },
    "sex": {"female": "F", "male": "M", "f": "F", "m": "M", "woman": "F", "man": "M"},
    "role": {
        "sample": "patient", "negative": "negative_control", "ntc": "negative_control",
        "no_template_control": "negative_control", "water": "negative_control", "blank": "negative_control",
        "polyclonal": "polyclonal_control", "healthy": "polyclonal_control",
    },
}  # fmt: skip

_NO_VISIT = "CONTROL"
"""Time point of a control whose row gives none."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the study and the sheet's place decide about its rows; see `check_sheet`."""

    study_id: str
    folder: Path
    timepoints: Sequence[str] | None
    panels: Collection[str] | None
    baseline: str


def read_row(record: Record, columns: dict[str, int], width: int, rules: Rules, found: Findings) -> Row:
    """Read one record below ``columns``, which span ``width`` cells; problems go to ``found``."""
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
        patient = cells[place].strip() if place < len(cells) else ""
        known = is_identifier(patient) and looks_personal(patient) is None
        return Row(line=record.line, patient_id=patient if known else None, readable=False)
    reader = _RowReader(record.line, {name: cells[place] for name, place in columns.items()}, found)
    return _checked(reader, rules)


class _RowReader:
    """One row's cells, each read at most once; refusals go to the findings."""

    def __init__(self, line: int, cells: Mapping[str, str], found: Findings) -> None:
        self.line = line
        self.found = found
        self._cells: dict[str, str] = {}
        self.present = frozenset(cells)
        self.refused: set[str] = set()
        # A control is of no visit of the study; whether its role is one is seen later.
        needless = {"timepoint"} if cells.get("role", "").strip() not in ("", Role.PATIENT) else set()
        for name, cell in cells.items():
            text = cell.strip()
            refusal = unreadable_text(text)
            if refusal is None:
                self._cells[name] = text
            else:
                self.problem(name, refusal)
            if name in FILLED_COLUMNS and name not in needless and not text:
                self.problem(name, Refusal("missing_value", "the cell is empty", "fill it in"))

    def text(self, name: str) -> str:
        return self._cells.get(name, "")

    @property
    def filled(self) -> set[str]:
        """Columns with text that can be read."""
        return {name for name, text in self._cells.items() if text}

    def problem(self, column: str, refusal: Refusal) -> None:
        self.refused.add(column)
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


def _checked(cell: _RowReader, rules: Rules) -> Row:
    assay = cell.value("assay", lambda t: read_choice(t, Assay, "assay", _ALIASES["assay"]))
    row = Row(
        line=cell.line,
        patient_id=cell.value("patient_id", read_identifier),
        timepoint=cell.value("timepoint", lambda t: _timepoint(t, rules.timepoints)),
        collected_on=cell.value("collected_on", read_date),
        material=cell.value("material", lambda t: read_choice(t, Material, "material", _ALIASES["material"])),
        assay=assay,
        run_id=cell.value("run_id", lambda t: read_identifier(t, sequencer_run=True)) or "",
        cells=cell.value("cells", read_cells),
        dna_ng=cell.value("dna_ng", read_dna_ng),
        sex=cell.value("sex", lambda t: read_choice(t, Sex, "sex", _ALIASES["sex"])),
        role=cell.value("role", lambda t: read_choice(t, Role, "role", _ALIASES["role"])) or Role.PATIENT,
        panel=_panel(cell, assay, rules),
        readable="role" not in cell.refused,
    )
    return _with_files(_role_fits(_material_fits(row, cell), cell), cell, rules)


def _role_fits(row: Row, cell: _RowReader) -> Row:
    """A control belongs to a run of an assay that judges runs."""
    if row.role is Role.PATIENT:
        return row
    if row.assay not in (None, Assay.NGS):
        remedy = f"leave the row out, or write {Role.PATIENT}"
        cell.problem("role", Refusal("impossible_role", f"runs of {row.assay} are not judged", remedy))
    if "run_id" not in cell.filled | cell.refused:
        remedy = "name the run it was sequenced in"
        cell.problem("run_id", Refusal("missing_value", "a control judges a run", remedy))
    return row if row.timepoint or "timepoint" in cell.refused else replace(row, timepoint=_NO_VISIT)


def _timepoint(text: str, timepoints: Sequence[str] | None) -> str | Refusal:
    code = read_identifier(text)
    if isinstance(code, Refusal) or timepoints is None or code in timepoints:
        return code
    guess = closest(text, timepoints)
    listed = f"write one of {', '.join(timepoints)}, or add it to [study] timepoints of the configuration"
    return Refusal(
        "unknown_timepoint",
        "not a time point of this study",
        f"did you mean '{guess}'? Else {listed}" if guess else listed,
    )


def _panel(cell: _RowReader, assay: Assay | None, rules: Rules) -> str:
    if assay is Assay.FLOW:
        if "panel" in cell.present - cell.filled - cell.refused:
            names = ", ".join(rules.panels) if rules.panels else "euroflow, srl"
            cell.problem("panel", Refusal("missing_value", "a flow sample needs a panel", f"write {names}"))
        return cell.value("panel", lambda t: _flow_panel(t, rules)) or ""
    return cell.value("panel", read_identifier) or ""


def _flow_panel(text: str, rules: Rules) -> str | Refusal:
    if rules.panels is not None and text in rules.panels:
        return text
    if text.lower().endswith(".toml"):
        located = locate_file(text, rules.folder, ())
        return located if isinstance(located, Refusal) else str(located.path.absolute())
    if rules.panels is None:
        return read_identifier(text)
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


def _with_files(row: Row, cell: _RowReader, rules: Rules) -> Row:
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
        digests[1] = ""
    spike_ins = cell.value("spike_ins", lambda t: locate_file(t, rules.folder, ()))
    files = tuple(file for file in (first, second) if file is not None)
    _files_fit(row, cell, rules)
    for number, file in enumerate(files, start=1):
        if not cell.text(f"sha256_{number}") and not damage_shows(file.path):
            cell.warn(f"file_{number}", _unverified(cell.text(f"file_{number}")))
    return replace(
        row,
        files=files,
        sha256=tuple(digests) if any(digests) else (),
        spike_ins=None if spike_ins is None else spike_ins.path,
    )


def _unverified(text: str) -> Refusal:
    return Refusal(
        "unverified",
        f"{shown_name(text)} is unverified: its format has no checksum, damage would not be seen",
        "state its SHA-256 in sha256_1 or sha256_2",
    )


def _files_fit(row: Row, cell: _RowReader, rules: Rules) -> None:
    """What the assay needs besides its files; the number of tubes where the panel's is known."""
    if row.role is not Role.PATIENT:
        return  # no fraction of its cells is stated
    if (
        row.assay is Assay.NGS
        and not {"cells", "dna_ng"} & cell.filled
        and not cell.refused & {"cells", "dna_ng"}
    ):
        remedy = "give cells or dna_ng, or no fraction and no limit of detection can be stated"
        cell.warn("cells", Refusal("cells_unknown", "neither cells nor dna_ng is given", remedy))
    if row.assay is Assay.NGS and "spike_ins" not in cell.filled | cell.refused:
        remedy = "name the table of spike-ins, or reads cannot be turned into cells"
        cell.warn("spike_ins", Refusal("spike_ins_unknown", "no spike-ins are named", remedy))
    tubes = rules.panels.get(row.panel) if isinstance(rules.panels, Mapping) else None
    if row.assay is not Assay.FLOW or tubes is None:
        return
    given = len({"file_1", "file_2"} & cell.filled)
    if given > tubes:
        cell.problem(
            "file_2", Refusal("too_many_tubes", f"panel {row.panel} has {tubes} tube", "leave file_2 empty")
        )
    elif given < tubes:
        remedy = f"name the other tube, or the result rests on {given} of {tubes}"
        cell.warn("file_2", Refusal("tube_missing", f"panel {row.panel} has {tubes} tubes", remedy))
