"""Intervals against published examples, closed forms and their own definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2, poisson

from pipeline.detection import clopper_pearson, garwood, wilson


def test_published_share_of_81_in_263():
    """Newcombe, Stat Med 1998;17:857, table I: 81/263; five printed digits."""
    assert wilson(81, 263) == pytest.approx((0.25529, 0.36621), abs=5e-6)
    assert clopper_pearson(81, 263) == pytest.approx((0.25274, 0.36762), abs=5e-6)


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904), (20, 12.2165, 30.8884)],
)
def test_published_poisson_bounds(count, low, high):
    """Exact 95 % limits as tabulated by Ulm, Am J Epidemiol 1990;131:373; four printed digits."""
    assert garwood(count) == pytest.approx((low, high), abs=5e-5)


def test_zero_events_bound_is_minus_log_alpha_half():
    assert garwood(0).high == pytest.approx(-math.log(0.025), rel=1e-12)


@given(st.integers(1, 5000), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_garwood_equals_its_chi_square_definition(count, confidence):
    alpha = 1 - confidence
    expected = (chi2.ppf(alpha / 2, 2 * count) / 2, chi2.ppf(1 - alpha / 2, 2 * count + 2) / 2)
    assert garwood(count, confidence=confidence) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson_bounds_leave_two_and_a_half_percent_in_each_tail(share):
    successes, trials = share
    low, high = clopper_pearson(successes, trials)
    if successes:
        assert binom.sf(successes - 1, trials, low) == pytest.approx(0.025, rel=1e-6)
    if successes < trials:
        assert binom.cdf(successes, trials, high) == pytest.approx(0.025, rel=1e-6)


@given(st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_contain_their_estimate_and_stay_in_range(share):
    successes, trials = share
    for low, high in (wilson(successes, trials), clopper_pearson(successes, trials)):
        assert 0 <= low <= successes / trials <= high <= 1


@pytest.mark.parametrize("mean", [0.3, 1.0, 3.0, 10.0, 27.88, 100.0])
def test_garwood_covers_at_least_its_confidence_by_enumeration(mean):
    counts = np.arange(0, 400)
    covered = [garwood(int(k)).low <= mean <= garwood(int(k)).high for k in counts]
    assert poisson.pmf(counts, mean)[covered].sum() >= 0.95


@pytest.mark.parametrize("probability", [1e-3, 0.05, 0.3, 0.5, 0.97])
def test_clopper_pearson_covers_at_least_its_confidence_by_enumeration(probability):
    trials = 172
    counts = np.arange(trials + 1)
    bounds = [clopper_pearson(int(k), trials) for k in counts]
    covered = [b.low <= probability <= b.high for b in bounds]
    assert binom.pmf(counts, trials, probability)[covered].sum() >= 0.95


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_garwood_rises_with_the_count_also_between_whole_counts(one, other):
    less, more = sorted((one, other))
    assert garwood(less).low <= garwood(more).low * (1 + 1e-9)
    assert garwood(less).high <= garwood(more).high * (1 + 1e-9)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 1.5, float("nan")])
def test_confidence_outside_its_range_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        garwood(1, confidence=confidence)


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="a count cannot be negative"):
        garwood(-1)
    with pytest.raises(ValueError, match="a count cannot be negative"):
        garwood(float("nan"))
    for interval in (wilson, clopper_pearson):
        with pytest.raises(ValueError, match="need 0 <= successes <= trials"):
            interval(3, 2)
        with pytest.raises(ValueError, match="trials >= 1"):
            interval(0, 0)
