"""Pictures of a sample: what they count, that they are the same each time, and that no name in them acts."""

import re
import xml.etree.ElementTree as ET
from html import unescape
from importlib.resources import files

import numpy as np
import pytest

from mrd_flow.evidence import FlowSettings
from mrd_flow.gating.tube import gate_tube
from mrd_flow.opened import open_tube
from mrd_flow.panel.template import load_panel
from mrd_flow.pictures.gate_histograms import gate_histograms
from mrd_flow.pictures.sample import write_pictures
from mrd_flow.plasma_cells.classification import knowledge_of
from mrd_flow.read import count_sample, open_sample
from mrd_flow.reference.normal_components import components_of
from mrd_flow.reference.normal_reference import shipped_reference
from mrd_flow.simulation.acquisition_faults import draw_faults
from pipeline.formats.digest import sha256_file

HOSTILE = "<a>&'"  # as long as the name it takes the place of


def _counted(sample, panel):
    """What `write_pictures` takes beside a folder."""
    settings = FlowSettings()
    opened = open_sample(sample, panel, settings)
    known = knowledge_of(panel, settings, None)
    counted = count_sample(opened, known, settings)
    return opened.tubes, counted.gated, counted.classified, panel, known.references


def _written(folder, sample, panel, *, only=slice(None)):
    tubes, gated, *others = _counted(sample, panel)
    return gated, write_pictures(folder, tubes[only], gated[only], *others)


def _texts(path):
    tree = ET.fromstring(path.read_bytes())
    assert not {"script", "a"} & {element.tag.rpartition("}")[2].lower() for element in tree.iter()}
    return [e.text or "" for e in tree.iter() if e.tag.endswith("text")]


@pytest.fixture(scope="module")
def counted(positive, make_sample, euroflow):
    return _counted(make_sample(*(p for p, _ in positive)), euroflow)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, counted):
    return write_pictures(tmp_path_factory.mktemp("pictures"), *counted)


@pytest.fixture(scope="module")
def first_tube(positive, euroflow):
    tube = open_tube(positive[0][0], euroflow, 1)
    choices = {"kept": tube.qc.kept}
    gated = gate_tube(tube.data, euroflow, 1, tube.columns, keep_membership=True, **choices)
    return tube, gated, gate_histograms(tube.data, gated, euroflow, 1, tube.columns, **choices)


def test_every_view_counts_what_the_gate_counts(first_tube):
    _, gated, histograms = first_tube
    assert [h.gate.name for h in histograms] == [t.gate for t in gated.tallies]
    for h in histograms:
        assert h.views
        for view in h.views:
            assert (int(view.parent.sum()), int(view.members.sum())) == (h.tally.parent_count, h.tally.count)
            assert (view.members <= view.parent).all()


def test_the_size_of_chunks_does_not_matter(first_tube, euroflow):
    tube, gated, histograms = first_tube
    again = gate_histograms(
        tube.data, gated, euroflow, 1, tube.columns, kept=tube.qc.kept, chunk_events=33_333
    )
    for one, other in zip(histograms, again, strict=True):
        for a, b in zip(one.views, other.views, strict=True):
            np.testing.assert_array_equal(a.parent, b.parent)
            np.testing.assert_array_equal(a.members, b.members)


def test_bins_are_those_of_a_plain_histogram_of_the_reference_scale(first_tube, euroflow):
    """CD138 by numpy's solver and FlowUtils' logicle; rounding at an edge may move a few events."""
    from flowutils.transforms import logicle

    tube, gated, histograms = first_tube
    view = next(h for h in histograms if h.gate.name == "CD138positive").views[0]
    assert (view.x.name, view.y.name) == ("FSC-A", "CD138")
    events = tube.data.table().astype(float)[gated.membership["nucleated"]]
    spillover = tube.data.spillover
    true = np.linalg.solve(spillover.matrix.T, events[:, list(spillover.columns)].T)
    row = spillover.columns.index(tube.columns["CD138"])
    scale = euroflow.logicle_of("CD138").model_dump()
    y = np.clip(logicle(true[row].reshape(-1, 1), None, **scale).ravel(), view.y.low, view.y.high - 1e-9)
    x = np.clip(events[:, tube.columns["FSC-A"]], view.x.low, view.x.high - 1e-6)
    plain = np.histogram2d(y, x, bins=256, range=[(view.y.low, view.y.high), (view.x.low, view.x.high)])[0]
    assert np.abs(plain - view.parent).sum() <= 2e-4 * len(events)


def test_the_file_of_a_gate_states_its_counts_and_where_its_boundary_came_from(counted, pictures):
    tally = next(t for t in counted[1][0].tallies if t.gate == "CD138positive")
    texts = " ".join(_texts(pictures[0].parent / "tube_1_gate_CD138positive.svg"))
    assert f"{tally.count:,} in, {tally.parent_count - tally.count:,} out of" in texts
    assert "landmark quantile of" in texts
    assert "limits 0.36 to 0.52" in texts
    assert "BV421" in texts
    assert "10⁴" in texts


def test_every_gate_and_every_kind_of_picture_is_there(counted, pictures, euroflow):
    names = {p.name for p in pictures}
    wanted = {f"tube_{t}_gate_{g.name}.svg" for t in (1, 2) for g in euroflow.gates_of(t)}
    wanted |= {f"tube_{t}_{kind}.svg" for t in (1, 2) for kind in ("time", "plasma_cells")}
    assert names == wanted | {"index.html", "tube_2_light_chains.svg"}
    test = counted[2].evidence.clonality
    chains = " ".join(_texts(pictures[0].parent / "tube_2_light_chains.svg"))
    assert f"aberrant κ {test.cluster_kappa:,} λ {test.cluster_lambda:,}" in chains
    assert f"p {test.p:.2g}" in chains


