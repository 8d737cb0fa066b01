"""Marrow against plasma: planted classes come back exactly; what was not covered is never absent."""

import csv

import numpy as np
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.concordance.variants import (
    Observation,
    VariantClass,
    VariantRules,
    compare_variants,
    fraction_line,
)
from pipeline.errors import InputRefused

HEADER = """##fileformat=VCFv4.3
##FILTER=<ID=PASS,Description="passed">
##FILTER=<ID=strand,Description="one strand only">
##INFO=<ID=GENE,Number=1,Type=String,Description="gene">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="molecules">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="molecules per allele">
##contig=<ID=chr1,length=249250621>
##contig=<ID=chr17,length=83257441>
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	S1
"""


def seen(depth, alt, *, called=True, gene=""):
    return Observation(depth=depth, alt=alt, called=called, gene=gene)


def key(number):
    return ("chr1", number, "A", "T")


def classes(rows):
    return {row.pos: row.variant_class for row in rows}


def test_planted_classes_come_back():
    marrow = {
        key(1): seen(1000, 300), key(2): seen(1000, 200), key(3): seen(1000, 250), key(4): seen(1000, 300),
        key(5): seen(1000, 0, called=False), key(6): seen(1000, 10), key(7): seen(1000, 480),
        key(8): seen(1000, 40), key(9): seen(1000, 300), key(10): seen(1000, 400),
    }  # fmt: skip
    plasma = {
        key(1): seen(2000, 60), key(2): seen(2000, 38), key(3): seen(2000, 52),
        key(4): seen(2000, 0, called=False), key(5): seen(2000, 30), key(6): seen(2000, 0, called=False),
        key(7): seen(2000, 990), key(8): seen(2000, 80), key(10): seen(20, 0, called=False),
    }  # fmt: skip
    blood = {key(n): seen(3000, 0, called=False) for n in range(1, 11)}
    blood[key(7)], blood[key(8)] = seen(3000, 1490), seen(3000, 60)
    rows = compare_variants(marrow, plasma, blood)
    c = VariantClass
    assert classes(rows) == {
        1: c.SHARED, 2: c.SHARED, 3: c.SHARED, 4: c.MARROW_ONLY, 5: c.PLASMA_ONLY, 6: c.NOT_EVALUABLE,
        7: c.GERMLINE, 8: c.CHIP_SUSPECTED, 9: c.NOT_EVALUABLE, 10: c.NOT_EVALUABLE,
    }  # fmt: skip
    why = {row.pos: row.reason for row in rows}
    assert why[9].startswith("uncovered in plasma")
    assert why[10].startswith("undetected, and could have been missed: 20 molecules in plasma")
    assert "median of 3 shared variants" in why[4]


def test_power_is_the_binomial_tail_at_the_expected_fraction():
    marrow, plasma = {key(1): seen(500, 100)}, {key(1): seen(40, 0, called=False)}
    (row,) = compare_variants(marrow, plasma, None, VariantRules(ratio=0.1))
    assert row.power_plasma == pytest.approx(binom.sf(1, 40, 0.02))
    assert row.variant_class is VariantClass.NOT_EVALUABLE
    assert "no blood: germline and clonal haematopoiesis cannot be excluded" in row.reason


def test_a_material_without_molecules_has_no_power():
    marrow, plasma = {key(1): seen(500, 100)}, {key(1): seen(0, 0, called=False)}
    (row,) = compare_variants(marrow, plasma)
    assert (row.power_plasma, row.plasma_vaf, row.variant_class) == (0.0, None, VariantClass.NOT_EVALUABLE)


def test_line_through_fractions_covers_the_truth():
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        truth = rng.uniform(0.05, 0.5, 12)
        marrow = [seen(400, int(rng.binomial(400, f))) for f in truth]
        plasma = [seen(3000, int(rng.binomial(3000, 0.2 * f))) for f in truth]
        slope, _ = fraction_line(marrow, plasma)
        held += slope.ci.low <= 0.2 <= slope.ci.high
    assert held / 400 == pytest.approx(0.95, abs=0.04)


def test_few_shared_variants_make_no_line():
    with pytest.raises(ValueError, match="at least three shared variants"):
        fraction_line([seen(10, 5)] * 2, [seen(10, 5)] * 2)


def _vcf(path, lines):
    path.write_text(HEADER + "".join("\t".join(map(str, line)) + "\n" for line in lines))
    return path


def _record(pos, alt, gt, ad, *, chrom="chr1", flt="PASS"):
    dp = sum(map(int, ad.split(",")))
    return (chrom, pos, ".", "A", alt, ".", flt, "GENE=TP53", "GT:DP:AD", f"{gt}:{dp}:{ad}")


def _run(tmp_path, marrow, plasma, *more):
    files = [_vcf(tmp_path / n, lines) for n, lines in (("m.vcf", marrow), ("p.vcf", plasma))]
    arguments = ["concordance", "variants", *map(str, files), "--out", str(tmp_path / "out"), *map(str, more)]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def _rows(tmp_path, name):
    return list(csv.DictReader((tmp_path / "out" / name).read_text().splitlines()))


def test_command_reads_filters_genotypes_and_multiallelic_records(tmp_path):
    marrow = [
        _record(10, "T", "0/1", "700,300"),
        _record(20, "T,G", "0/1", "700,300,0"),
        _record(30, "T", "0/1", "900,100", flt="strand"),
        _record(40, "C", "0/1", "500,500", chrom="chr17"),
    ]
    plasma = [_record(10, "T", "0/1", "1900,100"), _record(20, "T", "0/0", "2000,0")]
    assert _run(tmp_path, marrow, plasma).exit_code == 0
    found = {(r["chrom"], r["pos"], r["alt"]): r["class"] for r in _rows(tmp_path, "variants.csv")}
    assert found == {
        ("chr1", "10", "T"): "shared",
        ("chr1", "20", "T"): "marrow_only",
        ("chr17", "40", "C"): "not_evaluable",
    }
    assert _rows(tmp_path, "genes.csv")[0]["shared"] == "1"
    summary = {r["parameter"]: r for r in _rows(tmp_path, "summary.csv")}
    assert summary["shared_share"]["estimate"] == "0.5"
    assert summary["vaf_slope"]["reason"] == "a line needs at least three shared variants"


def test_blood_is_given_as_a_third_file(tmp_path):
    blood = _vcf(tmp_path / "b.vcf", [_record(10, "T", "0/1", "2900,100")])
    _run(tmp_path, [_record(10, "T", "0/1", "700,300")], [], "--blood", blood)
    (row,) = _rows(tmp_path, "variants.csv")
    assert (row["class"], row["gene"]) == ("chip_suspected", "TP53")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([("chr1", 10, ".", "A", "T", ".", "PASS", ".", "GT", "0/1")], "record 1 has no depth"),
        ([("chr1", 10, ".", "A", "T", ".", "PASS", ".", "GT:DP", "0/1:5")], "record 1 has no allele counts"),
        ([_record(10, "T", "0/1", "7,3")] * 2, "holds the allele at position 10 twice"),
        ([("chr1", "x", ".", "A", "T", ".", "PASS", ".", "GT", "0/1")], "cannot be read as VCF"),
    ],
)
def test_a_file_without_depth_is_refused(tmp_path, lines, why):
    with pytest.raises(InputRefused, match=why):
        _run(tmp_path, lines, [])


def test_what_is_no_vcf_is_refused(tmp_path):
    (tmp_path / "x.vcf").write_text("not a vcf\n")
    with pytest.raises(InputRefused, match="cannot be read as VCF"):
        _run(tmp_path, [], [], "--blood", tmp_path / "x.vcf")
