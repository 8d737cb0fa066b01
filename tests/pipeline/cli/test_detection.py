"""``nadir detection study`` from file to tables."""

import csv

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.errors import SheetRefused, UsageError

GOOD = "level,value,detected,lot,sample\n" + "".join(
    f"{level},{level * f},{int(level > 0 and (level > 2e-6 or i % 2))},,s{i % 2}\n"
    for level in (0, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4)
    for i, f in enumerate((0.9, 1.0, 1.1, 1.0) * 3)
)


def _run(tmp_path, text, *options):
    path = tmp_path / "d.csv"
    path.write_text(text, encoding="utf-8")
    arguments = ["detection", "study", str(path), "--out", str(tmp_path / "out"), *options]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def _rows(tmp_path, name):
    text = (tmp_path / "out" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_tables_hold_a_number_or_a_reason_never_both(tmp_path):
    assert _run(tmp_path, GOOD).exit_code == 0
    limits = _rows(tmp_path, "limits.csv")
    assert {r["parameter"] for r in limits} >= {"lob", "lod", "loq", "slope", "range_low"}
    assert all(bool(r["estimate"]) != bool(r["reason"]) for r in limits)
    assert "nan" not in (tmp_path / "out" / "limits.csv").read_text().lower()
    levels = _rows(tmp_path, "levels.csv")
    assert [float(r["level"]) for r in levels] == [0, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4]
    assert levels[1]["detected"] == "6"
    assert levels[0]["bias"] == ""
    figures = {f.name for f in (tmp_path / "out" / "figures").iterdir()}
    assert figures == {"hit_rate.svg", "linearity.svg", "precision.svg"}


def test_same_seed_same_bytes(tmp_path):
    _run(tmp_path, GOOD)
    first = (tmp_path / "out" / "limits.csv").read_bytes()
    _run(tmp_path, GOOD)
    assert (tmp_path / "out" / "limits.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("level,result\n1,2\n", "this column is missing or stands twice"),
        ("level,value\n1e-5,-1\n", "is not a number of at least 0"),
        ("level,value\n1e-5,nan\n", "is not a number of at least 0"),
        ("level,value,detected\n1e-5,1,maybe\n", "is not true or false"),
        ("level,value\n", "there is no result"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(tmp_path, text, why):
    with pytest.raises(SheetRefused, match=why):
        _run(tmp_path, text)


def test_an_impossible_goal_is_refused(tmp_path):
    with pytest.raises(UsageError, match="every goal above 0"):
        _run(tmp_path, GOOD, "--goal-cv", "0")
