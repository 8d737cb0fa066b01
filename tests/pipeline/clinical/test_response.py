"""IMWG 2016 response: boundary cases, confirmation, hostile histories."""

import random
import tomllib
from datetime import date, timedelta
from decimal import Decimal

import pytest

from pipeline.clinical.confirmation import VisitResponse, respond
from pipeline.clinical.laboratory import LAB_COLUMNS, labs_from_table
from pipeline.clinical.levels import Level
from pipeline.clinical.response import measurable
from pipeline.clinical.rules import rule_set_names, rule_set_path, rules_from
from pipeline.clinical.visits import histories
from pipeline.errors import ConfigRefused, UsageError
from pipeline.formats.delimited import Record, Table
from references import cases, reference, reference_rows

RULES_TEXT = rule_set_path("imwg2016").read_text(encoding="utf-8")
RULES = rules_from(tomllib.loads(RULES_TEXT, parse_float=Decimal))
UNITS = {
    "serum_m_protein": "g/dL",
    "urine_m_protein_24h": "mg/24h",
    "flc_kappa": "mg/L",
    "flc_lambda": "mg/L",
    "bm_plasma_cell_percent": "%",
    "plasmacytoma_spd": "cm2",
}
# Quality of a level, worst first: progression is the worst, and not evaluable says nothing good.
QUALITY = [Level.PD, Level.NE, Level.SD, Level.MR, Level.PR, Level.VGPR, Level.CR, Level.SCR]


def responses(rows: list[tuple[str, ...]]) -> dict[tuple[str, str], VisitResponse]:
    records = tuple(Record(i, tuple(row)) for i, row in enumerate(rows, start=2))
    table = Table(delimiter=",", header=Record(1, LAB_COLUMNS), records=records, problems=())
    labs = labs_from_table(table, path="labs.csv")
    found = [r for h in histories(labs.values) for r in respond(h, RULES)]
    return {(r.patient_id, r.day.isoformat()): r for r in found}


def responses_of(name: str) -> dict[tuple[str, str], VisitResponse]:
    return responses([tuple(row[c] for c in LAB_COLUMNS) for row in reference_rows("imwg", name)])


BASE = {
    "isotype": "IgG-K",
    "serum_m_protein": "4.0",
    "urine_m_protein_24h": "0",
    "flc_kappa": "80",
    "flc_lambda": "10",
    "serum_ife": "IgG-K",
    "urine_ife": "NEG",
    "bm_plasma_cell_percent": "40",
    "bm_clonal": "YES",
}
CLEAN = {
    "serum_m_protein": "0",
    "urine_m_protein_24h": "0",
    "flc_kappa": "10",
    "flc_lambda": "10",
    "serum_ife": "NEG",
    "urine_ife": "NEG",
    "bm_plasma_cell_percent": "2",
    "bm_clonal": "NO",
    "new_lesion": "NO",
}
FLC_ONLY = BASE | {
    "isotype": "K",
    "serum_m_protein": "0",
    "flc_kappa": "1010",
    "serum_ife": "NEG",
}


def course(*visits: dict[str, str], base: dict[str, str] = BASE, first: date = date(2024, 1, 2)):
    """Rows of one patient, baseline first, treatment a week later, visits every 30 days."""
    rows = [("X", first.isoformat(), t, v, UNITS.get(t, ""), f"0:{t}") for t, v in base.items()]
    rows.append(("X", (first + timedelta(7)).isoformat(), "treatment_start", "DRD", "", "t"))
    for i, visit in enumerate(visits, start=1):
        day = (first + timedelta(30 * i)).isoformat()
        rows += [("X", day, t, v, UNITS.get(t, ""), f"{i}:{t}") for t, v in visit.items()]
    return rows


def judged(*visits: dict[str, str], base: dict[str, str] = BASE) -> list[VisitResponse]:
    return list(responses(course(*visits, base=base)).values())


def without(values: dict[str, str], *tests: str) -> dict[str, str]:
    return {t: v for t, v in values.items() if t not in tests}


@pytest.mark.parametrize("case", cases("imwg", "boundary_labs_expected.csv"), ids=lambda c: c["patient_id"])
def test_boundary_case(case):
    found = responses_of("boundary_labs.csv")[case["patient_id"], case["date"]]
    assert found.response.label in case["expected"].split("|"), case["why"]
    assert found.reason.startswith(f"{found.response.label}: ")
    assert found.rows


