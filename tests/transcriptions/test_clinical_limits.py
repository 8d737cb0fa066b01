"""Limits of eligibility and FISH, written here a second time from their sources and not from the code.

CRAB and SLiM: Rajkumar et al., Lancet Oncol 2014;15:e538, as its criteria table is reprinted in secondary
sources. FISH: European Myeloma Network, Ross et al., Haematologica 2012;97:1272 (abstract). Each limit is
tried from both sides through the judgement itself, so that a wrong comparison is found as well as a wrong
number.
"""

import pytest

from pipeline.clinical.eligibility import ELIGIBILITY_COLUMNS, baselines_from_table, judge_eligibility
from pipeline.clinical.fish import FISH_COLUMNS, fish_from_table, judge_fish
from pipeline.formats.delimited import Record, Table, read_table
from pipeline.workflow.clinical_tables import rule_set

HEALTHY = {
    "calcium_mg_dl": "9.5", "creatinine_mg_dl": "0.9", "creatinine_clearance_ml_min": "90",
    "haemoglobin_g_dl": "14", "lytic_lesions": "NO", "bm_plasma_cell_percent": "20",
    "biopsied_plasmacytoma": "NO", "flc_kappa_mg_l": "15", "flc_lambda_mg_l": "15",
    "mri_focal_lesions": "0", "serum_m_protein_g_dl": "3", "urine_m_protein_mg_24h": "0",
}  # fmt: skip

# Event, the value that is not yet one, the value that is one: "> 11", "< 40", ">= 60 %", "more than one".
CRAB_AND_SLIM = (
    ("hypercalcaemia", {"calcium_mg_dl": "11.0"}, {"calcium_mg_dl": "11.1"}),
    (
        "hypercalcaemia",
        {"calcium_mg_dl": "10.5", "calcium_upper_limit_mg_dl": "9.5"},
        {"calcium_mg_dl": "10.6", "calcium_upper_limit_mg_dl": "9.5"},
    ),
    ("renal_insufficiency", {"creatinine_mg_dl": "2.0"}, {"creatinine_mg_dl": "2.1"}),
    ("renal_insufficiency", {"creatinine_clearance_ml_min": "40"}, {"creatinine_clearance_ml_min": "39"}),
    ("anaemia", {"haemoglobin_g_dl": "10.0"}, {"haemoglobin_g_dl": "9.9"}),
    (
        "anaemia",
        {"haemoglobin_g_dl": "11.0", "haemoglobin_lower_limit_g_dl": "13.0"},
        {"haemoglobin_g_dl": "10.9", "haemoglobin_lower_limit_g_dl": "13.0"},
    ),
    ("bone_lesions", {"lytic_lesions": "NO"}, {"lytic_lesions": "YES"}),
    ("plasma_cells_60_percent", {"bm_plasma_cell_percent": "59"}, {"bm_plasma_cell_percent": "60"}),
    (
        "flc_ratio_100",
        {"flc_kappa_mg_l": "999", "flc_lambda_mg_l": "10"},
        {"flc_kappa_mg_l": "1000", "flc_lambda_mg_l": "10"},
    ),
    (
        "flc_ratio_100",
        {"flc_kappa_mg_l": "99", "flc_lambda_mg_l": "0.5"},
        {"flc_kappa_mg_l": "100", "flc_lambda_mg_l": "0.5"},
    ),
    ("mri_focal_lesions_above_1", {"mri_focal_lesions": "1"}, {"mri_focal_lesions": "2"}),
    ("clonal_disease", {"bm_plasma_cell_percent": "9"}, {"bm_plasma_cell_percent": "10"}),
)


RULES = rule_set("imwg2016")


def answer(changes, event):
    cells = {"patient_id": "P1", **HEALTHY, **changes}
    header, row = Record(1, tuple(cells)), Record(2, tuple(cells.values()))
    table = Table(delimiter=",", header=header, records=(row,), problems=())
    (baseline,) = baselines_from_table(table, path="baseline.csv").rows
    return dict(zip(ELIGIBILITY_COLUMNS, judge_eligibility(baseline, RULES).cells, strict=True))[event]


@pytest.mark.parametrize(("event", "outside", "inside"), CRAB_AND_SLIM)
def test_crab_and_slim_from_both_sides(event, outside, inside):
    assert answer(outside, event) == "NO"
    assert answer(inside, event) == "YES"


@pytest.mark.parametrize(
    ("probe", "percent", "cells", "call"),
    [
        ("t(4;14)", "9.9", "200", "NEGATIVE"),
        ("t(4;14)", "10", "200", "POSITIVE"),
        ("IGH break-apart", "9.9", "200", "NEGATIVE"),
        ("IGH break-apart", "10", "200", "POSITIVE"),
        ("del(17p)", "19.9", "200", "NEGATIVE"),
        ("del(17p)", "20", "200", "POSITIVE"),
        ("gain(1q)", "19.9", "100", "NEGATIVE"),
        ("gain(1q)", "19.9", "99", "NOT_EVALUABLE"),
        ("gain(1q)", "20", "99", "POSITIVE"),
    ],
)
def test_fish_cut_offs_of_the_european_myeloma_network(tmp_path, probe, percent, cells, call):
    """10 % for fusion and break-apart probes, 20 % for numerical ones, 100 plasma cells scored."""
    path = tmp_path / "fish.csv"
    path.write_text(f"{','.join(FISH_COLUMNS)}\nP1,2026-01-01,{probe},{cells},{percent},,\n")
    items = fish_from_table(read_table(path, FISH_COLUMNS), path=path)
    assert judge_fish(items.rows[0]).call.value == call
