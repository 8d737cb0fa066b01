"""Gates equal FlowKit's and plain numpy's event for event, whatever the chunk and the order."""

import warnings
from datetime import datetime
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mrd_flow.export.gatingml import gatingml_of
from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.gating.overrides import Override
from mrd_flow.gating.tube import gate_tube
from mrd_flow.panel.detectors import assign_detectors
from mrd_flow.panel.template import CombinationGate, Panel, PolygonGate, RectangleGate
from mrd_flow.simulation.populations import spillover_matrix
from pipeline.errors import UsageError

NADIR = "{urn:nadir:gate-provenance:1}"


def gated(path, panel: Panel, tube: int = 1, **choices):
    data = read_data_sets(path)[-1]
    columns = assign_detectors(data.parameters, panel, tube).columns
    return gate_tube(data, panel, tube, columns, **choices)


def with_more_gates(panel: Panel) -> Panel:
    """The template with a polygon on two markers, the general case, and a gate of what is in neither."""
    corners = ((0.2, 0.4), (0.9, 0.3), (0.95, 0.9), (0.5, 1.0))
    extra = PolygonGate(
        name="CD38xCD45", parent="nucleated", kind="polygon", x="CD38", y="CD45", vertices=corners
    )
    neither = CombinationGate(
        name="neither", parent="nucleated", kind="none_of", gates=("CD38xCD45", "CD138positive")
    )
    return panel.model_copy(update={"gates": (*panel.gates, extra, neither)})


