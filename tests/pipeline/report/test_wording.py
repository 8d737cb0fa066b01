"""Every code of the house has its words, and the words say what the code means."""

import re

import pytest
from report_trial import NO_CLONE, TIMEPOINTS, counted

from pipeline.detection import Call, ReadingReason, read_at
from pipeline.model import Assay, DenominatorUnit, Material, Reason, Status
from pipeline.report.wording import load_wording

WORDING = load_wording()
DAY = TIMEPOINTS[0][2]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_phrase_and_one_sentence(reason):
    assert 1 <= len(WORDING.reason_phrase(reason).split()) <= 6
    assert re.fullmatch(r"[A-Z][^.]*\.", WORDING.reason_sentence(reason))


@pytest.mark.parametrize("reason", ReadingReason)
def test_every_reading_reason_has_a_phrase_and_one_sentence(reason):
    texts = WORDING.texts["reading"][reason.value]
    assert 1 <= len(texts["phrase"].split()) <= 6
    assert re.fullmatch(r"[A-Z][^.]*\.", texts["sentence"].format(c="1e-5"))


def test_texts_hold_no_code_that_the_house_does_not_know():
    assert set(WORDING.texts["reason"]) == {r.value for r in Reason}
    assert set(WORDING.texts["reading"]) == {r.value for r in ReadingReason}
    assert set(WORDING.texts["status"]) == {s.value for s in Status}
    assert set(WORDING.texts["call"]) == {c.value for c in Call}
    assert set(WORDING.texts["material"]) == {m.value for m in Material}
    assert set(WORDING.texts["assay"]) == {a.value for a in Assay}
    assert {u.value for u in DenominatorUnit} <= set(WORDING.texts["unit"])


def test_negative_result_is_said_with_what_it_would_have_shown():
    result = counted("P01", "BASE", DAY, Assay.FLOW, "euroflow", 0, 10_000_000)
    assert WORDING.headline(result, below_loq=False) == (
        "This sample would have shown 2.8e-6 or more (95 % power)."
    )


def test_detected_below_threshold_and_loq_stay_visible_in_the_phrase():
    result = counted("P01", "BASE", DAY, Assay.FLOW, "euroflow", 34, 9_870_000)
    reading = read_at(result, 1e-5)
    assert WORDING.reading_phrase(reading, result) == "detected below 1e-5, < LoQ"
    assert "the number is rough" in WORDING.headline(result, below_loq=reading.below_loq)


def test_not_evaluable_result_gives_its_own_reason_at_every_threshold():
    result = counted("P01", "BASE", DAY, Assay.NGS, "", 0, 100, **NO_CLONE)
    assert WORDING.reading_phrase(read_at(result, 1e-5), result) == "no trackable clone"


def test_panel_unknown_to_the_texts_keeps_its_own_name():
    assert WORDING.method(Assay.FLOW, "house7") == "Flow house7"
