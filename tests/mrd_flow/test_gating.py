"""Gates equal FlowKit's and plain numpy's event for event, whatever the chunk and the order."""

import warnings

import numpy as np
import pytest

from mrd_flow.detectors import assign_detectors
from mrd_flow.fcs import read_data_sets
from mrd_flow.fcs_writer import Column, write_fcs
from mrd_flow.gating import gate_tube
from mrd_flow.panel import CombinationGate, Panel, PolygonGate
from mrd_flow.populations import spillover_matrix


def gated(path, panel: Panel, tube: int = 1, **choices):
    data = read_data_sets(path)[-1]
    columns = assign_detectors(data.parameters, panel, tube).columns
    return gate_tube(data, panel, tube, columns, **choices)


def with_polygon(panel: Panel) -> Panel:
    """The template with a polygon on two markers too, the general case."""
    corners = ((0.2, 0.4), (0.9, 0.3), (0.95, 0.9), (0.5, 1.0))
    extra = PolygonGate(
        name="CD38xCD45", parent="nucleated", kind="polygon", x="CD38", y="CD45", vertices=corners
    )
    return panel.model_copy(update={"gates": (*panel.gates, extra)})


def flowkit_membership(path, panel: Panel, tube: int) -> dict[str, np.ndarray]:
    """The same gates built as FlowKit objects."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import flowkit as fk
        from flowkit import gates as fk_gates
        from flowkit import transforms as fk_transforms
    sample = fk.Sample(path)
    strategy = fk.GatingStrategy()
    scale = panel.logicle
    strategy.add_transform(
        "logicle",
        fk_transforms.LogicleTransform(param_t=scale.t, param_w=scale.w, param_m=scale.m, param_a=scale.a),
    )
    spill = sample.metadata["spillover"]
    detectors = [f"{f}-A" for f in panel.tubes[tube - 1].markers.values()]
    strategy.add_comp_matrix("spill", fk.Matrix(spill, detectors))
    names = {m: f"{f}-A" for m, f in panel.tubes[tube - 1].markers.items()}

    def dimension(name, low=None, high=None):
        if name in panel.scatter:
            return fk.Dimension(name, range_min=low, range_max=high)
        return fk.Dimension(
            names[name], compensation_ref="spill", transformation_ref="logicle", range_min=low, range_max=high
        )

    paths = {"root": ("root",)}
    found: dict[str, np.ndarray] = {}
    for gate in panel.gates_of(tube):
        path_of_parent = paths[gate.parent]
        paths[gate.name] = (*path_of_parent, gate.name)
        if isinstance(gate, CombinationGate):
            continue
        if isinstance(gate, PolygonGate):
            made = fk_gates.PolygonGate(
                gate.name, [dimension(gate.x), dimension(gate.y)], [list(v) for v in gate.vertices]
            )
        else:
            made = fk_gates.RectangleGate(
                gate.name, [dimension(d, b.min, b.max) for d, b in gate.bounds.items()]
            )
        strategy.add_gate(made, path_of_parent)
    results = strategy.gate_sample(sample)
    for gate in panel.gates_of(tube):
        if not isinstance(gate, CombinationGate):
            found[gate.name] = np.asarray(results.get_gate_membership(gate.name))
    return found


@pytest.mark.parametrize("tube", [1, 2])
def test_membership_equals_flowkit_event_for_event(positive, euroflow, tube):
    panel = with_polygon(euroflow)
    path = positive[tube - 1][0]
    ours = gated(path, panel, tube, keep_membership=True).membership
    theirs = flowkit_membership(path, panel, tube)
    assert set(theirs) == set(ours) - {"aberrant"}
    for name, members in theirs.items():
        assert int((ours[name] != members).sum()) == 0, name
    either = theirs["CD27low"] | theirs["CD81low"] if tube == 1 else theirs["CD27low"]
    np.testing.assert_array_equal(ours["aberrant"], either)
    assert ours["aberrant"].sum() > 100


def test_compensation_solves_the_spillover_of_the_file(tmp_path, srl, rng):
    """Known light through S comes back: raw = true S (FCS 3.1), checked by numpy's solver."""
    from flowutils.transforms import logicle_inverse

    markers, fluorochromes = zip(*srl.tubes[0].markers.items(), strict=True)
    spillover = spillover_matrix(fluorochromes)
    true = rng.uniform(5_000, 60_000, (500, len(markers)))
    raw = (true @ spillover).astype(np.float32)
    scatter = np.tile(np.array([110_000, 88_000, 50_000], np.float32), (500, 1))
    detectors = [f"{f}-A" for f in fluorochromes]
    columns = [Column(name=n) for n in srl.scatter]
    columns += [Column(name=d, stain=m) for d, m in zip(detectors, markers, strict=True)]
    path = tmp_path / "t.fcs"
    write_fcs(path, columns, [np.hstack([scatter, raw])], events=500, spillover=(detectors, spillover))
    found = gated(path, srl)
    expected = np.linalg.solve(spillover.T, raw.astype(np.float64).T).T
    rows = found.plasma_cell_events
    assert len(rows) > 100
    for marker in markers:
        back = logicle_inverse(
            found.plasma_cells[:, found.dimensions.index(marker)], None, t=262144, w=0.5, m=4.5
        )
        np.testing.assert_allclose(back, expected[rows, markers.index(marker)], rtol=1e-9)
        np.testing.assert_allclose(back, true[rows, markers.index(marker)], rtol=1e-3)


