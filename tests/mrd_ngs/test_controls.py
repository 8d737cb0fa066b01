"""A negative control may hold nothing; what is damaged or does not fit the settings is still refused."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mrd_ngs.cli import app
from mrd_ngs.controls import check_control, read_control
from mrd_ngs.run_control import judge_run, tally
from mrd_ngs.settings import NgsSettings
from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.records import to_json
from pipeline.model import Role

SETTINGS = NgsSettings()
DIMERS = b"@r1\nACGTACGTAC\n+\nFFFFFFFFFF\n"


@pytest.fixture
def control(tmp_path: Path, make_sample):
    def make(content: bytes, role: Role = Role.NEGATIVE):
        path = tmp_path / "control.fastq.gz"
        path.write_bytes(content)
        return make_sample(patient_id="NEG", role=role, files=(path,), run_id="R1", cells=None)

    return make


@pytest.mark.parametrize("content", [b"", DIMERS])
def test_a_negative_control_without_a_usable_read_is_read_and_passes(control, make_marker, content) -> None:
    sample = control(gzip.compress(content))
    check_control(sample)
    library = read_control(sample, SETTINGS)
    assert library.reads.counts.sum() == 0
    markers = [make_marker()]
    judged = judge_run([tally(library, sample.role, markers, SETTINGS)], markers, SETTINGS)
    assert judged.passed
    assert judged.findings[0].reads == 0


@pytest.mark.parametrize("content", [b"", DIMERS])
def test_a_polyclonal_control_without_a_usable_read_is_refused(control, content) -> None:
    sample = control(gzip.compress(content), Role.POLYCLONAL)
    with pytest.raises(InputRefused, match=r"holds no reads|shorter than 50 nucleotides"):
        read_control(sample, SETTINGS)


def test_a_truncated_negative_control_is_not_taken_for_an_empty_one(control) -> None:
    for content in (gzip.compress(b"")[:-6], gzip.compress(DIMERS * 50)[:-12]):
        sample = control(content)
        with pytest.raises(DamagedFile, match=r"truncated|ends early"):
            check_control(sample)
        with pytest.raises(DamagedFile, match=r"truncated|ends early"):
            read_control(sample, SETTINGS)


def test_settings_that_the_files_do_not_fit_are_refused(control) -> None:
    with pytest.raises(InputRefused, match="there are none"):
        read_control(control(gzip.compress(DIMERS)), NgsSettings(umi_source="second"))


def test_the_command_takes_an_empty_negative_control(small_data: Path, tmp_path: Path, make_marker) -> None:
    empty, markers, out = (tmp_path / name for name in ("empty.fastq.gz", "markers.json", "control.json"))
    empty.write_bytes(gzip.compress(b""))
    markers.write_text(json.dumps({"markers": [to_json(make_marker())]}))
    arguments = [
        "control", small_data / "ngs" / "baseline.fastq.gz", empty, "--markers", markers, "--out", out,
        "--patient", "P01", "--patient", "negative_control",
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    patient, negative = json.loads(out.read_text())["samples"]
    assert (patient["passed"], negative["passed"], negative["kept_reads"]) == (True, True, 0)
    assert negative["role"] == "negative_control"
