"""From simulated FCS files to the result: the clone is found, blanks are not, mix-ups give no number."""

import numpy as np
import pytest

from mrd_flow.call import call_patient
from mrd_flow.fcs import read_data_sets
from mrd_flow.fcs_writer import Column, write_fcs
from mrd_flow.panel import load_panel
from mrd_flow.read import read_sample, read_tubes
from pipeline.errors import DamagedFile
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.model import Reason, Status


def called(sample, settings):
    evidence = read_sample(sample, settings)
    (result,) = call_patient([evidence], settings=settings).results
    return evidence, result


def rewritten(source, target, *, spillover=True, stains=None, keep=slice(None)):
    """A tube with something of it changed."""
    (data,) = read_data_sets(source)
    columns = [Column(name=p.name, stain=(stains or {}).get(p.stain, p.stain)) for p in data.parameters]
    names = [data.parameters[c].name for c in data.spillover.columns]
    events = data.table()[keep]
    matrix = (names, data.spillover.matrix) if spillover else None
    write_fcs(target, columns, [events], events=len(events), spillover=matrix)
    return target


@pytest.mark.parametrize(
    ("name", "fraction", "events"),
    [("euroflow", 1e-4, 600_000), ("srl", 1e-3, 300_000), ("srl", 1e-4, 900_000)],
)
def test_a_clone_is_recovered(tmp_path, make_tubes, make_sample, settings, name, fraction, events):
    made = make_tubes(tmp_path, load_panel(name), events, fraction, 21)
    evidence, result = called(make_sample(*(p for p, _ in made), panel=name), settings)
    truths = [t for _, t in made]
    true = sum(t.aberrant for t in truths) / sum(t.nucleated for t in truths)
    assert result.status is Status.DETECTED
    assert 0.88 * true < result.value < 1.02 * true  # the gates lose about one in twenty
    assert result.ci_low < true < result.ci_high * 1.06
    assert result.panel == name
    assert evidence.input_sha256 == sha256_joined(sha256_file(p) for p, _ in made)


def test_counts_of_the_positive_pair_match_its_truth(positive, make_sample, euroflow, settings):
    """Nucleated within 0.5 %, plasma cells within 6 %, aberrant precision >= 0.99 and recall >= 0.9."""
    evidence, tubes = read_tubes(make_sample(*(p for p, _ in positive)), euroflow, settings)
    for (path, truth), counted, gated in zip(positive, evidence.tubes, tubes, strict=True):
        assert counted.nucleated == pytest.approx(truth.nucleated, rel=0.005)
        assert counted.plasma_cells == pytest.approx(truth.plasma_cells, rel=0.06)
        kinds = np.load(path.with_suffix(".npy"))
        called_kinds = kinds[gated.plasma_cell_events[gated.aberrant]]
        assert (called_kinds == 2).mean() >= 0.99
        assert (called_kinds == 2).sum() >= 0.9 * truth.aberrant


def test_a_blank_is_not_detected_and_too_shallow_for_1e_5(blank, make_sample, settings):
    _, result = called(make_sample(*(p for p, _ in blank)), settings)
    assert (result.status, result.reason) == (Status.NOT_DETECTED, Reason.BELOW_DECISION_COUNT)
    assert result.numerator <= 3
    assert result.lod > 1e-5


def test_many_normal_plasma_cells_do_not_make_a_clone(tmp_path, make_tubes, make_sample, settings, euroflow):
    """3 % of plasma cells, as in a regenerating marrow: twelve times the usual background."""
    made = make_tubes(tmp_path, euroflow, 400_000, 0.0, 5, plasma_cell_fraction=0.03)
    evidence, result = called(make_sample(*(p for p, _ in made)), settings)
    assert result.status is Status.NOT_DETECTED
    assert sum(t.background_mean for t in evidence.tubes) > 1.0


