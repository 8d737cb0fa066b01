"""Sheets as people's programs write them, rules of one cell, and rows that belong together."""

import csv
import io
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SheetRefused
from pipeline.formats.samplesheet import COLUMNS, OPTIONAL_COLUMNS, SheetCheck, check_sheet, read_sheet
from pipeline.formats.sheet_cells import (
    Refusal,
    read_cells,
    read_date,
    read_dna_ng,
    read_identifier,
    shown_name,
)
from pipeline.model import Assay, Material, Sex

TIMEPOINTS = ("BASE", "IND", "ASCT")
PANELS = {"euroflow": 2, "srl": 1}
DATES = {"BASE": "2024-01-10", "IND": "2024-05-10", "ASCT": "2024-09-10"}


def row(folder: Path, name: str, **cells: str) -> dict[str, str]:
    """A good ngs row whose file is written as ``name``."""
    (folder / name).write_bytes(name.encode())
    timepoint = cells.get("timepoint", "BASE")
    good = {
        "patient_id": "P01", "timepoint": timepoint, "collected_on": DATES.get(timepoint, "2024-01-10"),
        "material": "bone_marrow", "assay": "ngs", "file_1": name, "cells": "1000000",
    }  # fmt: skip
    return {**good, **cells}


def flow(folder: Path, name: str, **cells: str) -> dict[str, str]:
    return row(folder, name, **{"assay": "flow", "panel": "srl", "cells": "", **cells})


