"""Published numbers, written here a second time from their sources and not from the code.

Each row was read in the source it names; where no source could be read, the code must say
that the number is unverified.
"""

import pytest

from mrd_flow.panel.template import load_panel
from mrd_ngs.denominator import DNA_NG_PER_CELL
from mrd_ngs.germline import load_germline
from mrd_ngs.marker_rules import load_rules
from pipeline.detection import mean_count_for_detection


def test_clonoseq_dominant_sequence_rules():
    """Report text of the vendor's public test class (cites Ching, BMC Cancer 2020;20:612).

    ">= 0.2 % of total nucleated cells", "<= 5 sequences in the next decade",
    ">= 40 estimated genome equivalents".
    """
    for rules in (load_rules("nadir_default"), load_rules("clonoseq_like")):
        assert (rules.fraction_of_cells.threshold, rules.fraction_of_cells.verified) == (0.2 / 100, True)
        assert (rules.next_decade.threshold, rules.next_decade.verified) == (5, True)
        assert (rules.templates.threshold, rules.templates.verified) == (40, True)


def test_share_of_reads_that_no_source_confirms_is_said_to_be_unverified():
    """EuroClonality-NGS, 5 %: only the introductions of its papers could be read."""
    for name in ("nadir_default", "euroclonality_like"):
        rule = load_rules(name).share_of_locus
        assert (rule.threshold, rule.verified) == (5 / 100, False)


def test_dna_of_a_diploid_cell():
    """3.3 pg a haploid genome (Devonshire 2014, as cited by Alcaide, Sci Rep 2020;10:12564)."""
    assert pytest.approx(2 * 3.3e-3) == DNA_NG_PER_CELL


def test_euroflow_sensitivity_is_its_decision_count():
    """Roshal, Blood Adv 2017;1:728: 2 in 10^6 at 10^7 cells, hence 20 events."""
    assert load_panel("euroflow").decision_count == 2e-6 * 1e7


def test_euroflow_design():
    """Roshal, Blood Adv 2017;1:728: ten antigens, two tubes of eight colours."""
    tubes = load_panel("euroflow").tubes
    assert [len(t.markers) for t in tubes] == [8, 8]
    assert len(set(tubes[0].markers) | set(tubes[1].markers)) == 10


@pytest.mark.parametrize("panel", ["euroflow", "srl"])
def test_quantification_limit_and_positions_that_no_source_confirms_are_unverified(panel):
    """50 events: not found in any source. Positions and clones: likewise; all of SRL-Flow."""
    loaded = load_panel(panel)
    said = " ".join(item.what for item in loaded.unverified)
    assert loaded.loq_count == 50
    assert "quantification of 50 events" in said
    assert "fluorochromes and clones" in said


def test_three_over_n():
    """Hanley and Lippman-Hand, JAMA 1983;249:1743: nothing seen in n bounds the rate by 3/n."""
    assert mean_count_for_detection(1) == pytest.approx(3, rel=0.002)


def test_germline_release():
    """OGRDB, 2024-10-12: IGH rev 9, IGK rev 4, IGL rev 3; 198 IGHV, 31 IGHD, 7 IGHJ alleles."""
    germline = load_germline()
    heavy = [sum(g.name.startswith(p) for g in genes) for p, genes in
             (("IGHV", germline.v), ("IGHD", germline.d), ("IGHJ", germline.j))]  # fmt: skip
    assert heavy == [198, 31, 7]
    assert all(text in germline.version for text in ("IGH rev 9", "IGK rev 4", "IGL rev 3"))
