"""Cells of a simulated marrow: how many of each kind, how large, how bright.

Every number here is an assumption of the simulator, chosen to look like a stained, lysed
marrow on a 2^18 scale; the plasma cells are those of `mrd_flow.simulation.plasma_cell_model`. Cells
that live in the marrow only (precursors, nucleated red cells, mast cells, plasma cells)
thin out when blood is drawn along (``blood_share``); blood is taken to hold no clone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_flow.simulation.plasma_cell_model import (
    ANTIGENS,
    PHENOTYPES,
    Patient,
    Stain,
    average_patient,
    clone_stain,
    normal_stains,
)

__all__ = ["NEGATIVE", "PHENOTYPES", "CellKinds", "cell_kinds", "spillover_matrix"]

NEGATIVE = (80.0, 0.60)
"""Median (channels) and spread (ln units) of the light of a cell without the antigen."""

# Median fluorescence of a stained cell before noise, in channels, and spread in ln units.
_LEVELS = {
    "low": (300.0, 0.60),
    "dim": (1_200.0, 0.50),
    "dim+": (2_500.0, 0.70),
    "+": (7_000.0, 0.50),
    "bright": (25_000.0, 0.45),
    "++": (70_000.0, 0.35),
}

_Scatter = tuple[float, float, float, float]
_Kind = tuple[str, float, _Scatter, Stain]  # name, share, scatter, antigens
# FSC-A median, spread, SSC-A median, spread; spreads in ln units
_NEUTROPHIL = (110_000.0, 0.13, 110_000.0, 0.22)
_MONOCYTE = (118_000.0, 0.12, 58_000.0, 0.18)
_LYMPHOCYTE = (70_000.0, 0.11, 24_000.0, 0.20)
_ERYTHROID = (50_000.0, 0.18, 20_000.0, 0.25)
_EOSINOPHIL = (100_000.0, 0.10, 170_000.0, 0.12)
_PRECURSOR = (66_000.0, 0.12, 22_000.0, 0.20)
_MAST_CELL = (112_000.0, 0.16, 95_000.0, 0.25)
_PLASMA_CELL = (108_000.0, 0.15, 52_000.0, 0.25)
_DEBRIS = (11_000.0, 0.40, 9_000.0, 0.60)

# kind: share of nucleated cells without plasma cells in marrow and in blood, scatter, antigens
_BULK: tuple[tuple[str, float, float, _Scatter, dict[str, str]], ...] = (
    ("neutrophil", 0.5745, 0.605, _NEUTROPHIL, {"CD45": "+", "CD38": "low", "CD81": "low"}),
    ("monocyte", 0.060, 0.070, _MONOCYTE, {"CD45": "bright", "CD38": "dim", "CD81": "dim", "CD56": "low"}),
    ("t_cell", 0.095, 0.160, _LYMPHOCYTE, {"CD45": "++", "CD27": "+", "CD38": "low", "CD81": "dim+"}),
    ("t_cell", 0.030, 0.060, _LYMPHOCYTE, {"CD45": "++", "CD38": "dim", "CD81": "dim+"}),
    ("nk_cell", 0.020, 0.040, _LYMPHOCYTE, {"CD45": "++", "CD56": "bright", "CD38": "dim+", "CD81": "dim+"}),
    (
        "b_cell",
        0.022,
        0.022,
        _LYMPHOCYTE,
        {"CD45": "++", "CD19": "+", "CD38": "low", "CD81": "+", "cyKappa": "dim"},
    ),
    (
        "b_cell",
        0.013,
        0.013,
        _LYMPHOCYTE,
        {"CD45": "++", "CD19": "+", "CD27": "+", "CD81": "+", "cyLambda": "dim"},
    ),
    (
        "b_precursor",
        0.015,
        0.0,
        _PRECURSOR,
        {"CD45": "dim+", "CD19": "+", "CD38": "bright", "CD81": "bright"},
    ),
    (
        "myeloid_precursor",
        0.015,
        0.0,
        _MONOCYTE,
        {"CD45": "dim+", "CD38": "dim+", "CD117": "+", "CD81": "dim"},
    ),
    ("erythroid", 0.130, 0.0, _ERYTHROID, {"CD45": "low", "CD81": "low"}),
    ("mast_cell", 0.0005, 0.0, _MAST_CELL, {"CD45": "+", "CD117": "++", "CD38": "low", "CD81": "low"}),
    (
        "eosinophil",
        0.025,
        0.030,
        _EOSINOPHIL,
        # granules shine by themselves in every detector
        dict.fromkeys(("CD138", "CD27", "CD38", "CD56", "CD19", "CD117", "CD81"), "low")
        | {"CD45": "+", "cyKappa": "low", "cyLambda": "low"},
    ),
)

# Part of a cell's deviation from its kind's median that all its antigens share (large cells,
# well stained cells); the correlation of two antigens within a kind is its square.
_SHARED = 0.5

# Share of a fluorochrome's light seen by another's detector.
_SPILLOVER: dict[tuple[str, str], float] = {
    ("BV421", "BV510"): 0.090,
    ("BV510", "BV421"): 0.060,
    ("BV510", "FITC"): 0.030,
    ("FITC", "BV510"): 0.015,
    ("FITC", "PE"): 0.120,
    ("PE", "FITC"): 0.008,
    ("PE", "PerCP-Cy5.5"): 0.140,
    ("PE", "PE-Cy7"): 0.012,
    ("PerCP-Cy5.5", "PE-Cy7"): 0.110,
    ("PerCP-Cy5.5", "APC"): 0.015,
    ("PE-Cy7", "PE"): 0.015,
    ("PE-Cy7", "APC-C750"): 0.040,
    ("APC", "PerCP-Cy5.5"): 0.010,
    ("APC", "APC-C750"): 0.080,
    ("APC-C750", "APC"): 0.035,
    ("APC-C750", "PE-Cy7"): 0.020,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKinds:
    """Kinds of single cells, one row each.

    ``share`` float64 (n_kinds,) of nucleated cells, sum 1, then ``debris`` as the last
    row with share 0; ``scatter`` float32 (n_kinds, 4): FSC-A median and spread, SSC-A
    median and spread; ``median_ln`` and ``spread`` float32 (n_kinds, n_markers), natural
    logarithm of channels. The ln light of marker m is ``median_ln + spread *
    (shared * z + sqrt(1 - shared^2) * e_m)`` with one z a cell.
    """

    names: tuple[str, ...]
    share: NDArray[np.float64]
    scatter: NDArray[np.float32]
    median_ln: NDArray[np.float32]
    spread: NDArray[np.float32]
    shared: float = _SHARED

    def rows(self, name: str) -> NDArray[np.intp]:
        """Rows of one kind."""
        return np.flatnonzero(np.array(self.names) == name)


def cell_kinds(
    markers: tuple[str, ...],
    *,
    plasma_cell_fraction: float,
    aberrant_fraction: float,
    phenotype: str,
    light_chain: str = "cyKappa",
    patient: Patient | None = None,
    blood_share: float = 0.0,
    masking_log10: Mapping[str, float] | None = None,
) -> CellKinds:
    """The kinds of cells of one sample.

    Parameters
    ----------
    markers
        Antigens in the order wanted.
    plasma_cell_fraction, aberrant_fraction
        Normal and aberrant plasma cells as fractions of nucleated cells of the marrow
        before any blood was mixed in.
    phenotype
        One of `PHENOTYPES`.
    light_chain
        ``cyKappa`` or ``cyLambda``, of the clone.
    patient
        How the patient differs from the average (default: not at all).
    blood_share
        Share of the nucleated cells that came with blood, 0 <= share < 1.
    masking_log10
        Marker to the decades its light is weaker on every cell (CD38 hidden by a
        therapeutic antibody: 0.3-1.5), not below that of a negative cell.

    Raises
    ------
    ValueError
        If the phenotype or a masked marker is not known, or a fraction is out of range.
    """
    _check(plasma_cell_fraction, aberrant_fraction, phenotype, light_chain, blood_share)
    patient = patient or average_patient()
    marrow = 1 - blood_share
    others = 1 - plasma_cell_fraction - aberrant_fraction
    kinds: list[_Kind] = [
        (name, marrow * others * own + blood_share * blood, scatter, _stain(levels))
        for name, own, blood, scatter, levels in _BULK
    ]
    for share, stain in _merged(markers, patient):
        kinds.append(("normal_plasma_cell", marrow * plasma_cell_fraction * share, _PLASMA_CELL, stain))
    clone = clone_stain(phenotype, light_chain, patient)
    kinds.append(("aberrant_plasma_cell", marrow * aberrant_fraction, _PLASMA_CELL, clone))
    kinds.append(("debris", 0.0, _DEBRIS, {}))
    return _arranged(kinds, markers, masking_log10 or {})


def spillover_matrix(fluorochromes: tuple[str, ...]) -> NDArray[np.float64]:
    """Spillover S, float64 (n, n), row = fluorochrome, column = detector, diagonal 1."""
    return np.array(
        [[1.0 if a == b else _SPILLOVER.get((a, b), 0.002) for b in fluorochromes] for a in fluorochromes]
    )


def _check(plasma_cells: float, aberrant: float, phenotype: str, light_chain: str, blood: float) -> None:
    if phenotype not in PHENOTYPES:
        raise ValueError(f"no such phenotype; there are {', '.join(PHENOTYPES)}")
    if light_chain not in ("cyKappa", "cyLambda"):
        raise ValueError("the light chain must be cyKappa or cyLambda")
    if min(plasma_cells, aberrant) < 0 or plasma_cells + aberrant >= 1:
        raise ValueError("the fractions of plasma cells must be at least 0 and together below 1")
    if not 0 <= blood < 1:
        raise ValueError("the share of blood must be at least 0 and below 1")


def _stain(levels: Mapping[str, str]) -> Stain:
    return {antigen: _LEVELS[level] for antigen, level in levels.items()}


def _merged(markers: tuple[str, ...], patient: Patient) -> list[tuple[float, Stain]]:
    """Sorts of normal plasma cells that differ in an antigen this tube stains."""
    merged: dict[tuple[tuple[float, float], ...], tuple[float, Stain]] = {}
    for share, stain in normal_stains(patient):
        key = tuple(stain.get(m, NEGATIVE) for m in markers)
        merged[key] = (share + merged.get(key, (0.0, stain))[0], stain)
    return list(merged.values())


def _arranged(kinds: list[_Kind], markers: tuple[str, ...], masking: Mapping[str, float]) -> CellKinds:
    unknown = [m for m, decades in masking.items() if m not in ANTIGENS or decades < 0]
    if unknown:
        raise ValueError("a masked marker must be an antigen of the panels, its decades at least 0")
    share = np.array([s for _, s, _, _ in kinds])
    levels = np.array([[stain.get(m, NEGATIVE) for m in markers] for _, _, _, stain in kinds])
    median_ln = np.log(levels[:, :, 0])
    floor = np.log(NEGATIVE[0])
    hidden = np.log(10.0) * np.array([masking.get(m, 0.0) for m in markers])
    return CellKinds(
        names=tuple(n for n, _, _, _ in kinds),
        share=share / share.sum(),
        scatter=np.array([s for _, _, s, _ in kinds], np.float32),
        median_ln=np.maximum(median_ln - hidden, np.minimum(median_ln, floor)).astype(np.float32),
        spread=levels[:, :, 1].astype(np.float32),
    )
