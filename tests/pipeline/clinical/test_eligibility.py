"""CRAB, SLiM, measurability: each limit from both sides, and what missing tests leave open."""

import csv
from itertools import product

import pytest
from typer.testing import CliRunner

from pipeline.cli.clinical import app
from pipeline.clinical.eligibility import ELIGIBILITY_COLUMNS, baselines_from_table, judge_eligibility
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Record, Table
from pipeline.workflow.clinical_tables import rule_set

RULES = rule_set("imwg2016")
HEALTHY = {
    "calcium_mg_dl": "9.5",
    "creatinine_mg_dl": "0.8",
    "creatinine_clearance_ml_min": "90",
    "haemoglobin_g_dl": "13",
    "lytic_lesions": "NO",
    "bm_plasma_cell_percent": "15",
    "flc_kappa_mg_l": "12",
    "flc_lambda_mg_l": "10",
    "mri_focal_lesions": "0",
    "serum_m_protein_g_dl": "0.5",
    "urine_m_protein_mg_24h": "0",
    "biopsied_plasmacytoma": "NO",
}


def judged(**changes: str) -> dict[str, str]:
    cells = {"patient_id": "P01", **HEALTHY, **changes}
    table = Table(
        delimiter=",",
        header=Record(1, tuple(cells)),
        records=(Record(2, tuple(cells.values())),),
        problems=(),
    )
    (row,) = baselines_from_table(table, path="baseline.csv").rows
    return dict(zip(ELIGIBILITY_COLUMNS, judge_eligibility(row, RULES).cells, strict=True))


def test_nobody_without_an_event_has_myeloma():
    row = judged()
    answers = {k: v for k, v in row.items() if k not in ("patient_id", "missing", "clonal_disease")}
    assert set(answers.values()) == {"NO"}
    assert (row["clonal_disease"], row["missing"]) == ("YES", "")


@pytest.mark.parametrize(
    ("event", "changes", "answer"),
    [
        ("hypercalcaemia", {"calcium_mg_dl": "11"}, "NO"),
        ("hypercalcaemia", {"calcium_mg_dl": "11.01"}, "YES"),
        ("hypercalcaemia", {"calcium_mg_dl": "11", "calcium_upper_limit_mg_dl": "10"}, "NO"),
        ("hypercalcaemia", {"calcium_mg_dl": "10.9", "calcium_upper_limit_mg_dl": "9.8"}, "YES"),
        ("renal_insufficiency", {"creatinine_mg_dl": "2"}, "NO"),
        ("renal_insufficiency", {"creatinine_mg_dl": "2.01"}, "YES"),
        ("renal_insufficiency", {"creatinine_clearance_ml_min": "40"}, "NO"),
        ("renal_insufficiency", {"creatinine_clearance_ml_min": "39.9"}, "YES"),
        ("renal_insufficiency", {"creatinine_clearance_ml_min": ""}, "NOT_ASSESSABLE"),
        ("anaemia", {"haemoglobin_g_dl": "10"}, "NO"),
        ("anaemia", {"haemoglobin_g_dl": "9.9"}, "YES"),
        ("anaemia", {"haemoglobin_g_dl": "11", "haemoglobin_lower_limit_g_dl": "13"}, "NO"),
        ("anaemia", {"haemoglobin_g_dl": "10.9", "haemoglobin_lower_limit_g_dl": "13"}, "YES"),
        ("bone_lesions", {"lytic_lesions": "YES"}, "YES"),
        ("bone_lesions", {"lytic_lesions": ""}, "NOT_ASSESSABLE"),
        ("plasma_cells_60_percent", {"bm_plasma_cell_percent": "59.9"}, "NO"),
        ("plasma_cells_60_percent", {"bm_plasma_cell_percent": "60"}, "YES"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "1000"}, "YES"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "999.9"}, "NO"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "99.9", "flc_lambda_mg_l": "0.5"}, "NO"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "100", "flc_lambda_mg_l": "1"}, "YES"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "10", "flc_lambda_mg_l": "1000"}, "YES"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "150", "flc_lambda_mg_l": "<2"}, "NOT_ASSESSABLE"),
        ("flc_ratio_100", {"flc_kappa_mg_l": "250", "flc_lambda_mg_l": "<2"}, "YES"),
        ("mri_focal_lesions_above_1", {"mri_focal_lesions": "1"}, "NO"),
        ("mri_focal_lesions_above_1", {"mri_focal_lesions": "2"}, "YES"),
        ("measurable", {"serum_m_protein_g_dl": "0.99"}, "NO"),
        ("measurable", {"serum_m_protein_g_dl": "1"}, "YES"),
        ("measurable", {"urine_m_protein_mg_24h": "199"}, "NO"),
        ("measurable", {"urine_m_protein_mg_24h": "200"}, "YES"),
        ("measurable", {"flc_kappa_mg_l": "100"}, "YES"),
        ("measurable", {"flc_kappa_mg_l": "99"}, "NO"),
        ("measurable", {"flc_kappa_mg_l": "160", "flc_lambda_mg_l": "100"}, "NO"),
        ("measurable", {"urine_m_protein_mg_24h": ""}, "NOT_ASSESSABLE"),
    ],
)
def test_each_limit_from_both_sides(event, changes, answer):
    row = judged(**changes)
    assert row[event] == answer
    if answer == "YES" and event != "measurable":
        assert row["myeloma"] == "YES"


