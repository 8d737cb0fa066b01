"""The TOPMed lists in residues: each defect of the tables they came from has its own test."""

import re

import pytest

from chip.rules.change import parse_change
from chip.rules.genes import gene_named
from chip.rules.rule_set import Mechanism, Verdict, load_rule_set
from chip.rules.verdict import classify

LOSS = (Mechanism.LOF, Mechanism.TRUNC_WINDOW)


@pytest.fixture(scope="module")
def topmed():
    return load_rule_set("topmed_2022")


@pytest.fixture(scope="module")
def tables(shared_data):
    """The published tables, MIT."""
    return shared_data / "chip_rules/topmed_whitelist_MIT"


def verdict(topmed, gene, protein="", coding=""):
    return classify(parse_change(gene, protein, coding), topmed).decided


@pytest.mark.parametrize(
    ("name", "protein"), [("KMT2A", "R407*"), ("MLL", "R407*"), ("KMT2D", "Q2000*"), ("MLL2", "Q2000*")]
)
def test_truncations_of_the_renamed_mll_genes_pass(topmed, name, protein):
    """Gene list KMT2A and KMT2D, LoF list MLL and MLL2: theirs never passed."""
    assert verdict(topmed, name, protein).verdict is Verdict.IN


def test_splice_rules_ask_for_a_splice_site_and_not_for_the_gene_alone(topmed):
    """The script tested the gene twice and the class never."""
    assert verdict(topmed, "DNMT3A", "", "c.1430-1G>C").rule_id == "T-DNMT3A-splice"
    assert verdict(topmed, "DNMT3A", "", "c.1430-9G>C").verdict is Verdict.OUT
    assert verdict(topmed, "DNMT3A", "R301R", "c.901C>A").verdict is Verdict.OUT


@pytest.mark.parametrize(("place", "expected"), [(361, Verdict.OUT), (404, Verdict.IN), (1102, Verdict.IN)])
def test_asxl1_truncations_are_judged_by_residue_and_not_by_exon_number(topmed, place, expected):
    """exon11/exon12 as text would lose all behind codon 573 of today's transcript, G646 with them."""
    residue = gene_named("ASXL1").residue(place)
    assert verdict(topmed, "ASXL1", f"{residue}{place}*").verdict is expected


def test_asxl1_g646_is_kept_and_marked_as_a_homopolymer(topmed):
    said = verdict(topmed, "ASXL1", "G646Wfs*12", "c.1934dup")
    assert (said.verdict, said.caution) == (Verdict.IN, "homopolymer")


def test_zbtb33_has_a_rule_for_missense_and_one_for_in_frame_changes(topmed):
    """The script applied its in-frame rule to missense."""
    assert verdict(topmed, "ZBTB33", "R26H").rule_id == "T-ZBTB33-9-126"
    assert verdict(topmed, "ZBTB33", "R26del").rule_id == "T-ZBTB33-9-126-inframe"
    assert verdict(topmed, "ZBTB33", "R200del").verdict is Verdict.OUT


def test_residues_are_parsed_whatever_their_length(topmed):
    """The script cut names at fixed lengths."""
    assert verdict(topmed, "MPL", "W515L").verdict is Verdict.IN
    assert verdict(topmed, "DNMT3A", "p.Arg882His").verdict is Verdict.IN
    residue = gene_named("CBLB").residue(37)
    assert verdict(topmed, "CBLB", f"{residue}37W").verdict is Verdict.OUT  # the window begins at 372


def test_idh1_v178i_is_inherited_although_listed(topmed):
    assert verdict(topmed, "IDH1", "V178I").rule_id == "G-IDH1-V178"


def test_runx1_and_ezh2_are_numbered_as_their_transcript(topmed):
    """Listed on NM_001001890 (27 residues shorter), and on a third isoform of EZH2."""
    assert verdict(topmed, "RUNX1", "R201Q").verdict is Verdict.IN  # listed as R174Q
    assert verdict(topmed, "RUNX1", "R162G").verdict is Verdict.IN  # listed as R135G
    assert verdict(topmed, "EZH2", "Y641N").verdict is Verdict.IN
    assert verdict(topmed, "EZH2", "R288Q").verdict is Verdict.IN  # listed as R283Q


def test_changes_listed_with_a_wrong_residue_are_looked_at(topmed):
    """V472S, P742P, M853R, R879D: the tables name a residue that is not there."""
    for gene, protein in [("BRAF", "Y472S"), ("DNMT3A", "R742P"), ("DNMT3A", "N853R"), ("DNMT3A", "N879D")]:
        assert verdict(topmed, gene, protein).verdict is Verdict.REVIEW


def test_silent_changes_and_nonsense_of_an_oncogene_are_no_hotspots(topmed):
    """NRAS Q61Q, PTPN11 G503G, TP53 A138A and BRAF R603* stand among the missense changes."""
    for gene, protein in [("NRAS", "Q61Q"), ("PTPN11", "G503G"), ("TP53", "A138A"), ("BRAF", "R603*")]:
        assert verdict(topmed, gene, protein).verdict is Verdict.OUT


def test_in_frame_changes_of_the_list_are_looked_at(topmed):
    assert verdict(topmed, "DNMT3A", "F732del").rule_id == "T-DNMT3A-732-732-inframe"
    assert verdict(topmed, "JAK2", "N542_E543del").verdict is Verdict.REVIEW


def test_every_listed_missense_change_has_its_rule_or_its_declared_mend(topmed, tables):
    """The table against the rules: what differs is exactly what docs/methods/chip.md declares."""
    listed = (tables / "CHIP_missense_vars_cv_08262022.txt").read_text().split("\n")[1:]
    changes = {tuple(line.split("\t")[:2]) for line in listed if line.strip()}
    hot = {
        (r.gene, f"{r.residue}{r.aa_start}{to}")
        for r in topmed.rules
        if r.mechanism is Mechanism.HOTSPOT and r.source == "topmed_2022" and r.verdict is Verdict.IN
        for to in r.allowed
    }
    assert len(changes) == 1431
    lost = changes - hot
    by_gene = {}
    for gene, change in lost:
        by_gene.setdefault(gene, set()).add(change)
    assert {gene: len(found) for gene, found in by_gene.items()} == {
        "BRAF": 2, "DNMT3A": 3, "EZH2": 6, "GNAS": 9, "NRAS": 1, "PTPN11": 1, "RUNX1": 27, "TP53": 1,
    }  # fmt: skip
    shifted = {
        (gene, re.sub(r"\d+", lambda m, by={"RUNX1": 27, "EZH2": 5}[gene]: str(int(m[0]) + by), change))
        for gene, change in lost
        if gene in ("RUNX1", "EZH2")
    }
    assert hot - changes == shifted


def test_every_listed_gene_of_loss_and_of_splicing_has_its_rule(topmed, tables):
    old = {"MLL": "KMT2A", "MLL2": "KMT2D"}
    listed = (tables / "CHIP_nonsense_FS_vars_cv_08262022.txt").read_text().split()[1:]
    truncated = {r.gene for r in topmed.rules if r.mechanism in LOSS and r.source == "topmed_2022"}
    assert {old.get(g, g) for g in listed} <= truncated
    assert truncated - {old.get(g, g) for g in listed} == {"PPM1D", "CSF3R", "GATA3"}
    splice = (tables / "CHIP_splice_vars_cv_08262022.txt").read_text().split()[1:]
    ruled = {r.gene for r in topmed.rules if r.mechanism is Mechanism.SPLICE and r.verdict is Verdict.IN}
    assert ruled == set(splice)
