"""References of normal plasma cells: learning, files, adaptation."""

import json

import numpy as np
import pytest

from mrd_flow.panel.template import Logicle
from mrd_flow.plasma_cells.archetypes import load_archetypes
from mrd_flow.plasma_cells.diagnostic_phenotype import (
    DiagnosticPhenotype,
    TubePhenotype,
    load_diagnostic_phenotype,
    save_diagnostic_phenotype,
)
from mrd_flow.reference.adaptation import adapt, map_log_weights
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities
from mrd_flow.reference.learning import learn_reference
from mrd_flow.reference.normal_reference import load_reference, save_reference, shipped_reference
from pipeline.errors import ConfigRefused, UsageError
from pipeline.formats.shipped import shipped_config

_DIMENSIONS = ("FSC-A", "FSC-H", "SSC-A", "CD38", "CD19", "CD45")
_SCALES = {m: Logicle() for m in _DIMENSIONS[3:]}


def _marrow(rng, cells, cd19_share):
    """Logicle values of plasma cells with CD19 and CD45 low or high, independently."""
    area = 1e5 * np.exp(0.15 * rng.standard_normal(cells))
    height = 0.82 * area * np.exp(0.03 * rng.standard_normal(cells))
    high = rng.random((cells, 2)) < (cd19_share, 0.75)
    markers = np.where(high, 0.65, 0.25) + 0.05 * rng.standard_normal((cells, 2))
    cd38 = 0.85 + 0.03 * rng.standard_normal(cells)
    return np.column_stack([area, height, 5e4 * np.exp(0.2 * rng.standard_normal(cells)), cd38, markers])


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(1)
    tables = [_marrow(rng, 1_500, share) for share in (0.6, 0.8, 0.9, 0.7)]
    return learn_reference(tables, _DIMENSIONS, _SCALES, panel="own", tube=1, version="7", command="c")


def test_levels_are_found_with_their_shares(reference):
    sorts = {n: w for n, w in zip(reference.names, reference.weights, strict=True) if "CD19" in n}
    assert set(sorts) == {f"CD19{a} CD45{b}" for a in "+-" for b in "+-"}
    assert sorts["CD19+ CD45+"] == pytest.approx(0.75 * 0.75, abs=0.03)
    assert sorts["CD19- CD45-"] == pytest.approx(0.25 * 0.25, abs=0.02)
    assert (reference.marrows, reference.cells, reference.panel, reference.version) == (4, 6_000, "own", "7")


def test_reference_survives_its_file(reference, tmp_path):
    save_reference(tmp_path / "r.json", reference)
    assert load_reference(tmp_path / "r.json") == reference


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"weights": [1.0]},
        {"weights": "text"},
        {"means": [["a"]]},
        {"surprise": 1},
        {"sorts": []},
    ],
)
def test_damaged_reference_is_refused(reference, tmp_path, change):
    path = tmp_path / "r.json"
    save_reference(path, reference)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigRefused, match="not a reference"):
        load_reference(path)


def test_what_is_no_reference_is_refused(tmp_path):
    (tmp_path / "r.json").write_text("[1")
    with pytest.raises(ConfigRefused, match="not a reference"):
        load_reference(tmp_path / "r.json")
    with pytest.raises(UsageError, match="srl_1"):
        shipped_reference("nobody", 1)


@pytest.mark.parametrize(("panel", "tube"), [("srl", 1), ("euroflow", 1), ("euroflow", 2)])
def test_shipped_references_say_they_are_unverified(panel, tube):
    shipped = shipped_reference(panel, tube)
    assert (shipped.panel, shipped.tube) == (panel, tube)
    assert "simulated" in shipped.unverified
    assert shipped.command


def test_shift_of_a_level_is_recovered(reference):
    rng = np.random.default_rng(2)
    cells = _marrow(rng, 4_000, 0.75)
    from mrd_flow.reference.plasma_cell_features import features

    moved = features(cells, _DIMENSIONS, _SCALES)
    high = cells[:, 4] > 0.45
    moved[high, 4] += 0.04
    shifts = adapt(reference, moved).shifts
    assert shifts[4, 1] == pytest.approx(0.04, abs=0.006)
    assert abs(shifts[4, 0]) < 0.01


def test_shift_beyond_the_limit_is_named(reference):
    from mrd_flow.reference.plasma_cell_features import features

    cells = features(_marrow(np.random.default_rng(3), 2_000, 0.75), _DIMENSIONS, _SCALES)
    cells[:, 2] += 1.0
    assert "SSC-A" in adapt(reference, cells).at_limit


def test_weights_follow_the_counts_where_the_prior_is_wide():
    counts, prior = np.array([900.0, 100.0]), np.array([0.5, 0.5])
    wide = np.exp(map_log_weights(counts, prior, np.array([3.0, 3.0])))
    narrow = np.exp(map_log_weights(counts, prior, np.array([0.01, 0.01])))
    assert wide == pytest.approx([0.9, 0.1], abs=0.005)
    assert narrow == pytest.approx([0.5, 0.5], abs=0.05)


def test_densities_are_scipys():
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(4)
    root = rng.standard_normal((2, 4, 4))
    gaussians = Gaussians(
        means=rng.standard_normal((2, 4)), covariances=root @ np.swapaxes(root, 1, 2) + np.eye(4)
    )
    cells = rng.standard_normal((300, 4))
    for k, row in enumerate(log_densities(cells, gaussians)):
        twin = multivariate_normal(gaussians.means[k], gaussians.covariances[k]).logpdf(cells)
        np.testing.assert_allclose(row, twin, rtol=1e-10)


def test_too_few_marrows_are_refused():
    with pytest.raises(ValueError, match="two marrows"):
        learn_reference([np.empty((0, 6))] * 3, _DIMENSIONS, _SCALES, panel="own", tube=1)


def test_diagnostic_phenotype_survives_its_file(tmp_path):
    tube = TubePhenotype(
        tube=2,
        cells=40,
        light_chain="cyKappa",
        features=("CD38", "CD19"),
        mean=(0.6, 0.1),
        covariance=((0.01, 0.0), (0.0, 0.02)),
        antigens=(("CD38", "normal"), ("CD19", "reduced")),
    )
    kept = DiagnosticPhenotype(panel="euroflow", tubes=(tube,))
    save_diagnostic_phenotype(tmp_path / "d.json", kept)
    assert load_diagnostic_phenotype(tmp_path / "d.json") == kept
    assert kept.of(1) is None
    (tmp_path / "d.json").write_text('{"panel": "x", "tubes": [{"tube": 1}]}')
    with pytest.raises(ConfigRefused, match="not a diagnostic phenotype"):
        load_diagnostic_phenotype(tmp_path / "d.json")


def test_archetypes_are_strict(tmp_path):
    shipped = load_archetypes()
    assert shipped.unverified
    path = tmp_path / "mine.toml"
    path.write_text(
        "surprise = 2\n" + shipped_config("myeloma", "flow_archetypes").read_text(encoding="utf-8")
    )
    with pytest.raises(ConfigRefused, match="column 'surprise': unknown key"):
        load_archetypes(path)


def test_archetype_that_needs_a_marker_is_not_looked_for_without_it():
    archetype = next(a for a in load_archetypes().archetypes if a.needs)
    assert archetype.variants(("CD19", "CD56", "CD45")) == ()
    assert archetype.variants(("CD19", "CD56", "CD45", "CD81"))
