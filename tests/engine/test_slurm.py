"""The slurm executor on a real cluster of two nodes: the local engine's bytes, whatever is lost."""

import time

import pytest

from scripted_batches import ScriptedBatch, scripted_batch
from slurm_cluster import Cluster, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


def options(cluster: Cluster) -> tuple[str, ...]:
    return ("--engine", "nextflow", "--profile", str(cluster.profile))


def test_node_lost_and_controller_restarted_the_run_ends_in_the_local_engines_bytes(
    tmp_path, nextflow, cluster
):
    """Six tasks are at work on both nodes when one of the nodes, then the controller, is killed."""
    flow = {f"P{i:02d}": "seconds 15" for i in range(6)}
    local = scripted_batch(tmp_path, flow, {"P01": "", "P02": "", "P03": ""}, out="local")
    assert local.run("--jobs", "2").returncode == 0
    batch = local.to("slurm")
    process = batch.start(*options(cluster), **cluster.variables)
    at_work = lambda: [t for t, e in batch.events().items() if t.endswith(".flow") and e == ["started"]]  # noqa: E731
    wait_for(lambda: len(at_work()) >= 5, 120, "the jobs did not start")
    before = batch.done()
    cluster.kill("n1")
    cluster.kill("slurmctld")
    time.sleep(5)
    cluster.start_controller()
    wait_for(lambda: "down" in " ".join(cluster.nodes()), 90, "the node is not seen to be down")
    cluster.start_node("n1")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert batch.done() == local.done()
    assert batch.bytes() == local.bytes()
    again = [task for task, events in batch.events().items() if events.count("started") > 1]
    assert again, "no job was lost: the node had none"
    assert all(batch.events()[task].count("started") == 1 for task in before)  # what was done stayed so
    for events in batch.events().values():  # a job that outlived its lost node may end beside its second try
        assert "finished" in events or "kept" in events
        assert events.count("finished") <= events.count("started")


def test_task_over_memory_is_tried_with_twice_as_much_and_where_that_is_too_little_says_so(
    tmp_path, nextflow, cluster
):
    """The first try gets 300 MB, the second 600, the third the site's cap of 700."""
    flow = {"P01": "", "P02": "seconds 6\nmemory_mb 430", "P03": "seconds 6\nmemory_mb 1200"}
    batch: ScriptedBatch = scripted_batch(tmp_path, flow)
    ended = batch.run(*options(cluster), **cluster.variables, timeout=500)
    assert ended.returncode == 4, ended.stderr
    assert batch.done() == {"P01.flow", "P02.flow"}
    assert batch.events()["P02.flow"] == ["started", "started", "finished"]
    state, reason = batch.states()["P03.flow"]
    assert state == "failed"
    assert "after 3 tries, the last with 700 MB" in reason
    assert "memory" in reason
    assert "after 3 tries" in (batch.out / "report" / "index.html").read_text()
