"""``nadir ngs annotate``: an AIRR table that its own validator accepts."""

from pathlib import Path

import airr
import pandas as pd
import pytest
from typer.testing import CliRunner

from mrd_ngs.cli import app

BASELINE = Path(__file__).resolve().parents[2] / "test_data" / "ngs" / "baseline.fastq.gz"


@pytest.mark.parametrize("name", ["x.airr.tsv", "x.airr.tsv.gz"])
def test_table_is_valid_airr_and_the_clone_is_in_it(tmp_path, name):
    out = tmp_path / name
    ended = CliRunner().invoke(app, ["annotate", str(BASELINE), "--out", str(out)])
    assert ended.exit_code == 0, ended.output
    table = pd.read_csv(out, sep="\t", dtype=str, keep_default_na=False)
    clone = pd.read_json(BASELINE.with_name("truth.json"), typ="series")["clone"]
    assert (table["junction"] == clone["junction"]).mean() > 0.3
    if name.endswith(".tsv"):
        assert airr.validate_rearrangement(str(out))


def test_bytes_do_not_depend_on_threads(tmp_path):
    for threads in ("1", "2"):
        ended = CliRunner().invoke(
            app, ["annotate", str(BASELINE), "--out", str(tmp_path / f"{threads}.tsv"), "--threads", threads]
        )
        assert ended.exit_code == 0, ended.output
    assert (tmp_path / "1.tsv").read_bytes() == (tmp_path / "2.tsv").read_bytes()
