"""``nadir chip classify``: the cases with known answers, files of every make, and what is refused."""

import contextlib
import csv
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from chip.rules.rule_set import load_rule_set
from pipeline.cli.main import main

HEAD = "gene\tprotein_change\tcdna_change\tchrom\tpos\tref\talt\tvaf\tdepth\talt_depth\tin_tumour\n"


def nadir(*arguments, cwd=None):
    """Run the command in this process: importing everything anew would cost a second each time."""
    out, err = io.StringIO(), io.StringIO()
    command = ["nadir", "chip", *(str(a) for a in arguments)]
    place = contextlib.chdir(cwd) if cwd is not None else contextlib.nullcontext()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", command), place:
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def vcf(path, *records, contigs="##contig=<ID=chr2,length=242193529>\n", more="", columns="GT:DP:AD"):
    info = "".join(
        f'##INFO=<ID={name},Number=.,Type=String,Description="x">\n'
        for name in ("GENE", "HGVSC", "HGVSP", "CSQ")
    )
    formats = (
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">\n'
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="x">\n'
        '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="x">\n'
        '##FILTER=<ID=strand,Description="x">\n'
    )
    lines = [
        "##fileformat=VCFv4.3\n", contigs, info, formats,
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tG\n",
    ]  # fmt: skip
    path.write_text("".join(lines) + "".join(f"{r}\n" for r in records))
    return path


R882H = (
    "chr2\t25234373\t.\tC\tT\t.\tPASS\tGENE=DNMT3A;HGVSC=T:c.2645G>A;HGVSP=P:p.Arg882His;CSQ=missense_variant"
)


@pytest.fixture(scope="module")
def cases(shared_data, tmp_path_factory):
    """The 112 cases, and what the command says of them."""
    path = shared_data / "chip_rules/variant_cases.tsv"
    out = tmp_path_factory.mktemp("cases") / "chip.tsv"
    ended = nadir("classify", path, "--rules", "topmed_2022", "--out", out)
    assert ended.returncode == 0, ended.stderr
    return rows(path), rows(out), out


def test_every_case_has_its_expected_verdict_and_a_reason(cases):
    given, said, _ = cases
    assert len(given) == len(said) == 112
    wrong = [
        (g["gene"], g["protein_change"], s["verdict"])
        for g, s in zip(given, said, strict=True)
        if g["expected"] != s["verdict"]
    ]
    assert wrong == []
    assert all(s["reason"] for s in said)
    assert all(s["rule_id"] and s["citation"] for s in said if s["verdict"] == "IN")


def test_inherited_cases_are_called_inherited(cases):
    given, said, _ = cases
    known = [s for g, s in zip(given, said, strict=True) if g["source"].startswith("dbSNP")]
    assert len(known) == 18
    assert {s["reason"].split(":")[0] for s in known} == {"known inherited variant"}


def test_a_list_of_variants_gives_no_limits(cases):
    out = cases[2]
    genes = rows(out.with_name("chip.genes.tsv"))
    assert {g["status"] for g in genes} == {"unknown"}
    result = json.loads(out.with_name("chip.result.json").read_text())
    assert (result["lod"], result["at_threshold"]) == (None, "IND")


def test_the_tumour_as_a_file_does_what_the_column_does(shared_data, tmp_path):
    given = rows(shared_data / "chip_rules/variant_cases.tsv")
    graft, tumour = tmp_path / "graft.tsv", tmp_path / "tumour.tsv"
    names = ("gene", "protein_change", "cdna_change")
    header = "\t".join(names) + "\n"
    graft.write_text(header + "".join("\t".join(g[n] for n in names) + "\n" for g in given))
    tumour.write_text(
        header + "".join("\t".join(g[n] for n in names) + "\n" for g in given if g["in_tumour"] == "Y")
    )
    out = tmp_path / "chip.tsv"
    assert nadir("classify", graft, "--tumour", tumour, "--out", out).returncode == 0
    assert [r["verdict"] for r in rows(out)] == [g["expected"] for g in given]


