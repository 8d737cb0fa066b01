"""Patients sequenced together are judged together: hopping is not called, exchanged samples are found."""

import dataclasses
import gzip
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from batches import result_bytes
from mrd_ngs.simulate import LibraryDesign
from mrd_ngs.simulate_run import RunSample, write_run
from pipeline.errors import NadirError, UsageError
from pipeline.formats.records import read_parquet
from pipeline.formats.samplesheet import read_sheet
from pipeline.model import Change, MrdResult, Reason, Role, Status
from pipeline.review.desk import Desk
from pipeline.workflow.batch import Batch
from pipeline.workflow.config import load_config
from pipeline.workflow.intake import inspect_inputs
from pipeline.workflow.plan import make_plan
from pipeline.workflow.planned import read_plan, write_plan
from pipeline.workflow.run import RunSummary, run_batch, write_report_of
from pipeline.workflow.status import reasons, task_states
from pipeline.workflow.task import execute, finished

CONFIG = """\
[study]
id = "T1"
timepoints = ["BASE", "ASCT"]
thresholds = [1e-5]
"""
DAYS = {"BASE": date(2025, 1, 10), "ASCT": date(2025, 8, 10)}
HOP = 0.001
pytestmark = pytest.mark.timeout(300)
RUN_FOLDER = "191210_M01_7_F-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A sheet with its configuration, and what is true of its samples."""

    sheet: Path
    config: Path
    truth: dict


def sample(patient: str, timepoint: str, clone_cells: int, reads: int = 20_000) -> RunSample:
    design = LibraryDesign(cells=2_000, clone_cells=clone_cells, b_cells=60, reads=reads)
    return RunSample(patient_id=patient, timepoint=timepoint, collected_on=DAYS[timepoint], design=design)


def control(name: str, role: Role, b_cells: int) -> RunSample:
    design = LibraryDesign(cells=2_000, clone_cells=0, b_cells=b_cells, reads=4_000 if b_cells else 400)
    return RunSample(patient_id=name, timepoint="BASE", collected_on=DAYS["BASE"], design=design, role=role)


def simulated(folder: Path, samples: list[RunSample], **options) -> Simulated:
    truth = write_run(folder, seed=11, samples=samples, spike_copies=20, **options)
    (folder / "config.toml").write_text(CONFIG)
    return Simulated(sheet=folder / "sheet.csv", config=folder / "config.toml", truth=truth)


def run(trial: Simulated, out: Path) -> RunSummary:
    return run_batch(trial.sheet, out, config_path=trial.config, jobs=2)


def step_by_step(trial: Simulated, out: Path) -> dict[str, str]:
    """An engine of its own: every task that is not done, in this process and in the plan's order."""
    batch = Batch(out)
    config = load_config(trial.config)
    samples = read_sheet(
        trial.sheet, study_id=config.study_id, timepoints=config.timepoint_codes, panels=None, baseline="BASE"
    )
    plan = make_plan(samples, config, inspect_inputs(trial.sheet, samples, batch))
    write_plan(batch, plan)
    failures = {}
    for task in plan.tasks:
        if finished(batch, task) is None:
            try:
                execute(batch.task(task.task_id).task)
            except NadirError as error:
                failures[task.task_id] = str(error)
    write_report_of(out)
    return failures


def result(out: Path, patient: str, timepoint: str) -> MrdResult:
    results = read_parquet(out / "results" / "mrd.parquet", MrdResult)
    (found,) = [r for r in results if (r.patient_id, r.timepoint) == (patient, timepoint)]
    return found


