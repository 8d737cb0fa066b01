"""Two samples of a run, such as before and after treatment: differences of shares with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.detection import Interval, wilson

__all__ = ["Difference", "newcombe", "share_difference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Share of ``population`` in two samples.

    ``measure`` is ``fraction`` (of the population's denominator) or ``masking_low`` (of
    the population's cells, those below the masking marker's cut). Shares and difference
    (second minus first) are None where a denominator is 0.
    """

    first: str
    second: str
    population: str
    path: str
    measure: str
    first_count: int
    first_denominator: int
    second_count: int
    second_denominator: int
    first_fraction: float | None
    second_fraction: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None


def newcombe(first: tuple[int, int], second: tuple[int, int], *, confidence: float = 0.95) -> Interval:
    """Interval of the difference of two independent shares, second minus first.

    Hybrid score interval without continuity correction, method 10 of Newcombe
    (Stat Med 1998;17:873), from the Wilson interval of each share.

    Parameters
    ----------
    first, second
        Count and total of each sample; totals >= 1.
    confidence
        Two-sided coverage, in (0, 1).

    Raises
    ------
    ValueError
        As `pipeline.detection.wilson`.

    Examples
    --------
    >>> [round(b, 4) for b in newcombe((48, 80), (56, 70))]
    [0.0524, 0.3339]
    """
    low1, high1 = wilson(*first, confidence=confidence)
    low2, high2 = wilson(*second, confidence=confidence)
    p1, p2 = first[0] / first[1], second[0] / second[1]
    below = ((p2 - low2) ** 2 + (high1 - p1) ** 2) ** 0.5
    above = ((high2 - p2) ** 2 + (p1 - low1) ** 2) ** 0.5
    return Interval(p2 - p1 - below, p2 - p1 + above)


def share_difference(
    samples: tuple[str, str],
    population: tuple[str, str],
    measure: str,
    counts: Sequence[tuple[int, int]],
) -> Difference:
    """The difference of one share between two samples.

    Parameters
    ----------
    samples
        First and second sample.
    population
        Name and path.
    measure
        As in `Difference`.
    counts
        Count and denominator of the first and of the second sample.
    """
    first, second = counts
    possible = first[1] > 0 and second[1] > 0
    interval = newcombe(first, second) if possible else None
    shares = [count / total if total else None for count, total in counts]
    return Difference(
        first=samples[0],
        second=samples[1],
        population=population[0],
        path=population[1],
        measure=measure,
        first_count=first[0],
        first_denominator=first[1],
        second_count=second[0],
        second_denominator=second[1],
        first_fraction=shares[0],
        second_fraction=shares[1],
        difference=second[0] / second[1] - first[0] / first[1] if possible else None,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
    )
