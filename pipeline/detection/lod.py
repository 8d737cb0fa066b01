"""Limit of detection of one sample, from what was examined in it.

Not the validated limit of an assay (limit of blank, probit): that is a property
of a method, this one of a tube.
"""

from pipeline.detection.tails import gamma_lower, gamma_lower_inverse, poisson_quantile

__all__ = [
    "DETECTION_POWER",
    "decision_count_above_background",
    "decision_threshold",
    "detection_probability",
    "mean_count_for_detection",
    "sample_lod",
]

DETECTION_POWER = 0.95
"""A limit of detection is found in at least this share of samples (CLSI EP17)."""


def detection_probability(mean_count: float, decision_count: int) -> float:
    """P(X >= decision_count) for X ~ Poisson(mean_count).

    Parameters
    ----------
    mean_count
        Expected count, >= 0.
    decision_count
        Smallest count called detected, >= 1.

    Returns
    -------
    float
        A probability in [0, 1].

    Raises
    ------
    ValueError
        If either argument is out of range.

    Examples
    --------
    >>> round(detection_probability(20.0, 20), 2)
    0.53
    """
    _check_decision_count(decision_count)
    if not mean_count >= 0:
        raise ValueError(f"an expected count cannot be negative: {mean_count}")
    return gamma_lower(decision_count, mean_count)


def mean_count_for_detection(decision_count: int, *, power: float = DETECTION_POWER) -> float:
    """Expected count at which ``decision_count`` or more are seen with probability ``power``.

    Solves P(X >= k | Poisson(m)) = power for m: the power quantile of a gamma
    distribution with shape k. For one event this is -ln(1 - power), the "3/n" of
    Hanley and Lippman-Hand (JAMA 1983;249:1743).

    Parameters
    ----------
    decision_count
        Smallest count called detected, >= 1.
    power
        Wanted probability, in (0, 1).

    Returns
    -------
    float
        Expected count, > 0.

    Raises
    ------
    ValueError
        If either argument is out of range.

    Examples
    --------
    >>> [round(mean_count_for_detection(k), 3) for k in (1, 2, 20)]
    [2.996, 4.744, 27.879]
    """
    _check_decision_count(decision_count)
    _check_probability("power", power)
    return gamma_lower_inverse(decision_count, power)


def decision_count_above_background(background_mean: float, *, minimum: int, alpha: float = 0.05) -> int:
    """Smallest count that background alone reaches with probability <= ``alpha``.

    Never below ``minimum``, the assay's own decision count.

    Parameters
    ----------
    background_mean
        Expected count in a sample without disease, >= 0.
    minimum
        The assay's decision count without background, >= 1.
    alpha
        Accepted share of blanks called detected, in (0, 1).

    Returns
    -------
    int
        The decision count k.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> decision_count_above_background(0.0, minimum=20), decision_count_above_background(30.0, minimum=20)
    (20, 40)
    """
    _check_decision_count(minimum)
    _check_probability("alpha", alpha)
    if not background_mean >= 0:
        raise ValueError(f"an expected count cannot be negative: {background_mean}")
    if background_mean == 0:
        return minimum
    # P(X >= k) <= alpha  <=>  P(X <= k - 1) >= 1 - alpha
    return max(minimum, poisson_quantile(background_mean, 1 - alpha) + 1)


def sample_lod(
    examined: float,
    decision_count: int,
    *,
    efficiency: float = 1.0,
    background_mean: float = 0.0,
    power: float = DETECTION_POWER,
) -> float | None:
    """Smallest fraction that this sample would have shown with probability ``power``.

    The f that solves P(X >= k | Poisson(b + f n e)) = power, with n examined cells, e
    the probability that a clonal cell is counted, b the expected background. With
    background, choose k by `decision_count_above_background` first.

    Parameters
    ----------
    examined
        Nucleated cells (molecules) examined, not reads; >= 0.
    decision_count
        Smallest count called detected, >= 1.
    efficiency
        Share of the clone's cells that can be counted, in (0, 1].
    background_mean
        Expected count without disease, >= 0.
    power
        Wanted probability of detection, in (0, 1).

    Returns
    -------
    float or None
        A fraction in (0, 1]; None where not even a sample of nothing but the clone
        would be called detected with that probability.

    Raises
    ------
    ValueError
        If an argument is out of range, or if background alone would already be
        called detected with probability ``power``.

    Examples
    --------
    >>> round(sample_lod(1_000_000, 1) * 1e6, 3), round(sample_lod(10_000_000, 20) * 1e6, 3)
    (2.996, 2.788)
    >>> sample_lod(10, 20) is None
    True
    """
    if not examined >= 0:
        raise ValueError(f"examined cells cannot be negative: {examined}")
    if not 0 < efficiency <= 1:
        raise ValueError(f"efficiency must lie in (0, 1], not {efficiency}")
    if not background_mean >= 0:
        raise ValueError(f"an expected count cannot be negative: {background_mean}")
    signal_mean = mean_count_for_detection(decision_count, power=power) - background_mean
    if signal_mean <= 0:
        raise ValueError(
            f"a decision count of {decision_count} is reached by a background of {background_mean} alone"
        )
    if signal_mean > examined * efficiency:
        return None
    return signal_mean / (examined * efficiency)


def decision_threshold(examined: float, decision_count: int) -> float | None:
    """The fraction at which the expected count equals the decision count (20/n).

    Not a limit of detection: a sample at this fraction is called detected only about
    half of the time (53 % for 20 events). Print it under its own name.

    Parameters
    ----------
    examined
        Nucleated cells examined, >= 0.
    decision_count
        Smallest count called detected, >= 1.

    Returns
    -------
    float or None
        A fraction in (0, 1]; None where fewer cells were examined than the count asks for.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> decision_threshold(10_000_000, 20)
    2e-06
    """
    _check_decision_count(decision_count)
    if not examined >= 0:
        raise ValueError(f"examined cells cannot be negative: {examined}")
    return decision_count / examined if examined >= decision_count else None


def _check_decision_count(decision_count: int) -> None:
    if decision_count < 1:
        raise ValueError(f"a decision count is at least 1, not {decision_count}")


def _check_probability(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value}")
