"""``nadir clinical endpoints``: from the tables of a folder, and from a batch with a configuration."""

import csv
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from clinical_tables import write_trial
from pipeline.cli.clinical import app
from pipeline.errors import InputRefused, SheetRefused
from pipeline.formats.records import write_parquet
from pipeline.model import MrdResult
from results import mrd_result

TABLES = {
    "primary", "response_rates", "upgrades", "harvest", "discontinuations", "survival_summary", "risk_table",
    "second_neoplasm", "mrd_negative_rates", "mrd_categories", "mrd_landmark", "adverse_events",
    "exposure_adjusted", "mrd_time_dependent", "mrd_counting_process", "lesion_response",
}  # fmt: skip


def endpoints(*arguments: object) -> str:
    ended = CliRunner().invoke(app, ["endpoints", *map(str, arguments)])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.output


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_table_of_the_protocol_is_written_twice_the_same(tmp_path):
    write_trial(tmp_path / "trial", patients=8, visits=15, rng=np.random.default_rng(3))
    for out in ("one", "two"):
        assert endpoints(tmp_path / "trial", "--out", tmp_path / out) == ""
    assert {p.stem for p in (tmp_path / "one").iterdir()} == {*TABLES, "figures"}
    drawn = [sorted((tmp_path / out / "figures").iterdir()) for out in ("one", "two")]
    assert [p.name for p in drawn[0]] == [p.name for p in drawn[1]]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*drawn, strict=True))
    for name in TABLES:
        first, second = (tmp_path / out / f"{name}.csv" for out in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_responses_that_were_assigned_are_used_where_there_is_no_laboratory_table(tmp_path):
    trial = tmp_path / "trial"
    write_trial(trial, patients=8, visits=15, rng=np.random.default_rng(3))
    endpoints(trial, "--out", tmp_path / "judged")
    ended = CliRunner().invoke(
        app, ["respond", str(trial / "labs.csv"), "--out", str(trial / "response.csv")]
    )
    assert ended.exit_code == 0
    (trial / "labs.csv").unlink()
    endpoints(trial, "--out", tmp_path / "assigned")
    for name in ("primary.csv", "response_rates.csv", "upgrades.csv"):
        assert (tmp_path / "judged" / name).read_bytes() == (tmp_path / "assigned" / name).read_bytes()


def test_batch_gives_its_results_and_the_configuration_names_the_tables(tmp_path):
    batch, tables = tmp_path / "batch", tmp_path / "tables"
    tables.mkdir()
    (tables / "enrolled.csv").write_text(
        "patient_id,age,sex,weight_kg,isotype,enrolled_on,arm\n"
        "P01,60,F,60,IgG-K,2024-01-01,\nP02,60,F,60,IgG-K,2024-01-01,\n"
    )
    (tmp_path / "config.toml").write_text(
        '[study]\nid = "TRIAL"\nthresholds = [1e-4]\n\n[clinical]\nbaseline = "tables/enrolled.csv"\n'
    )
    write_parquet(
        batch / "results" / "mrd.parquet", MrdResult, [mrd_result(patient_id="P01", timepoint="CONS")]
    )
    said = endpoints(batch, "--out", tmp_path / "out", "--config", tmp_path / "config.toml")
    assert "survival_summary: not made, as there are no outcomes" in said
    rows = rows_of(tmp_path / "out" / "mrd_negative_rates.csv")
    assert {(r["timepoint"], r["threshold"]) for r in rows} == {("CONS", "0.0001")}
    assert next(r for r in rows if r["set"] == "ITT")["patients"] == "2"


def test_without_enrolled_patients_nothing_is_made_and_it_is_said(tmp_path):
    (tmp_path / "outcome.csv").write_text(
        "patient_id,progressed_on,died_on,cause,last_seen_on,second_myeloid_neoplasm_on\nP01,,,,2024-01-01,\n"
    )
    assert "no baseline.csv" in endpoints(tmp_path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refused_table_leaves_no_file(tmp_path):
    write_trial(tmp_path / "trial", patients=2, visits=4, rng=np.random.default_rng(3))
    path = tmp_path / "trial" / "adverse_events.csv"
    path.write_text(
        path.read_text().replace(",5.0,", ",,") + "T000,fever,1,,2022-01-11,,INDUCTION,SC,YES,NO\n"
    )
    with pytest.raises(SheetRefused, match="ctcae_version"):
        endpoints(tmp_path / "trial", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", ["absent", "."])
def test_folder_without_tables_is_refused(tmp_path, folder):
    with pytest.raises(InputRefused, match="no clinical table"):
        endpoints(tmp_path / folder, "--out", tmp_path / "out")
