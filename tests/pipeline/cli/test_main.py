"""The command as a user meets it: help at once, exit codes, messages that name file and place."""

import gzip
import io
import json
import resource
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.cli.groups import GROUPS
from pipeline.cli.main import main

SMALL = Path(__file__).resolve().parents[3] / "test_data"
HEADER = (
    "patient_id,timepoint,collected_on,material,assay,file_1,file_2,run_id,cells,dna_ng,spike_ins,panel,sex\n"
)
HEAVY = {"pandas", "numba", "scipy", "numpy", "pyarrow", "flowkit", "flowio", "pydantic", "jinja2"}


def process(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as the shell starts it."""
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=100, check=False)


def nadir(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same without a process of its own: what it says, and the code it would end with."""
    command = ["nadir", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", command)
        patch.chdir(cwd or Path.cwd())
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def test_help_takes_less_than_half_a_second_of_cpu_and_loads_nothing_heavy():
    script = (
        "import sys\nfrom pipeline.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print(sorted(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)\n"
    )
    spent = []
    while len(spent) < 3 and not any(seconds < 0.5 for seconds in spent):  # the machine has other work
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ended.stderr.strip() == "[]"
        assert "no result is called negative" in ended.stdout
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_is_announced_by_its_own_help(name):
    assert import_module(GROUPS[name].module).app.info.help == GROUPS[name].help


@pytest.mark.parametrize(
    "command",
    [["demo"], ["check"], ["run"], ["status"], ["why"], ["step"], ["report"]]
    + [["ngs", c] for c in ("index", "track", "simulate")]
    + [["flow", c] for c in ("inspect", "mrd", "gate", "simulate")],
    ids=" ".join,
)
def test_every_command_explains_itself(command):
    ended = nadir(*command, "--help")
    assert ended.returncode == 0
    assert "Usage" in ended.stdout


@pytest.mark.parametrize("started", [process, nadir])
def test_unknown_command_and_option_are_usage_errors(started):
    assert started("nonsense").returncode == 2
    assert started("run", "--nonsense").returncode == 2


@pytest.fixture
def batch_of(tmp_path):
    """A sheet of one patient's two sequencing samples and one flow tube, with what a test changes."""

    def made(**files: bytes) -> Path:
        names = {"base.fastq.gz": "baseline.fastq.gz", "asct.fastq.gz": "mrd_1e-3.fastq.gz"}
        for name, source in names.items():
            (tmp_path / name).write_bytes((SMALL / "ngs" / source).read_bytes())
        (tmp_path / "spikes.tsv").write_bytes((SMALL / "ngs" / "spike_ins.tsv").read_bytes())
        (tmp_path / "asct.fcs").write_bytes((SMALL / "flow/srl/tube_1.fcs").read_bytes())
        for name, content in files.items():
            (tmp_path / name.replace("__", ".")).write_bytes(content)
        rows = (
            "P01,BASE,2025-01-10,bone_marrow,ngs,base.fastq.gz,,R1,5000,,spikes.tsv,,F\n"
            "P01,ASCT,2025-08-10,bone_marrow,ngs,asct.fastq.gz,,R1,100000,,spikes.tsv,,F\n"
            "P01,ASCT,2025-08-10,bone_marrow,flow,asct.fcs,,R1,,,,srl,F\n"
        )
        (tmp_path / "sheet.csv").write_text(HEADER + rows)
        return tmp_path

    return made


def test_whole_way_from_sheet_to_report(batch_of):
    folder = batch_of()
    assert process("check", "sheet.csv", cwd=folder).returncode == 0
    ended = process("run", "sheet.csv", "--out", "batch", "--jobs", "1", "--json", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert (said["tasks"], said["skipped"], said["failures"], said["results"]) == (2, 0, {}, 3)
    assert (folder / said["report"]).is_file()
    again = nadir("run", "sheet.csv", "--out", "batch", cwd=folder)
    assert "2 tasks, 2 of them done before and skipped" in again.stderr
    states = json.loads(nadir("status", "batch", "--json", cwd=folder).stdout)
    assert [(s["task"], s["state"]) for s in states] == [("P01.ngs", "done"), ("P01.flow", "done")]
    assert "skip: done" in nadir("why", "batch", "P01.ngs", cwd=folder).stdout


def truncated(name: str, *, by: int) -> bytes:
    return (SMALL / name).read_bytes()[:-by]


def cut_inside_a_record(name: str) -> bytes:
    return gzip.compress(gzip.decompress((SMALL / name).read_bytes())[:-40], mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("asct__fastq__gz", truncated("ngs/mrd_1e-3.fastq.gz", by=200), "asct.fastq.gz"),
        ("asct__fastq__gz", cut_inside_a_record("ngs/mrd_1e-3.fastq.gz"), "asct.fastq.gz"),
        ("asct__fastq__gz", b"", "is empty"),
        ("asct__fastq__gz", gzip.compress(b"", mtime=0), "asct.fastq.gz"),
        ("asct__fastq__gz", b"this is no gzip", "asct.fastq.gz"),
        ("base__fastq__gz", (SMALL / "ngs" / "mrd_1e-3.fastq.gz").read_bytes(), "the same content as"),
        ("asct__fcs", truncated("flow/srl/tube_1.fcs", by=100), "asct.fcs"),
        ("asct__fcs", b"", "empty"),
        ("asct__fcs", b"FCS3.1 nonsense", "asct.fcs"),
        ("spikes__tsv", b"name\tsequence\n", "spikes.tsv"),
    ],
    ids=[
        "gzip cut", "record cut", "empty fastq", "no reads", "not gzip", "file copied",
        "fcs cut", "empty fcs", "not fcs", "spike-ins without copies",
    ],
)  # fmt: skip
def test_damaged_input_is_refused_by_name_before_any_work(batch_of, name, content, said):
    folder = batch_of(**{name: content})
    ended = nadir("run", "sheet.csv", "--out", "batch", cwd=folder)
    assert ended.returncode == 3, ended.stderr
    assert said in ended.stderr
    assert "line " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (folder / "batch" / "results").exists()
    assert not (folder / "batch" / "tasks").exists()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[study]\nid = 'T1'\nthreshold = [1e-5]\n", "did you mean 'thresholds'?"),
        ("[ngs]\nmin_raeds = 3\n", "did you mean 'min_reads'?"),
        ("[ngs]\nmin_reads = 'three'\n", "whole number"),
        ("[study\n", "TOML"),
    ],
)
def test_unknown_or_impossible_configuration_is_refused_by_key(batch_of, config, said):
    folder = batch_of(config__toml=config.encode())
    ended = nadir("run", "sheet.csv", "--out", "batch", "--config", "config.toml", cwd=folder)
    assert ended.returncode == 3
    assert said in ended.stderr
    assert "config.toml" in ended.stderr
    assert not (folder / "batch").exists()


