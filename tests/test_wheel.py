"""The wheel alone, in an empty environment and an empty folder, runs the demo."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {"pipeline", "mrd_ngs", "mrd_flow", "cfdna", "chip", "nadir_configs"}

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1200)]


def run(*command: str | Path, cwd: Path, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run without this process's Python settings; show what it said if it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    ended = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of what git knows, so that nothing untracked slips in."""
    source = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")[:-1]
    for name in listed:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == TOP_LEVEL
    for needed in (
        "nadir_configs/default.toml",
        "nadir_configs/panels/euroflow.toml",
        "nadir_configs/panels/srl.toml",
        "pipeline/py.typed",
    ):
        assert needed in names
    assert [n for n in names if n.endswith((".pyc", ".fcs", ".fastq.gz"))] == []


def test_demo_runs_from_an_empty_folder_in_an_empty_environment(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    ended = run(tmp_path / "env" / "bin" / "nadir", "demo", cwd=empty)
    assert (empty / "nadir-demo" / "batch" / "report" / "index.html").is_file()
    assert "report" in ended.stdout + ended.stderr
    assert [p.name for p in empty.iterdir()] == ["nadir-demo"]
    check_stories(empty / "nadir-demo" / "batch" / "report" / "patients")


def check_stories(patients: Path) -> None:
    """The demo tells what its truth says: one deep negative, one relapse, one that cannot be told."""

    def calls(patient: str, timepoint: str) -> dict[str, str]:
        results = json.loads((patients / f"{patient}.json").read_text())["results"]
        return {r["method"]: r["readings"][0]["call"] for r in results if r["timepoint"] == timepoint}

    assert calls("DEMO-001", "MNT1Y") == {"flow:euroflow": "NEG", "flow:srl": "IND", "ngs": "NEG"}
    assert calls("DEMO-002", "MNT1Y") == {"flow:euroflow": "POS", "flow:srl": "POS", "ngs": "POS"}
    assert calls("DEMO-004", "MNT1Y") == {"flow:euroflow": "IND", "flow:srl": "IND", "ngs": "IND"}
