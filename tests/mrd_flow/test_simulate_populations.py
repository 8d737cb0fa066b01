"""The simulated marrow: published shares, patients that differ, masking, blood, faults."""

import json
from itertools import pairwise

import numpy as np
import pytest

from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.simulate import FAULTY, simulate_sample, simulate_tube
from mrd_flow.simulation.acquisition_faults import (
    EVENTS_PER_TICK,
    FAULT_KINDS,
    Fault,
    apply_faults,
    draw_faults,
    event_ticks,
)
from mrd_flow.simulation.events import TOP, draw_cells
from mrd_flow.simulation.plasma_cell_model import (
    NORMAL_SORTS,
    PHENOTYPES,
    average_patient,
    draw_patient,
    normal_stains,
)
from mrd_flow.simulation.populations import cell_kinds
from pipeline.errors import UsageError

MARKERS = ("CD138", "CD27", "CD38", "CD56", "CD45", "CD19", "CD117", "CD81", "cyKappa", "cyLambda")


def kinds_with(markers=MARKERS, **choices):
    chosen = {"plasma_cell_fraction": 0.01, "aberrant_fraction": 1e-3, "phenotype": "classic"} | choices
    return cell_kinds(markers, **chosen)


def share_of(kinds, name):
    return float(kinds.share[kinds.rows(name)].sum())


@pytest.mark.parametrize(("marker", "mean"), [("CD19", 0.80), ("CD45", 0.78), ("CD56", 0.06)])
def test_positive_shares_of_normal_plasma_cells_are_the_published_ones(marker, mean):
    """Liu, J Clin Pathol 2012: means exactly; see the next test for the ranges."""
    found = sum(s for s, stain in normal_stains(average_patient()) if stain.get(marker, (80,))[0] > 1_000)
    assert found == pytest.approx(mean, abs=1e-9)


def test_patients_vary_over_the_published_ranges():
    """Liu's ranges CD19+ 52-97, CD45+ 41-100, CD56+ 0-37 %: nearly all patients lie inside, and fill them."""
    rng = np.random.default_rng(1)
    positive = np.array([[level == "+" for level in sort] for sort in NORMAL_SORTS], np.float64)
    shares = np.array([draw_patient(rng).normal_shares for _ in range(1_000)]) @ positive
    for column, (low, high) in enumerate([(0.52, 0.97), (0.41, 1.00), (0.0, 0.37)]):
        inside = (shares[:, column] >= low) & (shares[:, column] <= high)
        assert inside.mean() > 0.93
        assert np.ptp(shares[:, column]) > 0.8 * (high - low)
    assert shares.mean(axis=0) == pytest.approx([0.80, 0.78, 0.06], abs=0.02)


def test_antigens_of_a_cell_vary_together(rng):
    kinds = kinds_with()
    row = kinds.rows("aberrant_plasma_cell")[0]
    _, light = draw_cells(kinds, np.full(20_000, row), rng)
    correlation = np.corrcoef(np.log(light.T))[~np.eye(len(MARKERS), dtype=bool)]
    np.testing.assert_allclose(correlation, kinds.shared**2, atol=0.04)


def test_sorts_that_a_tube_cannot_tell_apart_are_one_row():
    few = kinds_with(markers=("CD38", "CD138"))
    assert len(few.rows("normal_plasma_cell")) == 1
    assert share_of(few, "normal_plasma_cell") == pytest.approx(share_of(kinds_with(), "normal_plasma_cell"))


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_every_phenotype_has_the_fractions_asked_for(phenotype):
    kinds = kinds_with(phenotype=phenotype, light_chain="cyLambda")
    assert share_of(kinds, "aberrant_plasma_cell") == pytest.approx(1e-3)
    assert share_of(kinds, "normal_plasma_cell") == pytest.approx(0.01)
    assert kinds.share.sum() == pytest.approx(1.0)


