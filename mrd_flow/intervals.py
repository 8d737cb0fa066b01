"""The fraction of aberrant cells with its intervals, before and after the classifier's error.

A count k of n nucleated cells comes from f n e cells of the clone that were recognised
(e, the classifier's recall) and from b normal cells taken for the clone: k is Poisson
with mean f n e + b. Two exact intervals follow from Garwood's [L, U] of that mean:

- *corrected*: (L - b) / (n e) to (U - b) / (n e), about (k - b) / (n e). With b and e
  known it covers f in at least 95 % of samples.
- *reported*, about the plain k / n: from (L - b) / n to U / (n e). The lower bound gives
  back what may be false, the upper one adds what may be missed; so it holds both the plain
  and the true fraction, and is the wider of the two.

Where b and e are themselves uncertain, the lower bounds take the largest b, the upper
bounds the smallest e.
"""

from dataclasses import dataclass

from pipeline.detection import Interval, garwood, wilson

__all__ = ["ClassifierError", "Fraction", "fraction_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierError:
    """What the classifier is expected to add and to miss in this sample.

    ``false_events`` is the number of normal cells expected among those counted,
    ``false_events_high`` the largest that is plausible; ``recall`` the share of the
    clone's cells that is counted, ``recall_low`` the smallest that is plausible.
    """

    false_events: float = 0.0
    false_events_high: float = 0.0
    recall: float = 1.0
    recall_low: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.false_events <= self.false_events_high < float("inf"):
            raise ValueError("need 0 <= false_events <= false_events_high")
        if not 0 < self.recall_low <= self.recall <= 1:
            raise ValueError("need 0 < recall_low <= recall <= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """A count as a fraction of ``examined`` cells; every interval has 95 % confidence.

    ``exact`` (Garwood) and ``wilson`` are of the plain ``value``, as if every event had been
    told apart without error. ``reported`` and ``corrected`` carry the classifier's error.
    """

    value: float
    exact: Interval
    wilson: Interval
    reported: Interval
    corrected_value: float
    corrected: Interval
    error: ClassifierError


def fraction_of(count: int, examined: int, error: ClassifierError) -> Fraction:
    """Fraction and intervals of ``count`` events among ``examined`` nucleated cells.

    Parameters
    ----------
    count, examined
        ``0 <= count <= examined`` and ``examined >= 1``.
    error
        What the classifier adds and misses.

    Returns
    -------
    Fraction
        All numbers in [0, 1].

    Raises
    ------
    ValueError
        If the counts contradict each other.

    Examples
    --------
    >>> found = fraction_of(20, 10_000_000, ClassifierError(recall=0.9, recall_low=0.9))
    >>> [round(b * 1e6, 2) for b in (*found.wilson, *found.exact, *found.reported)]
    [1.29, 3.09, 1.22, 3.09, 1.22, 3.43]
    """
    around = garwood(count)
    score = wilson(count, examined)  # refuses counts that contradict each other

    def share(cells: float, recall: float = 1.0) -> float:
        return min(1.0, max(0.0, cells) / (examined * recall))

    return Fraction(
        value=count / examined,
        exact=Interval(share(around.low), share(around.high)),
        wilson=score,
        reported=Interval(share(around.low - error.false_events_high), share(around.high, error.recall_low)),
        corrected_value=share(count - error.false_events, error.recall),
        corrected=Interval(
            share(around.low - error.false_events_high, error.recall),
            share(around.high - error.false_events, error.recall_low),
        ),
        error=error,
    )