def test_all_65_confirmed_rows():
    found = responses_of("confirmed_labs.csv")
    expected = {
        (r["patient_id"], r["date"]): r["expected"]
        for r in reference_rows("imwg", "confirmed_labs_expected.csv")
    }
    assert {key: r.best_confirmed.label for key, r in found.items()} == expected
    assert len(expected) == 65


def test_increase_is_decimal():
    """0.7 - 0.2 is 0.5 and progression; in binary floating point it would be just below."""
    low = CLEAN | {"serum_m_protein": "0.2", "serum_ife": "POS"}
    assert judged(low, low, low | {"serum_m_protein": "0.7"})[-1].response is Level.PD
    assert judged(low, low, low | {"serum_m_protein": "0.69"})[-1].response is Level.PR


def test_nadir_is_the_lowest_confirmed_value():
    at = lambda v: CLEAN | {"serum_m_protein": v, "serum_ife": "POS"}  # noqa: E731
    once = judged(at("2.0"), at("1.0"), at("2.4"))
    assert once[-1].response is Level.MR, "1.0 was seen once only; from 2.0 it is +0.4"
    twice = judged(at("1.0"), at("1.0"), at("1.5"))
    assert twice[-1].response is Level.PD
    assert twice[-1].rows == ("1:serum_m_protein", "2:serum_m_protein", "3:serum_m_protein")


@pytest.mark.parametrize(
    ("nadir", "now", "level"),
    [("4.9", "6.0", Level.MR), ("4.9", "6.13", Level.PD), ("5.0", "5.99", Level.MR), ("5", "6", Level.PD)],
)
def test_from_5_g_dl_an_increase_of_1_stands_without_the_percentage(nadir, now, level):
    at = lambda v: CLEAN | {"serum_m_protein": v, "serum_ife": "POS"}  # noqa: E731
    found = judged(at(nadir), at(nadir), at(now), base=BASE | {"serum_m_protein": "8.0"})
    assert found[-1].response is level


@pytest.mark.parametrize(("kappa", "level"), [("160", Level.VGPR), ("161", Level.PD)])
def test_dflc_must_rise_by_more_than_100_mg_l(kappa, level):
    base = FLC_ONLY | {"flc_kappa": "2010"}
    low = CLEAN | {"flc_kappa": "60"}
    assert judged(low, low, CLEAN | {"flc_kappa": kappa}, base=base)[-1].response is level


def test_dflc_never_progresses_beside_measurable_serum():
    low = CLEAN | {"serum_ife": "POS"}
    assert judged(low, low, low | {"flc_kappa": "900"})[-1].response is Level.VGPR


@pytest.mark.parametrize(
    ("gone", "level"),
    [
        (("bm_clonal",), Level.CR),
        (("flc_kappa",), Level.CR),
        (("bm_plasma_cell_percent", "bm_clonal"), Level.VGPR),
        (("serum_ife",), Level.VGPR),
        (("urine_ife", "urine_m_protein_24h"), Level.PR),
        (("serum_m_protein",), Level.SCR),
        (("serum_m_protein", "serum_ife"), Level.NE),
    ],
)
def test_a_missing_item_lowers_and_is_named(gone, level):
    found = judged(without(CLEAN, *gone))[0]
    assert found.response is level
    if level is not Level.SCR:
        assert "not done" in found.reason or "not measured" in found.reason


def test_plasmacytoma_that_was_not_measured_again_costs_one_level():
    base = BASE | {"plasmacytoma_spd": "10"}
    assert judged(CLEAN, base=base)[0].response is Level.VGPR
    assert judged(CLEAN | {"serum_ife": "POS"}, base=base)[0].response is Level.PR
    assert judged(CLEAN | {"plasmacytoma_spd": "0"}, base=base)[0].response is Level.SCR
    back = judged(CLEAN | {"plasmacytoma_spd": "0"}, CLEAN | {"plasmacytoma_spd": "0.5"}, base=base)
    assert back[1].response is Level.PD
    assert back[1].confirmed is Level.PD
    assert back[1].confirmed_by == "imaging"