def test_a_vcf_is_read_with_its_counts(tmp_path):
    path = vcf(tmp_path / "v.vcf", f"{R882H}\tGT:DP:AD\t0/1:1000:950,50")
    ended = nadir("classify", path, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 0, ended.stderr
    (row,) = rows(tmp_path / "chip.tsv")
    assert (row["verdict"], row["vaf"], row["depth"], row["at_threshold"]) == ("IN", "0.05", "1000", "POS")
    assert "CH at the CHIP threshold" in ended.stderr


def test_alleles_of_one_record_are_judged_apart(tmp_path):
    record = (
        "chr2\t25234373\t.\tC\tT,A\t.\tPASS\tGENE=DNMT3A;HGVSC=T:c.2645G>A;HGVSP=P:p.Arg882His;"
        "CSQ=missense_variant\tGT:DP:AD\t0/1:1000:930,50,20"
    )
    assert nadir("classify", vcf(tmp_path / "v.vcf", record), "--out", tmp_path / "chip.tsv").returncode == 0
    found = rows(tmp_path / "chip.tsv")
    assert [(r["alt"], r["alt_depth"]) for r in found] == [("T", "50"), ("A", "20")]


@pytest.mark.parametrize("prefix", ["chr", ""])
def test_contigs_with_and_without_chr_are_one(tmp_path, prefix):
    graft = vcf(
        tmp_path / "v.vcf",
        f"{R882H}\tGT:DP:AD\t0/1:1000:950,50".replace("chr2", f"{prefix}2"),
        contigs=f"##contig=<ID={prefix}2,length=242193529>\n",
    )
    tumour = vcf(tmp_path / "t.vcf", f"{R882H}\tGT:DP:AD\t0/1:500:300,200")
    assert nadir("classify", graft, "--tumour", tumour, "--out", tmp_path / "chip.tsv").returncode == 0
    (row,) = rows(tmp_path / "chip.tsv")
    assert (row["verdict"], row["in_tumour"]) == ("REVIEW", "Y")


def test_a_vcf_without_depth_keeps_its_variants_and_says_so(tmp_path):
    path = vcf(tmp_path / "v.vcf", f"{R882H}\tGT\t0/1")
    ended = nadir("classify", path, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 0
    (row,) = rows(tmp_path / "chip.tsv")
    assert (row["verdict"], row["flags"], row["at_threshold"]) == ("IN", "no_counts", "IND")
    assert "1 variants have no depth" in ended.stderr


def test_an_unknown_build_is_said(tmp_path):
    record = f"{R882H}\tGT:DP:AD\t0/1:1000:950,50"
    path = vcf(tmp_path / "v.vcf", record, contigs="##contig=<ID=chr2,length=1000>\n")
    ended = nadir("classify", path, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 0
    assert "the genome build is not stated" in ended.stderr


def test_graft_and_tumour_on_two_builds_are_refused(tmp_path):
    record = f"{R882H}\tGT:DP:AD\t0/1:1000:950,50".replace("chr2\t", "chr1\t")
    graft = vcf(tmp_path / "v.vcf", record, contigs="##contig=<ID=chr1,length=248956422>\n")
    tumour = vcf(tmp_path / "t.vcf", record, contigs="##contig=<ID=chr1,length=249250621>\n")
    ended = nadir("classify", graft, "--tumour", tumour, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 3
    assert "is on GRCh37, the graft's variants on GRCh38" in ended.stderr
    assert not (tmp_path / "chip.tsv").exists()


def test_a_missing_sex_is_stated_where_an_x_linked_gene_is_hit(tmp_path):
    table = tmp_path / "v.tsv"
    table.write_text(HEAD + "BCOR\tR746*\t\t\t\t\t\t0.03\t1000\t30\t\n")
    assert nadir("classify", table, "--out", tmp_path / "chip.tsv").returncode == 0
    (row,) = rows(tmp_path / "chip.tsv")
    assert row["at_threshold"] == "IND"
    assert "sex is not known" in row["reason"]
    assert nadir("classify", table, "--sex", "M", "--out", tmp_path / "chip.tsv").returncode == 0
    assert rows(tmp_path / "chip.tsv")[0]["at_threshold"] == "NEG"


def test_u2af1_halves_at_both_copies_are_one_variant(tmp_path):
    names = "GENE={};HGVSC=T:c.101C>T;HGVSP=P:p.Ser34Phe;CSQ=missense_variant\tGT:DP:AD\t0/1:{}"
    path = vcf(
        tmp_path / "v.vcf",
        "chr21\t6496024\t.\tG\tA\t.\tPASS\t" + names.format("U2AF1L5", "490:465,25"),
        "chr21\t43104346\t.\tG\tA\t.\tPASS\t" + names.format("U2AF1", "510:485,25"),
        contigs="##contig=<ID=chr21,length=46709983>\n",
    )
    assert nadir("classify", path, "--out", tmp_path / "chip.tsv").returncode == 0
    (row,) = rows(tmp_path / "chip.tsv")
    assert (row["gene"], row["pos"], row["depth"], row["alt_depth"]) == ("U2AF1", "43104346", "1000", "50")
    assert (row["verdict"], row["flags"]) == ("IN", "both_copies")


def test_one_copy_of_u2af1_alone_is_looked_at(tmp_path):
    record = (
        "chr21\t6496024\t.\tG\tA\t.\tPASS\tGENE=U2AF1L5;HGVSC=T:c.101C>T;HGVSP=P:p.Ser34Phe;"
        "CSQ=missense_variant\tGT:DP:AD\t0/1:490:465,25"
    )
    path = vcf(tmp_path / "v.vcf", record, contigs="##contig=<ID=chr21,length=46709983>\n")
    assert nadir("classify", path, "--out", tmp_path / "chip.tsv").returncode == 0
    (row,) = rows(tmp_path / "chip.tsv")
    assert (row["verdict"], row["gene"]) == ("REVIEW", "U2AF1")
    assert "wrong by half" in row["reason"]


def test_frequencies_of_a_population_are_used(tmp_path):
    table, population = tmp_path / "v.tsv", tmp_path / "p.tsv"
    table.write_text(
        HEAD
        + "TET2\tI1873T\t\tchr4\t105275707\tT\tC\t\t1000\t50\t\n"
        + "JAK2\tV617F\t\t9\t5073770\tG\tT\t\t1000\t50\t\n"
    )
    population.write_text(
        "chrom\tpos\tref\talt\tfrequency\n4\t105275707\tT\tC\t0.01\nchr9\t5073770\tG\tT\t0.01\n"
    )
    ended = nadir("classify", table, "--population", population, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 0, ended.stderr
    assert [r["verdict"] for r in rows(tmp_path / "chip.tsv")] == ["OUT", "IN"]


@pytest.mark.parametrize(
    ("row", "column", "cause"),
    [
        ("DNMT3A\tR882H\t\t\t\t\t\t5\t\t\t\n", "vaf", "is no fraction from 0 to 1"),
        ("DNMT3A\tR882H\t\t\t\t\t\t\t10\t11\t\n", "alt_depth", "is more than the depth"),
        ("DNMT3A\tR882H\t\t\t\t\t\t\tmany\t\t\n", "depth", "is no whole number"),
        ("\tR882H\t\t\t\t\t\t\t\t\t\n", "gene", "there is no gene"),
        ("DNMT3A\t\t\t\t\t\t\t\t\t\t\n", "protein_change", "no change is named"),
        ("DNMT3A\tR882H\t\t\t\t\t\t\t\t\tperhaps\n", "in_tumour", "is neither Y nor N"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_place(tmp_path, row, column, cause):
    table = tmp_path / "v.tsv"
    table.write_text(HEAD + row)
    ended = nadir("classify", table, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 3
    assert f"line 2, column '{column}': {cause}" in ended.stderr
    assert not (tmp_path / "chip.tsv").exists()


def test_a_rule_file_with_a_wrong_residue_is_refused(tmp_path):
    text = load_rule_set("site_template").path.read_text()
    rules = tmp_path / "site.tsv"
    rules.write_text(text.replace("\tV\tF\t", "\tK\tF\t"))
    table = tmp_path / "v.tsv"
    table.write_text(HEAD + "JAK2\tV617F\t\t\t\t\t\t\t\t\t\n")
    ended = nadir("classify", table, "--rules", rules, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 3
    assert "residue 617 of JAK2 is V, not K" in ended.stderr
    rules.write_text(text)
    assert nadir("classify", table, "--rules", rules, "--out", tmp_path / "chip.tsv").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (["absent.vcf"], 3, "there is no such file"),
        (["v.tsv", "--rules", "topmed"], 2, "no rule set of that name"),
        (["v.tsv", "--sex", "X"], 2, "--sex is neither F nor M"),
        (["v.tsv", "--reference", "x.fa"], 2, "need --genes beside them"),
        (["v.tsv", "--patient", "P7"], 2, "need --collected-on"),
        (["v.tsv", "--patient", "Yamada_Taro", "--collected-on", "2026-01-01"], 2, "not a pseudonym"),
        (["unnamed.vcf"], 3, "has no genes and HGVS names"),
        (["text.vcf"], 3, "cannot be read as VCF"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_exit_code(tmp_path, arguments, code, cause):
    (tmp_path / "v.tsv").write_text(HEAD + "JAK2\tV617F\t\t\t\t\t\t\t\t\t\n")
    (tmp_path / "text.vcf").write_text("no VCF\n")
    (tmp_path / "unnamed.vcf").write_text(
        "##fileformat=VCFv4.3\n##contig=<ID=chr2>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr2\t5\t.\tA\tC\t.\tPASS\t.\n"
    )
    ended = nadir("classify", *arguments, "--out", "chip.tsv", cwd=tmp_path)
    assert (ended.returncode, cause in ended.stderr) == (code, True), ended.stderr
    assert "Yamada" not in ended.stderr


def test_a_vcf_is_named_on_request(tmp_path, shared_data):
    folder = shared_data / "chip_reference"
    path = tmp_path / "v.vcf"
    path.write_text(
        "##fileformat=VCFv4.3\n##contig=<ID=JAK2>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "JAK2\t52083\t.\tG\tT\t.\tPASS\t.\n"
    )
    named = ("--reference", folder / "panel51.fa.gz", "--genes", folder / "panel51.gff3")
    ended = nadir("classify", path, *named, "--out", tmp_path / "chip.tsv")
    assert ended.returncode == 0, ended.stderr
    (row,) = rows(tmp_path / "chip.tsv")
    assert (row["gene"], row["verdict"], row["hgvsc"].split(":")[1]) == ("JAK2", "IN", "c.1849G>T")


def test_the_same_input_gives_the_same_bytes(cases, shared_data, tmp_path):
    out = tmp_path / "chip.tsv"
    nadir("classify", shared_data / "chip_rules/variant_cases.tsv", "--out", out)
    for name in ("chip.tsv", "chip.genes.tsv", "chip.result.json"):
        assert out.with_name(name).read_bytes() == cases[2].with_name(name).read_bytes()


def test_a_rule_set_is_checked_by_its_own_command():
    ended = nadir("rules", "topmed_2022")
    assert ended.returncode == 0
    assert "689 rules hold on the reference proteins" in ended.stdout
    assert "not validated here" in ended.stdout
