"""Which reading stands when, and lesions against response."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.clinical.fish import FishCall
from pipeline.clinical.follow_up import Outcome, Patient
from pipeline.clinical.lesions import (
    LESION_COLUMNS,
    Lesion,
    benjamini_hochberg,
    lesion_response_table,
    lesions_from_table,
)
from pipeline.clinical.levels import Level
from pipeline.clinical.mrd_endpoints import endpoint_days
from pipeline.clinical.mrd_over_time import counting_process_table, status_intervals, time_dependent_table
from pipeline.clinical.trial import MrdReading, Trial
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import read_table
from pipeline.model import Material, Status

START = date(2022, 1, 1)
MONTH = 30.4375


def day(months):
    return START + timedelta(days=round(months * MONTH))


def reading(patient, months, value, *, lod=2e-6, material=Material.BONE_MARROW, timepoint=None):
    return MrdReading(
        patient_id=patient,
        timepoint=timepoint or f"V{months}",
        collected_on=day(months),
        material=material,
        method="ngs",
        target_id="clone",
        status=Status.DETECTED if value else Status.NOT_DETECTED,
        value=value,
        lod=lod,
    )


def trial(readings, outcomes, **more):
    patients = sorted({p for p, *_ in outcomes})
    return Trial(
        patients=tuple(
            Patient(patient_id=p, age_years=None, sex="", weight_kg=None, isotype="", enrolled_on=START,
                    arm="", line=2)
            for p in patients
        ),
        outcomes=tuple(
            Outcome(patient_id=p, progressed_on=None if e is None else day(e), died_on=None, cause="",
                    last_seen_on=day(last), second_myeloid_neoplasm_on=None, line=2)
            for p, e, last in outcomes
        ),
        mrd=tuple(readings),
        **more,
    )  # fmt: skip


def intervals(found):
    days = endpoint_days(found)["PFS"]
    return [
        (i.patient_id, round(i.start), round(i.stop), i.positive, i.event)
        for i in status_intervals(found, "ngs", 1e-5, days)
    ]


def test_a_reading_stands_until_the_next_and_time_before_the_first_is_nobodys():
    found = trial([reading("P1", 5, 1e-3), reading("P1", 10, 0.0), reading("P1", 20, 1e-4)], [("P1", 26, 40)])
    assert intervals(found) == [
        ("P1", 5, 10, True, False),
        ("P1", 10, 20, False, False),
        ("P1", 20, 26, True, True),
    ]


def test_indeterminate_readings_grafts_and_samples_after_the_event_change_nothing():
    found = trial(
        [
            reading("P1", 5, 0.0),
            reading("P1", 8, 0.0, lod=1e-4),
            reading("P1", 9, 1e-2, material=Material.STEM_CELL_PRODUCT),
            reading("P1", 30, 1e-2),
            reading("P2", 6, 0.0, lod=1e-4),
        ],
        [("P1", 20, 40), ("P2", None, 40)],
    )
    assert intervals(found) == [("P1", 5, 20, False, True)]


def test_table_counts_events_by_the_reading_that_stood_and_refuses_few():
    readings = [reading(f"P{i}", 5, 1e-3 if i % 2 else 0.0) for i in range(8)]
    found = trial(readings, [(f"P{i}", 10 if i in (1, 3, 4) else None, 30) for i in range(8)])
    table = time_dependent_table(found, (1e-5,))
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    pfs = next(r for r in rows if r["endpoint"] == "PFS")
    assert (pfs["patients"], pfs["events_while_negative"], pfs["events_while_positive"]) == ("8", "1", "2")
    assert pfs["hazard_ratio"] == ""
    assert pfs["reason"] == "3 events, at least 5 are needed"
    assert len(counting_process_table(found, (1e-5,)).rows) == 16  # PFS and OS of eight patients


def test_few_events_are_firths_and_said_so():
    readings = [reading(f"P{i:02}", 5, 1e-3 if i % 2 else 0.0) for i in range(20)]
    outcomes = [(f"P{i:02}", 8 + i if i % 2 and i < 13 else None, 40) for i in range(20)]
    table = time_dependent_table(trial(readings, outcomes), (1e-5,))
    pfs = dict(zip(table.columns, table.rows[0], strict=True))
    assert pfs["model"] == "firth"
    assert float(pfs["ci_low"]) > 1
    assert float(pfs["ci_high"]) < 1e5


def lesion(patient, name, result):
    return Lesion(patient_id=patient, name=name, result=result)


def test_lesion_that_was_not_assessed_is_in_neither_group():
    outcomes = [(f"P{i:02}", None, 40) for i in range(12)]
    lesions = [
        lesion(f"P{i:02}", "t(4;14)", FishCall.POSITIVE if i < 5 else FishCall.NEGATIVE) for i in range(10)
    ]
    lesions.append(lesion("P10", "t(4;14)", FishCall.NOT_EVALUABLE))
    levels = {"ASCT": {f"P{i:02}": Level.PR if i < 5 else Level.CR for i in range(12)}}
    table = lesion_response_table(trial([], outcomes, lesions=tuple(lesions)), levels)
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert (row["at_least"], row["with_lesion"], row["responders_with"]) == ("CR", "5", "0")
    assert (row["without_lesion"], row["responders_without"]) == ("5", "5")
    assert float(row["p"]) == pytest.approx(2 / 252)  # one of the 252 ways to choose, and its mirror image
    assert row["q"] == pytest.approx(row["p"])
    assert row["discovery"] == "YES"


def test_without_a_second_group_there_is_a_reason_and_no_share_of_the_correction():
    outcomes = [(f"P{i}", None, 40) for i in range(6)]
    lesions = [lesion(f"P{i}", "a", FishCall.NEGATIVE) for i in range(6)]
    levels = {"ASCT": {f"P{i}": Level.CR for i in range(6)}}
    table = lesion_response_table(trial([], outcomes, lesions=tuple(lesions)), levels)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row["reason"] == "nobody is in one of the groups"
    assert row["p"] == row["q"] == ""


def test_adjusted_p_is_the_smallest_rate_at_which_a_test_is_a_discovery():
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    q = benjamini_hochberg(p)
    for rate in (0.005, 0.01, 0.05, 0.1, 0.3):
        ranked = sorted(p)
        largest = max((k for k in range(1, 11) if ranked[k - 1] <= k * rate / 10), default=0)
        assert sum(x <= rate for x in q) == largest


def test_table_of_lesions_is_checked(tmp_path):
    path = Path(tmp_path / "lesions.csv")
    path.write_text("patient_id,lesion,result\nP1,t(4;14),POSITIVE\nP1,t(4;14),NEGATIVE\nP2,,YES\n")
    with pytest.raises(SheetRefused, match="problem") as refused:
        lesions_from_table(read_table(path, LESION_COLUMNS), path=path)
    assert {(p.line, p.column) for p in refused.value.problems} >= {
        (3, "patient_id"),
        (4, "lesion"),
        (4, "result"),
    }
