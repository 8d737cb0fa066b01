"""``nadir concordance``: tables of known answers, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.concordance import app
from pipeline.errors import InputRefused, NadirError, SheetRefused, UsageError
from references import reference

HEADER = "patient_id,timepoint,a_value,a_lod,a_detected,b_value,b_lod,b_detected"


def run(*arguments: object) -> None:
    ended = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(ended.exception, NadirError):
        raise ended.exception
    assert ended.exit_code == 0, ended.output


def table(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [
        (r["method"], r["parameter"], *(r[k] for k in ("threshold", "population") if k in r)) for r in rows
    ]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert bool(row["estimate"]) != bool(row["reason"])
        assert "nan" not in ",".join(row.values()).lower()
    return dict(zip(keys, rows, strict=True))


@pytest.fixture
def creatinine(tmp_path):
    lines = reference("method_comparison", "creatinine.csv").read_text().splitlines()[1:]
    rows = [f"P{i},T,{a},,true,{b},,true" for i, (a, b) in enumerate(line.split(",") for line in lines)]
    path = tmp_path / "creatinine.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def cohort(path: Path, patients=40, visits=4, seed=1) -> Path:
    """Two assays of 1.5 million and 6 million cells (decision counts 1 and 20) on the same samples."""
    rng = np.random.default_rng(seed)
    header = "patient_id,timepoint," + ",".join(
        f"{m}_{c}"
        for m in ("ngs", "flow:srl")
        for c in ("value", "lod", "detected", "numerator", "denominator")
    )
    lines = [header]
    for patient in range(patients):
        for visit in range(visits):
            fraction = 10 ** rng.normal(-4.8, 0.9)
            cells = [f"P{patient:03d}", f"V{visit}"]
            for examined, k, mean in ((1_500_000, 1, 2.9957322), (6_000_000, 20, 27.878956)):
                count = rng.poisson(examined * fraction)
                cells += [str(count / examined if count >= k else 0), f"{mean / examined:.9g}"]
                cells += ["true" if count >= k else "false", str(count), str(examined)]
            lines.append(",".join(cells))
    lines.append("P999,V0,,,,,,0,3e-6,false,0,10000000")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_published_creatinine_fit_comes_out_of_the_command(creatinine, tmp_path):
    run("quantitative", creatinine, "--x", "a", "--y", "b", "--scale", "linear", "--out", tmp_path / "out")
    rows = table(tmp_path / "out" / "quantitative.csv")
    slope, intercept = rows["passing_bablok", "slope"], rows["passing_bablok", "intercept"]
    assert float(slope["estimate"]) == pytest.approx(1.08800890272179, abs=1e-8)
    assert float(slope["ci_low"]) == pytest.approx(1.0, abs=1e-8)
    assert float(slope["ci_high"]) == pytest.approx(1.17300462437155, abs=1e-8)
    assert float(intercept["estimate"]) == pytest.approx(-0.11717286443298, abs=1e-8)
    assert float(rows["weighted_deming", "slope"]["estimate"]) == pytest.approx(1.11195634073303, abs=1e-6)
    assert float(rows["deming", "slope"]["ci_low"]) == pytest.approx(1.00520712433902, abs=1e-8)
    assert slope["n"] == "108"
    assert rows["passing_bablok", "fraction_dropped"]["estimate"] == "0"
    assert rows["censored_mle", "rho"]["reason"] == "defined on the log10 scale"
    assert rows["bland_altman", "share_within_half_log10"]["reason"] == "defined on the log10 scale"


def test_every_method_and_parameter_has_its_row(tmp_path):
    pairs = cohort(tmp_path / "pairs.csv")
    run("quantitative", pairs, "--x", "ngs", "--y", "flow:srl", "--out", tmp_path)
    first = (tmp_path / "quantitative.csv").read_text()
    assert first.splitlines()[0] == "method,parameter,estimate,ci_low,ci_high,n,reason"
    rows = table(tmp_path / "quantitative.csv")
    lines = [(m, p) for m in ("passing_bablok", "deming", "weighted_deming", "akritas_theil_sen")
             for p in ("slope", "intercept", "fraction_dropped")]  # fmt: skip
    limits = ("bias", "sd", "limit_low", "limit_high", "share_within_half_log10", "total_deviation_index")
    expected = {
        *lines,
        *(("bland_altman", p) for p in (*limits, "fraction_dropped")),
        *(("bland_altman_repeated", p) for p in (*limits[:4], "fraction_dropped")),
        ("lin_ccc", "ccc"), ("lin_ccc", "fraction_dropped"), ("akritas_theil_sen", "tau_b"),
        *(("censored_mle", p) for p in ("rho", "bias_log10", "ccc", "slope", "intercept")),
    }  # fmt: skip
    assert set(rows) == expected
    assert all(row["estimate"] for row in rows.values())
    assert float(rows["censored_mle", "rho"]["estimate"]) > 0.97
    assert rows["censored_mle", "rho"]["n"] == "160"
    assert 0.1 < float(rows["deming", "fraction_dropped"]["estimate"]) < 0.5
    run("quantitative", pairs, "--x", "ngs", "--y", "flow:srl", "--out", tmp_path)
    assert (tmp_path / "quantitative.csv").read_text() == first
    assert {f.name for f in (tmp_path / "figures").iterdir()} == {"comparison.svg", "bland_altman.svg"}


def test_agreement_has_three_populations_and_no_indeterminate_negative(tmp_path):
    pairs = cohort(tmp_path / "pairs.csv")
    run("agreement", pairs, "--x", "ngs", "--y", "flow:srl", "--threshold", "1e-5", "--threshold", "2e-6",
        "--out", tmp_path)  # fmt: skip
    header = (tmp_path / "agreement.csv").read_text().splitlines()[0]
    assert header == "method,parameter,estimate,ci_low,ci_high,n,reason,threshold,population"
    rows = table(tmp_path / "agreement.csv")

    def number(parameter, population, threshold="1e-05"):
        return float(rows["at_threshold", parameter, threshold, population]["estimate"])

    cells = ("both_pos", "x_only", "y_only", "both_neg")
    for threshold in ("1e-05", "2e-06"):
        for population, total in (("evaluable_pairs", 161), ("all_pairs", 161), ("patients", 41)):
            counted = sum(number(c, population, threshold) for c in cells)
            assert counted + number("ind_pairs", population, threshold) == total
    # At 2e-6 flow (limit 4.6e-6) can never say negative; one pair has no result by sequencing at all.
    assert number("both_neg", "all_pairs", "2e-06") == number("x_only", "all_pairs", "2e-06") == 0
    assert number("ind_pairs", "all_pairs") == 1
    assert number("opa", "evaluable_pairs") > number("opa", "all_pairs")
    assert 0 <= number("expected_discordance", "evaluable_pairs") < 0.1
    reasons = (tmp_path / "indeterminate.csv").read_text().splitlines()
    assert reasons[0] == "threshold,method,reason,pairs"
    assert "1e-05,ngs,not_evaluable_result,1" in reasons
    common = table(tmp_path / "agreement_common_depth.csv")
    assert common["common_depth", "ind_pairs", "2e-06", "all_pairs"]["estimate"] == "1"
    curve = table(tmp_path / "agreement_curve.csv")
    assert {key[2] for key in curve} >= {"1e-06", "1e-05", "0.0001", "0.001"}


def test_expected_discordance_is_that_of_perfect_assays(tmp_path):
    """The cohort's assays are perfect: observed and expected differ by chance only (861 pairs)."""
    pairs = cohort(tmp_path / "pairs.csv", patients=172, visits=5, seed=4)
    run("agreement", pairs, "--x", "ngs", "--y", "flow:srl", "--threshold", "5e-6", "--out", tmp_path)
    rows = table(tmp_path / "agreement.csv")
    beyond = rows["at_threshold", "observed_minus_expected", "5e-06", "evaluable_pairs"]
    assert abs(float(beyond["estimate"])) < 0.02
    assert float(beyond["ci_low"]) < 0 < float(beyond["ci_high"])


