"""Every result says what was found, out of how many cells, and what could have been seen."""

from collections.abc import Callable
from datetime import date

import pytest

from mrd_ngs.call import METHOD_VERSION, call_markers, call_patient
from mrd_ngs.evidence import Library, NgsSettings
from pipeline.model import Marker, Material, MrdResult, Reason, Status

Make = Callable[..., Library]
SETTINGS = NgsSettings()


def only(library: Library, marker: Marker) -> MrdResult:
    (result,) = call_markers([library], [marker], settings=SETTINGS).results
    return result


def test_clone_reads_become_a_fraction_of_cells(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=50), make_marker())
    assert result.status is Status.DETECTED
    assert result.reason is Reason.AT_OR_ABOVE_DECISION_COUNT
    assert result.numerator == pytest.approx(10.0)  # 1,200 spike-in reads of 240 copies: 5 a template
    assert result.value == pytest.approx(1e-5)
    assert result.ci_low < 1e-5 < result.ci_high
    assert result.denominator == 1_000_000
    assert result.method_version == METHOD_VERSION
    assert result.qc == "pass"


def test_negative_carries_its_limit_in_words(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=0), make_marker())
    assert result.status is Status.NOT_DETECTED
    assert result.value == 0.0
    assert result.numerator == 0.0
    # 5 reads a template, Poisson: P(>= 2) = 0.9596; 2.9957 / 0.9596 per million
    assert result.lod == pytest.approx(3.122e-6, rel=1e-3)
    assert result.lod_basis == (
        "1 template, 95 % power, 1,000,000 nucleated cells (as stated in the sheet), efficiency 0.960 "
        "(at least 2 reads of 5.00 a template, dispersion 1.00)"
    )
    assert result.loq is not None
    assert result.loq >= result.lod


def test_one_read_is_not_a_relapse(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=1), make_marker())
    assert result.status is Status.NOT_DETECTED
    assert result.reason is Reason.BELOW_DECISION_COUNT
    assert result.value == pytest.approx(2e-7)


def test_reads_that_look_alikes_explain_are_not_a_relapse(
    make_library: Make, make_marker, neighbour: bytes
) -> None:
    result = only(make_library(clone=5, others={neighbour: 60_000}), make_marker())
    assert result.status is Status.NOT_DETECTED
    assert result.reason is Reason.EXPLAINED_BY_BACKGROUND
    assert "look-alikes not counted: 60000 reads at 1 mismatch" in result.qc


@pytest.mark.parametrize(
    ("changes", "reason", "basis"),
    [
        ({"spike_ins": ()}, Reason.SPIKE_INS_NOT_FOUND, "no spike-ins are stated"),
        ({"spike_reads": ()}, Reason.SPIKE_INS_NOT_FOUND, "none of 6 spike-ins was found"),
        ({"cells": None}, Reason.CELLS_UNKNOWN, "cells and DNA are not stated"),
        ({"cells": None, "dna_ng": 0.0}, Reason.NO_CELLS, "no cells"),
        ({"cells": 3}, Reason.IMPLAUSIBLE_CALIBRATION, "3 nucleated cells"),
    ],
)
def test_what_cannot_be_turned_into_cells_has_no_value(
    make_library: Make, make_marker, changes, reason: Reason, basis: str
) -> None:
    result = only(make_library(clone=50, **changes), make_marker())
    assert result.reason is reason
    assert result.status in (Status.NOT_EVALUABLE, Status.INDETERMINATE)
    assert result.value is None
    assert basis in result.lod_basis


def test_clone_reads_without_calibration_are_still_named(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=50, spike_ins=()), make_marker())
    assert result.qc == "50 clone reads of 5,050, not turned into cells"


def test_too_few_cells_for_any_limit_are_not_called_negative(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=0, cells=2), make_marker())
    assert result.status is Status.NOT_EVALUABLE
    assert result.reason is Reason.TOO_FEW_CELLS


def test_missing_spike_ins_and_shallow_sequencing_are_flagged(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=0, spike_reads=(30, 0, 28, 33, 25, 30)), make_marker())
    assert "1 of 6 spike-ins without a read" in result.qc
    assert "shallow: 0.61 reads a template" in result.qc
    assert result.lod is not None
    assert result.lod > 1e-5


def test_markers_that_disagree_are_said_to(make_library: Make, make_marker) -> None:
    second = make_marker(target_id="IGK-1", locus="IGK", sequence="ACGGTCATTG" * 8)
    calls = call_markers([make_library(clone=500)], [make_marker(), second], settings=SETTINGS)
    assert [r.target_id for r in calls.results] == ["IGH-1", "IGK-1"]
    assert all("markers IGH-1 and IGK-1 disagree" in r.qc for r in calls.results)


def test_candidates_not_taken_are_not_followed(make_library: Make, make_marker) -> None:
    calls = call_markers([make_library(clone=50)], [make_marker(taken=False)], settings=SETTINGS)
    (result,) = calls.results
    assert result.reason is Reason.NO_TRACKABLE_CLONE
    assert result.status is Status.NOT_EVALUABLE
    assert result.target_id == "none"


def test_without_a_baseline_nothing_is_negative(make_library: Make) -> None:
    calls = call_patient([make_library(timepoint="ASCT")], settings=SETTINGS, baseline="BASE")
    assert [r.reason for r in calls.results] == [Reason.NO_BASELINE]
    assert calls.markers == ()


def test_a_baseline_without_a_clone_makes_all_samples_not_evaluable(make_library: Make) -> None:
    libraries = [
        make_library(timepoint="ASCT", collected_on=date(2026, 6, 1)),
        make_library(timepoint="BASE", collected_on=date(2026, 1, 1)),
    ]
    calls = call_patient(libraries, settings=SETTINGS, baseline="BASE")
    assert [(r.timepoint, r.reason) for r in calls.results] == [
        ("BASE", Reason.NO_TRACKABLE_CLONE),
        ("ASCT", Reason.NO_TRACKABLE_CLONE),
    ]


def test_libraries_of_two_patients_are_refused(make_library: Make) -> None:
    libraries = [make_library(), make_library(patient_id="P02", material=Material.PLASMA)]
    with pytest.raises(ValueError, match="libraries of several patients"):
        call_patient(libraries, settings=SETTINGS, baseline="BASE")
