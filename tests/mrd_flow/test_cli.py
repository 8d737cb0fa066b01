"""``nadir flow``: exit codes, JSON on stdout, words on stderr."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NADIR = str(Path(sys.executable).with_name("nadir"))


def nadir(*arguments):
    command = [NADIR, "flow", *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_inspect_describes_and_lists_anomalies(shared_data):
    ended = nadir("inspect", shared_data / "flow" / "files" / "coulter.lmd", "--json")
    found = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert (found["version"], found["datasets"], found["events"]) == ("2.0", 2, 18_110)
    assert len(found["parameters"]) == 8
    assert {a["code"] for a in found["anomalies"]} == {"data_end_off_by_one", "spillover_missing"}
    shown = nadir("inspect", shared_data / "flow" / "files" / "coulter.lmd")
    assert "data set 2 of 2" in shown.stdout


def test_a_refused_file_ends_in_exit_3_and_one_line(tmp_path):
    path = tmp_path / "x.fcs"
    path.write_text("name,cells\n")
    ended = nadir("inspect", path)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "not an FCS file" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_mrd_writes_the_result_with_tubes_gates_and_flags(tmp_path, positive):
    out = tmp_path / "result.json"
    ended = nadir("mrd", positive[0][0], positive[1][0], "--panel", "euroflow", "--out", out)
    result = json.loads(out.read_text())
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "DETECTED" in ended.stderr
    assert result["status"] == "DETECTED"
    assert [t["aberrant"] for t in result["tubes"]] == pytest.approx([220, 220], abs=60)
    assert sum(t["aberrant"] for t in result["tubes"]) == result["numerator"]
    assert sum(t["nucleated"] for t in result["tubes"]) == result["denominator"]
    assert {g["gate"] for g in result["gates"]} >= {"singlets", "nucleated", "plasma_cells", "aberrant"}
    assert {f["code"] for f in result["flags"]} == {"panel_unverified", "few_cells"}
    again = tmp_path / "again.json"
    nadir("mrd", positive[0][0], positive[1][0], "--panel", "euroflow", "--out", again)
    assert again.read_bytes() == out.read_bytes()


def test_an_unknown_panel_and_a_personal_name_are_usage_errors(tmp_path, positive):
    tube = positive[0][0]
    ended = nadir("mrd", tube, "--panel", "nonesuch", "--out", tmp_path / "r.json")
    assert (ended.returncode, "There are: euroflow, srl" in ended.stderr) == (2, True)
    ended = nadir("mrd", tube, "--panel", "srl", "--patient", "Yamada_Taro", "--out", tmp_path / "r.json")
    assert (ended.returncode, "Yamada" in ended.stderr) == (2, False)
    assert not (tmp_path / "r.json").exists()


def test_simulate_writes_tubes_and_truth(tmp_path):
    arguments = ("simulate", "--panel", "srl", "--events", 3000, "--aberrant-fraction", 0.01, "--seed", 5)
    assert nadir(*arguments, "--out", tmp_path / "a").returncode == 0
    assert nadir(*arguments, "--out", tmp_path / "b").returncode == 0
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert names == ["truth.json", "tube_1.fcs"]
    assert all((tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in names)
    truth = json.loads((tmp_path / "a" / "truth.json").read_text())
    assert (truth["panel"], truth["tubes"][0]["events"]) == ("srl", 3000)


def test_an_unknown_phenotype_is_a_usage_error(tmp_path):
    ended = nadir("simulate", "--phenotype", "odd", "--events", 10, "--out", tmp_path)
    assert (ended.returncode, "there are classic" in ended.stderr) == (2, True)


def test_the_shipped_small_tubes_are_what_their_command_makes(tmp_path, small_data):
    """test_data/flow/README.md names the commands; same commands, same bytes."""
    folder = small_data / "flow"
    for name, events in (("euroflow", 1500), ("srl", 1500)):
        arguments = ("--panel", name, "--events", events, "--aberrant-fraction", 0.01, "--seed", 1)
        assert nadir("simulate", *arguments, "--out", tmp_path / name).returncode == 0
        for path in sorted((folder / name).iterdir()):
            assert path.read_bytes() == (tmp_path / name / path.name).read_bytes(), path.name
    assert sum(p.stat().st_size for p in folder.rglob("*.*")) < 300_000
