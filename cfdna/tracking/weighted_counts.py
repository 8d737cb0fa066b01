"""The likelihood-ratio test of tumour DNA, exact: mutant molecules weighted by what each proves.

A mutant molecule at a site with background rate e and signal s per unit of tumour fraction
speaks for tumour fraction f with the log likelihood ratio log(1 + f s / e) (Neyman and Pearson
1933). Rounded to whole weights the sum over molecules is a compound Poisson count, whose
distribution is exact with and without tumour: threshold, power, limit of detection and interval
all come from it. Where all sites have one background the weights are equal and the statistic is
the plain count, the limit that of `pipeline.detection.sample_lod`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.detection import DETECTION_POWER, detection_probability

__all__ = ["Strata", "WeightedTest", "detection_limit", "make_test"]

_LEVELS = 20
_NEGLIGIBLE = 1e-12
_IMPLAUSIBLE = 1e-6
_FAR = 40.0  # standard deviations
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """Sites, or classes of molecules at sites, with one background each.

    ``background``: expected mutant molecules without tumour, shape (strata,), > 0.
    ``signal``: expected mutant molecules per unit of tumour fraction, shape (strata,), >= 0.
    """

    background: Floats
    signal: Floats

    def __post_init__(self) -> None:
        if self.background.shape != self.signal.shape or self.background.ndim != 1:
            raise ValueError("background and signal have one value a stratum each")
        if not len(self.background):
            raise ValueError("a test needs at least one stratum")
        if not (self.background > 0).all() or not (self.signal >= 0).all():
            raise ValueError("backgrounds lie above 0, signals are not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedTest:
    """Whole weights of the strata, and the score that is called.

    ``weights`` shape (strata,) int64, 0 where a molecule proves nothing. A sample is called
    where its score is at least ``decision_score`` and at least ``molecules_min`` of its mutant
    molecules lie in strata with weight.
    """

    strata: Strata
    weights: NDArray[np.int64]
    decision_score: int
    molecules_min: int

    @property
    def is_plain_count(self) -> bool:
        """Whether every molecule that counts counts alike."""
        return len(np.unique(self.weights[self.weights > 0])) == 1

    def score(self, mutant: NDArray[np.int64]) -> int:
        """The statistic of observed mutant molecules, shape (strata,)."""
        return int(self.weights @ mutant)

    def is_called(self, mutant: NDArray[np.int64]) -> bool:
        """Whether background is ruled out."""
        enough = int(mutant[self.weights > 0].sum()) >= self.molecules_min
        return enough and self.score(mutant) >= self.decision_score

    def p_value(self, mutant: NDArray[np.int64]) -> float:
        """Probability of such a score, or a higher one, without tumour."""
        return self._at_least(self.score(mutant), self.strata.background)

    def power(self, fraction: float) -> float:
        """Probability that a sample of that tumour fraction is called."""
        means = self.strata.background + fraction * self.strata.signal
        return self._called(self.decision_score, means)

    def interval(self, mutant: NDArray[np.int64], *, confidence: float = 0.95) -> tuple[float, float]:
        """Tumour fractions that the score does not reject, each tail at half the rest.

        Without background and with equal weights it is the Garwood interval of the count. The
        upper bound is taken relative to what background alone leaves (Read, J Phys G
        2002;28:2693, "CLs"): a score below its background does not make it too good.
        """
        from scipy.optimize import brentq

        score, tail = self.score(mutant), (1 - confidence) / 2
        high_score = max(score, self._lowest_plausible())
        by_background = 1 - self._at_least(high_score + 1, self.strata.background)

        def above(log_f: float) -> float:
            return self._at_least(score, self._means(log_f)) - tail

        def below(log_f: float) -> float:
            return 1 - self._at_least(high_score + 1, self._means(log_f)) - tail * by_background

        lowest, highest = -25.0, 0.0
        low = math.exp(brentq(above, lowest, highest)) if above(lowest) < 0 < above(highest) else 0.0
        if above(highest) <= 0:
            low = 1.0
        return low, 1.0 if below(highest) >= 0 else math.exp(brentq(below, lowest, highest))

    def _lowest_plausible(self) -> int:
        """The score below which a sample of background alone falls once in a million.

        A lower one says that the background is overstated, not that there is less than no tumour.
        """
        low, high = -1, int(self.weights @ self.strata.background) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if 1 - self._at_least(middle + 1, self.strata.background) >= _IMPLAUSIBLE:
                high = middle
            else:
                low = middle
        return high

    def _means(self, log_fraction: float) -> Floats:
        return self.strata.background + math.exp(log_fraction) * self.strata.signal

    def _at_least(self, score: int, means: Floats) -> float:
        """P(score or more)."""
        mean = float(self.weights @ means)
        spread = math.sqrt(float((self.weights * self.weights) @ means))
        if score <= mean - _FAR * spread:
            return 1.0
        if self.is_plain_count:
            weight = int(self.weights.max())
            return _at_least_count(-(-score // weight), mean / weight)
        pmf = _compound_poisson(self.weights, means, score)
        return float(min(1.0, max(0.0, 1.0 - pmf[:score].sum())))

    def _called(self, score: int, means: Floats) -> float:
        """P(score reached and enough molecules), by taking away single heavy molecules."""
        reached = self._at_least(score, means)
        if self.molecules_min <= 1:
            return reached
        counted = self.weights > 0
        total = float(means[counted].sum())
        if self.molecules_min == 2:
            heavy = float(means[self.weights >= score].sum())
            return max(0.0, reached - heavy * math.exp(-total))
        return max(0.0, reached - self._too_few(score, means))

    def _too_few(self, score: int, means: Floats) -> float:
        """P(score reached by fewer than the least number of molecules)."""
        from scipy.special import pdtr

        counted = self.weights > 0
        by_weight: Floats = np.bincount(self.weights[counted], weights=means[counted]).astype(np.float64)
        total = float(by_weight.sum())
        shares: Floats = by_weight / total
        one: Floats = np.ones(1, dtype=np.float64)
        found = 0.0
        for molecules in range(self.molecules_min):
            if molecules:
                one = np.convolve(one, shares)
            chance = float(pdtr(molecules, total) - (pdtr(molecules - 1, total) if molecules else 0.0))
            found += chance * float(one[score:].sum())
        return found


def make_test(strata: Strata, *, alpha: float, molecules_min: int) -> WeightedTest:
    """The most powerful test against the tumour fraction that it just detects.

    Parameters
    ----------
    strata
        Expected background and signal; nothing observed enters, so the test is fixed before
        a mutant molecule is looked at.
    alpha
        Largest probability of a call without tumour.
    molecules_min
        Fewest mutant molecules called, >= 1.

    Returns
    -------
    WeightedTest
        Its weights are those of the fraction that it detects with 95 % power, found by
        two rounds of improvement from the plain count.

    Raises
    ------
    ValueError
        If alpha is not in (0, 1), or no stratum has signal.
    """
    if not 0 < alpha < 1 or molecules_min < 1:
        raise ValueError("alpha lies between 0 and 1, molecules_min is at least 1")
    if not strata.signal.max() > 0:
        raise ValueError("no stratum has signal")
    test = _with_weights(strata, (strata.signal > 0).astype(np.int64), alpha, molecules_min)
    best, best_limit = test, detection_limit(test)
    for _ in range(2):
        fraction = detection_limit(test) or 1.0
        ratio = np.log1p(fraction * strata.signal / strata.background)
        weights = np.rint(_LEVELS * ratio / ratio.max()).astype(np.int64)
        weights //= max(1, int(np.gcd.reduce(weights)))
        test = _with_weights(strata, weights, alpha, molecules_min)
        limit = detection_limit(test)
        if limit is not None and (best_limit is None or limit < best_limit):
            best, best_limit = test, limit
    return best


def detection_limit(test: WeightedTest, *, power: float = DETECTION_POWER) -> float | None:
    """Smallest tumour fraction that the test calls with probability ``power``.

    Returns
    -------
    float or None
        In (0, 1]; None where not even pure tumour DNA would be called with that probability.

    Examples
    --------
    >>> strata = Strata(background=np.array([3.0]), signal=np.array([1.5e6]))
    >>> round(detection_limit(make_test(strata, alpha=0.01, molecules_min=2)) * 1e6, 1)
    7.6
    """
    from scipy.optimize import brentq

    if test.power(1.0) < power:
        return None
    lowest = -30.0
    while test.power(math.exp(lowest)) >= power:
        lowest -= 10.0
    return math.exp(brentq(lambda log_f: test.power(math.exp(log_f)) - power, lowest, 0.0, xtol=1e-6))


def _at_least_count(count: int, mean: float) -> float:
    return detection_probability(mean, count) if count >= 1 else 1.0


def _with_weights(
    strata: Strata, weights: NDArray[np.int64], alpha: float, molecules_min: int
) -> WeightedTest:
    draft = WeightedTest(strata=strata, weights=weights, decision_score=1, molecules_min=molecules_min)
    mean = float(weights @ strata.background)
    spread = math.sqrt(float((weights * weights) @ strata.background))
    # The smallest score that is called seldom enough, by bisection: calls fall with the score.
    low, high = 0, int(mean + 12 * spread + 60 * weights.max()) + 2
    while high - low > 1:
        middle = (low + high) // 2
        if draft._called(middle, strata.background) <= alpha:
            high = middle
        else:
            low = middle
    score = high
    return WeightedTest(strata=strata, weights=weights, decision_score=score, molecules_min=molecules_min)


def _compound_poisson(weights: NDArray[np.int64], means: Floats, top: int) -> Floats:
    """P(sum of weights = 0 ... top) where stratum i gives Poisson(means[i]) molecules.

    By its generating function exp(sum m_i (z^w_i - 1)) on the unit circle; the circle is long
    enough that what wraps around is negligible.
    """
    rates = np.bincount(weights, weights=means)
    rates[0] = 0.0
    mean = float(rates @ np.arange(len(rates)))
    spread = math.sqrt(float(rates @ np.arange(len(rates)) ** 2))
    length = 1 << math.ceil(math.log2(max(top + 2, mean + 14 * spread + 50 * len(rates), 16)))
    severity = np.zeros(length)
    severity[: len(rates)] = rates
    transform = np.exp(np.fft.rfft(severity) - rates.sum())
    pmf = np.fft.irfft(transform, length)
    return np.where(pmf > _NEGLIGIBLE, pmf, 0.0)[: top + 1]
