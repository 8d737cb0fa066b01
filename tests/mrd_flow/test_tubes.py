"""Two tubes of one sample: the exact test against its own definition."""

import numpy as np
import pytest
from scipy.stats import binom

from mrd_flow.tubes import phenotype_distances, population_shares, tube_agreement


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


def test_shares_of_one_sample_agree_and_of_two_do_not(rng):
    """T cells 12 % and plasma cells 0.25 %, against 20 % and 0.9 %, of a million cells each."""
    one = {"t_cells": int(rng.poisson(120_000)), "plasma_cells": int(rng.poisson(2_500)), "only_here": 5}
    again = {"t_cells": int(rng.poisson(120_000)), "plasma_cells": int(rng.poisson(2_500))}
    other = {"t_cells": int(rng.poisson(200_000)), "plasma_cells": int(rng.poisson(9_000))}
    same = population_shares(one, again, (1_000_000, 1_000_000))
    assert [s.population for s in same] == ["t_cells", "plasma_cells"]
    assert not any(s.agreement.contradicts(0.001, 1.5) for s in same)
    different = population_shares(one, other, (1_000_000, 1_000_000))
    assert all(s.agreement.contradicts(0.001, 1.5) for s in different)


def test_a_small_difference_of_a_large_population_is_no_contradiction():
    found = tube_agreement((120_000, 125_000), (1e6, 1e6))
    assert found.p < 1e-10
    assert not found.contradicts(0.001, 1.5)


def test_the_distance_of_a_marker_is_that_of_its_definition(rng):
    """Kolmogorov-Smirnov distance by counting at every value."""
    first, second = rng.normal(0.5, 0.1, (300, 2)), rng.normal(0.5, 0.1, (200, 2))
    second[:, 1] += 0.2
    found = phenotype_distances(first, second, ("CD45", "CD19"))
    for column, distance in enumerate(found):
        at = np.concatenate([first[:, column], second[:, column]])
        below = [(c[:, column] <= at[:, None]).mean(axis=1) for c in (first, second)]
        assert distance.distance == pytest.approx(np.abs(below[0] - below[1]).max(), rel=1e-12)
    assert found[0].p > 0.001 > found[1].p


def test_phenotypes_of_a_few_cells_are_not_compared(rng):
    assert phenotype_distances(rng.random((99, 1)), rng.random((500, 1)), ("CD45",)) == ()