def test_blood_thins_out_what_lives_in_the_marrow_and_nothing_else():
    levels = [kinds_with(blood_share=h) for h in (0.0, 0.25, 0.5, 0.75)]
    for name in ("mast_cell", "b_precursor", "erythroid", "normal_plasma_cell", "aberrant_plasma_cell"):
        shares = np.array([share_of(k, name) for k in levels])
        np.testing.assert_allclose(shares / shares[0], [1, 0.75, 0.5, 0.25], rtol=1e-9)
    t_cells = [share_of(k, "t_cell") for k in levels]
    assert t_cells == sorted(t_cells)


def test_masked_antigen_is_dimmer_but_not_below_a_negative_cell():
    plain, masked = kinds_with(), kinds_with(masking_log10={"CD38": 1.0})
    column = MARKERS.index("CD38")
    fall = plain.median_ln[:, column] - masked.median_ln[:, column]
    assert fall[plain.rows("normal_plasma_cell")] == pytest.approx(np.log(10), rel=1e-5)
    assert fall[plain.rows("erythroid")] == pytest.approx(0.0)
    np.testing.assert_array_equal(
        np.delete(plain.median_ln, column, 1), np.delete(masked.median_ln, column, 1)
    )


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        ({"phenotype": "odd"}, "no such phenotype"),
        ({"light_chain": "IgG"}, "cyKappa or cyLambda"),
        ({"plasma_cell_fraction": 0.9999}, "together below 1"),
        ({"blood_share": 1.0}, "share of blood"),
        ({"masking_log10": {"CD3": 1.0}}, "masked marker"),
        ({"masking_log10": {"CD38": -1.0}}, "masked marker"),
    ],
)
def test_impossible_samples_are_refused(choice, what):
    with pytest.raises(ValueError, match=what):
        kinds_with(**choice)


def test_faults_do_not_touch_and_time_goes_with_the_rate():
    faults = draw_faults(FAULT_KINDS, 500_000, np.random.default_rng(2))
    assert {f.kind for f in faults} == set(FAULT_KINDS)
    assert all(a.first + a.events < b.first for a, b in pairwise(faults))
    assert all(0.009 * 500_000 < f.events < 0.031 * 500_000 for f in faults)
    ticks = event_ticks(0, 500_000, faults)
    assert (np.diff(ticks) > 0).all()
    for fault in faults:
        inside = np.diff(ticks[fault.first : fault.first + fault.events])
        rate = 1.0 / np.median(inside) / EVENTS_PER_TICK
        assert rate == pytest.approx({"clot": 0.25, "bubble": 0.5, "surge": 3.0, "margin": 1.0}[fault.kind])
    bubble = next(f for f in faults if f.kind == "bubble")
    assert ticks[bubble.first] - ticks[bubble.first - 1] > 300.0
    np.testing.assert_array_equal(event_ticks(70_000, 5_000, faults), ticks[70_000:75_000])


def test_faults_spoil_their_own_events_only(rng):
    table = rng.uniform(1_000, 50_000, (3_000, 5)).astype(np.float32)
    before = table.copy()
    faults = [Fault(kind=k, first=100 + 700 * i, events=300) for i, k in enumerate(FAULT_KINDS)]
    faulty = apply_faults(table, 0, faults, rng)
    assert faulty.sum() == 1_200
    np.testing.assert_array_equal(table[~faulty], before[~faulty])
    clot, bubble, surge, margin = (slice(f.first, f.first + f.events) for f in faults)
    assert (table[clot] < before[clot]).all()
    assert np.log(table[bubble, 0] / before[bubble, 0]).std() > 0.5
    assert 0.1 < np.log(table[surge] / before[surge]).std() < 0.2
    assert (table[margin, 0] == TOP).all()


@pytest.mark.parametrize("kinds", [("clog",), ("clot",) * 11])
def test_unknown_or_too_many_faults_are_refused(kinds):
    with pytest.raises(ValueError, match=r"no such fault|at most ten"):
        draw_faults(kinds, 10_000, np.random.default_rng(1))


