"""Incomplete gamma and beta functions against scipy's, and what is exact in closed form."""

import math
from itertools import product

import pytest
from scipy import special
from scipy.stats import poisson

from pipeline.detection.tails import (
    beta_lower,
    gamma_lower,
    gamma_lower_inverse,
    gamma_upper,
    poisson_quantile,
    student_t_quantile,
)

SHAPES = (1e-3, 0.3, 0.5, 1, 2, 3.7, 9.99, 15.9, 16.1, 40, 400, 5e3, 1e5)
PROBABILITIES = (1e-9, 1e-4, 0.025, 0.2, 0.5, 0.51, 0.95, 0.975, 0.9999, 1 - 1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_both_tails_of_the_gamma_function_are_scipys(shape):
    """Over seven standard deviations about the mean and far below it; to 1e-10 of the smaller tail."""
    around = [shape + z * math.sqrt(shape) for z in range(-7, 8)]
    for x in [*around, 1e-6 * shape, 0.3 * shape, 3 * shape]:
        if x > 0:
            assert gamma_lower(shape, x) == pytest.approx(special.gammainc(shape, x), rel=1e-10, abs=1e-280)
            assert gamma_upper(shape, x) == pytest.approx(special.gammaincc(shape, x), rel=1e-10, abs=1e-280)


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_of_the_gamma_function_is_scipys(shape):
    for probability in PROBABILITIES:
        expected = special.gammaincinv(shape, probability)
        found = gamma_lower_inverse(shape, probability)
        # Near 1 the probability itself is rounded, which moves the quantile by some 1e-8.
        assert found == pytest.approx(expected, rel=1e-7 if probability > 0.9999 else 1e-10, abs=1e-290)


@pytest.mark.parametrize("a", [0.01, 0.3, 1, 2, 5, 30, 200, 1e4])
def test_beta_function_is_scipys(a):
    for b, x in product((0.5, 1, 2, 3, 10, 100), (0.0, 1e-9, 0.01, 0.2, 0.5, 0.8, 0.99, 1 - 1e-9, 1.0)):
        assert beta_lower(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-250)


def test_quantiles_of_students_t_are_scipys():
    for degrees, probability in product(
        (1, 2, 3, 8, 9, 30, 1000), (1e-6, 0.025, 0.3, 0.5, 0.6, 0.975, 0.9999)
    ):
        expected = special.stdtrit(degrees, probability)
        assert student_t_quantile(degrees, probability) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.05, 1, 3, 29.5, 1000, 123_456.7])
def test_quantiles_of_a_poisson_count_are_the_smallest(mean):
    for probability in (0.025, 0.5, 0.95, 0.999, 1 - 1e-9):
        found = poisson_quantile(mean, probability)
        assert poisson.cdf(found, mean) >= probability
        assert found == 0 or poisson.cdf(found - 1, mean) < probability


def test_closed_forms():
    assert gamma_upper(1, 2.5) == pytest.approx(math.exp(-2.5), rel=1e-15)
    assert gamma_lower(3, 0) == 0
    assert gamma_upper(3, math.inf) == 0
    assert beta_lower(1, 1, 0.3) == pytest.approx(0.3, rel=1e-15)
    assert student_t_quantile(1, 0.75) == pytest.approx(1, rel=1e-14)
    assert gamma_lower_inverse(1, 0.95) == pytest.approx(-math.log(0.05), rel=1e-14)
