"""From simulated FCS files to the result: the clone is found, blanks are not, mix-ups give no number."""

import time
from datetime import datetime

import numpy as np
import pytest

from mrd_flow.call import call_patient
from mrd_flow.gating.overrides import Override
from mrd_flow.numbers import numbers_of
from mrd_flow.panel.template import load_panel
from mrd_flow.plasma_cells.classification import knowledge_of
from mrd_flow.read import count_sample, open_sample, read_sample
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.model import Reason, Status


def called(sample, settings):
    evidence = read_sample(sample, settings)
    (result,) = call_patient([evidence], settings=settings).results
    return evidence, result


@pytest.mark.parametrize(
    ("name", "fraction", "events"),
    [
        ("euroflow", 1e-4, 600_000),
        ("srl", 1e-3, 300_000),
        ("srl", 1e-4, 900_000),
    ],
)
def test_a_clone_is_recovered(tmp_path, make_tubes, make_sample, settings, name, fraction, events):
    made = make_tubes(tmp_path, load_panel(name), events, fraction, 21)
    evidence, result = called(make_sample(*(p for p, _ in made), panel=name), settings)
    truths = [t for _, t in made]
    true = sum(t.aberrant for t in truths) / sum(t.nucleated for t in truths)
    assert result.status is Status.DETECTED
    assert 0.88 * true < result.value < 1.12 * true
    assert result.ci_low < true < result.ci_high
    assert result.panel == name
    assert evidence.input_sha256 == sha256_joined(sha256_file(p) for p, _ in made)


def _positive_tubes(positive, make_sample, panel, settings):
    """Truth, counts, and the true kinds of the cells called aberrant, of each tube of the positive pair."""
    opened = open_sample(make_sample(*(p for p, _ in positive)), panel, settings)
    found = count_sample(opened, knowledge_of(panel, settings, None), settings)
    for (path, truth), counted, gated in zip(positive, found.evidence.tubes, found.gated, strict=True):
        kinds = np.load(path.with_suffix(".npy"))
        aberrant = found.classified.tubes[counted.tube].aberrant
        yield truth, counted, kinds[gated.plasma_cell_events[aberrant]]


def test_counts_of_the_positive_pair_match_its_truth(positive, make_sample, euroflow, settings):
    """Nucleated within 0.5 %, plasma cells within 2 %, aberrant precision >= 0.99."""
    for truth, counted, called_kinds in _positive_tubes(positive, make_sample, euroflow, settings):
        assert counted.nucleated == pytest.approx(truth.nucleated, rel=0.005)
        assert counted.plasma_cells == pytest.approx(truth.plasma_cells, rel=0.02)
        assert (called_kinds == 2).mean() >= 0.99


def test_nine_in_ten_of_the_positive_pairs_aberrant_cells_are_called(
    positive, make_sample, euroflow, settings
):
    for truth, _, called_kinds in _positive_tubes(positive, make_sample, euroflow, settings):
        assert (called_kinds == 2).sum() >= 0.9 * truth.aberrant


def test_a_blank_is_not_detected_and_too_shallow_for_1e_5(blank, make_sample, settings):
    _, result = called(make_sample(*(p for p, _ in blank)), settings)
    assert (result.status, result.reason) == (Status.NOT_DETECTED, Reason.BELOW_DECISION_COUNT)
    assert result.numerator <= 3
    assert result.lod > 1e-5


def test_many_normal_plasma_cells_do_not_make_a_clone(tmp_path, make_tubes, make_sample, settings, euroflow):
    """3 % of plasma cells, as in a regenerating marrow: twelve times the usual ones."""
    made = make_tubes(tmp_path, euroflow, 400_000, 0.0, 5, plasma_cell_fraction=0.03)
    evidence, result = called(make_sample(*(p for p, _ in made)), settings)
    assert result.status is Status.NOT_DETECTED
    assert sum(t.plasma_cells for t in evidence.tubes) > 21_000
    assert numbers_of(evidence, settings).error.false_events_high > 1.0


