"""Rules of the endpoint tables, one by one, on rows made by hand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from pipeline.clinical.fish import FishCall
from pipeline.clinical.follow_up import (
    AdverseEvent,
    ImagingCall,
    ImagingResult,
    Outcome,
    Patient,
)
from pipeline.clinical.lesions import Lesion
from pipeline.clinical.levels import Level
from pipeline.clinical.mrd_endpoints import landmark_table, mrd_category_table, mrd_rate_table
from pipeline.clinical.phase_endpoints import harvest_table
from pipeline.clinical.response_table import AssignedResponse
from pipeline.clinical.safety_endpoints import adverse_event_table, exposure_table
from pipeline.clinical.time_endpoints import neoplasm_table, observations, risk_table, survival_summary
from pipeline.clinical.treatment import Course, Harvest
from pipeline.clinical.trial import EndpointTable, MrdReading, Trial
from pipeline.clinical.trial_endpoints import endpoint_tables
from pipeline.model import Material, Status

START = date(2022, 1, 10)


def dicts(table: EndpointTable) -> list[dict[str, str]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def patient(name: str, weight: int | None = 60, arm: str = "") -> Patient:
    return Patient(
        patient_id=name,
        age_years=None,
        sex="",
        weight_kg=None if weight is None else Decimal(weight),
        isotype="",
        enrolled_on=START,
        arm=arm,
        line=2,
    )


def outcome(name: str, last: int, *, progressed: int | None = None, died: int | None = None) -> Outcome:
    def day(offset: int | None) -> date | None:
        return None if offset is None else START + timedelta(days=offset)

    return Outcome(
        patient_id=name,
        progressed_on=day(progressed),
        died_on=day(died),
        cause="",
        last_seen_on=START + timedelta(days=last),
        second_myeloid_neoplasm_on=None,
        line=2,
    )


def course(name: str, route: str, days: tuple[int, int], drug: str = "daratumumab") -> Course:
    return Course(
        patient_id=name,
        phase="INDUCTION",
        course=1,
        drug=drug,
        route=route,
        dose=None,
        unit="",
        start_on=START + timedelta(days=days[0]),
        end_on=START + timedelta(days=days[1]),
        reason_stopped="",
        line=2,
    )


def event(name: str, *, grade: int = 3, version: str = "5.0", route: str = "IV", phase: str = "INDUCTION"):
    return AdverseEvent(
        patient_id=name,
        term="fever",
        grade=grade,
        ctcae_version=version,
        start_on=START + timedelta(days=1),
        end_on=None,
        phase=phase,
        route=route,
        related=None,
        serious=None,
        line=2,
    )


def reading(name: str, *, detected: bool = False, value: float = 0.0, lod: float = 1e-6, day: int = 100):
    return MrdReading(
        patient_id=name,
        timepoint="CONS",
        collected_on=START + timedelta(days=day),
        material=Material.BONE_MARROW,
        method="ngs",
        target_id="clone",
        status=Status.DETECTED if detected else Status.NOT_DETECTED,
        value=value,
        lod=lod,
    )


@pytest.mark.parametrize(
    ("patients", "events", "published"), [(51, 12, (0.765, 0.623, 0.859)), (52, 2, (0.962, 0.855, 0.990))]
)
def test_three_year_survival_has_the_interval_of_a_published_cohort(patients, events, published):
    # Takamatsu et al., Haematologica (n = 52): PFS 76.5 % (62.3-85.9), OS 96.2 % (85.5-99.0) at three years.
    names = [f"P{i:02}" for i in range(patients)]
    outcomes = [outcome(n, 1400, died=100 + i if i < events else None) for i, n in enumerate(names)]
    trial = Trial(patients=tuple(map(patient, names)), outcomes=tuple(outcomes))
    row = next(r for r in dicts(survival_summary(observations(trial))) if r["endpoint"] == "OS")
    assert [round(float(row[c]), 3) for c in ("estimate", "ci_low", "ci_high")] == list(published)


def test_nothing_is_estimated_beyond_the_follow_up_and_where_nothing_happened():
    trial = Trial(patients=(patient("P1"), patient("P2")), outcomes=(outcome("P1", 400), outcome("P2", 500)))
    observed = observations(trial)
    row = dicts(survival_summary(observed))[0]
    assert (row["estimate"], row["reason"]) == ("", "nobody was followed to 36 months")
    assert row["median_reason"] == "fewer than half had the event"
    assert float(row["follow_up_median_months"]) == pytest.approx(400 / 30.4375)
    first = dicts(neoplasm_table(observed))[0]
    assert (first["incidence"], first["ci_high"]) == ("0", "")
    assert [r["at_risk"] for r in dicts(risk_table(observed)) if r["endpoint"] == "OS"] == [
        "2",
        "2",
        "2",
        "0",
    ]


def test_event_before_enrolment_is_in_no_estimate_and_said():
    trial = Trial(
        patients=(patient("P1"), patient("P2")),
        outcomes=(outcome("P1", 400, progressed=-3), outcome("P2", 400)),
    )
    assert {o.patient_id for o in observations(trial)} == {"P2"}
    _, notes = endpoint_tables(trial)
    assert "outcome: a day before enrolment, so in no survival estimate: P1" in notes


def test_death_competes_with_a_second_neoplasm():
    names = [f"P{i}" for i in range(4)]
    outcomes = [outcome("P0", 200, died=200), outcome("P1", 900), outcome("P2", 900), outcome("P3", 900)]
    outcomes[1] = replace(outcomes[1], second_myeloid_neoplasm_on=START + timedelta(days=300))
    trial = Trial(patients=tuple(map(patient, names)), outcomes=tuple(outcomes))
    row = next(r for r in dicts(neoplasm_table(observations(trial))) if r["months"] == "24")
    # One of four: 3/4 alive when the first of three falls ill. One minus Kaplan-Meier would give 1/3.
    assert float(row["incidence"]) == pytest.approx(0.25)
    assert (row["neoplasms"], row["deaths_before"]) == ("1", "1")


def test_ctcae_versions_are_never_added_up():
    patients = tuple(patient(n) for n in ("P1", "P2"))
    courses = tuple(course(n, r, (0, 27)) for n, r in (("P1", "IV"), ("P2", "SC")))
    events = (event("P1"), event("P2", version="6.0", route="SC"))
    trial = Trial(patients=patients, courses=courses, events=events)
    for table in (adverse_event_table(trial), exposure_table(trial)):
        rows = dicts(table)
        assert {r["ctcae_version"] for r in rows} == {"5.0", "6.0"}
        assert {(r["rate"], r["reason"]) for r in rows} == {("", "graded by two CTCAE versions: counts only")}


def test_event_of_a_patient_who_was_not_treated_in_the_phase_gives_no_rate():
    trial = Trial(patients=(patient("P1"),), courses=(course("P1", "IV", (0, 27)),), events=(event("P2"),))
    row = dicts(adverse_event_table(trial))[0]
    assert (row["rate"], row["with_it"]) == ("", "1")
    assert "not recorded as treated" in row["reason"]


def test_exposure_counts_a_day_once_and_the_ratio_has_its_exact_interval():
    patients = (patient("P1", 65), patient("P2", 66))
    courses = (
        course("P1", "IV", (0, 27)),
        course("P1", "IV", (0, 27), drug="lenalidomide"),
        course("P2", "SC", (0, 13)),
        course("P2", "SC", (14, 55)),
    )
    events = (event("P1"), event("P2", route="SC"), event("P2", route="SC"))
    rows = dicts(exposure_table(Trial(patients=patients, courses=courses, events=events)))
    light, heavy = (r for r in rows if (r["comparison"], r["grade_at_least"]) == ("weight", "3"))
    assert (light["group"], heavy["group"]) == ("<=65 kg", ">65 kg")
    assert float(light["patient_months"]) == pytest.approx(28 / 30.4375)
    assert float(heavy["patient_months"]) == pytest.approx(56 / 30.4375)
    assert float(heavy["rate_ratio"]) == pytest.approx(1.0)
    # Given 3 events, 2 of them heavy: Clopper-Pearson 0.09430-0.99160 of the share, as odds times 28/56.
    assert float(heavy["ratio_ci_low"]) == pytest.approx(0.5 * 0.0942993 / (1 - 0.0942993), rel=1e-4)
    assert float(heavy["ratio_ci_high"]) == pytest.approx(0.5 * 0.9915962 / (1 - 0.9915962), rel=1e-3)


def test_landmark_starts_at_the_sample_and_refuses_few_events():
    names = [f"P{i:02}" for i in range(20)]
    outcomes = [
        outcome(n, 1000, progressed=50 if i == 0 else 200 + i if i < 8 else None) for i, n in enumerate(names)
    ]
    mrd = [reading(n, detected=i % 2 == 0, value=1e-3 if i % 2 == 0 else 0.0) for i, n in enumerate(names)]
    trial = Trial(patients=tuple(map(patient, names)), outcomes=tuple(outcomes), mrd=tuple(mrd))
    rows = {(r["endpoint"], r["threshold"]): r for r in dicts(landmark_table(trial))}
    pfs = rows["PFS", "1e-05"]
    # P00 progressed before the sample: 9 positive patients of 10 remain.
    assert (pfs["positive_patients"], pfs["positive_events"]) == ("9", "3")
    assert (pfs["negative_patients"], pfs["negative_events"]) == ("10", "4")
    assert float(pfs["ci_low"]) < float(pfs["hazard_ratio"]) < float(pfs["ci_high"])
    assert rows["OS", "1e-05"]["reason"] == "0 events, at least 5 are needed"
    assert rows["OS", "1e-05"]["hazard_ratio"] == ""


def test_second_sample_answers_an_indeterminate_one_and_positive_wins():
    names = ("P1", "P2")
    mrd = (
        reading("P1", lod=1e-3, day=90),
        reading("P1", lod=1e-6),
        reading("P2", lod=1e-6, day=90),
        reading("P2", detected=True, value=1e-3),
    )
    rows = dicts(mrd_rate_table(Trial(patients=tuple(map(patient, names)), mrd=mrd)))
    row = next(r for r in rows if (r["threshold"], r["set"]) == ("1e-05", "EVALUABLE"))
    assert (row["patients"], row["with_it"], row["positive"]) == ("2", "1", "1")


def test_sustained_negativity_needs_a_year_and_the_imwg_class_imaging_too():
    def pet(name: str, day: int) -> ImagingResult:
        on = START + timedelta(days=day)
        return ImagingResult(patient_id=name, day=on, method="PET-CT", result=ImagingCall.NEGATIVE, line=2)

    names = ("P1", "P2", "P3", "P4")
    mrd = [reading(n, day=day) for n in names[:3] for day in (100, 464 if n == "P3" else 465)]
    imaging = (pet("P1", 100), pet("P1", 470), pet("P2", 100))
    patients = tuple(map(patient, names))
    trial = Trial(patients=patients, mrd=tuple(mrd), imaging=imaging)
    rows = {r["category"]: r for r in dicts(mrd_category_table(trial)) if r["threshold"] == "1e-05"}
    assert (rows["sustained"]["patients"], rows["sustained"]["with_it"]) == ("4", "2")
    assert rows["sustained_with_imaging"]["with_it"] == "1"
    bare = dicts(mrd_category_table(Trial(patients=patients, mrd=tuple(mrd))))
    assert {r["reason"] for r in bare if r["category"] == "sustained_with_imaging"} == {
        "no PET is in the imaging table"
    }


def test_harvest_of_unknown_amount_is_no_amount():
    def harvest(name: str, cells: int | None) -> Harvest:
        amount = None if cells is None else Decimal(cells)
        return Harvest(
            patient_id=name,
            phase="HARVEST",
            cd34_per_kg=amount,
            plerixafor=None,
            blood_volume_ml=None,
            collected_on=START,
            line=2,
        )

    harvests = (
        harvest("P1", 2_000_000),
        harvest("P1", 3_000_000),
        harvest("P2", 9_000_000),
        harvest("P2", None),
    )
    rows = {
        r["item"]: r
        for r in dicts(harvest_table(Trial(patients=(patient("P1"), patient("P2")), harvests=harvests)))
    }
    assert (rows["cd34_per_kg"]["patients"], rows["cd34_per_kg"]["median"]) == ("1", "5000000")
    assert rows["plerixafor"]["reason"] == "nobody has a known answer"
    assert rows["blood_volume_ml"]["reason"] == "nobody has a known amount"


def test_tables_that_are_absent_are_named_and_nothing_is_made_up():
    tables, notes = endpoint_tables(Trial(patients=(patient("P1"),)))
    assert tables == ()
    assert len(notes) == 16
    assert "primary: not made, as there are no responses and no courses" in notes


def test_patients_outside_the_baseline_table_and_without_outcome_are_said():
    trial = Trial(patients=(patient("P1"), patient("P2")), outcomes=(outcome("P1", 9), outcome("P9", 9)))
    _, notes = endpoint_tables(trial)
    assert "outcome: 1 patients are not in the baseline table: P9" in notes
    assert "outcome: 1 enrolled patients have no row and are in no survival estimate" in notes


@pytest.mark.parametrize("seed", range(40))
def test_any_few_rows_of_any_tables_give_tables_without_nan(seed):
    rng = np.random.default_rng(seed)
    names = [f"P{i}" for i in range(4)]

    def some(rows: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(row for row in rows if rng.random() < 0.6)

    def day() -> int:
        return int(rng.integers(0, 1500))

    trial = Trial(
        patients=(
            patient("P0", None),
            *some(patient(n, int(rng.integers(60, 70)), str(rng.choice(["A", "B"]))) for n in names[1:]),
        ),
        courses=some(
            replace(
                course(n, str(rng.choice(["IV", "SC", ""])), (start := day(), start + 27)),
                phase=str(rng.choice(["INDUCTION", "CONSOLIDATION"])),
                reason_stopped=str(rng.choice(["", "TOXICITY"])),
            )
            for n in names
            for _ in range(3)
        ),
        events=some(
            event(n, grade=int(rng.integers(1, 6)), version=str(rng.choice(["5.0", "6.0"]))) for n in names
        ),
        outcomes=some(outcome(n, 1500, died=day() if rng.random() < 0.5 else None) for n in names),
        responses=some(
            AssignedResponse(
                patient_id=n,
                day=START + timedelta(days=day()),
                response=Level(int(rng.integers(0, 8))),
                best_confirmed=None,
                site=None,
                transplanted_on=None,
                days_after_transplant=None,
            )
            for n in names
            for _ in range(5)
        ),
        mrd=some(
            reading(n, detected=rng.random() < 0.5, value=1e-5, lod=float(rng.choice([1e-6, 1e-3])))
            for n in names
            for _ in range(2)
        ),
        lesions=some(
            Lesion(patient_id=n, name=name, result=FishCall(str(rng.choice([*FishCall]))))
            for n in names
            for name in ("t(4;14)", "TP53")
        ),
    )  # fmt: skip
    tables, notes = endpoint_tables(trial)
    assert len(tables) + sum("not made" in n for n in notes) == 16
    for table in tables:
        for row in dicts(table):
            assert not {"nan", "inf", "-inf"} & {v.lower() for v in row.values()}, table.name
            if row.get("rate") == "" and "median" not in row:
                assert row["reason"], (table.name, row)
