"""Real engines: Nextflow, and a Slurm cluster of two nodes on this machine.

Where one is missing its tests skip with the reason; under CI=true that is a failure.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_cluster import PROGRAMS, Cluster, cluster_in


def demand(*programs: str) -> None:
    """Skip where a program is missing, or fail where everything must be there."""
    missing = [name for name in programs if shutil.which(name) is None]
    if not missing:
        return
    reason = (
        f"not on PATH: {', '.join(missing)} (Nextflow: scripts/install-nextflow; Slurm: Debian's packages)"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def nextflow() -> Path:
    """The Nextflow executable."""
    demand("nextflow", "java")
    return Path(shutil.which("nextflow") or "")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two Slurm nodes; its paths are short, as a socket's must be."""
    demand(*PROGRAMS)
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started by root here")
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as folder, cluster_in(Path(folder)) as up:
        yield up
