"""Limits an assay was validated with: a laboratory's study, beside which each sample keeps its own limit."""

from dataclasses import dataclass

__all__ = ["ValidatedLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedLimits:
    """Limits of blank, detection and quantification of one method, fractions, and the study they come from.

    ``method`` is an assay, or assay:panel. They say what the assay can do at its nominal input; they are
    shown beside a sample's own limit of detection and never stand for it.

    Raises
    ------
    ValueError
        If they are not 0 <= lob <= lod <= loq < 1 with lod above 0, or no study is named.
    """

    method: str
    lob: float
    lod: float
    loq: float
    study: str

    def __post_init__(self) -> None:
        if not (0 <= self.lob <= self.lod <= self.loq < 1 and self.lod > 0):
            raise ValueError("limits are fractions with lob <= lod <= loq, lod above 0")
        if not self.study.strip():
            raise ValueError("study names the validation study")
