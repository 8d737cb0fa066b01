"""A batch: what runs, what is skipped, what is refused."""

import json

import numpy as np
import pytest

from batches import result_bytes, run
from mrd_flow.panel.template import load_panel
from mrd_flow.simulate import simulate_tube
from pipeline.errors import DamagedFile, InputRefused, SheetRefused, UsageError
from pipeline.formats.digest import sha256_file
from pipeline.formats.records import read_parquet
from pipeline.model import MrdResult, Status
from pipeline.workflow.audit import read_audit
from pipeline.workflow.batch import Batch
from pipeline.workflow.run import write_report_of
from pipeline.workflow.status import reasons, task_states
from pipeline.workflow.task import execute


def test_run_leaves_the_documented_files(finished_batch):
    done = finished_batch.folder / "batch"
    assert {p.name for p in (done / "results").iterdir()} == {
        "mrd.parquet",
        "markers.parquet",
        "gates.parquet",
        "findings.parquet",
        "populations.parquet",
        "population_changes.parquet",
        "chip.parquet",
        "chip_variants.parquet",
        "chip_genes.parquet",
        "reviewed.parquet",
        "changes.parquet",
        "signatures.parquet",
        "agreement.parquet",
        "pairs.parquet",
    }
    assert {p.name for p in (done / "report" / "patients").iterdir()} == {
        f"{p}.{kind}" for p in ("P01", "P02") for kind in ("html", "json")
    }
    for task in ("P01.flow", "P02.flow"):
        assert {p.name for p in (done / "tasks" / task).iterdir()} == {
            "task.json", "events.jsonl", "output.json", "done.json",
        }  # fmt: skip
    results = read_parquet(done / "results" / "mrd.parquet", MrdResult)
    assert [(r.patient_id, r.timepoint, r.status) for r in results] == [
        ("P01", "BASE", Status.DETECTED),
        ("P01", "ASCT", Status.DETECTED),
        ("P02", "MNT1Y", Status.NOT_DETECTED),
    ]
    assert all(r.lod is not None and r.lod > 0 for r in results)


def test_file_whose_damage_only_a_digest_shows_is_unverified_in_check_and_report(small_batch, done):
    page = (done / "report" / "patients" / "P02.html").read_text()
    assert "mnt.fcs" in page
    assert "unverified: no digest was stated" in page
    stated = sha256_file(small_batch.folder / "mnt.fcs")
    header, *rows = small_batch.sheet.read_text().splitlines()
    text = [f"{header},sha256_1", *(f"{r},{stated if 'mnt' in r else ''}" for r in rows)]
    small_batch.sheet.write_text("\n".join(text) + "\n")
    run(small_batch, done)
    assert "unverified: no digest was stated" not in (done / "report" / "patients" / "P02.html").read_text()
    assert "unverified: no digest was stated" in (done / "report" / "patients" / "P01.html").read_text()


def test_second_run_skips_everything_and_leaves_the_same_bytes(small_batch, done):
    before = result_bytes(done)
    summary = run(small_batch, done)
    assert (summary.skipped, summary.tasks) == (2, 2)
    assert result_bytes(done) == before
    assert [e["skipped"] for e in read_audit(done / "audit.jsonl")] == [0, 2]


def test_another_folder_gives_the_same_bytes(small_batch, finished_batch, tmp_path):
    run(small_batch, tmp_path / "other")
    assert result_bytes(tmp_path / "other") == result_bytes(finished_batch.folder / "batch")


def test_changed_input_reruns_its_task_only_and_why_says_so(small_batch, done, flow_files):
    (small_batch.folder / "asct.fcs").write_bytes((flow_files / "mnt.fcs").read_bytes()[:-48])
    with pytest.raises(SheetRefused, match=r"asct\.fcs"):
        run(small_batch, done)
    simulate_tube(
        small_batch.folder / "asct.fcs",
        load_panel("srl"),
        0,
        events=8_000,
        aberrant_fraction=0.02,
        rng=np.random.default_rng(8),
    )
    states = {s.task_id: s.state for s in task_states(done)}
    assert states == {"P01.flow": "done", "P02.flow": "done"}
    summary = run(small_batch, done)
    assert summary.skipped == 1


