"""What reads say against a variant: each flag, and what it does to a verdict."""

import numpy as np
import pytest

from chip.evidence import Candidate, Counts, Strands
from chip.germline_filter import balance_of, judge_germline
from chip.settings import ChipSettings
from graft_samples import called, candidate, variant
from pipeline.model import Sex


def test_a_well_seen_driver_is_in_with_rule_citation_and_reason():
    found = variant(alt=50)
    assert (found.verdict, found.rule_id, found.at_threshold) == ("IN", "T-DNMT3A-R882", "POS")
    assert found.citation.startswith("doi:")
    assert found.reason == "listed change"
    assert found.vaf_low < 0.05 < found.vaf_high


def test_every_set_asked_is_shown_beside_the_verdict():
    assert variant().by_set == "topmed_2022 1=IN;strict_core 1=IN"


@pytest.mark.parametrize(
    ("gene", "hgvsp", "verdict"), [("DNMT3A", "R882H", "REVIEW"), ("DNMT3A", "R771*", "OUT")]
)
def test_too_few_reads_make_a_listed_change_review_and_others_out(gene, hgvsp, verdict):
    found = variant(gene, hgvsp, alt=4)
    assert found.verdict == verdict
    assert "4 of 5 supporting reads" in found.reason


def test_three_molecules_suffice_where_umis_count_them():
    assert variant(counts=Counts(depth=1000, alt=3, counted="molecules")).verdict == "IN"
    assert variant(counts=Counts(depth=1000, alt=2, counted="molecules")).verdict == "REVIEW"


def test_shallow_sites_are_not_called():
    assert "depth 19 of 20" in variant("DNMT3A", "R771*", alt=6, depth=19).reason


@pytest.mark.parametrize("side", ["strands", "orientations"])
def test_support_by_one_side_alone_fails_where_chance_cannot_explain_it(side):
    one = Strands(ref_forward=480, ref_reverse=480, alt_forward=40, alt_reverse=0)
    found = variant("DNMT3A", "R771*", counts=Counts(depth=1000, alt=40, **{side: one}))
    assert found.verdict == "OUT"
    assert "alone shows it" in found.reason
    few = Strands(ref_forward=480, ref_reverse=480, alt_forward=6, alt_reverse=0)
    assert variant("DNMT3A", "R771*", counts=Counts(depth=966, alt=6, **{side: few})).verdict == "IN"


def test_amplicons_of_one_strand_are_not_refused_for_it():
    """All reads of an amplicon may have one direction: the reference's is the same."""
    one = Strands(ref_forward=960, ref_reverse=0, alt_forward=40, alt_reverse=0)
    assert variant("DNMT3A", "R771*", counts=Counts(depth=1000, alt=40, strands=one)).verdict == "IN"


def test_support_at_ends_of_fragments_fails():
    found = variant("DNMT3A", "R771*", counts=Counts(depth=1000, alt=40, end_distance_nt=1.0))
    assert (found.verdict, found.flags) == ("OUT", "end_of_fragment")


def test_errors_that_reach_the_count_fail():
    found = variant("DNMT3A", "R771*", counts=Counts(depth=10_000, alt=12, background=1e-3))
    assert found.verdict == "OUT"
    assert "errors alone" in found.reason
    assert variant("DNMT3A", "R771*", counts=Counts(depth=10_000, alt=60, background=1e-3)).verdict == "IN"


def test_the_callers_own_filters_are_named():
    found = variant("DNMT3A", "R771*", filters=("strand", "clustered"))
    assert found.verdict == "OUT"
    assert "strand, clustered" in found.reason


def test_a_variant_without_counts_keeps_its_verdict_and_says_so():
    found = variant(counts=None)
    assert (found.verdict, found.flags, found.at_threshold) == ("IN", "no_counts", "IND")


# Homopolymers


def dup(alt, depth, slippage):
    found = Candidate(
        gene="ASXL1",
        hgvsp="G646Wfs*12",
        hgvsc="c.1934dup",
        ref="A",
        alt="AG",
        counts=None if depth is None else Counts(depth=depth, alt=alt),
        run_length_nt=8,
        slippage=slippage,
    )
    return called(found).variants[0]


@pytest.mark.parametrize(("true_vaf", "expected"), [(0.0, "OUT"), (0.06, "IN")])
def test_asxl1_dup_is_judged_against_slippage(true_vaf, expected):
    """1.5 % slippage: no call at 0 %, a call at 6 %, in 200 simulated samples each."""
    rng = np.random.default_rng(7)
    alts = rng.binomial(1000, true_vaf + (1 - true_vaf) * 0.015, size=200)
    found = [dup(int(alt), 1000, 0.015) for alt in alts]
    assert {v.verdict for v in found} == {expected}
    code = "slippage" if true_vaf == 0 else "above_slippage"
    assert all(code in v.flags.split(";") for v in found)
    assert all("slippage of 1.5 % in a run of 8" in v.reason for v in found if true_vaf == 0)


def test_asxl1_dup_without_a_background_needs_five_per_cent():
    assert dup(60, 1000, None).verdict == "IN"
    found = dup(40, 1000, None)
    assert found.verdict == "REVIEW"
    assert "without a background" in found.reason


