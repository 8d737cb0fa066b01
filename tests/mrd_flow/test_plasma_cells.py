"""The classifier of plasma cells: clones found, blanks left alone, gains, tubes, what it says."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from mrd_flow.panel.template import load_panel
from mrd_flow.plasma_cells.archetypes import load_archetypes
from mrd_flow.plasma_cells.classified import ClassifierSettings, PlasmaCellTable
from mrd_flow.plasma_cells.classifier import classify_plasma_cells
from mrd_flow.plasma_cells.clonality import clonality_test
from mrd_flow.plasma_cells.phenotype_at_diagnosis import diagnostic_phenotype
from mrd_flow.reference.normal_reference import shipped_reference
from mrd_flow.simulation.plasma_cell_model import draw_patient
from mrd_flow.simulation.plasma_cell_tables import simulate_plasma_cell_tables
from mrd_flow.simulation.sample_model import SampleModel

_EVENTS = 600_000


@cache
def _references(name):
    return {n: shipped_reference(name, n) for n in range(1, len(load_panel(name).tubes) + 1)}


def _scales(name):
    panel = load_panel(name)
    return {m: panel.logicle_of(m) for tube in panel.tubes for m in tube.markers}


@cache
def _simulated(name, phenotype, fraction, seed, gain=()):
    sample = SampleModel(
        aberrant_fraction=fraction,
        plasma_cell_fraction=0.0075,
        phenotype=phenotype,
        patient=draw_patient(np.random.default_rng([seed, 1])),
    )
    return simulate_plasma_cell_tables(
        load_panel(name), events=_EVENTS, sample=sample, rng=np.random.default_rng([seed, 2]), gain=dict(gain)
    )


def _tables(simulated):
    return [PlasmaCellTable(tube=t.tube, dimensions=t.dimensions, cells=t.plasma_cells) for t in simulated]


def _classify(name, simulated, diagnosis=None, settings=None):
    return classify_plasma_cells(
        _tables(simulated),
        _references(name),
        load_archetypes(),
        scales=_scales(name),
        diagnosis=diagnosis,
        settings=settings,
    )


def _score(simulated, found):
    """Recall among the gated cells of the clone, and precision."""
    truth = np.concatenate([t.codes == 2 for t in simulated])
    called = np.concatenate([t.aberrant for t in found.tubes])
    return (called & truth).sum() / truth.sum(), (called & truth).sum() / max(called.sum(), 1)


@pytest.mark.parametrize("phenotype", ["classic", "cd45_positive", "cd27_positive", "cd19_positive"])
def test_clone_is_found_without_diagnosis(phenotype):
    simulated = _simulated("srl", phenotype, 1e-4, 3)
    recall, precision = _score(simulated, _classify("srl", simulated))
    assert recall >= 0.85
    assert precision >= 0.85


def test_two_tubes_find_one_clone_together():
    simulated = _simulated("euroflow", "classic", 1e-4, 4)
    found = _classify("euroflow", simulated)
    recall, precision = _score(simulated, found)
    assert recall >= 0.9
    assert precision >= 0.9
    assert found.light_chain == "cyKappa"
    assert dict(found.antigens)["CD56"] == "increased"
    assert dict(found.antigens)["CD19"] == "reduced"
    assert dict(found.antigens)["CD81"] == "reduced"


@pytest.mark.parametrize("name", ["srl", "euroflow"])
def test_blank_has_no_aberrant_cell(name):
    found = _classify(name, _simulated(name, "classic", 0.0, 5))
    assert found.aberrant_events == 0
    assert found.clusters == 0
    assert found.expectations
    assert {e.phenotype for e in found.expectations} <= {a.name for a in load_archetypes().archetypes}


def test_gain_that_is_off_is_followed():
    gain = (("CD19", 1.4), ("CD45", 0.7), ("CD56", 1.3), ("CD27", 0.75))
    simulated = _simulated("srl", "classic", 1e-4, 6, gain)
    recall, precision = _score(simulated, _classify("srl", simulated))
    assert recall >= 0.85
    assert precision >= 0.85


def test_diagnostic_phenotype_is_used_at_follow_up():
    diagnosis = _simulated("srl", "classic", 0.01, 7)
    at_diagnosis = _classify("srl", diagnosis)
    known = diagnostic_phenotype(
        "srl", _tables(diagnosis), at_diagnosis, _references("srl"), scales=_scales("srl")
    )
    later = _simulated("srl", "classic", 5e-5, 7, (("CD56", 1.15),))
    found = _classify("srl", later, known)
    assert found.origin == "diagnosis"
    recall, precision = _score(later, found)
    assert recall >= 0.9
    assert precision >= 0.9
    assert known.tubes[0].light_chain == "cyKappa"


def test_what_is_said_of_the_calls_holds():
    simulated = _simulated("srl", "cd27_positive", 2e-4, 8)
    found = _classify("srl", simulated)
    recall, precision = _score(simulated, found)
    assert found.expected_precision == pytest.approx(precision, abs=0.1)
    assert found.expected_recall == pytest.approx(recall, abs=0.1)
    truth = sum(int((t.codes == 2).sum()) for t in simulated)
    assert abs(found.estimated_events - truth) <= 3 * found.estimated_events_sd
    assert found.estimated_events_sd >= np.sqrt(found.estimated_events) * 0.95


def test_called_cells_deviate_and_cohere_as_a_cluster():
    """One clonal cell may look normal; half of all must not, and chance may not make as many."""
    settings = ClassifierSettings()
    (tube,) = _classify("srl", _simulated("srl", "classic", 1e-4, 3)).tubes
    assert tube.aberrant.any()
    assert np.median(tube.deviation_p[tube.aberrant]) <= settings.deviation_p
    assert tube.cohesion_p[tube.aberrant][tube.log_ratio[tube.aberrant].argmin()] <= settings.cohesion_p
    assert (tube.aberrant == (tube.posterior > settings.posterior)).all()
    assert np.isfinite(tube.posterior).all()
    assert not (tube.aberrant & tube.not_plasma_cell).any()


def test_cluster_that_does_not_deviate_is_not_called():
    """The cells of a clone, were each to be as deviant as asked for here, would not be called."""
    simulated = _simulated("srl", "classic", 1e-4, 3)
    found = _classify("srl", simulated, settings=ClassifierSettings(deviation_p=1e-5))
    assert found.clusters == 1
    assert found.aberrant_events == 0


def test_cluster_for_clonality_is_chosen_without_light_chains():
    simulated = _simulated("srl", "classic", 2e-4, 9)
    (tube,) = _classify("srl", simulated).tubes
    normal = ~tube.aberrant & ~tube.cluster & ~tube.not_plasma_cell
    counts = [(int((m & tube.kappa).sum()), int((m & tube.lambda_).sum())) for m in (tube.cluster, normal)]
    assert clonality_test(counts[0], counts[1], background_events=2.0).verdict == "kappa restricted"
    assert counts[1][0] / sum(counts[1]) == pytest.approx(0.6, abs=0.02)


def test_tube_without_light_chains_has_no_cluster_for_clonality():
    surface, cytoplasmic = _classify("euroflow", _simulated("euroflow", "classic", 1e-4, 4)).tubes
    assert not surface.cluster.any()
    assert not (surface.kappa | surface.lambda_).any()
    assert cytoplasmic.cluster.any()


def test_contaminants_are_named():
    simulated = _simulated("srl", "classic", 0.0, 5)
    (tube,) = _classify("srl", simulated).tubes
    codes = simulated[0].codes
    assert (tube.not_plasma_cell & (codes == 1)).sum() <= 0.003 * (codes == 1).sum()
    others = (codes == 0) | (codes == 4)
    assert (tube.not_plasma_cell & others).sum() >= 0.7 * others.sum()


def test_order_of_cells_does_not_matter_and_twice_is_the_same():
    simulated = _simulated("srl", "classic", 1e-4, 3)
    once, twice = _classify("srl", simulated), _classify("srl", simulated)
    for a, b in zip(once.tubes, twice.tubes, strict=True):
        for field in dataclasses.fields(a):
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


@pytest.mark.parametrize("cells", [0, 1, 5])
def test_hardly_any_cell_is_no_clone(cells):
    (table,) = _tables(_simulated("srl", "classic", 0.0, 5))
    few = dataclasses.replace(table, cells=table.cells[:cells])
    found = classify_plasma_cells([few], _references("srl"), load_archetypes(), scales=_scales("srl"))
    assert found.aberrant_events == 0
    assert len(found.tubes[0].posterior) == cells


def test_table_without_its_reference_is_refused():
    (table,) = _tables(_simulated("srl", "classic", 0.0, 5))
    with pytest.raises(ValueError, match="reference"):
        classify_plasma_cells([table], {}, load_archetypes(), scales=_scales("srl"))
    bad = dataclasses.replace(table, cells=np.full_like(table.cells, np.nan))
    with pytest.raises(ValueError, match="finite"):
        classify_plasma_cells([bad], _references("srl"), load_archetypes(), scales=_scales("srl"))
