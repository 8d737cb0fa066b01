"""``nadir flow cytof``: tables in the folder, JSON on stdout, words on stderr."""

import csv
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mrd_flow.cytof.cli import cytof
from mrd_flow.cytof.panel import load_cytof_panel
from mrd_flow.cytof.simulate import simulate_run
from mrd_flow.cytof.simulated_cells import Marrow, after_daratumumab
from pipeline.errors import InputRefused, UsageError
from pipeline.formats.shipped import shipped_config

POPULATIONS = ["sample", "population", "path", "count", "denominator", "fraction", "ci_low", "ci_high"]


@pytest.fixture(scope="module")
def command():
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(cytof)

    def call(*arguments):
        ended = CliRunner().invoke(app, [str(a) for a in arguments])
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return ended

    return call


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    marrows = [Marrow(), after_daratumumab(Marrow())] * 10
    panel = load_cytof_panel("marrow")
    simulate_run(folder, panel, marrows, events=30_000, rng=np.random.default_rng(21))
    return folder / "run.fcs"


def rows(path):
    with path.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_every_table_is_written_and_the_same_again(command, file, tmp_path):
    ended = command(file, "--panel", "marrow", "--out", tmp_path / "a", "--compare", "S01,S02", "--json")
    assert ended.exit_code == 0
    document = json.loads(ended.stdout)
    assert document == json.loads((tmp_path / "a" / "result.json").read_text())
    assert document["samples"] == [f"S{i:02d}" for i in range(1, 21)]
    assert {f["code"] for f in document["flags"]} >= {"panel_unverified", "masking_possible"}
    assert 0.85 < document["yield"] < 1
    found = rows(tmp_path / "a" / "populations.csv")
    assert list(found[0]) == POPULATIONS
    assert len(found) == 20 * len(load_cytof_panel("marrow").populations)
    names = {p.name for p in (tmp_path / "a").iterdir()}
    assert names == {
        "bead_drift.csv",
        "clean_up.csv",
        "comparison.csv",
        "debarcoding.csv",
        "gate_doubt.csv",
        "masking.csv",
        "populations.csv",
        "result.json",
    }
    command(file, "--panel", "marrow", "--out", tmp_path / "b", "--compare", "S01,S02")
    for name in names:
        text = (tmp_path / "a" / name).read_text()
        assert text == (tmp_path / "b" / name).read_text()
        assert "nan" not in text.lower()


def test_what_people_read_names_samples_differences_and_flags(command, file, tmp_path):
    ended = command(file, "--panel", "marrow", "--out", tmp_path, "--compare", "S01,S02")
    assert "S01 to S02" in ended.stderr
    assert "nk_cells" in ended.stderr
    assert "panel_unverified" in ended.stderr
    assert "research use" in ended.stderr
    assert ended.stdout == ""


def test_a_comparison_of_an_earlier_run_does_not_stay(command, file, tmp_path):
    command(file, "--panel", "marrow", "--out", tmp_path, "--compare", "S01,S02")
    command(file, "--panel", "marrow", "--out", tmp_path)
    assert not (tmp_path / "comparison.csv").exists()


def test_pairs_of_the_template_are_compared(command, file, tmp_path):
    text = shipped_config("marrow", "cytof").read_text(encoding="utf-8")
    own = tmp_path / "own.toml"
    old = '# comparisons = [["S01", "S02"]]'
    assert old in text
    own.write_text(text.replace(old, 'comparisons = [["S03", "S04"]]'), encoding="utf-8")
    command(file, "--panel", own, "--out", tmp_path / "out", "--compare", "S05,S06")
    found = rows(tmp_path / "out" / "comparison.csv")
    assert {(r["first"], r["second"]) for r in found} == {("S03", "S04"), ("S05", "S06")}
    assert {r["measure"] for r in found} == {"fraction", "masking_low"}


@pytest.mark.parametrize("pair", ["S01", "S01,S02,S03", "S01,Yamada_Taro", ""])
def test_a_pair_that_is_none_is_refused_and_not_repeated(command, file, tmp_path, pair):
    with pytest.raises(UsageError, match=r"comma|different samples") as refused:
        command(file, "--panel", "marrow", "--out", tmp_path / "out", "--compare", pair)
    assert "Yamada" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_fcs_is_refused(command, tmp_path):
    path = tmp_path / "x.fcs"
    path.write_text("name,cells\n")
    with pytest.raises(InputRefused, match="not an FCS file"):
        command(path, "--panel", "marrow", "--out", tmp_path / "out")
