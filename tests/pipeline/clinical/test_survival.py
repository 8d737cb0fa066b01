"""Survival estimators against published numbers and against plain counting."""

import numpy as np
import pytest

import references
from pipeline.clinical.interval_kind import IntervalKind
from pipeline.clinical.survival import (
    aalen_johansen,
    cox_log_hazard_ratios,
    kaplan_meier,
    log_rank,
)
from references import reference_rows


def freireich():
    found = reference_rows("survival", "freireich_6mp.csv")
    rows = [(float(r["t"]), float(r["e"]), float(r["g"])) for r in found]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def mgus2():
    months, events = references.mgus2()
    return np.array(months), np.array(events, dtype=float)


def at(curve, time):
    i = np.searchsorted(curve.times, time, side="right") - 1
    return curve.estimates[i], curve.ci_low[i], curve.ci_high[i]


def test_log_rank_of_freireich():
    """16.79294 by R 4.2.2 survival 3.5-3, survdiff."""
    found = log_rank(*freireich())
    assert found.chi_square == pytest.approx(16.79294, abs=5e-6)
    assert found.degrees_of_freedom == 1
    assert found.p_value == pytest.approx(4.17e-5, abs=5e-8)


def test_cox_of_freireich_with_efron_ties():
    """1.57212 by R 4.2.2 survival 3.5-3, coxph; Efron, placebo against 6-MP.

    The maximum is 1.572125: the reference's five digits are cut, so the tolerance is one of the last.
    """
    times, events, groups = freireich()
    fit = cox_log_hazard_ratios(times, events, (1 - groups)[:, None])
    assert fit.log_hazard_ratios[0] == pytest.approx(1.57212, abs=1e-5)
    assert fit.standard_errors[0] == pytest.approx(0.4124, abs=5e-5)


@pytest.mark.parametrize(("month", "expected"), [(60, 0.03410), (120, 0.06372), (240, 0.09981)])
def test_aalen_johansen_of_mgus2(month, expected):
    """R 4.2.2 survival 3.5-3, survfit; ties are not moved apart."""
    times, events = mgus2()
    assert len(times) == 1384
    assert at(aalen_johansen(times, events), month)[0] == pytest.approx(expected, abs=5e-6)


def test_kaplan_meier_of_6_mp_with_log_log_interval():
    """Kalbfleisch and Prentice print the 6-MP arm: .8571 .8067 .7529 .6902 .6275 .5378 .4482."""
    times, events, groups = freireich()
    curve = kaplan_meier(times[groups == 1], events[groups == 1])
    expected = [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    assert curve.estimates == pytest.approx(expected, abs=5e-5)
    assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]


@pytest.mark.parametrize(
    ("alive", "of", "low", "high"),
    [(39, 51, 0.623, 0.859), (50, 52, 0.855, 0.990)],
)
def test_log_log_interval_of_a_published_study(alive, of, low, high):
    """Takamatsu: 3-year PFS 76.5 % (62.3-85.9), OS 96.2 % (85.5-99.0), from 39 of 51 and 50 of 52."""
    events = np.array([1.0] * (of - alive) + [0.0] * alive)
    times = np.where(events == 1, 1.0, 3.0)
    estimate, ci_low, ci_high = at(kaplan_meier(times, events), 2)
    assert estimate == pytest.approx(alive / of)
    assert (ci_low, ci_high) == pytest.approx((low, high), abs=6e-4)


def test_three_kinds_of_interval_by_hand():
    """21 patients, 3 events at once: S = 6/7, Greenwood 3/(21*18)."""
    events = np.array([1.0] * 3 + [0.0] * 18)
    times = np.where(events == 1, 6.0, 9.0)
    s, error = 6 / 7, (3 / (21 * 18)) ** 0.5
    z = 1.959964
    expected = {
        IntervalKind.PLAIN: (s - z * s * error, 1.0),
        IntervalKind.LOG: (s * np.exp(-z * error), 1.0),
        IntervalKind.LOG_LOG: tuple(
            np.exp(np.log(s) * np.exp(k * z * error / abs(np.log(s)))) for k in (1, -1)
        ),
    }
    for kind, bounds in expected.items():
        _, low, high = at(kaplan_meier(times, events, interval=kind), 6)
        assert (low, high) == pytest.approx(bounds, abs=1e-6)


def test_last_event_of_all_has_no_interval():
    curve = kaplan_meier(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    assert curve.estimates.tolist() == [0.5, 0.0]
    assert np.isfinite(curve.ci_low).tolist() == [True, False]


def test_aalen_johansen_without_competing_events_is_one_minus_kaplan_meier():
    times, events, _ = freireich()
    km, aj = (f(times, events, interval=IntervalKind.PLAIN) for f in (kaplan_meier, aalen_johansen))
    assert aj.estimates == pytest.approx(1 - km.estimates)
    inside = np.isfinite(km.ci_low)
    assert aj.ci_low[inside] == pytest.approx(1 - km.ci_high[inside])


def test_aalen_johansen_interval_covers():
    """Variance of the delta method against 400 simulated trials of 150 patients."""
    rng = np.random.default_rng(5)
    found, covered = [], 0
    truth = 0.4 / 0.6 * (1 - np.exp(-0.6))
    for _ in range(400):
        first, second, censored = (rng.exponential(1 / r, 150) for r in (0.4, 0.2, 0.3))
        times = np.minimum(np.minimum(first, second), censored)
        events = np.where(times == censored, 0.0, np.where(times == first, 1.0, 2.0))
        estimate, low, high = at(aalen_johansen(times, events), 1.0)
        found.append(estimate)
        covered += low <= truth <= high
    assert np.mean(found) == pytest.approx(truth, abs=0.007)
    assert 0.92 <= covered / 400 <= 0.98


def test_log_rank_of_three_groups_does_not_depend_on_their_order():
    times, events, groups = freireich()
    three = np.where(np.arange(len(times)) % 3 == 0, 2.0, groups)
    found = log_rank(times, events, three)
    assert found.degrees_of_freedom == 2
    assert found.chi_square == pytest.approx(log_rank(times, events, 2 - three).chi_square)


def test_what_cannot_be_estimated_is_refused():
    times, events, groups = freireich()
    with pytest.raises(ValueError, match="cannot be compared"):
        log_rank(times, events, np.zeros(len(times)))
    with pytest.raises(ValueError, match="no maximum"):
        cox_log_hazard_ratios(times, np.where(groups == 1, 0.0, events), groups[:, None])
    with pytest.raises(ValueError, match="no maximum"):
        cox_log_hazard_ratios(times, events, np.stack([groups, groups], axis=1))


def test_nobody_with_an_event_gives_an_empty_curve():
    for estimator in (kaplan_meier, aalen_johansen):
        curve = estimator(np.array([1.0, 2.0]), np.zeros(2))
        assert len(curve.times) == len(curve.estimates) == 0