def text_of(rows: list[dict[str, str]], *, delimiter: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(
        text, (*COLUMNS, *OPTIONAL_COLUMNS), restval="", delimiter=delimiter, lineterminator=end
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def check(folder: Path, content: str | bytes | list[dict[str, str]], name: str = "sheet.csv") -> SheetCheck:
    if isinstance(content, list):
        content = text_of(content)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return check_sheet(folder / name, study_id="S", timepoints=TIMEPOINTS, panels=PANELS)


def codes(found: SheetCheck) -> list[tuple[int | None, str | None, str]]:
    return [(p.line, p.column, p.code) for p in found.problems]


# --- what programs write ----------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_delimiter_line_end_and_mark_reads_alike(tmp_path, delimiter, end, mark):
    text = text_of([row(tmp_path, "a.fastq.gz", sex="F")], delimiter=delimiter, end=end)
    found = check(tmp_path, mark + text)
    assert codes(found) == []
    (sample,) = found.samples
    assert (sample.patient_id, sample.assay, sample.material) == ("P01", Assay.NGS, Material.BONE_MARROW)
    assert (sample.collected_on, sample.cells, sample.sex) == (date(2024, 1, 10), 1_000_000, Sex.FEMALE)
    assert (sample.files, sample.line) == ((tmp_path / "a.fastq.gz",), 2)


def test_comma_file_with_the_suffix_tsv_is_read(tmp_path):
    assert codes(check(tmp_path, [row(tmp_path, "a.fastq.gz")], name="sheet.tsv")) == []


def test_excel_line_that_states_the_delimiter_is_no_header(tmp_path):
    text = "sep=;\r\n" + text_of([row(tmp_path, "a.fastq.gz")], delimiter=";", end="\r\n")
    found = check(tmp_path, text)
    assert codes(found) == []
    assert found.samples[0].line == 3


def test_empty_trailing_lines_and_columns_are_tolerated(tmp_path):
    text = text_of([row(tmp_path, "a.fastq.gz")]).replace("\n", ",,,\n") + ",,,,\n\n\r\n"
    assert codes(check(tmp_path, text)) == []


def test_text_beyond_the_last_named_column_is_counted(tmp_path):
    header, line, *_ = text_of([row(tmp_path, "a.fastq.gz")]).split("\n")
    assert codes(check(tmp_path, f"{header},,\n{line},,x\n")) == [(2, None, "wrong_cell_count")]


def test_line_break_inside_a_quoted_cell_keeps_later_line_numbers(tmp_path):
    rows = [row(tmp_path, "a.fastq.gz", run_id="A\nB\nC"), row(tmp_path, "b.fastq.gz", assay="x")]
    assert codes(check(tmp_path, rows)) == [(2, "run_id", "control_character"), (5, "assay", "unknown_assay")]


def test_quote_left_open_hides_no_later_row(tmp_path):
    bad = text_of([row(tmp_path, "a.fastq.gz"), row(tmp_path, "b.fastq.gz", assay="x")])
    found = codes(check(tmp_path, bad.replace("P01", '"P01', 1)))
    assert found == [(2, None, "broken_quoting"), (3, "assay", "unknown_assay")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_sheet"),
        (b"\r\n,,,\r\n", "empty_sheet"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1", "workbook"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"%PDF-1.7", "not_text"),
        ("patient_id,assay\n".encode("utf-16"), "not_utf8"),
        ("patient_id,assay\n".encode("utf-16-le"), "not_utf8"),
        ("patient_id,assay\nM\u00fcller,ngs\n".encode("latin-1"), "not_utf8"),
        ("patient_id,assay\n\u5c71\u7530,ngs\n".encode("cp932"), "not_utf8"),
        (b"P01,BASE,2024-01-10\n", "no_header"),
        (",".join(COLUMNS).encode(), "no_samples"),
    ],
)
def test_what_is_no_sheet_is_named_with_a_remedy(tmp_path, content, code):
    (problem,) = check(tmp_path, content).problems
    assert problem.code == code
    assert problem.remedy


def test_line_of_the_first_byte_that_is_not_utf8_is_given(tmp_path):
    found = check(tmp_path, b"patient_id,assay\r\nP01,ngs\r\nM\xfcller,ngs\r\n")
    assert codes(found) == [(3, None, "not_utf8")]


@pytest.mark.parametrize(("name", "code"), [("absent.csv", "sheet_missing"), (".", "sheet_is_folder")])
def test_sheet_that_cannot_be_opened_is_refused(tmp_path, name, code):
    with pytest.raises(SheetRefused, match=r"there is no such sheet|is a folder") as refused:
        read_sheet(tmp_path / name, study_id="S", timepoints=None, panels=None)
    assert [p.code for p in refused.value.problems] == [code]


# --- header -----------------------------------------------------------------------------


def test_missing_column_is_named_and_rows_are_still_checked(tmp_path):
    lines = [",".join(c for c in COLUMNS if c != "panel"), "P01,BASE,x,bone_marrow,ngs,a.fastq,,,5,,,F"]
    found = codes(check(tmp_path, "\n".join(lines)))
    assert found == [
        (1, "panel", "missing_column"),
        (2, "collected_on", "bad_date"),
        (2, "file_1", "file_missing"),
    ]


def test_misspelt_column_is_one_problem_and_its_cells_are_checked(tmp_path):
    text = text_of([row(tmp_path, "a.fastq.gz", material="x")]).replace("material", "Materials")
    found = check(tmp_path, text)
    assert codes(found) == [(1, "Materials", "unknown_column"), (2, "material", "unknown_material")]
    assert found.problems[0].remedy == "did you mean 'material'?"


def test_column_named_like_a_person_is_shown_by_its_place(tmp_path):
    text = text_of([row(tmp_path, "a.fastq.gz")]).replace("sha256_2", "Yamada Taro")
    assert codes(check(tmp_path, text)) == [(1, "column 15", "unknown_column")]


# --- cells ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("12/03/2024", "ambiguous_date"), ("3.12.24", "ambiguous_date"), ("13/03/2024", "bad_date"),
        ("2024/03/12", "bad_date"), ("20240312", "bad_date"), ("2024-W10-1", "bad_date"),
        ("45363", "bad_date"),
        ("2024-02-30", "bad_date"), ("2024-03-12T08:00", "bad_date"), ("R6.3.12", "bad_date"),
        ("1989-12-31", "date_out_of_range"), ("2101-01-01", "date_out_of_range"),
        ("\u0662\u0660\u0662\u0664-03-12", "bad_date"),
    ],
)  # fmt: skip
def test_dates_that_are_not_iso_days_are_refused(text, code):
    refusal = read_date(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert text not in refusal.cause + refusal.remedy


@pytest.mark.parametrize("text", ["1", "1000000", "1E+06", "1e6", "+5", "10000000000", "5.0"])
def test_whole_numbers_of_cells_are_read(text):
    assert read_cells(text) == int(float(text))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0", "cells_out_of_range"), ("-1", "cells_out_of_range"), ("1e11", "cells_out_of_range"),
        ("1e999", "cells_out_of_range"), ("0.5", "not_whole"), ("1,5", "decimal_comma"),
        ("1,000,000", "thousands_separator"), ("1 000", "thousands_separator"), ("1_000", "bad_number"),
        ("nan", "bad_number"), ("inf", "bad_number"), ("5 M", "bad_number"), ("\uff15", "bad_number"),
        ("9" * 400, "cells_out_of_range"),
    ],
)  # fmt: skip
def test_impossible_cells_are_refused(text, code):
    refusal = read_cells(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


@pytest.mark.parametrize(("text", "code"), [("0", "dna_out_of_range"), ("1e7", "dna_out_of_range")])
def test_impossible_dna_is_refused(text, code):
    refusal = read_dna_ng(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Yamada Taro", "personal_identifier"),
        ("Yamada,Taro", "personal_identifier"),
        ("\uff39amada_Taro", "personal_identifier"),
        ("1954-03-12", "personal_identifier"),
        ("1954/03/12", "personal_identifier"),
        ("1234 5678 9012", "personal_identifier"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\uff11\uff12", "personal_identifier"),
        ("\u5c71\u7530\u592a\u90ce", "bad_identifier"),
        ("@SUM(A1)", "bad_identifier"),
        ("-2+3", "bad_identifier"),
    ],
)
def test_identifiers_of_people_are_refused_and_not_repeated(text, code):
    refusal = read_identifier(text)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code
    assert text not in repr(refusal)


def test_run_folder_of_a_sequencer_is_no_birth_date():
    run = "20240312_LH00376_0010_A22KFCLT4"
    assert read_identifier(run, sequencer_run=True) == run
    assert isinstance(read_identifier(run), Refusal)


def test_file_names_are_shown_escaped_and_not_where_they_look_personal():
    assert shown_name("a\x1b[31m.fcs") == r"'a\x1b[31m.fcs'"
    assert shown_name("Yamada Taro.fcs") == shown_name("x/Yamada_Taro/a.fcs") == "the file this cell names"
    assert len(shown_name("x" * 500)) < 100


@pytest.mark.parametrize(
    ("column", "written", "meant"),
    [
        ("material", "BM", "bone_marrow"),
        ("material", "Marow", "bone_marrow"),
        ("material", "periferal blood", "peripheral_blood"),
        ("assay", "NGS", "ngs"),
        ("assay", "ngz", "ngs"),
        ("assay", "tumor", "tumour"),
        ("assay", "\uff26\uff2c\uff2f\uff37", "flow"),
        ("timepoint", "base", "BASE"),
        ("sex", "male", "M"),
    ],
)
def test_remedy_names_the_word_that_was_meant(tmp_path, column, written, meant):
    found = check(tmp_path, [row(tmp_path, "a.fastq.gz", **{column: written})])
    assert any(p.column == column and f"did you mean '{meant}'" in p.remedy for p in found.problems)


# --- files ------------------------------------------------------------------------------


def test_absolute_paths_are_allowed(tmp_path):
    cells = row(tmp_path, "a.fastq.gz")
    other = tmp_path / "other"
    other.mkdir()
    found = check(other, [{**cells, "file_1": str(tmp_path / "a.fastq.gz")}])
    assert codes(found) == []


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_mates_given_twice_are_found_through_links(tmp_path, link):
    cells = row(tmp_path, "a.fastq.gz", file_2="b.fastq.gz")
    if link == "symbolic":
        (tmp_path / "b.fastq.gz").symlink_to("a.fastq.gz")
    else:
        os.link(tmp_path / "a.fastq.gz", tmp_path / "b.fastq.gz")
    assert codes(check(tmp_path, [cells])) == [(2, "file_2", "mates_identical")]


def test_links_in_a_circle_are_unreadable(tmp_path):
    cells = {**row(tmp_path, "a.fastq.gz"), "file_1": "loop.fastq.gz"}
    (tmp_path / "loop.fastq.gz").symlink_to("loop.fastq.gz")
    assert codes(check(tmp_path, [cells])) == [(2, "file_1", "file_unreadable")]


def test_pipe_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.fastq.gz")
    cells = {**row(tmp_path, "a.fastq.gz"), "file_1": "pipe.fastq.gz"}
    assert codes(check(tmp_path, [cells])) == [(2, "file_1", "file_unreadable")]


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("data\\a.fastq.gz", "write / instead of \\ in paths"),
        ("data/a.fastq", "did you mean 'a.fastq.gz', which lies there?"),
        ("~/a.fastq.gz", "write the home folder out in full"),
    ],
)
def test_remedy_for_a_missing_file_fits_its_spelling(tmp_path, written, remedy):
    (tmp_path / "data").mkdir()
    cells = {**row(tmp_path, "data/a.fastq.gz"), "file_1": written}
    (problem,) = check(tmp_path, [cells]).problems
    assert (problem.code, problem.remedy) == ("file_missing", remedy)


