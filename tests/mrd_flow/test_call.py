"""Every flow result says how many cells were seen and what could have been found among them."""

import dataclasses
from datetime import datetime
from pathlib import Path

import pytest

from mrd_flow.call import METHOD_VERSION, call_patient
from mrd_flow.evidence import CallRules, Classification, FlowEvidence, FlowSettings, GateTally, TubeEvidence
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.gating.overrides import Override
from mrd_flow.hemodilution import DilutionVerdict, MarrowCells
from mrd_flow.numbers import Quantity, numbers_of
from mrd_flow.plasma_cells.classified import Expectation
from mrd_flow.result_document import reading_in_words, result_document
from mrd_flow.tubes import PhenotypeDistance
from pipeline.detection import garwood, read_at, sample_lod
from pipeline.model import Reason, Status

RULES = CallRules(
    panel="euroflow",
    version="1",
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
        not_plasma_cells=0,
        compensated=True,
        gates=(tally,),
        anomalies=(),
        mismatch="",
    )
    return dataclasses.replace(base, **changes)


def worth(*pairs: tuple[float, float], **changes) -> Classification:
    """A classifier whose calls have these (recall, false events), one for each phenotype."""
    expectations = tuple(
        Expectation(
            phenotype=f"phenotype {i}",
            clone_events=20.0,
            recall=recall,
            precision=0.9,
            false_events=false,
            lob_events=0,
        )
        for i, (recall, false) in enumerate(pairs, start=1)
    )
    base = Classification(
        evidence=0.0,
        origin="",
        archetype="",
        light_chain="",
        clusters=0,
        antigens=(),
        estimated_events=0.0,
        estimated_events_sd=0.0,
        expectations=expectations,
        diagnosis_known=False,
        reference="r",
    )
    return dataclasses.replace(base, **changes)


@pytest.fixture
def call(seen):
    def called(*tubes: TubeEvidence, **more):
        return call_patient([seen(*tubes, **more)], settings=FlowSettings())

    return called


@pytest.fixture
def seen(make_sample):
    def made(*tubes: TubeEvidence, rules: CallRules = RULES, **more) -> FlowEvidence:
        return FlowEvidence(
            sample=make_sample(Path("a.fcs"), Path("b.fcs")),
            rules=rules,
            tubes=tubes,
            input_sha256="0" * 64,
            **more,
        )

    return made


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
    noisy = [tube(i, 16) for i in (1, 2)]
    (result,) = call(*noisy, classification=worth((1.0, 30.0))).results
    assert (result.status, result.reason) == (Status.NOT_DETECTED, Reason.EXPLAINED_BY_BACKGROUND)
    assert result.value == 32 / 3_000_000  # not subtracted
    assert result.lod == sample_lod(3_000_000, 40, background_mean=30.0)
    assert "30 false events expected" in result.lod_basis


def test_cells_that_the_gates_lose_raise_the_limit(call):
    (result,) = call(tube(1, 0), tube(2, 0), classification=worth((0.9, 0.0))).results
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


@pytest.mark.parametrize(
    ("aberrant", "quantity"),
    [
        (19, Quantity.NOT_DETECTED),
        (20, Quantity.POSITIVE_NOT_QUANTIFIABLE),
        (49, Quantity.POSITIVE_NOT_QUANTIFIABLE),
        (50, Quantity.QUANTIFIABLE),
    ],
)
def test_20_events_detect_and_50_quantify(seen, aberrant, quantity):
    """Both decision counts under their own names, beside the 95 % limit."""
    numbers = numbers_of(seen(tube(1, 10), tube(2, aberrant - 10)), FlowSettings())
    assert (numbers.lod_count, numbers.loq_count, numbers.decision_count) == (20, 50, 20)
    assert (numbers.lod_threshold, numbers.loq_threshold) == (20 / 3e6, 50 / 3e6)
    assert numbers.lod_95 > numbers.lod_threshold
    assert numbers.quantity is quantity