def by_flowkit(path, xml, names) -> dict[str, np.ndarray]:
    """What FlowKit makes of Gating-ML text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import flowkit
    results = flowkit.parse_gating_xml(str(xml)).gate_sample(flowkit.Sample(path))
    return {name: np.asarray(results.get_gate_membership(name), bool) for name in names}


def exported(path, panel, tube, gated_tube, **choices):
    data = read_data_sets(path)[-1]
    columns = assign_detectors(data.parameters, panel, tube).columns
    return gatingml_of(gated_tube, data, panel, tube, columns, **choices)


@pytest.mark.parametrize("tube", [1, 2])
def test_membership_equals_flowkit_event_for_event(tmp_path, positive, euroflow, tube):
    """The gates as applied, with the boundaries that rules chose, as Gating-ML through FlowKit."""
    panel = with_more_gates(euroflow)
    path = positive[tube - 1][0]
    found = gated(path, panel, tube, keep_membership=True)
    (tmp_path / "gates.xml").write_text(exported(path, panel, tube, found))
    theirs = by_flowkit(path, tmp_path / "gates.xml", found.membership)
    assert {n: int((theirs[n] != m).sum()) for n, m in found.membership.items()} == dict.fromkeys(theirs, 0)
    assert found.count("plasma_cells") > 500
    assert 0 < found.count("neither") < found.count("nucleated")


def test_membership_equals_plain_numpy(positive, euroflow):
    """Compensation by numpy's solver, FlowUtils' logicle, comparisons: no kernel, no table."""
    from flowutils.transforms import logicle

    path = positive[0][0]
    found = gated(path, euroflow, keep_membership=True)
    data = read_data_sets(path)[-1]
    columns = assign_detectors(data.parameters, euroflow, 1).columns
    raw = data.table().astype(float)
    block = list(data.spillover.columns)
    raw[:, block] = np.linalg.solve(data.spillover.matrix.T, raw[:, block].T).T
    values = {
        d: raw[:, c] if d in euroflow.scatter else logicle(raw[:, c], None, t=262144, w=0.5, m=4.5, a=0)
        for d, c in columns.items()
    }
    compared = 0
    for gate in found.gates:
        if not isinstance(gate, RectangleGate):
            continue
        inside = found.membership[gate.parent].copy()
        for dimension, bounds in gate.bounds.items():
            inside &= values[dimension] >= (-np.inf if bounds.min is None else bounds.min)
            inside &= values[dimension] < (np.inf if bounds.max is None else bounds.max)
        np.testing.assert_array_equal(found.membership[gate.name], inside)
        compared += 1
    assert compared >= 8
    rows = found.plasma_cell_events
    for i, dimension in enumerate(found.dimensions):
        np.testing.assert_allclose(found.plasma_cells[:, i], values[dimension][rows], atol=1e-9)


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
    np.testing.assert_array_equal(whole.membership["plasma_cells"], parts.membership["plasma_cells"])


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
    (boundary,) = tallies[1].boundaries
    assert (boundary.rule, boundary.population, boundary.fell_back) == ("valley", "singlets", False)
    assert boundary.population_events == tallies[1].parent_count
    assert boundary.low < boundary.value < boundary.high
    assert tallies[1].detail == (
        f"FSC-A >= {boundary.value:g} (FSC-A min: valley of {boundary.population_events} singlets events, "
        "limits 15000 to 45000, template 28000)"
    )


def test_events_that_are_not_kept_are_in_no_gate_and_move_no_boundary(positive, euroflow):
    path = positive[0][0]
    kept = np.ones(250_000, bool)
    kept[50_000:90_000] = False
    free = gated(path, euroflow, keep_membership=True)
    masked = gated(path, euroflow, kept=kept, keep_membership=True)
    same = gated(path, euroflow, kept=kept, boundaries=free.boundaries, keep_membership=True)
    assert (masked.events, masked.excluded, free.excluded) == (250_000, 40_000, 0)
    for name, members in same.membership.items():
        np.testing.assert_array_equal(members, free.membership[name] & kept)
    assert not any(m[50_000:90_000].any() for m in masked.membership.values())
    seen = {b.population: b.population_events for b in masked.boundaries["nucleated"]}
    assert seen["singlets"] == int(masked.membership["singlets"].sum())
    with pytest.raises(ValueError, match="kept must have 250000 entries"):
        gated(path, euroflow, kept=kept[:-1])


MADE = {"author": "A1", "reason": "seen on the plot", "made_on": datetime(2026, 3, 1, 9, 30)}


def test_an_override_moves_its_boundary_and_no_other(positive, euroflow):
    path = positive[0][0]
    free = gated(path, euroflow)
    override = Override(tube=1, gate="by_CD38", dimension="CD38", min=0.9, **MADE)
    other_tube = Override(tube=2, gate="singlets", vertices=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)), **MADE)
    moved = gated(path, euroflow, overrides=(override, other_tube))
    assert moved.boundaries == free.boundaries
    assert moved.count("singlets") == free.count("singlets")
    assert moved.count("by_CD138") == free.count("by_CD138")
    assert 0 < moved.count("by_CD38") < free.count("by_CD38") / 2
    (boundary,) = next(t for t in moved.tallies if t.gate == "by_CD38").boundaries
    assert (boundary.value, boundary.template_value, boundary.overridden) == (0.9, 0.72, True)
    detail = next(t.detail for t in moved.tallies if t.gate == "by_CD38")
    assert detail == "CD38 >= 0.9 (CD38 min set by a person, template 0.72)"


def test_an_overridden_polygon_takes_the_new_corners(positive, euroflow):
    corners = ((0.0, 0.0), (300_000.0, 225_000.0), (300_000.0, 260_000.0))
    override = Override(tube=1, gate="singlets", vertices=corners, **MADE)
    found = gated(positive[0][0], euroflow, overrides=(override,))
    assert found.gates[0].vertices == corners
    assert found.count("singlets") < gated(positive[0][0], euroflow).count("singlets")
    assert found.tallies[0].detail.endswith("(FSC-A x FSC-H vertices set by a person)")


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ({"gate": "by_CD38", "dimension": "CD19", "min": 0.5}, "a gate or dimension that there is not"),
        ({"gate": "absent", "dimension": "CD38", "min": 0.5}, "a gate or dimension that there is not"),
        ({"gate": "by_CD138", "dimension": "CD138", "max": 0.1}, "min of CD138 below its max"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(positive, euroflow, override, reason):
    with pytest.raises(UsageError, match=reason):
        gated(positive[0][0], euroflow, overrides=(Override(tube=1, **override, **MADE),))


def test_exported_gates_say_where_each_boundary_came_from(positive, euroflow):
    path = positive[0][0]
    override = Override(tube=1, gate="by_CD138", dimension="CD45", max=0.8, **MADE | {"reason": 'a "<&>" b'})
    found = gated(path, euroflow, overrides=(override,))
    root = ET.fromstring(exported(path, euroflow, 1, found, overrides=(override,)))
    tallies = {t.gate: t for t in found.tallies}
    gates = root.findall(f".//{NADIR}gate")
    assert [int(g.get("count")) for g in gates] == [t.count for t in found.tallies]
    assert {(g.get("template"), g.get("version")) for g in gates} == {(euroflow.name, euroflow.version)}
    boundary = gates[list(tallies).index("by_CD38")].find(f"{NADIR}boundary")
    (used,) = tallies["by_CD38"].boundaries
    assert float(boundary.get("value")) == used.value
    assert (boundary.get("population"), boundary.get("fell_back")) == ("b_precursors", "false")
    (person,) = root.findall(f".//{NADIR}override")
    assert (person.get("author"), person.get("reason")) == ("A1", 'a "<&>" b')
