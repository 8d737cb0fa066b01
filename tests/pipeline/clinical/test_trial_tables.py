"""Tables of a trial: what is mended and said, what is refused with its line."""

from datetime import date
from decimal import Decimal

import pytest

from pipeline.clinical import follow_up
from pipeline.clinical.mrd_table import MRD_COLUMNS, mrd_from_table
from pipeline.clinical.treatment import (
    COURSE_COLUMNS,
    HARVEST_COLUMNS,
    Course,
    Harvest,
    transplants,
    treatment_from_table,
)
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Record, Table

GOOD_ROWS = {
    "treatment": (COURSE_COLUMNS, "P01,Induction,1,Daratumumab,sc,1800,mg,2024-01-02,2024-01-29,"),
    "harvest": (HARVEST_COLUMNS, "P01,HARVEST,4200000,no,12000,2024-05-02"),
    "outcome": (follow_up.OUTCOME_COLUMNS, "P01,2025-01-01,2025-06-01,PD,,"),
    "events": (
        follow_up.EVENT_COLUMNS,
        "P01,Neutropenia,3,v5,2024-01-05,2024-01-09,induction,SC,YES,NO",
    ),
    "imaging": (follow_up.IMAGING_COLUMNS, "P01,2024-06-01,pet-ct,negative"),
    "patients": (follow_up.PATIENT_COLUMNS, "P01,63,F,58.5,IgG-K,2024-01-01,"),
    "mrd": (MRD_COLUMNS, "P01,CONS,2024-12-01,bone_marrow,flow,srl,clone,0,2e-6,NOT_DETECTED"),
}
GOOD = {name: dict(zip(columns, row.split(","), strict=True)) for name, (columns, row) in GOOD_ROWS.items()}
READERS = {
    "treatment": treatment_from_table,
    "harvest": treatment_from_table,
    "outcome": follow_up.outcomes_from_table,
    "events": follow_up.events_from_table,
    "imaging": follow_up.imaging_from_table,
    "patients": follow_up.patients_from_table,
    "mrd": mrd_from_table,
}


def read(name: str, *changes: dict[str, str], columns: tuple[str, ...] | None = None):
    names = columns or tuple(GOOD[name])
    lines = [tuple((GOOD[name] | change).get(c, "") for c in names) for change in changes or ({},)]
    records = tuple(Record(i, cells) for i, cells in enumerate(lines, start=2))
    table = Table(delimiter=",", header=Record(1, names), records=records, problems=())
    return READERS[name](table, path=f"{name}.csv")


def test_columns_are_those_of_the_format():
    names = {name: ",".join(columns) for name, (columns, _) in GOOD_ROWS.items()}
    assert names["treatment"] == "patient_id,phase,course,drug,route,dose,unit,start_on,end_on,reason_stopped"
    assert names["harvest"] == "patient_id,phase,cd34_per_kg,plerixafor,blood_volume_ml,collected_on"
    assert names["outcome"] == (
        "patient_id,progressed_on,died_on,cause,last_seen_on,second_myeloid_neoplasm_on"
    )
    assert names["events"] == (
        "patient_id,term,grade,ctcae_version,start_on,end_on,phase,route,related,serious"
    )
    assert names["imaging"] == "patient_id,date,method,result"


def test_words_are_spelled_one_way_and_the_line_is_kept():
    (given,) = read("treatment").rows
    assert (given.phase, given.drug, given.route, given.line) == ("INDUCTION", "daratumumab", "SC", 2)
    assert (given.dose, given.end_on) == (Decimal(1800), date(2024, 1, 29))
    (seen,) = read("imaging").rows
    assert (seen.method, seen.result) == ("PET-CT", "NEGATIVE")


@pytest.mark.parametrize(
    ("text", "cells", "note"),
    [("4200000", 4.2e6, False), ("4.2e6", 4.2e6, False), ("4.2", 4.2e6, True), ("4,2", 4.2e6, True)],
)
def test_millions_of_stem_cells_are_read_as_such_and_said(text, cells, note):
    table = read("harvest", {"cd34_per_kg": text})
    assert table.rows[0].cd34_per_kg == cells
    assert any("read as 4.20e+6 cells per kg" in n for n in table.notes) == note


