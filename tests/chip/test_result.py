"""The result of a sample: what it says at its own limit and at the CHIP threshold."""

import dataclasses
import itertools

import pytest

from chip.chrs import BloodCounts, cytopenia, risk_score
from chip.summary import detectable_vaf
from graft_samples import called, candidate, coverage
from pipeline.detection.lod import detection_probability
from pipeline.model import Sex, Status
from pipeline.model.chip import ChipReason, GeneStatus

DEEP = (coverage("DNMT3A"), coverage("TET2"))
BLOOD = BloodCounts(
    age_years=60, haemoglobin_g_dl=14, neutrophils=3, platelets=200, mcv_fl=90, rdw_percent=13
)


def result(*candidates, **more):
    return called(*candidates, **more).results[0]


def test_no_driver_is_said_with_the_limit_of_the_least_deep_gene():
    found = result(coverage=(coverage("DNMT3A", molecules=2000), coverage("TET2", molecules=800)))
    assert (found.status, found.at_threshold) == (Status.NOT_DETECTED, "NEG")
    assert found.lod == pytest.approx(detectable_vaf(800, 5))
    assert "no driver at or above 2 %, seen down to 1.1 %" in found.words


def test_without_coverage_no_sample_is_negative():
    found = result(candidate("TET2", "H978H"))
    assert (found.status, found.reason) == (Status.INDETERMINATE, ChipReason.COVERAGE_UNKNOWN)
    assert found.at_threshold == "IND"
    assert {g.status for g in called(candidate("TET2", "H978H")).genes} == {GeneStatus.UNKNOWN}


def test_a_shallow_gene_leaves_the_sample_undecided_and_is_named():
    found = result(coverage=(*DEEP, coverage("PPM1D", molecules=200)))
    assert (found.at_threshold, found.reason) == ("IND", ChipReason.GENES_SHALLOW)
    assert "not seen to 2 %: PPM1D" in found.words


def test_a_gene_below_the_depth_of_a_call_has_no_limit():
    genes = called(coverage=(*DEEP, coverage("PPM1D", molecules=10))).genes
    by_name = {g.gene: g for g in genes}
    assert (by_name["PPM1D"].status, by_name["PPM1D"].detectable_vaf) == (GeneStatus.NOT_COVERED, None)
    assert by_name["ASXL1"].status is GeneStatus.NOT_COVERED  # of the rule set, not of the panel
    assert by_name["TET2"].status is GeneStatus.EVALUABLE


def test_nothing_covered_is_not_evaluable():
    found = result(coverage=(coverage("DNMT3A", molecules=3),))
    assert (found.status, found.at_threshold) == (Status.NOT_EVALUABLE, "IND")


def test_a_driver_below_two_per_cent_is_detected_and_stays_visible():
    found = result(candidate("TET2", "R550*", alt=12), coverage=DEEP)
    assert (found.status, found.at_threshold, found.vaf_max) == (Status.DETECTED, "NEG", 0.012)
    assert (found.variants_in, found.variants_at_threshold) == (1, 0)


def test_ch_at_the_threshold_is_never_called_a_diagnosis():
    found = result(candidate(), candidate("TET2", "R550*", alt=30), coverage=DEEP)
    assert found.at_threshold == "POS"
    assert found.words.startswith("CH at the CHIP threshold (2 %)")
    assert "not for diagnosis" in found.words
    assert (found.genes, found.vaf_max) == ("DNMT3A;TET2", 0.05)


def test_a_variant_to_be_looked_at_leaves_the_sample_undecided():
    found = result(candidate("DNMT3A", "P799S"), coverage=DEEP)
    assert (found.status, found.reason) == (Status.INDETERMINATE, ChipReason.AWAITS_REVIEW)
    assert "1 to be looked at: DNMT3A P799S 5 %" in found.words


def test_a_driver_below_the_threshold_leaves_it_undecided_where_a_gene_was_not_seen():
    shallow = (*DEEP, coverage("PPM1D", molecules=200))
    assert result(candidate("TET2", "R550*", alt=12), coverage=shallow).at_threshold == "IND"


def test_a_variant_to_be_looked_at_below_the_threshold_opens_nothing_there():
    found = result(candidate("DNMT3A", "P799S", alt=12), coverage=DEEP)
    assert (found.status, found.at_threshold) == (Status.INDETERMINATE, "NEG")


def test_no_result_below_the_threshold_can_be_made_without_its_limit():
    good = result(coverage=DEEP)
    with pytest.raises(ValueError, match="needs a limit of detection"):
        dataclasses.replace(good, lod=None, at_threshold="IND")
    with pytest.raises(ValueError, match="at or below it"):
        dataclasses.replace(good, lod=0.03)