def test_each_phenotype_looked_for_has_its_own_limit(seen):
    """The decision count takes the largest background, the headline limit the mean recall."""
    tubes = (tube(1, 0), tube(2, 0))
    one = numbers_of(seen(*tubes, classification=worth((0.9, 16.0))), FlowSettings())
    several = numbers_of(seen(*tubes, classification=worth((0.9, 16.0), (0.6, 40.0))), FlowSettings())
    assert several.decision_count > one.decision_count > 20
    assert (several.error.recall_low, several.error.false_events_high) == (0.6, 40.0)
    assert dict(several.lod_by_phenotype) == {
        f"phenotype {i}": sample_lod(3_000_000, several.decision_count, efficiency=e, background_mean=b)
        for i, e, b in ((1, 0.9, 16.0), (2, 0.6, 40.0))
    }
    assert several.lod_95 == sample_lod(
        3_000_000, several.decision_count, efficiency=0.75, background_mean=28.0
    )


def test_where_no_clone_was_found_no_cell_can_be_false(seen):
    """The upper bound of a blank is that of the hardest phenotype; nothing is taken off it."""
    numbers = numbers_of(
        seen(tube(1, 0), tube(2, 0), classification=worth((0.9, 4.0), (0.5, 4.0))), FlowSettings()
    )
    high = garwood(0).high
    assert numbers.fraction.reported == (0.0, high / 3e6 / 0.5)
    assert numbers.fraction.corrected == numbers.fraction.reported


def test_a_phenotype_that_could_be_missed_is_named(call):
    """6 million cells show the mean phenotype at 1e-5, the hard one not."""
    tubes = (tube(1, 0, 3_000_000), tube(2, 0, 3_000_000))
    calls = call(*tubes, classification=worth((0.9, 0.0), (0.3, 0.0)))
    assert calls.results[0].lod < 1e-5
    (text,) = [f.text for f in calls.flags if f.code == "phenotype_hard_to_see"]
    assert text == "a clone at 1.0e-5 could be missed if it is phenotype 2"


def test_the_reported_interval_carries_the_classifier_and_says_so(seen):
    evidence = seen(tube(1, 40), tube(2, 40), classification=worth((0.9, 6.0), origin="archetype"))
    calls = call_patient([evidence], settings=FlowSettings())
    (result,) = calls.results
    low, high = garwood(80)
    assert (result.ci_low, result.ci_high) == pytest.approx(((low - 6) / 3e6, high / 3e6 / 0.9))
    assert "holds for a clone of phenotype phenotype 1" in result.lod_basis
    document = result_document(evidence, calls, threshold=1e-5)
    numbers = document["numbers"]
    assert numbers["classifier_error"]["false_events"] == 6.0
    assert numbers["intervals"]["exact"] == {"low": low / 3e6, "high": high / 3e6}
    assert numbers["intervals"]["reported"] == {"low": result.ci_low, "high": result.ci_high}
    assert numbers["corrected"]["value"] == pytest.approx((80 - 6) / 3e6 / 0.9)
    assert document["classification"]["expectations"][0]["precision"] == 0.9


@pytest.mark.parametrize(
    ("aberrant", "cells", "words"),
    [
        (0, 3_000_000, "negative at 1.0e-5: this sample would have shown 4.6e-6"),
        (0, 200_000, "neither positive nor negative at 1.0e-5: the sample could only have shown 7.0e-5"),
        (300, 3_000_000, "positive at 1.0e-5"),
        (10, 3_000_000, "negative at 1.0e-5: detected at 3.3e-6, below it"),
    ],
)
def test_negative_only_where_the_sample_could_have_shown_it(call, aberrant, cells, words):
    (result,) = call(tube(1, aberrant, cells), tube(2, aberrant, cells)).results
    assert reading_in_words(result, 1e-5).startswith(words)


def marrow(share: float, cells: int = 1_500_000) -> tuple[MarrowCells, ...]:
    return (MarrowCells(gate="mast_cells", count=int(share * 5e-4 * cells), examined=cells, reference=5e-4),)