@pytest.mark.parametrize(
    ("isotype", "bands", "dira", "level"),
    [
        ("IgG-K", "IgG-K", "SHIFTED", Level.SCR),
        ("IgG-K", "IgG-K", "RESIDUAL", Level.VGPR),
        ("IgG-K", "IgG-K", None, Level.VGPR),
        ("IgG-K", "IgG-K;IgA-L", "SHIFTED", Level.VGPR),
        ("IgA-L", "IgG-K", None, Level.SCR),
        ("IgA-L", "IgG-K;IgA-L", None, Level.VGPR),
        ("IgA-L", "POS", "SHIFTED", Level.VGPR),
    ],
)
def test_daratumumab_band(isotype, bands, dira, level):
    visit = CLEAN | {"serum_ife": bands} | ({} if dira is None else {"dira": dira})
    base = BASE | {"isotype": isotype, "serum_ife": isotype, "flc_kappa": "10", "flc_lambda": "80"}
    assert judged(visit, base=base)[0].response is level


def test_censored_value_counts_as_its_limit():
    assert judged(CLEAN | {"serum_m_protein": "<0.03", "serum_ife": "POS"})[0].response is Level.VGPR
    low = CLEAN | {"serum_m_protein": "<0.1", "serum_ife": "POS"}
    assert judged(low, low, low | {"serum_m_protein": "0.6"})[-1].response is Level.PD
    assert judged(low, low, low | {"serum_m_protein": "0.59"})[-1].response is Level.PR


def test_marrow_need_not_be_repeated_to_confirm():
    found = judged(CLEAN, without(CLEAN, "bm_plasma_cell_percent", "bm_clonal"))
    assert [f.response for f in found] == [Level.SCR, Level.VGPR]
    assert found[0].confirmed is Level.SCR
    assert found[0].confirmed_by == found[1].day.isoformat()
    assert "2:serum_ife" in found[0].rows


def test_after_new_therapy_only_progression_is_confirmed():
    start = ("X", "2024-02-05", "new_therapy_start", "OTHER", "", "n")
    kept = responses([*course(CLEAN, CLEAN), start])
    assert [r.confirmed for r in kept.values()] == [Level.SD, Level.SD]
    up = CLEAN | {"serum_m_protein": "5.5", "serum_ife": "POS"}
    worse = responses([*course(up, up), start])
    assert [r.confirmed for r in worse.values()] == [Level.PD, Level.NE]
    assert [r.best_confirmed for r in worse.values()] == [Level.PD, Level.PD]


def test_nothing_measurable_gives_cr_or_nothing_between():
    base = BASE | {"serum_m_protein": "0.9", "flc_kappa": "10", "bm_plasma_cell_percent": "20"}
    assert judged(CLEAN, base=base)[0].response is Level.SCR
    assert judged(CLEAN | {"serum_ife": "POS"}, base=base)[0].response is Level.NE
    rich = base | {"bm_plasma_cell_percent": "30"}
    half = CLEAN | {"serum_ife": "POS", "bm_plasma_cell_percent": "15"}
    assert judged(half, base=rich)[0].response is Level.PR
    up = CLEAN | {"serum_ife": "POS", "bm_plasma_cell_percent": "40"}
    assert judged(up, base=rich)[0].response is Level.PD
    assert judged(up | {"bm_plasma_cell_percent": "39.9"}, base=rich)[0].response is Level.SD


def test_test_not_repeated_at_the_baseline_comes_from_the_date_before():
    earlier = [("X", "2023-12-20", t, v, UNITS.get(t, ""), f"e:{t}") for t, v in BASE.items()]
    late = ("X", "2024-01-02", "haemoglobin", "10", "g/dL", "hb")
    again = ("X", "2024-01-02", "serum_m_protein", "3.0", "g/dL", "b:serum_m_protein")
    visits = [
        r for r in course(CLEAN | {"serum_m_protein": "1.5", "serum_ife": "POS"}) if r[1] > "2024-01-02"
    ]
    found = list(responses([*earlier, late, again, *visits]).values())
    assert [f.response for f in found] == [Level.PR]
    assert "b:serum_m_protein" in found[0].rows


def test_visit_before_the_first_dose_is_no_response():
    late = ("X", "2024-01-05", "haemoglobin", "10", "g/dL", "hb")
    assert [d for _, d in responses([*course(CLEAN), late])] == ["2024-02-01"]


def test_first_visit_is_the_baseline_where_none_lies_before_treatment():
    rows = [r for r in course(CLEAN | {"serum_m_protein": "2"}, CLEAN) if r[2] != "treatment_start"]
    started = ("X", "2023-12-01", "treatment_start", "DRD", "", "t")
    assert responses([*rows, started]) == responses(rows)
    assert len(responses(rows)) == 2


