"""The limit of detection: what a sample could have shown."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import poisson

from pipeline.detection import (
    decision_count_above_background,
    decision_threshold,
    detection_probability,
    mean_count_for_detection,
    sample_lod,
)

decision_counts = st.integers(1, 200)


@pytest.mark.parametrize(("decision_count", "mean"), [(20, 27.88), (2, 4.744), (1, 2.996)])
def test_mean_counts_of_the_design(decision_count, mean):
    assert mean_count_for_detection(decision_count) == pytest.approx(
        mean, abs=5e-3 if decision_count == 20 else 5e-4
    )


def test_one_event_has_the_closed_form():
    assert mean_count_for_detection(1) == pytest.approx(-math.log(0.05), rel=1e-12)


@pytest.mark.parametrize(
    ("cells", "lod"), [(10_000_000, 2.8e-6), (5_000_000, 5.6e-6), (3_000_000, 9.3e-6), (2_000_000, 1.4e-5)]
)
def test_flow_limits_at_twenty_events(cells, lod):
    assert sample_lod(cells, 20) == pytest.approx(lod, rel=0.01)


def test_twenty_over_n_is_no_95_percent_limit():
    threshold = decision_threshold(10_000_000, 20)
    assert threshold == 2e-6
    assert detection_probability(threshold * 10_000_000, 20) == pytest.approx(0.53, abs=0.005)
    assert sample_lod(10_000_000, 20) > threshold


@given(decision_counts, st.floats(0.5, 0.999))
def test_detection_probability_at_the_limit_equals_the_power(decision_count, power):
    mean = mean_count_for_detection(decision_count, power=power)
    assert poisson.sf(decision_count - 1, mean) == pytest.approx(power, rel=1e-9)


@given(st.integers(1, 10**8), st.integers(1, 10**8), decision_counts, st.floats(0.01, 1))
def test_more_cells_never_raise_the_limit(one, other, decision_count, efficiency):
    fewer, more = sorted((one, other))
    lod_fewer = sample_lod(fewer, decision_count, efficiency=efficiency)
    lod_more = sample_lod(more, decision_count, efficiency=efficiency)
    if lod_fewer is not None:
        assert lod_more is not None
        assert lod_more <= lod_fewer


@given(st.integers(1, 10**8), decision_counts, st.floats(0.01, 1), st.floats(0, 50))
def test_limit_with_background_is_found_with_the_power(cells, minimum, efficiency, background):
    decision_count = decision_count_above_background(background, minimum=minimum)
    lod = sample_lod(cells, decision_count, efficiency=efficiency, background_mean=background)
    assume(lod is not None)
    mean = background + lod * cells * efficiency
    assert poisson.sf(decision_count - 1, mean) == pytest.approx(0.95, rel=1e-9)


@given(st.floats(1e-6, 500), st.integers(1, 100), st.sampled_from([0.05, 0.01, 0.001]))
def test_decision_count_is_the_smallest_that_background_seldom_reaches(background, minimum, alpha):
    k = decision_count_above_background(background, minimum=minimum, alpha=alpha)
    assert k >= minimum
    assert poisson.sf(k - 1, background) <= alpha
    if k > minimum:
        assert poisson.sf(k - 2, background) > alpha


def test_lower_efficiency_raises_the_limit():
    assert sample_lod(1_000_000, 1, efficiency=0.5) == pytest.approx(2 * sample_lod(1_000_000, 1))


def test_sample_too_small_to_show_anything_has_no_limit():
    assert sample_lod(27, 20) is None
    assert sample_lod(28, 20) is not None
    assert sample_lod(0, 1) is None
    assert decision_threshold(10, 20) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"examined": -1, "decision_count": 1}, "examined cells cannot be negative"),
        ({"examined": float("nan"), "decision_count": 1}, "examined cells cannot be negative"),
        ({"examined": 10, "decision_count": 0}, "a decision count is at least 1"),
        ({"examined": 10, "decision_count": 1, "efficiency": 0.0}, "efficiency must lie in"),
        ({"examined": 10, "decision_count": 1, "efficiency": 1.1}, "efficiency must lie in"),
        ({"examined": 10, "decision_count": 1, "power": 1.0}, "power must lie between 0 and 1"),
        ({"examined": 10, "decision_count": 1, "background_mean": -1}, "expected count cannot be negative"),
        (
            {"examined": 10, "decision_count": 1, "background_mean": 5.0},
            "reached by a background of 5.0 alone",
        ),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_lod(**arguments)


def test_impossible_means_are_refused():
    with pytest.raises(ValueError, match="expected count cannot be negative"):
        detection_probability(-1.0, 1)
    with pytest.raises(ValueError, match="expected count cannot be negative"):
        decision_count_above_background(-1.0, minimum=1)
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        decision_count_above_background(1.0, minimum=1, alpha=0)
