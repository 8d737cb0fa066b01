"""Boundaries in densities."""

import numpy as np
import pytest

from mrd_flow.cytof.cuts import choose_cut, main_group
from mrd_flow.cytof.parts import Cut

VALLEY = Cut(kind="valley", at=2.0, low=1.0, high=3.0)


def two_groups(rng, low_events, high_events, high_at=4.0):
    return np.concatenate([rng.normal(0.3, 0.3, low_events), rng.normal(high_at, 0.4, high_events)])


def test_a_valley_lies_between_two_groups():
    rng = np.random.default_rng(1)
    chosen = choose_cut(two_groups(rng, 5000, 3000), VALLEY)
    assert 1.2 < chosen.at < 2.8
    assert chosen.fallback == ""


def test_a_valley_is_found_for_a_rare_group():
    rng = np.random.default_rng(2)
    values = two_groups(rng, 20_000, 100)
    chosen = choose_cut(values, VALLEY)
    assert chosen.fallback == ""
    assert (values >= chosen.at).sum() == 100


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.random.default_rng(3).normal(2.0, 1.0, 5000), "no valley between 1 and 3"),
        (np.random.default_rng(3).normal(-3.0, 0.1, 5000), "no valley between 1 and 3"),
        (np.zeros(199), "only 199 events"),
        (np.empty(0), "only 0 events"),
        (np.full(1000, 7.0), "no valley between 1 and 3"),
    ],
)
def test_without_a_valley_the_template_s_value_is_taken_and_said(values, reason):
    chosen = choose_cut(values, VALLEY)
    assert (chosen.at, reason in chosen.fallback) == (2.0, True)


def test_a_fixed_cut_looks_at_no_event():
    assert choose_cut(np.arange(1000.0), Cut(kind="fixed", at=1.5)).at == 1.5


def test_one_wild_event_changes_nothing():
    values = two_groups(np.random.default_rng(4), 5000, 3000)
    wild = np.append(values, [1e9, -1e9])
    assert choose_cut(wild, VALLEY).at == pytest.approx(choose_cut(values, VALLEY).at, abs=0.05)


def test_the_main_group_is_not_widened_by_debris_and_doublets():
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(5, 0.2, 8000), rng.normal(2.5, 0.5, 1000), rng.normal(5.7, 0.2, 800)])
    middle, spread = main_group(values)
    assert middle == pytest.approx(5.0, abs=0.02)
    assert spread == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("debris", [0.0, 0.2, 0.4])
def test_the_main_group_is_found_beside_much_debris(debris):
    rng = np.random.default_rng(6)
    values = np.concatenate(
        [rng.normal(5, 0.2, 6000), rng.normal(2.9, 0.4, int(6000 * debris / (1 - debris)))]
    )
    middle, spread = main_group(values)
    assert middle == pytest.approx(5.0, abs=0.02)
    assert spread == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("sd", [0.7, 1.0, 3.0])
def test_the_main_group_of_whole_numbers_has_their_width(sd):
    values = np.round(np.random.default_rng(7).normal(20, sd, 20_000))
    middle, spread = main_group(values)
    assert middle == pytest.approx(20, abs=0.1)
    assert spread == pytest.approx(sd, rel=0.12)


def test_the_main_group_of_one_value_has_no_width():
    assert main_group(np.full(100, 7.0)) == (7.0, 0.0)


def test_the_main_group_of_nothing_is_nothing():
    assert main_group(np.empty(0)) == (0.0, 0.0)