def test_light_chains_without_isotype_are_not_guessed():
    base = without(FLC_ONLY, "isotype")
    found = judged(CLEAN | {"flc_kappa": "110"}, base=base)[0]
    assert found.response is Level.NE
    assert "isotype" in found.reason


def measurable_case(case: dict) -> tuple[str, ...]:
    kappa = case["iFLC"]
    values = {
        "isotype": "IgG-K",
        "serum_m_protein": str(case["sM"]),
        "urine_m_protein_24h": str(case["uM"]),
        "flc_kappa": str(kappa),
        "flc_lambda": f"{Decimal(kappa) / Decimal(str(case['ratio'])):.6f}",
    }
    rows = [("X", "2024-01-02", t, v, UNITS.get(t, ""), t) for t, v in values.items()]
    records = tuple(Record(i, row) for i, row in enumerate(rows, start=2))
    table = Table(delimiter=",", header=Record(1, LAB_COLUMNS), records=records, problems=())
    history = histories(labs_from_table(table, path="x").values)[0]
    return measurable(history.baseline, history.chain, RULES)


def test_measurable_disease_of_the_trial():
    import json

    for case in json.loads(reference("imwg", "mm20_rules.json").read_text())["measurable"]:
        found = measurable_case(case)
        assert bool(found) is case["measurable"]
        assert (found[0] if found else None) == case["by"]


# Worse values of one test, from best to worst; free light chains away from the normal ratio.
WORSE = {
    "serum_m_protein": ["0", "0.1", "0.4", "0.41", "1.9", "2.0", "3.0", "3.01", "4.0", "4.9", "5.0", "9"],
    "urine_m_protein_24h": ["0", "99", "100", "199", "200", "450", "899", "900", "1100", "4000"],
    "flc_kappa": ["10", "16.5", "16.6", "30", "110", "111", "510", "511", "1010", "2000"],
    "bm_plasma_cell_percent": ["0", "4.9", "5", "20", "40", "49", "50", "90"],
    "plasmacytoma_spd": ["0", "0.1", "5", "5.1", "10", "15", "30"],
    "serum_ife": ["NEG", "POS"],
    "urine_ife": ["NEG", "POS"],
    "dira": ["SHIFTED", "RESIDUAL"],
    "bm_clonal": ["NO", "YES"],
    "new_lesion": ["NO", "YES"],
}
BASES = [
    BASE,
    BASE | {"urine_m_protein_24h": "900", "plasmacytoma_spd": "10"},
    BASE | {"serum_m_protein": "0.5", "urine_m_protein_24h": "900"},
    FLC_ONLY,
    BASE | {"serum_m_protein": "0.5", "flc_kappa": "10"},
]


def random_visit(rng: random.Random) -> dict[str, str]:
    return {"flc_lambda": "10"} | {t: rng.choice(v) for t, v in WORSE.items() if rng.random() < 0.85}


def test_worsening_a_value_never_improves_the_level():
    rng = random.Random(20240102)
    for _ in range(500):
        base, before, visit = rng.choice(BASES), [random_visit(rng), random_visit(rng)], random_visit(rng)
        test = rng.choice([t for t in visit if t in WORSE])
        order = WORSE[test]
        worse = visit | {test: order[rng.randrange(order.index(visit[test]), len(order))]}
        good, bad = judged(*before, visit, base=base)[-1], judged(*before, worse, base=base)[-1]
        assert QUALITY.index(bad.response) <= QUALITY.index(good.response), (base, before, visit, worse)


def test_units_and_row_order_do_not_matter():
    rng = random.Random(7)
    factors = {
        "serum_m_protein": ("g/L", 10),
        "urine_m_protein_24h": ("g/24h", Decimal("0.001")),
        "flc_kappa": ("mg/dL", Decimal("0.1")),
        "plasmacytoma_spd": ("mm2", 100),
    }
    for _ in range(100):
        rows = course(*(random_visit(rng) for _ in range(4)), base=rng.choice(BASES))
        other = [
            (*r[:3], str(Decimal(r[3]) * factors[r[2]][1]), factors[r[2]][0], r[5])
            if r[2] in factors and rng.random() < 0.5
            else r
            for r in rows
        ]
        rng.shuffle(other)
        assert responses(other) == responses(rows)