def test_truth_of_a_spoilt_tube_sums_up(tmp_path, srl):
    faults = (Fault(kind="clot", first=60_000, events=9_000), Fault(kind="bubble", first=90_000, events=900))
    path = tmp_path / "t.fcs"
    truth = simulate_tube(
        path,
        srl,
        0,
        events=120_000,
        aberrant_fraction=1e-3,
        rng=np.random.default_rng(1),
        event_truth=tmp_path / "t.npy",
        faults=faults,
    )
    codes = np.load(tmp_path / "t.npy")
    faulty = (codes & FAULTY) > 0
    assert np.flatnonzero(faulty).tolist() == [*range(60_000, 69_000), *range(90_000, 90_900)]
    assert truth.faulty == 9_900
    kinds = np.bincount(codes & ~np.uint8(FAULTY), minlength=5)
    assert kinds.tolist() == [
        truth.nucleated - truth.plasma_cells,
        truth.plasma_cells - truth.aberrant,
        truth.aberrant,
        truth.debris,
        truth.doublets,
    ]
    assert kinds.sum() == truth.events == 120_000
    (data,) = read_data_sets(path)
    time = data.table()[:, -1]
    assert (np.diff(time) >= 0).all()
    assert time[90_000] - time[89_999] >= 300
    assert time[68_999] - time[60_000] == pytest.approx(4 * 9_000 / EVENTS_PER_TICK, rel=0.01)


def test_gain_and_drift_move_their_detector_only(tmp_path, srl):
    """Medians of a detector over the first and last fifth: 0.7, then 0.7 x 1.5."""
    columns = {}
    for name, choice in (("plain", {}), ("off", {"gain": {"CD45": 0.7}, "drift": {"CD45": 1.5}})):
        path = tmp_path / f"{name}.fcs"
        simulate_tube(
            path, srl, 0, events=100_000, aberrant_fraction=0.0, rng=np.random.default_rng(3), **choice
        )
        (data,) = read_data_sets(path)
        columns[name] = data.table()
    stain = [p.stain for p in data.parameters]
    own = stain.index("CD45")
    ratio = columns["off"][:, own] / columns["plain"][:, own]
    others = [i for i in range(len(stain)) if i != own]
    np.testing.assert_array_equal(columns["off"][:, others], columns["plain"][:, others])
    assert np.median(ratio[:20_000]) == pytest.approx(0.7 * 1.5**0.1, rel=0.01)
    assert np.median(ratio[-20_000:]) == pytest.approx(0.7 * 1.5**0.9, rel=0.01)


def test_a_sample_writes_its_patient_and_conditions_into_the_truth(tmp_path, euroflow):
    def written(folder):
        return simulate_sample(
            folder,
            euroflow,
            events=20_000,
            aberrant_fraction=1e-3,
            seed=1,
            patient_seed=5,
            blood_share=0.5,
            masking_log10={"CD38": 0.5},
            gain={"CD117": 1.2},
            faults=("clot",),
        )

    made, again = written(tmp_path), written(tmp_path / "again")
    assert made == again
    assert (tmp_path / "tube_2.fcs").read_bytes() == (tmp_path / "again" / "tube_2.fcs").read_bytes()
    assert made[0].patient == made[1].patient == draw_patient(np.random.default_rng([5, 0]))
    assert (made[0].gain, made[1].gain) == ({"CD117": 1.2}, {})
    tubes = json.loads((tmp_path / "truth.json").read_text())["tubes"]
    assert tubes[0]["patient"]["normal_shares"] == list(made[0].patient.normal_shares)
    assert tubes[1]["faults"][0]["kind"] == "clot"
    assert tubes[0]["blood_share"] == 0.5


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        ({"gain": {"CD3": 1.1}}, "marker of the panel"),
        ({"gain": {"CD38": 0.0}}, "above 0"),
        ({"faults": ("clog",)}, "no such fault"),
        ({"blood_share": -0.1}, "share of blood"),
    ],
)
def test_a_sample_of_impossible_choices_is_refused(tmp_path, srl, choice, what):
    with pytest.raises(UsageError, match=what):
        simulate_sample(tmp_path, srl, events=2_000, aberrant_fraction=0.0, seed=1, **choice)
    assert not list(tmp_path.iterdir())