def test_chunk_size_changes_nothing(positive, euroflow):
    path = positive[0][0]
    whole = gated(path, euroflow, keep_membership=True, chunk_events=10**6)
    parts = gated(path, euroflow, keep_membership=True, chunk_events=9_973)
    assert whole.tallies == parts.tallies
    np.testing.assert_array_equal(whole.plasma_cells, parts.plasma_cells)
    np.testing.assert_array_equal(whole.plasma_cell_events, parts.plasma_cell_events)
    np.testing.assert_array_equal(whole.membership["aberrant"], parts.membership["aberrant"])


def test_the_order_of_events_changes_nothing(tmp_path, positive, euroflow, rng):
    path = positive[0][0]
    (data,) = read_data_sets(path)
    events = data.table()
    shuffled = tmp_path / "shuffled.fcs"
    columns = [Column(name=p.name, stain=p.stain) for p in data.parameters]
    names = [data.parameters[c].name for c in data.spillover.columns]
    mixed = events[rng.permutation(len(events))]
    write_fcs(shuffled, columns, [mixed], events=len(events), spillover=(names, data.spillover.matrix))
    assert gated(shuffled, euroflow).tallies == gated(path, euroflow).tallies


def test_values_that_are_not_numbers_are_in_no_gate(tmp_path, srl):
    columns = [Column(name=n) for n in srl.scatter]
    columns += [Column(name=f"{f}-A", stain=m) for m, f in srl.tubes[0].markers.items()]
    events = np.full((3, len(columns)), np.nan, np.float32)
    events[1] = np.inf
    write_fcs(tmp_path / "t.fcs", columns, [events], events=3)
    assert {t.count for t in gated(tmp_path / "t.fcs", srl).tallies} == {0}


def test_no_events_give_empty_gates(tmp_path, srl):
    columns = [Column(name=n) for n in srl.scatter]
    columns += [Column(name=f"{f}-A", stain=m) for m, f in srl.tubes[0].markers.items()]
    write_fcs(tmp_path / "t.fcs", columns, [], events=0)
    found = gated(tmp_path / "t.fcs", srl, keep_membership=True)
    assert {t.count for t in found.tallies} == {0}
    assert found.plasma_cells.shape == (0, 11)


def test_counts_form_a_hierarchy(positive, euroflow):
    tallies = gated(positive[0][0], euroflow).tallies
    assert [t.path for t in tallies[:3]] == ["root", "root/singlets", "root/singlets/nucleated"]
    assert all(t.count <= t.parent_count for t in tallies)
    assert tallies[1].detail == "FSC-A >= 26000"