def ten(**changes: str) -> str:
    """Ten good rows; ``changes`` replaces the line of that number (the header is line 1)."""
    rows = [f"P{i},T{i},{2 + i}e-5,1e-6,true,{3 + i * i}e-5,1e-6,true" for i in range(10)]
    lines = [HEADER, *rows]
    for number, line in changes.items():
        lines[int(number[1:]) - 1] = line
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ten(l3="P1,T,0,1e-6,true,1e-5,1e-6,true"),
            "line 3, column 'a_value': a detected result is not above 0",
        ),
        (ten(l4="P1,T,1e-5,1e-6,true,-1e-5,1e-6,true"), "line 4, column 'b_value': a detected result is not"),
        (
            ten(l4="P1,T,1e-5,,true,1e-5,1e-6,true"),
            "line 4, column 'a_lod': the limit of detection is missing",
        ),
        (
            ten(l4="P1,T,0,0,false,1e-5,1e-6,true"),
            "line 4, column 'a_lod': a limit of detection is not above 0",
        ),
        (ten(l5="P0,T0,1e-5,1e-6,true,1e-5,1e-6,true"), "line 5, column 'timepoint': .* those of line 2"),
        (
            ten(l6="P1,T,12,1e-6,true,1e-5,1e-6,true"),
            "line 6, column 'a_value': is above 1, so not a fraction",
        ),
        (ten(l6="P1,T,1e-5,1e-6,maybe,1e-5,1e-6,true"), "line 6, column 'a_detected': is not true or false"),
        (ten(l6="P1,T,high,1e-6,true,1e-5,1e-6,true"), "line 6, column 'a_value': is not a number"),
        (ten(l6="P1,T,inf,1e-6,true,1e-5,1e-6,true"), "line 6, column 'a_value': is not a number"),
        (
            ten(l6="P1,T,,1e-6,true,1e-5,1e-6,true"),
            "line 6, column 'a_value': a detected result has no value",
        ),
        (ten(l6=",T,1e-5,1e-6,true,1e-5,1e-6,true"), "line 6, column 'patient_id': not an identifier"),
        (ten(l1=HEADER.replace("b_lod", "c_lod")), "line 1, column 'b_lod': there is no such column"),
        (
            ten(l1=HEADER.replace("b_lod", "a_lod")),
            "line 1, column 'a_lod': the column is there more.*1 more problem",
        ),
    ],
)
def test_bad_row_is_refused_with_its_place(tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    for command in (("quantitative",), ("agreement", "--threshold", "1e-5")):
        with pytest.raises(SheetRefused, match=message) as caught:
            run(*command, path, "--x", "a", "--y", "b", "--out", tmp_path / "out")
        assert all(p.remedy for p in caught.value.problems)
    assert not (tmp_path / "out").exists()


def test_refused_patient_is_not_repeated(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(ten(l3="Yamada Taro,T,0,1e-6,true,1e-5,1e-6,true"))
    with pytest.raises(SheetRefused, match="looks like a pair of names; not repeated here") as caught:
        run("quantitative", path, "--x", "a", "--y", "b", "--out", tmp_path)
    assert "Yamada" not in str(caught.value)


def test_nine_pairs_are_too_few(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(ten().splitlines()[:10]) + "\n")
    with pytest.raises(InputRefused, match=r"9 pairs are too few .* at least 10 pairs\. Remedy: add pairs"):
        run("quantitative", path, "--x", "a", "--y", "b", "--out", tmp_path)


def test_what_cannot_be_estimated_has_a_reason(tmp_path):
    path = tmp_path / "pairs.csv"
    lost = {f"l{i}": f"P{i},T,0,1e-6,false,0,1e-6,false" for i in range(2, 8)}
    path.write_text(ten(**lost))
    run("quantitative", path, "--x", "a", "--y", "b", "--out", tmp_path)
    rows = table(tmp_path / "quantitative.csv")
    assert rows["passing_bablok", "slope"]["reason"] == "fewer than 10 pairs: 4"
    assert rows["passing_bablok", "fraction_dropped"]["estimate"] == "0.6"
    assert rows["censored_mle", "rho"]["n"] == "10"
    path.write_text(ten())
    run("agreement", path, "--x", "a", "--y", "b", "--threshold", "1e-5", "--out", tmp_path)
    rows = table(tmp_path / "agreement.csv")
    assert (
        rows["at_threshold", "kappa", "1e-05", "evaluable_pairs"]["reason"] == "a method has one class only"
    )
    assert rows["at_threshold", "npa", "1e-05", "evaluable_pairs"]["reason"] == "x has no negative"
    assert (
        "denominators" in rows["at_threshold", "expected_discordance", "1e-05", "evaluable_pairs"]["reason"]
    )


def test_arguments_without_meaning_are_usage_errors(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(ten())
    with pytest.raises(UsageError, match="the same method"):
        run("quantitative", path, "--x", "a", "--y", "a", "--out", tmp_path)
    with pytest.raises(UsageError, match="log10 or linear"):
        run("quantitative", path, "--x", "a", "--y", "b", "--scale", "ln", "--out", tmp_path)
    with pytest.raises(UsageError, match="--lang: figures speak en and ja"):
        run("quantitative", path, "--x", "a", "--y", "b", "--lang", "fr", "--out", tmp_path)
    with pytest.raises(UsageError, match="between 0 and 1"):
        run("agreement", path, "--x", "a", "--y", "b", "--threshold", "10", "--out", tmp_path)


def test_simulated_pairs_are_read_back_and_compared_with_their_truth(tmp_path):
    run("simulate", "--patients", "12", "--seed", "3", "--out", tmp_path)
    run("agreement", tmp_path / "pairs.csv", "--x", "flow:srl", "--y", "ngs", "--threshold", "1e-5",
        "--lang", "ja", "--out", tmp_path / "out")  # fmt: skip
    rows = table(tmp_path / "out" / "agreement.csv")
    assert rows["at_threshold", "opa", "1e-05", "all_pairs"]["n"] == "60"
    assert "閾値" in (tmp_path / "out" / "figures" / "curve.svg").read_text(encoding="utf-8")
    truth = (tmp_path / "truth.csv").read_text().splitlines()
    assert truth[0] == "patient_id,timepoint,true_fraction"
    assert len(truth) == 61
