"""``nadir ngs annotate``: an AIRR table that its own validator accepts."""

from pathlib import Path

import airr
import pandas as pd
import pytest
from typer.testing import CliRunner

from mrd_ngs.cli import app
from mrd_ngs.germline import load_germline
from pipeline.errors import InputRefused

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


def test_a_germline_set_of_ones_own(tmp_path):
    packaged = load_germline()
    genes = [g for g in (*packaged.v, *packaged.j) if g.name.startswith(("IGHV3-23*01", "IGHJ"))]
    folder = tmp_path / "germline"
    folder.mkdir()
    (folder / "own.fasta").write_text("".join(f">{g.name}\n{g.sequence}\n" for g in genes))
    out = tmp_path / "x.tsv"
    given = ["annotate", str(BASELINE), "--out", str(out), "--germline", str(folder)]
    ended = CliRunner().invoke(app, given, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    table = pd.read_csv(out, sep="\t", dtype=str, keep_default_na=False)
    assert set(table["v_call"]) == {"IGHV3-23*01"}
    assert len(table) > 100
    with pytest.raises(InputRefused, match="no germline file"):
        CliRunner().invoke(app, [*given[:4], "--germline", str(tmp_path / "none")], catch_exceptions=False)
