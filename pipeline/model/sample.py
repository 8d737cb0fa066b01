"""Who and what was measured: pseudonyms, material, one sample of one assay."""

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

__all__ = ["Assay", "Material", "Role", "Sample", "Sex", "is_identifier", "looks_personal"]

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")

# What a pseudonym must not look like. Birth dates (1954-03-12, 19540312, 12-03-1954), long
# runs of digits (national and insurance numbers have 8 to 14) and capitalised word pairs.
_DATE_ISO = re.compile(r"(?:19|20)\d\d[-_]?(?:0[1-9]|1[0-2])[-_]?(?:0[1-9]|[12]\d|3[01])")
_DATE_EUROPEAN = re.compile(r"(?:0?[1-9]|[12]\d|3[01])[-_](?:0?[1-9]|1[0-2])[-_](?:19|20)\d\d")
_DATE_AMERICAN = re.compile(r"(?:0?[1-9]|1[0-2])[-_](?:0?[1-9]|[12]\d|3[01])[-_](?:19|20)\d\d")
_DIGIT_RUN = re.compile(r"\d{8,}")
_GROUPED_DIGITS = re.compile(r"\d{3,4}-\d{2,4}-\d{4}")
_NAME_PAIR = re.compile(
    r"[A-Z][a-z]{2,}[_-][A-Z][a-z]{2,}|[A-Z][a-z]{2,}[A-Z][a-z]{2,}|[A-Z]{3,}[_-][A-Z]{3,}"
)


class Material(StrEnum):
    """What was drawn."""

    BONE_MARROW = "bone_marrow"
    PLASMA = "plasma"
    PERIPHERAL_BLOOD = "peripheral_blood"
    STEM_CELL_PRODUCT = "stem_cell_product"


class Assay(StrEnum):
    """How it was measured."""

    NGS = "ngs"
    FLOW = "flow"
    TUMOUR = "tumour"
    CFDNA = "cfdna"
    CHIP = "chip"
    CYTOF = "cytof"


class Sex(StrEnum):
    """Sex as the sheet gives it; it decides X-linked thresholds."""

    FEMALE = "F"
    MALE = "M"


class Role(StrEnum):
    """What a sample is there for: a patient's result, or to judge the run it was sequenced in.

    A negative control holds no DNA, or DNA without rearrangements; a polyclonal one the B cells
    of a healthy person or of several.
    """

    PATIENT = "patient"
    NEGATIVE = "negative_control"
    POLYCLONAL = "polyclonal_control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row of the sample sheet: one sample of one assay.

    ``cells`` counts nucleated cells put into the assay, ``dna_ng`` nanograms of DNA.
    ``files`` are mates or tubes, in order; ``sha256`` holds what the sheet states of
    them (empty text where it states nothing). Of a control ``patient_id`` is its own name;
    it has no result.
    """

    study_id: str
    patient_id: str
    timepoint: str
    collected_on: date
    material: Material
    assay: Assay
    panel: str = ""
    files: tuple[Path, ...]
    sha256: tuple[str, ...] = ()
    run_id: str = ""
    cells: int | None = None
    dna_ng: float | None = None
    spike_ins: Path | None = None
    sex: Sex | None = None
    role: Role = Role.PATIENT
    line: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("study_id", "patient_id", "timepoint"):
            if not is_identifier(getattr(self, name)):
                raise ValueError(f"{name} is not an identifier of 1 to 32 letters, digits, '-' or '_'")
        if not self.files:
            raise ValueError("a sample needs at least one file")
        if self.cells is not None and self.cells < 1:
            raise ValueError("cells must be at least 1")

    @property
    def is_control(self) -> bool:
        """Whether it judges a run and is no patient's."""
        return self.role is not Role.PATIENT

    @property
    def method(self) -> str:
        """Name under which this measurement is compared: ``assay`` or ``assay:panel``."""
        return f"{self.assay}:{self.panel}" if self.panel else str(self.assay)


def is_identifier(text: str) -> bool:
    """Whether ``text`` may stand as a pseudonym or code.

    >>> is_identifier("NDR-007"), is_identifier("../x"), is_identifier("")
    (True, False, False)
    """
    return _IDENTIFIER.fullmatch(text) is not None


def looks_personal(text: str) -> str | None:
    """What about ``text`` looks like a person, or None.

    A birth date, a national or insurance number, or a pair of names. It cannot
    recognise every one; it is a net, not a proof.

    >>> looks_personal("Yamada_Taro"), looks_personal("19540312"), looks_personal("NDR-007")
    ('a pair of names', 'a date', None)
    """
    if any(p.search(text) for p in (_DATE_ISO, _DATE_EUROPEAN, _DATE_AMERICAN)):
        return "a date"
    if _DIGIT_RUN.search(text) or _GROUPED_DIGITS.search(text):
        return "a national or insurance number"
    if _NAME_PAIR.search(text):
        return "a pair of names"
    return None