def test_one_file_serves_two_assays_of_one_sample_and_no_other_row(tmp_path):
    cells = row(tmp_path, "a.bam", assay="tumour")
    assert codes(check(tmp_path, [cells, {**cells, "assay": "chip"}])) == []
    other = {**cells, "assay": "chip", "timepoint": "IND", "collected_on": "2024-05-10"}
    assert codes(check(tmp_path, [cells, other])) == [(3, "file_1", "file_reused")]


def test_panel_template_is_found_from_the_sheet(tmp_path):
    (tmp_path / "mine.toml").write_text("name = 'mine'\n")
    found = check(tmp_path, [flow(tmp_path, "a.fcs", panel="mine.toml")])
    assert codes(found) == []
    assert found.samples[0].panel == str(tmp_path / "mine.toml")
    missing = check(tmp_path, [flow(tmp_path, "a.fcs", panel="absent.toml")])
    assert codes(missing) == [(2, "panel", "file_missing")]


# --- rows together ----------------------------------------------------------------------


def test_two_panels_of_one_visit_and_replicates_with_other_runs_are_no_duplicates(tmp_path):
    rows = [
        flow(tmp_path, "a.fcs", panel="srl", run_id="R1"),
        flow(tmp_path, "b.fcs", panel="srl", run_id="R2"),
        flow(tmp_path, "c.fcs", panel="euroflow", file_2="a2.fcs"),
    ]
    (tmp_path / "a2.fcs").write_bytes(b"second tube")
    assert codes(check(tmp_path, rows)) == []
    assert codes(check(tmp_path, [*rows, flow(tmp_path, "d.fcs", run_id="R1")])) == [
        (5, None, "duplicate_row")
    ]


