"""How Nextflow is called and read, where it need not run: tests/engine runs it."""

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import InputRefused, UsageError
from pipeline.model import Assay
from pipeline.workflow.batch import Batch
from pipeline.workflow.engine import engine_named
from pipeline.workflow.nextflow import run_nextflow
from pipeline.workflow.nextflow.command import RANKS, find_nextflow, launch_for, parameters_of
from pipeline.workflow.nextflow.trace import read_trace, why_without_result
from pipeline.workflow.steps import Phase

HERE = Path(run_nextflow.__globals__["__file__"]).parent


def task(task_id: str, *after: str) -> Any:
    return SimpleNamespace(
        task_id=task_id, assay=Assay.FLOW, phase=Phase.WHOLE, after=after, fingerprint=f"of {task_id}"
    )


def program(folder: Path, text: str) -> Path:
    path = folder / "nextflow"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_option_comes_before_environment_and_environment_before_path(tmp_path, monkeypatch):
    places = {name: tmp_path / name for name in ("option", "environment", "path")}
    for place in places.values():
        place.mkdir()
        program(place, "exit 0")
    monkeypatch.setenv("PATH", str(places["path"]), prepend=":")
    monkeypatch.delenv("NADIR_NEXTFLOW", raising=False)
    assert find_nextflow() == places["path"] / "nextflow"
    monkeypatch.setenv("NADIR_NEXTFLOW", str(places["environment"] / "nextflow"))
    assert find_nextflow() == places["environment"] / "nextflow"
    assert find_nextflow(places["option"] / "nextflow") == places["option"] / "nextflow"


def test_missing_nextflow_is_said_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NADIR_NEXTFLOW", raising=False)
    with pytest.raises(UsageError, match=r"not on PATH.*scripts/install-nextflow"):
        engine_named("nextflow")
    with pytest.raises(UsageError, match="--nextflow names no executable"):
        find_nextflow(tmp_path / "none")


def test_engines_and_their_options_are_named(tmp_path):
    with pytest.raises(UsageError, match="one of local, nextflow"):
        engine_named("cloud")
    with pytest.raises(UsageError, match="belong to --engine nextflow"):
        engine_named("local", profile="slurm")
    given: dict[str, Any] = {"executable": tmp_path, "jobs": None, "parameters": tmp_path / "p.json"}
    with pytest.raises(UsageError, match="local, slurm, or a Nextflow configuration"):
        launch_for(Batch(tmp_path), profile="pbs", **given)


def test_a_sites_profile_is_a_file_and_the_number_of_jobs_its_queue(tmp_path):
    site = tmp_path / "site.config"
    site.write_text("process.queue = 'long'\n")
    launch = launch_for(
        Batch(tmp_path), executable=tmp_path / "nf", profile=str(site), jobs=7, parameters=tmp_path / "p.json"
    )
    said = " ".join(launch.arguments)
    assert f"-c {site}" in said
    assert "-queue-size 7" in said
    assert "-profile" not in said
    assert launch.environment["NXF_OFFLINE"] == "true"
    assert launch.environment["NXF_HOME"].startswith(str(tmp_path))


def test_a_task_is_one_rank_behind_the_last_it_waits_for(tmp_path):
    tasks = [task("a.x"), task("b.x"), task("r.x", "a.x", "old.x"), task("c.x", "a.x", "r.x"), task("d.x")]
    told = parameters_of(Batch(tmp_path), tasks, {"old.x": "f00", "a.x": ""}, memory_limit_mb=None)
    assert {row["task_id"]: row["rank"] for row in told["tasks"]} == {
        "a.x": 0, "b.x": 0, "r.x": 1, "c.x": 2, "d.x": 0,
    }  # fmt: skip
    by_name = {row["task_id"]: row for row in told["tasks"]}
    assert by_name["r.x"]["after"] == ["a.x"]  # what is done already holds nobody up …
    assert by_name["r.x"]["before"] == ["old.x f00"]  # … but a change of it runs this again
    assert "memory_limit_mb" not in told
    json.dumps(told)


def test_main_nf_holds_as_many_ranks_as_are_checked(tmp_path):
    text = (HERE / "main.nf").read_text()
    assert [f"STEP_{rank}(" in text for rank in range(RANKS + 1)] == [True] * RANKS + [False]
    chain = [task(f"t{i}.x", *([f"t{i - 1}.x"] if i else [])) for i in range(RANKS + 1)]
    with pytest.raises(UsageError, match="wait for each other more than 4 deep"):
        parameters_of(Batch(tmp_path), chain, {}, memory_limit_mb=None)


def test_the_script_of_a_task_is_nadir_step_and_nothing_else():
    script = (HERE / "step.nf").read_text().split('"""')[1]
    place = "${params.batch}/tasks/${task_id}/task.json"
    assert script.strip() == f"${{params.python}} -m pipeline step {place} --copy ."


@pytest.mark.parametrize("name", ["a b", "$(touch x)", "a'b", 'a"b', "a;b", "a\nb", "a`b`", "a&b", "ä"])
def test_a_batch_path_that_a_shell_could_misread_never_gets_there(name, tmp_path):
    with pytest.raises(InputRefused, match="writes this path into shell scripts"):
        parameters_of(Batch(tmp_path / name), [], {}, memory_limit_mb=None)


HEADER = "tag\tstatus\texit\tattempt\tmemory\tworkdir\tpeak_rss\trealtime\n"


def test_the_last_try_counts_and_a_line_cut_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "trace.tsv"
    assert read_trace(path) == {}
    path.write_text(
        HEADER
        + f"P1.flow\tFAILED\t137\t1\t314572800\t{tmp_path}/1\t-\t5\n"
        + f"P1.flow\tFAILED\t-\t2\t629145600\t{tmp_path}/2\t-\t5\n"
        + "P2.flow\tCOMPL"
    )
    job = read_trace(path)["P1.flow"]
    assert (job.exit_code, job.attempt, job.memory_mb) == (None, 2, 600)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / ".command.log").write_text("x\nslurmstepd: error: Exceeded job memory limit\n")
    said = why_without_result(job)
    assert "no exit code (killed, out of memory or time, or its node was lost), after 2 tries" in said
    assert "the last with 600 MB; slurmstepd: error: Exceeded job memory limit" in said


def test_what_nextflow_said_last_is_the_reason_where_it_failed_itself(small_batch, tmp_path):
    """A program that only fails stands for a Nextflow whose scheduler is missing."""
    from pipeline.workflow.run import run_batch
    from pipeline.workflow.status import task_states

    out = tmp_path / "batch"
    engine = engine_named("nextflow", nextflow=program(tmp_path, "echo 'sbatch: command not found'; exit 1"))
    summary = run_batch(small_batch.sheet, out, config_path=small_batch.config, engine=engine)
    assert set(summary.failures) == {"P01.flow", "P02.flow"}
    reason = task_states(out)[0].reason
    assert "Nextflow ended with exit code 1 (sbatch: command not found)" in reason
    assert "nextflow.log" in reason


def test_a_job_that_is_tried_again_after_its_done_record_does_not_repeat_its_task(done):
    """As when a node is lost between a task's end and its job's."""
    from pipeline.workflow.task import execute

    folder = done / "tasks" / "P01.flow"
    record, events = (folder / "done.json").read_bytes(), (folder / "events.jsonl").read_text()
    assert execute(folder / "task.json") == json.loads(record)["output_sha256"]
    assert (folder / "done.json").read_bytes() == record
    added = (folder / "events.jsonl").read_text().removeprefix(events).splitlines()
    assert [json.loads(line)["event"] for line in added] == ["kept"]