@pytest.mark.parametrize("molecules", [300, 1000, 5000])
@pytest.mark.parametrize("count", [3, 5])
def test_the_detectable_vaf_is_found_in_ninety_five_per_cent(molecules, count):
    vaf = detectable_vaf(molecules, count)
    assert detection_probability(molecules * vaf, count) == pytest.approx(0.95, abs=1e-6)


# CHRS, against a second reckoning of the published items


@pytest.mark.parametrize(
    ("variants", "known"),
    [
        ([("DNMT3A", 0.05)], 0.5 + 1 + 1 + 1),
        ([("DNMT3A", 0.25)], 0.5 + 1 + 1 + 2),
        ([("TET2", 0.05)], 1 + 1 + 1 + 1),
        ([("JAK2", 0.05)], 1 + 2.5 + 1 + 1),
        ([("DNMT3A", 0.05), ("DNMT3A", 0.03)], 1 + 1 + 2 + 1),
        ([("U2AF1", 0.05)], 4),
        ([("SRSF2", 0.3), ("TET2", 0.3)], 1 + 2.5 + 2 + 2),
        ([("DNMT3A", 0.05), ("TET2", 0.019)], 3.5),
    ],
)
def test_chrs_follows_every_combination_of_its_items(variants, known):
    for age, counts, mcv, rdw in itertools.product((0, 1), repeat=4):
        blood = BloodCounts(
            age_years=65 if age else 64.9,
            haemoglobin_g_dl=14,
            neutrophils=3,
            platelets=149 if counts else 150,
            mcv_fl=100 if mcv else 99.9,
            rdw_percent=15 if rdw else 14.9,
        )
        expected = (
            known + (1.5 if age else 1) + (1.5 if counts else 1) + (2.5 if mcv else 1) + (2.5 if rdw else 1)
        )
        found = risk_score(variants, blood, Sex.MALE)
        assert found.score == expected
        assert found.group == ("LOW" if expected <= 9.5 else "HIGH" if expected >= 12.5 else "INTERMEDIATE")


def test_chrs_spans_the_published_range():
    best = risk_score([("DNMT3A", 0.02)], BLOOD, Sex.MALE)
    worst = risk_score(
        [("TP53", 0.2), ("TET2", 0.02)],
        BloodCounts(
            age_years=80, haemoglobin_g_dl=8, neutrophils=1, platelets=20, mcv_fl=110, rdw_percent=20
        ),
        Sex.MALE,
    )
    assert (best.score, worst.score) == (7.5, 15.5)


def test_chrs_with_missing_inputs_is_an_interval_and_names_them():
    found = risk_score([("DNMT3A", 0.05)], BloodCounts(age_years=60), Sex.MALE)
    assert (found.low, found.high, found.score) == (7.5, 11.0, None)
    assert (found.group, found.missing) == ("NOT_ASSESSABLE", ("rdw", "mcv", "blood counts"))
    only_age = dataclasses.replace(BLOOD, age_years=None)
    assert risk_score([("DNMT3A", 0.05)], only_age, Sex.MALE).group == "LOW"


def test_chrs_is_printed_with_its_caveat_and_only_where_it_applies():
    found = result(candidate(), coverage=DEEP, blood=BLOOD, sex=Sex.MALE)
    assert (found.chrs_score, found.chrs_group) == (7.5, "LOW")
    assert "not validated under treatment for myeloma" in found.words
    assert result(coverage=DEEP, blood=BLOOD).chrs_group == "NOT_APPLICABLE"


@pytest.mark.parametrize(
    ("counts", "sex", "expected"),
    [
        ({"haemoglobin_g_dl": 12.5, "neutrophils": 3, "platelets": 200}, Sex.MALE, True),
        ({"haemoglobin_g_dl": 12.5, "neutrophils": 3, "platelets": 200}, Sex.FEMALE, False),
        ({"haemoglobin_g_dl": 12.5, "neutrophils": 3, "platelets": 200}, None, None),
        ({"haemoglobin_g_dl": 13.5, "neutrophils": 3, "platelets": 200}, None, False),
        ({"neutrophils": 1.7}, None, True),
        ({"neutrophils": 1.8, "platelets": 150}, Sex.MALE, None),
        ({"haemoglobin_g_dl": 13, "neutrophils": 1.8, "platelets": 150}, Sex.MALE, False),
    ],
)
def test_cytopenia_has_three_values(counts, sex, expected):
    assert cytopenia(BloodCounts(**counts), sex) is expected


def test_impossible_blood_counts_are_refused():
    with pytest.raises(ValueError, match="platelets is impossible"):
        BloodCounts(platelets=-1)
