"""The gating engine gives FlowKit's memberships, event for event, and says how much it left to it."""

import flowkit
import numpy as np
import pytest
from flowkit import gates as fk
from flowkit import transforms as ft

from mrd_flow.engine.compiler import compile_gates
from mrd_flow.engine.gate_codes import NONE_OF
from mrd_flow.engine.program import Gate
from mrd_flow.engine.run import columns_of, decide_exactly, gate_events_at_hand, gated_chunks, run_gates
from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from pipeline.errors import InputRefused

NAMES = ("FSC-A", "SSC-A", "FL1-A", "FL2-A", "FL3-A", "Time")
SPILL = np.array([[1.0, 0.1, 0.02], [0.05, 1.0, 0.2], [0.0, 0.08, 1.0]])
TRANSFORMS = {
    "linear": ft.LinearTransform(262144, 100),
    "log": ft.LogTransform(262144, 4.5),
    "asinh": ft.AsinhTransform(262144, 4.5, 0.5),
    "logicle": ft.LogicleTransform(262144, 0.5, 4.5, 0),
    "logicle_wide": ft.LogicleTransform(262144, 1.5, 4.5, 0.5),
    "hyperlog": ft.HyperlogTransform(262144, 0.5, 4.5, 0),
    "flowjo_log": ft.WSPLogTransform(25, 4.2),
    "flowjo_biex": ft.WSPBiexTransform(-20, -100, 4.418540, 262144.000029),
}


@pytest.fixture(scope="module")
def marrow(tmp_path_factory):
    """30,000 events; a third on whole numbers, so that values meet boundaries exactly."""
    rng = np.random.default_rng(5)
    true = 150 * np.sinh(rng.normal(2.0, 2.5, (30_000, 3)))
    events = np.column_stack(
        [rng.normal(90_000, 40_000, (30_000, 2)), true @ SPILL, np.arange(30_000)]
    ).astype(np.float32)
    events[::3] = np.round(events[::3])
    events[7, 2:5] = 0.0
    path = tmp_path_factory.mktemp("engine") / "marrow.fcs"
    write_fcs(
        path,
        [Column(name=n) for n in NAMES],
        [events],
        events=len(events),
        spillover=(NAMES[2:5], SPILL),
        keywords=[("$TIMESTEP", "0.01")],
    )
    return path


def strategy_of(*gates, transforms=TRANSFORMS):
    """A FlowKit strategy of (gate, path below the root)."""
    strategy = flowkit.GatingStrategy()
    for name, transform in transforms.items():
        strategy.add_transform(name, transform)
    for gate, path in gates:
        strategy.add_gate(gate, ("root", *path))
    return strategy


def axis(name, transform=None, compensation="FCS", low=None, high=None):
    return flowkit.Dimension(name, compensation, transform, low, high)


def by_engine(path, strategy, **choices):
    (data,) = read_data_sets(path)
    program = compile_gates(strategy, columns_of(data))
    gated = run_gates(data, program, **choices)
    found = {(g.name, "/".join(g.path)): gated.members[i] for i, g in enumerate(program.gates)}
    return found, gated.decided_exactly


def by_flowkit(path, strategy):
    sample = flowkit.Sample(path) if not isinstance(path, flowkit.Sample) else path
    with np.errstate(all="ignore"):
        results = strategy.gate_sample(sample)
    return {
        (row.gate_name, "/".join(row.gate_path)): np.asarray(
            results.get_gate_membership(row.gate_name, row.gate_path), bool
        )
        for row in results.report.itertuples()
    }


def differences(path, strategy):
    ours, doubtful = by_engine(path, strategy)
    theirs = by_flowkit(path, strategy)
    assert ours.keys() == theirs.keys()
    return {k: int((ours[k] != theirs[k]).sum()) for k in theirs}, doubtful


