"""Boundaries from the sample's own events: what they gain, and when they are not trusted."""

import numpy as np
import pytest

from mrd_flow.engine.run import columns_of
from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.gating.thresholds import find_boundaries
from mrd_flow.gating.tube import gate_tube
from mrd_flow.panel.detectors import assign_detectors
from mrd_flow.panel.gates import Bounds, LandmarkQuantileRule, MixtureCutRule
from mrd_flow.panel.program import dimensions_of
from mrd_flow.panel.template import Panel, RectangleGate
from mrd_flow.simulate import simulate_tube

EVENTS = 250_000


def opened(path, panel, tube=1):
    data = read_data_sets(path)[-1]
    return data, assign_detectors(data.parameters, panel, tube).columns


def found_in(path, panel, tube=1, **choices):
    data, columns = opened(path, panel, tube)
    return find_boundaries(data, panel, tube, dimensions_of(panel, columns, columns_of(data)), **choices)


def without_rules(panel: Panel) -> Panel:
    """The template with its own boundaries only."""
    gates = [
        g.model_copy(update={"bounds": {d: Bounds(min=b.min, max=b.max) for d, b in g.bounds.items()}})
        if isinstance(g, RectangleGate)
        else g
        for g in panel.gates
    ]
    return panel.model_copy(update={"gates": tuple(gates)})


def with_rule(panel: Panel, gate: str, dimension: str, **bounds) -> Panel:
    """The template with one gate's bounds of one dimension exchanged."""
    gates = [
        g.model_copy(update={"bounds": g.bounds | {dimension: Bounds(**bounds)}}) if g.name == gate else g
        for g in panel.gates
    ]
    return panel.model_copy(update={"gates": tuple(gates)})


def simulated(folder, panel, tube, seed, *, scatter_gain=1.0, **choices):
    """A tube of 250,000 events and the kind of each; forward scatter amplified by a factor."""
    path = folder / "tube.fcs"
    simulate_tube(
        path,
        panel,
        tube - 1,
        events=EVENTS,
        aberrant_fraction=2e-4,
        rng=np.random.default_rng(seed),
        event_truth=folder / "truth.npy",
        **choices,
    )
    if scatter_gain != 1.0:
        (data,) = read_data_sets(path)
        events = data.table()
        events[:, :2] = np.minimum(events[:, :2] * scatter_gain, 262_143)
        columns = [Column(name=p.name, stain=p.stain, range=int(p.range)) for p in data.parameters]
        names = [data.parameters[c].name for c in data.spillover.columns]
        write_fcs(path, columns, [events], events=EVENTS, spillover=(names, data.spillover.matrix))
    return path, np.load(folder / "truth.npy")


def quality(path, truth, panel, tube):
    """F1 and recall of plasma cells, relative error of the nucleated cells, the tube."""
    data, columns = opened(path, panel, tube)
    found = gate_tube(data, panel, tube, columns)
    plasma_cells = np.isin(truth, (1, 2))
    right = plasma_cells[found.plasma_cell_events].sum()
    f1 = 2 * right / (len(found.plasma_cell_events) + plasma_cells.sum())
    nucleated = found.count(panel.nucleated_gate) / np.isin(truth, (0, 1, 2)).sum() - 1
    return f1, right / plasma_cells.sum(), nucleated, found


def test_rules_hold_where_every_detector_is_dim(tmp_path, euroflow):
    """All gains 0.7, spillover matrix unchanged: fixed boundaries lose cells, rules do not."""
    gain = dict.fromkeys(euroflow.tubes[0].markers, 0.7)
    path, truth = simulated(tmp_path, euroflow, 1, 21, gain=gain, scatter_gain=0.7)
    f1, recall, nucleated, found = quality(path, truth, euroflow, 1)
    assert f1 >= 0.99
    assert recall >= 0.99
    assert abs(nucleated) <= 0.005
    assert not any(t.fell_back for t in found.tallies)
    fixed_f1, _, fixed_nucleated, _ = quality(path, truth, without_rules(euroflow), 1)
    assert fixed_f1 < 0.97
    assert fixed_nucleated < -0.01


def test_rules_hold_where_gains_differ_and_compensation_is_wrong(tmp_path, euroflow):
    """Gains of 0.7 and 1.4 in turn, after the spillover matrix was made."""
    gain = {m: 1.4 if i % 2 == 0 else 0.7 for i, m in enumerate(euroflow.tubes[1].markers)}
    path, truth = simulated(tmp_path, euroflow, 2, 22, gain=gain, scatter_gain=1.4)
    f1, recall, nucleated, found = quality(path, truth, euroflow, 2)
    assert f1 >= 0.99
    assert recall >= 0.99
    assert abs(nucleated) <= 0.005
    assert found.anomalies == ()


