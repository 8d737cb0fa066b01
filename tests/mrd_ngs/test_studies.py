"""A followed clone is counted without bias, its interval covers, and no look-alike becomes one.

Simulated from cells to reads by ``tests/bench/study_quantification.py``, which prints the tables.
"""

import math

import numpy as np
import pytest

from bench.study_quantification import (
    LOD_CELLS,
    Tube,
    exact_reads,
    fit_limit,
    make_library,
    study_coverage,
    study_detection,
    study_dilutions,
    study_lod,
    study_negatives,
)

LIBRARIES = 1000
THREE_ERRORS = 3 * math.sqrt(0.95 * 0.05 / LIBRARIES)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_dilutions_are_recovered_over_five_decades() -> None:
    found = study_dilutions(np.random.default_rng(1), replicates=40)
    slope, r_squared = found.fit(found.estimates)
    assert 0.97 <= slope <= 1.03
    assert r_squared >= 0.99
    # At 300 templates and more 40 libraries leave an error of 1.4 %: the bound is the bias allowed.
    for level in np.flatnonzero(found.templates >= 100):
        assert found.estimates[level] == pytest.approx(found.fractions[level], rel=0.10)
    # Templates are what makes it linear: the share of reads saturates where the clone dominates.
    assert found.fit(found.shares)[0] < 0.9


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mean_templates", [3.0, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("jackpots", ["branching", "lognormal"])
def test_interval_covers_also_with_heavier_jackpots(jackpots: str, mean_templates: float) -> None:
    found = study_coverage(np.random.default_rng(2), mean_templates, Tube(jackpots=jackpots), LIBRARIES)
    assert found >= 0.95 - THREE_ERRORS
    if mean_templates >= 10:  # below, an interval of so few counts cannot but be conservative
        assert found <= 0.99


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mean_templates", [3.0, 10.0, 100.0, 1000.0])
def test_interval_covers_a_clone_with_heavier_jackpots_than_its_spike_ins(mean_templates: float) -> None:
    """What no spike-in can show; the floor of the dispersion is there for it."""
    tube = Tube(jackpots="branching", clone_jackpots="gamma")
    assert study_coverage(np.random.default_rng(2), mean_templates, tube, LIBRARIES) >= 0.95 - THREE_ERRORS


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_look_alikes_are_never_called_and_the_clones_reads_are_recovered() -> None:
    found = study_negatives(np.random.default_rng(3), negatives=300, positives=30)
    assert found.negatives == 300
    assert found.false_calls == 0
    assert found.exact_reads_most >= 1, "errors of look-alikes do reach the exact window"
    # 80 bases at 0.1 %: 0.923 of the reads have an unchanged window
    assert found.counted_share == pytest.approx(0.999**80, abs=0.01)
    assert 0.99 <= found.recovered_share <= 1.01


@pytest.mark.parametrize("reads_per_template", [5.0, 10.0, 20.0])
def test_limit_of_one_marker_is_three_cells_over_the_efficiency(reads_per_template: float) -> None:
    found = study_lod(np.random.default_rng(4), Tube(reads_per_template=reads_per_template))
    # 10,000 libraries a level leave standard errors of 0.5 % (single hit) and 0.7 % (probit).
    assert found.single_hit <= 3.2 / found.efficiency
    assert found.probit <= 3.2 / found.efficiency * (1 + 3 * 0.007)
    # The floor of a Poisson draw is reached, or passed by two cells that give one read each.
    floor = -math.log(0.05) / found.efficiency
    assert 0.93 * floor <= found.single_hit <= 1.015 * floor


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whole_libraries_are_detected_as_often_as_their_counts_say() -> None:
    tube = Tube(reads_per_template=5.0)
    rng = np.random.default_rng(5)
    expected = float((exact_reads(rng, tube, rng.poisson(2.0, 100_000)) >= 2).mean())
    found = study_detection(rng, tube, 2.0, 600)
    assert found == pytest.approx(expected, abs=3 * math.sqrt(expected * (1 - expected) / 600))


def test_probit_limit_is_that_of_a_known_curve() -> None:
    """A detection curve that is a probit in log10 cells: 50 % at 1 cell, slope 3.

    Its 95 % quantile is 10^(1.6449 / 3) = 3.534 cells.
    """
    from scipy.stats import norm

    million = 1_000_000
    hits = [round(million * float(norm.cdf(3 * math.log10(c)))) for c in LOD_CELLS]
    assert fit_limit(LOD_CELLS, hits, million, single_hit=False) == pytest.approx(3.534, rel=1e-3)
    hits = [round(million * -math.expm1(-0.8 * c)) for c in LOD_CELLS]
    assert fit_limit(LOD_CELLS, hits, million, single_hit=True) == pytest.approx(2.9957 / 0.8, rel=1e-3)


def test_simulated_tube_has_the_reads_it_states() -> None:
    rng = np.random.default_rng(6)
    tube = Tube(amplified=0.5, reads_per_template=8.0)
    reads = np.array([make_library(rng, tube, 100.0)[1] for _ in range(100)])
    # 100 cells, half amplified, 8 reads each: 400, by the variance of a compound Poisson draw
    # 50 x 8^2 x 1.11 + 400 = 3,950, so that the mean of 100 has a standard error of 6.3
    assert reads.mean() == pytest.approx(400, abs=20)
    assert reads.std() == pytest.approx(math.sqrt(3950), rel=0.25)