def test_the_page_holds_the_pictures_and_fetches_nothing(pictures):
    page = unescape(pictures[0].read_text())
    assert page.count("<img ") == len(pictures) - 1
    assert "default-src 'none'; style-src 'sha256-" in page
    assert not re.search(r"<script|src=\"(?!data:image/svg)|https?://|url\(", page)


def test_the_same_sample_gives_the_same_bytes(counted, pictures, tmp_path):
    tubes, gated, *others = counted
    again = write_pictures(tmp_path, tubes[1:], gated[1:], *others)
    before = {p.name: sha256_file(p) for p in pictures}
    assert len(again) > 15
    assert {p.name: sha256_file(p) for p in again[1:]}.items() <= before.items()


def test_names_that_are_markup_do_nothing(tmp_path, positive):
    text = files("nadir_configs").joinpath("panels/euroflow.toml").read_text()
    text = text.replace("CD117", f'"{HOSTILE}"').replace(
        'name = "surface"', 'name = "<img src=x onerror=a()>"'
    )
    text = text.replace('title = "', 'title = "</title><b>&amp;')
    path = tmp_path / "own.toml"
    path.write_text(text)
    panel = load_panel(path)
    data = positive[0][0].read_bytes()
    assert len(HOSTILE) == len("CD117")
    (tmp_path / "own.fcs").write_bytes(data.replace(b"CD117", HOSTILE.encode(), 1))
    tube = open_tube(tmp_path / "own.fcs", panel, 1)
    gated = gate_tube(tube.data, panel, 1, tube.columns)
    written = write_pictures(tmp_path / "out", [tube], [gated], None, panel, {})
    page = written[0].read_text()
    assert "&lt;img src=x onerror=a()&gt;" in page
    assert "<title>&lt;/title&gt;&lt;b&gt;&amp;amp;" in page
    assert not re.search(r"<script|<img src=x|<b>", page)
    texts = [t for p in written[1:] for t in _texts(p)]
    assert any(HOSTILE in t for t in texts)


def test_a_tube_that_does_not_fit_is_named_and_not_drawn(tmp_path, make_tubes, make_sample, euroflow):
    (path, _), _ = make_tubes(tmp_path, euroflow, 20_000, 0.0, 6)
    gated, written = _written(tmp_path / "out", make_sample(path, path), euroflow, only=slice(1, 2))
    assert gated[1] is None
    assert [p.name for p in written] == ["index.html"]
    assert "the same file is given twice" in written[0].read_text()


def test_empty_populations_are_drawn_as_empty(tmp_path, make_tubes, make_sample, euroflow):
    tubes = make_tubes(tmp_path, euroflow, 30, 0.0, 5, plasma_cell_fraction=0.0)
    gated, written = _written(tmp_path / "out", make_sample(*(p for p, _ in tubes)), euroflow, only=slice(1))
    assert gated[0].count("plasma_cells") < 5
    empty = next(t.gate for t in gated[0].tallies if t.parent_count == 0)
    assert "no event" in _texts(tmp_path / "out" / f"tube_1_gate_{empty}.svg")
    assert tmp_path / "out" / "tube_1_plasma_cells.svg" in written


def test_a_file_without_events_is_drawn(tmp_path, make_tubes, make_sample, euroflow):
    tubes = make_tubes(tmp_path, euroflow, 0, 0.0, 5)
    _, written = _written(tmp_path / "out", make_sample(*(p for p, _ in tubes)), euroflow, only=slice(1))
    assert "no event" in _texts(tmp_path / "out" / "tube_1_gate_singlets.svg")
    assert len(written) == 16


def test_a_fallback_is_dashed_and_flagged_and_removed_runs_are_named(tmp_path, make_tubes, euroflow):
    faults = draw_faults(["clot", "surge"], 60_000, np.random.default_rng(3))
    path, _ = make_tubes(tmp_path, euroflow, 60_000, 0.0, 8, gain={"CD138": 30.0}, faults=faults)[0]
    tube = open_tube(path, euroflow, 1)
    gated = gate_tube(tube.data, euroflow, 1, tube.columns, kept=tube.qc.kept)
    assert next(t for t in gated.tallies if t.gate == "CD138positive").fell_back
    written = write_pictures(tmp_path / "out", [tube], [gated], None, euroflow, {})
    svg = tmp_path / "out" / "tube_1_gate_CD138positive.svg"
    assert any(t.startswith("FALLBACK CD138 min 0.44") for t in _texts(svg))
    assert "stroke-dasharray" in svg.read_text()
    assert re.search(r"CD138positive</a>\s*<span class=\"flag\">fallback", written[0].read_text())
    shown = _texts(tmp_path / "out" / "tube_1_time.svg")
    assert tube.qc.runs
    assert all(any(t.startswith(f"{run.code}: ") for t in shown) for run in tube.qc.runs)


def test_components_are_orthonormal_and_leave_light_chains_out():
    reference = shipped_reference("euroflow", 2)
    components = components_of(reference)
    np.testing.assert_allclose(components.loadings.T @ components.loadings, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(components.places(components.centre[None, :]), 0.0, atol=1e-12)
    assert set(reference.features) - set(components.features) == {"cyKappa", "cyLambda"}
    assert components.explained[0] >= components.explained[1] > 0
