"""Endpoint tables against the truth of a simulated trial, counted here without the code that is tested."""

import re
import time
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from clinical_tables import LEVELS, PHASES, Truth, write_trial
from pipeline.clinical.allocation_log import STRATA_COLUMNS
from pipeline.clinical.eligibility import ELIGIBILITY_COLUMNS, ELIGIBILITY_INPUTS
from pipeline.clinical.fish import FISH_COLUMNS, FISH_RESULT_COLUMNS
from pipeline.clinical.follow_up import (
    EVENT_COLUMNS,
    IMAGING_COLUMNS,
    OUTCOME_COLUMNS,
    PATIENT_COLUMNS,
)
from pipeline.clinical.mrd_table import MRD_COLUMNS
from pipeline.clinical.treatment import COURSE_COLUMNS, HARVEST_COLUMNS
from pipeline.clinical.trial import EndpointTable, Trial
from pipeline.clinical.trial_endpoints import endpoint_tables
from pipeline.workflow.clinical_tables import named_files, read_trial

START = date(2022, 1, 10)


def dicts(table: EndpointTable) -> list[dict[str, str]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.fixture(scope="module")
def simulated(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Truth, dict[str, list[dict[str, str]]], Trial]:
    folder = tmp_path_factory.mktemp("trial")
    truth = write_trial(folder, patients=60, visits=20, rng=np.random.default_rng(11))
    trial, notes = read_trial(named_files(folder), rules="imwg2016")
    assert notes == ()
    tables, left_out = endpoint_tables(trial)
    assert left_out == ()
    return truth, {t.name: dicts(t) for t in tables}, trial


def at_least(truth: Truth, phase: str, lowest: str, members: list[str]) -> int:
    return sum(LEVELS.index(truth.levels[p][phase]) >= LEVELS.index(lowest) for p in members)


def test_response_rates_are_those_simulated_for_every_phase_and_arm(simulated):
    truth, tables, _ = simulated
    rows = [r for r in tables["response_rates"] if r["at_least"] != "PD" and r["phase"] in PHASES]
    assert {r["phase"] for r in rows} == set(PHASES)
    for row in rows:
        if row["phase"] == "MAINTENANCE":
            continue  # cut short by progression and by the end of treatment, which levels do not know
        members = [p for p, arm in truth.arms.items() if row["arm"] in ("", arm)]
        expected = at_least(truth, row["phase"], row["at_least"], members)
        assert (row["patients"], row["with_it"]) == (str(len(members)), str(expected)), row
        assert float(row["ci_low"]) <= expected / len(members) <= float(row["ci_high"])


def test_primary_endpoint_is_the_complete_responses_after_consolidation(simulated):
    truth, tables, _ = simulated
    row = next(r for r in tables["primary"] if (r["arm"], r["set"]) == ("", "ITT"))
    assert row["with_it"] == str(at_least(truth, "CONSOLIDATION", "CR", list(truth.arms)))


def test_upgrades_are_those_simulated(simulated):
    truth, tables, _ = simulated
    row = next(
        r for r in tables["upgrades"] if (r["from_phase"], r["arm"], r["set"]) == ("ASCT", "", "KNOWN_BOTH")
    )
    pairs = [(LEVELS.index(own["ASCT"]), LEVELS.index(own["CONSOLIDATION"])) for own in truth.levels.values()]
    below = [(a, b) for a, b in pairs if a < LEVELS.index("sCR")]
    assert row["to_phase"] == "CONSOLIDATION"
    assert (row["patients"], row["with_it"]) == (str(len(below)), str(sum(b > a for a, b in below)))


def test_harvest_and_discontinuations_are_those_simulated(simulated):
    truth, tables, _ = simulated
    harvest = {r["item"]: r for r in tables["harvest"] if r["arm"] == ""}
    assert float(harvest["cd34_per_kg"]["median"]) == pytest.approx(
        np.median(list(truth.cd34_per_kg.values()))
    )
    assert harvest["plerixafor"]["with_it"] == str(sum(truth.plerixafor.values()))
    stops = {
        (r["phase"], r["scope"]): r["with_it"]
        for r in tables["discontinuations"]
        if (r["arm"], r["reason_stopped"]) == ("", "any")
    }
    assert stops["CONSOLIDATION", "all_treatment"] == str(len(truth.stopped)) != "0"
    assert stops["INDUCTION", "any_drug"] == "0"


def test_survival_at_three_years_is_the_product_limit_of_the_truth(simulated):
    truth, tables, _ = simulated
    rows = {r["endpoint"]: r for r in tables["survival_summary"]}
    limit = 36 * 30.4375
    for endpoint, days in (("OS", truth.death_day), ("PFS", truth.progression_day)):
        survival = 1.0
        ends = {p: _first(days[p], truth.death_day[p]) for p in truth.arms}
        for end in sorted({e for e in ends.values() if e is not None and e <= limit}):
            at_risk = sum((ends[p] or truth.last_day[p]) >= end for p in ends)
            survival *= 1 - sum(e == end for e in ends.values()) / at_risk
        assert float(rows[endpoint]["estimate"]) == pytest.approx(survival, abs=1e-8)
        assert rows[endpoint]["events"] == str(sum(e is not None for e in ends.values()))
        assert float(rows[endpoint]["ci_low"]) < survival < float(rows[endpoint]["ci_high"])


def _first(*days: int | None) -> int | None:
    return min((d for d in days if d is not None), default=None)


def test_mrd_negative_rates_count_missing_and_shallow_samples_as_not_negative(simulated):
    truth, tables, _ = simulated
    for row in tables["mrd_negative_rates"]:
        threshold = float(row["threshold"])
        known = [r for r in truth.mrd.values() if r is not None]
        negative = [r for r in known if r[2] <= threshold and not (r[0] and r[1] >= threshold)]
        positive = [r for r in known if r[0] and r[1] >= threshold]
        expected = {
            "ITT": len(truth.mrd),
            "EVALUABLE": len(negative) + len(positive),
            "LOD_REACHED": sum(r[2] <= threshold for r in known),
        }
        assert row["patients"] == str(expected[row["set"]])
        assert row["missing"] == str(sum(r is None for r in truth.mrd.values()))
        if threshold == 1e-6:
            assert (row["rate"], row["reason"]) == ("", "no sample's limit of detection reaches it")
        else:
            assert row["with_it"] == str(len(negative))


def test_adverse_events_are_patients_with_the_grade_or_worse(simulated):
    truth, tables, _ = simulated
    for row in tables["adverse_events"]:
        grade, term = int(row["grade_at_least"]), row["term"]
        own = {
            p
            for p, phase, t, g, _ in truth.events
            if phase == row["phase"] and g >= grade and term in ("any", t)
        }
        assert (row["patients"], row["with_it"]) == (str(len(truth.arms)), str(len(own)))


def test_events_by_route_are_counted_with_the_time_on_that_route(simulated):
    truth, tables, _ = simulated
    rows = [
        r for r in tables["exposure_adjusted"] if (r["comparison"], r["grade_at_least"]) == ("route", "1")
    ]
    events = Counter(e[4] for e in truth.events)
    assert {r["group"]: r["events"] for r in rows} == {route: str(events[route]) for route in ("IV", "SC")}
    # Four courses of 28 days in each of three phases, of two where treatment stopped in consolidation.
    phases = Counter[str]()
    for name in truth.arms:
        route = next((e[4] for e in truth.events if e[0] == name), "SC")
        phases[route] += 2 if name in truth.stopped else 3
    for row in rows:
        months = phases[row["group"]] * 4 * 28 / 30.4375
        assert float(row["patient_months"]) == pytest.approx(months)
        assert float(row["rate"]) == pytest.approx(events[row["group"]] / months)


def test_no_table_holds_nan_and_what_has_no_estimate_has_a_reason(simulated):
    _, tables, _ = simulated
    for name, rows in tables.items():
        assert rows, name
        for row in rows:
            assert not {"nan", "inf", "-inf"} & {v.lower() for v in row.values()}, name
            if row.get("rate", row.get("estimate", "x")) == "" and "median" not in row:
                assert row["reason"], (name, row)


def test_order_of_rows_means_nothing(simulated):
    _, tables, trial = simulated
    turned = Trial(
        **{name: tuple(reversed(getattr(trial, name))) for name in trial.__dataclass_fields__}  # type: ignore[arg-type]
    )
    assert {t.name: dicts(t) for t in endpoint_tables(turned)[0]} == tables


def test_negative_in_complete_response_is_the_truth(simulated):
    truth, tables, _ = simulated
    row = next(
        r for r in tables["mrd_categories"] if (r["category"], r["threshold"]) == ("negative_in_cr", "0.0001")
    )
    expected = [
        p
        for p, found in truth.mrd.items()
        if found is not None
        and not (found[0] and found[1] >= 1e-4)
        and truth.levels[p]["CONSOLIDATION"] in ("CR", "sCR")
    ]
    assert row["with_it"] == str(len(expected)) != "0"


@pytest.mark.slow
def test_whole_trial_takes_less_than_a_minute(tmp_path: Path) -> None:
    write_trial(tmp_path, patients=172, visits=30, rng=np.random.default_rng(1))
    start = time.monotonic()
    trial, _ = read_trial(named_files(tmp_path), rules="imwg2016")
    tables, _ = endpoint_tables(trial)
    assert len(tables) == 13
    assert time.monotonic() - start < 60


def test_documentation_lists_every_table_and_its_columns(simulated):
    page = (Path(__file__).parents[3] / "docs" / "methods" / "endpoints.md").read_text(encoding="utf-8")
    _, _, trial = simulated
    share = ("patients", "with_it", "rate", "ci_low", "ci_high", "reason")
    assert f"`{','.join(share)}`" in page
    for table in endpoint_tables(trial)[0]:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{table.name}` |"))
        own = [c for c in table.columns if "+ share" not in row or c not in share]
        named = ",".join(re.findall(r"`([a-z0-9_,]+)`", row.split("|", 2)[2])).split(",")
        assert [c for c in own if c not in named] == [], table.name
    for columns in (
        FISH_COLUMNS,
        PATIENT_COLUMNS,
        OUTCOME_COLUMNS,
        EVENT_COLUMNS,
        IMAGING_COLUMNS,
        COURSE_COLUMNS,
        HARVEST_COLUMNS,
        MRD_COLUMNS,
        STRATA_COLUMNS,
    ):
        assert f"`{','.join(columns)}`" in page
    for column in (*ELIGIBILITY_INPUTS, *ELIGIBILITY_COLUMNS, *FISH_RESULT_COLUMNS):
        assert re.search(rf"\b{column}\b", page), column
