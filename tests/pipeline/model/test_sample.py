"""Pseudonyms pass, people's identifiers do not."""

from datetime import date
from pathlib import Path

import pytest

from pipeline.model import Assay, Material, Sample, is_identifier, looks_personal


@pytest.mark.parametrize("text", ["P01", "NDR-007", "a", "JP_12-3", "7", "MM20-0172", "A" * 32])
def test_pseudonyms_are_identifiers_and_not_personal(text):
    assert is_identifier(text)
    assert looks_personal(text) is None


@pytest.mark.parametrize(
    "text", ["", "-rf", "_x", "a b", "a/b", "..", "a.b", "A" * 33, "é", "a\n", "$(id)", "患者1", "P01\x00"]
)
def test_other_text_is_no_identifier(text):
    assert not is_identifier(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1954-03-12", "a date"),
        ("19540312", "a date"),
        ("12-03-1954", "a date"),
        ("P-19540312", "a date"),
        ("123456789012", "a national or insurance number"),
        ("123-45-6789", "a national or insurance number"),
        ("1234-5678-9012", "a national or insurance number"),
        ("Yamada_Taro", "a pair of names"),
        ("TaroYamada", "a pair of names"),
        ("YAMADA-TARO", "a pair of names"),
    ],
)
def test_identifiers_that_look_like_people_are_named(text, what):
    assert looks_personal(text) == what


def test_sample_refuses_impossible_content():
    good = {
        "study_id": "T1",
        "patient_id": "P01",
        "timepoint": "BASE",
        "collected_on": date(2026, 1, 1),
        "material": Material.BONE_MARROW,
        "assay": Assay.NGS,
        "files": (Path("x.fastq"),),
    }
    with pytest.raises(ValueError, match="at least one file"):
        Sample(**{**good, "files": ()})
    with pytest.raises(ValueError, match="cells must be at least 1"):
        Sample(**good, cells=0)
    with pytest.raises(ValueError, match="timepoint is not an identifier"):
        Sample(**{**good, "timepoint": "day 60"})
