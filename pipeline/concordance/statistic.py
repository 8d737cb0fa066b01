"""One row of a comparison's table: a number with its interval, or the reason why there is none."""

from dataclasses import dataclass

from pipeline.concordance.difference import Estimate
from pipeline.detection import Interval

__all__ = ["Statistic", "absent", "measured", "of_estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A parameter of a method; ``threshold`` and ``population`` are for agreement only.

    ``estimate`` is None exactly where ``reason`` says why. ``n`` counts pairs or patients.

    Raises
    ------
    ValueError
        If there is neither a number nor a reason, or a number is not finite.
    """

    method: str
    parameter: str
    estimate: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    reason: str = ""
    threshold: float | None = None
    population: str = ""

    def __post_init__(self) -> None:
        if (self.estimate is None) != bool(self.reason):
            raise ValueError(f"{self.method} {self.parameter} needs a number or a reason, and one of them")
        for number in (self.estimate, self.ci_low, self.ci_high):
            if number is not None and not abs(number) < float("inf"):
                raise ValueError(f"{self.method} {self.parameter} is not a finite number")


def measured(method: str, parameter: str, value: float, ci: Interval | None, n: int) -> Statistic:
    """A row with a number."""
    low, high = (None, None) if ci is None else ci
    return Statistic(method=method, parameter=parameter, estimate=value, ci_low=low, ci_high=high, n=n)


def absent(method: str, parameter: str, reason: str, n: int) -> Statistic:
    """A row without a number."""
    return Statistic(method=method, parameter=parameter, estimate=None, n=n, reason=reason)


def of_estimate(method: str, parameter: str, found: Estimate) -> Statistic:
    """A row from an estimate."""
    return measured(method, parameter, found.value, found.ci, found.pairs)
