"""Rule sets: those that ship are possible, and impossible ones are refused with every problem."""

import pytest

from chip.rules.change import parse_change
from chip.rules.checks import check_rules, require_valid
from chip.rules.genes import known_genes
from chip.rules.rule_set import Verdict, load_rule_set, second_opinion_of, shipped_rule_sets
from chip.rules.verdict import classify
from pipeline.errors import ConfigRefused, SheetRefused, UsageError

HEAD = (
    "# id: own\n# version: 1\n# date: 2026-01-01\n# title: t\n# citation: c\n"
    "# genome: GRCh38\n# licence: MIT\n"
    "rule_id\tgene\tmechanism\taa_start\taa_end\tresidues\tallowed_changes\tverdict\tcaution_code\tcitation\tnote\n"
)
GOOD = "a\tDNMT3A\thotspot\t882\t882\tR\tH\tIN\t\tdoi:1\t\n"


def own(tmp_path, rows, head=HEAD):
    path = tmp_path / "own.tsv"
    path.write_text(head + rows, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", shipped_rule_sets())
def test_every_rule_that_ships_is_possible_on_the_51_genes(name):
    check = check_rules(load_rule_set(name))
    assert check.problems == ()
    assert check.validated > 20
    without = {gene for gene, _ in check.unvalidated}
    assert without.isdisjoint({g.symbol for g in known_genes().values() if g.protein})


def test_genes_without_a_reference_are_listed_as_not_validated():
    assert ("GNB1", 2) in check_rules(load_rule_set("topmed_2022")).unvalidated


def test_51_genes_have_a_protein():
    assert sum(gene.protein is not None for gene in known_genes().values()) == 51


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("a\tDNMT3A\thotspot\t882\t882\tK\tH\tIN\t\tdoi:1\t\n", "residue 882 of DNMT3A is R, not K"),
        ("a\tDNMT3A\thotspot\t1882\t1882\tR\tH\tIN\t\tdoi:1\t\n", "is beyond its end"),
        ("a\tTET2\tmissense_window\t1843\t2003\t\t\tIN\t\tdoi:1\t\n", "TET2 has 2002 residues"),
        ("a\tDNMT3\tlof\t\t\t\t\tIN\t\tdoi:1\t\n", "no such gene"),
        ("a\tDNMT3A\thotspot\t882\t882\tR\tH\tIN\t\t\t\n", "has no citation"),
        (GOOD + "b\tDNMT3A\thotspot\t882\t882\tR\tH,C\tOUT\t\tdoi:1\t\n", "a and b contradict"),
        (GOOD + "a\tDNMT3A\thotspot\t883\t883\tL\tV\tIN\t\tdoi:1\t\n", "stands twice"),
        ("a\tDNMT3A\thotspot\t882\t882\tR\t\tIN\t\tdoi:1\t\n", "not changes of R"),
        ("a\tDNMT3A\thotspot\t882\t882\tR\tR\tIN\t\tdoi:1\t\n", "not changes of R"),
        ("a\tTET2\tmissense_window\t1481\t1104\t\t\tIN\t\tdoi:1\t\n", "needs a window"),
        ("a\tTET2\tlof\t1\t2\t\t\tIN\t\tdoi:1\t\n", "is for a whole gene"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_line(tmp_path, row, cause):
    with pytest.raises(SheetRefused, match=r"own\.tsv, line") as refused:
        require_valid(load_rule_set(own(tmp_path, row)))
    (problem,) = refused.value.problems
    assert cause in problem.cause
    assert problem.line == 8 + row.count("\n")


def test_every_wrong_rule_is_named_at_once(tmp_path):
    rows = "a\tDNMT3A\thotspot\t882\t882\tK\tH\tIN\t\tdoi:1\t\nb\tNONE\tlof\t\t\t\t\tIN\t\tdoi:1\t\n"
    assert len(check_rules(load_rule_set(own(tmp_path, rows))).problems) == 2


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("a\tDNMT3A\thotspots\t882\t882\tR\tH\tIN\t\tdoi:1\t\n", "mechanism"),
        ("a\tDNMT3A\thotspot\t882\t882\tR\tH\tMAYBE\t\tdoi:1\t\n", "verdict"),
        ("a\tDNMT3A\thotspot\texon 23\t882\tR\tH\tIN\t\tdoi:1\t\n", "aa_start"),
    ],
)
def test_a_cell_that_means_nothing_is_refused(tmp_path, row, column):
    with pytest.raises(SheetRefused, match=r"own\.tsv, line") as refused:
        load_rule_set(own(tmp_path, row))
    assert refused.value.problems[0].column == column


