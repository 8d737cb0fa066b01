"""``nadir clinical stratify``: the day 60-90 rule, and a table that only grows."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.clinical import app
from pipeline.errors import SheetRefused

HEADER = "patient_id,date,response,site_response,transplant_on"


def stratify(folder: Path, *lines: str, header: str = HEADER, options: tuple[str, ...] = ()):
    source, out = folder / "response.csv", folder / "strata.csv"
    source.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    ended = CliRunner().invoke(app, ["stratify", str(source), "--out", str(out), *options])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    with out.open(encoding="utf-8") as file:
        return list(csv.DictReader(file)), ended.output


@pytest.mark.parametrize(
    ("response", "arm", "status"),
    [
        *((level, "DRD", "ALLOCATED") for level in ("sCR", "CR", "VGPR")),
        *((level, "KRD", "ALLOCATED") for level in ("PR", "MR", "SD")),
        ("PD", "OFF_STUDY", "ALLOCATED"),
        ("NE", "QUERY", "QUERY"),
    ],
)
def test_arm_by_response_in_the_window(tmp_path, response, arm, status):
    (row,), _ = stratify(tmp_path, f"P01,2024-03-15,{response},,2024-01-01")
    assert (row["arm"], row["status"]) == (arm, status)
    assert (row["days_after_transplant"], row["in_window"]) == ("74", "YES")


@pytest.mark.parametrize(
    ("day", "in_window", "arm"),
    [("2024-02-29", "NO", "QUERY"), ("2024-03-01", "YES", "DRD"), ("2024-03-31", "YES", "DRD"),
     ("2024-04-01", "NO", "DRD")],
)  # fmt: skip
def test_window_is_60_to_90_days_and_nobody_is_allocated_before(tmp_path, day, in_window, arm):
    (row,), output = stratify(tmp_path, f"P01,{day},VGPR,,2024-01-01")
    assert (row["in_window"], row["arm"]) == (in_window, arm)
    assert ("outside 60-90" in output) == (in_window == "NO")


def test_site_that_reports_another_response_is_logged_and_changes_nothing(tmp_path):
    (row,), output = stratify(tmp_path, "P01,2024-03-15,PR,VGPR,2024-01-01")
    assert (row["arm"], row["status"]) == ("KRD", "ALLOCATED")
    assert "P01: site reports VGPR, central review PR: another arm" in output


def test_allocation_stays_byte_for_byte_and_a_changed_response_is_a_disagreement(tmp_path):
    stratify(tmp_path, "P01,2024-03-15,VGPR,,2024-01-01")
    before = (tmp_path / "strata.csv").read_bytes()
    rows, output = stratify(tmp_path, "P01,2024-03-15,PR,,2024-01-01", "P02,2024-03-20,CR,,2024-01-10")
    assert (tmp_path / "strata.csv").read_bytes().startswith(before)
    assert [(r["patient_id"], r["arm"], r["status"]) for r in rows] == [
        ("P01", "DRD", "ALLOCATED"),
        ("P01", "DRD", "DISAGREEMENT"),
        ("P02", "DRD", "ALLOCATED"),
    ]
    assert "allocated to DRD by VGPR of 2024-03-15, and that stands; now PR, which would be KRD" in output
    after = (tmp_path / "strata.csv").read_bytes()
    stratify(tmp_path, "P01,2024-03-15,PR,,2024-01-01", "P02,2024-03-20,CR,,2024-01-10")
    assert (tmp_path / "strata.csv").read_bytes() == after


def test_query_is_answered_by_a_later_evaluable_response(tmp_path):
    stratify(tmp_path, "P01,2024-03-05,NE,,2024-01-01")
    rows, _ = stratify(tmp_path, "P01,2024-03-05,NE,,2024-01-01", "P01,2024-03-25,SD,,2024-01-01")
    assert [(r["status"], r["arm"]) for r in rows] == [("QUERY", "QUERY"), ("ALLOCATED", "KRD")]


def test_first_evaluable_visit_in_the_window_decides(tmp_path):
    days = ("2023-12-30,PR", "2024-02-10,PR", "2024-03-02,NE", "2024-03-10,VGPR", "2024-03-30,PD")
    (row,), _ = stratify(tmp_path, *(f"P01,{d},,2024-01-01" for d in days))
    assert (row["date"], row["arm"]) == ("2024-03-10", "DRD")


def test_transplant_is_taken_from_the_treatment_table_or_its_lack_is_a_query(tmp_path):
    treatment = tmp_path / "treatment.csv"
    treatment.write_text(
        "patient_id,phase,course,drug,route,dose,unit,start_on,end_on,reason_stopped\n"
        "P01,ASCT,1,melphalan,IV,200,mg/m2,2024-01-01,2024-01-01,\n"
    )
    lines = ("P01,2024-03-15,CR", "P02,2024-03-15,CR")
    rows, output = stratify(
        tmp_path, *lines, header="patient_id,date,response", options=("--treatment", str(treatment))
    )
    assert [(r["arm"], r["in_window"]) for r in rows] == [("DRD", "YES"), ("QUERY", "UNKNOWN")]
    assert "P02: the day of transplant is not known" in output


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("patient_id,date\nP01,2024-03-15\n", "missing or stands twice"),
        ("arm,patient_id,date,response,days_after_transplant,in_window,site_response,status,queries\n"
         "DRD,P01,2024-03-15,CR,74,YES,,ALLOCATED,\n", "not in their order"),
        ("patient_id,date,response,days_after_transplant,in_window,site_response,arm,status,queries\n"
         "P01,2024-03-15,CR,74,YES,,DRD,ALLOCATED,\nP01,2024-03-15,PR,74,YES,,KRD,ALLOCATED,\n", "twice"),
    ],
)  # fmt: skip
def test_another_table_in_the_place_of_the_allocations_is_refused_and_kept(tmp_path, text, match):
    (tmp_path / "strata.csv").write_text(text)
    with pytest.raises(SheetRefused, match=match):
        stratify(tmp_path, "P01,2024-03-15,CR,,2024-01-01")
    assert (tmp_path / "strata.csv").read_text() == text


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("P01,,CR,,", "empty cell"),
        ("P01,2024-03-15,good,,", "not an answer"),
        ("Yamada Taro,2024-03-15,CR,,", "looks like"),
        ("P01,15/03/2024,CR,,", "not a date"),
        ("P00,2024-03-15,CR,,2024-01-01", "says this already"),
    ],
)
def test_bad_response_row_is_refused_and_writes_nothing(tmp_path, line, match):
    with pytest.raises(SheetRefused, match=match) as refused:
        stratify(tmp_path, "P00,2024-03-15,CR,,2024-01-01", line)
    assert "Yamada" not in str(refused.value)
    assert not (tmp_path / "strata.csv").exists()
