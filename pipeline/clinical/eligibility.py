"""Myeloma-defining events (CRAB and SLiM) and measurability of a baseline table, three-valued.

Rajkumar et al., Lancet Oncol 2014;15:e538: at least 10 % clonal plasma cells in the marrow or a
plasmacytoma proven by biopsy, and one of these events. A limit of the laboratory is used where it is
given. A test that was not done leaves an event open unless another test decides it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pipeline.clinical.catalogue import TESTS
from pipeline.clinical.laboratory import Quantity, read_quantity
from pipeline.clinical.rules import ResponseRules
from pipeline.clinical.table_rows import Cells, Rows, read_rows
from pipeline.formats.delimited import Table
from pipeline.formats.sheet_cells import Refusal

__all__ = [
    "ELIGIBILITY_COLUMNS",
    "ELIGIBILITY_INPUTS",
    "Baseline",
    "Eligibility",
    "baselines_from_table",
    "judge_eligibility",
]

_QUANTITIES = {
    "calcium_mg_dl": "calcium",
    "calcium_upper_limit_mg_dl": "calcium",
    "creatinine_mg_dl": "creatinine",
    "haemoglobin_g_dl": "haemoglobin",
    "haemoglobin_lower_limit_g_dl": "haemoglobin",
    "bm_plasma_cell_percent": "bm_plasma_cell_percent",
    "flc_kappa_mg_l": "flc_kappa",
    "flc_lambda_mg_l": "flc_lambda",
    "serum_m_protein_g_dl": "serum_m_protein",
    "urine_m_protein_mg_24h": "urine_m_protein_24h",
}
_CLEARANCE, _FOCAL = "creatinine_clearance_ml_min", "mri_focal_lesions"
_LYTIC, _PLASMACYTOMA = "lytic_lesions", "biopsied_plasmacytoma"
ELIGIBILITY_INPUTS = (*_QUANTITIES, _CLEARANCE, _FOCAL, _LYTIC, _PLASMACYTOMA)
EVENTS = (
    "hypercalcaemia", "renal_insufficiency", "anaemia", "bone_lesions", "plasma_cells_60_percent",
    "flc_ratio_100", "mri_focal_lesions_above_1",
)  # fmt: skip
ELIGIBILITY_COLUMNS = ("patient_id", *EVENTS, "clonal_disease", "myeloma", "measurable", "missing")

CALCIUM_ABOVE_MG_DL, CALCIUM_ABOVE_LIMIT_MG_DL = Decimal(11), Decimal(1)
CREATININE_ABOVE_MG_DL, CLEARANCE_BELOW_ML_MIN = Decimal(2), Decimal(40)
HAEMOGLOBIN_BELOW_G_DL, HAEMOGLOBIN_BELOW_LIMIT_G_DL = Decimal(10), Decimal(2)
PLASMA_CELLS_PERCENT, CLONAL_PERCENT = Decimal(60), Decimal(10)
FLC_RATIO, INVOLVED_FLC_MG_L = Decimal(100), Decimal(100)
FOCAL_LESIONS_ABOVE = 1

Answer = bool | None  # nothing: it cannot be said
_SHOWN = {True: "YES", False: "NO", None: "NOT_ASSESSABLE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One patient's tests; a quantity may be a range below the assay's limit."""

    patient_id: str
    quantities: dict[str, Quantity]
    clearance_ml_min: Decimal | None
    focal_lesions: int | None
    lytic_lesions: bool | None
    plasmacytoma: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """Answers of one patient, and the tests not done that could change an open one."""

    patient_id: str
    events: tuple[Answer, ...]
    clonal_disease: Answer
    myeloma: Answer
    measurable: Answer
    missing: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of `ELIGIBILITY_COLUMNS`."""
        answers = (*self.events, self.clonal_disease, self.myeloma, self.measurable)
        return self.patient_id, *(_SHOWN[a] for a in answers), ";".join(self.missing)


def baselines_from_table(table: Table, *, path: Path | str) -> Rows[Baseline]:
    """Check every row of a baseline table; only ``patient_id`` must be there, an absent column is not done.

    Raises
    ------
    SheetRefused
        With every problem: a patient twice, a number that is negative, ambiguous or impossible.
    """
    return read_rows(
        table,
        ("patient_id",),
        _baseline,
        path=path,
        remedy=f"give patient_id once; columns read besides are {', '.join(ELIGIBILITY_INPUTS)}",
        key=lambda b: b.patient_id,
    )


def _baseline(cells: Cells) -> Baseline:
    quantities = {}
    for column, test in _QUANTITIES.items():
        text = cells.text(column)
        read = read_quantity(text, TESTS[test].unit or "", TESTS[test]) if text else None
        if isinstance(read, Refusal):
            cells.refuse(column, read)
        elif read is not None:
            quantities[column] = read
            if "," in text:
                cells.note(f"{column}: decimal comma, read as {read.shown}")
    return Baseline(
        patient_id=cells.identifier("patient_id"),
        quantities=quantities,
        clearance_ml_min=cells.number(_CLEARANCE, maximum=500),
        focal_lesions=cells.whole(_FOCAL, maximum=1000),
        lytic_lesions=cells.yes(_LYTIC),
        plasmacytoma=cells.yes(_PLASMACYTOMA),
    )


def judge_eligibility(baseline: Baseline, rules: ResponseRules) -> Eligibility:
    """Answers from the tests that were done.

    Parameters
    ----------
    baseline
        One patient.
    rules
        For measurability, as response is judged by it.
    """
    found = baseline.quantities
    marrow = found.get("bm_plasma_cell_percent")
    focal = None if baseline.focal_lesions is None else baseline.focal_lesions > FOCAL_LESIONS_ABOVE
    events = (
        _hypercalcaemia(found),
        _renal(baseline),
        _anaemia(found),
        baseline.lytic_lesions,
        _at_least(marrow, PLASMA_CELLS_PERCENT),
        _ratio(found),
        focal,
    )
    clonal = _any(_at_least(marrow, CLONAL_PERCENT), baseline.plasmacytoma)
    myeloma = _all(clonal, _any(*events))
    measurable = _measurable(found, rules)
    answers = dict(zip(EVENTS, events, strict=True)) | {"clonal": clonal}
    return Eligibility(
        patient_id=baseline.patient_id,
        events=events,
        clonal_disease=clonal,
        myeloma=myeloma,
        measurable=measurable,
        missing=tuple(_missing(baseline, answers, myeloma, measurable)),
    )


def _any(*answers: Answer) -> Answer:
    if True in answers:
        return True
    return None if None in answers else False


def _all(*answers: Answer) -> Answer:
    if False in answers:
        return False
    return None if None in answers else True


def _at_least(value: Quantity | None, limit: Decimal) -> Answer:
    if value is None:
        return None
    low, high = value.low >= limit, value.high >= limit
    return low if low == high else None


def _above(value: Quantity | None, limit: Decimal) -> Answer:
    if value is None:
        return None
    low, high = value.low > limit, value.high > limit
    return low if low == high else None


def _below(value: Quantity | None, limit: Decimal) -> Answer:
    answer = _at_least(value, limit)
    return None if answer is None else not answer


def _hypercalcaemia(found: dict[str, Quantity]) -> Answer:
    calcium, upper = found.get("calcium_mg_dl"), found.get("calcium_upper_limit_mg_dl")
    absolute = _above(calcium, CALCIUM_ABOVE_MG_DL)
    return (
        absolute if upper is None else _any(absolute, _above(calcium, upper.high + CALCIUM_ABOVE_LIMIT_MG_DL))
    )


def _renal(baseline: Baseline) -> Answer:
    clearance = baseline.clearance_ml_min
    low = None if clearance is None else clearance < CLEARANCE_BELOW_ML_MIN
    return _any(_above(baseline.quantities.get("creatinine_mg_dl"), CREATININE_ABOVE_MG_DL), low)


def _anaemia(found: dict[str, Quantity]) -> Answer:
    haemoglobin, lower = found.get("haemoglobin_g_dl"), found.get("haemoglobin_lower_limit_g_dl")
    absolute = _below(haemoglobin, HAEMOGLOBIN_BELOW_G_DL)
    if lower is None:
        return absolute
    return _any(absolute, _below(haemoglobin, lower.high - HAEMOGLOBIN_BELOW_LIMIT_G_DL))


def _ratio(found: dict[str, Quantity]) -> Answer:
    """Whether the larger chain is at least 100 mg/L and 100 times the smaller; by products, not quotients."""
    chains = _chains(found)
    if chains is None:
        return None
    involved, other = chains
    large = _at_least(involved, INVOLVED_FLC_MG_L)
    for_certain = involved.low >= FLC_RATIO * other.high
    possible = involved.high >= FLC_RATIO * other.low
    return _all(large, for_certain if for_certain == possible else None)


def _chains(found: dict[str, Quantity]) -> tuple[Quantity, Quantity] | None:
    kappa, lambda_ = found.get("flc_kappa_mg_l"), found.get("flc_lambda_mg_l")
    if kappa is None or lambda_ is None:
        return None
    return (kappa, lambda_) if kappa.high >= lambda_.high else (lambda_, kappa)


def _measurable(found: dict[str, Quantity], rules: ResponseRules) -> Answer:
    serum = _at_least(found.get("serum_m_protein_g_dl"), rules.measurable_serum_m_g_dl)
    urine = _at_least(found.get("urine_m_protein_mg_24h"), rules.measurable_urine_m_mg_24h)
    return _any(serum, urine, _measurable_chain(found, rules))


def _measurable_chain(found: dict[str, Quantity], rules: ResponseRules) -> Answer:
    chains = _chains(found)
    if chains is None:
        return None
    kappa, lambda_ = found["flc_kappa_mg_l"], found["flc_lambda_mg_l"]
    low, high = rules.flc_ratio_low, rules.flc_ratio_high
    abnormal = kappa.high < low * lambda_.low or kappa.low > high * lambda_.high
    normal = low * lambda_.high <= kappa.low and kappa.high <= high * lambda_.low
    return _all(
        _at_least(chains[0], rules.measurable_involved_flc_mg_l), abnormal if abnormal != normal else None
    )


_TESTS_OF = {
    "hypercalcaemia": ("calcium_mg_dl",),
    "renal_insufficiency": ("creatinine_mg_dl", _CLEARANCE),
    "anaemia": ("haemoglobin_g_dl",),
    "bone_lesions": (_LYTIC,),
    "plasma_cells_60_percent": ("bm_plasma_cell_percent",),
    "flc_ratio_100": ("flc_kappa_mg_l", "flc_lambda_mg_l"),
    "mri_focal_lesions_above_1": (_FOCAL,),
    "clonal": ("bm_plasma_cell_percent", _PLASMACYTOMA),
}
_MEASURABLE_BY = ("serum_m_protein_g_dl", "urine_m_protein_mg_24h", "flc_kappa_mg_l", "flc_lambda_mg_l")


def _missing(
    baseline: Baseline, answers: dict[str, Answer], myeloma: Answer, measurable: Answer
) -> Iterable[str]:
    """Tests not done, in the order of the columns, of an answer that is open."""
    wanted: set[str] = set()
    if myeloma is None:
        event = _any(*(answer for name, answer in answers.items() if name != "clonal"))
        for name, tests in _TESTS_OF.items():
            open_part = answers[name] is None and (name == "clonal" or event is None)
            wanted |= set(tests) if open_part else set()
    if measurable is None:
        wanted |= set(_MEASURABLE_BY)
    done = set(baseline.quantities)
    for column, value in (
        (_CLEARANCE, baseline.clearance_ml_min),
        (_FOCAL, baseline.focal_lesions),
        (_LYTIC, baseline.lytic_lesions),
        (_PLASMACYTOMA, baseline.plasmacytoma),
    ):
        done |= {column} if value is not None else set()
    return (column for column in ELIGIBILITY_INPUTS if column in wanted - done)