def test_no_batch_and_no_sheet_are_refused(tmp_path):
    ended = process("status", tmp_path)
    assert (ended.returncode, "is this a batch folder?" in ended.stderr) == (3, True)
    ended = nadir("run", tmp_path / "nothing.csv", "--out", tmp_path / "batch")
    assert ended.returncode == 3
    assert "nothing.csv" in ended.stderr
    assert not (tmp_path / "batch").exists()


def test_engine_that_is_not_there_is_a_usage_error(batch_of, tmp_path, monkeypatch):
    folder = batch_of()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NADIR_NEXTFLOW", raising=False)
    ended = nadir("run", "sheet.csv", "--out", "batch", "--engine", "nextflow", cwd=folder)
    assert (ended.returncode, "nextflow is not on PATH" in ended.stderr) == (2, True)


def test_demo_refuses_a_folder_that_holds_something_else(tmp_path):
    (tmp_path / "thesis.docx").write_text("mine")
    ended = nadir("demo", "--out", tmp_path)
    assert (ended.returncode, "give another --out" in ended.stderr) == (2, True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


def test_folder_that_cannot_be_made_is_refused(batch_of):
    folder = batch_of()
    ended = nadir("run", "sheet.csv", "--out", "sheet.csv/batch", cwd=folder)
    assert (ended.returncode, "cannot be written" in ended.stderr) == (3, True)
    assert "Traceback" not in ended.stderr