def test_why_names_what_changed(small_batch, done):
    assert reasons(done, "P01.flow")[0].startswith("skip: done")
    task = json.loads((done / "tasks" / "P01.flow" / "done.json").read_text())
    task["components"]["parameters"]["wanted_lod"] = 0.5
    task["fingerprint"] = "0" * 64
    (done / "tasks" / "P01.flow" / "done.json").write_text(json.dumps(task))
    assert reasons(done, "P01.flow") == ("run: parameters changed: wanted_lod",)
    with pytest.raises(UsageError, match="no such task"):
        reasons(done, "P09.flow")


def test_changed_output_does_not_count_as_done(small_batch, done):
    before = result_bytes(done)
    output = done / "tasks" / "P01.flow" / "output.json"
    output.write_text(output.read_text().replace("DETECTED", "NOT_DETECTED", 1))
    assert [s.state for s in task_states(done)] == ["waiting", "done"]
    assert run(small_batch, done).skipped == 1
    assert result_bytes(done) == before


def test_report_never_shows_more_than_the_batch(small_batch, done):
    text = small_batch.sheet.read_text()
    small_batch.sheet.write_text(
        "".join(line + "\n" for line in text.splitlines() if not line.startswith("P02"))
    )
    run(small_batch, done)
    assert {p.stem for p in (done / "report" / "patients").iterdir()} == {"P01"}


def test_damaged_file_is_refused_before_any_work(small_batch, tmp_path):
    path = small_batch.folder / "mnt.fcs"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SheetRefused, match=r"mnt\.fcs") as caught:
        run(small_batch, tmp_path / "batch")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "batch" / "tasks").exists()
    assert not (tmp_path / "batch" / "results").exists()


def test_stated_digest_is_compared(small_batch, tmp_path):
    lines = small_batch.sheet.read_text().splitlines()
    lines = [lines[0] + ",sha256_1", *(f"{line},{i:064x}" for i, line in enumerate(lines[1:]))]
    small_batch.sheet.write_text("\n".join(lines) + "\n")
    with pytest.raises(SheetRefused, match="SHA-256 is not the one stated") as caught:
        run(small_batch, tmp_path / "batch")
    assert len(caught.value.problems) == 3


def test_copy_of_a_file_under_another_name_is_refused(small_batch, tmp_path):
    (small_batch.folder / "mnt.fcs").write_bytes((small_batch.folder / "base.fcs").read_bytes())
    with pytest.raises(SheetRefused, match=r"mnt\.fcs: the same content as base\.fcs of line 2"):
        run(small_batch, tmp_path / "batch")


def test_samples_of_an_assay_that_cannot_run_yet_are_left_out_and_said_so(small_batch, done):
    (small_batch.folder / "x.bam").write_bytes(b"BAM")
    with small_batch.sheet.open("a") as sheet:
        sheet.write("P01,BASE,2025-01-10,plasma,cfdna,x.bam,,R1,,,,,F\n")
    summary = run(small_batch, done)
    assert (summary.tasks, summary.failures) == (2, {})
    assert "1 sample of cfdna left out" in summary.report.read_text()


def test_input_that_changes_between_planning_and_work_is_refused(small_batch, done):
    (small_batch.folder / "base.fcs").write_bytes((small_batch.folder / "mnt.fcs").read_bytes())
    with pytest.raises(DamagedFile, match="changed since planning"):
        execute(done / "tasks" / "P01.flow" / "task.json")


def test_edited_task_is_refused(done):
    path = done / "tasks" / "P01.flow" / "task.json"
    path.write_text(path.read_text().replace('"wanted_lod": 1e-05', '"wanted_lod": 0.5'))
    with pytest.raises(DamagedFile, match="changed after it was planned"):
        execute(path)


def test_two_runs_on_one_batch_are_refused(small_batch, tmp_path):
    with (
        Batch(tmp_path / "batch").locked(),
        pytest.raises(InputRefused, match="another run holds this batch"),
    ):
        run(small_batch, tmp_path / "batch")


@pytest.mark.parametrize("name", ["../x", "P01", "P01.flow/..", ".flow", "P01.", "a.b.c", "P 1.flow"])
def test_task_names_that_are_no_names_make_no_path(name, tmp_path):
    with pytest.raises(UsageError, match=r"PATIENT\.ASSAY"):
        Batch(tmp_path).task(name)


def test_report_can_be_written_again_from_what_is_done(done):
    before = result_bytes(done)
    (done / "report" / "index.html").unlink()
    write_report_of(done)
    assert result_bytes(done) == before