def test_hemodilution_is_flagged_and_its_correction_offered_not_substituted(seen):
    evidence = seen(*(tube(i, 60, marrow_cells=marrow(0.4)) for i in (1, 2)))
    calls = call_patient([evidence], settings=FlowSettings())
    (result,), (dilution,) = calls.results, calls.dilutions
    assert dilution.verdict is DilutionVerdict.DILUTED
    assert result.value == 120 / 3e6
    assert "hemodilution" in result.qc
    document = result_document(evidence, calls, threshold=1e-5)["hemodilution"]
    assert document["undiluted_value"] == pytest.approx(result.value / 0.4)
    assert document["undiluted_lod"] == pytest.approx(result.lod / 0.4)
    assert document["populations"][0]["examined"] == 3_000_000


def test_an_undiluted_marrow_has_no_flag(call):
    calls = call(*(tube(i, 0, marrow_cells=marrow(1.0)) for i in (1, 2)))
    assert calls.dilutions[0].verdict is DilutionVerdict.ADEQUATE
    assert "hemodilution" not in calls.results[0].qc


COMPARED = dataclasses.replace(RULES, compared=("t_cells", "red_cells"))


def populations(number: int, **counts: int) -> TubeEvidence:
    one = tube(number, 0)
    tallies = tuple(
        dataclasses.replace(one.gates[0], gate=g, count=c, parent_count=one.nucleated)
        for g, c in counts.items()
    )
    return dataclasses.replace(one, gates=tallies)


def test_one_population_that_differs_is_flagged_two_forbid_the_call(call):
    first = populations(1, t_cells=150_000, red_cells=200_000)
    near = populations(2, t_cells=151_000, red_cells=100_000)
    (result,) = call(first, near, rules=COMPARED).results
    assert result.status is Status.NOT_DETECTED
    assert "tubes_differ" in result.qc
    calls = call(first, populations(2, t_cells=300_000, red_cells=100_000), rules=COMPARED)
    (result,) = calls.results
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.DISCORDANT_TUBES)
    assert any("t_cells 10.00% of tube 1, 20.00% of tube 2" in f.text for f in calls.flags)


def test_plasma_cells_of_another_phenotype_forbid_the_call(call):
    far = tuple(PhenotypeDistance(marker=m, distance=0.6, p=1e-9) for m in ("CD19", "CD45"))
    calls = call(tube(1, 0), tube(2, 0), distances=far)
    assert calls.results[0].reason is Reason.DISCORDANT_TUBES
    near = tuple(PhenotypeDistance(marker=m, distance=0.1, p=1e-9) for m in ("CD19", "CD45"))
    assert call(tube(1, 0), tube(2, 0), distances=near).results[0].status is Status.NOT_DETECTED


def test_an_override_is_flagged_and_stands_with_its_author_in_the_document(seen):
    override = Override(
        tube=1,
        gate="aberrant",
        dimension="CD19",
        max=0.5,
        author="A12",
        reason="why",
        made_on=datetime(2026, 3, 1, 9, 30),
    )
    evidence = seen(tube(1, 30), tube(2, 30), overrides=(override,))
    calls = call_patient([evidence], settings=FlowSettings())
    assert "overridden" in calls.results[0].qc
    document = result_document(evidence, calls, threshold=1e-5, automatic={"status": "x"})
    assert [g["author"] for g in document["gates"]] == ["A12", "template"]
    assert document["overrides"][0]["boundary"] == "CD19 < 0.5"
    assert document["automatic"] == {"status": "x"}
    assert document["gates"][0]["template"] == "euroflow 1"


def test_a_setting_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="must be at least 1"):
        FlowSettings(population_ratio=float("nan"))


def test_what_the_blanks_of_the_panel_demand_raises_the_decision_count(seen):
    """20 events, or one more than 95 of 100 measured blanks with as many normal plasma cells show."""
    tubes = (tube(1, 0), tube(2, 0))  # 3,750 plasma cells each
    for per_thousand, needed in ((2.0, 20), (4.0, 31)):
        rules = dataclasses.replace(RULES, blank_per_thousand=per_thousand)
        numbers = numbers_of(seen(*tubes, rules=rules), FlowSettings())
        assert numbers.decision_count == needed
        assert numbers.lod_95 == sample_lod(3_000_000, needed)