def test_asxl1_dup_without_counts_is_looked_at():
    found = dup(None, None, None)
    assert (found.verdict, "slippage_untested" in found.flags) == ("REVIEW", True)


# Inherited


@pytest.mark.parametrize("depth", [300, 500, 1000])
def test_inherited_heterozygous_drivers_are_not_called_in(depth):
    """25 variants at true fractions of 0.42 to 0.58, drawn 16 times: at most 1 % IN."""
    rng = np.random.default_rng(depth)
    share = np.linspace(0.42, 0.58, 25)
    alts = rng.binomial(depth, share, size=(16, 25)).ravel()
    found = called(*(candidate("DNMT3A", "R771*", alt=int(a), depth=depth) for a in alts)).variants
    assert np.mean([v.verdict == "IN" for v in found]) <= 0.01
    assert all("cannot be told from an inherited variant" in v.reason for v in found if v.verdict != "IN")


@pytest.mark.parametrize("depth", [300, 1000, 5000])
def test_v617f_at_forty_five_per_cent_is_looked_at_and_never_dropped(depth):
    found = variant("JAK2", "V617F", alt=round(0.45 * depth), depth=depth)
    assert found.verdict == "REVIEW"
    assert "inherited" in found.reason


def test_a_clone_of_a_fifth_is_no_inherited_variant():
    assert variant("JAK2", "V617F", alt=200, depth=1000).verdict == "IN"


def test_the_samples_own_snps_say_how_far_inherited_variants_lie_from_a_half():
    settings = ChipSettings()
    rng = np.random.default_rng(3)
    tight = balance_of([(int(a), 1000) for a in rng.binomial(1000, 0.5, 60)], settings)
    wide = balance_of([(int(a), 1000) for a in rng.binomial(1000, rng.normal(0.5, 0.08, 60))], settings)
    assert tight.dispersion < settings.germline_dispersion < wide.dispersion
    assert abs(tight.mean - 0.5) < 0.01
    judged = {"x_linked": False, "sex": None, "settings": settings}
    assert judge_germline(Counts(depth=1000, alt=400), balance=tight, **judged) == []
    assert judge_germline(Counts(depth=1000, alt=400), balance=wide, **judged) != []


def test_few_snps_do_not_narrow_the_expectation():
    assert balance_of([(500, 1000)] * 9, ChipSettings()).dispersion == ChipSettings().germline_dispersion


def test_an_x_linked_driver_of_a_man_is_inherited_at_one_and_not_at_a_half():
    male, female = {"sex": Sex.MALE}, {"sex": Sex.FEMALE}
    assert variant("STAG2", "R216*", alt=500, evidence=male).verdict == "IN"
    assert variant("STAG2", "R216*", alt=998, evidence=male).verdict == "REVIEW"
    assert variant("STAG2", "R216*", alt=500, evidence=female).verdict == "REVIEW"
    assert variant("STAG2", "R216*", alt=998).verdict == "REVIEW"


# Population


def test_a_frequent_variant_is_inherited_unless_its_residue_is_listed():
    assert variant("TET2", "I1873T", population_frequency=0.002).verdict == "OUT"
    found = variant("JAK2", "V617F", population_frequency=0.002)
    assert (found.verdict, found.flags) == ("IN", "population_bypassed")
    assert variant("TET2", "I1873T", population_frequency=0.0009).verdict == "IN"


# Tumour


def test_what_the_tumour_has_too_is_looked_at_with_what_plasma_cells_would_bring():
    more = {"in_tumour": True, "tumour_vaf": 0.4}
    found = variant("TP53", "R248Q", alt=40, evidence={"plasma_cell_fraction": 0.001}, **more)
    assert found.verdict == "REVIEW"
    assert "VAF 0.1 times the tumour's" in found.reason
    assert "bring at most 0.04 %, which is less than seen" in found.reason
    little = variant("TP53", "R248Q", alt=5, depth=10_000, evidence={"plasma_cell_fraction": 0.001}, **more)
    assert "which may be all of it" in little.reason


def test_a_variant_that_the_tumour_lacks_is_the_bloods_own():
    assert variant("TP53", "R248Q", in_tumour=False).verdict == "IN"


# X-linked thresholds


@pytest.mark.parametrize(
    ("sex", "alt", "expected"),
    [
        (Sex.MALE, 30, "NEG"),
        (Sex.MALE, 40, "POS"),
        (Sex.FEMALE, 30, "POS"),
        (None, 30, "IND"),
        (None, 50, "POS"),
    ],
)
def test_x_linked_genes_ask_four_per_cent_of_men(sex, alt, expected):
    found = variant("BCOR", "R746*", alt=alt, evidence={"sex": sex})
    assert found.at_threshold == expected
    assert ("sex is not known" in found.reason) == (expected == "IND")


def test_other_genes_do_not_ask_for_the_sex():
    assert variant(alt=30).at_threshold == "POS"


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="germline_alpha must lie between 0 and 1"):
        ChipSettings(germline_alpha=0.0)
