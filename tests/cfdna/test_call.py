"""Plasma to results: calls, limits, and what is said where nothing can be."""

import dataclasses

import numpy as np
import pytest

from cfdna.call import call_patient, call_plasma
from cfdna.evidence import BloodCount, ClonotypeCount, Plasma, SiteCount, TumourVariant
from cfdna.settings import CfdnaSettings
from cfdna.simulate import TrackingTruth, simulate_plasma
from pipeline.model import Reason, Status

SETTINGS = CfdnaSettings()


def site(pos: int = 100, *, depth: int = 3000, mutant: int = 0, error: float = 1e-6, **changes) -> SiteCount:
    return SiteCount(
        variant=TumourVariant(chrom="chr1", pos=pos, ref="C", alt="T"),
        depth=depth,
        mutant=mutant,
        **{"informative": float(depth), "error_rate": error, "error_basis": "stated", **changes},
    )


def plasma(*sites: SiteCount, **changes) -> Plasma:
    empty = simulate_plasma(
        TrackingTruth(tumour_fraction=0.0, sites=1, depth_molecules=1, error_rate=1e-6),
        np.random.default_rng(1),
    )
    return dataclasses.replace(empty, sites=tuple(sites), **changes)


def ten(mutant: int = 0, **changes) -> list[SiteCount]:
    return [site(100 + 500 * i, mutant=mutant, **changes) for i in range(10)]


def test_no_negative_without_its_limit():
    result = call_plasma(plasma(*ten()), SETTINGS).result
    assert (result.status, result.value) == (Status.NOT_DETECTED, 0.0)
    assert result.lod == pytest.approx(2 * (4.744 - 0.03) / 30_000, rel=1e-3)
    assert "30,000 informative molecules at 10 sites" in result.lod_basis
    assert result.ci_high < result.lod
    assert result.unit == "tumour_fraction"


def test_tumour_fraction_is_twice_the_mutant_fraction_at_heterozygous_sites():
    tracking = call_plasma(plasma(*ten(mutant=30)), SETTINGS)
    assert tracking.result.status is Status.DETECTED
    assert tracking.result.value == pytest.approx(0.02, rel=0.01)
    assert tracking.mutant_fraction == pytest.approx(0.01, rel=0.01)
    assert tracking.result.ci_low < 0.02 < tracking.result.ci_high


def test_a_stated_allele_share_replaces_the_heterozygous_one():
    sites = [
        dataclasses.replace(s, variant=dataclasses.replace(s.variant, allele_share=1.0))
        for s in ten(mutant=30)
    ]
    assert call_plasma(plasma(*sites), SETTINGS).result.value == pytest.approx(0.01, rel=0.01)


@pytest.mark.parametrize(
    ("sites", "reason"),
    [
        ([], Reason.NO_TUMOUR_VARIANT),
        (ten(depth=0, informative=0.0), Reason.NO_MOLECULES),
        (ten(error=0.02), Reason.NO_USABLE_SITE),
        ([site(depth=3)], Reason.TOO_FEW_MOLECULES),
    ],
    ids=["no variants", "no molecules", "all noisy", "too few"],
)
def test_not_evaluable_says_why(sites, reason):
    result = call_plasma(plasma(*sites), SETTINGS).result
    assert (result.status, result.reason, result.value, result.lod) == (
        Status.NOT_EVALUABLE,
        reason,
        None,
        None,
    )


def test_without_blood_every_result_says_that_chip_cannot_be_excluded():
    assert "no_blood_control" in call_plasma(plasma(*ten()), SETTINGS).result.qc
    with_blood = ten(blood=BloodCount(depth=5000, mutant=0), blood_given=True)
    assert call_plasma(plasma(*with_blood), SETTINGS).result.qc == "pass"


def test_shallow_or_missing_blood_is_said():
    shallow = ten(blood=BloodCount(depth=1000, mutant=0), blood_given=True)
    assert "blood_too_shallow" in call_plasma(plasma(*shallow), SETTINGS).result.qc
    uncovered = ten(blood=None, blood_given=True)
    assert "not_covered_in_blood" in call_plasma(plasma(*uncovered), SETTINGS).result.qc


def test_what_blood_carries_is_no_tumour():
    chip = site(9000, mutant=6, blood=BloodCount(depth=4000, mutant=8), blood_given=True)
    clean = ten(blood=BloodCount(depth=4000, mutant=0), blood_given=True)
    tracking = call_plasma(plasma(*clean, chip), SETTINGS)
    assert tracking.result.status is Status.NOT_DETECTED
    assert [s.fate for s in tracking.sites if s.mutant] == ["carried_by_blood"]


