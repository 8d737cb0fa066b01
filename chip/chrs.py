"""Clonal Hematopoiesis Risk Score (Weeks et al., NEJM Evidence 2023;2(5):EVIDoa2200310).

Eight items, each with its points; where an input is missing the score is an interval, and a group is
named only if the whole interval lies in it. The score was made in people without a blood cancer; it is
not validated under treatment for myeloma. Cuts are the published ones, points those of secondary
sources (unverified).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from pipeline.model import Sex

__all__ = ["CAVEAT", "HIGH_RISK_GENES", "BloodCounts", "RiskScore", "cytopenia", "risk_score"]

CAVEAT = (
    "CHRS was derived in people without a haematological malignancy and is not validated under treatment "
    "for myeloma; points unverified"
)
HIGH_RISK_GENES = frozenset(["SRSF2", "SF3B1", "ZRSR2", "IDH1", "IDH2", "FLT3", "RUNX1", "JAK2", "TP53"])
QUALIFYING_VAF = 0.02
LOW_MAX, HIGH_MIN = 9.5, 12.5
NEUTROPHILS_MIN, PLATELETS_MIN = 1.8, 150.0  # 10^9/L, WHO 2022
HAEMOGLOBIN_MIN_G_DL = {Sex.MALE: 13.0, Sex.FEMALE: 12.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodCounts:
    """Inputs from the clinic; None where not known. Cells in 10^9/L."""

    age_years: float | None = None
    haemoglobin_g_dl: float | None = None
    neutrophils: float | None = None
    platelets: float | None = None
    mcv_fl: float | None = None
    rdw_percent: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0 < value < 5000:
                raise ValueError(f"{field.name} is impossible")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskScore:
    """The score, or the interval that missing inputs leave; ``missing`` names those that matter."""

    low: float
    high: float
    group: str
    missing: tuple[str, ...]

    @property
    def score(self) -> float | None:
        """The one value; None where inputs leave several."""
        return self.low if self.low == self.high else None


def cytopenia(counts: BloodCounts, sex: Sex | None) -> bool | None:
    """Whether a count is below its limit (WHO 2022); None where those that are missing decide.

    >>> cytopenia(BloodCounts(platelets=100.0), None), cytopenia(BloodCounts(platelets=200.0), None)
    (True, None)
    """
    below: list[bool | None] = [
        None if counts.neutrophils is None else counts.neutrophils < NEUTROPHILS_MIN,
        None if counts.platelets is None else counts.platelets < PLATELETS_MIN,
        _anaemic(counts.haemoglobin_g_dl, sex),
    ]
    if any(b is True for b in below):
        return True
    return None if None in below else False


def _anaemic(haemoglobin_g_dl: float | None, sex: Sex | None) -> bool | None:
    if haemoglobin_g_dl is None:
        return None
    limits = HAEMOGLOBIN_MIN_G_DL.values() if sex is None else (HAEMOGLOBIN_MIN_G_DL[sex],)
    below = {haemoglobin_g_dl < limit for limit in limits}
    return below.pop() if len(below) == 1 else None


def risk_score(
    variants: Sequence[tuple[str, float]], counts: BloodCounts, sex: Sex | None
) -> RiskScore | None:
    """Score of a sample; None where no variant reaches the qualifying fraction.

    Parameters
    ----------
    variants
        (gene, VAF) of each driver; those below 2 % do not count.
    counts, sex
        What is known of the blood.

    Examples
    --------
    >>> blood = BloodCounts(age_years=70, haemoglobin_g_dl=14, neutrophils=3, platelets=200, mcv_fl=90,
    ...                     rdw_percent=13)
    >>> risk_score([("DNMT3A", 0.05)], blood, Sex.MALE).score
    8.0
    """
    found = [(gene, vaf) for gene, vaf in variants if vaf >= QUALIFYING_VAF]
    if not found:
        return None
    genes = [gene for gene, _ in found]
    known = (
        0.5 if genes == ["DNMT3A"] else 1.0,
        2.5 if HIGH_RISK_GENES & set(genes) else 1.0,
        2.0 if len(genes) >= 2 else 1.0,
        2.0 if max(vaf for _, vaf in found) >= 0.2 else 1.0,
    )
    asked = {
        "rdw": (_at_least(counts.rdw_percent, 15.0), 2.5),
        "mcv": (_at_least(counts.mcv_fl, 100.0), 2.5),
        "blood counts": (cytopenia(counts, sex), 1.5),
        "age": (_at_least(counts.age_years, 65.0), 1.5),
    }
    low = sum(known) + sum(points if met else 1.0 for met, points in asked.values())
    high = sum(known) + sum(1.0 if met is False else points for met, points in asked.values())
    missing = tuple(name for name, (met, _) in asked.items() if met is None)
    group = _group(low) if _group(low) == _group(high) else "NOT_ASSESSABLE"
    return RiskScore(low=low, high=high, group=group, missing=missing)


def _at_least(value: float | None, limit: float) -> bool | None:
    return None if value is None else value >= limit


def _group(score: float) -> str:
    if score <= LOW_MAX:
        return "LOW"
    return "HIGH" if score >= HIGH_MIN else "INTERMEDIATE"
