"""Tumour fraction from copy number, under noise of another model than the one fitted."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cfdna.cli import app
from cfdna.copy_number.bin_files import read_bins, read_karyotype, write_bins
from cfdna.copy_number.bins import Bins
from cfdna.copy_number.count_model import design_of, fit_counts
from cfdna.copy_number.fraction import call_blind, call_informed
from cfdna.copy_number.genome import CHROMOSOMES, arm_of, arms
from cfdna.copy_number.informed import Segment, informed_fraction
from cfdna.copy_number.purity import Observed, explain_levels
from cfdna.copy_number.simulated_bins import simulate_bins
from cfdna.settings import CfdnaSettings
from pipeline.errors import InputRefused, SheetRefused
from pipeline.formats.single_sample import single_sample
from pipeline.model import Assay, Status

SETTINGS = CfdnaSettings()
HYPERDIPLOID = tuple(
    Segment(chrom=c, start=0, end=CHROMOSOMES[c].length_nt, copies=3)
    for c in ("3", "5", "7", "9", "11", "15", "19", "21")
)
GAIN_1Q_LOSS_13Q = (
    Segment(chrom="1", start=125_100_000, end=CHROMOSOMES["1"].length_nt, copies=3),
    Segment(chrom="13", start=0, end=CHROMOSOMES["13"].length_nt, copies=1),
)


def sample(tmp_path):
    return single_sample(
        Assay.CFDNA,
        [tmp_path / "b.tsv"],
        patient="P1",
        timepoint="FU1",
        collected_on="2026-01-01",
        material="plasma",
    )


def estimates(karyotype, coverage, fraction, runs):
    found = [
        informed_fraction(
            simulate_bins(karyotype, fraction, np.random.default_rng(seed), coverage=coverage),
            karyotype,
            mappability_min=0.8,
        )
        for seed in range(runs)
    ]
    return np.array([(f.fraction, f.standard_error) for f in found])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("karyotype", "coverage", "largest_error"),
    [
        (HYPERDIPLOID, 0.1, 0.0042),
        (HYPERDIPLOID, 1.0, 0.0018),
        (GAIN_1Q_LOSS_13Q, 0.1, 0.008),
        (GAIN_1Q_LOSS_13Q, 1.0, 0.0031),
    ],
    ids=["hyperdiploid 0.1x", "hyperdiploid 1x", "1q 13q 0.1x", "1q 13q 1x"],
)
@pytest.mark.parametrize("fraction", [0.0, 0.05])
def test_informed_fraction_is_unbiased_and_as_sharp_as_asked(karyotype, coverage, largest_error, fraction):
    found = estimates(karyotype, coverage, fraction, 150)
    assert abs(found[:, 0].mean() - fraction) <= 0.005
    # the standard deviation of 150 runs is itself known to 6 %
    assert found[:, 0].std(ddof=1) <= largest_error * 1.06
    covered = np.abs(found[:, 0] - fraction) <= 1.96 * found[:, 1]
    assert covered.mean() >= 0.85


def test_informed_fraction_of_few_samples():
    found = estimates(HYPERDIPLOID, 0.1, 0.05, 8)
    assert found[:, 0].mean() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("karyotype", [HYPERDIPLOID, GAIN_1Q_LOSS_13Q], ids=["hyperdiploid", "1q 13q"])
def test_blind_fraction_finds_ten_per_cent_and_calls_no_blank(karyotype, tmp_path):
    for seed in range(3):
        blank = simulate_bins((), 0.0, np.random.default_rng(seed), coverage=0.1)
        found = call_blind(sample(tmp_path), blank, SETTINGS, input_sha256="0").result
        assert (found.status, found.value) == (Status.NOT_DETECTED, 0.0)
        assert 0.02 < found.lod < 0.1
        tumour = simulate_bins(karyotype, 0.1, np.random.default_rng(seed), coverage=0.1)
        result = call_blind(sample(tmp_path), tumour, SETTINGS, input_sha256="0").result
        assert result.status is Status.DETECTED
        assert result.value == pytest.approx(0.1, abs=0.015)


def test_no_negative_without_a_limit_and_no_limit_without_a_change(tmp_path):
    blank = simulate_bins(HYPERDIPLOID, 0.0, np.random.default_rng(5), coverage=0.1)
    found = call_informed(sample(tmp_path), blank, HYPERDIPLOID, SETTINGS, input_sha256="0").result
    assert found.status is Status.NOT_DETECTED
    assert 0.005 < found.lod < 0.02
    unaltered = call_informed(sample(tmp_path), blank, (), SETTINGS, input_sha256="0").result
    assert unaltered.status is Status.NOT_EVALUABLE
    assert "same copy number" in unaltered.lod_basis


def test_too_few_bins_are_not_evaluable(tmp_path):
    bins = simulate_bins((), 0.0, np.random.default_rng(1), coverage=0.1)
    few = bins.select(np.arange(len(bins)) < 30)
    assert call_blind(sample(tmp_path), few, SETTINGS, input_sha256="0").result.status is Status.NOT_EVALUABLE


def test_gc_is_taken_out_and_copy_number_is_not():
    bins = simulate_bins(HYPERDIPLOID, 0.0, np.random.default_rng(2), coverage=1.0)
    used = bins.select(bins.usable(0.8))
    fit = fit_counts(used.counts, design_of(used))
    assert abs(np.corrcoef(fit.residuals, used.gc)[0, 1]) < 0.05
    assert fit.extra_cv == pytest.approx(0.012, abs=0.006)


def test_depth_alone_tells_purity_where_losses_and_gains_are_of_one_copy():
    ratios = [1.0] * 20 + [1.2] * 5 + [0.8] * 3
    found = explain_levels([Observed(ratio=r, standard_error=0.01, weight=10) for r in ratios])
    assert found.purity == pytest.approx(0.4, abs=0.01)
    assert [s.copies for s in found.states] == [2] * 20 + [3] * 5 + [1] * 3


def test_b_alleles_tell_a_copy_neutral_loss_of_heterozygosity():
    levels = [
        Observed(ratio=1.0, standard_error=0.01, weight=10, imbalance=0.005, imbalance_error=0.01)
    ] * 10 + [Observed(ratio=1.2, standard_error=0.01, weight=10, imbalance=0.0833, imbalance_error=0.01)] * 3
    loh = Observed(ratio=1.0, standard_error=0.01, weight=10, imbalance=0.2, imbalance_error=0.01)
    found = explain_levels([*levels, loh])
    assert found.purity == pytest.approx(0.4, abs=0.02)
    assert (found.states[-1].copies, found.states[-1].minor) == (2, 0)


def test_arms_lie_between_telomere_and_centromere():
    assert len(arms()) == 41
    assert (arm_of("chr1", 150_000_000), arm_of("13", 45_000_000), arm_of("chrM", 5)) == ("1q", "13q", "")


def test_bins_survive_a_file(tmp_path):
    bins = simulate_bins((), 0.0, np.random.default_rng(1), coverage=0.1)
    write_bins(tmp_path / "b.tsv", bins)
    again = read_bins(tmp_path / "b.tsv")
    assert isinstance(again, Bins)
    assert again.counts.tolist() == bins.counts.tolist()
    assert np.allclose(again.gc, bins.gc, atol=1e-6)


@pytest.mark.parametrize("row", ["1\t0\t100\t-4", "1\t0\t100\tmany", "1\t0\t100\t"])
def test_bins_without_numbers_are_refused(tmp_path, row):
    path = tmp_path / "b.tsv"
    path.write_text(f"chrom\tstart\tend\tcount\n{row}\n")
    with pytest.raises(SheetRefused, match="is no number"):
        read_bins(path)


def test_a_karyotype_needs_copies(tmp_path):
    path = tmp_path / "k.bed"
    path.write_text("chr1\t0\t100\n")
    with pytest.raises(InputRefused, match="line 1: is no segment"):
        read_karyotype(path)


def test_simulate_and_fraction_agree_on_the_command_line(tmp_path):
    def run(*arguments):
        ended = CliRunner().invoke(app, [str(a) for a in arguments])
        assert ended.exit_code == 0, ended.output

    run("simulate", "--out", tmp_path / "s", "--tumour-fraction", 0.2, "--coverage", 0.2)
    run("simulate", "--out", tmp_path / "again", "--tumour-fraction", 0.2, "--coverage", 0.2)
    bins, karyotype = tmp_path / "s" / "bins.tsv", tmp_path / "s" / "karyotype.bed"
    assert bins.read_bytes() == (tmp_path / "again" / "bins.tsv").read_bytes()
    for way, options in (("informed", ["--karyotype", karyotype]), ("blind", ["--blind"])):
        out = tmp_path / f"{way}.json"
        run("fraction", bins, *options, "--out", out)
        document = json.loads(out.read_text())
        assert document["status"] == "DETECTED"
        assert document["mode"] == way
        assert document["value"] == pytest.approx(0.2, abs=0.015)
    ended = CliRunner().invoke(app, ["fraction", str(bins), "--out", str(tmp_path / "x.json")])
    assert "either --karyotype K.bed or --blind" in str(ended.exception)