@pytest.mark.parametrize("name", [None, *TRANSFORMS])
@pytest.mark.parametrize("compensation", ["FCS", "uncompensated"])
def test_rectangle_polygon_and_ellipsoid_on_every_scale_equal_flowkit(marrow, name, compensation):
    """Bounds are values of events, so that some events lie exactly on them."""
    (data,) = read_data_sets(marrow)
    values = data.table((2, 3)).astype(float)
    with np.errstate(all="ignore"):
        scaled = values if name is None else np.hstack([TRANSFORMS[name].apply(v[:, None]) for v in values.T])
    usable = scaled[np.isfinite(scaled).all(axis=1)]
    low, middle, high = np.quantile(usable, [0.2, 0.5, 0.85], axis=0, method="nearest")
    corners = [(low[0], middle[1]), (middle[0], low[1]), (high[0], middle[1]), (middle[0], high[1])]
    spread = np.cov(usable[np.abs(usable - middle).max(axis=1) < 3 * np.abs(high - low).max()].T)
    ends = {"low": low[0], "high": high[0]}
    axes = [axis("FL1-A", name, compensation), axis("FL2-A", name, compensation)]
    strategy = strategy_of(
        (fk.RectangleGate("range", [axis("FL1-A", name, compensation, **ends)]), ()),
        (fk.RectangleGate("below", [axis("FL2-A", name, compensation, high=middle[1])]), ()),
        (fk.RectangleGate("outside", [axis("FL1-A", name, compensation, **ends)], use_complement=True), ()),
        (fk.PolygonGate("diamond", axes, corners), ()),
        (
            fk.PolygonGate(
                "bow", axes, [corners[0], corners[2], corners[1], corners[3]], use_complement=True
            ),
            (),
        ),
        (fk.EllipsoidGate("ellipse", axes, list(middle), spread.tolist(), 1.0), ("range",)),
    )
    found, doubtful = differences(marrow, strategy)
    assert found == dict.fromkeys(found, 0)
    assert doubtful < (15_000 if name == "log" else 3_000)  # what has no logarithm is left to FlowKit


def test_boolean_quadrant_and_ratio_gates_equal_flowkit(marrow):
    ratio = ft.RatioTransform(["FL1-A", "FL2-A"], 1.0, 0.0, 0.0)
    dividers = [
        flowkit.QuadrantDivider("a", "FL1-A", "FCS", [0.4], "logicle"),
        flowkit.QuadrantDivider("b", "FL2-A", "FCS", [0.5], "logicle"),
    ]
    quadrants = [
        fk.Quadrant("pp", ["a", "b"], [(0.4, None), (0.5, None)]),
        fk.Quadrant("pn", ["a", "b"], [(0.4, None), (None, 0.5)]),
        fk.Quadrant("n", ["a"], [(None, 0.4)]),
    ]

    def reference(name, *path, complement=False):
        return {"ref": name, "path": ("root", *path), "complement": complement}

    strategy = strategy_of(
        (fk.RectangleGate("cells", [axis("FSC-A", None, "uncompensated", 40_000, 140_000)]), ()),
        (fk.QuadrantGate("quad", dividers, quadrants), ("cells",)),
        (fk.RectangleGate("late", [axis("Time", None, "uncompensated", 100, 250)]), ("cells", "quad", "pp")),
        (fk.RectangleGate("ratio", [flowkit.RatioDimension("r", "uncompensated", None, 0.2, 3.0)]), ()),
        (fk.BooleanGate("both", "and", [reference("ratio"), reference("pn", "cells", "quad")]), ()),
        (fk.BooleanGate("any", "or", [reference("ratio", complement=True), reference("cells")]), ("cells",)),
        (fk.BooleanGate("no", "not", [reference("any", "cells")]), ()),
        transforms=TRANSFORMS | {"r": ratio},
    )
    found, _ = differences(marrow, strategy)
    assert len(found) == 9
    assert found == dict.fromkeys(found, 0)


def test_matrix_of_the_gate_file_equals_flowkit(marrow):
    strategy = strategy_of((fk.RectangleGate("g", [axis("FL1-A", "logicle", "own", 0.4, 0.7)]), ()))
    strategy.add_comp_matrix("own", flowkit.Matrix(SPILL.T.copy(), list(NAMES[2:5])))
    found, _ = differences(marrow, strategy)
    assert found == {("g", "root"): 0}


