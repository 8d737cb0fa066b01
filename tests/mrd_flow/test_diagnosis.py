"""A gate that does not hold the clone at diagnosis must not call it gone afterwards."""

import dataclasses

import pytest

from mrd_flow.call import call_patient
from mrd_flow.panel import load_panel
from mrd_flow.read import read_sample
from pipeline.detection import Call, read_at
from pipeline.model import Reason, Status


@pytest.fixture
def series(tmp_path, make_tubes, make_sample, settings):
    """Results at diagnosis (20 % clone) and at a follow-up with 1e-3 left, by phenotype and panel."""

    def called(phenotype: str, panel: str, *, with_diagnosis: bool = True):
        evidence = []
        for number, (timepoint, fraction) in enumerate({"BASE": 0.2, "FU1": 1e-3}.items()):
            folder = tmp_path / timepoint
            folder.mkdir()
            made = make_tubes(folder, load_panel(panel), 30_000, fraction, number, phenotype=phenotype)
            sample = make_sample(*(p for p, _ in made), panel=panel)
            evidence.append(read_sample(dataclasses.replace(sample, timepoint=timepoint), settings))
        kept = evidence if with_diagnosis else evidence[1:]
        return call_patient(kept, settings=settings, baseline="BASE").results

    return called


@pytest.mark.parametrize("panel", ["euroflow", "srl"])
def test_clone_outside_the_gate_is_never_called_negative(series, panel):
    _, later = series("cd56_negative", panel)
    assert later.status is Status.INDETERMINATE
    assert later.reason is Reason.CLONE_OUTSIDE_GATE
    assert all(read_at(later, c).call is not Call.NEGATIVE for c in (0.5, 1e-2, 1e-5))


@pytest.mark.parametrize("panel", ["euroflow", "srl"])
def test_clone_inside_the_gate_is_called_as_before(series, panel):
    diagnosis, later = series("classic", panel)
    assert diagnosis.status is Status.DETECTED
    assert later.status is Status.DETECTED


def test_follow_up_without_diagnosis_is_flagged(series):
    (later,) = series("classic", "srl", with_diagnosis=False)
    assert "no_baseline" in later.qc
