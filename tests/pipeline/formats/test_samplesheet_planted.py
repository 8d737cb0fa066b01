"""One sheet with every kind of mistake people make: all are reported in one pass.

The sheet ships as test_data/sheets/planted_errors.csv with what must be found in it.
Make both anew after a change of PLANTED: python tests/pipeline/formats/test_samplesheet_planted.py
"""

import csv
import gzip
import io
import os
import sys
from pathlib import Path

import pytest

from pipeline.errors import SheetRefused
from pipeline.formats.samplesheet import check_sheet, read_sheet

SHIPPED = Path(__file__).resolve().parents[3] / "test_data" / "sheets"
HEADER = [
    "patient_id", "timepoint", "collected_on", "material", "assay", "file_1", "file_2", "run_id", "cells",
    "dna_ng", "spike_in", "panel", "sex", "sha256_1", "sha256_2", "operator", "sex",
]  # fmt: skip
HEADER_FOUND = {("spike_in", "unknown_column"), ("operator", "unknown_column"), ("sex", "duplicate_column")}
TIMEPOINTS = ("BASE", "IND", "ASCT", "CONS")
PANELS = {"euroflow": 2, "srl": 1}
DIGEST = "0f" * 32

NGS = {
    "material": "bone_marrow",
    "assay": "ngs",
    "cells": "1000000",
    "spike_in": "data/spikes.tsv",
    "sex": "F",
}
FLOW = {"material": "bone_marrow", "assay": "flow", "panel": "srl"}
DATE = "collected_on"
BASE = {"timepoint": "BASE", "collected_on": "2024-01-10"}
IND = {"timepoint": "IND", "collected_on": "2024-05-10"}
ASCT = {"timepoint": "ASCT", "collected_on": "2024-09-10"}

