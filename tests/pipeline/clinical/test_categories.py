"""The trial's allocation and MRD categories."""

from datetime import date, timedelta

import pytest

from pipeline.clinical.levels import Level
from pipeline.clinical.mrd_categories import Span, mrd_categories, sustained_negative
from pipeline.clinical.stratification import Arm, allocate
from pipeline.detection import Call
from pipeline.model import Material, Reason, Status
from references import cases
from results import mrd_result

TRIAL = cases("imwg", "mm20_rules.json")
START = date(2024, 1, 1)


@pytest.mark.parametrize(("response", "arm"), TRIAL.get("map", {}).items())
def test_every_response_leads_to_the_arm_of_the_trial(response, arm):
    assert allocate(Level[response.upper()], days_after_transplant=75).arm == arm


@pytest.mark.parametrize("case", TRIAL.get("window", []), ids=lambda c: str(c["day"]))
def test_window(case):
    found = allocate(Level.VGPR, days_after_transplant=case["day"])
    assert found.in_window is case["in_window"]
    assert bool(found.queries) is not case["in_window"]


def test_site_response_is_asked_about_and_never_followed():
    found = allocate(Level.PR, days_after_transplant=70, site=Level.VGPR)
    assert found.arm is Arm.KRD
    assert found.queries == ("site reports VGPR, central review PR: another arm",)
    assert allocate(Level.CR, days_after_transplant=70, site=Level.SCR).queries[0].endswith("the same arm")
    assert allocate(Level.NE, days_after_transplant=70).queries == ("the response is not evaluable",)


@pytest.mark.parametrize("case", TRIAL.get("sustained_mrd", []), ids=str)
def test_sustained_negativity_of_the_trial(case):
    readings = [(START + timedelta(d), Call.NEGATIVE) for d in case["neg_days"]]
    readings += [(START + timedelta(d), Call.POSITIVE) for d in case.get("pos_days", [])]
    assert (sustained_negative(readings) is not None) is case["sustained_1y"]


def test_indeterminate_neither_counts_nor_breaks():
    between = (START + timedelta(200), Call.INDETERMINATE)
    ends = [(START, Call.NEGATIVE), (START + timedelta(365), Call.NEGATIVE)]
    assert sustained_negative([*ends, between]) == Span(first=START, last=START + timedelta(365))
    assert sustained_negative([ends[0], (START + timedelta(365), Call.INDETERMINATE)]) is None


def negative(day: int, **changes):
    return mrd_result(collected_on=START + timedelta(day), **changes)


def test_categories_use_the_limit_of_each_sample():
    results = [
        negative(0),
        negative(400),
        negative(500, lod=1.4e-5),
        negative(90, material=Material.STEM_CELL_PRODUCT),
        negative(30, material=Material.PERIPHERAL_BLOOD),
    ]
    responses = [(START, Level.VGPR), (START + timedelta(100), Level.CR)]
    found = mrd_categories(results, threshold=1e-5, responses=responses)
    assert found.negative_on == (START, START + timedelta(400))
    assert found.negative_in_complete_response_on == (START + timedelta(400),)
    assert found.sustained == Span(first=START, last=START + timedelta(400))
    assert not found.sustained_with_imaging
    assert found.graft == ((START + timedelta(90), Call.NEGATIVE),)


def test_imaging_must_be_sustained_as_well_for_the_imwg_class():
    pet = [(START + timedelta(d), Call.NEGATIVE) for d in (5, 380)]
    results = [negative(0), negative(400)]
    assert mrd_categories(results, threshold=1e-5, imaging=pet).sustained_with_imaging
    assert not mrd_categories(results, threshold=1e-5, imaging=pet[:1]).sustained_with_imaging


def test_positive_marrow_breaks_and_a_positive_graft_does_not():
    positive = {
        "value": 1e-4,
        "ci_low": 5e-5,
        "ci_high": 2e-4,
        "numerator": 300,
        "status": Status.DETECTED,
        "reason": Reason.AT_OR_ABOVE_DECISION_COUNT,
    }
    ends = [negative(0), negative(400)]
    assert mrd_categories([*ends, negative(200, **positive)], threshold=1e-5).sustained is None
    graft = negative(200, **positive, material=Material.STEM_CELL_PRODUCT)
    found = mrd_categories([*ends, graft], threshold=1e-5)
    assert found.sustained is not None
    assert found.graft == ((START + timedelta(200), Call.POSITIVE),)


def test_two_patients_are_not_read_together():
    with pytest.raises(ValueError, match="not of several"):
        mrd_categories([negative(0), negative(1, patient_id="P02")], threshold=1e-5)
