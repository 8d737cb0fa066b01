"""``nadir flow``: exit codes, JSON on stdout, words on stderr."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

NADIR = str(Path(sys.executable).with_name("nadir"))


def nadir(*arguments, threads=None):
    command = [NADIR, "flow", *(str(a) for a in arguments)]
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
    limits = {} if threads is None else dict.fromkeys(names, str(threads))
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | limits
    )


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
    assert {g["gate"] for g in result["gates"]} >= {"singlets", "nucleated", "plasma_cells", "mast_cells"}
    assert result["classification"]["clonality"]["verdict"] == "kappa restricted"
    assert result["hemodilution"]["verdict"] == "adequate"
    assert result["reading"]["text"] == "positive at 1.0e-5"
    assert {f["code"] for f in result["flags"]} == {"panel_unverified", "few_cells", "acquisition_margins"}
    assert (result["overrides"], result["automatic"]) == ([], None)
    again = tmp_path / "again.json"
    nadir("mrd", positive[0][0], positive[1][0], "--panel", "euroflow", "--out", again, threads=1)
    assert again.read_bytes() == out.read_bytes()


def test_events_hold_one_row_per_plasma_cell_and_diagnosis_is_handed_on(tmp_path, positive):
    out, events, later = (tmp_path / n for n in ("d.json", "x.parquet", "r.json"))
    tubes = (positive[0][0], positive[1][0], "--panel", "euroflow")
    assert nadir("mrd", *tubes, "--out", out, "--events", events).returncode == 0
    result, table = json.loads(out.read_text()), pq.read_table(events)
    classes = table["class"].to_pylist()
    assert classes.count("aberrant") == result["numerator"]
    assert len(classes) == sum(t["plasma_cells"] + t["not_plasma_cells"] for t in result["tubes"])
    assert {"tube", "event", "deviation", "likelihood_ratio", "cohesion", "CD117_imputed"} <= set(
        table.column_names
    )
    ended = nadir("mrd", *tubes, "--out", later, "--diagnosis", out)
    assert ended.returncode == 0
    assert json.loads(later.read_text())["classification"]["diagnosis_known"]
    refused = nadir("mrd", positive[0][0], "--panel", "srl", "--out", later, "--diagnosis", out)
    assert (refused.returncode, "another panel" in refused.stderr) == (3, True)


def test_a_reference_is_learned_and_used(tmp_path, make_tubes, srl):
    files = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        ((path, _),) = make_tubes(folder, srl, 60_000, 0.0, number, plasma_cell_fraction=0.02)
        files.append(path)
    out, result = tmp_path / "ref.json", tmp_path / "r.json"
    ended = nadir("reference", *files, "--panel", "srl", "--out", out)
    assert ended.returncode == 0, ended.stderr
    assert "plasma cells of 2 marrows" in ended.stderr
    assert nadir("mrd", files[0], "--panel", "srl", "--out", result, "--reference", out).returncode == 0
    assert (
        "2 marrows; learned from the files given"
        in json.loads(result.read_text())["classification"]["reference"]
    )
    refused = nadir("reference", files[0], "--panel", "srl", "--out", tmp_path / "x.json")
    assert (refused.returncode, "at least 2 marrows" in refused.stderr) == (2, True)
    refused = nadir("mrd", files[0], "--panel", "srl", "--out", tmp_path / "x.json", "--reference", files[0])
    assert (refused.returncode, "not a reference of normal plasma cells" in refused.stderr) == (3, True)


OVERRIDE = """[[overrides]]
tube = 1
gate = "CD138positive"
dimension = "CD138"
min = 0.9
author = "A12"
reason = "too low"
made_on = 2026-03-01T09:30:00
"""


def test_an_override_changes_the_result_and_keeps_the_automatic_one(tmp_path, positive):
    out, plain, corrections = (tmp_path / n for n in ("r.json", "plain.json", "o.toml"))
    corrections.write_text(OVERRIDE)
    tubes = (positive[0][0], positive[1][0], "--panel", "euroflow")
    assert nadir("mrd", *tubes, "--out", plain).returncode == 0
    ended = nadir("mrd", *tubes, "--out", out, "--overrides", corrections)
    result, automatic = json.loads(out.read_text()), json.loads(plain.read_text())
    assert ended.returncode == 0
    assert result["automatic"] == automatic
    assert result["tubes"][0]["plasma_cells"] < automatic["tubes"][0]["plasma_cells"] / 10
    assert result["tubes"][1]["plasma_cells"] == automatic["tubes"][1]["plasma_cells"]
    (moved,) = [g for g in result["gates"] if g["author"] == "A12"]
    assert (moved["tube"], moved["gate"]) == (1, "CD138positive")
    boundary = next(b for b in moved["boundaries"] if b["overridden"])
    assert (boundary["value"], boundary["template_value"]) == (0.9, 0.44)
    assert [(o["author"], o["reason"], o["made_on"]) for o in result["overrides"]] == [
        ("A12", "too low", "2026-03-01T09:30:00")
    ]
    assert "without the overrides" in ended.stderr
    corrections.write_text(OVERRIDE.replace("0.9", "nan"))
    refused = nadir("mrd", *tubes, "--out", tmp_path / "x.json", "--overrides", corrections)
    assert (refused.returncode, (tmp_path / "x.json").exists()) == (3, False)
    assert "min and max must be finite" in refused.stderr


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
