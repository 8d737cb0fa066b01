"""What the sample at diagnosis teaches the samples that follow."""

import dataclasses
import json

import pytest

from mrd_flow.call import call_patient
from mrd_flow.panel.template import load_panel
from mrd_flow.plasma_cells.diagnosis import read_diagnosis
from mrd_flow.read import read_patient
from mrd_flow.result_document import result_document
from pipeline.detection import Call, read_at
from pipeline.errors import ConfigRefused, InputRefused
from pipeline.formats.atomic import write_json
from pipeline.model import Reason, Status

FOLLOW_UP = 1e-3


@pytest.fixture(scope="module")
def series(tmp_path_factory, make_tubes, make_sample, settings):
    """Evidence at a follow-up with 1e-3 left and at diagnosis (20 % clone), given in this order."""
    made: dict[str, tuple] = {}

    def read(phenotype: str):
        if phenotype not in made:
            samples = []
            for number, (timepoint, fraction) in enumerate({"FU1": FOLLOW_UP, "BASE": 0.2}.items()):
                folder = tmp_path_factory.mktemp(timepoint)
                events = 60_000 if timepoint == "FU1" else 20_000
                tubes = make_tubes(folder, load_panel("srl"), events, fraction, number, phenotype=phenotype)
                sample = make_sample(*(p for p, _ in tubes), panel="srl")
                samples.append(dataclasses.replace(sample, timepoint=timepoint))
            made[phenotype] = read_patient(samples, settings, baseline="BASE")
        return made[phenotype]

    return read


@pytest.mark.parametrize("phenotype", ["classic", "cd56_negative"])
def test_the_clone_of_diagnosis_is_looked_for_afterwards(series, settings, phenotype):
    """The order of the samples does not matter; the follow-up is told what the clone looked like."""
    later, diagnosis = series(phenotype)
    assert diagnosis.classification.phenotype.panel == "srl"
    assert (diagnosis.classification.diagnosis_known, later.classification.diagnosis_known) == (False, True)
    assert later.classification.origin
    results = call_patient((later, diagnosis), settings=settings, baseline="BASE").results
    assert [r.status for r in results] == [Status.DETECTED, Status.DETECTED]
    assert results[0].ci_low < FOLLOW_UP < results[0].ci_high


def test_a_clone_that_was_not_recognised_at_diagnosis_is_never_called_negative(series, settings):
    """Half of many plasma cells are not called: whatever the clone is, it was not seen."""
    later, diagnosis = series("classic")
    empty = dataclasses.replace(later, tubes=tuple(dataclasses.replace(t, aberrant=0) for t in later.tubes))
    missed = tuple(dataclasses.replace(t, aberrant=t.plasma_cells // 3) for t in diagnosis.tubes)
    unseen = dataclasses.replace(diagnosis, tubes=missed)
    later_result, _ = call_patient((empty, unseen), settings=settings, baseline="BASE").results
    assert later_result.status is Status.INDETERMINATE
    assert later_result.reason is Reason.CLONE_OUTSIDE_GATE
    assert all(read_at(later_result, c).call is not Call.NEGATIVE for c in (0.5, 1e-2, 1e-5))


def test_follow_up_without_diagnosis_is_flagged(series, settings):
    later, _ = series("classic")
    (result,) = call_patient([later], settings=settings, baseline="BASE").results
    assert "no_baseline" in result.qc


def test_a_result_at_diagnosis_can_be_given_to_a_later_sample(tmp_path, series, settings, srl, euroflow):
    _, diagnosis = series("classic")
    calls = call_patient([diagnosis], settings=settings)
    path = tmp_path / "d.json"
    write_json(path, result_document(diagnosis, calls, threshold=1e-5))
    assert read_diagnosis(path, srl) == diagnosis.classification.phenotype
    with pytest.raises(InputRefused, match="measured with another panel"):
        read_diagnosis(path, euroflow)


def test_a_result_without_a_clone_is_no_diagnosis(tmp_path, srl):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"diagnostic_phenotype": None}))
    with pytest.raises(InputRefused, match="no clone of enough cells"):
        read_diagnosis(path, srl)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "\x00", '{"diagnostic_phenotype": {"tubes": [1]}}', "[" * 100_000]
)
def test_what_is_no_result_is_no_diagnosis(tmp_path, srl, text):
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(ConfigRefused, match="not a result that holds a diagnosis"):
        read_diagnosis(path, srl)
