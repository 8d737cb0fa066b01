"""Files that cannot be what they are said to be: a clear error or a flagged result, never a silent number."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mrd_flow.call import call_patient
from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.read import read_sample
from pipeline.detection import Call, read_at
from pipeline.errors import DamagedFile
from pipeline.model import Reason, Status


def called(sample, settings):
    evidence = read_sample(sample, settings)
    (result,) = call_patient([evidence], settings=settings).results
    return evidence, result


def rewritten(source, target, *, spillover=True, turned=False, stains=None):
    """A tube with something of it changed."""
    (data,) = read_data_sets(source)
    columns = [Column(name=p.name, stain=(stains or {}).get(p.stain, p.stain)) for p in data.parameters]
    names = [data.parameters[c].name for c in data.spillover.columns]
    events = data.table()
    matrix = data.spillover.matrix
    write_fcs(
        target,
        columns,
        [events],
        events=len(events),
        spillover=(names, matrix.T if turned else matrix) if spillover else None,
    )
    return target


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


def test_a_transposed_matrix_is_not_called(tmp_path, positive, make_sample, settings):
    turned = rewritten(positive[0][0], tmp_path / "t.fcs", turned=True)
    _, result = called(make_sample(turned, positive[1][0]), settings)
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.FAILED_QC)
    assert "spillover_transposed" in result.qc


@pytest.mark.parametrize(
    ("one", "other"),
    [("CD38", "CD45"), ("CD19", "CD56"), ("CD38", "CD138"), ("CD27", "CD45"), ("CD138", "CD45")],
)
def test_exchanged_detectors_are_not_called(tmp_path, positive, make_sample, settings, one, other):
    """The labels of two detectors exchanged: some cell then carries what no such cell does."""
    odd = rewritten(positive[0][0], tmp_path / "t.fcs", stains={one: other, other: one})
    _, result = called(make_sample(odd, positive[1][0]), settings)
    assert (result.status, result.reason) == (Status.INDETERMINATE, Reason.FAILED_QC)
    assert "impossible_population" in result.qc


def test_400000_events_only_are_never_negative_at_1e_5(tmp_path, make_tubes, make_sample, settings, euroflow):
    made = make_tubes(tmp_path, euroflow, 200_000, 0.0, 8)
    _, result = called(make_sample(*(p for p, _ in made)), settings)
    assert result.status is Status.NOT_DETECTED
    assert result.lod > 5e-5
    assert read_at(result, 1e-5).call is Call.INDETERMINATE
    assert "few_cells" in result.qc


def test_text_that_is_no_fcs_file_is_refused(tmp_path, positive, make_sample, settings):
    path = tmp_path / "t.fcs"
    path.write_text("event,CD38\n1,2\n")
    with pytest.raises(DamagedFile, match="not an FCS file"):
        read_sample(make_sample(path, positive[1][0]), settings)


def test_hostile_keyword_values_reach_no_terminal(tmp_path, positive):
    """Escape sequences, markup and a path in the keywords and names of a file."""
    raw = positive[0][0].read_bytes()
    evil = tmp_path / "t.fcs"
    evil.write_bytes(
        raw.replace(b"nadir simulation", b"\x1b[31m[bold]../..").replace(b"CD117", b"\x1b[31m", 1)
    )
    out = tmp_path / "r.json"
    command = [str(Path(sys.executable).with_name("nadir")), "flow", "mrd", str(evil), str(positive[1][0])]
    command += ["--panel", "euroflow", "--out", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0
    assert "\x1b[31m" not in ended.stderr + ended.stdout
    result = json.loads(out.read_text())
    assert "marker_by_fluorochrome" in result["qc"]
