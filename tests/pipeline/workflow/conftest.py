"""A small batch: one patient by flow, simulated once a session, a sheet and a configuration."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from batches import HEADER, SmallBatch, run
from mrd_flow.panel.template import load_panel
from mrd_flow.simulate import simulate_tube

CONFIG = """\
[study]
id = "T1"
timepoints = ["BASE", "ASCT", "MNT1Y"]
thresholds = [1e-5]
"""


@pytest.fixture(scope="session")
def flow_files(tmp_path_factory) -> Path:
    """Three SRL tubes of 8,000 events: 20 %, 2 % and no clone."""
    folder = tmp_path_factory.mktemp("flow")
    for number, (name, fraction) in enumerate({"base": 0.2, "asct": 0.02, "mnt": 0.0}.items()):
        simulate_tube(
            folder / f"{name}.fcs",
            load_panel("srl"),
            0,
            events=8_000,
            aberrant_fraction=fraction,
            rng=np.random.default_rng([7, number]),
        )
    return folder


def written(folder: Path, flow_files: Path) -> SmallBatch:
    """Two patients, three visits of the first and one of the second, by flow."""
    rows = [
        ("P01", "BASE", "2025-01-10", "base"),
        ("P01", "ASCT", "2025-08-10", "asct"),
        ("P02", "MNT1Y", "2026-08-10", "mnt"),
    ]
    for *_, name in rows:
        shutil.copyfile(flow_files / f"{name}.fcs", folder / f"{name}.fcs")
    text = "".join(f"{p},{t},{d},bone_marrow,flow,{f}.fcs,,R1,,,,srl,F\n" for p, t, d, f in rows)
    sheet, config = folder / "sheet.csv", folder / "config.toml"
    sheet.write_text(HEADER + text)
    config.write_text(CONFIG)
    return SmallBatch(folder=folder, sheet=sheet, config=config)


@pytest.fixture
def small_batch(flow_files, tmp_path) -> SmallBatch:
    """A sheet, its files and its configuration; nothing has run."""
    return written(tmp_path, flow_files)


@pytest.fixture(scope="session")
def finished_batch(flow_files, tmp_path_factory) -> SmallBatch:
    """The same after its run, in ``batch`` beside them: to look at, never to change."""
    small_batch = written(tmp_path_factory.mktemp("finished"), flow_files)
    run(small_batch, small_batch.folder / "batch")
    return small_batch


@pytest.fixture
def done(small_batch, finished_batch) -> Path:
    """A finished batch of ``small_batch`` to change at will: a copy whose tasks name its own files."""
    out = shutil.copytree(finished_batch.folder / "batch", small_batch.folder / "batch")
    for path in (out / "plan.json", *out.glob("tasks/*/task.json")):
        path.write_text(path.read_text().replace(str(finished_batch.folder), str(small_batch.folder)))
    return out
