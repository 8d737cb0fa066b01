"""``nadir ngs annotate``: an AIRR table that its own validator accepts."""

from pathlib import Path

import airr
import pandas as pd
import pytest
from typer.testing import CliRunner

from mrd_ngs.annotate import write_airr
from mrd_ngs.cli import app
from mrd_ngs.germline import load_germline
from pipeline.errors import InputRefused
from pipeline.formats.fastq import read_fastq

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


@pytest.mark.parametrize("ending", ["tsv", "tsv.gz"])
def test_bytes_do_not_depend_on_threads(tmp_path, ending):
    for threads in ("1", "2"):
        out = str(tmp_path / f"{threads}.{ending}")
        ended = CliRunner().invoke(app, ["annotate", str(BASELINE), "--out", out, "--threads", threads])
        assert ended.exit_code == 0, ended.output
    assert (tmp_path / f"1.{ending}").read_bytes() == (tmp_path / f"2.{ending}").read_bytes()


def test_fasta_of_the_same_reads_gives_the_same_table(tmp_path):
    reads = list(read_fastq(BASELINE))[:200]
    fasta = tmp_path / "reads.fasta"
    fasta.write_text(
        "".join(f">{r.name}\n{r.sequence[:70].decode()}\n{r.sequence[70:].decode()}\n" for r in reads)
    )
    tables = [tmp_path / "q.tsv", tmp_path / "a.tsv"]
    write_airr(tables[0], ((r.name, r.sequence) for r in reads), load_germline())
    ended = CliRunner().invoke(app, ["annotate", str(fasta), "--out", str(tables[1])])
    assert ended.exit_code == 0, ended.output
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_a_tab_in_a_name_does_not_shift_the_columns(tmp_path):
    read = next(read_fastq(BASELINE))
    write_airr(tmp_path / "x.tsv", [("r1\tRX:Z:ACGT", read.sequence)], load_germline())
    table = pd.read_csv(tmp_path / "x.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert table["sequence_id"].tolist() == ["r1 RX:Z:ACGT"]
    assert table["locus"].tolist() == ["IGH"]


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