def test_a_set_without_a_citation_in_its_header_is_refused(tmp_path):
    path = own(tmp_path, GOOD, HEAD.replace("# citation: c\n", ""))
    with pytest.raises(ConfigRefused, match="header lacks citation"):
        load_rule_set(path)


@pytest.mark.parametrize("name", ["../../etc/passwd", "no_such_set"])
def test_a_set_includes_only_sets_beside_it_or_shipped(tmp_path, name):
    path = own(tmp_path, GOOD, f"# include: {name}\n" + HEAD)
    with pytest.raises(ConfigRefused, match="names"):
        load_rule_set(path)


def test_an_unknown_name_lists_the_sets_there_are():
    with pytest.raises(UsageError, match="site_template, strict_core, topmed_2022"):
        load_rule_set("topmed")


def test_a_folder_with_one_set_is_that_set(tmp_path):
    own(tmp_path, GOOD)
    assert load_rule_set(tmp_path).name == "own 1"
    (tmp_path / "second.tsv").write_text(HEAD.replace("id: own", "id: second") + GOOD)
    with pytest.raises(ConfigRefused, match=r"own\.tsv, second\.tsv"):
        load_rule_set(tmp_path)


def test_old_gene_names_in_a_set_are_resolved(tmp_path):
    rule_set = require_valid(load_rule_set(own(tmp_path, "a\tMLL\tlof\t\t\t\t\tIN\t\tdoi:1\t\n")))
    assert classify(parse_change("KMT2A", "R407*"), rule_set).decided.verdict is Verdict.IN


def test_a_second_opinion_turns_out_for_want_of_a_rule_into_review():
    topmed = load_rule_set("topmed_2022")
    change = parse_change("CBL", "Y371H")
    assert classify(change, topmed).decided.verdict is Verdict.OUT
    found = classify(change, topmed, [second_opinion_of(topmed)])
    assert found.decided.verdict is Verdict.REVIEW
    assert "rule sets disagree" in found.decided.reason
    assert [str(v.verdict) for v in found.by_set] == ["OUT", "IN"]


def test_a_known_inherited_variant_goes_before_a_rule_that_lists_it(tmp_path):
    rows = "a\tIDH1\thotspot\t178\t178\tV\tI\tIN\t\tdoi:1\t\n"
    rule_set = load_rule_set(own(tmp_path, rows, "# include: germline\n" + HEAD))
    said = classify(parse_change("IDH1", "V178I"), rule_set).decided
    assert (said.verdict, said.rule_id) == (Verdict.OUT, "G-IDH1-V178")


@pytest.mark.parametrize(
    ("gene", "protein", "verdict", "reason"),
    [
        ("RUNX1", "R135G", Verdict.REVIEW, "another transcript"),
        ("TET2", "nonsense words", Verdict.REVIEW, "cannot be told"),
        ("TP53", "p.Met1?", Verdict.REVIEW, "start codon"),
        ("JAK2", "p.Val617_Cys618delinsPheArg", Verdict.REVIEW, "replaces a listed residue"),
        ("JAK2", "V617I", Verdict.OUT, "another change of a listed residue"),
        ("FLT3", "p.Tyr599_Asp600insGlyLeu", Verdict.REVIEW, "internal tandem duplication"),
        ("OR4F5", "R100*", Verdict.OUT, "no rule for this gene"),
    ],
)
def test_what_no_rule_lists_has_a_reason_and_doubt_goes_to_a_person(gene, protein, verdict, reason):
    said = classify(parse_change(gene, protein), load_rule_set("topmed_2022")).decided
    assert said.verdict is verdict
    assert reason in said.reason
