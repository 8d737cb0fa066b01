"""Patients' histories: baseline, visits and the quantities that response is judged by.

All rows of one patient and date are one visit. The baseline is the last visit on or before the
first start of treatment (the first visit where there is none); a test that was not repeated there
is taken from the last earlier date. A baseline needs a measured value: a history of responses
that somebody reported has none, and each of its visits is judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby

from pipeline.clinical.laboratory import LabValue, Quantity

__all__ = ["MEASURED", "History", "Visit", "histories"]

_EVENTS = frozenset({"treatment_start", "new_therapy_start", "death", "isotype", "pd_basis"})
MEASURED = frozenset(
    {
        "serum_m_protein",
        "urine_m_protein_24h",
        "flc_kappa",
        "flc_lambda",
        "serum_ife",
        "urine_ife",
        "dira",
        "bm_plasma_cell_percent",
        "bm_clonal",
        "plasmacytoma_spd",
        "new_lesion",
    }
)
_EXEMPT = ("bm_plasma_cell_percent", "bm_clonal", "plasmacytoma_spd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The values of one date, by test."""

    day: date
    values: Mapping[str, LabValue] = field(default_factory=dict)

    def quantity(self, test: str) -> Quantity | None:
        """The number of a test, or nothing where it was not done."""
        value = self.values.get(test)
        return None if value is None else value.quantity

    def words(self, test: str) -> tuple[str, ...]:
        """The answer or bands of a test; empty where it was not done."""
        value = self.values.get(test)
        return () if value is None else value.words

    def says(self, test: str, word: str) -> bool:
        """Whether a test was done and its answer is ``word``."""
        return self.words(test) == (word,)

    @property
    def is_measured(self) -> bool:
        """Whether any test that response is judged by was done."""
        return not MEASURED.isdisjoint(self.values)

    def dflc(self, chain: str | None) -> Quantity | None:
        """Involved minus uninvolved free light chain, mg/L; ``chain`` is K or L."""
        kappa, lambda_ = self.quantity("flc_kappa"), self.quantity("flc_lambda")
        if kappa is None or lambda_ is None or chain is None:
            return None
        involved, other = (kappa, lambda_) if chain == "K" else (lambda_, kappa)
        return Quantity(low=involved.low - other.high, high=involved.high - other.low, unit="mg/L")

    def ratio_is_normal(self, low: Decimal, high: Decimal) -> bool | None:
        """Whether kappa / lambda lies within the limits for certain; nothing where one was not done.

        Compared by products: no quotient is rounded, and a chain of zero has no ratio.
        """
        kappa, lambda_ = self.quantity("flc_kappa"), self.quantity("flc_lambda")
        if kappa is None or lambda_ is None:
            return None
        within = low * lambda_.high <= kappa.low and kappa.high <= high * lambda_.low
        return within and kappa.high > 0 and lambda_.high > 0

    def ratio_is_abnormal(self, low: Decimal, high: Decimal) -> bool:
        """Whether kappa / lambda lies outside the limits for certain."""
        kappa, lambda_ = self.quantity("flc_kappa"), self.quantity("flc_lambda")
        if kappa is None or lambda_ is None:
            return False
        return kappa.high < low * lambda_.low or kappa.low > high * lambda_.high

    def with_exempt_tests_of(self, other: "Visit") -> "Visit":
        """A copy with marrow and imaging of ``other`` where it has none of its own.

        Marrow and imaging need no second sample, so a visit can confirm without repeating them.
        """
        borrowed = {t: other.values[t] for t in _EXEMPT if t in other.values}
        return Visit(day=self.day, values={**borrowed, **self.values})


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One patient: baseline, the visits after it in order of date, and what happened beside them."""

    patient_id: str
    isotype: str | None
    baseline: Visit | None
    visits: tuple[Visit, ...]
    new_therapy_on: date | None

    @property
    def chain(self) -> str | None:
        """The involved light chain, K or L; nothing where no isotype is given."""
        return None if self.isotype is None else self.isotype[-1]


def histories(values: Iterable[LabValue]) -> tuple[History, ...]:
    """Histories of all patients, in order of their identifiers; the order of rows means nothing."""
    ordered = sorted(values, key=lambda v: (v.patient_id, v.day, v.test))
    groups = groupby(ordered, key=lambda v: v.patient_id)
    return tuple(_history(patient_id, tuple(rows)) for patient_id, rows in groups)


def _history(patient_id: str, rows: Sequence[LabValue]) -> History:
    days = [
        Visit(day=day, values={v.test: v for v in values}) for day, values in groupby(rows, lambda v: v.day)
    ]
    visits = [v for v in days if not _EVENTS.issuperset(v.values) or v.says("death", "PD")]
    treated_on = _first(rows, "treatment_start")
    baseline = _baseline(visits, treated_on)
    # Nothing up to the first dose is a response, not even a visit later than the baseline's.
    after = [v for v in visits if baseline is None or v.day > max(baseline.day, treated_on or baseline.day)]
    isotypes = [v.words[0] for v in rows if v.test == "isotype"]
    return History(
        patient_id=patient_id,
        isotype=isotypes[0] if isotypes else None,
        baseline=baseline,
        visits=tuple(after),
        new_therapy_on=_first(rows, "new_therapy_start"),
    )


def _first(rows: Sequence[LabValue], event: str) -> date | None:
    return min((v.day for v in rows if v.test == event), default=None)


def _baseline(visits: Sequence[Visit], treated_on: date | None) -> Visit | None:
    measured = [v for v in visits if v.is_measured]
    before = [v for v in measured if treated_on is not None and v.day <= treated_on]
    if not before:
        return measured[0] if measured else None
    merged: dict[str, LabValue] = {}
    for visit in reversed(before):
        # Both chains come from one sample: a kappa of one day says nothing beside another day's lambda.
        chains = {"flc_kappa", "flc_lambda"} if {"flc_kappa", "flc_lambda"} & merged.keys() else set()
        merged |= {t: v for t, v in visit.values.items() if t not in merged and t not in chains}
    return Visit(day=before[-1].day, values=merged)
