"""``nadir clinical``: tables in, tables out, exit by refusal."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.clinical import app
from pipeline.errors import SheetRefused, UsageError
from references import mgus2, reference, reference_rows


def run(*arguments: object) -> Result:
    ended = CliRunner().invoke(app, [str(a) for a in arguments])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_respond_writes_the_columns_of_the_format(tmp_path):
    out = tmp_path / "response.csv"
    assert run("respond", reference("imwg", "boundary_labs.csv"), "--out", out).exit_code == 0
    header = "patient_id,date,response,response_confirmed,best_confirmed,confirmed_by,reason,evidence_rows"
    assert out.read_text().splitlines()[0] == header
    found = {(r["patient_id"], r["date"]): r for r in rows_of(out)}
    for case in reference_rows("imwg", "boundary_labs_expected.csv"):
        assert found[case["patient_id"], case["date"]]["response"] in case["expected"].split("|")
    assert found["D01", "2024-06-04"]["evidence_rows"] == "D01:11;D01:18;D01:25"


def test_respond_says_what_it_mended_and_does_not_depend_on_row_order(tmp_path):
    text = (
        (reference("imwg", "boundary_labs.csv"))
        .read_text()
        .replace("serum_m_protein,2.5,g/dL", 'serum_m_protein,"2,5",g/dL')
    )
    header, *lines = text.splitlines()
    (tmp_path / "labs.csv").write_text("\n".join([header, *reversed(lines)]) + "\n")
    ended = run("respond", tmp_path / "labs.csv", "--out", tmp_path / "mended.csv")
    assert "decimal comma, read as 2.5 g/dL" in ended.output
    run("respond", reference("imwg", "boundary_labs.csv"), "--out", tmp_path / "plain.csv")
    assert (tmp_path / "mended.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_refused_table_leaves_no_file(tmp_path):
    labs = tmp_path / "labs.csv"
    labs.write_text("patient_id,date,test,value,unit,source_row\nP01,,serum_m_protein,1,g/dL,r1\n")
    with pytest.raises(SheetRefused, match="without a date"):
        run("respond", labs, "--out", tmp_path / "response.csv")
    assert not (tmp_path / "response.csv").exists()
    with pytest.raises(UsageError, match="There are: imwg2016"):
        run("respond", labs, "--out", tmp_path / "response.csv", "--rules", "none")


def test_stage_writes_stages_and_missing_tests(tmp_path):
    (tmp_path / "baseline.csv").write_text(
        "patient_id,beta2_microglobulin_mg_l,albumin_g_dl,ldh_u_l,ldh_upper_limit_u_l,creatinine_mg_dl,"
        "del_17p,tp53_mutation,t_4_14,t_14_16,t_14_20,gain_1q,del_1p32\n"
        "P01,5.5,3.5,220,220,1.2,NO,NO,NO,NO,NO,YES,NO\n"
        "P02,2,4,,,,,,,,,,\n"
    )
    run("stage", tmp_path / "baseline.csv", "--out", tmp_path / "stage.csv")
    assert (tmp_path / "stage.csv").read_text() == (
        "patient_id,iss,r_iss,r2_iss,ims_2025,missing\n"
        "P01,III,II,III,NOT_HIGH,\n"
        "P02,I,NOT_ASSESSABLE,NOT_ASSESSABLE,NOT_ASSESSABLE,"
        "ldh_u_l;ldh_upper_limit_u_l;del_17p;tp53_mutation;t_4_14;t_14_16;t_14_20;gain_1q;del_1p32\n"
    )


def endpoints(tmp_path: Path, lines: list[str], *options: str) -> tuple[list[dict[str, str]], str]:
    (tmp_path / "time_to_event.csv").write_text(
        "\n".join(["patient_id,endpoint,time,event,group", *lines]) + "\n"
    )
    ended = run("endpoints", tmp_path, "--out", tmp_path / "out", *options)
    return rows_of(tmp_path / "out" / "survival.csv"), ended.output


def freireich_lines() -> list[str]:
    arms = {"1": "6-MP", "0": "placebo"}
    return [
        f"F{i:02},REMISSION,{r['t']},{r['e']},{arms[r['g']]}"
        for i, r in enumerate(reference_rows("survival", "freireich_6mp.csv"))
    ]


def test_endpoints_of_freireich(tmp_path):
    rows, _ = endpoints(tmp_path, freireich_lines())
    assert list(rows[0]) == [
        "endpoint",
        "group",
        "statistic",
        "time",
        "estimate",
        "ci_low",
        "ci_high",
        "interval",
    ]
    numbers = {(r["statistic"], r["group"], r["time"]): r for r in rows}
    assert float(numbers["logrank", "", ""]["estimate"]) == pytest.approx(16.79294, abs=5e-6)
    assert float(numbers["cox_log_hr", "placebo", ""]["estimate"]) == pytest.approx(1.57212, abs=1e-5)
    assert float(numbers["kaplan_meier", "6-MP", "6"]["estimate"]) == pytest.approx(6 / 7)
    assert numbers["kaplan_meier", "6-MP", "6"]["interval"] == "log_log"
    last = numbers["kaplan_meier", "placebo", "23"]
    assert (last["estimate"], last["ci_low"], last["ci_high"]) == ("0", "", "")
    assert not any("nan" in value for r in rows for value in r.values())


@pytest.mark.parametrize("kind", ["log", "plain"])
def test_endpoints_interval_on_request(tmp_path, kind):
    rows, _ = endpoints(tmp_path, freireich_lines(), "--interval", kind)
    assert {r["interval"] for r in rows if r["statistic"] == "kaplan_meier"} == {kind}


def test_endpoints_with_competing_events(tmp_path):
    lines = [f"{month:g},{event}" for month, event in zip(*mgus2(), strict=True)]
    rows, _ = endpoints(tmp_path, [f"M{i},PROGRESSION,{line}," for i, line in enumerate(lines)])
    assert {r["statistic"] for r in rows} == {"aalen_johansen"}
    for month, expected in ((60, 0.03410), (120, 0.06372), (240, 0.09981)):
        found = [float(r["estimate"]) for r in rows if float(r["time"]) <= month][-1]
        assert found == pytest.approx(expected, abs=5e-6)


def test_few_events_give_no_cox_model_and_say_so(tmp_path):
    lines = [f"P{i},PFS,{i},{int(i < 3)},{'AB'[i % 2]}" for i in range(12)]
    rows, output = endpoints(tmp_path, lines)
    assert "cox_log_hr" not in {r["statistic"] for r in rows}
    assert "no Cox model: 3 events" in output


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("P01,PFS,-1,1,A", "negative or endless"),
        ("P01,PFS,nan,1,A", "negative or endless"),
        ("P01,PFS,x,1,A", "not a number"),
        ("P01,PFS,3,3,A", "not an event"),
        ("P01,,3,1,A", "an empty cell"),
        ("P00,PFS,3,1,A", "already"),
        ("P01,PFS,3,1,", "some patients only"),
    ],
)
def test_bad_time_to_event_is_refused(tmp_path, line, match):
    with pytest.raises(SheetRefused, match=match):
        endpoints(tmp_path, ["P00,PFS,1,1,A", line])
    assert not (tmp_path / "out").exists()
