"""Sheets as people's programs write them: bytes, lines, header."""

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SheetRefused
from pipeline.formats.samplesheet import COLUMNS, OPTIONAL_COLUMNS, read_sheet
from pipeline.model import Assay, Material, Sex
from sheets import check, codes, flow, row, text_of

# --- what programs write --------------------------------------------------------------------


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


# --- header ---------------------------------------------------------------------------------


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


# --- whatever the bytes ---------------------------------------------------------------------

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
