"""Cells and events of a simulated mass cytometry run: kinds, shares, and counts per channel.

Every number is an assumption of the simulator, chosen to look like a marrow stained for
its microenvironment; none is published. Levels are ion counts of an instrument without
drift.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELLS", "EventKind", "Marrow", "RunModel", "after_daratumumab", "levels"]

# median counts and spread in ln units; the negatives are further thinned to zeros by the simulator
_NEGATIVE = (0.9, 0.9)
_LEVELS = {
    "-": _NEGATIVE,
    "low": (4.0, 0.70),
    "dim": (24.0, 0.55),
    "mid": (42.0, 0.50),
    "+": (110.0, 0.45),
    "++": (260.0, 0.45),
    "wide": (25.0, 1.10),
}

CELLS: dict[str, tuple[float, dict[str, str]]] = {
    "granulocyte": (0.35, {"CD45": "+", "CD66b": "++", "CD16": "++", "CD11c": "dim", "CD38": "low"}),
    "t_cd4": (0.14, {"CD45": "++", "CD3": "+", "CD4": "+", "CD38": "low"}),
    "t_cd8": (0.10, {"CD45": "++", "CD3": "+", "CD8": "++", "CD38": "low"}),
    "t_cd8_hladr": (0.04, {"CD45": "++", "CD3": "+", "CD8": "++", "HLA-DR": "mid", "CD38": "dim"}),
    "nk_cd16": (0.05, {"CD45": "++", "CD56": "mid", "CD16": "++", "CD8": "low", "CD38": "mid"}),
    "nk_cd16_negative": (0.01, {"CD45": "++", "CD56": "++", "CD38": "mid"}),
    "b_mature": (0.05, {"CD45": "++", "CD19": "mid", "CD20": "+", "HLA-DR": "+", "CD38": "low"}),
    "b_precursor": (0.04, {"CD45": "dim", "CD19": "mid", "HLA-DR": "+", "CD38": "+"}),
    "monocyte_classical": (
        0.10,
        {"CD45": "++", "CD14": "+", "CD11c": "+", "HLA-DR": "+", "CD4": "dim", "CD38": "dim"},
    ),
    "monocyte_intermediate": (
        0.015,
        {"CD45": "++", "CD14": "+", "CD16": "mid", "CD11c": "+", "HLA-DR": "++", "CD4": "dim", "CD38": "dim"},
    ),
    "monocyte_nonclassical": (
        0.015,
        {"CD45": "++", "CD14": "low", "CD16": "+", "CD11c": "+", "HLA-DR": "+", "CD4": "dim", "CD38": "low"},
    ),
    "dendritic": (0.01, {"CD45": "++", "CD11c": "+", "HLA-DR": "++", "CD4": "dim", "CD38": "dim"}),
    "plasma_cell": (0.03, {"CD45": "wide", "CD138": "+", "CD38": "++", "CD56": "wide"}),
    "other": (0.05, {"CD45": "low", "CD38": "low"}),
}
"""Kind of cell: its share of live single cells, and its antigens that are not ``-``."""


class EventKind(IntEnum):
    """What an event is."""

    CELL = 0
    DEAD = 1
    DOUBLET = 2
    DEBRIS = 3
    BEAD = 4
    BEAD_WITH_CELL = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunModel:
    """What a run is made of: events of each kind, as shares of all events, and the instrument.

    ``drift`` is the share of sensitivity lost from the run's begin to its end;
    ``poorly_coded`` the share of cells with a tenth of the barcode, ``dividing`` that of
    cells with half as much DNA again.
    """

    dead: float = 0.05
    doublets: float = 0.06
    debris: float = 0.06
    beads: float = 0.04
    beads_with_cell: float = 0.004
    drift: float = 0.3
    poorly_coded: float = 0.05
    dividing: float = 0.02
    events_per_second: float = 400.0

    @property
    def kinds(self) -> NDArray[np.float64]:
        """Shares in the order of `EventKind`."""
        others = [self.dead, self.doublets, self.debris, self.beads, self.beads_with_cell]
        return np.array([1 - sum(others), *others])


@dataclass(frozen=True, slots=True, kw_only=True)
class Marrow:
    """One sample: shares of live single cells, sum 1, and what multiplies the masking marker's counts."""

    shares: dict[str, float] = field(default_factory=lambda: {n: s for n, (s, _) in CELLS.items()})
    masked_to: float = 1.0

    def __post_init__(self) -> None:
        if set(self.shares) - set(CELLS) or min(self.shares.values()) < 0:
            raise ValueError("shares must be of known cells and not negative")
        if abs(sum(self.shares.values()) - 1) > 1e-9 or self.masked_to < 0:
            raise ValueError("shares must sum to 1, and masked_to must not be negative")


def after_daratumumab(marrow: Marrow, *, masked_to: float = 0.1) -> Marrow:
    """The marrow after an anti-CD38 antibody: few NK and plasma cells, more CD8 T cells, hidden CD38."""
    changes = {
        "nk_cd16": 0.25,
        "nk_cd16_negative": 0.5,
        "plasma_cell": 0.1,
        "t_cd8_hladr": 1.6,
        "b_precursor": 0.5,
    }
    shares = {name: share * changes.get(name, 1.0) for name, share in marrow.shares.items()}
    total = sum(shares.values())
    return Marrow(shares={n: s / total for n, s in shares.items()}, masked_to=masked_to)


def levels(markers: tuple[str, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Natural logarithm of median counts, spread, and whether negative; each (n_kinds, n_markers)."""
    named = [[stain.get(m, "-") for m in markers] for _, stain in CELLS.values()]
    medians = np.array([[_LEVELS[level][0] for level in row] for row in named])
    spreads = np.array([[_LEVELS[level][1] for level in row] for row in named])
    negative = np.array([[level == "-" for level in row] for row in named])
    return np.log(medians), spreads, negative
