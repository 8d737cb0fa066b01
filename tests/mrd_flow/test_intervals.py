"""Intervals of a fraction cover it, with and without the classifier's error: enumerated and drawn."""

import math

import numpy as np
import pytest
from scipy.stats import poisson

from mrd_flow.intervals import ClassifierError, fraction_of

CELLS = 10_000_000
DRAWS = 1_000
KNOWN = ClassifierError(false_events=4.0, false_events_high=4.0, recall=0.9, recall_low=0.9)


def outcomes(mean):
    """Counts that occur, and their probabilities."""
    counts = np.arange(int(mean + 12 * math.sqrt(mean) + 30))
    return counts, poisson.pmf(counts, mean)


def covered(name, fraction, error):
    """Exact coverage of one interval at one true fraction."""
    counts, chance = outcomes(fraction * CELLS * error.recall + error.false_events)
    inside = []
    for count in counts:
        low, high = getattr(fraction_of(int(count), CELLS, error), name)
        inside.append(low <= fraction <= high)
    return float(chance[np.array(inside)].sum())


@pytest.mark.parametrize("mean", [0.4, 3.0, 20.0, 27.9, 50.0, 100.0, 300.0])
@pytest.mark.parametrize("error", [ClassifierError(), KNOWN], ids=["no_error", "known_error"])
@pytest.mark.parametrize("name", ["reported", "corrected"])
def test_exact_intervals_cover_at_least_95_percent_by_enumeration(name, error, mean):
    assert covered(name, mean / CELLS, error) >= 0.95


@pytest.mark.parametrize("mean", [0.4, 3.0, 20.0, 100.0])
def test_the_plain_exact_interval_covers_where_the_classifier_is_right(mean):
    assert covered("exact", mean / CELLS, ClassifierError()) >= 0.95


def test_the_plain_interval_would_not_cover_behind_a_classifier_that_errs():
    """Why the classifier's error is carried: 100 cells, a tenth missed, and counting statistics alone."""
    assert covered("exact", 100 / CELLS, ClassifierError(recall=0.8, recall_low=0.8)) < 0.75


@pytest.mark.parametrize("mean", [20.0, 28.0, 50.0, 100.0, 300.0])
def test_wilson_covers_95_percent_of_1000_draws_within_their_monte_carlo_error(mean, rng):
    counts = rng.poisson(mean, DRAWS)
    hits = sum(
        w.low <= mean / CELLS <= w.high
        for w in (fraction_of(int(k), CELLS, ClassifierError()).wilson for k in counts)
    )
    assert hits / DRAWS == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / DRAWS))


@pytest.mark.parametrize("mean", [20.0, 50.0, 300.0])
def test_exact_intervals_cover_1000_draws_of_recognised_and_false_events(mean, rng):
    """Cells are drawn, lost and added one by one, not by the formula's own mean."""
    cells = rng.poisson(mean, DRAWS)
    counts = rng.binomial(cells, KNOWN.recall) + rng.poisson(KNOWN.false_events, DRAWS)
    found = [fraction_of(int(k), CELLS, KNOWN) for k in counts]
    least = 0.95 - 3 * math.sqrt(0.95 * 0.05 / DRAWS)
    for name in ("reported", "corrected"):
        bounds = [getattr(f, name) for f in found]
        assert np.mean([low <= mean / CELLS <= high for low, high in bounds]) >= least


def test_published_score_interval_of_20_in_ten_million():
    """20 of 10,000,000: 1.29 to 3.09 in a million, as computed with the score formula by hand."""
    found = fraction_of(20, CELLS, ClassifierError())
    assert [round(b * 1e6, 2) for b in found.wilson] == [1.29, 3.09]
    assert found.reported == found.exact == found.corrected


def test_an_uncertain_classifier_widens_both_bounds():
    sure = fraction_of(60, CELLS, KNOWN)
    unsure = ClassifierError(false_events=4.0, false_events_high=9.0, recall=0.9, recall_low=0.7)
    wide = fraction_of(60, CELLS, unsure)
    for name in ("reported", "corrected"):
        narrow_low, narrow_high = getattr(sure, name)
        low, high = getattr(wide, name)
        assert low < narrow_low
        assert high > narrow_high
    assert wide.corrected_value == sure.corrected_value


@pytest.mark.parametrize("count", [0, 1, 3, 20, 1000])
def test_each_interval_contains_its_value(count):
    found = fraction_of(count, 1_000, KNOWN)
    assert found.reported.low <= found.value <= found.reported.high <= 1.0
    assert found.corrected.low <= found.corrected_value <= found.corrected.high <= 1.0


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="need 0 <= successes"):
        fraction_of(11, 10, ClassifierError())
    with pytest.raises(ValueError, match="recall_low <= recall"):
        ClassifierError(recall=0.5, recall_low=0.6)
    with pytest.raises(ValueError, match="false_events <= false_events_high"):
        ClassifierError(false_events=2.0)
