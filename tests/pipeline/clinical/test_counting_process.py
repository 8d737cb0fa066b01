"""Cox's model with a covariate of time, against the plain model, brute force, and a simulated truth."""

import itertools
import math

import numpy as np
import pytest

from pipeline.clinical.counting_process import hazard_ratio
from pipeline.clinical.survival import cox_log_hazard_ratios


def draw(n=60, seed=1, log_ratio=0.7):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n).astype(float)
    times = np.ceil(rng.exponential(10 / np.exp(log_ratio * group)))
    return np.zeros(n), times, (rng.random(n) < 0.7).astype(float), group


def test_constant_covariate_gives_the_plain_model():
    start, stop, event, group = draw()
    plain = cox_log_hazard_ratios(stop, event, group[:, None])
    found = hazard_ratio(start, stop, event, group)
    assert found.model == "efron"
    assert math.log(found.estimate) == pytest.approx(float(plain.log_hazard_ratios[0]), abs=1e-9)
    width = math.log(found.ci_high / found.ci_low) / 2 / 1.959963984540054
    assert width == pytest.approx(float(plain.standard_errors[0]), rel=1e-7)


def test_splitting_intervals_changes_nothing():
    start, stop, event, group = draw(seed=2)
    whole = hazard_ratio(start, stop, event, group)
    cut = stop > 3
    parts = hazard_ratio(
        np.concatenate([start, np.full(cut.sum(), 3.0)]),
        np.concatenate([np.where(cut, 3.0, stop), stop[cut]]),
        np.concatenate([np.where(cut, 0.0, event), event[cut]]),
        np.concatenate([group, group[cut]]),
    )
    assert parts.estimate == pytest.approx(whole.estimate, rel=1e-9)


def penalised(beta, start, stop, event, group):
    """Firth's likelihood written out event by event (no ties)."""
    likelihood = information = 0.0
    for i in np.flatnonzero(event):
        risk = [j for j in range(len(stop)) if start[j] < stop[i] <= stop[j]]
        weights = [math.exp(beta * group[j]) for j in risk]
        share = sum(w for w, j in zip(weights, risk, strict=True) if group[j]) / sum(weights)
        likelihood += beta * group[i] - math.log(sum(weights))
        information += share * (1 - share)
    return likelihood + 0.5 * math.log(information)


def test_few_events_take_firths_likelihood_even_where_a_group_has_none():
    group = np.array([0.0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    stop = np.array([9.0, 10, 11, 12, 1, 2, 3, 4, 5, 8])
    event = np.array([0.0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    start = np.zeros(10)
    found = hazard_ratio(start, stop, event, group)
    assert found.model == "firth"
    grid = np.linspace(-2, 8, 4001)
    values = np.array([penalised(b, start, stop, event, group) for b in grid])
    assert math.log(found.estimate) == pytest.approx(grid[values.argmax()], abs=0.003)
    inside = grid[values > values.max() - 1.9207]
    assert math.log(found.ci_low) == pytest.approx(inside[0], abs=0.005)
    assert math.log(found.ci_high) == pytest.approx(inside[-1], abs=0.005)


def test_reading_that_turns_is_counted_in_the_time_it_stood():
    """The hazard is 3 times as high from the day a patient turns positive; the model finds the 3."""
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(1500):
        turns, end = rng.exponential(10), 24.0
        first, second = rng.exponential(30), rng.exponential(10)
        event_at = first if first < turns else turns + second
        stop = min(event_at, end)
        happened = float(event_at <= end)
        if stop > turns:
            rows += [(0.0, turns, 0.0, 0.0), (turns, stop, happened, 1.0)]
        else:
            rows.append((0.0, stop, happened, 0.0))
    found = hazard_ratio(*np.array(rows).T)
    assert found.ci_low < 3.0 < found.ci_high
    assert found.ci_high / found.ci_low < 1.6


@pytest.mark.slow
def test_firths_interval_covers_where_events_are_few():
    rng, held, made = np.random.default_rng(6), 0, 0
    for _ in range(1000):
        group = np.repeat([0.0, 1.0], 25)
        times = rng.exponential(100 / np.exp(0.8 * group))
        censored = rng.uniform(5, 30, 50)
        event = (times <= censored).astype(float)
        if not 5 <= event.sum() < 10:
            continue
        found = hazard_ratio(np.zeros(50), np.minimum(times, censored), event, group)
        made += 1
        held += found.ci_low <= math.exp(0.8) <= found.ci_high
    assert made > 300
    assert 0.93 <= held / made <= 0.985


@pytest.mark.parametrize(
    ("event", "group", "why"),
    [((0, 0, 0), (0, 1, 0), "no event"), ((1, 1, 0), (1, 1, 1), "the same covariate")],
)
def test_what_says_nothing_is_refused(event, group, why):
    with pytest.raises(ValueError, match=why):
        hazard_ratio(np.zeros(3), np.array([1.0, 2, 3]), np.array(event, float), np.array(group, float))


def test_order_of_rows_does_not_matter():
    columns = draw(n=8, seed=3)
    whole = hazard_ratio(*columns)
    for order in itertools.islice(itertools.permutations(range(8)), 1, 40, 7):
        assert hazard_ratio(*(c[list(order)] for c in columns)).estimate == pytest.approx(whole.estimate)