def test_one_table_may_hold_courses_and_harvests():
    columns = tuple(dict.fromkeys((*COURSE_COLUMNS, *HARVEST_COLUMNS)))
    table = read(
        "treatment",
        {},
        {"phase": "HARVEST", "cd34_per_kg": "5000000", "collected_on": "2024-05-02"},
        {"phase": "asct", "drug": "melphalan", "start_on": "2024-06-01", "end_on": "2024-06-01"},
        columns=columns,
    )
    assert [type(r) for r in table.rows] == [Course, Harvest, Course]
    assert transplants(r for r in table.rows if isinstance(r, Course)) == {"P01": date(2024, 6, 1)}


@pytest.mark.parametrize("spelling", ["5", "5.0", "v5", "v5.0", "CTCAE v5.0"])
def test_one_version_has_many_spellings(spelling):
    assert read("events", {"ctcae_version": spelling}).rows[0].ctcae_version == "5.0"


def test_death_is_the_last_day_seen():
    assert read("outcome").rows[0].last_seen_on == date(2025, 6, 1)


@pytest.mark.parametrize(
    ("name", "change", "column", "match"),
    [
        ("treatment", {"end_on": "2024-01-01"}, "end_on", "before the date"),
        ("treatment", {"start_on": ""}, "start_on", "an empty cell"),
        ("treatment", {"unit": ""}, "unit", "without a unit"),
        ("treatment", {"dose": "-1"}, "dose", "negative"),
        ("treatment", {"dose": "1,800"}, "dose", "group thousands"),
        ("treatment", {"course": "1.5"}, "course", "not a whole number"),
        ("treatment", {"reason_stopped": "TOXICITY", "end_on": ""}, "end_on", "reason to stop"),
        ("harvest", {"plerixafor": "maybe"}, "plerixafor", "not an answer"),
        ("harvest", {"collected_on": "02/05/2024"}, "collected_on", "day and month"),
        ("outcome", {"died_on": "2024-12-01"}, "died_on", "before the date"),
        ("outcome", {"died_on": ""}, "last_seen_on", "an empty cell"),
        ("outcome", {"died_on": "", "last_seen_on": "2024-12-01"}, "last_seen_on", "before the date"),
        ("events", {"grade": "6"}, "grade", "not an answer"),
        ("events", {"ctcae_version": ""}, "ctcae_version", "an empty cell"),
        ("events", {"ctcae_version": "4.03"}, "ctcae_version", "not a version"),
        ("events", {"phase": ""}, "phase", "an empty cell"),
        ("imaging", {"result": "unclear"}, "result", "not an answer"),
        ("imaging", {"method": ""}, "method", "an empty cell"),
        ("patients", {"weight_kg": "5.8"}, "weight_kg", "below 20 kg"),
        ("patients", {"age": "200"}, "age", "above 120"),
        ("patients", {"enrolled_on": ""}, "enrolled_on", "an empty cell"),
        ("mrd", {"lod": ""}, "lod", "without it"),
        ("mrd", {"lod": "0"}, "lod", "without it"),
        ("mrd", {"value": "12"}, "value", "above 1"),
        ("mrd", {"status": "NEG"}, "status", "not an answer"),
        *((name, {"patient_id": "Yamada Taro"}, "patient_id", "looks like") for name in GOOD),
    ],
)
def test_bad_cell_is_refused_with_line_and_remedy(name, change, column, match):
    with pytest.raises(SheetRefused, match=match) as refused:
        read(name, {"patient_id": "P00"}, change)
    (problem,) = refused.value.problems
    assert (problem.line, problem.column) == (3, column)
    assert problem.remedy
    assert "Yamada" not in str(refused.value)


@pytest.mark.parametrize("name", ["outcome", "imaging", "patients"])
def test_second_row_of_the_same_is_refused(name):
    with pytest.raises(SheetRefused, match="line 2 says this already"):
        read(name, {}, {})


def test_every_problem_is_named_at_once():
    with pytest.raises(SheetRefused, match="3 more problems") as refused:
        read("events", {"grade": "x", "start_on": "soon"}, {"ctcae_version": "3", "related": "?"})
    assert [p.line for p in refused.value.problems] == [2, 2, 3, 3]


def test_not_evaluable_result_needs_no_numbers():
    (result,) = read("mrd", {"status": "NOT_EVALUABLE", "value": "", "lod": ""}).rows
    assert (result.value, result.lod, result.method) == (None, None, "flow:srl")


@pytest.mark.parametrize("columns", [COURSE_COLUMNS[:-1], ("patient_id", "cd34_per_kg")])
def test_treatment_without_its_columns_is_refused(columns):
    with pytest.raises(SheetRefused, match="this column is missing"):
        read("treatment", columns=columns)
