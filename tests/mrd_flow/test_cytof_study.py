"""Debarcoding, drift and counts hold what the method's page says, on overlapping simulated populations.

``tests/bench/study_cytof.py`` prints the same numbers with more runs.
"""

import math

import pytest

from bench.study_cytof import MEANT, study
from mrd_flow.cytof.panel import load_cytof_panel

PANEL = load_cytof_panel("marrow")


def three_errors(intervals: int) -> float:
    return 3 * math.sqrt(0.95 * 0.05 / intervals)


def test_events_are_assigned_right_and_fractions_lie_in_their_intervals():
    found = study(PANEL, runs=6, events=20_000, seed=7)
    assert found.right.min() >= 0.99
    assert found.yields.min() >= 0.85
    intervals = sum(t.intervals for t in found.tallies.values())
    covered = sum(t.covered for t in found.tallies.values())
    assert covered / intervals >= 0.94
    assert set(found.tallies) == set(MEANT)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fractions_lie_in_their_intervals_in_95_percent_of_200_simulations():
    found = study(PANEL, runs=200, events=30_000, seed=1)
    for name, t in found.tallies.items():
        assert t.covered / t.intervals >= 0.95 - three_errors(t.intervals), name
        assert t.both / t.true > 0.95, name
        assert t.both / t.found > 0.97, name
    assert found.right.min() >= 0.99


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_at_most_five_percent_of_drift_remains_with_enough_beads():
    found = study(PANEL, runs=10, events=100_000, seed=3)
    assert found.departure_before.max() > 0.2
    assert found.departure_after.max() <= 0.05
    assert found.reported_residual.max() <= 0.06  # from half the beads: noisier than the truth
