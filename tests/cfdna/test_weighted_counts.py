"""The weighted likelihood-ratio test: its threshold, power and limits are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from cfdna.tracking.weighted_counts import Strata, WeightedTest, detection_limit, make_test
from pipeline.detection import decision_count_above_background, garwood, sample_lod

# Tumour fraction found with 95 % power at 99 % specificity, heterozygous and clonal; rows: error
# rate, columns: informative molecules 1e5, 3e5, 1e6, 3e6, 1e7 (calculated, two decision molecules at least).
CALCULATED = {
    1e-4: (3.3e-4, 1.7e-4, 8.8e-5, 4.9e-5, 2.6e-5),
    1e-5: (1.6e-4, 7.6e-5, 3.3e-5, 1.7e-5, 8.8e-6),
    1e-6: (9.3e-5, 4.0e-5, 1.6e-5, 7.6e-6, 3.3e-6),
    1e-7: (9.5e-5, 3.1e-5, 9.3e-6, 4.0e-6, 1.6e-6),
}


def one_stratum(molecules: float, error: float) -> WeightedTest:
    strata = Strata(background=np.array([molecules * error]), signal=np.array([molecules / 2]))
    return make_test(strata, alpha=0.01, molecules_min=2)


@pytest.mark.parametrize("error", CALCULATED)
def test_limit_is_that_of_the_calculated_table(error):
    for molecules, expected in zip((1e5, 3e5, 1e6, 3e6, 1e7), CALCULATED[error], strict=True):
        # two significant digits in the table, and its cells are rounded
        assert detection_limit(one_stratum(molecules, error)) == pytest.approx(expected, rel=0.025)


@given(st.floats(0.05, 200.0))
def test_one_background_gives_the_house_limit_of_a_plain_count(background):
    molecules = 1e6
    count = decision_count_above_background(background, minimum=2, alpha=0.01)
    test = make_test(
        Strata(background=np.array([background]), signal=np.array([molecules])), alpha=0.01, molecules_min=2
    )
    assert test.is_plain_count
    if test.decision_score == count:  # below 2 the rule of two molecules decides, not the score
        expected = sample_lod(molecules, count, background_mean=background)
        assert detection_limit(test) == pytest.approx(expected, rel=1e-4)
    else:
        assert (count, test.decision_score) == (2, 1)


def two_backgrounds() -> WeightedTest:
    error = np.where(np.arange(60) % 2, 1e-4, 1e-7)
    depth = np.full(60, 3000.0)
    return make_test(Strata(background=depth * error, signal=depth / 2), alpha=0.01, molecules_min=2)


def test_threshold_and_power_are_what_simulation_shows(rng):
    test = two_backgrounds()
    limit = detection_limit(test)
    for fraction, expected in ((0.0, test.power(0.0)), (limit, 0.95)):
        means = test.strata.background + fraction * test.strata.signal
        called = np.mean([test.is_called(draw) for draw in rng.poisson(means, (20_000, len(means)))])
        assert called == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 20_000))
    assert test.power(0.0) <= 0.01


def test_weighing_beats_counting_everything_and_counting_the_quiet_sites_alone():
    test = two_backgrounds()
    strata = test.strata
    everything = make_test(
        Strata(background=strata.background.sum(keepdims=True), signal=strata.signal.sum(keepdims=True)),
        alpha=0.01,
        molecules_min=2,
    )
    quiet = make_test(
        Strata(background=strata.background[::2], signal=strata.signal[::2]), alpha=0.01, molecules_min=2
    )
    assert detection_limit(test) < min(detection_limit(everything), detection_limit(quiet))


def test_scores_are_distributed_as_convolved_by_hand():
    weights, means = np.array([1, 3]), np.array([0.7, 0.4])
    strata = Strata(background=means, signal=np.ones(2))
    test = WeightedTest(strata=strata, weights=weights, decision_score=4, molecules_min=2)
    by_hand = sum(
        poisson.pmf(a, 0.7) * poisson.pmf(b, 0.4)
        for a in range(40)
        for b in range(40)
        if a + 3 * b >= 4 and a + b >= 2
    )
    assert test.power(0.0) == pytest.approx(by_hand, abs=1e-10)
    three = WeightedTest(strata=strata, weights=weights, decision_score=4, molecules_min=3)
    by_hand = sum(
        poisson.pmf(a, 0.7) * poisson.pmf(b, 0.4)
        for a in range(40)
        for b in range(40)
        if a + 3 * b >= 4 and a + b >= 3
    )
    assert three.power(0.0) == pytest.approx(by_hand, abs=1e-10)


def test_without_background_the_interval_is_garwoods():
    test = make_test(Strata(background=np.array([1e-9]), signal=np.array([1e6])), alpha=0.01, molecules_min=2)
    for count in (0, 3, 20):
        expected = garwood(count)
        low, high = test.interval(np.array([count]))
        assert (low * 1e6, high * 1e6) == pytest.approx(tuple(expected), rel=1e-3, abs=1e-3)


def test_a_count_below_background_never_makes_the_upper_bound_vanish():
    test = one_stratum(1e6, 1e-4)  # 100 expected
    highs = [test.interval(np.array([count]))[1] for count in (0, 50, 80, 100, 130)]
    assert highs == sorted(highs)
    assert highs[0] > garwood(0).high / 5e5


def test_nothing_observed_is_sure_to_be_background():
    test = two_backgrounds()
    nothing = np.zeros(60, dtype=np.int64)
    assert test.p_value(nothing) == 1.0
    assert not test.is_called(nothing)


def test_one_molecule_is_never_a_call_however_quiet_its_site():
    test = one_stratum(1e5, 1e-7)
    assert not test.is_called(np.array([1]))
    assert test.is_called(np.array([2]))


@pytest.mark.parametrize(
    ("background", "signal", "message"),
    [
        ([0.0], [1.0], "backgrounds lie above 0"),
        ([1.0, 2.0], [1.0], "one value a stratum"),
        ([], [], "at least one stratum"),
    ],
)
def test_strata_are_checked(background, signal, message):
    with pytest.raises(ValueError, match=message):
        Strata(background=np.array(background), signal=np.array(signal))


def test_no_signal_is_no_test():
    with pytest.raises(ValueError, match="no stratum has signal"):
        make_test(Strata(background=np.ones(1), signal=np.zeros(1)), alpha=0.01, molecules_min=2)


def test_so_few_molecules_have_no_limit():
    test = make_test(Strata(background=np.array([1e-6]), signal=np.array([2.0])), alpha=0.01, molecules_min=2)
    assert detection_limit(test) is None
