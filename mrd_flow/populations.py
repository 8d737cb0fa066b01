"""Cells of a simulated marrow: how many of each kind, how large, how bright.

Every number here is an assumption of the simulator, chosen to look like a stained,
lysed marrow on a 2^18 scale, except the shares of normal plasma cells that carry CD19
(80 %), CD45 (78 %) and CD56 (6 %), which are those of Liu et al. (J Clin Pathol 2012);
how the three go together is again assumed.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["PHENOTYPES", "CellKinds", "cell_kinds", "spillover_matrix"]

# Median fluorescence of a stained cell before noise, in channels, and spread in ln units.
_LEVELS = {
    "-": (80.0, 0.60),
    "low": (300.0, 0.60),
    "dim": (1_200.0, 0.50),
    "dim+": (2_500.0, 0.70),
    "+": (7_000.0, 0.50),
    "het": (9_000.0, 0.70),
    "bright": (25_000.0, 0.45),
    "++": (70_000.0, 0.35),
}

# (FSC-A median, spread, SSC-A median, spread), spreads in ln units
_NEUTROPHIL = (110_000.0, 0.13, 110_000.0, 0.22)
_MONOCYTE = (118_000.0, 0.12, 58_000.0, 0.18)
_LYMPHOCYTE = (70_000.0, 0.11, 24_000.0, 0.20)
_ERYTHROID = (50_000.0, 0.18, 20_000.0, 0.25)
_EOSINOPHIL = (100_000.0, 0.10, 170_000.0, 0.12)
_PRECURSOR = (66_000.0, 0.12, 22_000.0, 0.20)
_PLASMA_CELL = (108_000.0, 0.15, 52_000.0, 0.25)
_DEBRIS = (11_000.0, 0.40, 9_000.0, 0.60)

# kind: share of nucleated cells without plasma cells, scatter, antigens that are not "-"
_BULK: tuple[tuple[str, float, tuple[float, float, float, float], dict[str, str]], ...] = (
    ("neutrophil", 0.575, _NEUTROPHIL, {"CD45": "+", "CD38": "low", "CD81": "low"}),
    ("monocyte", 0.060, _MONOCYTE, {"CD45": "bright", "CD38": "dim", "CD81": "dim", "CD56": "low"}),
    ("t_cell", 0.095, _LYMPHOCYTE, {"CD45": "++", "CD27": "+", "CD38": "low", "CD81": "dim+"}),
    ("t_cell", 0.030, _LYMPHOCYTE, {"CD45": "++", "CD38": "dim", "CD81": "dim+"}),
    ("nk_cell", 0.020, _LYMPHOCYTE, {"CD45": "++", "CD56": "bright", "CD38": "dim+", "CD81": "dim+"}),
    ("b_cell", 0.022, _LYMPHOCYTE, {"CD45": "++", "CD19": "+", "CD38": "low", "CD81": "+", "cyKappa": "dim"}),
    ("b_cell", 0.013, _LYMPHOCYTE, {"CD45": "++", "CD19": "+", "CD27": "+", "CD81": "+", "cyLambda": "dim"}),
    ("b_precursor", 0.015, _PRECURSOR, {"CD45": "dim+", "CD19": "+", "CD38": "bright", "CD81": "bright"}),
    ("myeloid_precursor", 0.015, _MONOCYTE, {"CD45": "dim+", "CD38": "dim+", "CD117": "+", "CD81": "dim"}),
    ("erythroid", 0.130, _ERYTHROID, {"CD45": "low", "CD81": "low"}),
    (
        "eosinophil",
        0.025,
        _EOSINOPHIL,
        # granules shine by themselves in every detector
        dict.fromkeys(("CD138", "CD27", "CD38", "CD56", "CD19", "CD117", "CD81"), "low")
        | {"CD45": "+", "cyKappa": "low", "cyLambda": "low"},
    ),
)

# Normal plasma cells by (CD19, CD45, CD56): marginals .80, .78, .06
_NORMAL: dict[tuple[str, str, str], float] = {
    ("+", "het", "-"): 0.690,
    ("+", "low", "-"): 0.095,
    ("+", "het", "dim+"): 0.010,
    ("+", "low", "dim+"): 0.005,
    ("-", "het", "-"): 0.060,
    ("-", "low", "-"): 0.095,
    ("-", "het", "dim+"): 0.020,
    ("-", "low", "dim+"): 0.025,
}
_NORMAL_CD27 = {"het": 0.96, "low": 0.04}
_NORMAL_CD81 = {"+": 0.98, "low": 0.02}
_NORMAL_LIGHT_CHAIN = {"cyKappa": 0.6, "cyLambda": 0.4}
_PLASMA_CELL_STAIN = {"CD38": "++", "CD138": "het"}

PHENOTYPES: dict[str, dict[str, str]] = {
    "classic": {"CD56": "bright", "CD45": "low", "CD27": "low", "CD81": "low", "CD117": "+"},
    "cd56_negative": {"CD45": "low", "CD27": "low", "CD81": "low"},
    "cd45_positive": {"CD56": "bright", "CD45": "het", "CD27": "low", "CD81": "low"},
    "cd27_positive": {"CD56": "bright", "CD45": "low", "CD27": "het", "CD81": "low"},
}
"""Antigens of a clone beside CD38, CD138 and one light chain; what is not named is negative."""

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
    row with share 0; ``scatter`` float32 (n_kinds, 4); ``median_ln`` and ``spread``
    float32 (n_kinds, n_markers), natural logarithm of channels.
    """

    names: tuple[str, ...]
    share: NDArray[np.float64]
    scatter: NDArray[np.float32]
    median_ln: NDArray[np.float32]
    spread: NDArray[np.float32]

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
) -> CellKinds:
    """The kinds of cells of one marrow.

    Parameters
    ----------
    markers
        Antigens in the order wanted.
    plasma_cell_fraction, aberrant_fraction
        Normal and aberrant plasma cells as fractions of nucleated cells.
    phenotype
        One of `PHENOTYPES`.
    light_chain
        ``cyKappa`` or ``cyLambda``, of the clone.

    Raises
    ------
    ValueError
        If the phenotype is not known or the fractions do not leave room for other cells.
    """
    if phenotype not in PHENOTYPES:
        raise ValueError(f"no such phenotype; there are {', '.join(PHENOTYPES)}")
    if min(plasma_cell_fraction, aberrant_fraction) < 0 or plasma_cell_fraction + aberrant_fraction >= 1:
        raise ValueError("the fractions of plasma cells must be at least 0 and together below 1")
    others = 1 - plasma_cell_fraction - aberrant_fraction
    kinds = [(n, others * s, scatter, stain) for n, s, scatter, stain in _BULK]
    kinds += [("normal_plasma_cell", plasma_cell_fraction * s, _PLASMA_CELL, d) for s, d in _normal()]
    clone = _PLASMA_CELL_STAIN | PHENOTYPES[phenotype] | {light_chain: "bright"}
    kinds += [("aberrant_plasma_cell", aberrant_fraction, _PLASMA_CELL, clone), ("debris", 0.0, _DEBRIS, {})]
    levels = [[_LEVELS[stain.get(m, "-")] for m in markers] for _, _, _, stain in kinds]
    share = np.array([s for _, s, _, _ in kinds])
    return CellKinds(
        names=tuple(n for n, _, _, _ in kinds),
        share=share / share.sum(),
        scatter=np.array([s for _, _, s, _ in kinds], np.float32),
        median_ln=np.log(np.array([[m for m, _ in row] for row in levels])).astype(np.float32),
        spread=np.array([[s for _, s in row] for row in levels], np.float32),
    )


def spillover_matrix(fluorochromes: tuple[str, ...]) -> NDArray[np.float64]:
    """Spillover S, float64 (n, n), row = fluorochrome, column = detector, diagonal 1."""
    return np.array(
        [[1.0 if a == b else _SPILLOVER.get((a, b), 0.002) for b in fluorochromes] for a in fluorochromes]
    )


def _normal() -> list[tuple[float, dict[str, str]]]:
    """Share and antigens of every sort of normal plasma cell."""
    sorts = []
    options = (_NORMAL.items(), _NORMAL_CD27.items(), _NORMAL_CD81.items(), _NORMAL_LIGHT_CHAIN.items())
    for ((cd19, cd45, cd56), s), (cd27, s27), (cd81, s81), (chain, s_chain) in product(*options):
        stain = {"CD19": cd19, "CD45": cd45, "CD56": cd56, "CD27": cd27, "CD81": cd81, chain: "bright"}
        sorts.append((s * s27 * s81 * s_chain, _PLASMA_CELL_STAIN | stain))
    return sorts
