"""Something a reader of a sample must know beside its number."""

from dataclasses import dataclass
from datetime import date

from pipeline.model.sample import Assay, Material

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about one sample by one assay.

    ``topic`` groups sentences on a page (phenotype, clonality, hemodilution, override,
    flag …), ``code`` is stable and meant for machines, ``text`` for people.
    """

    patient_id: str
    timepoint: str
    collected_on: date
    material: Material
    assay: Assay
    panel: str
    topic: str
    code: str
    text: str
