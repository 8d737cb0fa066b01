"""Mass cytometry in a batch: each patient's samples, later ones against the first."""

import json

import numpy as np
import pytest

from batches import HEADER
from mrd_flow.cytof.panel import load_cytof_panel
from mrd_flow.cytof.simulate import simulate_run
from mrd_flow.cytof.simulated_cells import Marrow, after_daratumumab
from pipeline.formats.records import read_parquet
from pipeline.model import Finding, PopulationChange, PopulationShare
from pipeline.workflow.run import run_batch

CONFIG = '[study]\nid = "T1"\ntimepoints = ["BASE", "DRD1"]\nthresholds = [1e-5]\n'
VISITS = {"BASE": "2025-01-10", "DRD1": "2025-02-10"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One patient before and after daratumumab, a file each."""
    folder = tmp_path_factory.mktemp("cytof")
    panel = load_cytof_panel("marrow").model_copy(update={"barcodes": None})
    for number, marrow in enumerate((Marrow(), after_daratumumab(Marrow()))):
        rng = np.random.default_rng([5, number])
        simulate_run(folder / f"v{number}", panel, [marrow], events=12_000, rng=rng)
    return folder


def batch_of(folder, tmp_path, files, config=CONFIG):
    rows = [
        f"P01,{code},{day},bone_marrow,cytof,{file},,C1,,,,marrow,F\n"
        for (code, day), file in zip(VISITS.items(), files, strict=True)
    ]
    (tmp_path / "sheet.csv").write_text(HEADER + "".join(rows))
    (tmp_path / "config.toml").write_text(config)
    return tmp_path / "sheet.csv", tmp_path / "config.toml"


def test_a_batch_counts_populations_and_their_change_since_the_first_sample(folder, tmp_path):
    files = [folder / f"v{n}" / "run.fcs" for n in (0, 1)]
    sheet, config = batch_of(folder, tmp_path, files, CONFIG + "[cytof]\ndebarcoded = true\n")
    out = tmp_path / "batch"
    run_batch(sheet, out, config_path=config, jobs=1)

    shares = read_parquet(out / "results" / "populations.parquet", PopulationShare)
    changes = read_parquet(out / "results" / "population_changes.parquet", PopulationChange)
    assert {s.timepoint for s in shares} == set(VISITS)
    for share in shares:
        assert share.fraction == pytest.approx(share.count / share.denominator)
        assert share.doubt_low <= share.ci_low <= share.fraction <= share.ci_high <= share.doubt_high
    by_place = {(s.timepoint, s.path): s.fraction for s in shares}
    for change in (c for c in changes if c.measure == "fraction"):
        moved = by_place["DRD1", change.path] - by_place["BASE", change.path]
        assert (change.timepoint, change.first_timepoint) == ("DRD1", "BASE")
        assert change.difference == pytest.approx(moved)
        assert change.ci_low <= moved <= change.ci_high
    assert any(c.measure == "masking_low" and c.ci_low > 0.2 for c in changes)  # CD38 fell
    assert "panel_unverified" in {f.code for f in read_parquet(out / "results" / "findings.parquet", Finding)}
    page = (out / "report" / "patients" / "P01.html").read_text()
    assert "Populations by" in page
    assert "research use only" in page


def test_a_barcoded_file_whose_key_does_not_name_the_patient_is_refused(folder, tmp_path):
    files = [folder / "v0" / "run.fcs"] * 2
    sheet, config = batch_of(folder, tmp_path, files)
    out = tmp_path / "batch"
    run_batch(sheet, out, config_path=config, jobs=1)
    failed = json.loads((out / "tasks" / "P01.cytof" / "failed.json").read_text())
    assert "no code for this sample" in failed["message"]
