"""Choices of mass cytometry in a batch."""

from dataclasses import dataclass

__all__ = ["CytofSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CytofSettings:
    """``compare_to_first``: whether later time points are held against the patient's first."""

    compare_to_first: bool = True
