"""Tails of counting distributions, of single numbers: incomplete gamma and beta functions, their inverses.

The tail of a Poisson count is an incomplete gamma function, that of a negative binomial or
binomial count an incomplete beta function. `scipy.special` has them too; importing it takes a
sixth of the time in which a library is read and judged, so what a result needs is written here and
held to scipy's values by the tests. Whoever has arrays, or scipy at hand, should take scipy's.

Series and continued fractions as in Abramowitz and Stegun (1964), 6.5.29, 6.5.31 and 26.5.8, the
latter two evaluated forwards (Lentz, Appl Opt 1976;15:668).
"""

import math
from collections.abc import Callable

__all__ = [
    "beta_lower",
    "gamma_lower",
    "gamma_lower_inverse",
    "gamma_upper",
    "poisson_quantile",
    "student_t_quantile",
]

_EPSILON = 1e-16
_TINY = 1e-300
_STEPS_MAX = 200  # some ten are needed; more only where the root underflows
_STIRLING_FROM = 16.0
"""From here on four terms of Stirling's series are exact in double precision."""


def gamma_lower(shape: float, x: float) -> float:
    """Regularized lower incomplete gamma function P(a, x).

    ``gamma_lower(k, m)`` is the probability of k or more events of a Poisson count with mean m.

    Parameters
    ----------
    shape
        a, > 0.
    x
        >= 0.

    Examples
    --------
    >>> round(gamma_lower(1, 2.9957323), 6)
    0.95
    """
    return _gamma_series(shape, x) if x < shape + 1 else 1 - _gamma_fraction(shape, x)


def gamma_upper(shape: float, x: float) -> float:
    """Regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x), exact where it is small.

    Parameters
    ----------
    shape
        a, > 0.
    x
        >= 0.
    """
    return 1 - _gamma_series(shape, x) if x < shape + 1 else _gamma_fraction(shape, x)


def gamma_lower_inverse(shape: float, probability: float) -> float:
    """The x at which P(a, x) has a value.

    Parameters
    ----------
    shape
        a, > 0.
    probability
        In (0, 1).

    Examples
    --------
    >>> round(gamma_lower_inverse(20, 0.95), 3)
    27.879
    """
    if probability > 0.5:  # the smaller tail, which is exact
        wanted = 1 - probability
        return _root(lambda x: wanted - gamma_upper(shape, x), shape)
    return _root(lambda x: gamma_lower(shape, x) - probability, shape)