def test_a_site_that_contradicts_the_others_never_leaves_a_negative():
    """All mutant molecules at one of ten sites: not the tumour's, or the others are lost; nobody can say."""
    tracking = call_plasma(plasma(*ten(), site(9000, mutant=60)), SETTINGS)
    assert (tracking.result.status, tracking.result.reason) == (
        Status.INDETERMINATE,
        Reason.DISCORDANT_MARKERS,
    )
    assert tracking.result.lod is not None


def test_sites_of_a_rich_plasma_are_no_outliers_for_their_copy_number():
    sites = ten(mutant=450)
    sites[0] = site(100, mutant=900)  # its wild-type allele is lost
    tracking = call_plasma(plasma(*sites), SETTINGS)
    assert {s.fate for s in tracking.sites} == {"used"}
    assert tracking.result.status is Status.DETECTED


def test_a_suspected_swap_is_neither_positive_nor_negative():
    for mutant in (0, 30):
        result = call_plasma(plasma(*ten(mutant), suspected_swap="7 of 24 SNPs differ"), SETTINGS).result
        assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.SUSPECTED_SWAP)


def test_two_sites_of_one_fragment_are_one_molecule_and_no_call():
    two = [site(100, mutant=1), site(150, mutant=1)]
    assert call_plasma(plasma(*two, mutant_fragments=1), SETTINGS).result.status is Status.NOT_DETECTED
    assert call_plasma(plasma(*two, mutant_fragments=2), SETTINGS).result.status is Status.DETECTED


def test_a_clonotype_is_one_more_marker():
    alone = call_plasma(
        plasma(clonotypes=(ClonotypeCount(target_id="IGH-1", genomes=6e4, templates=4),)), SETTINGS
    )
    assert alone.result.status is Status.DETECTED
    assert alone.result.value == pytest.approx(2 * 4 / 6e4, rel=0.01)
    without = call_plasma(plasma(*ten()), SETTINGS).result
    both = call_plasma(
        plasma(*ten(), clonotypes=(ClonotypeCount(target_id="IGH-1", genomes=6e4, templates=0),)), SETTINGS
    ).result
    assert both.lod == pytest.approx(without.lod / 3, rel=0.02)


def test_low_input_is_said():
    assert "low_input: 303 haploid genomes" in call_plasma(plasma(*ten(), genomes=303.0), SETTINGS).result.qc


def test_samples_stand_in_order_and_are_of_one_patient(rng):
    truth = TrackingTruth(tumour_fraction=0.0, sites=5, depth_molecules=500, error_rate=1e-6)
    later = simulate_plasma(
        truth, rng, timepoint="CONS", collected_on=plasma().sample.collected_on.replace(day=9)
    )
    first = simulate_plasma(truth, rng, timepoint="IND")
    assert [r.timepoint for r in call_patient([later, first], settings=SETTINGS).results] == ["IND", "CONS"]
    other = simulate_plasma(truth, rng, patient_id="SIM-2")
    with pytest.raises(ValueError, match="several patients"):
        call_patient([first, other], settings=SETTINGS)


def share_called(truth: TrackingTruth, rng: np.random.Generator, runs: int) -> float:
    calls = [call_plasma(simulate_plasma(truth, rng), SETTINGS).result.status for _ in range(runs)]
    return np.mean([status is Status.DETECTED for status in calls])


def test_blanks_are_called_no_oftener_than_claimed(rng):
    blank = TrackingTruth(tumour_fraction=0.0, sites=12, depth_molecules=3000, error_rate=3e-5)
    # claimed 1 %: at most 9 of 400 with probability .99
    assert share_called(blank, rng, 400) <= 9 / 400


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.0, 1e-5])
def test_three_million_molecules_find_a_tumour_fraction_of_1e_5(fraction, rng):
    truth = TrackingTruth(tumour_fraction=fraction, sites=100, depth_molecules=30_000, error_rate=1e-6)
    called = share_called(truth, rng, 1000)
    assert called >= 0.95 if fraction else called <= 0.01


def test_variants_of_blood_are_removed_and_the_tumours_are_kept(rng):
    truth = TrackingTruth(
        tumour_fraction=0.1,
        sites=2000,
        depth_molecules=2000,
        error_rate=1e-6,
        chip_sites=1000,
        blood_depth=3400,
    )
    tracking = call_plasma(simulate_plasma(truth, rng), SETTINGS)
    fates = np.array([s.fate for s in tracking.sites])
    assert np.mean(fates[:1000] == "carried_by_blood") >= 0.98  # expected 99.1 %
    assert np.mean(fates[1000:] != "used") <= 0.005
