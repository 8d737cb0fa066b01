"""A batch is what its last run left, or the file that is not is named."""

import json
import random
import shutil

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.errors import GateFailed, InputRefused
from pipeline.workflow.run import run_batch, write_report_of
from pipeline.workflow.verify import verify_batch

HEADER = (
    "patient_id,timepoint,collected_on,material,assay,file_1,file_2,run_id,cells,dna_ng,spike_ins,panel,sex\n"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, flow_files):
    """One finished batch of two patients; tests work on copies."""
    folder = tmp_path_factory.mktemp("verify")
    rows = [("P01", "base", "2025-01-10"), ("P02", "mnt", "2026-08-10")]
    for _, name, _ in rows:
        shutil.copyfile(flow_files / f"{name}.fcs", folder / f"{name}.fcs")
    text = "".join(f"{p},BASE,{d},bone_marrow,flow,{n}.fcs,,R1,,,,srl,F\n" for p, n, d in rows)
    (folder / "sheet.csv").write_text(HEADER + text)
    (folder / "config.toml").write_text('[study]\nid = "T1"\ntimepoints = ["BASE"]\nthresholds = [1e-5]\n')
    run_batch(folder / "sheet.csv", folder / "batch", config_path=folder / "config.toml", jobs=1)
    return folder


@pytest.fixture
def batch(finished, tmp_path):
    return shutil.copytree(finished / "batch", tmp_path / "batch")


def test_an_untouched_batch_is_intact(batch):
    found = verify_batch(batch)
    assert found.findings == ()
    assert found.files > 12
    assert found.entries == 1
    assert len(found.chain_sha256) == 64


def test_one_flipped_bit_anywhere_is_found_and_named(batch):
    """Sixty random single-bit changes over all kept files: each is named, and mended again."""
    rng = random.Random(1)
    kept = [*sorted(batch.glob("tasks/*/*.json")), batch / "plan.json"]
    kept += [
        p for folder in ("results", "report") for p in sorted((batch / folder).rglob("*")) if p.is_file()
    ]
    for _ in range(60):
        path = rng.choice(kept)
        data = bytearray(path.read_bytes())
        place = rng.randrange(len(data))
        data[place] ^= 1 << rng.randrange(8)
        whole = path.read_bytes()
        path.write_bytes(bytes(data))
        name = path.relative_to(batch).as_posix()
        assert verify_batch(batch).findings == (f"{name}: changed since the batch was last written",)
        path.write_bytes(whole)
    assert verify_batch(batch).findings == ()


def test_missing_and_added_files_are_named(batch):
    (batch / "results" / "mrd.parquet").unlink()
    (batch / "report" / "patients" / "P09.html").write_text("<p>")
    assert verify_batch(batch).findings == (
        "report/patients/P09.html: not there when the batch was last written",
        "results/mrd.parquet: missing",
    )


@pytest.mark.parametrize("number", range(8))
def test_a_changed_audit_line_breaks_the_chain(batch, number):
    path = batch / "audit.jsonl"
    data = bytearray(path.read_bytes())
    data[random.Random(number).randrange(len(data) - 1)] ^= 1
    path.write_bytes(bytes(data))
    (finding,) = verify_batch(batch).findings
    assert "audit" in finding


def test_pages_written_again_are_recorded(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "all")
    write_report_of(copy / "batch")
    found = verify_batch(copy / "batch")
    assert (found.entries, found.findings) == (2, ())


def test_a_folder_without_audit_trail_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="no audit trail to check against"):
        verify_batch(tmp_path)


def test_the_command_fails_and_names_the_file(batch):
    run = CliRunner()
    assert run.invoke(app, ["verify", str(batch)], catch_exceptions=False).exit_code == 0
    (batch / "tasks" / "P01.flow" / "done.json").write_text("{}")
    with pytest.raises(GateFailed, match="1 findings"):
        run.invoke(app, ["verify", str(batch)], catch_exceptions=False)


def test_query_answers_from_the_tables_and_reads_nothing_else(batch):
    run = CliRunner()
    sql = "SELECT patient_id, status FROM mrd ORDER BY patient_id"
    told = run.invoke(app, ["query", str(batch), sql, "--json"], catch_exceptions=False)
    assert [row["patient_id"] for row in json.loads(told.stdout)] == ["P01", "P02"]
    told = run.invoke(app, ["query", str(batch), "SELECT count(*) AS n FROM gates", "--csv"])
    assert told.stdout.startswith("n\n")
    for hostile in (
        "SELECT * FROM read_text('/etc/hostname')",
        f"COPY mrd TO '{batch}/stolen.csv'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT * FROM nothing",
        "SELEC",
    ):
        assert run.invoke(app, ["query", str(batch), hostile]).exit_code != 0
    assert not (batch / "stolen.csv").exists()
    assert verify_batch(batch).findings == ()


def test_exports_hold_every_row_and_the_crate_every_digest(batch, tmp_path):
    from pipeline.formats.digest import sha256_file

    run = CliRunner()
    for form in ("csv", "parquet", "crate"):
        made = run.invoke(app, ["export", str(batch), "--as", form, "--out", str(tmp_path / form)])
        assert made.exit_code == 0, made.output
    lines = (tmp_path / "csv" / "mrd.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith('"study_id","patient_id","timepoint"')
    for path in (batch / "results").glob("*.parquet"):
        assert (tmp_path / "parquet" / path.name).read_bytes() == path.read_bytes()
    crate = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())
    graph = {item["@id"]: item for item in crate["@graph"]}
    parts = [part["@id"] for part in graph["./"]["hasPart"]]
    assert "results/mrd.parquet" in parts
    assert all(graph[p]["sha256"] == sha256_file(tmp_path / "crate" / p) for p in parts)
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}


def test_an_export_into_the_batch_is_refused(batch):
    with pytest.raises(InputRefused, match="would lie within the batch"):
        CliRunner().invoke(
            app, ["export", str(batch), "--out", str(batch / "results" / "x")], catch_exceptions=False
        )
