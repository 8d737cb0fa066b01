"""``nadir check``: what people and machines see of a sheet."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pipeline.cli.check import check
from pipeline.errors import ConfigRefused

PLANTED = Path(__file__).resolve().parents[3] / "test_data" / "sheets" / "planted_errors.csv"
COLUMNS = (
    "patient_id,timepoint,collected_on,material,assay,file_1,file_2,run_id,cells,dna_ng,spike_ins,panel,sex,"
    "sha256_1,sha256_2"
)
DIGEST = "ab" * 32

app = typer.Typer()
app.command("check")(check)


def run(*arguments: object) -> tuple[int, str]:
    ended = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(ended.exception, ConfigRefused):
        raise ended.exception
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    return ended.exit_code, ended.output


@pytest.fixture
def good(tmp_path: Path) -> Path:
    for name in ("a.fastq.gz", "b.fastq.gz", "a.fcs", "spikes.tsv"):
        (tmp_path / name).write_text(name)
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(
        f"{COLUMNS}\n"
        "P01,BASE,2024-01-10,bone_marrow,ngs,a.fastq.gz,,,1000,,spikes.tsv,,F,,\n"
        "P01,IND,2024-05-10,bone_marrow,ngs,b.fastq.gz,,,1000,,spikes.tsv,,F,,\n"
        f"P02,IND,2024-05-11,bone_marrow,flow,a.fcs,,,,,,srl,M,{DIGEST},\n"
    )
    return sheet


def test_good_sheet_exits_0_and_says_what_will_be_done(good):
    code, output = run(good)
    assert code == 0
    assert output.splitlines() == [
        "sheet.csv can be run: no problem",
        "study STUDY: 2 patients, 3 samples, 2 tasks",
        "",
        "  samples   BASE  IND",
        "  flow:srl     -    1",
        "  ngs          1    1",
    ]


def test_every_problem_is_one_line_with_place_cause_and_remedy():
    code, output = run(PLANTED)
    lines = output.splitlines()
    assert code == 3
    assert (
        "planted_errors.csv:3: material: not a known material -> did you mean 'bone_marrow'? "
        "Else write one of bone_marrow, plasma, peripheral_blood, stem_cell_product" in lines
    )
    expected = PLANTED.with_name("planted_errors.expected.csv").read_text().splitlines()[1:]
    assert lines[-1].startswith(f"planted_errors.csv cannot be run: {len(expected)} problems on 46 lines")
    assert sum("-> " in line and "warning: " not in line for line in lines) == len(expected)


def test_json_holds_the_same_problems_and_nothing_else():
    code, output = run(PLANTED, "--json")
    value = json.loads(output)
    assert code == 3
    assert set(value) == {"ok", "problems", "warnings", "samples"}
    assert (value["ok"], value["samples"]) == (False, 0)
    expected = PLANTED.with_name("planted_errors.expected.csv").read_text().splitlines()[1:]
    found = [f"{p['line']},{p['column'] or ''},{p['code']}" for p in value["problems"]]
    assert sorted(found) == sorted(expected)
    assert all(p["cause"] and p["remedy"] for p in value["problems"])


def test_json_of_a_good_sheet(good):
    code, output = run(good, "--json")
    assert code == 0
    assert json.loads(output) == {"ok": True, "problems": [], "samples": 3, "warnings": []}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_refused_identifiers_are_absent_from_all_output(options):
    _, output = run(PLANTED, *options)
    for secret in ("Yamada", "Taro", "19540312", "123456789012", "calc", "../P10", "run 7"):
        assert secret not in output


def test_file_name_cannot_steer_the_terminal(good):
    sheet = good.rename(good.with_name("s\x1b[31m.csv"))
    sheet.write_text(sheet.read_text().replace("a.fcs", "[red]x.fcs"))
    code, output = run(sheet)
    assert code == 3
    assert "\x1b" not in output
    assert r"s\x1b[31m.csv:4: file_1: '[red]x.fcs' is not there" in output


def test_file_that_only_a_digest_could_vouch_for_is_called_unverified(good):
    good.write_text(good.read_text().replace(DIGEST, ""))
    code, output = run(good)
    assert code == 0
    assert "sheet.csv:4: file_1: warning: 'a.fcs' is unverified" in output
    assert "sheet.csv can be run: no problem, 1 warning" in output


def test_assay_that_cannot_be_run_yet_is_a_warning(good):
    (good.parent / "c.bam").write_text("c")
    with good.open("a") as sheet:
        sheet.write(f"P02,IND,2024-05-11,bone_marrow,tumour,c.bam,,,,,,,M,{DIGEST[::-1]},\n")
    code, output = run(good)
    assert code == 0
    assert "sheet.csv:5: assay: warning: tumour cannot be analysed by this version" in output


def test_configuration_decides_time_points_and_study(good, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[study]\nid = "MM-1"\ntimepoints = ["BASE", "DAY28"]\n')
    code, output = run(good, "--config", config)
    assert code == 3
    assert "sheet.csv:3: timepoint: not a time point of this study" in output


def test_refused_configuration_is_said_in_json_too(good, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[study]\nidd = 1\n")
    with pytest.raises(ConfigRefused, match=r"study\.idd is not a known key"):
        run(good, "--config", config)
    code, output = run(good, "--config", config, "--json")
    value = json.loads(output)
    assert (code, value["ok"], [p["code"] for p in value["problems"]]) == (3, False, ["config_refused"])


def test_terminal_gets_a_coloured_table(tmp_path):
    script = "import typer; from pipeline.cli.check import check; typer.run(check)"
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(PLANTED)], stdout=slave, stderr=slave, env=environment
    ) as process:
        os.close(slave)
        seen = _read_all(master)
    assert process.returncode == 3
    assert "\x1b[32m" in seen
    assert "what is wrong" in seen
    assert "and 8 more of this kind" in seen
    assert "Yamada" not in seen


def _read_all(master: int) -> str:
    blocks = []
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not block:
            break
        blocks.append(block)
    os.close(master)
    return b"".join(blocks).decode()


def test_checking_loads_no_heavy_library(good):
    script = (
        "import sys; from pathlib import Path; from pipeline.cli.check import check; "
        f"check(Path({str(good)!r})); "
        "print({'pandas', 'scipy', 'numba', 'pyarrow', 'flowkit', 'pydantic'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.splitlines()[-1] == "set()"
