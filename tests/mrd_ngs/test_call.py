"""Every result says what was found, out of how many cells, and what could have been seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from scipy.stats import nbinom, poisson

from mrd_ngs.call import METHOD_VERSION, call_markers, call_patient
from mrd_ngs.evidence import Library
from mrd_ngs.settings import NgsSettings
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
    even = NgsSettings(template_yield_cv_min=0)
    (result,) = call_markers([make_library(clone=0)], [make_marker()], settings=even).results
    assert result.status is Status.NOT_DETECTED
    assert result.value == 0.0
    assert result.numerator == 0.0
    # 5 reads a template, Poisson: of one template 2 reads with probability 0.9596, of two 0.9995;
    # exp(-t) (1 + 0.0404 t + 0.0005 t^2 / 2) = 0.05 at t = 3.116
    assert result.lod == pytest.approx(3.116e-6, rel=1e-3)
    assert result.lod_basis == (
        "1 template, 95 % power, 1,000,000 nucleated cells (as stated in the sheet), efficiency 0.960 "
        "(at least 2 reads of 5.00 a template, dispersion 1.00)"
    )
    assert result.loq is not None
    assert result.loq >= result.lod


def test_limit_reckons_with_yields_less_even_than_the_spike_ins(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=0), make_marker())
    # Yields with a coefficient of variation of 0.8: reads of j templates are negative binomial with
    # mean 5 j and size j / 0.64. By scipy, not by what is tested.
    templates = np.arange(60)
    missed = np.concatenate([[1.0], nbinom.cdf(1, templates[1:] / 0.64, 1 / (1 + 0.64 * 5))])
    assert result.lod is not None
    assert (poisson.pmf(templates, result.lod * 1e6) * missed).sum() == pytest.approx(0.05, rel=1e-4)
    assert "dispersion 4.20" in result.lod_basis


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


SECOND_READ = np.random.default_rng(5).choice(np.frombuffer(b"ACGT", dtype=np.uint8), 180).tobytes()
SECOND_WINDOW = SECOND_READ[60:140]


@pytest.fixture
def pair(make_marker) -> list[Marker]:
    """Two markers of one clone."""
    return [
        make_marker(),
        make_marker(target_id="IGK-1", locus="IGK", sequence=SECOND_WINDOW.decode()),
    ]


def test_markers_that_agree_are_one_clone(make_library: Make, pair: list[Marker]) -> None:
    library = make_library(clone=50, others={SECOND_READ: 60})
    first, second, clone = call_markers([library], pair, settings=SETTINGS).results
    assert [r.target_id for r in (first, second, clone)] == ["IGH-1", "IGK-1", "clone"]
    assert clone.status is Status.DETECTED
    assert clone.reason is Reason.AT_OR_ABOVE_DECISION_COUNT
    assert clone.numerator == pytest.approx(11.0)
    assert clone.value == pytest.approx(1.1e-5)
    assert clone.ci_low < clone.value < clone.ci_high
    assert clone.lod < min(first.lod, second.lod)
    assert clone.ci_high - clone.ci_low < second.ci_high - second.ci_low
    assert clone.qc == "pass"
    assert "1 of 2 markers, 95 % power" in clone.lod_basis


def test_one_marker_has_no_row_for_the_clone(make_library: Make, make_marker) -> None:
    calls = call_markers([make_library(clone=50)], [make_marker()], settings=SETTINGS)
    assert [r.target_id for r in calls.results] == ["IGH-1"]


def test_a_lost_marker_leaves_the_clone_detected_at_the_level_of_the_other(
    make_library: Make, pair: list[Marker]
) -> None:
    first, second, clone = call_markers([make_library(clone=500)], pair, settings=SETTINGS).results
    assert clone.status is Status.DETECTED
    assert clone.reason is Reason.DISCORDANT_MARKERS
    assert (clone.value, clone.ci_low, clone.ci_high) == (first.value, first.ci_low, first.ci_high)
    assert clone.lod == pytest.approx(first.lod)  # nothing leans on the marker that may be lost
    assert second.status is Status.NOT_DETECTED
    for result in (first, second, clone):
        assert "markers disagree (templates IGH-1 100, IGK-1 0" in result.qc


def test_a_negative_does_not_rest_on_markers_that_contradict_each_other(
    make_library: Make, pair: list[Marker], neighbour: bytes
) -> None:
    # 50 reads of the first marker where errors of its look-alikes explain 27 of up to 44: if it
    # were called, the clone would be; here the accepted chance is so small that it is not.
    strict = NgsSettings(background_alpha=1e-9, discordance_alpha=0.2, template_yield_cv_min=0)
    library = make_library(clone=50, others={neighbour: 400_000})
    first, second, clone = call_markers([library], pair, settings=strict).results
    assert first.status is second.status is Status.NOT_DETECTED
    assert clone.status is Status.INDETERMINATE
    assert clone.reason is Reason.DISCORDANT_MARKERS


def test_two_negative_markers_are_one_negative_clone(make_library: Make, pair: list[Marker]) -> None:
    even = NgsSettings(template_yield_cv_min=0)
    *_, clone = call_markers([make_library()], pair, settings=even).results
    assert clone.status is Status.NOT_DETECTED
    assert clone.reason is Reason.BELOW_DECISION_COUNT
    assert clone.value == clone.ci_low == 0.0
    # Both miss one template with probability 0.0404^2: exp(-t) (1 + 0.0016 t) = 0.05 at t = 3.0006
    assert clone.lod == pytest.approx(3.001e-6, rel=1e-3)


def test_clone_without_calibration_is_not_evaluable(make_library: Make, pair: list[Marker]) -> None:
    *_, clone = call_markers([make_library(clone=50, spike_ins=())], pair, settings=SETTINGS).results
    assert clone.target_id == "clone"
    assert clone.status is Status.NOT_EVALUABLE
    assert clone.reason is Reason.SPIKE_INS_NOT_FOUND


def test_reads_expected_from_other_samples_are_not_called(make_library: Make, make_marker) -> None:
    hopped = {("0" * 64, "IGH-1"): 10.0}
    (result,) = call_markers(
        [make_library(clone=12)], [make_marker()], settings=SETTINGS, hopped=hopped
    ).results
    assert result.status is Status.NOT_DETECTED
    assert result.reason is Reason.EXPLAINED_BY_BACKGROUND
    assert "IGH-1: 10.0 reads expected from other samples of the run" in result.qc
    (more,) = call_markers(
        [make_library(clone=60)], [make_marker()], settings=SETTINGS, hopped=hopped
    ).results
    assert more.status is Status.DETECTED


def test_a_follow_up_beside_its_baseline_on_one_run_is_flagged_and_kept(
    make_library: Make, make_marker
) -> None:
    def called(follow_up_run: str, reads: int) -> MrdResult:
        libraries = [make_library(clone=20_000, run_id="R1"), make_library(clone=reads, run_id=follow_up_run)]
        return call_markers(libraries, [make_marker()], settings=SETTINGS).results[1]

    flag = "IGH-1: 25 reads could be hopping, 20 expected at 0.1 % of 20,000 in the same run"
    assert flag in called("R1", 25).qc
    assert called("R1", 25).status is Status.DETECTED
    for unsuspected in (called("R2", 25), called("", 25), called("R1", 60)):
        assert unsuspected.qc == "pass"


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


def test_molecules_are_not_called_reads(make_library: Make, make_marker) -> None:
    spike_reads = (30, 31, 29, 30, 32, 28)  # of 40 copies each: 0.75 molecules a template
    library = replace(make_library(clone=30, spike_reads=spike_reads), counted="molecules")
    result = only(library, make_marker())
    assert result.lod_basis.startswith("2 molecules, 95 % power, ")
    assert "(at least 2 molecules of 0.75 a template" in result.lod_basis
    assert result.qc == "pass"  # one molecule a template is all there can be
    assert result.value == pytest.approx(4e-5)
    # A template is taken to give a Poisson number of molecules, q = exp(-0.75) of them none:
    # exp(-t (1 - q)) (1 + 0.75 t q) = 0.05 at t = 8.272, above the 4.744 / 0.75 of at most one
    assert result.lod == pytest.approx(8.272e-6, rel=1e-3)
    uncounted = only(replace(library, spike_ins=()), make_marker())
    assert uncounted.qc == f"30 clone molecules of {library.input_reads:,} reads, not turned into cells"


def test_unrelated_cells_with_the_same_window_are_named(make_library: Make, make_marker) -> None:
    result = only(make_library(clone=10), make_marker(background_fraction=5e-7))
    assert result.status is Status.NOT_DETECTED
    assert "IGH-1: 0.5 templates expected of unrelated cells with the same window" in result.qc
    assert only(make_library(clone=10), make_marker(background_fraction=1e-12)).qc == "pass"