def beta_lower(a: float, b: float, x: float) -> float:
    """Regularized incomplete beta function I_x(a, b).

    A negative binomial count with size r and success probability p stays below k with
    probability ``beta_lower(r, k, p)``.

    Parameters
    ----------
    a, b
        > 0.
    x
        In [0, 1].

    Examples
    --------
    >>> round(beta_lower(2, 3, 0.5), 6)
    0.6875
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_lower(b, a, 1 - x)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / a / _lentz(1.0, _beta_terms(a, b, x))


def student_t_quantile(degrees_of_freedom: float, probability: float) -> float:
    """Quantile of Student's t distribution, from half of its range: I_y(1/2, v/2), y = t^2 / (v + t^2).

    Parameters
    ----------
    degrees_of_freedom
        v, > 0.
    probability
        In (0, 1).

    Examples
    --------
    >>> round(student_t_quantile(8, 0.975), 4)
    2.306
    """
    if probability < 0.5:
        return -student_t_quantile(degrees_of_freedom, 1 - probability)
    half, tail = degrees_of_freedom / 2, 2 * (1 - probability)

    def excess(t: float) -> float:
        return tail - beta_lower(half, 0.5, degrees_of_freedom / (degrees_of_freedom + t * t))

    return _root(excess, 1.0) if tail < 1 else 0.0


def poisson_quantile(mean: float, probability: float) -> int:
    """Smallest count that a Poisson variable exceeds with probability 1 - ``probability`` or less.

    Parameters
    ----------
    mean
        Expected count, >= 0.
    probability
        In (0, 1).

    Examples
    --------
    >>> poisson_quantile(30.0, 0.95)
    39
    """

    def reached(count: int) -> bool:
        return gamma_upper(count + 1, mean) >= probability

    low, high, step = -1, int(mean), 1 + int(math.sqrt(mean))
    while not reached(high):
        low, high, step = high, high + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _gamma_front(shape: float, x: float) -> float:
    """x^a e^-x / Gamma(a); about the mean of a large shape without cancelling large logarithms."""
    if shape < _STIRLING_FROM:
        return math.exp(shape * math.log(x) - x - math.lgamma(shape))
    off = (x - shape) / shape
    logarithm = math.log1p(off) if abs(off) < 0.5 else math.log(x / shape)
    inverse = 1 / (shape * shape)
    series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / shape
    return math.sqrt(shape / math.tau) * math.exp(shape * (logarithm - off) - series)


def _gamma_series(shape: float, x: float) -> float:
    """P(a, x) for x below a."""
    if x <= 0:
        return 0.0
    term = total = 1 / shape
    above = shape
    while term > total * _EPSILON:
        above += 1
        term *= x / above
        total += term
    return min(1.0, total * _gamma_front(shape, x))


def _gamma_fraction(shape: float, x: float) -> float:
    """Q(a, x) for x above a."""
    if x == math.inf:
        return 0.0
    front = _gamma_front(shape, x)
    if front == 0:
        return 0.0

    def terms(i: int) -> tuple[float, float]:
        return i * (shape - i), x - shape + 1 + 2 * i

    return min(1.0, front / _lentz(x - shape + 1, terms))


def _beta_terms(a: float, b: float, x: float) -> Callable[[int], tuple[float, float]]:
    def terms(i: int) -> tuple[float, float]:
        half, odd = divmod(i, 2)
        if odd:
            return -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1)), 1.0
        return half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half)), 1.0

    return terms


def _lentz(first: float, terms: Callable[[int], tuple[float, float]]) -> float:
    """The continued fraction b0 + a1/(b1 + a2/(b2 + …)), ``terms`` giving (a_i, b_i)."""
    value = upper = first or _TINY
    lower = 0.0
    change, i = 0.0, 0
    while abs(change - 1) > _EPSILON * 4:
        i += 1
        a, b = terms(i)
        lower = 1 / ((b + a * lower) or _TINY)
        upper = (b + a / upper) or _TINY
        change = upper * lower
        value *= change
    return value


def _root(function: Callable[[float], float], start: float) -> float:
    """Where a function that rises over (0, inf) is zero: bracketed from ``start``, then found by secants.

    On log x, which the smallest roots need. Where one end of the bracket stays for a second
    time its value is halved (the Illinois rule), so that both ends close in.
    """
    low = high = math.log(start)
    value_low = value_high = function(start)
    step = 0.5
    while value_high < 0:
        low, value_low, high, step = high, value_high, high + step, 2 * step
        value_high = function(math.exp(high))
    while value_low > 0:
        high, value_high, low, step = low, value_low, low - step, 2 * step
        value_low = function(math.exp(low))
    middle, kept = high, 0
    for _ in range(_STEPS_MAX):
        if not (value_low and value_high):
            return math.exp(low if not value_low else high)
        before, middle = middle, (low * value_high - high * value_low) / (value_high - value_low)
        if abs(middle - before) <= 1e-16 * max(1.0, abs(middle)) or not low < middle < high:
            return math.exp(middle)
        value = function(math.exp(middle))
        if value >= 0:
            high, value_high, value_low = middle, value, value_low / 2 if kept > 0 else value_low
            kept = 1
        else:
            low, value_low, value_high = middle, value, value_high / 2 if kept < 0 else value_high
            kept = -1
    return math.exp(middle)
