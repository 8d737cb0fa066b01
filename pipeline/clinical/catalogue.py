"""The laboratory tests nadir knows: units, accepted spellings, largest possible values, answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["TESTS", "TestKind"]

_G_PER_L = {"g/dl": Decimal(1), "g/l": Decimal("0.1"), "mg/dl": Decimal("0.001"), "mg/l": Decimal("0.0001")}
_MG_PER_L = {"mg/l": Decimal(1), "mg/dl": Decimal(10), "g/l": Decimal(1000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestKind:
    """What a test may say.

    ``unit`` and ``factors`` (accepted unit in lower case, to what it is multiplied by) belong to
    numbers; ``words`` to tests with fixed answers; neither to free text and to bands.
    ``maximum`` is the largest value, in ``unit``, that can be true.
    """

    __test__ = False  # the name is the laboratory's, not pytest's

    unit: str | None = None
    factors: Mapping[str, Decimal] | None = None
    maximum: Decimal | None = None
    words: tuple[str, ...] = ()
    bands: bool = False


def _number(unit: str, factors: Mapping[str, Decimal], maximum: int) -> TestKind:
    return TestKind(unit=unit, factors=factors, maximum=Decimal(maximum))


_ONE = Decimal(1)
_LEVELS = ("sCR", "CR", "VGPR", "PR", "MR", "SD", "PD", "NE")
_COUNTS = {"10^9/l": _ONE, "10e9/l": _ONE, "/ul": Decimal("0.001"), "10^3/ul": _ONE}
TESTS: Mapping[str, TestKind] = {
    "isotype": TestKind(bands=True),
    "serum_m_protein": _number("g/dL", _G_PER_L, 20),
    "urine_m_protein_24h": _number("mg/24h", {"mg/24h": _ONE, "g/24h": Decimal(1000)}, 100_000),
    "flc_kappa": _number("mg/L", _MG_PER_L, 1_000_000),
    "flc_lambda": _number("mg/L", _MG_PER_L, 1_000_000),
    "serum_ife": TestKind(words=("NEG", "POS"), bands=True),
    "urine_ife": TestKind(words=("NEG", "POS"), bands=True),
    "dira": TestKind(words=("SHIFTED", "RESIDUAL")),
    "bm_plasma_cell_percent": _number("%", {"%": _ONE, "percent": _ONE}, 100),
    "bm_clonal": TestKind(words=("YES", "NO")),
    "plasmacytoma_spd": _number("cm2", {"cm2": _ONE, "mm2": Decimal("0.01")}, 10_000),
    "new_lesion": TestKind(words=("YES", "NO")),
    "calcium": _number("mg/dL", {"mg/dl": _ONE}, 30),
    "creatinine": _number("mg/dL", {"mg/dl": _ONE}, 50),
    "haemoglobin": _number("g/dL", {"g/dl": _ONE, "g/l": Decimal("0.1")}, 30),
    "albumin": _number("g/dL", {"g/dl": _ONE, "g/l": Decimal("0.1")}, 10),
    "beta2_microglobulin": _number("mg/L", {"mg/l": _ONE, "ug/ml": _ONE, "mg/dl": Decimal(10)}, 300),
    "ldh": _number("U/L", {"u/l": _ONE, "iu/l": _ONE}, 50_000),
    "neutrophils": _number("10^9/L", _COUNTS, 500),
    "platelets": _number("10^9/L", _COUNTS, 10_000),
    "mcv": _number("fL", {"fl": _ONE}, 200),
    "rdw": _number("%", {"%": _ONE}, 100),
    "treatment_start": TestKind(),
    "new_therapy_start": TestKind(),
    "death": TestKind(words=("PD", "OTHER")),
    "response_reported": TestKind(words=_LEVELS),
    "pd_basis": TestKind(words=("LAB", "IMAGING")),
}
