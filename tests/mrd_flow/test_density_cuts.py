"""Cuts of one dimension against densities whose valley and crossing are known."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

from mrd_flow.gating.density_cuts import mixture_cut, valley

VALLEY = {"bandwidth": 0.015, "most_depth": 0.5}


def two_groups(rng, shares, means, spreads, events=40_000):
    upper = rng.random(events) < shares[1]
    return np.where(upper, rng.normal(means[1], spreads[1], events), rng.normal(means[0], spreads[0], events))


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("spread", [0.05, 0.08])
def test_the_valley_is_where_the_density_is_lowest(rng, share, spread):
    shares, means, spreads = (1 - share, share), (0.3, 0.75), (0.06, spread)
    values = two_groups(rng, shares, means, spreads)
    true = minimize_scalar(
        lambda x: sum(s * norm.pdf(x, m, d) for s, m, d in zip(shares, means, spreads, strict=True)),
        bounds=(0.35, 0.7),
        method="bounded",
    ).x
    found = valley(values, (0.35, 0.7), **VALLEY)
    assert found.value == pytest.approx(true, abs=0.03)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("spread", [0.05, 0.12])
def test_the_mixture_is_cut_where_its_components_are_equally_likely(rng, share, spread):
    shares, means, spreads = (1 - share, share), (0.3, 0.75), (0.06, spread)
    values = two_groups(rng, shares, means, spreads)
    true = brentq(
        lambda x: np.log(shares[0]) + norm.logpdf(x, means[0], spreads[0])
        - np.log(shares[1]) - norm.logpdf(x, means[1], spreads[1]),
        0.3,
        0.75,
    )  # fmt: skip
    assert mixture_cut(values, (0.35, 0.7), separation=2.0).value == pytest.approx(true, abs=0.01)


def test_one_group_has_neither_valley_nor_crossing(rng):
    values = rng.normal(0.5, 0.1, 20_000)
    assert valley(values, (0.4, 0.6), **VALLEY).value is None
    cut = mixture_cut(values, (0.4, 0.6), separation=2.0)
    assert (cut.value, cut.reason) == (None, "the two components are not clearly apart")


def test_a_slope_is_no_valley(rng):
    values = two_groups(rng, (0.5, 0.5), (0.2, 0.8), (0.05, 0.05))
    found = valley(values, (0.65, 0.75), **VALLEY)
    assert (found.value, found.reason) == (None, "the density has no valley within the limits")


def test_two_modes_that_run_into_each_other_are_not_cut(rng):
    values = two_groups(rng, (0.5, 0.5), (0.40, 0.65), (0.1, 0.1))
    found = valley(values, (0.45, 0.6), bandwidth=0.03, most_depth=0.5)
    assert (found.value, found.reason) == (None, "the density has no clear valley within the limits")


def test_a_handful_of_events_is_no_mode(rng):
    values = np.concatenate([rng.normal(0.3, 0.05, 10_000), rng.normal(0.8, 0.02, 40)])
    found = valley(values, (0.5, 0.7), **VALLEY)
    assert (found.value, found.reason) == (None, "fewer than 50 events on one side of the lowest point")
    cut = mixture_cut(values, (0.5, 0.7), separation=2.0)
    assert (cut.value, cut.reason) == (None, "fewer than 50 events on one side of the limits' middle")


def test_limits_narrower_than_the_smoothing_give_no_valley(rng):
    found = valley(rng.normal(0.3, 0.05, 1000), (0.5, 0.5001), **VALLEY)
    assert (found.value, found.reason) == (None, "the limits are closer together than the smoothing")


def test_a_far_event_changes_nothing(rng):
    values = two_groups(rng, (0.5, 0.5), (0.3, 0.75), (0.05, 0.05))
    far = np.append(values, 1e6)
    assert valley(far, (0.35, 0.7), **VALLEY).value == pytest.approx(
        valley(values, (0.35, 0.7), **VALLEY).value, abs=0.01
    )
