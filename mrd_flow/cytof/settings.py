"""Choices of mass cytometry in a batch."""

from dataclasses import dataclass

__all__ = ["CytofSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CytofSettings:
    """Choices of a run.

    ``compare_to_first``: later time points are held against the patient's first.
    ``debarcoded``: every file holds one sample, whatever barcodes the template has.
    """

    compare_to_first: bool = True
    debarcoded: bool = False
