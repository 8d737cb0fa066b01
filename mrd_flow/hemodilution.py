"""How much of a marrow aspirate is blood, from cells that live in marrow only.

Mast cells, B precursors and nucleated red cells are absent from blood. Where a share s
of the nucleated cells came from blood, each of them, and the myeloma too, is (1 - s) of
what the marrow held. The marrow's share is estimated from every population as its
fraction over that of undiluted marrows, and the median is taken, since a treatment may
deplete one of them. The references are configuration; no published cut-off is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from pipeline.detection import garwood

__all__ = ["DilutionRules", "DilutionVerdict", "Hemodilution", "MarrowCells", "assess_dilution", "undiluted"]

_FEWEST_EXPECTED = 20.0  # events of a population in an undiluted sample of this size: 20 and 0 differ


class DilutionVerdict(StrEnum):
    """Whether an aspirate is diluted by blood."""

    ADEQUATE = "adequate"
    SUSPECTED = "suspected"
    DILUTED = "diluted"
    NOT_ASSESSABLE = "not_assessable"


@dataclass(frozen=True, slots=True, kw_only=True)
class DilutionRules:
    """Below which share of marrow dilution is suspected, and below which it is said."""

    suspected_below: float = 0.8
    diluted_below: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.diluted_below <= self.suspected_below <= 1:
            raise ValueError("need 0 < diluted_below <= suspected_below <= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarrowCells:
    """One population of marrow cells: ``count`` of ``examined`` nucleated cells.

    ``reference`` is its fraction of nucleated cells in undiluted marrows, > 0.
    """

    gate: str
    count: int
    examined: int
    reference: float

    def __post_init__(self) -> None:
        if not 0 <= self.count <= self.examined or not 0 < self.reference < 1:
            raise ValueError("need 0 <= count <= examined and a reference between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hemodilution:
    """The verdict and what it rests on.

    ``marrow_share`` is the estimated share of nucleated cells that came from marrow, at
    most 1, with the 95 % limits that counting alone gives; None where not assessable.
    ``factor`` is what undoes the dilution: 1 / ``marrow_share``; None where no population
    was seen at all.
    """

    verdict: DilutionVerdict
    reason: str
    marrow_share: float | None
    share_low: float | None
    share_high: float | None
    factor: float | None
    populations: tuple[MarrowCells, ...]


def assess_dilution(
    populations: Sequence[MarrowCells], rules: DilutionRules, *, material: str = "bone_marrow"
) -> Hemodilution:
    """Judge one sample.

    Parameters
    ----------
    populations
        What the template's gates found; may be empty.
    rules
        The template's thresholds.
    material
        Only bone marrow is judged.

    Returns
    -------
    Hemodilution
        The verdict falls from adequate to diluted as populations fall; it is not
        assessable, with the reason, where nothing could be counted.

    Examples
    --------
    >>> seen = [MarrowCells(gate="mast_cells", count=40, examined=1_000_000, reference=1e-4)]
    >>> found = assess_dilution(seen, DilutionRules())
    >>> str(found.verdict), found.marrow_share, found.factor
    ('diluted', 0.4, 2.5)
    """
    enough = [p for p in populations if p.examined * p.reference >= _FEWEST_EXPECTED]
    reason = _not_assessable(populations, enough, material)
    if reason:
        return _unknown(reason, populations)
    ratios = [_ratios(p) for p in enough]
    low, share, high = (min(1.0, median(r[i] for r in ratios)) for i in range(3))
    used = ", ".join(f"{p.gate} {p.count / p.examined / p.reference:.2f}" for p in enough)
    return Hemodilution(
        verdict=_verdict(share, rules),
        reason=f"fraction over that of undiluted marrows: {used}",
        marrow_share=share,
        share_low=low,
        share_high=high,
        factor=1 / share if share else None,
        populations=tuple(populations),
    )


def undiluted(value: float, found: Hemodilution) -> float | None:
    """The fraction the undiluted marrow would have shown; None where that cannot be said.

    Offered beside the measured value, never in its place.
    """
    return None if found.factor is None else min(1.0, value * found.factor)


def _verdict(share: float, rules: DilutionRules) -> DilutionVerdict:
    if share < rules.diluted_below:
        return DilutionVerdict.DILUTED
    return DilutionVerdict.SUSPECTED if share < rules.suspected_below else DilutionVerdict.ADEQUATE


def _ratios(cells: MarrowCells) -> tuple[float, float, float]:
    expected = cells.examined * cells.reference
    around = garwood(cells.count)
    return around.low / expected, cells.count / expected, around.high / expected


def _not_assessable(populations: Sequence[MarrowCells], enough: Sequence[MarrowCells], material: str) -> str:
    if material != "bone_marrow":
        return f"the material is {material}, not bone marrow"
    if not populations:
        return "the template names no gate of marrow cells"
    if not enough:
        most = max(p.examined for p in populations)
        return (
            f"{most} nucleated cells are too few: fewer than {_FEWEST_EXPECTED:g} of each population expected"
        )
    return ""


def _unknown(reason: str, populations: Sequence[MarrowCells]) -> Hemodilution:
    return Hemodilution(
        verdict=DilutionVerdict.NOT_ASSESSABLE,
        reason=reason,
        marrow_share=None,
        share_low=None,
        share_high=None,
        factor=None,
        populations=tuple(populations),
    )
