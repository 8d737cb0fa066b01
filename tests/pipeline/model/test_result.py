"""A result cannot exist without what makes it readable."""

from dataclasses import FrozenInstanceError, fields

import pytest

from pipeline.model import MrdResult, Status
from results import mrd_result


def test_negative_result_without_limit_of_detection_cannot_be_made():
    with pytest.raises(ValueError, match="NOT_DETECTED result needs a limit of detection"):
        mrd_result(lod=None)
    with pytest.raises(ValueError, match="NOT_DETECTED result needs a limit of detection"):
        mrd_result(lod=0.0)


def test_positive_result_without_limit_of_detection_cannot_be_made():
    with pytest.raises(ValueError, match="DETECTED result needs a limit of detection"):
        mrd_result(status=Status.DETECTED, numerator=40, value=1.3e-5, ci_high=2e-5, lod=None)


@pytest.mark.parametrize(
    "name", ["numerator", "denominator", "denominator_unit", "lod", "lod_basis", "status", "reason"]
)
def test_what_makes_a_result_readable_has_no_default(name):
    keywords = {f.name: getattr(mrd_result(), f.name) for f in fields(MrdResult)}
    del keywords[name]
    with pytest.raises(TypeError, match=f"missing .*'{name}'"):
        MrdResult(**keywords)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lod_basis": ""}, "lod_basis must say"),
        ({"value": 1.5, "ci_high": 1.6}, "value must be a fraction"),
        ({"value": float("nan")}, "value must be a fraction"),
        ({"lod": float("inf")}, "lod must be a fraction"),
        ({"value": 5e-5}, "interval does not contain the value"),
        ({"ci_low": None}, "needs a value and its interval"),
        ({"denominator": 0}, "needs a denominator above 0"),
        ({"denominator": float("nan")}, "denominator must be finite"),
        ({"numerator": -1}, "numerator must be finite and not negative"),
        ({"patient_id": "../etc"}, "patient_id is not an identifier"),
        ({"status": Status.DETECTED}, "needs a numerator above 0"),
        ({"status": Status.NOT_EVALUABLE}, "NOT_EVALUABLE result has no value"),
        ({"status": Status.INDETERMINATE, "ci_high": None}, "given together or not at all"),
    ],
)
def test_impossible_results_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mrd_result(**changes)


def test_refused_identifier_is_not_repeated():
    with pytest.raises(ValueError, match="patient_id") as caught:
        mrd_result(patient_id="Yamada Taro")
    assert "Yamada" not in str(caught.value)


def test_result_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        mrd_result().lod = 1e-9


def test_not_evaluable_result_may_lack_value_and_limit():
    result = mrd_result(
        status=Status.NOT_EVALUABLE, value=None, ci_low=None, ci_high=None, lod=None, loq=None, denominator=0
    )
    assert result.status is Status.NOT_EVALUABLE


def test_method_names_assay_and_panel():
    assert mrd_result().method == "flow:euroflow"
    assert mrd_result(panel="").method == "flow"