def test_baseline_with_another_mistake_is_still_a_baseline(tmp_path):
    rows = [row(tmp_path, "a.fastq.gz", cells="x"), row(tmp_path, "b.fastq.gz", timepoint="IND")]
    assert codes(check(tmp_path, rows)) == [(2, "cells", "bad_number")]


def test_follow_up_without_baseline_is_reported_once_a_patient(tmp_path):
    rows = [row(tmp_path, f"{t}.fastq.gz", timepoint=t) for t in ("IND", "ASCT")]
    assert codes(check(tmp_path, rows)) == [(2, "timepoint", "baseline_missing")]
    assert codes(check(tmp_path, [flow(tmp_path, "i.fcs", timepoint="IND")])) == []


def test_one_wrong_date_is_reported_once(tmp_path):
    rows = [
        row(tmp_path, "a.fastq.gz", collected_on="2024-07-01"),
        row(tmp_path, "b.fastq.gz", timepoint="IND"),
        row(tmp_path, "c.fastq.gz", timepoint="ASCT"),
    ]
    assert codes(check(tmp_path, rows)) == [(3, "collected_on", "dates_out_of_order")]


def test_any_time_point_may_occur_where_none_are_listed(tmp_path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(text_of([flow(tmp_path, "a.fcs", timepoint="DAY28", panel="own")]))
    (sample,) = read_sheet(sheet, study_id="S", timepoints=None, panels=None)
    assert (sample.timepoint, sample.panel, sample.study_id) == ("DAY28", "own", "S")


def test_warnings_refuse_nothing(tmp_path):
    rows = [
        row(tmp_path, "a.fastq.gz", cells=""),
        flow(tmp_path, "a.fcs", panel="euroflow"),
        row(tmp_path, "a.bam", assay="cfdna", cells=""),
    ]
    found = check(tmp_path, rows)
    assert codes(found) == []
    assert len(found.samples) == 3
    assert [(w.line, w.column, w.code) for w in found.warnings] == [
        (2, "cells", "cells_unknown"),
        (2, "spike_ins", "spike_ins_unknown"),
        (3, "file_1", "unverified"),
        (3, "file_2", "tube_missing"),
        (4, "material", "unusual_material"),
    ]
    assert "'a.fcs' is unverified" in found.warnings[2].cause


# --- whatever the bytes -----------------------------------------------------------------

_CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["P01", "BASE", "2024-01-10", "ngs", "flow", "plasma", "a.fastq.gz", "1e6", '"', "\x00", ".."]
    ),
)


