"""ISS, R-ISS, R2-ISS and the IMS/IMWG 2025 definition of high risk, with tests that may be missing.

A stage is given where every possible result of the missing tests gives it. Otherwise it is not
assessable, and the tests that could decide it are named.

Sources: ISS, Greipp et al., J Clin Oncol 2005;23:3412; R-ISS, Palumbo et al., J Clin Oncol
2015;33:2863; R2-ISS, D'Agostino et al., J Clin Oncol 2022;40:3406; IMS/IMWG 2025, J Clin Oncol
2025;43:2739. LDH at its upper limit, which the texts leave open, is normal.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from itertools import product

__all__ = ["ALBUMIN", "B2M", "CREATININE", "LDH", "NOT_ASSESSABLE", "RESULTS", "Staging", "stage"]

NOT_ASSESSABLE = "NOT_ASSESSABLE"
B2M, ALBUMIN, LDH, CREATININE = "beta2_microglobulin_mg_l", "albumin_g_dl", "ldh_u_l", "creatinine_mg_dl"


class Beta2(IntEnum):
    """Ranges of beta-2 microglobulin: below 3.5, below 5.5, from 5.5 mg/L."""

    LOW = 0
    MIDDLE = 1
    HIGH = 2

    @classmethod
    def of(cls, value_mg_l: Decimal) -> "Beta2":
        """The range of a value."""
        if value_mg_l < Decimal("3.5"):
            return cls.LOW
        return cls.MIDDLE if value_mg_l < Decimal("5.5") else cls.HIGH


# Every result a test can have, as the scores tell them apart. Albumin: low (below 3.5 g/dL); LDH: high
# (above its limit); creatinine: low (below 1.2 mg/dL); del(1p32): copies lost.
RESULTS: Mapping[str, tuple[int, ...]] = {
    B2M: tuple(Beta2),
    ALBUMIN: (0, 1),
    LDH: (0, 1),
    CREATININE: (0, 1),
    "del_17p": (0, 1),
    "tp53_mutation": (0, 1),
    "t_4_14": (0, 1),
    "t_14_16": (0, 1),
    "t_14_20": (0, 1),
    "gain_1q": (0, 1),
    "del_1p32": (0, 1, 2),
}
Known = Mapping[str, int]


def _iss(known: Known) -> str:
    if known[B2M] == Beta2.HIGH:
        return "III"
    return "I" if known[B2M] == Beta2.LOW and not known[ALBUMIN] else "II"


def _r_iss(known: Known) -> str:
    iss = _iss(known)
    high = known["del_17p"] or known["t_4_14"] or known["t_14_16"] or known[LDH]
    if iss == "III" and high:
        return "III"
    return "I" if iss == "I" and not high else "II"


def _r2_iss(known: Known) -> str:
    half_points = {"I": 0, "II": 2, "III": 3}[_iss(known)] + known["gain_1q"]
    half_points += 2 * (known["del_17p"] + known[LDH] + known["t_4_14"])
    if half_points == 0:
        return "I"
    if half_points <= 2:
        return "II"
    return "III" if half_points <= 5 else "IV"


def _ims_2025(known: Known) -> str:
    translocated = known["t_4_14"] or known["t_14_16"] or known["t_14_20"]
    lost_1p, gain = known["del_1p32"], known["gain_1q"]
    high = (
        known["del_17p"]
        or known["tp53_mutation"]
        or (translocated and (gain or lost_1p))
        or lost_1p == 2
        or (lost_1p and gain)
        or (known[B2M] == Beta2.HIGH and known[CREATININE])
    )
    return "HIGH" if high else "NOT_HIGH"


_SCORES: Mapping[str, tuple[Callable[[Known], str], tuple[str, ...]]] = {
    "iss": (_iss, (B2M, ALBUMIN)),
    "r_iss": (_r_iss, (B2M, ALBUMIN, LDH, "del_17p", "t_4_14", "t_14_16")),
    "r2_iss": (_r2_iss, (B2M, ALBUMIN, LDH, "del_17p", "t_4_14", "gain_1q")),
    "ims_2025": (_ims_2025, tuple(t for t in RESULTS if t not in (ALBUMIN, LDH))),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """Stages I to IV, HIGH or NOT_HIGH, or NOT_ASSESSABLE; and the tests that would decide the latter."""

    iss: str
    r_iss: str
    r2_iss: str
    ims_2025: str
    missing: tuple[str, ...]


def stage(possible: Mapping[str, tuple[int, ...]]) -> Staging:
    """Every stage that the known results fix.

    Parameters
    ----------
    possible
        By test of `RESULTS`, the results it may still have: one where it is known, all where it
        was not done, some where it was reported below a limit.

    Returns
    -------
    Staging
        ``missing`` names, in the order of `RESULTS`, the tests whose result could change a stage
        that is not assessable.
    """
    answers = {}
    needed: set[str] = set()
    for name, (_, tests) in _SCORES.items():
        answers[name], deciding = _decided(name, tuple(tuple(possible[t]) for t in tests))
        needed |= deciding
    return Staging(**answers, missing=tuple(t for t in RESULTS if t in needed))


@lru_cache(maxsize=65536)
def _decided(name: str, possible: tuple[tuple[int, ...], ...]) -> tuple[str, frozenset[str]]:
    """The one answer of all completions, or not assessable and the tests that change it."""
    score, tests = _SCORES[name]
    found = {results: score(dict(zip(tests, results, strict=True))) for results in product(*possible)}
    if len(set(found.values())) == 1:
        return next(iter(found.values())), frozenset()
    deciding = {
        tests[i]
        for i in range(len(tests))
        if any(found[a] != found[b] for a in found for b in _others(a, i, possible[i]))
    }
    return NOT_ASSESSABLE, frozenset(deciding)


def _others(results: tuple[int, ...], i: int, possible: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for result in possible:
        if result != results[i]:
            yield (*results[:i], result, *results[i + 1 :])
