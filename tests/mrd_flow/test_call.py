"""Every flow result says how many cells were seen and what could have been found among them."""

import dataclasses
from pathlib import Path

import pytest

from mrd_flow.anomaly import Anomaly
from mrd_flow.call import METHOD_VERSION, call_patient
from mrd_flow.evidence import CallRules, FlowEvidence, FlowSettings, GateTally, TubeEvidence
from pipeline.detection import garwood, read_at, sample_lod
from pipeline.model import Reason, Status

RULES = CallRules(
    panel="euroflow",
    version="1",
    phenotype="CD19- CD56+",
    tubes=2,
    decision_count=20,
    loq_count=50,
    unverified=("gate boundaries",),
)


def tube(number: int, aberrant: int, nucleated: int = 1_500_000, **changes) -> TubeEvidence:
    tally = GateTally(
        gate="aberrant",
        path="root/plasma_cells",
        count=aberrant,
        parent_count=nucleated // 400,
        rule="fixed",
        detail="CD19 < 0.46",
        unverified=True,
    )
    base = TubeEvidence(
        tube=number,
        name="t",
        events=nucleated + nucleated // 10,
        nucleated=nucleated,
        plasma_cells=max(aberrant, nucleated // 400),
        aberrant=aberrant,
        background_mean=0.0,
        efficiency=1.0,
        compensated=True,
        gates=(tally,),
        anomalies=(),
        mismatch="",
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture
def call(make_sample):
    def called(*tubes: TubeEvidence, rules: CallRules = RULES):
        evidence = FlowEvidence(
            sample=make_sample(Path("a.fcs"), Path("b.fcs")), rules=rules, tubes=tubes, input_sha256="0" * 64
        )
        return call_patient([evidence], settings=FlowSettings())

    return called


def test_two_tubes_are_summed_over_both_denominators(call):
    (result,) = call(tube(1, 20, 1_000_000), tube(2, 40, 2_000_000)).results
    assert (result.numerator, result.denominator, result.value) == (60, 3_000_000, 2e-5)
    assert (result.ci_low, result.ci_high) == tuple(b / 3_000_000 for b in garwood(60))
    assert result.status is Status.DETECTED
    assert result.loq == 50 / 3_000_000
    assert result.method_version == METHOD_VERSION


@pytest.mark.parametrize(("aberrant", "status"), [(19, Status.NOT_DETECTED), (20, Status.DETECTED)])
def test_twenty_events_decide(call, aberrant, status):
    (result,) = call(tube(1, 10), tube(2, aberrant - 10)).results
    assert result.status is status


def test_the_limit_is_not_the_decision_threshold(call):
    """27.88 / n is the 95 % limit, 20 / n the threshold: both are printed under their own names."""
    (result,) = call(tube(1, 0), tube(2, 0)).results
    assert result.lod == pytest.approx(27.879 / 3_000_000, rel=1e-4)
    assert "95% probability among 3000000 nucleated cells" in result.lod_basis
    assert "decision threshold 20/n = 6.7e-6" in result.lod_basis
    assert read_at(result, 1e-5).call == "NEG"


def test_a_shallow_blank_is_not_negative_at_1e_5(call):
    calls = call(tube(1, 0, 200_000), tube(2, 0, 200_000))
    (result,) = calls.results
    assert result.lod > 1e-5
    assert read_at(result, 1e-5).call == "IND"
    assert "few_cells" in {f.code for f in calls.flags}


def test_background_raises_the_count_that_is_needed(call):
    noisy = [tube(i, 16, background_mean=15.0) for i in (1, 2)]
    (result,) = call(*noisy).results
    assert (result.status, result.reason) == (Status.NOT_DETECTED, Reason.EXPLAINED_BY_BACKGROUND)
    assert result.value == 32 / 3_000_000  # not subtracted
    assert result.lod == sample_lod(3_000_000, 40, background_mean=30.0)
    assert "30 false events expected" in result.lod_basis


def test_cells_that_the_gates_lose_raise_the_limit(call):
    (result,) = call(tube(1, 0, efficiency=0.9), tube(2, 0, efficiency=0.9)).results
    assert result.lod == sample_lod(3_000_000, 20, efficiency=0.9)


def test_tubes_that_contradict_each_other_are_not_called(call):
    calls = call(tube(1, 60), tube(2, 5))
    (result,) = calls.results
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.DISCORDANT_TUBES)
    assert "discordant_tubes" in result.qc
    assert any("60 aberrant of 1500000" in f.text for f in calls.flags)


def test_a_small_but_significant_difference_of_a_large_clone_is_still_called(call):
    (result,) = call(tube(1, 15_000), tube(2, 14_000)).results
    assert result.status is Status.DETECTED


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"mismatch": "not found: CD19"}, Status.NOT_EVALUABLE, Reason.PANEL_MISMATCH),
        ({"nucleated": 0, "plasma_cells": 0, "aberrant": 0}, Status.NOT_EVALUABLE, Reason.NO_CELLS),
        ({"compensated": False}, Status.INDETERMINATE, Reason.FAILED_QC),
        ({"plasma_cells": 0, "aberrant": 0}, Status.INDETERMINATE, Reason.FAILED_QC),
        (
            {"anomalies": (Anomaly(code="rows_beyond_tot", text="x", grave=True),)},
            Status.INDETERMINATE,
            Reason.FAILED_QC,
        ),
    ],
)
def test_what_forbids_a_call(call, change, status, reason):
    (result,) = call(tube(1, 25), dataclasses.replace(tube(2, 25), **change)).results
    assert (result.status, result.reason) == (status, reason)
    assert result.qc != "panel_unverified"
    assert (result.value is None) == (status is Status.NOT_EVALUABLE)


def test_too_few_cells_have_no_limit(call):
    (result,) = call(tube(1, 0, 9), tube(2, 0, 9)).results
    assert (result.status, result.reason, result.lod) == (Status.NOT_EVALUABLE, Reason.TOO_FEW_CELLS, None)
    assert "too few" in result.lod_basis


def test_gates_and_flags_name_their_sample(call):
    calls = call(tube(1, 0), tube(2, 0))
    assert [(g.patient_id, g.tube, g.gate, g.unverified) for g in calls.gates] == [
        ("P1", 1, "aberrant", True),
        ("P1", 2, "aberrant", True),
    ]
    assert [(f.patient_id, f.code) for f in calls.flags] == [("P1", "panel_unverified")]


def test_no_samples_give_no_results():
    assert call_patient([], settings=FlowSettings()).results == ()


def test_a_setting_out_of_range_is_refused():
    with pytest.raises(ValueError, match="discordance_p must lie between"):
        FlowSettings(discordance_p=1.5)