def test_swapped_tubes_give_no_number(positive, make_sample, settings):
    evidence, result = called(make_sample(positive[1][0], positive[0][0]), settings)
    assert (result.status, result.reason, result.value) == (Status.NOT_EVALUABLE, Reason.PANEL_MISMATCH, None)
    assert "markers of tube 2" in evidence.tubes[0].mismatch


@pytest.mark.parametrize(("chosen", "why"), [((0,), "tube 2 is missing"), ((0, 0), "the same file")])
def test_a_missing_or_repeated_tube_gives_no_number(positive, make_sample, settings, chosen, why):
    evidence, result = called(make_sample(*(positive[i][0] for i in chosen)), settings)
    assert (result.status, result.reason, result.value) == (Status.NOT_EVALUABLE, Reason.PANEL_MISMATCH, None)
    assert any(why in t.mismatch for t in evidence.tubes)


def test_a_third_tube_gives_no_number(positive, blank, make_sample, settings):
    evidence, result = called(make_sample(positive[0][0], positive[1][0], blank[0][0]), settings)
    assert (result.status, result.reason) == (Status.NOT_EVALUABLE, Reason.PANEL_MISMATCH)
    assert evidence.tubes[2].mismatch == "the template has 2 tube(s)"


def test_a_missing_marker_gives_no_number(tmp_path, positive, make_sample, settings):
    odd = rewritten(positive[0][0], tmp_path / "t.fcs", stains={"CD19": "CD20"})
    evidence, result = called(make_sample(odd, positive[1][0]), settings)
    assert result.reason is Reason.PANEL_MISMATCH
    assert "not found: CD19" in evidence.tubes[0].mismatch


def test_tubes_of_different_patients_are_not_called(positive, blank, make_sample, settings):
    _, result = called(make_sample(positive[0][0], blank[1][0]), settings)
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.DISCORDANT_TUBES)


def test_a_tube_without_spillover_is_not_called(tmp_path, positive, make_sample, settings):
    bare = rewritten(positive[0][0], tmp_path / "t.fcs", spillover=False)
    _, result = called(make_sample(bare, positive[1][0]), settings)
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.FAILED_QC)
    assert "not_compensated" in result.qc


def test_no_plasma_cells_at_all_are_not_called_negative(tmp_path, make_tubes, make_sample, settings, srl):
    made = make_tubes(tmp_path, srl, 60_000, 0.0, 3, plasma_cell_fraction=0.0)
    _, result = called(make_sample(made[0][0], panel="srl"), settings)
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.FAILED_QC)
    assert "no_plasma_cells" in result.qc


def test_no_events_are_not_evaluable(tmp_path, make_tubes, make_sample, settings, srl):
    made = make_tubes(tmp_path, srl, 0, 0.0, 3)
    _, result = called(make_sample(made[0][0], panel="srl"), settings)
    assert (result.status, result.reason) == (Status.NOT_EVALUABLE, Reason.NO_CELLS)


def test_a_truncated_tube_is_damaged(tmp_path, positive, make_sample, settings):
    cut = tmp_path / "cut.fcs"
    cut.write_bytes(positive[0][0].read_bytes()[:-4])
    with pytest.raises(DamagedFile, match="cut off"):
        read_sample(make_sample(cut, positive[1][0]), settings)


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
    from mrd_flow.populations import cell_kinds

    markers = tuple(srl.tubes[0].markers)
    kinds = cell_kinds(markers, plasma_cell_fraction=0.5, aberrant_fraction=0.0, phenotype="classic")
    rows = kinds.rows("normal_plasma_cell")
    share = kinds.share[rows] / kinds.share[rows].sum()
    positive = np.exp(kinds.median_ln[rows]) > 1_000
    found = {
        m: float(share[positive[:, markers.index(m)]].sum()) for m in ("CD19", "CD45", "CD56", "cyKappa")
    }
    assert found == pytest.approx({"CD19": 0.80, "CD45": 0.78, "CD56": 0.06, "cyKappa": 0.6})
