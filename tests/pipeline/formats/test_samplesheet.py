"""Rules of one cell, of the files a sheet names, and of rows that belong together."""

import os

import pytest

from pipeline.formats.samplesheet import read_sheet
from pipeline.formats.sheet_cells import (
    Refusal,
    read_cells,
    read_date,
    read_dna_ng,
    read_identifier,
    shown_name,
)
from pipeline.model import Role
from sheets import check, codes, flow, row, text_of

# --- cells ----------------------------------------------------------------------------------


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


# --- files ----------------------------------------------------------------------------------


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


# --- rows together --------------------------------------------------------------------------


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


# --- controls of a run ----------------------------------------------------------------------


def control(folder, name, **cells):
    return row(
        folder, name, **{"patient_id": "NEG1", "role": "negative_control", "timepoint": "", "run_id": "R1",
                         "cells": "", **cells}
    )  # fmt: skip


def test_a_control_needs_neither_time_point_nor_cells_nor_a_baseline(tmp_path):
    found = check(tmp_path, [row(tmp_path, "a.fastq", run_id="R1"), control(tmp_path, "n.fastq")])
    assert codes(found) == []
    assert [(s.role, s.is_control) for s in found.samples] == [
        (Role.PATIENT, False), (Role.NEGATIVE, True),
    ]  # fmt: skip
    assert [w.line for w in found.warnings if w.column in ("cells", "spike_ins")] == [2]


def test_a_sheet_without_the_column_has_patients_only(tmp_path):
    text = text_of([row(tmp_path, "a.fastq")])
    lines = [line.rsplit(",", 1)[0] for line in text.splitlines()]
    assert lines[0].endswith("sha256_2")
    found = check(tmp_path, "\n".join(lines) + "\n")
    assert [s.role for s in found.samples] == [Role.PATIENT]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"run_id": ""}, (2, "run_id", "missing_value")),
        ({"role": "negativ"}, (2, "role", "unknown_role")),
        ({"role": "patient"}, (2, "timepoint", "missing_value")),
        ({"timepoint": "NEVER"}, (2, "timepoint", "unknown_timepoint")),
    ],
)
def test_what_a_control_must_say(tmp_path, cells, problem):
    assert codes(check(tmp_path, [control(tmp_path, "n.fastq", **cells)])) == [problem]


def test_controls_of_other_assays_are_refused(tmp_path):
    found = check(tmp_path, [flow(tmp_path, "n.fcs", role="negative_control", run_id="R1")])
    assert codes(found) == [(2, "role", "impossible_role")]


def test_a_misspelt_role_is_guessed_and_not_repeated(tmp_path):
    (problem,) = check(tmp_path, [control(tmp_path, "n.fastq", role="water")]).problems
    assert "did you mean 'negative_control'?" in problem.remedy


def test_a_patients_name_is_no_controls_name(tmp_path):
    rows = [row(tmp_path, "a.fastq", run_id="R1"), control(tmp_path, "n.fastq", patient_id="P01")]
    assert codes(check(tmp_path, rows)) == [(3, "role", "role_contradicted")]


def test_one_control_may_stand_in_several_runs_but_not_twice_in_one(tmp_path):
    rows = [control(tmp_path, f"n{run}.fastq", run_id=run) for run in ("R1", "R2")]
    assert codes(check(tmp_path, rows)) == []
    assert codes(check(tmp_path, [*rows, control(tmp_path, "again.fastq")])) == [(4, None, "duplicate_row")]