@pytest.mark.parametrize(
    "name", ["3FITC_4PE_004.fcs", "Data001.fcs", "FCS_3.0_Fortessa_PBS_Specimen_001_A1_A01.fcs", "100715.fcs"]
)
def test_public_files_of_other_kinds_equal_flowkit(shared_data, name):
    """Logarithmic and plain integers, floats with gains: gated as FlowKit gates them."""
    path = shared_data / "flow" / "files" / name
    (data,) = read_data_sets(path)
    labels = [p.name for p in data.parameters]
    x, y = labels[1], labels[2]
    values = data.table((1, 2)).astype(float)
    low, middle, high = np.quantile(values, [0.2, 0.5, 0.85], axis=0, method="nearest")
    corners = [(low[0], middle[1]), (middle[0], low[1]), (high[0], middle[1]), (middle[0], high[1])]
    plain = [axis(x, None, "uncompensated"), axis(y, None, "uncompensated")]
    gates = [
        (fk.RectangleGate("range", [axis(x, None, "uncompensated", low[0], high[0])]), ()),
        (fk.RectangleGate("logicle", [axis(y, "logicle", "uncompensated", 0.3, 0.7)]), ()),
        (fk.PolygonGate("diamond", plain, corners), ()),
    ]
    if "Time" in labels:
        gates.append((fk.RectangleGate("early", [axis("Time", None, "uncompensated", high=5.0)]), ()))
    found, _ = differences(path, strategy_of(*gates))
    assert found == dict.fromkeys(found, 0)


def test_a_file_without_events_has_empty_gates(tmp_path):
    path = tmp_path / "empty.fcs"
    write_fcs(path, [Column(name="FL1-A")], [], events=0)
    found, _ = by_engine(
        path, strategy_of((fk.RectangleGate("g", [axis("FL1-A", None, "uncompensated", 1, 2)]), ()))
    )
    assert found["g", "root"].shape == (0,)


def test_a_gate_with_one_compensated_dimension_is_compensated_in_all_as_in_flowkit(marrow):
    mixed = [axis("FL1-A", "logicle", "FCS", 0.4), axis("FL2-A", "logicle", "uncompensated", None, 0.6)]
    found, _ = differences(marrow, strategy_of((fk.RectangleGate("g", mixed), ())))
    assert found == {("g", "root"): 0}


def test_any_chunk_length_gives_the_same(marrow):
    strategy = strategy_of((fk.PolygonGate("p", [axis("FL1-A", "logicle"), axis("FL3-A", "hyperlog")],
                                           [(0.2, 0.2), (0.9, 0.3), (0.6, 0.9)]), ()))  # fmt: skip
    whole, _ = by_engine(marrow, strategy)
    for events in (97, 30_000):
        part, _ = by_engine(marrow, strategy, events=events)
        np.testing.assert_array_equal(part["p", "root"], whole["p", "root"])


def test_what_cannot_be_a_number_is_decided_as_flowkit_decides_it(tmp_path):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, 3e5, 10.0], np.float32)
    path = tmp_path / "odd.fcs"
    write_fcs(
        path,
        [Column(name="FL1-A"), Column(name="FL2-A")],
        [np.column_stack([values, values[::-1]])],
        events=8,
    )
    gates = []
    for name in ("linear", "log", "asinh", "flowjo_log", "flowjo_biex"):
        bounds = {"low": 0.1, "high": 0.9}
        gates += [
            (fk.RectangleGate(f"r_{name}", [axis("FL1-A", name, "uncompensated", **bounds)]), ()),
            (fk.RectangleGate(f"h_{name}", [axis("FL1-A", name, "uncompensated", high=0.5)]), ()),
        ]
    found, _ = differences(path, strategy_of(*gates))
    assert found == dict.fromkeys(found, 0)


def test_the_exact_path_alone_equals_the_kernel(marrow):
    """Both ways of deciding, on every event: the bands, not luck, keep them equal."""
    (data,) = read_data_sets(marrow)
    strategy = strategy_of(
        (fk.RectangleGate("r", [axis("FL1-A", "logicle", low=0.3, high=0.8)]), ()),
        (fk.PolygonGate("p", [axis("FL1-A", "logicle"), axis("FL2-A", "asinh")],
                        [(0.3, 0.3), (0.9, 0.3), (0.6, 0.9)]), ("r",)),
    )  # fmt: skip
    program = compile_gates(strategy, columns_of(data))
    table = data.table().astype(float)
    exact = decide_exactly(program, {c: table[:, c] for c in program.needed()})
    np.testing.assert_array_equal(run_gates(data, program).members, exact)