# patient, cells of the row, (column, code) of what must be found in it. FILE stands for a
# file of the row's own; a list is a row with the wrong number of cells.
FILE = "data/{line}.fastq.gz"
TUBE = "data/{line}.fcs"
PLANTED: tuple[tuple[str, dict[str, str], set[tuple[str, str]]], ...] = (
    ("P01", {**NGS, **BASE, "file_1": FILE}, set()),
    ("P01", {**NGS, **IND, "file_1": FILE, "material": "BM aspirate"}, {("material", "unknown_material")}),
    ("P01", {**NGS, **ASCT, "file_1": FILE, "assay": "NGF"}, {("assay", "unknown_assay")}),
    ("P01", {**NGS, **ASCT, "file_1": FILE, DATE: "12/03/2024"}, {(DATE, "ambiguous_date")}),
    ("P01", {**NGS, **BASE, "file_1": FILE}, {("", "duplicate_row")}),
    ("P02", {**NGS, **IND, "file_1": FILE}, {("timepoint", "baseline_missing")}),
    ("P03", {**NGS, **BASE, "file_1": FILE, DATE: "45363"}, {(DATE, "bad_date")}),
    ("P03", {**NGS, **IND, "file_1": FILE, DATE: "2024-02-30"}, {(DATE, "bad_date")}),
    ("P03", {**NGS, **ASCT, "file_1": FILE, DATE: "1924-09-10"}, {(DATE, "date_out_of_range")}),
    ("P04", {**NGS, **BASE, "file_1": "data/absent.fastq.gz"}, {("file_1", "file_missing")}),
    ("P04", {**NGS, **IND, "file_1": "data"}, {("file_1", "file_is_folder")}),
    ("P04", {**NGS, **ASCT, "file_1": "data/empty.fastq.gz"}, {("file_1", "file_empty")}),
    ("P05", {**NGS, **BASE, "file_1": TUBE}, {("file_1", "wrong_file_type")}),
    ("P05", {**NGS, **IND, "file_1": FILE, "file_2": "data/../" + FILE}, {("file_2", "mates_identical")}),
    ("P05", {**NGS, **ASCT, "file_1": "data/2.fastq.gz"}, {("file_1", "file_reused")}),
    ("P06", {**NGS, **BASE, "file_1": FILE, "cells": "1,5e6"}, {("cells", "decimal_comma")}),
    ("P06", {**NGS, **IND, "file_1": FILE, "cells": "0"}, {("cells", "cells_out_of_range")}),
    ("P06", {**NGS, **ASCT, "file_1": FILE, "cells": "1000.5"}, {("cells", "not_whole")}),
    ("P07", {**NGS, **BASE, "file_1": FILE, "cells": "1 000 000"}, {("cells", "thousands_separator")}),
    ("P07", {**NGS, **IND, "file_1": FILE, "cells": "", "dna_ng": "500 ng"}, {("dna_ng", "bad_number")}),
    ("P07", {**NGS, **ASCT, "file_1": FILE, "dna_ng": "-5"}, {("dna_ng", "dna_out_of_range")}),
    ("P08", {**NGS, **BASE, "file_1": FILE, "sex": "female"}, {("sex", "unknown_sex")}),
    ("P08", {**NGS, **IND, "file_1": FILE}, set()),
    ("P08", {**NGS, **ASCT, "file_1": FILE, "sex": "M"}, {("sex", "sex_contradicted")}),
    ("P09", {**NGS, **ASCT, "file_1": FILE, "timepoint": "ASTC"}, {("timepoint", "unknown_timepoint")}),
    ("P09", {**NGS, **BASE, "file_1": FILE, "spike_in": "spikes.tsv"}, {("spike_ins", "file_missing")}),
    ("P09", {**NGS, **IND, "file_1": FILE, DATE: "2023-05-10"}, {(DATE, "dates_out_of_order")}),
    ("Yamada_Taro", {**NGS, **BASE, "file_1": FILE}, {("patient_id", "personal_identifier")}),
    ("19540312", {**NGS, **BASE, "file_1": FILE}, {("patient_id", "personal_identifier")}),
    ("123456789012", {**NGS, **BASE, "file_1": FILE}, {("patient_id", "personal_identifier")}),
    ("../P10", {**NGS, **BASE, "file_1": FILE}, {("patient_id", "bad_identifier")}),
    ("=cmd|' /C calc'!A1", {**NGS, **BASE, "file_1": FILE}, {("patient_id", "bad_identifier")}),
    ("", {**NGS, **BASE, "file_1": FILE}, {("patient_id", "missing_value")}),
    ("p01", {**FLOW, **BASE, "file_1": TUBE}, {("patient_id", "differs_in_case")}),
    ("P11", {**FLOW, **BASE, "file_1": TUBE, "panel": "euroflw"}, {("panel", "unknown_panel")}),
    ("P11", {**FLOW, **IND, "file_1": TUBE, "panel": ""}, {("panel", "missing_value")}),
    ("P11", {**FLOW, **ASCT, "file_1": TUBE, "material": "plasma"}, {("material", "impossible_material")}),
    ("P12", {**FLOW, **BASE, "file_1": TUBE, "file_2": "data/2.fcs"}, {("file_2", "too_many_tubes")}),
    ("P12", {**FLOW, **IND, "file_1": TUBE, "sha256_1": "abc"}, {("sha256_1", "bad_sha256")}),
    ("P12", {**FLOW, **ASCT, "file_1": TUBE, "sha256_2": DIGEST}, {("sha256_2", "sha256_without_file")}),
    ("P13", {**FLOW, **BASE, "file_1": TUBE, "sha256_1": DIGEST}, set()),
    ("P13", {**FLOW, **IND, "file_1": TUBE, "sha256_1": DIGEST}, {("sha256_1", "sha256_reused")}),
    ("P13", {**FLOW, **ASCT, "file_1": TUBE, "run_id": "run 7"}, {("run_id", "bad_identifier")}),
    ("P14", {**FLOW, **BASE, "file_1": TUBE, "run_id": "a\x00b"}, {("run_id", "control_character")}),
    ("P14", {**FLOW, **IND, "file_1": TUBE, "run_id": "x" * 5000}, {("run_id", "cell_too_long")}),
    ("P14", {**FLOW, **ASCT, "file_1": "s3://bucket/a.fcs"}, {("file_1", "remote_file")}),
    ("P15", {**FLOW, **BASE, "file_1": TUBE, "material": ""}, {("material", "missing_value")}),
    ("P15", {**FLOW, **IND, "file_1": TUBE, "": "surplus"}, {("", "wrong_cell_count")}),
)  # fmt: skip


