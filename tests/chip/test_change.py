"""Names of changes: what they do to the protein, and what in them cannot be right."""

import pytest

from chip.rules.change import Kind, parse_change


@pytest.mark.parametrize(
    ("gene", "protein", "coding", "kind", "start", "alt"),
    [
        ("DNMT3A", "R882H", "c.2645G>A", Kind.MISSENSE, 882, "H"),
        ("DNMT3A", "NP_1.2:p.(Arg882His)", "NM_1.2:c.2645G>A", Kind.MISSENSE, 882, "H"),
        ("DNMT3A", "p.Arg771Ter", "", Kind.NONSENSE, 771, "*"),
        ("DNMT3A", "R771*", "", Kind.NONSENSE, 771, "*"),
        ("PPM1D", "N512Kfs*16", "c.1535dupA", Kind.FRAMESHIFT, 512, ""),
        ("PPM1D", "p.Asn512LysfsTer16", "", Kind.FRAMESHIFT, 512, ""),
        ("DNMT3A", "F732del", "c.2193_2195delCTT", Kind.INFRAME, 732, ""),
        ("FLT3", "p.Tyr599_Asp600insGlyLeu", "", Kind.INFRAME, 599, ""),
        ("FLT3", "p.Tyr599_Asp600insGlyTer", "", Kind.NONSENSE, 599, "*"),
        ("ASXL1", "Q33Q", "c.99G>A", Kind.SILENT, 33, ""),
        ("ASXL1", "p.Gln33=", "", Kind.SILENT, 33, ""),
        ("ASXL1", "p.Gln33%3D", "", Kind.SILENT, 33, ""),
        ("TP53", "p.Met1?", "c.1A>G", Kind.START_LOST, 1, ""),
        ("TP53", "p.Ter394GlnextTer9", "", Kind.STOP_LOST, 394, ""),
        ("JAK2", "p.Val617_Cys618delinsPheArg", "", Kind.INFRAME, 617, ""),
        ("TP53", "p.?", "", Kind.UNKNOWN, None, ""),
        ("TP53", "", "", Kind.UNKNOWN, None, ""),
        ("TP53", "", "c.97-40C>T", Kind.NONCODING, None, ""),
        ("TP53", "", "c.*12C>T", Kind.NONCODING, None, ""),
    ],
)
def test_names_of_changes_are_understood(gene, protein, coding, kind, start, alt):
    change = parse_change(gene, protein, coding)
    assert (change.kind, change.aa_start, change.alt, change.doubt) == (kind, start, alt, "")


@pytest.mark.parametrize(
    ("coding", "splice"),
    [
        ("c.100+1G>A", True),
        ("c.100+2T>C", True),
        ("c.100+3A>G", False),
        ("c.101-1G>A", True),
        ("c.101-3C>T", False),
        ("c.101-8_101-3del", False),
        ("c.101-8_101-2del", True),
        ("c.1668-8_1675del", True),
        ("c.2174-12_2174delCCGACCTCTCAGA", True),
        ("c.98_100+5del", True),
        ("c.100+3_100+9del", False),
        ("c.100+3_101-3del", False),
        ("c.100+3_101-1del", True),
        ("c.100+3_110del", True),
        ("c.90_101-20del", True),
    ],
)
def test_only_the_two_bases_beside_an_exon_are_a_splice_site(coding, splice):
    kind = parse_change("DNMT3A", "", coding).kind
    assert kind is (Kind.SPLICE if splice else Kind.NONCODING)


def test_terms_of_an_annotator_decide_what_names_leave_open():
    assert parse_change("TET2", "p.?", "c.3500G>A", ("splice_donor_variant",)).kind is Kind.SPLICE
    assert parse_change("TET2", "", "c.100+9A>G", ("intron_variant",)).kind is Kind.NONCODING
    assert parse_change("TET2", "p.?", "c.1del", ("frameshift_variant",)).kind is Kind.FRAMESHIFT


def test_an_old_name_of_a_gene_becomes_its_symbol():
    assert parse_change("MLL", "R100*").gene == "KMT2A"
    assert parse_change("U2AF1L5", "S34F").gene == "U2AF1"


@pytest.mark.parametrize(
    ("gene", "protein", "coding", "doubt"),
    [
        ("RUNX1", "R135G", "", "residue 135 of RUNX1 is G, not R"),  # NM_001001890 for R162G
        ("EZH2", "Y646N", "", "residue 646 of EZH2"),  # the 751-residue isoform, for Y641N
        ("IDH1", "R1320C", "", "has 414 residues"),
        ("DNMT3A", "R882H", "c.2204A>G", "not in codon 882"),
    ],
)
def test_a_residue_that_is_not_the_proteins_is_doubted(gene, protein, coding, doubt):
    assert doubt in parse_change(gene, protein, coding).doubt