@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda t: t.encode())))
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_read_or_refused(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    assert check(folder, content).problems


@given(rows=st.lists(st.lists(_CELL, max_size=17), max_size=4), delimiter=st.sampled_from(",;\t"))
@settings(deadline=None, max_examples=200)
def test_any_cells_below_a_header_are_read_or_refused(rows, delimiter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    lines = [delimiter.join(cells) for cells in ([*COLUMNS, *OPTIONAL_COLUMNS], *rows)]
    found = check(folder, "\n".join(lines).encode("utf-8", "surrogatepass"))
    assert found.problems or len(found.samples) == sum(bool(c) for c in rows)
    assert all(p.cause.isprintable() and p.remedy.isprintable() for p in found.problems)


_BIG = """
import resource, sys
from pathlib import Path
from pipeline.formats.samplesheet import read_sheet
before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
codes = tuple(f"T{i}" for i in range(7))
samples = read_sheet(Path(sys.argv[1]), study_id="S", timepoints=codes, panels=["srl"], baseline="T0")
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = {"pandas", "pyarrow", "numpy", "pydantic"} & set(sys.modules)
print(len(samples), used.ru_utime + used.ru_stime, sorted(heavy))
"""


def test_sheet_of_a_whole_trial_is_checked_in_two_seconds_without_pandas(tmp_path):
    rows = [
        make(
            tmp_path,
            f"{p}_{t}{suffix}",
            patient_id=f"P{p:03d}",
            timepoint=f"T{t}",
            collected_on=f"202{t}-01-10",
        )
        for p in range(172)
        for t in range(7)
        for make, suffix in ((row, ".fastq.gz"), (flow, ".fcs"))
    ]
    (tmp_path / "sheet.csv").write_text(text_of(rows))
    command = [sys.executable, "-c", _BIG, str(tmp_path / "sheet.csv")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    samples, seconds, *heavy = ended.stdout.split()
    assert int(samples) == 172 * 7 * 2
    assert heavy == ["[]"]
    assert float(seconds) < 2