def build(folder: Path) -> Path:
    """Write sheet, data files and expectation into ``folder``; the sheet's path."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    text, expected = io.StringIO(), [(1, column, code) for column, code in HEADER_FOUND]
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEADER)
    for line, (patient, row, found) in enumerate(PLANTED, start=2):
        cells = {name: cell.format(line=line) for name, cell in row.items()}
        values = [{**cells, "patient_id": patient}.get(name, "") for name in HEADER[:-1]]
        writer.writerow([*values, "", *([cells[""]] if "" in cells else [])])
        expected += [(line, column, code) for column, code in found]
        reads = gzip.compress(f"@r{line}\nACGT\n+\nIIII\n".encode(), mtime=0)
        (data / f"{line}.fastq.gz").write_bytes(reads)
        (data / f"{line}.fcs").write_text(f"FCS3.1 placeholder {line}\n")
    used = text.getvalue()
    for path in data.iterdir():
        if path.name not in used:
            path.unlink()
    (data / "2.fcs").write_text("FCS3.1 placeholder 2\n")
    (data / "empty.fastq.gz").write_bytes(b"")
    (data / "spikes.tsv").write_text("name\tsequence\tcopies\nS1\tACGT\t10\n")
    (folder / "planted_errors.csv").write_bytes(used.encode())
    rows = "".join(f"{line},{column},{code}\n" for line, column, code in sorted(expected))
    (folder / "planted_errors.expected.csv").write_text(f"line,column,code\n{rows}")
    return folder / "planted_errors.csv"


def expected_of(sheet: Path) -> set[tuple[int, str, str]]:
    with sheet.with_name("planted_errors.expected.csv").open(newline="") as file:
        return {(int(r["line"]), r["column"], r["code"]) for r in csv.DictReader(file)}


def found_in(sheet: Path) -> list[tuple[int, str, str]]:
    check = check_sheet(sheet, study_id="S", timepoints=TIMEPOINTS, panels=PANELS)
    return [(p.line or 0, p.column or "", p.code) for p in check.problems]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("planted"))


def test_every_planted_error_is_reported_in_one_pass_and_nothing_else(made):
    found = found_in(made)
    assert set(found) == expected_of(made)
    assert len(found) == len(set(found))
    assert len({code for _, _, code in found}) >= 25


def test_the_shipped_sheet_is_the_one_made_here(made):
    for name in ("planted_errors.csv", "planted_errors.expected.csv"):
        assert (SHIPPED / name).read_bytes() == made.with_name(name).read_bytes()
    assert set(found_in(SHIPPED / "planted_errors.csv")) == expected_of(SHIPPED / "planted_errors.csv")


def test_problems_come_in_the_order_of_lines(made):
    lines = [line for line, _, _ in found_in(made)]
    assert lines == sorted(lines)


def test_reading_refuses_with_every_problem(made):
    with pytest.raises(SheetRefused, match=r"line 1, .* \(and \d+ more problems\)") as refused:
        read_sheet(made, study_id="S", timepoints=TIMEPOINTS, panels=PANELS)
    assert len(refused.value.problems) == len(expected_of(made))


def test_no_refused_identifier_is_repeated(made):
    check = check_sheet(made, study_id="S", timepoints=TIMEPOINTS, panels=PANELS)
    said = repr(check)
    refused = [patient for patient, _, found in PLANTED if any(column == "patient_id" for column, _ in found)]
    for secret in (*refused, "Yamada", "1954", "calc", "run 7"):
        if secret and secret != "p01":
            assert secret not in said


def test_every_problem_has_a_cause_and_a_remedy(made):
    check = check_sheet(made, study_id="S", timepoints=TIMEPOINTS, panels=PANELS)
    assert all(p.cause and p.remedy and not p.remedy.endswith(".") for p in check.problems)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_permission_is_unreadable(made, tmp_path):
    sheet = build(tmp_path)
    (tmp_path / "data" / "2.fastq.gz").chmod(0)
    assert (2, "file_1", "file_unreadable") in found_in(sheet)


if __name__ == "__main__":
    sys.stdout.write(f"{build(SHIPPED)}\n")
