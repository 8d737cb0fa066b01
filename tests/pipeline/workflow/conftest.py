"""A small batch: one patient by flow, simulated once a session, a sheet and a configuration."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mrd_flow.panel.template import load_panel
from mrd_flow.simulate import simulate_tube

HEADER = (
    "patient_id,timepoint,collected_on,material,assay,file_1,file_2,run_id,cells,dna_ng,spike_ins,panel,sex\n"
)
CONFIG = """\
[study]
id = "T1"
timepoints = ["BASE", "ASCT", "MNT1Y"]
thresholds = [1e-5]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallBatch:
    """Where its parts lie."""

    folder: Path
    sheet: Path
    config: Path


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


@pytest.fixture
def small_batch(flow_files, tmp_path) -> SmallBatch:
    """Two patients, three visits of the first and one of the second, by flow."""
    rows = [
        ("P01", "BASE", "2025-01-10", "base"),
        ("P01", "ASCT", "2025-08-10", "asct"),
        ("P02", "MNT1Y", "2026-08-10", "mnt"),
    ]
    for *_, name in rows:
        (tmp_path / f"{name}.fcs").write_bytes((flow_files / f"{name}.fcs").read_bytes())
    text = "".join(f"{p},{t},{d},bone_marrow,flow,{f}.fcs,,R1,,,,srl,F\n" for p, t, d, f in rows)
    sheet, config = tmp_path / "sheet.csv", tmp_path / "config.toml"
    sheet.write_text(HEADER + text)
    config.write_text(CONFIG)
    return SmallBatch(folder=tmp_path, sheet=sheet, config=config)
