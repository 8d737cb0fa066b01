"""Gains that moved after compensation was set: what they mixed is found among normal cells and taken out."""

import numpy as np
import pytest

from mrd_flow.panel.template import load_panel
from mrd_flow.reference.normal_reference import shipped_reference
from mrd_flow.reference.plasma_cell_features import brightness, features, position
from mrd_flow.reference.residual_spillover import corrected, residual_spillover, unmixed
from mrd_flow.simulation.plasma_cell_tables import simulate_plasma_cell_table
from mrd_flow.simulation.populations import spillover_matrix
from mrd_flow.simulation.sample_model import SampleModel

_GAIN = {"CD19": 1.4, "CD45": 0.7, "CD56": 1.3, "CD27": 0.75}


def _cells(fraction=0.0, gain=None):
    panel = load_panel("srl")
    sample = SampleModel(aberrant_fraction=fraction, plasma_cell_fraction=0.03)
    rng = np.random.default_rng(5)
    table = simulate_plasma_cell_table(panel, 1, events=500_000, sample=sample, rng=rng, gain=gain)
    scales = {m: panel.logicle_of(m) for m in panel.tubes[0].markers}
    return features(table.plasma_cells, table.dimensions, scales)


@pytest.fixture(scope="module")
def srl_reference():
    return shipped_reference("srl", 1)


def test_what_a_moved_gain_mixes_is_found(srl_reference):
    """Against the detectors' spillover: S G S^-1, each row in units of its own marker."""
    markers = load_panel("srl").tubes[0].markers
    spillover = spillover_matrix(tuple(markers.values()))
    mixed = spillover @ np.diag([_GAIN.get(m, 1.0) for m in markers]) @ np.linalg.inv(spillover)
    true = mixed / np.diagonal(mixed)[:, None]
    found = residual_spillover(_cells(gain=_GAIN), srl_reference)
    names = list(markers)
    at = [srl_reference.features.index(m) for m in names]
    found = found[np.ix_(at, at)]
    for one, other in (("CD45", "CD19"), ("CD56", "CD45"), ("CD38", "CD56")):
        i, j = names.index(one), names.index(other)
        assert found[i, j] == pytest.approx(true[i, j], rel=0.2)
    assert np.abs(found - true).max() < 0.04


@pytest.mark.parametrize("fraction", [0.0, 0.02])
def test_a_sample_as_it_should_be_is_left_alone(srl_reference, fraction):
    cells = _cells(fraction)
    assert residual_spillover(cells, srl_reference) is None
    assert corrected(cells, srl_reference) is cells


def test_unmixing_is_the_inverse_of_mixing(srl_reference):
    cells = _cells()[:500]
    mixing = np.eye(cells.shape[1])
    mixing[6, 7] = 0.1
    mixed = cells.copy()
    mixed[:, 7] = position(brightness(cells[:, 7]) + 0.1 * brightness(cells[:, 6]))
    np.testing.assert_allclose(unmixed(mixed, mixing), cells, atol=1e-12)


@pytest.mark.parametrize("cells", [0, 1, 30])
def test_few_cells_say_nothing_of_compensation(srl_reference, cells):
    assert residual_spillover(_cells()[:cells], srl_reference) is None