def test_event_without_clonal_disease_is_no_myeloma():
    row = judged(bm_plasma_cell_percent="9.9", calcium_mg_dl="12")
    assert (row["clonal_disease"], row["myeloma"]) == ("NO", "NO")
    assert (
        judged(bm_plasma_cell_percent="9.9", calcium_mg_dl="12", biopsied_plasmacytoma="YES")["myeloma"]
        == "YES"
    )


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"lytic_lesions": ""}, "lytic_lesions"),
        ({"lytic_lesions": "", "calcium_mg_dl": "12"}, ""),
        ({"creatinine_clearance_ml_min": "", "mri_focal_lesions": ""},
         "creatinine_clearance_ml_min;mri_focal_lesions"),
        ({"bm_plasma_cell_percent": "", "calcium_mg_dl": "12"}, "bm_plasma_cell_percent"),
        ({"bm_plasma_cell_percent": "", "biopsied_plasmacytoma": "", "calcium_mg_dl": "12"},
         "bm_plasma_cell_percent;biopsied_plasmacytoma"),
        ({"urine_m_protein_mg_24h": ""}, "urine_m_protein_mg_24h"),
    ],
)  # fmt: skip
def test_missing_names_what_could_change_an_open_answer(changes, missing):
    assert judged(**changes)["missing"] == missing


def test_an_answer_holds_whatever_the_missing_tests_show_and_an_open_one_does_not():
    choices = {
        "calcium_mg_dl": ("9", "12"),
        "creatinine_mg_dl": ("1", "3"),
        "creatinine_clearance_ml_min": ("30", "90"),
        "lytic_lesions": ("NO", "YES"),
        "bm_plasma_cell_percent": ("5", "15", "70"),
        "serum_m_protein_g_dl": ("0.5", "3"),
    }
    full = {
        values: judged(**dict(zip(choices, values, strict=True))) for values in product(*choices.values())
    }
    for values in product(*(("", *v) for v in choices.values())):
        row = judged(**dict(zip(choices, values, strict=True)))
        ends = [
            done for key, done in full.items() if all(v in ("", k) for v, k in zip(values, key, strict=True))
        ]
        for answer in ("myeloma", "clonal_disease", "measurable", "renal_insufficiency"):
            possible = {done[answer] for done in ends}
            assert row[answer] == (possible.pop() if len(possible) == 1 else "NOT_ASSESSABLE")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"calcium_mg_dl": "-1"}, "negative"),
        ({"haemoglobin_g_dl": "130"}, "no patient has"),
        ({"lytic_lesions": "2"}, "not an answer"),
        ({"mri_focal_lesions": "1.5"}, "whole number"),
        ({"patient_id": "Yamada Taro"}, "looks like"),
    ],
)
def test_bad_cell_is_refused(changes, match):
    with pytest.raises(SheetRefused, match=match) as refused:
        judged(**changes)
    assert "Yamada" not in str(refused.value)


def test_command_takes_absent_columns_for_tests_not_done(tmp_path):
    source, out = tmp_path / "baseline.csv", tmp_path / "eligibility.csv"
    source.write_text('patient_id,bm_plasma_cell_percent,calcium_mg_dl\nP01,60,9\nP02,15,"11,5"\nP03,15,9\n')
    ended = CliRunner().invoke(app, ["eligibility", str(source), "--out", str(out)])
    assert ended.exit_code == 0
    assert "line 3: calcium_mg_dl: decimal comma, read as 11.5 mg/dL" in ended.output
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [r["myeloma"] for r in rows] == ["YES", "YES", "NOT_ASSESSABLE"]
    assert rows[0]["missing"] == "flc_kappa_mg_l;flc_lambda_mg_l;serum_m_protein_g_dl;urine_m_protein_mg_24h"
