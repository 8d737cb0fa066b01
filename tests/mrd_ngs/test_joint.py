"""Markers of one clone are one measurement: its interval covers, and contradiction is seen."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mrd_ngs.joint import Observation, disagreement, estimate_clone, lod_templates
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import Calibration, fit_calibration
from mrd_ngs.track import template_interval

SETTINGS = NgsSettings()


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


def observed(*reads: int, background: float = 0.0, fit: Calibration | None = None) -> list[Observation]:
    return [
        Observation(target_id=f"M{i}", reads=n, background_reads=background, calibration=fit or calibration())
        for i, n in enumerate(reads)
    ]


def branched(rng: np.random.Generator, templates: int, efficiency: float) -> NDArray[np.float64]:
    """Relative yield of each template after ten PCR cycles, mean 1."""
    molecules = np.ones(templates, dtype=np.int64)
    for _ in range(10):
        molecules += rng.binomial(molecules, efficiency)
    return molecules / (1 + efficiency) ** 10


def tube(
    rng: np.random.Generator, mean_templates: float, share: float, efficiency: float = 0.8, markers: int = 2
) -> list[Observation]:
    """Markers of one tube: cells are drawn once, ``share`` of their DNA reaches the assay."""
    spiked = branched(rng, 9 * 40, efficiency).reshape(9, 40).sum(axis=1)
    reads = rng.poisson(spiked * 5.0)
    fit = fit_calibration([(f"S{i}", int(n), 40.0) for i, n in enumerate(reads)], error_rate=0.001)
    assert fit is not None
    cells = int(rng.poisson(mean_templates / share))
    templates = [int(rng.binomial(cells, share)) for _ in range(markers)]
    drawn = [int(rng.poisson(branched(rng, t, efficiency).sum() * 5.0)) for t in templates]
    return observed(*drawn, fit=fit)


def coverage(
    rng: np.random.Generator, mean_templates: float, share: float, *, efficiency: float = 0.8, tubes: int
) -> float:
    covered = 0
    settings = NgsSettings(marker_shared_sampling=share)
    for _ in range(tubes):
        interval = estimate_clone(tube(rng, mean_templates, share, efficiency), settings).interval
        covered += interval.low <= mean_templates <= interval.high
    return covered / tubes


def test_one_marker_gives_what_it_gives_alone() -> None:
    for reads in (0, 3, 500):
        estimate = estimate_clone(observed(reads), SETTINGS)
        assert estimate.templates == reads / 5
        assert estimate.interval == pytest.approx(template_interval(reads, calibration()))
        assert estimate.p_value == 1.0


def test_a_second_marker_narrows_the_interval_but_not_below_the_cells_drawn() -> None:
    one, two = (estimate_clone(observed(*reads), SETTINGS).interval for reads in ((100,), (100, 100)))
    assert one.low < two.low < two.high < one.high
    exact = estimate_clone(observed(*[100] * 50), SETTINGS).interval
    assert exact.low < 12.3  # Garwood of 20 templates: 12.2 to 30.9
    assert exact.high > 30.8


def test_the_less_is_shared_the_more_a_second_marker_tells() -> None:
    widths = []
    for share in (1.0, 0.5, 0.01):
        low, high = estimate_clone(observed(100, 100), NgsSettings(marker_shared_sampling=share)).interval
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_interval_covers_the_truth(rng: np.random.Generator, share: float) -> None:
    # 0.95 less three standard errors of 300 tubes (0.0126)
    assert coverage(rng, 10.0, share, tubes=300) >= 0.912


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("efficiency", [0.5, 0.8])
@pytest.mark.parametrize("mean_templates", [3.0, 10.0, 100.0, 1000.0])
def test_interval_covers_the_truth_over_the_range(
    rng: np.random.Generator, mean_templates: float, efficiency: float, share: float
) -> None:
    found = coverage(rng, mean_templates, share, efficiency=efficiency, tubes=1000)
    # three standard errors of 1,000 tubes are 0.0207
    assert found >= 0.929, found
    assert mean_templates < 10 or found <= 0.99, found


def test_markers_far_apart_are_discordant_and_not_averaged() -> None:
    estimate = estimate_clone(observed(500, 0), SETTINGS)
    assert estimate.is_discordant
    assert estimate.p_value < 1e-4
    assert estimate.basis == ("M0",)
    assert estimate.templates == 100
    assert estimate.interval == pytest.approx(template_interval(500, calibration()))


@pytest.mark.parametrize("reads", [(0, 0), (10, 0), (25, 10), (500, 300), (100_000, 60_000)])
def test_markers_within_chance_and_amplification_agree(reads: tuple[int, int]) -> None:
    assert not estimate_clone(observed(*reads), SETTINGS).is_discordant


def test_background_of_one_marker_is_no_contradiction() -> None:
    alone, explained = observed(120, 0), observed(120, 0)
    explained[0] = observed(120, background=110.0)[0]
    assert disagreement(alone, SETTINGS) < SETTINGS.discordance_alpha < disagreement(explained, SETTINGS)


def test_disagreement_depends_on_no_order() -> None:
    assert disagreement(observed(3, 90, 40), SETTINGS) == pytest.approx(
        disagreement(observed(90, 40, 3), SETTINGS), rel=1e-6
    )


def test_agreeing_markers_are_rarely_called_discordant(rng: np.random.Generator) -> None:
    false = sum(
        estimate_clone(tube(rng, mean, 0.05), SETTINGS).is_discordant
        for mean in (2.0, 8.0, 30.0)
        for _ in range(200)
    )
    assert false <= 4  # 0.6 expected of 600; more than 4 has probability 4e-4


def test_two_markers_find_a_clone_at_their_limit(rng: np.random.Generator) -> None:
    for share in (1.0, 0.3):
        settings = NgsSettings(marker_shared_sampling=share)
        at_limit = lod_templates([(calibration(dispersion=2.0), 2)] * 2, settings)
        assert at_limit is not None
        found = sum(max(o.reads for o in tube(rng, at_limit, share)) >= 2 for _ in range(600))
        assert found / 600 >= 0.923  # 0.95 less three standard errors of 600 tubes


@pytest.mark.parametrize(("reads_per_template", "decision_reads"), [(5.0, 22), (0.5, 2), (17.0, 2)])
def test_limit_is_where_nineteen_of_twenty_reach_the_decision_count(
    rng: np.random.Generator, reads_per_template: float, decision_reads: int
) -> None:
    fit = calibration(reads_per_template=reads_per_template, dispersion=1.0)
    at_limit = lod_templates([(fit, decision_reads)], SETTINGS)
    assert at_limit is not None
    reads = rng.poisson(rng.poisson(at_limit, 40_000) * reads_per_template)
    assert (reads >= decision_reads).mean() == pytest.approx(0.95, abs=0.0033)  # three standard errors


def test_limit_of_one_marker_depends_on_no_sharing() -> None:
    limits = [
        lod_templates([(calibration(), 6)], NgsSettings(marker_shared_sampling=share))
        for share in (1.0, 0.5, 0.1)
    ]
    assert limits == pytest.approx([limits[0]] * 3, rel=1e-4)


def test_decision_count_out_of_reach_has_no_limit() -> None:
    assert lod_templates([(calibration(), 10_000_000)], SETTINGS) is None


def test_no_markers_are_refused() -> None:
    with pytest.raises(ValueError, match="no marker to combine"):
        estimate_clone([], SETTINGS)
