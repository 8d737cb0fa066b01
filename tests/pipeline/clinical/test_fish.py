"""FISH: cut-offs, cells, copies, probes whose name does not tell their kind."""

import csv

import pytest
from typer.testing import CliRunner

from pipeline.cli.clinical import app
from pipeline.clinical.fish import FISH_COLUMNS, fish_from_table, judge_fish
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Record, Table


def fish(*rows: tuple[str, ...]):
    records = tuple(Record(i, row) for i, row in enumerate(rows, start=2))
    table = Table(delimiter=",", header=Record(1, FISH_COLUMNS), records=records, problems=())
    return fish_from_table(table, path="fish.csv").rows


def row(probe="t(4;14)", cells="200", percent="9.9", copies="", cutoff="", patient="P01", day="2024-01-02"):
    return (patient, day, probe, cells, percent, copies, cutoff)


@pytest.mark.parametrize(
    ("probe", "percent", "cutoff", "call", "basis"),
    [
        ("t(4;14)", "9.99", "", "NEGATIVE", "EMN 2012"),
        ("t(4;14)", "10", "", "POSITIVE", "EMN 2012"),
        ("IGH::NSD2", "10", "", "POSITIVE", "EMN 2012"),
        ("t_4_14", "10", "", "POSITIVE", "EMN 2012"),
        ("gain_1q", "10", "", "NEGATIVE", "EMN 2012"),
        ("13q14", "20", "", "POSITIVE", "EMN 2012"),
        ("MYC break-apart", "10", "", "POSITIVE", "EMN 2012"),
        ("del(17p)", "19.9", "", "NEGATIVE", "EMN 2012"),
        ("del(17p)", "20", "", "POSITIVE", "EMN 2012"),
        ("1q21 gain", "19", "", "NEGATIVE", "EMN 2012"),
        ("del(17p)", "8", "7.5", "POSITIVE", "laboratory"),
        ("del(17p)", "25", "60", "NEGATIVE", "laboratory"),
        ("probe X", "90", "", "NOT_EVALUABLE", ""),
        ("probe X", "90", "5", "POSITIVE", "laboratory"),
        ("t(4;14)", "", "", "NOT_EVALUABLE", "EMN 2012"),
    ],
)
def test_call_by_the_laboratory_cutoff_else_the_published_one(probe, percent, cutoff, call, basis):
    (item,) = fish(row(probe, percent=percent, cutoff=cutoff))
    result = judge_fish(item)
    assert (result.call, result.cutoff_basis) == (call, basis)
    assert result.reason


@pytest.mark.parametrize(
    ("cells", "percent", "call"),
    [("99", "5", "NOT_EVALUABLE"), ("100", "5", "NEGATIVE"), ("99", "12", "POSITIVE"),
     ("0", "0", "NOT_EVALUABLE")],
)  # fmt: skip
def test_too_few_cells_make_no_negative(cells, percent, call):
    (item,) = fish(row(cells=cells, percent=percent))
    assert judge_fish(item).call == call


@pytest.mark.parametrize(
    ("copies", "name"),
    [("3", "gain"), ("4", "amplification"), ("1", "monoallelic loss"), ("0", "biallelic loss"), ("2", "")],
)  # fmt: skip
def test_copies_are_named(copies, name):
    (item,) = fish(row("1q21", percent="50", copies=copies))
    assert judge_fish(item).copy_class == name


def test_interval_of_none_in_two_hundred_is_exact():
    (item,) = fish(row(percent="0"))
    interval = judge_fish(item).ci_percent
    assert interval is not None
    assert interval == pytest.approx(
        (0, 100 * (1 - 0.025 ** (1 / 200)))
    )  # Clopper and Pearson's, closed form


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        (row(percent="101"), "above 100"),
        (row(percent="-1"), "negative"),
        (row(percent="1,234"), "group thousands"),
        (row(cells="20.5"), "whole number"),
        (row(cutoff="0"), "cut-off of 0"),
        (row(day=""), "empty cell"),
        (row(probe=""), "empty cell"),
        (row(patient="Yamada Taro"), "looks like"),
    ],
)
def test_bad_row_is_refused(cells, match):
    with pytest.raises(SheetRefused, match=match) as refused:
        fish(cells)
    assert "Yamada" not in str(refused.value)


def test_command_writes_one_row_a_probe(tmp_path):
    source, out = tmp_path / "fish.csv", tmp_path / "calls.csv"
    source.write_text(
        ",".join(FISH_COLUMNS) + '\nP02,2024-01-02,del(17p),200,"62,5",1,\nP01,2024-01-02,t(4;14),150,0,,\n'
    )
    ended = CliRunner().invoke(app, ["fish", str(source), "--out", str(out)])
    assert ended.exit_code == 0
    assert "line 2: percent_positive: decimal comma, read as 62.5" in ended.output
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [(r["patient_id"], r["result"], r["copy_class"]) for r in rows] == [
        ("P01", "NEGATIVE", ""),
        ("P02", "POSITIVE", "monoallelic loss"),
    ]
    assert float(rows[0]["ci_high_percent"]) == pytest.approx(2.43, abs=0.01)