@pytest.fixture(scope="module")
def hopped(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """P02's baseline holds 1e-1 clonal cells; 0.1 % of every library's reads go to each other one."""
    samples = [
        sample("P01", "BASE", 200),
        sample("P01", "ASCT", 20),
        sample("P02", "BASE", 200),
        sample("P03", "BASE", 200),
        sample("P03", "ASCT", 0),
    ]
    return simulated(tmp_path_factory.mktemp("hopped"), samples, hop_rate=HOP)


@pytest.fixture(scope="module")
def judged(hopped: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished batch of that run."""
    out = tmp_path_factory.mktemp("judged") / "batch"
    assert run(hopped, out).failures == {}
    return out


def test_tasks_index_first_then_judge_the_run_then_follow(judged: Path) -> None:
    plan = read_plan(Batch(judged))
    assert [(t.task_id, t.after) for t in plan.tasks] == [
        ("P01.ngs-index", ()),
        ("P02.ngs-index", ()),
        ("P03.ngs-index", ()),
        ("RUN1.ngs-run", ("P01.ngs-index", "P02.ngs-index", "P03.ngs-index")),
        ("P01.ngs", ("P01.ngs-index", "RUN1.ngs-run")),
        ("P02.ngs", ("P02.ngs-index", "RUN1.ngs-run")),
        ("P03.ngs", ("P03.ngs-index", "RUN1.ngs-run")),
    ]
    assert {s.state for s in task_states(judged)} == {"done"}
    assert reasons(judged, "RUN1.ngs-run")[0].startswith("skip: done")


def test_hopped_clone_is_flagged_and_not_called(hopped: Simulated, judged: Path) -> None:
    control = json.loads((judged / "results" / "run_control" / "RUN1.json").read_text())
    assert control["hop_rate"]["rate"] == pytest.approx(HOP, rel=0.35)  # some 50 hopped reads inform it
    received = hopped.truth["samples"]["P03_ASCT"]["received"]
    assert received["P02_BASE"]["clone_reads"] >= 3
    assert received["P03_BASE"]["clone_reads"] >= 3
    (number,) = [
        n["sample"] for n in control["sample_names"] if (n["patient_id"], n["timepoint"]) == ("P03", "ASCT")
    ]
    found = {f["marker_patient_id"]: f for f in control["findings"] if f["sample"] == number}
    for patient in ("P02", "P03"):  # another's clone, and the own baseline's
        assert found[patient]["reads"] > 0
        assert found[patient]["finding"] == "explained_by_hopping"
        assert not found[patient]["called"]
    negative = result(judged, "P03", "ASCT")
    assert negative.status is Status.NOT_DETECTED
    assert negative.reason is Reason.EXPLAINED_BY_BACKGROUND
    assert negative.lod is not None
    assert "reads expected from other samples of the run" in negative.qc
    assert "explained by hopping" in negative.qc  # the other patient's clone, without a name
    assert not any(other in negative.qc for other in ("P01", "P02"))


def test_disease_above_hopping_is_still_called(judged: Path) -> None:
    found = result(judged, "P01", "ASCT")
    assert found.status is Status.DETECTED
    assert found.value == pytest.approx(0.01, rel=0.5)  # 20 of 2,000 cells, drawn and amplified


@pytest.mark.slow
def test_without_the_run_the_hopped_clone_would_be_called(hopped: Simulated, tmp_path: Path) -> None:
    """The same reads, each patient's as if sequenced alone: what the run's control is for."""
    lines = hopped.sheet.read_text().splitlines()
    rows = [line.replace("RUN1", "").replace("spike_ins.tsv", str(hopped.sheet.parent / "spike_ins.tsv"))
            for line in lines if line.startswith("P03")]  # fmt: skip
    alone = tmp_path / "alone.csv"
    text = "\n".join([lines[0], *rows]) + "\n"
    alone.write_text(text.replace(",P03_", f",{hopped.sheet.parent}/P03_"))
    assert step_by_step(dataclasses.replace(hopped, sheet=alone), tmp_path / "batch") == {}
    assert [t.task_id for t in read_plan(Batch(tmp_path / "batch")).tasks] == ["P03.ngs"]
    assert not (tmp_path / "batch" / "results" / "run_control").exists()
    assert result(tmp_path / "batch", "P03", "ASCT").status is Status.DETECTED


def test_another_engine_leaves_the_same_bytes(hopped: Simulated, judged: Path, tmp_path: Path) -> None:
    assert step_by_step(hopped, tmp_path / "batch") == {}
    assert result_bytes(tmp_path / "batch") == result_bytes(judged)


def test_second_run_skips_everything_and_a_lost_task_comes_back_the_same(
    hopped: Simulated, judged: Path
) -> None:
    before = result_bytes(judged)
    summary = run(hopped, judged)
    assert (summary.skipped, summary.tasks) == (7, 7)
    (judged / "tasks" / "P02.ngs-index" / "done.json").unlink()
    states = {s.task_id: (s.state, s.reason) for s in task_states(judged)}
    assert states["P02.ngs-index"] == ("waiting", "no intact done-record")
    assert states["RUN1.ngs-run"] == ("waiting", "what it reads from changed: P02.ngs-index")
    events = judged / "tasks" / "P01.ngs" / "events.jsonl"
    worked = events.read_text()
    summary = run(hopped, judged)
    assert summary.failures == {}
    assert events.read_text() == worked  # what came before said the same, so it need not run again
    assert result_bytes(judged) == before


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """P01's and P02's follow-ups are exchanged, and P03's baseline holds reads too short to use."""
    visits = [("P01", "BASE", 200), ("P01", "ASCT", 60), ("P02", "BASE", 200), ("P02", "ASCT", 60)]
    samples = [sample(*visit, reads=2_000) for visit in [*visits, ("P03", "BASE", 200)]]
    folder = tmp_path_factory.mktemp("exchanged")
    return simulated(folder, samples, exchanged=[("P01_ASCT", "P02_ASCT")], run_id=RUN_FOLDER)


def test_exchanged_samples_are_doubted_and_a_failed_patient_stops_only_its_own(
    exchanged: Simulated, tmp_path: Path
) -> None:
    reads = exchanged.sheet.parent / "P03_BASE.fastq.gz"
    intact = reads.read_bytes()
    reads.write_bytes(gzip.compress(b"@r\nACGTACGTAC\n+\nFFFFFFFFFF\n", mtime=0))
    out = tmp_path / "batch"
    failures = step_by_step(exchanged, out)
    assert sorted(failures) == ["P03.ngs", "P03.ngs-index"]
    assert "shorter than 50 nucleotides" in failures["P03.ngs-index"]
    assert "needs P03.ngs-index, which has no result" in failures["P03.ngs"]
    control = json.loads((out / "results" / "run_control" / f"{RUN_FOLDER}.json").read_text())
    assert control["patients_without_marker"] == [{"patient_id": "P03", "why": "indexing failed"}]
    assert [s["patient_id"] for s in control["samples_not_read"]] == ["P03"]
    assert len(control["swapped"]) == 1
    for patient in ("P01", "P02"):
        doubted = result(out, patient, "ASCT")
        assert (doubted.status, doubted.reason) == (Status.INDETERMINATE, Reason.SUSPECTED_SWAP)
        assert "of another patient's clone: exchanged sample suspected" in doubted.qc
        assert "run control incomplete: the clone of 1 of the run's patients" in doubted.qc
        assert not any(other in doubted.qc for other in ("P01", "P02", "P03"))
        assert result(out, patient, "BASE").status is Status.DETECTED
    page = (out / "report" / "index.html").read_text()
    assert "hold each other&#39;s clone" in page
    # mended, the batch ends in the bytes of one that never failed
    reads.write_bytes(intact)
    assert step_by_step(exchanged, out) == {}
    assert step_by_step(exchanged, tmp_path / "fresh") == {}
    assert result_bytes(out) == result_bytes(tmp_path / "fresh")


@pytest.fixture
def with_controls(tmp_path: Path) -> Simulated:
    """Two patients, one with a clonal cell in 2,000 at follow-up, and both controls."""
    samples = [
        sample("P01", "BASE", 200, reads=4_000),
        sample("P01", "ASCT", 1, reads=4_000),
        sample("P02", "BASE", 200, reads=4_000),
        control("NEG", Role.NEGATIVE, 0),
        control("POLY", Role.POLYCLONAL, 400),
    ]
    return simulated(tmp_path / "run", samples, hop_rate=HOP)


def verdicts(out: Path) -> dict[str, dict]:
    """By name of the sample or control."""
    document = json.loads((out / "results" / "run_control" / "RUN1.json").read_text())
    names = {n["sample"]: f"{n['patient_id']} {n['role']}" for n in document["sample_names"]}
    return {names[v["sample"]]: v for v in document["samples"]}


def test_controls_of_a_run_are_judged_and_have_no_result(with_controls: Simulated, tmp_path: Path) -> None:
    out = tmp_path / "batch"
    assert step_by_step(with_controls, out) == {}
    assert [t.task_id for t in read_plan(Batch(out)).tasks] == [
        "P01.ngs-index", "P02.ngs-index", "RUN1.ngs-run", "P01.ngs", "P02.ngs",
    ]  # fmt: skip
    found = verdicts(out)
    assert {name: v["passed"] for name, v in found.items()} == {
        "P01 patient": True, "P02 patient": True, "NEG negative_control": True,
        "POLY polyclonal_control": True,
    }  # fmt: skip
    results = read_parquet(out / "results" / "mrd.parquet", MrdResult)
    assert {r.patient_id for r in results} == {"P01", "P02"}
    assert result(out, "P01", "ASCT").status is Status.DETECTED


def test_a_clone_in_a_negative_control_casts_doubt_on_its_patient_alone(
    with_controls: Simulated, tmp_path: Path
) -> None:
    folder = with_controls.sheet.parent
    reads = gzip.decompress((folder / "P01_BASE.fastq.gz").read_bytes()).splitlines(keepends=True)
    window = with_controls.truth["clones"]["P01"]["IGH"]["junction"].encode()
    clonal = [b"".join(reads[i - 1 : i + 3]) for i, line in enumerate(reads) if i % 4 == 1 and window in line]
    negative = folder / "NEG_BASE.fastq.gz"
    negative.write_bytes(
        gzip.compress(gzip.decompress(negative.read_bytes()) + b"".join(clonal[:80]), mtime=0)
    )
    out = tmp_path / "batch"
    assert step_by_step(with_controls, out) == {}
    assert not verdicts(out)["NEG negative_control"]["passed"]
    doubted = result(out, "P01", "ASCT")
    assert (doubted.status, doubted.reason) == (Status.INDETERMINATE, Reason.FAILED_QC)
    assert "reads of IGH-1 in a negative control" in doubted.qc
    assert "reads in a negative control (at most 1 %" in doubted.qc
    assert result(out, "P01", "BASE").status is Status.DETECTED  # with far more reads than the control
    other = result(out, "P02", "BASE")
    assert other.status is Status.DETECTED
    assert "reads in a negative control (at most 1 %" in other.qc
    assert "IGH-1 in a negative control" not in other.qc
    page = (out / "report" / "index.html").read_text()
    assert "run RUN1, sample NEG negative control" in page


def test_a_patients_sample_given_as_polyclonal_control_fails_it(
    with_controls: Simulated, tmp_path: Path
) -> None:
    folder = with_controls.sheet.parent
    (folder / "POLY_BASE.fastq.gz").write_bytes((folder / "P02_BASE.fastq.gz").read_bytes()[:-8])
    with pytest.raises(NadirError, match="file is truncated"):
        step_by_step(with_controls, tmp_path / "damaged")
    swapped = gzip.decompress((folder / "P02_BASE.fastq.gz").read_bytes()).replace(b"@", b"@again_")
    (folder / "POLY_BASE.fastq.gz").write_bytes(gzip.compress(swapped, mtime=0))
    out = tmp_path / "batch"
    assert step_by_step(with_controls, out) == {}
    failed = verdicts(out)["POLY polyclonal_control"]
    assert any("of the IGH reads of a polyclonal control" in p for p in failed["control_problems"])
    assert "of the IGH reads of a polyclonal control" in result(out, "P01", "BASE").qc
    assert result(out, "P01", "ASCT").status is Status.DETECTED


def test_a_negative_control_without_a_read_passes_and_judges_a_run_of_one_patient(
    with_controls: Simulated, tmp_path: Path
) -> None:
    folder = with_controls.sheet.parent
    (folder / "NEG_BASE.fastq.gz").write_bytes(gzip.compress(b"", mtime=0))
    lines = with_controls.sheet.read_text().splitlines(keepends=True)
    with_controls.sheet.write_text("".join(x for x in lines if not x.startswith(("P02", "POLY"))))
    out = tmp_path / "batch"
    assert step_by_step(with_controls, out) == {}
    found = verdicts(out)["NEG negative_control"]
    assert (found["passed"], found["kept_reads"]) == (True, 0)


def test_a_control_without_a_run_of_patients_is_left_out_and_said(
    with_controls: Simulated, tmp_path: Path
) -> None:
    text = with_controls.sheet.read_text()
    with_controls.sheet.write_text(
        "".join(x.replace("RUN1", "RUN2") if x.startswith("NEG") else x for x in text.splitlines(True))
    )
    config = load_config(with_controls.config)
    samples = read_sheet(with_controls.sheet, study_id="T1", timepoints=["BASE", "ASCT"], panels=None)
    digests = {path: "0" * 64 for s in samples for path in s.files}
    plan = make_plan(samples, config, digests)
    assert plan.left_out == ("negative_control NEG left out: no patient's sample is in its run RUN2",)
    assert "NEG" not in {s.patient_id for t in plan.tasks for s in t.samples}


@pytest.mark.parametrize("name", ["../x", "", "R 1", "R1/..", ".hidden", "x" * 33])
def test_run_names_that_are_no_names_make_no_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an identifier"):
        Batch(tmp_path).run_control(name)


def test_opened_for_review_the_files_give_the_results_of_the_run_and_a_marker_can_be_left_out(
    judged: Path, tmp_path: Path
) -> None:
    desk = Desk(shutil.copytree(judged, tmp_path / "batch"))
    look = desk.look("P01")
    for key in look.samples:
        assert desk.opened(key).results(key, ()) == look.of(key)
    (key,) = [k for k in look.samples if k.timepoint == "ASCT"]
    (marker,) = desk.opened(key).markers
    made = datetime(2026, 3, 1, tzinfo=UTC)
    dropped = Change(reviewer="AB-1", reason="public", made_at=made, target_id=marker.target_id)
    (revised,) = desk.change(key, dropped, look.seen).results
    assert revised.status is Status.NOT_EVALUABLE  # it was the only one
    assert revised.reason is Reason.NO_TRACKABLE_CLONE
    assert desk.look("P01").of(key) == look.of(key)
    with pytest.raises(UsageError, match="no such marker"):
        desk.change(key, dataclasses.replace(dropped, target_id="IGH-99"), desk.look("P01").seen)