@pytest.mark.parametrize(
    ("name", "tube", "decades"), [("euroflow", 1, 0.3), ("euroflow", 1, 1.5), ("srl", 1, 1.0)]
)
def test_plasma_cells_with_hidden_cd38_are_found_and_flagged(tmp_path, request, name, tube, decades):
    panel = request.getfixturevalue(name)
    path, truth = simulated(tmp_path, panel, tube, 23, masking_log10={"CD38": decades})
    _, recall, _, found = quality(path, truth, panel, tube)
    assert recall >= 0.95
    assert [a.code for a in found.anomalies] == ["cd38_masked"]
    assert "CD38 of b_precursors puts the boundary at" in found.anomalies[0].text
    (boundary,) = found.boundaries["by_CD38"]
    assert boundary.fell_back
    assert boundary.value == boundary.template_value
    if decades > 1.0:
        assert found.count("by_CD38") < 0.02 * found.count("by_CD138")


def test_seen_cd38_is_not_flagged(positive, euroflow):
    for tube, (path, _) in enumerate(positive, start=1):
        data, columns = opened(path, euroflow, tube)
        assert gate_tube(data, euroflow, tube, columns).anomalies == ()


def test_a_quantile_is_that_of_the_landmarks_events(positive, euroflow):
    """By hand: the events in the landmark's bounds, their CD38, a value of one of them."""
    from flowutils.transforms import logicle

    path = positive[0][0]
    data, columns = opened(path, euroflow)
    landmark = next(m for m in euroflow.landmarks if m.name == "b_precursors").gate()
    panel = euroflow.model_copy(update={"gates": (*euroflow.gates, landmark), "landmarks": ()})
    boundaries = found_in(path, euroflow)
    members = gate_tube(data, panel, 1, columns, boundaries=boundaries, keep_membership=True).membership
    block = list(data.spillover.columns)
    raw = data.table().astype(float)[members["b_precursors"]]
    light = np.linalg.solve(data.spillover.matrix.T, raw[:, block].T).T[:, block.index(columns["CD38"])]
    values = np.sort(logicle(light, None, t=262144, w=0.5, m=4.5, a=0))
    (used,) = boundaries["by_CD38"]
    assert used.population_events == len(values) > 1000
    assert used.value == pytest.approx(values[(len(values) - 1) // 2] - 0.05, abs=1e-4)


def test_boundaries_are_those_of_a_sample_of_the_file_and_the_same_each_time(positive, euroflow):
    path = positive[0][0]
    whole, few = found_in(path, euroflow), found_in(path, euroflow, most_events=60_000)
    assert few == found_in(path, euroflow, most_events=60_000)
    for gate, used in few.items():
        for ours, theirs in zip(used, whole[gate], strict=True):
            assert ours.value == pytest.approx(theirs.value, rel=0.03, abs=0.01)
            assert ours.population_events < theirs.population_events / 3


def test_too_few_landmark_events_fall_back(positive, euroflow):
    few = [m.model_copy(update={"min_events": 10**6}) for m in euroflow.landmarks]
    boundaries = found_in(positive[0][0], euroflow.model_copy(update={"landmarks": tuple(few)}))
    (used,) = boundaries["by_CD38"]
    assert used.fell_back
    assert used.value == used.template_value == 0.72
    assert used.reason == f"{used.population_events} b_precursors events where 1000000 are needed"
    assert used.found is None


def test_a_boundary_outside_its_limits_falls_back(positive, euroflow):
    rule = LandmarkQuantileRule(
        kind="landmark_quantile", landmark="t_cells", quantile=0.5, offset=0.3, limits=(0.4, 0.45)
    )
    panel = with_rule(euroflow, "CD138positive", "CD138", min=0.44, min_rule=rule)
    data, columns = opened(positive[0][0], panel)
    tally = next(t for t in gate_tube(data, panel, 1, columns).tallies if t.gate == "CD138positive")
    used = tally.boundaries[1]
    assert tally.fell_back
    assert used.value == 0.44
    assert used.found > 0.45
    assert used.reason == f"{used.found:g} lies outside the limits 0.4 to 0.45"
    assert f"landmark quantile found none, {used.reason}; template's value" in tally.detail


def test_a_mixture_is_cut_between_plasma_cells_with_and_without_cd19(positive, euroflow):
    rule = MixtureCutRule(kind="mixture_cut", min_events=300, limits=(0.3, 0.55))
    low = RectangleGate(
        name="CD19low", parent="plasma_cells", kind="rectangle", bounds={"CD19": Bounds(max=0.46)}
    )
    panel = euroflow.model_copy(update={"gates": (*euroflow.gates, low)})
    panel = with_rule(panel, "CD19low", "CD19", max=0.46, max_rule=rule)
    (used,) = found_in(positive[0][0], panel)["CD19low"]
    assert used.side == "max"
    assert not used.fell_back
    assert 0.35 < used.value < 0.55


def test_no_events_fall_back_everywhere(tmp_path, srl):
    columns = [Column(name=n) for n in srl.scatter]
    columns += [Column(name=f"{f}-A", stain=m) for m, f in srl.tubes[0].markers.items()]
    write_fcs(tmp_path / "t.fcs", columns, [], events=0)
    used = [b for bs in found_in(tmp_path / "t.fcs", srl).values() for b in bs]
    assert len(used) == 5
    assert all(b.fell_back and b.value == b.template_value and b.population_events == 0 for b in used)


def test_a_template_without_rules_looks_at_no_event(positive, euroflow):
    assert found_in(positive[0][0], without_rules(euroflow)) == {}