def test_chunks_and_events_at_hand_give_the_memberships_of_the_whole(marrow):
    (data,) = read_data_sets(marrow)
    strategy = strategy_of((fk.PolygonGate("p", [axis("FL1-A", "logicle"), axis("FL2-A", "asinh")],
                                           [(0.3, 0.3), (0.9, 0.3), (0.6, 0.9)]), ()))  # fmt: skip
    program = compile_gates(strategy, columns_of(data))
    whole = run_gates(data, program).members
    chunks = list(gated_chunks(data, program, also=(5,), events=7_001))
    assert [c.first for c in chunks] == [0, 7_001, 14_002, 21_003, 28_004]
    np.testing.assert_array_equal(np.concatenate([c.members for c in chunks], axis=1), whole)
    rows = np.arange(3)
    np.testing.assert_array_equal(chunks[1].stored(5, rows), data.table((5,))[7_001:7_004, 0])
    table = data.table()
    at_hand = gate_events_at_hand(table, {c: c for c in program.needed()}, program)
    np.testing.assert_array_equal(at_hand.members, whole)


def test_none_of_several_gates_is_decided_alike_by_kernel_and_reference(marrow):
    """Two gates, of which some events are in one, in both, in neither."""
    (data,) = read_data_sets(marrow)
    strategy = strategy_of(
        (fk.RectangleGate("a", [axis("FL1-A", "logicle", low=0.4)]), ()),
        (fk.RectangleGate("b", [axis("FL2-A", "logicle", low=0.4)]), ()),
    )
    program = compile_gates(strategy, columns_of(data))
    none = Gate(name="n", path=("root",), kind=NONE_OF, parent=-1, references=((0, False), (1, False)))
    program.gates.append(none)
    a, b, neither = run_gates(data, program).members
    assert 0 < neither.sum() < len(neither)
    np.testing.assert_array_equal(neither, ~(a | b))
    table = data.table().astype(float)
    exact = decide_exactly(program, {c: table[:, c] for c in program.needed()})
    np.testing.assert_array_equal(exact[2], neither)


def test_only_the_columns_a_gate_needs_are_used(marrow):
    (data,) = read_data_sets(marrow)
    plain = strategy_of((fk.RectangleGate("g", [axis("SSC-A", None, "uncompensated", 1, 2)]), ()))
    assert compile_gates(plain, columns_of(data)).needed() == (1,)
    compensated = strategy_of((fk.RectangleGate("g", [axis("FL1-A", "logicle", low=0.5)]), ()))
    program = compile_gates(compensated, columns_of(data))
    assert program.needed() == (2, 3, 4)
    assert len(program.sources) == 1


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        (fk.RectangleGate("g", [axis("CD999", None, "uncompensated", 1, 2)]), "parameter 'CD999'"),
        (fk.RectangleGate("g", [axis("FL1-A", "absent", "uncompensated", 1, 2)]), "transform 'absent'"),
        (fk.RectangleGate("g", [axis("FL1-A", None, "absent", 1, 2)]), "matrix 'absent'"),
        (fk.BooleanGate("g", "or", []), "refers to no gate"),
    ],
)
def test_gates_that_do_not_fit_the_file_are_refused(marrow, gate, reason):
    (data,) = read_data_sets(marrow)
    with pytest.raises(InputRefused, match=reason):
        compile_gates(strategy_of((gate, ())), columns_of(data))


def test_a_spillover_that_cannot_be_used_is_refused_where_a_gate_needs_it(tmp_path):
    path = tmp_path / "singular.fcs"
    names = ("FL1-A", "FL2-A")
    write_fcs(path, [Column(name=n) for n in names], [np.ones((3, 2), np.float32)], events=3,
              spillover=(names, np.ones((2, 2))))  # fmt: skip
    (data,) = read_data_sets(path)
    strategy = strategy_of((fk.RectangleGate("g", [axis("FL1-A", None, "FCS", 1, 2)]), ()))
    with pytest.raises(InputRefused, match="spillover matrix, which cannot be used"):
        compile_gates(strategy, columns_of(data))


def test_every_gate_of_the_compliance_set_equals_flowkit(shared_data):
    """Also the gates without a published truth: parents, and gates that others refer to."""
    folder = shared_data / "flow" / "gatingml_compliance"
    sample = flowkit.Sample(folder / "data1.fcs")
    compared = 0
    for name in ("all_gates", "ellipsoid3d_gate", "parent_quadrant_rect_gate"):
        strategy = flowkit.parse_gating_xml(str(folder / "gml" / f"gml_{name}.xml"))
        theirs = by_flowkit(sample, strategy)
        ours, _ = by_engine(folder / "data1.fcs", strategy)
        assert ours.keys() == theirs.keys()
        for key, members in theirs.items():
            np.testing.assert_array_equal(ours[key], members, err_msg=f"{name} {key}")
            compared += 1
    assert compared > 51
