"""Clone reads become templates with an interval that covers the truth."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mrd_ngs.evidence import Library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import Calibration, fit_calibration
from mrd_ngs.track import LOQ_RELATIVE_ERROR, quantifiable_templates, template_interval, track_marker
from pipeline.model import Marker


def branched(rng: np.random.Generator, templates: int, efficiency: float) -> NDArray[np.float64]:
    """Relative yield of each template after ten PCR cycles, mean 1."""
    molecules = np.ones(templates, dtype=np.int64)
    for _ in range(10):
        molecules += rng.binomial(molecules, efficiency)
    return molecules / (1 + efficiency) ** 10


def drawn(
    rng: np.random.Generator, mean_templates: float, reads_per_template: float, efficiency: float
) -> tuple[int, Calibration]:
    """Clone reads and calibration of one simulated tube with nine spike-ins of 40 copies."""
    spiked = branched(rng, 9 * 40, efficiency).reshape(9, 40).sum(axis=1)
    clone = branched(rng, int(rng.poisson(mean_templates)), efficiency).sum()
    reads = rng.poisson(spiked * reads_per_template)
    calibration = fit_calibration([(f"S{i}", int(n), 40.0) for i, n in enumerate(reads)], error_rate=0.001)
    assert calibration is not None
    return int(rng.poisson(clone * reads_per_template)), calibration


def coverage(
    rng: np.random.Generator, mean_templates: float, reads_per_template: float, efficiency: float, tubes: int
) -> float:
    covered = 0
    for _ in range(tubes):
        reads, calibration = drawn(rng, mean_templates, reads_per_template, efficiency)
        interval = template_interval(reads, calibration)
        covered += interval.low <= mean_templates <= interval.high
    return covered / tubes


@pytest.mark.parametrize("mean_templates", [8.0, 300.0])
def test_interval_covers_the_truth(rng: np.random.Generator, mean_templates: float) -> None:
    # 0.95 less three standard errors of 300 tubes (0.0126)
    assert coverage(rng, mean_templates, 5.0, 0.8, tubes=300) >= 0.912


@pytest.mark.slow
@pytest.mark.parametrize("efficiency", [0.5, 0.8])
@pytest.mark.parametrize("reads_per_template", [0.5, 2.0, 5.0, 17.0])
@pytest.mark.parametrize("mean_templates", [1.0, 3.0, 8.0, 30.0, 100.0, 1000.0])
def test_interval_covers_the_truth_over_the_range(
    rng: np.random.Generator, mean_templates: float, reads_per_template: float, efficiency: float
) -> None:
    found = coverage(rng, mean_templates, reads_per_template, efficiency, tubes=1000)
    # Not below 0.95 less three standard errors of 1,000 tubes. No upper bound: a Garwood
    # interval of few counts is conservative (up to 0.999 at one template).
    assert found >= 0.929, f"{mean_templates} templates, {reads_per_template} reads each: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("reads_per_template", [2.0, 5.0, 17.0])
def test_clone_at_the_limit_of_detection_is_found_in_nineteen_tubes_of_twenty(
    rng: np.random.Generator, reads_per_template: float
) -> None:
    found = 0
    for _ in range(2000):
        _, calibration = drawn(rng, 1.0, reads_per_template, 0.8)
        at_limit = 2.9957 / calibration.detection_efficiency(2)
        reads, _ = drawn(rng, at_limit, reads_per_template, 0.8)
        found += reads >= 2
    # three standard errors of 2,000 tubes are 0.0146
    assert found / 2000 >= 0.9354


def calibration(**changes: float) -> Calibration:
    fields = {
        "reads_per_template": 5.0,
        "dispersion": 1.5,
        "relative_error": 0.03,
        "degrees_of_freedom": 8,
        "error_rate": 0.001,
        "reads": 1800,
        "copies": 360.0,
        "missing": (),
    }
    return Calibration(**{**fields, **changes})  # type: ignore[arg-type]


def test_interval_widens_with_dispersion_and_with_calibration_error() -> None:
    plain = template_interval(500, calibration())
    for wider in (calibration(dispersion=6.0), calibration(relative_error=0.15)):
        interval = template_interval(500, wider)
        assert interval.low < plain.low < 100 < plain.high < interval.high


def test_interval_bounds_never_fall_as_reads_rise() -> None:
    bounds = [template_interval(reads, calibration()) for reads in range(1, 400)]
    assert all(a.low <= b.low and a.high <= b.high for a, b in pairwise(bounds))


def test_no_read_leaves_room_for_unseen_templates() -> None:
    deep, shallow = (template_interval(0, calibration(reads_per_template=m)) for m in (50.0, 0.5))
    assert deep.low == shallow.low == 0.0
    assert 3.6 < deep.high < 4.0 < shallow.high  # Poisson alone: 3.69


def test_loq_is_where_the_total_error_reaches_seventy_per_cent() -> None:
    fit = calibration()
    templates = quantifiable_templates(fit.template_dispersion, fit.relative_error)
    assert templates is not None
    error = (fit.template_dispersion / templates + fit.relative_error**2) ** 0.5
    assert error == pytest.approx(LOQ_RELATIVE_ERROR)
    assert quantifiable_templates(fit.template_dispersion, 0.8) is None


def test_look_alikes_raise_the_decision_count_and_are_never_added(
    make_library: Callable[..., Library], make_marker: Callable[..., Marker], neighbour: bytes
) -> None:
    marker = make_marker()
    few = track_marker(make_library(clone=3), marker, NgsSettings())
    many = track_marker(make_library(clone=3, others={neighbour: 60_000}), marker, NgsSettings())
    assert few.window.exact == many.window.exact == 3
    assert few.decision_reads == 2
    assert few.is_called
    # 60,000 reads x 0.0002 / 3 = 4 expected by error: 12 is the first count below 1 in 1,000
    assert many.background_reads == pytest.approx(4.0)
    assert many.decision_reads == 12
    assert not many.is_called
    assert many.has_foreign_neighbours
    assert not few.has_foreign_neighbours


def test_the_clones_own_errors_are_no_look_alikes(
    make_library: Callable[..., Library], make_marker: Callable[..., Marker], neighbour: bytes
) -> None:
    # 80 bases at the floor of 0.0002: 160 erroneous reads expected of 10,000, known to a quarter only
    own = track_marker(make_library(clone=10_000, others={neighbour: 190}), make_marker(), NgsSettings())
    assert not own.has_foreign_neighbours
    assert own.decision_reads == 2
    more = track_marker(make_library(clone=10_000, others={neighbour: 600}), make_marker(), NgsSettings())
    assert more.has_foreign_neighbours


def test_unrelated_cells_with_the_same_window_come_in_whole_templates(
    make_library: Callable[..., Library], make_marker: Callable[..., Marker]
) -> None:
    # A million cells, 5 reads a template. One in ten million: 0.1 template expected; 0.0005 of
    # samples have three or more (P(X >= 3) = 0.00015, P(X >= 2) = 0.0047), so two are allowed for.
    shared = track_marker(make_library(clone=10), make_marker(background_fraction=1e-7), NgsSettings())
    assert shared.shared_templates == pytest.approx(0.1)
    assert shared.background_reads == pytest.approx(0.5)
    # Two templates of 5 reads: Poisson(10) reaches 22 in 0.0007, 23 in 0.0003, and 0.0005 are accepted
    assert shared.decision_reads == 23
    assert not shared.is_called
    rare = track_marker(make_library(clone=10), make_marker(background_fraction=1e-11), NgsSettings())
    assert rare.decision_reads == 2
    assert rare.is_called


@pytest.mark.parametrize("background_fraction", [1e-7, 1e-6])
def test_unrelated_cells_with_the_same_window_are_rarely_called(
    rng: np.random.Generator,
    make_library: Callable[..., Library],
    make_marker: Callable[..., Marker],
    background_fraction: float,
) -> None:
    marker = make_marker(background_fraction=background_fraction)
    decision = track_marker(make_library(), marker, NgsSettings()).decision_reads
    tubes = 20_000
    cells = rng.poisson(background_fraction * 1_000_000, tubes)
    depth = np.bincount(
        np.repeat(np.arange(tubes), cells), weights=5 * branched(rng, int(cells.sum()), 0.8), minlength=tubes
    )
    false = int((rng.poisson(depth) >= decision).sum())
    # 0.001 accepted, and three standard errors of 20,000 tubes
    assert false / tubes <= 0.001 + 3 * (0.001 / tubes) ** 0.5
