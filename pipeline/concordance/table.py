"""The 2 x 2 table of two methods and what is read from it.

Neither method is the truth, so agreement is positive and negative percent agreement
(CLSI EP12), with either method as comparator, and never sensitivity and specificity.
"""

import math
from dataclasses import dataclass

from pipeline.concordance.difference import Estimate
from pipeline.detection import Interval, clopper_pearson, wilson

__all__ = ["AgreementTable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTable:
    """Counts of pairs (or patients) by reading of method x and method y.

    ``x_only`` is positive by x and negative by y. A pair with an indeterminate reading is in
    none of the four cells: the three ``ind`` counts hold it by the other method's reading
    (``ind_both`` where both are indeterminate).

    Raises
    ------
    ValueError
        If a count is negative.
    """

    both_pos: int
    x_only: int
    y_only: int
    both_neg: int
    pos_ind: int = 0
    neg_ind: int = 0
    ind_pos: int = 0
    ind_neg: int = 0
    ind_both: int = 0

    def __post_init__(self) -> None:
        if min(self.both_pos, self.x_only, self.y_only, self.both_neg, self.indeterminate) < 0:
            raise ValueError("a count cannot be negative")

    @property
    def evaluable(self) -> int:
        """Pairs in which both methods read positive or negative."""
        return self.both_pos + self.x_only + self.y_only + self.both_neg

    @property
    def indeterminate(self) -> int:
        """Pairs in which at least one reading is indeterminate."""
        return self.pos_ind + self.neg_ind + self.ind_pos + self.ind_neg + self.ind_both

    @property
    def all(self) -> int:
        """Every pair."""
        return self.evaluable + self.indeterminate

    def overall(self, *, exact: bool = False, with_indeterminate: bool = False) -> Estimate | None:
        """Share of pairs that agree (OPA); Wilson's interval or Clopper and Pearson's.

        With ``with_indeterminate`` the denominator is every pair: an indeterminate reading
        agrees with nothing. None without pairs.
        """
        return _share(
            self.both_pos + self.both_neg, self.all if with_indeterminate else self.evaluable, exact=exact
        )

    def positive(self, *, comparator_y: bool = False, with_indeterminate: bool = False) -> Estimate | None:
        """Share of the comparator's positives that the other method calls positive (PPA)."""
        missed, unread = (self.y_only, self.ind_pos) if comparator_y else (self.x_only, self.pos_ind)
        return _share(self.both_pos, self.both_pos + missed + (unread if with_indeterminate else 0))

    def negative(self, *, comparator_y: bool = False, with_indeterminate: bool = False) -> Estimate | None:
        """Share of the comparator's negatives that the other method calls negative (NPA)."""
        missed, unread = (self.x_only, self.ind_neg) if comparator_y else (self.y_only, self.neg_ind)
        return _share(self.both_neg, self.both_neg + missed + (unread if with_indeterminate else 0))

    def kappa(self) -> Estimate | None:
        """Cohen's kappa with its large-sample interval (Fleiss, Cohen and Everitt 1969).

        None where a method has one class only: kappa is then 0 or undefined, whatever the
        agreement. Read it beside OPA: 118/5/2/0 agrees in 94 % and has kappa -0.02.
        """
        n = self.evaluable
        if n == 0:
            return None
        cells = [[self.both_pos / n, self.x_only / n], [self.y_only / n, self.both_neg / n]]
        by_x = [sum(row) for row in cells]
        by_y = [cells[0][0] + cells[1][0], cells[0][1] + cells[1][1]]
        if min(*by_x, *by_y) <= 0:
            return None
        observed, expected = cells[0][0] + cells[1][1], by_x[0] * by_y[0] + by_x[1] * by_y[1]
        kappa = (observed - expected) / (1 - expected)
        own = sum(cells[i][i] * (1 - (by_x[i] + by_y[i]) * (1 - kappa)) ** 2 for i in (0, 1))
        crossed = sum(cells[i][1 - i] * (by_y[i] + by_x[1 - i]) ** 2 for i in (0, 1)) * (1 - kappa) ** 2
        variance = own + crossed - (kappa - expected * (1 - kappa)) ** 2
        half = _z() * max(variance, 0.0) ** 0.5 / ((1 - expected) * n**0.5)
        return Estimate(value=kappa, ci=Interval(max(-1.0, kappa - half), min(1.0, kappa + half)), pairs=n)

    def pabak(self) -> Estimate | None:
        """Prevalence-adjusted bias-adjusted kappa, 2 OPA - 1 (Byrt, Bishop and Carlin 1993)."""
        overall = self.overall()
        if overall is None:
            return None
        low, high = overall.ci
        return Estimate(
            value=2 * overall.value - 1, ci=Interval(2 * low - 1, 2 * high - 1), pairs=overall.pairs
        )

    def prevalence_index(self) -> float | None:
        """(both positive - both negative) / pairs: how one-sided the table is."""
        return (self.both_pos - self.both_neg) / self.evaluable if self.evaluable else None

    def bias_index(self) -> float | None:
        """(y only - x only) / pairs: how much more often y is positive."""
        return (self.y_only - self.x_only) / self.evaluable if self.evaluable else None

    def mcnemar(self, *, mid: bool = False) -> float | None:
        """P value of equal positivity from the discordant pairs: exact binomial, or mid-p.

        None without pairs; 1 without discordant ones.
        """
        from scipy.special import bdtr  # scipy.stats takes a second to import, and every batch asks this

        if not self.evaluable:
            return None
        fewer, discordant = min(self.x_only, self.y_only), self.x_only + self.y_only
        if not discordant:
            return 1.0
        exact = min(1.0, 2 * float(bdtr(fewer, discordant, 0.5)))
        if not mid:
            return exact
        # Fagerland, Lydersen and Laake, BMC Med Res Methodol 2013;13:91, additional file 1, equation 2:
        # half of the observed count's probability is given back on either side; the middle has one side.
        point = float(math.comb(discordant, fewer) / 2**discordant)
        return exact - point / 2 if self.x_only == self.y_only else exact - point


def _share(agreeing: int, of: int, *, exact: bool = False) -> Estimate | None:
    if of == 0:
        return None
    interval = clopper_pearson if exact else wilson
    return Estimate(value=agreeing / of, ci=interval(agreeing, of), pairs=of)


def _z() -> float:
    from scipy.special import ndtri

    return float(ndtri(0.975))
