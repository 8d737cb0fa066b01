"""A result at a threshold: what may be called negative and what may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detection import Call, ReadingReason, read_at
from pipeline.model import Reason, Status
from results import mrd_result


def detected(value: float, *, lod: float = 9.3e-6, loq: float | None = None):
    return mrd_result(
        status=Status.DETECTED,
        reason=Reason.AT_OR_ABOVE_DECISION_COUNT,
        numerator=40,
        value=value,
        ci_low=value / 2,
        ci_high=min(1.0, value * 2),
        lod=lod,
        loq=loq,
    )


def test_deep_negative_is_negative():
    reading = read_at(mrd_result(lod=9.3e-6), 1e-5)
    assert (reading.call, reading.reason) == (Call.NEGATIVE, ReadingReason.NOT_DETECTED)


def test_shallow_negative_is_indeterminate_not_negative():
    reading = read_at(mrd_result(lod=1.4e-5), 1e-5)
    assert (reading.call, reading.reason) == (Call.INDETERMINATE, ReadingReason.LOD_ABOVE)


def test_limit_equal_to_the_threshold_suffices():
    assert read_at(mrd_result(lod=1e-5), 1e-5).call is Call.NEGATIVE


def test_detected_at_the_threshold_is_positive_whatever_the_limit():
    assert read_at(detected(1e-5), 1e-5).call is Call.POSITIVE
    assert read_at(detected(1e-4, lod=1e-3), 1e-5).call is Call.POSITIVE


def test_detected_below_the_threshold_stays_visible():
    reading = read_at(detected(5e-6, lod=2e-6), 1e-5)
    assert (reading.call, reading.reason) == (Call.NEGATIVE, ReadingReason.DETECTED_BELOW)
    reading = read_at(detected(5e-6, lod=2e-5), 1e-5)
    assert (reading.call, reading.reason) == (Call.INDETERMINATE, ReadingReason.DETECTED_BELOW_LOD_ABOVE)


def test_detected_below_the_limit_of_quantification_stays_visible():
    assert read_at(detected(1.2e-5, loq=1.67e-5), 1e-5).below_loq
    assert not read_at(detected(2e-5, loq=1.67e-5), 1e-5).below_loq
    assert not read_at(mrd_result(), 1e-5).below_loq


@pytest.mark.parametrize("status", [Status.INDETERMINATE, Status.NOT_EVALUABLE])
def test_neither_indeterminate_nor_not_evaluable_reads_as_negative(status):
    result = mrd_result(status=status, value=None, ci_low=None, ci_high=None, reason=Reason.FAILED_QC)
    assert read_at(result, 1e-5).call is Call.INDETERMINATE


@given(
    lod=st.floats(1e-8, 1),
    value=st.floats(1e-8, 0.5),
    threshold=st.floats(1e-7, 0.5),
    status=st.sampled_from([Status.DETECTED, Status.NOT_DETECTED]),
)
def test_nothing_is_negative_beyond_its_limit(lod, value, threshold, status):
    result = mrd_result(
        status=status, numerator=3, value=value, ci_low=0.0, ci_high=1.0, lod=lod, reason=Reason.FAILED_QC
    )
    reading = read_at(result, threshold)
    if reading.call is Call.NEGATIVE:
        assert lod <= threshold
    if reading.call is Call.POSITIVE:
        assert status is Status.DETECTED
        assert value >= threshold


@given(st.floats(1e-7, 0.5), st.floats(1e-7, 0.5), st.floats(1e-8, 1))
def test_a_negative_stays_negative_at_a_higher_threshold(one, other, lod):
    low, high = sorted((one, other))
    result = mrd_result(lod=lod)
    if read_at(result, low).call is Call.NEGATIVE:
        assert read_at(result, high).call is Call.NEGATIVE


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1e-5, float("nan")])
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match="a threshold is a fraction"):
        read_at(mrd_result(), threshold)
