"""Gating-ML and FlowJo gates through FlowKit: the standard's own truth, and FlowJo's own counts."""

import numpy as np
import pytest

from mrd_flow.engine.gatingml import apply_gates, write_gates
from pipeline.errors import DamagedFile, InputRefused


@pytest.fixture(scope="module")
def suite(shared_data):
    return shared_data / "flow" / "gatingml_compliance"


def test_all_51_isac_memberships_are_reproduced(suite):
    """Gating-ML 2.0 compliance set: one 0/1 per event and gate, no event may differ."""
    truth = {
        p.stem.removeprefix("Results_"): np.loadtxt(p, dtype=int).astype(bool)
        for p in (suite / "truth").iterdir()
    }
    found = {g.gate: g.members for g in apply_gates(suite / "data1.fcs", suite / "gml" / "gml_all_gates.xml")}
    for name in ("gml_parent_quadrant_rect_gate.xml", "gml_ellipsoid3d_gate.xml"):  # not in the file of all
        alone = apply_gates(suite / "data1.fcs", suite / "gml" / name)
        found |= {g.gate: g.members for g in alone if g.gate not in found}
    found["ParQuadRect"] = found["ParRectangle1"]  # the truth's file has another name than its gate
    assert len(truth) == 51
    assert truth.keys() <= found.keys()
    assert {name: int((found[name] != members).sum()) for name, members in truth.items()} == dict.fromkeys(
        truth, 0
    )


@pytest.mark.parametrize(
    ("workspace", "counts"),
    [
        ("simple_diamond_example_quad_gate.wsp", [49671, 50596, 50330, 49403]),
        ("test_data_diamond_asinh_rect.wsp", [50559]),
        ("test_data_diamond_asinh_rect2.wsp", [50699]),
        ("test_data_diamond_biex_rect.wsp", [50605]),
    ],
)
def test_flowjo_counts_are_reproduced(shared_data, workspace, counts):
    """Counts stand in the workspaces, as FlowJo wrote them."""
    folder = shared_data / "flow" / "flowjo_diamond"
    found = apply_gates(folder / "test_data_diamond_01.fcs", folder / workspace)
    assert sorted(g.count for g in found) == sorted(counts)


def test_counts_and_memberships_are_written(tmp_path, suite):
    import pyarrow.parquet as pq

    found = apply_gates(suite / "data1.fcs", suite / "gml" / "gml_parent_rect1_rect_par1_gate.xml")
    write_gates(found, tmp_path)
    lines = (tmp_path / "counts.tsv").read_text().splitlines()
    assert lines[0] == "gate\tpath\tcount\tpercent_parent"
    assert "ScalePar1\troot/ScaleRect1\t558\t68.974" in lines
    table = pq.read_table(tmp_path / "membership.parquet")
    assert table.column_names == ["event", "ScaleRect1", "ScalePar1"]
    assert table.num_rows == 13_367
    assert sum(table["ScalePar1"].to_pylist()) == 558


def test_percent_of_parent_below_a_quadrant(suite):
    found = apply_gates(suite / "data1.fcs", suite / "gml" / "gml_parent_quadrant_rect_gate.xml")
    assert [(g.count, g.parent_count) for g in found if g.gate == "ParRectangle1"] == [(3, 620)]


def test_what_is_no_gate_file_is_refused(tmp_path, suite, shared_data):
    bad = tmp_path / "g.xml"
    with pytest.raises(InputRefused, match="no such file"):
        apply_gates(suite / "data1.fcs", bad)
    bad.write_text("<a>")
    with pytest.raises(DamagedFile, match="not XML"):
        apply_gates(suite / "data1.fcs", bad)
    bad.write_text("<a/>")
    with pytest.raises(InputRefused, match="could not read these gates"):
        apply_gates(suite / "data1.fcs", bad)
    with pytest.raises(InputRefused, match="does not contain this file"):
        apply_gates(
            suite / "data1.fcs", shared_data / "flow" / "flowjo_diamond" / "test_data_diamond_biex_rect.wsp"
        )


def test_a_file_of_several_data_sets_is_refused(suite, shared_data):
    with pytest.raises(InputRefused, match="holds 2 data sets"):
        apply_gates(shared_data / "flow" / "files" / "coulter.lmd", suite / "gml" / "gml_rect1_gate.xml")


def test_gates_of_another_panel_are_refused_by_the_name_of_the_gate_file(suite, shared_data):
    with pytest.raises(InputRefused, match=r"gml_rect1_gate\.xml.*a gate needs parameter"):
        apply_gates(shared_data / "flow" / "files" / "G11.fcs", suite / "gml" / "gml_rect1_gate.xml")
