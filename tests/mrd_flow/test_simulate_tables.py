"""The quick plasma-cell tables follow the law of the full route; the oracle knows that law."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import ks_2samp

from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.gating.tube import gate_tube
from mrd_flow.panel.detectors import assign_detectors
from mrd_flow.panel.template import CombinationGate, Panel, RectangleGate
from mrd_flow.simulate import simulate_tube
from mrd_flow.simulation.events import draw_cells, measure
from mrd_flow.simulation.oracle import nearest_normal, oracle_log_ratio
from mrd_flow.simulation.oracle_density import error_variance, light_log_density
from mrd_flow.simulation.plasma_cell_model import draw_patient
from mrd_flow.simulation.plasma_cell_tables import simulate_plasma_cell_table, simulate_plasma_cell_tables
from mrd_flow.simulation.populations import spillover_matrix
from mrd_flow.simulation.rare_cells import Tail, draw_tail
from mrd_flow.simulation.sample_model import SampleModel
from mrd_flow.simulation.template_gates import NOISE_TAIL, inside_gate, routes_to, to_logicle


def without_rules(panel: Panel) -> Panel:
    """The template with its own boundaries only: no rule moves them."""

    def plain(gate):
        if not isinstance(gate, RectangleGate):
            return gate
        bounds = {
            d: b.model_copy(update={"min_rule": None, "max_rule": None}) for d, b in gate.bounds.items()
        }
        return gate.model_copy(update={"bounds": bounds})

    return panel.model_copy(update={"gates": tuple(plain(g) for g in panel.gates)})


@pytest.fixture(scope="module")
def both(tmp_path_factory, srl):
    """One sample of 400,000 events by either route: gated file with truth, quick table."""
    panel = without_rules(srl)
    sample = SampleModel(
        aberrant_fraction=0.004, plasma_cell_fraction=0.02, patient=draw_patient(np.random.default_rng(8))
    )
    folder = tmp_path_factory.mktemp("both")
    truth = simulate_tube(
        folder / "t.fcs",
        panel,
        0,
        events=400_000,
        aberrant_fraction=0.004,
        plasma_cell_fraction=0.02,
        patient=sample.patient,
        rng=np.random.default_rng(1),
        event_truth=folder / "t.npy",
    )
    data = read_data_sets(folder / "t.fcs")[-1]
    columns = assign_detectors(data.parameters, panel, 1).columns
    gated = gate_tube(data, panel, 1, columns)
    quick = simulate_plasma_cell_table(panel, 1, events=400_000, sample=sample, rng=np.random.default_rng(2))
    return panel, sample, truth, np.load(folder / "t.npy"), data, columns, gated, quick


def test_counts_of_the_quick_table_are_those_of_the_gated_file(both):
    """Every count within five standard errors of the difference of two Poisson counts."""
    panel, _, truth, codes, _, _, gated, quick = both
    full = np.bincount(codes[gated.plasma_cell_events], minlength=5)
    fast = np.bincount(quick.codes, minlength=5)
    pairs = [*zip(full, fast, strict=True), (gated.count(panel.nucleated_gate), quick.nucleated)]
    pairs += [(truth.aberrant, quick.aberrant), (truth.plasma_cells - truth.aberrant, quick.normal)]
    for slow, rapid in pairs:
        assert abs(int(slow) - int(rapid)) <= 5 * np.sqrt(slow + rapid) + 1e-9
    assert full[1] > 5_000
    assert full[4] > 20


def test_marginals_of_the_quick_table_are_those_of_the_gated_file(both):
    """Kolmogorov-Smirnov per dimension and code at level 1e-5: 33 comparisons on fixed seeds."""
    *_, codes, _, _, gated, quick = both
    assert gated.dimensions == quick.dimensions
    full = codes[gated.plasma_cell_events]
    for code in (1, 2, 4):
        for slow, fast in zip(
            gated.plasma_cells[full == code].T, quick.plasma_cells[quick.codes == code].T, strict=True
        ):
            assert ks_2samp(slow, fast).pvalue > 1e-5


def test_the_plain_gates_are_those_of_the_engine(both):
    panel, _, _, _, data, columns, gated, _ = both
    events = data.table().astype(np.float64)
    markers = tuple(panel.tubes[0].markers)
    unmixing = np.linalg.inv(data.spillover.matrix)
    light = events[:, [columns[m] for m in markers]] @ unmixing
    linear = dict(zip(markers, light.T, strict=True)) | {s: events[:, columns[s]] for s in panel.scatter}
    inside = inside_gate(panel, 1, panel.plasma_cell_gate, linear)
    np.testing.assert_array_equal(np.flatnonzero(inside), gated.plasma_cell_events)
    assert inside_gate(panel, 1, panel.nucleated_gate, linear).sum() == gated.count(panel.nucleated_gate)


def test_every_plasma_cell_event_takes_one_of_the_ways(both):
    panel, *_, gated, _ = both
    level = {m: i for i, m in enumerate(gated.dimensions)}
    ways = routes_to(panel, 1, panel.plasma_cell_gate)
    reached = np.zeros(len(gated.plasma_cells), np.bool_)
    for way in ways:
        reached |= np.all(
            [
                gated.plasma_cells[:, level[m]] >= to_logicle(np.array([x]), panel.logicle_of(m)) - 1e-9
                for m, x in way.items()
            ],
            axis=0,
        )
    assert reached.all()
    assert len(ways) >= 2


def test_ways_into_combined_gates(srl):
    """By hand: (A or B) and C, not D."""
    gates = [
        RectangleGate(name=n, kind="rectangle", bounds={m: {"min": x}})
        for n, m, x in (("A", "CD38", 0.5), ("B", "CD138", 0.6), ("C", "CD38", 0.7), ("D", "CD19", 0.4))
    ]
    gates += [
        CombinationGate(name="AB", kind="any_of", gates=("A", "B")),
        CombinationGate(name="C_of_AB", kind="all_of", gates=("AB", "C")),
        CombinationGate(name="end", parent="C_of_AB", kind="none_of", gates=("D",)),
    ]
    panel = srl.model_copy(update={"gates": tuple(gates)})
    ways = routes_to(panel, 1, "end")
    scaled = [
        {m: round(float(to_logicle(np.array([x]), panel.logicle_of(m))[0]), 6) for m, x in w.items()}
        for w in ways
    ]
    assert scaled == [{"CD38": 0.7}, {"CD138": 0.6, "CD38": 0.7}]


def test_cells_drawn_from_tails_follow_the_law_of_cells_that_reach_them(srl, rng):
    """Against plain drawing of 400,000 cells and keeping those in either tail."""
    kinds = SampleModel(aberrant_fraction=0.0).kinds(tuple(srl.tubes[0].markers))
    row = int(kinds.rows("nk_cell")[0])
    tails = tuple(Tail(marker=m, level=x, probability=float(ndtr(-x))) for m, x in ((2, 1.8), (3, 2.1)))
    _, light = draw_cells(kinds, np.full(400_000, row), rng)
    latent = (np.log(light) - kinds.median_ln[row]) / kinds.spread[row]
    slow = latent[np.any([latent[:, t.marker] > t.level for t in tails], axis=0)]
    _, light = draw_tail(kinds, row, tails, 400_000, rng)
    fast = (np.log(light) - kinds.median_ln[row]) / kinds.spread[row]
    assert abs(len(slow) - len(fast)) < 5 * np.sqrt(len(slow) + len(fast))
    for a, b in zip(slow.T, fast.T, strict=True):
        assert ks_2samp(a, b).pvalue > 1e-4


@pytest.mark.parametrize("name", ["srl", "euroflow"])
def test_what_is_left_out_is_negligible(name, request):
    """At most one tail of the errors for every way into the gate: together far below 1e-9."""
    panel = request.getfixturevalue(name)
    for tube in range(1, len(panel.tubes) + 1):
        assert len(routes_to(panel, tube, panel.plasma_cell_gate)) * NOISE_TAIL < 1e-10


def test_same_seed_same_tables_and_event_numbers_rise(euroflow):
    sample = SampleModel(aberrant_fraction=1e-3)
    first, second = (
        simulate_plasma_cell_tables(euroflow, events=100_000, sample=sample, rng=np.random.default_rng(4))
        for _ in range(2)
    )
    assert [t.tube for t in first] == [1, 2]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.plasma_cells, b.plasma_cells)
        assert a.nucleated == b.nucleated
        assert (np.diff(a.plasma_cell_events) > 0).all()
        assert a.plasma_cell_events[-1] < 100_000


def test_no_events_give_an_empty_table(srl):
    (table,) = simulate_plasma_cell_tables(
        srl, events=0, sample=SampleModel(aberrant_fraction=0.0), rng=np.random.default_rng(1)
    )
    assert (table.plasma_cells.shape, table.nucleated) == ((0, 11), 0)


def test_a_gain_that_is_off_moves_the_table(srl):
    sample = SampleModel(aberrant_fraction=0.0)
    plain, off = (
        simulate_plasma_cell_tables(srl, events=60_000, sample=sample, rng=np.random.default_rng(1), gain=g)[
            0
        ]
        for g in ({}, {"CD45": 1.4})
    )
    column = plain.dimensions.index("CD45")
    shift = np.median(off.plasma_cells[:, column]) - np.median(plain.plasma_cells[:, column])
    assert 0.01 < shift < 0.08  # log10(1.4) / 4.5 decades = 0.032


def test_density_is_that_of_simulated_cells(srl, rng):
    """The mean of p(x) over cells drawn must equal that of the same p integrated: importance identity.

    For densities f of one sort and g of another, E_f[g / f] = 1 (to Monte-Carlo error) if both
    are right; the sorts are two normal ones that overlap.
    """
    tube = srl.tubes[0]
    sample = SampleModel(aberrant_fraction=1e-3)
    kinds = sample.kinds(tuple(tube.markers))
    spillover = spillover_matrix(tuple(tube.markers.values()))
    row = int(kinds.rows("aberrant_plasma_cell")[0])
    near = kinds.median_ln[row].astype(np.float64) + 0.3 * kinds.spread[row]
    raw = measure(*draw_cells(kinds, np.full(40_000, row), rng), spillover.astype(np.float32), rng)
    light = raw[:, 3:].astype(np.float64) @ np.linalg.inv(spillover)
    medians = np.stack([kinds.median_ln[row].astype(np.float64), near])
    spread = np.repeat(kinds.spread[[row]].astype(np.float64), 2, axis=0)
    density = light_log_density(
        light, error_variance(light, spillover), medians, spread, np.full_like(spread, kinds.shared)
    )
    ratio = np.exp(density[1] - density[0])
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)


@pytest.fixture(scope="module")
def spiked(srl):
    """A clone of 1e-3 in 600,000 events of a drawn patient."""
    sample = SampleModel(aberrant_fraction=1e-3, patient=draw_patient(np.random.default_rng(2)))
    (table,) = simulate_plasma_cell_tables(srl, events=600_000, sample=sample, rng=np.random.default_rng(3))
    return sample, table


@pytest.mark.parametrize("known", [True, False])
def test_the_oracle_finds_a_clone_and_its_odds_are_calibrated(srl, spiked, known):
    """Sum of probabilities against the number of clone cells; F1 above .95."""
    sample, table = spiked
    log_odds = oracle_log_ratio(table.plasma_cells, table.dimensions, srl, 1, sample, phenotype_known=known)
    true = table.codes == 2
    called = log_odds > 0
    assert 2 * (called & true).sum() / (called.sum() + true.sum()) > 0.95
    expected = (1 / (1 + np.exp(-np.clip(log_odds, -50, 50)))).sum()
    assert expected == pytest.approx(true.sum(), rel=0.06)


def test_overlap_names_the_nearest_normal_sort(srl):
    """The clone's own antigens but for brightness: CD19- CD56+ CD27-."""
    found = nearest_normal(srl, 1, SampleModel(aberrant_fraction=1e-3), np.random.default_rng(1), cells=200)
    assert {"CD19-", "CD56+", "CD27-", "CD45-"} <= set(found.phenotype.split())
    assert 0.005 < found.bayes_error < 0.3
    assert 0 < found.share < 0.02


def test_an_oracle_needs_a_clone(srl, spiked):
    _, table = spiked
    with pytest.raises(ValueError, match="with a clone"):
        oracle_log_ratio(
            table.plasma_cells,
            table.dimensions,
            srl,
            1,
            SampleModel(aberrant_fraction=0.0),
            phenotype_known=True,
        )
