"""Two samples of a run, such as before and after treatment: differences of shares with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.detection import newcombe

__all__ = ["Difference", "share_difference"]


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
