"""Beads are found, drift is seen and taken out, and what remains is measured honestly."""

import numpy as np
import pytest

from bench.study_cytof import true_departure
from mrd_flow.cytof.bead_drift import find_beads, moving_factor, normalise
from mrd_flow.cytof.panel import load_cytof_panel
from mrd_flow.cytof.read import CytofRun
from mrd_flow.cytof.simulate import simulate_events
from mrd_flow.cytof.simulated_cells import EventKind, Marrow, RunModel

PANEL = load_cytof_panel("marrow")


def made(seed=1, events=60_000, **model):
    columns, table, truth = simulate_events(
        PANEL,
        [Marrow()] * 20,
        events=events,
        rng=np.random.default_rng(seed),
        model=RunModel(**model),
    )
    return as_run(columns, table), truth


def as_run(columns, table, file=None, files=("file_1",)):
    return CytofRun(
        columns=columns,
        table=table,
        file=np.zeros(len(table), dtype=np.intp) if file is None else file,
        files=files,
        sha256=("",) * len(files),
        flags=(),
    )


def test_beads_are_found_and_cells_are_none():
    run, truth = made()
    pure, bright, _ = find_beads(run, PANEL, PANEL.beads)
    assert (pure == (truth.kind == EventKind.BEAD)).mean() > 0.9999
    with_bead = np.isin(truth.kind, (EventKind.BEAD, EventKind.BEAD_WITH_CELL))
    assert (bright == with_bead).mean() > 0.9999


@pytest.mark.parametrize("drift", [0.0, 0.3, 0.6])
def test_at_most_five_percent_of_drift_remains(drift):
    run, truth = made(seed=2, drift=drift)
    normal = normalise(run, PANEL)
    assert true_departure(truth.sensitivity * normal.factor) <= 0.05
    assert max(d.residual for d in normal.drifts) <= 0.05
    assert normal.flags == ()
    if drift:
        assert min(d.drift for d in normal.drifts) > 0.1


def test_two_files_are_brought_to_one_level():
    first, _ = made(seed=3, drift=0.1)
    second, _ = made(seed=4, drift=0.1)
    metals = [i for i, c in enumerate(second.columns) if c[-1].isdigit()]
    weaker = second.table.copy()
    weaker[:, metals] *= 0.6
    run = as_run(
        first.columns,
        np.vstack([first.table, weaker]),
        np.repeat([0, 1], [len(first.table), len(weaker)]),
        ("file_1", "file_2"),
    )
    normal = normalise(run, PANEL)
    dna = normal.run.of("Ir191")[~normal.bead]
    middle = [np.median(dna[run.file[~normal.bead] == f]) for f in (0, 1)]
    assert middle[1] / middle[0] == pytest.approx(1.0, abs=0.03)
    assert np.median(run.of("Ir191")[run.file == 1]) / np.median(run.of("Ir191")[run.file == 0]) < 0.65


def test_a_run_without_beads_is_left_as_it_is_and_flagged():
    run, _ = made(seed=5, events=20_000, beads=0.0, beads_with_cell=0.0)
    normal = normalise(run, PANEL)
    assert [f.code for f in normal.flags] == ["drift_not_checked"]
    assert (normal.factor == 1).all()
    assert np.array_equal(normal.run.table, run.table)
    assert all(d.drift is None and d.residual is None for d in normal.drifts)


def test_a_template_without_beads_says_that_drift_is_not_known():
    run, _ = made(seed=5, events=5000)
    normal = normalise(run, PANEL.model_copy(update={"beads": None}))
    assert [f.code for f in normal.flags] == ["drift_not_checked"]


def test_drift_that_differs_between_channels_is_flagged_as_remaining():
    """One factor cannot mend five channels that go different ways."""
    run, _ = made(seed=6, drift=0.1)
    table = run.table.copy()
    table[:, run.columns.index("Ce140")] *= np.linspace(1.0, 0.5, len(table), dtype=np.float32)
    normal = normalise(as_run(run.columns, table), PANEL)
    assert "drift_remains" in {f.code for f in normal.flags}
    assert any("Ce140" in f.text for f in normal.flags)


def test_a_file_without_time_goes_by_the_order_of_its_events():
    run, truth = made(seed=7, drift=0.4)
    keep = [i for i, c in enumerate(run.columns) if c != "Time"]
    bare = as_run(tuple(run.columns[i] for i in keep), run.table[:, keep])
    normal = normalise(bare, PANEL)
    assert "no_time" in {f.code for f in normal.flags}
    assert true_departure(truth.sensitivity * normal.factor) <= 0.05


def test_order_of_events_in_the_file_does_not_matter():
    run, _ = made(seed=8, events=30_000)
    order = np.random.default_rng(1).permutation(len(run.table))
    mixed = normalise(as_run(run.columns, run.table[order]), PANEL)
    assert mixed.factor == pytest.approx(normalise(run, PANEL).factor[order], rel=1e-9)


def test_a_steady_line_is_followed_to_its_ends():
    """A median at the end would lag by half a window."""
    time = np.arange(1000.0)
    level = 1 - 0.5 * time / 1000
    beads = np.outer(level, [800.0, 600.0])
    factor = moving_factor(beads, time, time, np.array([800.0, 600.0]), 200)
    assert factor * level == pytest.approx(np.ones(1000), rel=2e-3)