def test_the_simulator_gives_the_same_bytes_for_the_same_seed(tmp_path, make_tubes, srl):
    (first, truth), (second, again) = (make_tubes(tmp_path / d, srl, 70_000, 1e-3, 4)[0] for d in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert truth == again


def test_simulated_truth_holds_what_was_asked_for(tmp_path, make_tubes, srl):
    ((path, truth),) = make_tubes(tmp_path, srl, 300_000, 2e-3, 6)
    kinds = np.load(path.with_suffix(".npy"))
    assert np.bincount(kinds, minlength=5).tolist()[2:] == [truth.aberrant, truth.debris, truth.doublets]
    assert truth.aberrant / truth.nucleated == pytest.approx(2e-3, rel=0.15)
    assert (truth.plasma_cells - truth.aberrant) / truth.nucleated == pytest.approx(2.5e-3, rel=0.15)


def test_normal_plasma_cells_carry_cd19_cd45_and_cd56_as_published(srl):
    """Liu, J Clin Pathol 2012: CD19+ 80 %, CD45+ 78 %, CD56+ 6 % of normal plasma cells."""
    from mrd_flow.simulation.populations import cell_kinds

    markers = tuple(srl.tubes[0].markers)
    kinds = cell_kinds(markers, plasma_cell_fraction=0.5, aberrant_fraction=0.0, phenotype="classic")
    rows = kinds.rows("normal_plasma_cell")
    share = kinds.share[rows] / kinds.share[rows].sum()
    positive = np.exp(kinds.median_ln[rows]) > 1_000
    found = {
        m: float(share[positive[:, markers.index(m)]].sum()) for m in ("CD19", "CD45", "CD56", "cyKappa")
    }
    assert found == pytest.approx({"CD19": 0.80, "CD45": 0.78, "CD56": 0.06, "cyKappa": 0.6})


def test_the_verdict_on_hemodilution_falls_with_the_blood(tmp_path, make_tubes, make_sample, settings):
    """Blood share 0, 25, 50, 75 % of simulated marrows, both panels: the share found is the share put in."""
    for name in ("euroflow", "srl"):
        found = []
        for percent in (0, 25, 50, 75):
            folder = tmp_path / f"{name}{percent}"
            folder.mkdir()
            made = make_tubes(folder, load_panel(name), 60_000, 0.0, percent, blood_share=percent / 100)
            evidence = read_sample(make_sample(*(p for p, _ in made), panel=name), settings)
            (dilution,) = call_patient([evidence], settings=settings).dilutions
            found.append(dilution)
            assert dilution.marrow_share == pytest.approx(1 - percent / 100, abs=0.05)
        assert [str(f.verdict) for f in found] == ["adequate", "suspected", "diluted", "diluted"]


def test_masked_cd38_is_flagged_and_the_plasma_cells_found(tmp_path, make_tubes, make_sample, settings, srl):
    ((path, truth),) = make_tubes(tmp_path, srl, 300_000, 1e-3, 9, masking_log10={"CD38": 1.0})
    evidence, result = called(make_sample(path, panel="srl"), settings)
    assert "cd38_masked" in result.qc
    assert evidence.tubes[0].plasma_cells > 0.9 * truth.plasma_cells


def test_tubes_of_two_patients_without_disease_are_recognised(
    tmp_path, make_tubes, make_sample, settings, euroflow
):
    """A diluted marrow's tube beside another patient's: shares of normal cells differ, no clone does."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    one = make_tubes(folders[0], euroflow, 60_000, 0.0, 1)
    other = make_tubes(folders[1], euroflow, 60_000, 0.0, 2, blood_share=0.5)
    _, result = called(make_sample(one[0][0], other[1][0]), settings)
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.DISCORDANT_TUBES)
    _, same = called(make_sample(one[0][0], one[1][0]), settings)
    assert "tubes_differ" not in same.qc


@pytest.mark.slow
def test_an_override_of_a_million_events_is_run_again_within_a_second(
    tmp_path, make_tubes, make_sample, settings, srl
):
    made = make_tubes(tmp_path, srl, 1_000_000, 1e-4, 3)
    opened = open_sample(make_sample(made[0][0], panel="srl"), srl, settings)
    known = knowledge_of(srl, settings, None)
    before = count_sample(opened, known, settings)
    override = Override(
        tube=1,
        gate="by_CD38",
        dimension="CD38",
        min=0.8,
        author="A1",
        reason="test",
        made_on=datetime(2026, 3, 1, 9, 30),
    )
    begin = time.perf_counter()
    count_sample(opened, known, settings, overrides=[override], before=before)
    assert time.perf_counter() - begin < 1.0