def random_rows(rng: random.Random, patient: str) -> list[tuple[str, ...]]:
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    extra = {
        "isotype": ["IgG-K", "IgA-L", "K"],
        "treatment_start": ["DRD"],
        "new_therapy_start": ["OTHER"],
        "death": ["PD", "OTHER"],
        "response_reported": ["sCR", "CR", "VGPR", "PR", "MR", "SD", "PD", "NE"],
        "pd_basis": ["LAB", "IMAGING"],
        "flc_lambda": ["0", "<0.5", "10", "300"],
        "ldh": ["200"],
    }
    for day in rng.sample(range(400), rng.randrange(1, 5)):
        for test, values in (WORSE | extra).items():
            if rng.random() < (0.1 if test in extra else 0.6) and (test != "isotype" or not rows):
                value = rng.choice(values)
                when = (date(2024, 1, 1) + timedelta(day)).isoformat()
                unit = "U/L" if test == "ldh" else UNITS.get(test, "")
                rows[when, test] = (patient, when, test, value, unit, f"{when}:{test}")
    return list(rows.values())


def check_random_histories(patients: int) -> int:
    rng = random.Random(10_000)
    count = 0
    for i in range(patients):
        rows = random_rows(rng, f"R{i}")
        known = {r[5] for r in rows}
        for r in responses(rows).values():
            count += 1
            assert r.rows or r.response is Level.NE
            assert set(r.rows) <= known
            assert r.reason.startswith(f"{r.response.label}: ")
            assert r.confirmed is Level.NE or r.response is not Level.NE
    return count


def test_random_histories_never_crash_nor_give_a_level_without_evidence():
    assert check_random_histories(1000) > 1000


@pytest.mark.slow
def test_ten_thousand_random_histories():
    assert check_random_histories(10_000) > 10_000


def test_rule_set_is_refused_where_a_number_is_missing_or_not_one():
    content = tomllib.loads(RULES_TEXT, parse_float=Decimal)
    with pytest.raises(ConfigRefused, match="a number is missing"):
        rules_from(content | {"measurable": {"serum_m_g_dl": 1}}, path="r.toml")
    with pytest.raises(ConfigRefused, match="not a number"):
        rules_from(content | {"missing": {"levels_lost": "one"}})
    with pytest.raises(ConfigRefused, match="unknown number"):
        rules_from(content | {"surprise": Decimal(1)})
    with pytest.raises(UsageError, match="imwg2016"):
        rule_set_path("imwg1999")
    assert rule_set_names() == ("imwg2016",)


def test_second_transcription_of_the_thresholds():
    """From Kumar 2016 and Rajkumar 2011 (Table 1), in the units of the text."""
    assert (RULES.measurable_serum_m_g_dl, RULES.measurable_urine_m_mg_24h) == (1, 200)
    assert RULES.measurable_involved_flc_mg_l == 10 * 10, "10 mg/dL"
    assert (RULES.flc_ratio_low, RULES.flc_ratio_high) == (Decimal("0.26"), Decimal("1.65"))
    assert RULES.complete_marrow_below_percent == 5
    assert RULES.very_good_serum_reduction_percent == RULES.very_good_dflc_reduction_percent == 90
    assert RULES.very_good_urine_below_mg_24h == 100
    assert RULES.partial_serum_reduction_percent == RULES.partial_dflc_reduction_percent == 50
    assert (RULES.partial_urine_reduction_percent, RULES.partial_urine_below_mg_24h) == (90, 200)
    assert (RULES.partial_marrow_reduction_percent, RULES.partial_marrow_baseline_percent) == (50, 30)
    assert RULES.partial_plasmacytoma_reduction_percent == 50
    assert (RULES.minimal_serum_reduction_percent, RULES.minimal_urine_reduction_percent) == (25, 50)
    assert RULES.progression_increase_percent == 25
    assert RULES.progression_serum_increase_g_dl == Decimal("0.5")
    assert (RULES.progression_serum_high_nadir_g_dl, RULES.progression_serum_high_increase_g_dl) == (5, 1)
    assert RULES.progression_urine_increase_mg_24h == 200
    assert RULES.progression_dflc_increase_above_mg_l == 10 * 10, "10 mg/dL"
    assert RULES.progression_marrow_increase_points == 10
    assert RULES.progression_plasmacytoma_increase_percent == 50
