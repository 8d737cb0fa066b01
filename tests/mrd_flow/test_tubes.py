"""Two tubes of one sample: the exact test against its own definition."""

import numpy as np
import pytest
from scipy.stats import binom

from mrd_flow.tubes import tube_agreement


def by_enumeration(first: int, total: int, share: float) -> float:
    """Two-sided exact p: outcomes no more likely than the one seen."""
    chance = binom.pmf(np.arange(total + 1), total, share)
    return float(min(1.0, chance[chance <= chance[first] * (1 + 1e-7)].sum()))


@pytest.mark.parametrize(
    ("first", "second", "cells"), [(20, 0, (1e6, 1e6)), (3, 9, (1e6, 2e6)), (30, 61, (9e5, 1e6))]
)
def test_p_equals_the_enumeration(first, second, cells):
    expected = by_enumeration(first, first + second, cells[0] / sum(cells))
    assert tube_agreement((first, second), cells).p == pytest.approx(expected, rel=1e-9)


def test_the_tubes_are_interchangeable():
    one, other = tube_agreement((7, 31), (2e6, 1e6)), tube_agreement((31, 7), (1e6, 2e6))
    assert one.ratio == other.ratio
    assert one.p == pytest.approx(other.p, rel=1e-9)


def test_nothing_in_either_tube_agrees():
    found = tube_agreement((0, 0), (1e6, 1e6))
    assert (found.p, found.ratio) == (1.0, 1.0)


def test_false_alarms_stay_below_the_level(rng):
    """2,000 pairs of equal fractions: p < 0.001 in at most that share (exact, so conservative)."""
    counts = rng.poisson(40, (2_000, 2))
    alarms = sum(tube_agreement((int(a), int(b)), (1e6, 1e6)).p < 0.001 for a, b in counts)
    assert alarms <= 8  # P(X > 8 | 2,000 x 0.001) < 0.001


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="exposures above 0"):
        tube_agreement((1, 1), (0.0, 1e6))
