"""Normal and aberrant plasma cells of a simulated patient: sorts, shares, brightness.

The shares of normal plasma cells that carry CD19 (80 %, range 52-97), CD45 (78 %,
41-100) and CD56 (6 %, 0-37) are those of Liu et al. (J Clin Pathol 2012); patients
scatter about them by a Dirichlet law whose concentration was chosen to give such ranges.
How the antigens go together, every brightness and every spread is an assumption of the
simulator, set so that clones overlap normal plasma cells (`mrd_flow.simulation.oracle` measures by
how much): no source states them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

__all__ = [
    "ANTIGENS",
    "NORMAL_SORTS",
    "PHENOTYPES",
    "Patient",
    "Stain",
    "average_patient",
    "clone_stain",
    "clone_variation_ln",
    "draw_patient",
    "normal_stains",
]

Stain = dict[str, tuple[float, float]]
"""Antigen to median brightness (channels) and spread (ln units); what is absent is negative."""

# Median fluorescence before noise, in channels, and spread between cells in ln units.
_NORMAL: dict[tuple[str, str], tuple[float, float]] = {
    ("CD38", "+"): (70_000.0, 0.35),
    ("CD138", "+"): (9_000.0, 0.65),
    ("CD19", "+"): (6_000.0, 0.65),
    ("CD45", "+"): (8_000.0, 0.80),
    ("CD45", "low"): (700.0, 0.70),
    ("CD56", "+"): (8_000.0, 0.80),
    ("CD27", "+"): (9_000.0, 0.70),
    ("CD27", "low"): (300.0, 0.60),
    ("CD81", "+"): (7_000.0, 0.55),
    ("CD81", "low"): (400.0, 0.60),
    ("CD117", "+"): (2_000.0, 0.70),
    ("cyKappa", "+"): (25_000.0, 0.45),
    ("cyLambda", "+"): (25_000.0, 0.45),
}

NORMAL_SORTS: dict[tuple[str, str, str], float] = {
    ("+", "+", "-"): 0.690,
    ("+", "low", "-"): 0.095,
    ("+", "+", "+"): 0.010,
    ("+", "low", "+"): 0.005,
    ("-", "+", "-"): 0.060,
    ("-", "low", "-"): 0.095,
    ("-", "+", "+"): 0.020,
    ("-", "low", "+"): 0.025,
}
"""(CD19, CD45, CD56) of normal plasma cells and their mean share: marginals .80, .78, .06."""

# Share of CD27-low cells by CD19 and CD56, of CD81-low and CD117+ cells by CD19; 60 % of normal
# plasma cells make kappa.
_CD27_LOW = {("+", "-"): 0.03, ("+", "+"): 0.05, ("-", "-"): 0.08, ("-", "+"): 0.20}
_CD81_LOW = {"+": 0.01, "-": 0.04}
_CD117 = {"+": 0.005, "-": 0.02}
_KAPPA_SHARE = 0.6

_CONCENTRATION = 12.0  # Dirichlet, of NORMAL_SORTS
_BRIGHTNESS_SPREAD_LN = 0.12  # between patients, per antigen, all plasma cells alike

_CLONE: Stain = {"CD38": (52_000.0, 0.38), "CD138": (12_000.0, 0.60)}
_LOW = (250.0, 0.60)
_CD56_BRIGHT = (20_000.0, 0.55)

PHENOTYPES: dict[str, Stain] = {
    "classic": {"CD56": _CD56_BRIGHT, "CD45": _LOW, "CD27": _LOW, "CD81": _LOW, "CD117": (7_000.0, 0.60)},
    "cd56_negative": {"CD45": _LOW, "CD27": _LOW, "CD81": _LOW},
    "cd45_positive": {"CD56": (10_000.0, 0.60), "CD45": (8_000.0, 0.80), "CD27": _LOW, "CD81": _LOW},
    "cd27_positive": {"CD56": _CD56_BRIGHT, "CD45": _LOW, "CD27": (7_000.0, 0.70), "CD81": _LOW},
    "cd19_positive": {"CD19": (4_000.0, 0.70), "CD56": _CD56_BRIGHT, "CD45": _LOW, "CD27": _LOW},
}
"""Archetypes of clones, beside CD38, CD138 and one light chain; what is not named is negative."""

# Spread of clones about their archetype, between patients, in ln units.
_CLONE_SPREAD_LN = {"CD38": 0.12, "CD138": 0.25, "cyKappa": 0.25, "cyLambda": 0.25}
_OTHER_CLONE_SPREAD_LN = 0.30
ANTIGENS = ("CD138", "CD27", "CD38", "CD56", "CD45", "CD19", "CD117", "CD81", "cyKappa", "cyLambda")
"""Antigens of the simulated panels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """How one patient's plasma cells differ from the average.

    ``normal_shares`` goes with `NORMAL_SORTS` and sums to 1; ``brightness_ln`` shifts an
    antigen on all plasma cells, ``clone_ln`` on the clone beside, where it is stained;
    both in ln units.
    """

    normal_shares: tuple[float, ...]
    brightness_ln: Mapping[str, float]
    clone_ln: Mapping[str, float]


def average_patient() -> Patient:
    """The patient with the mean shares and the archetype as clone.

    >>> round(sum(average_patient().normal_shares), 12)
    1.0
    """
    return Patient(normal_shares=tuple(NORMAL_SORTS.values()), brightness_ln={}, clone_ln={})


def draw_patient(rng: np.random.Generator) -> Patient:
    """A patient drawn around the average: shares by a Dirichlet law, brightness normal in ln units."""
    mean = np.array(tuple(NORMAL_SORTS.values()))
    shares = rng.dirichlet(_CONCENTRATION * mean)
    bright = _BRIGHTNESS_SPREAD_LN * rng.standard_normal(len(ANTIGENS))
    spread = np.array([_clone_spread(a) for a in ANTIGENS])
    clone = spread * rng.standard_normal(len(ANTIGENS))
    return Patient(
        normal_shares=tuple(float(s) for s in shares),
        brightness_ln=dict(zip(ANTIGENS, map(float, bright), strict=True)),
        clone_ln=dict(zip(ANTIGENS, map(float, clone), strict=True)),
    )


def normal_stains(patient: Patient) -> Iterator[tuple[float, Stain]]:
    """Share of normal plasma cells and antigens of every sort; the shares sum to 1."""
    for ((cd19, cd45, cd56), _), share in zip(NORMAL_SORTS.items(), patient.normal_shares, strict=True):
        options = (
            (("+", 1 - _CD27_LOW[cd19, cd56]), ("low", _CD27_LOW[cd19, cd56])),
            (("+", 1 - _CD81_LOW[cd19]), ("low", _CD81_LOW[cd19])),
            (("-", 1 - _CD117[cd19]), ("+", _CD117[cd19])),
            (("cyKappa", _KAPPA_SHARE), ("cyLambda", 1 - _KAPPA_SHARE)),
        )
        for (cd27, s27), (cd81, s81), (cd117, s117), (chain, s_chain) in product(*options):
            levels = {"CD38": "+", "CD138": "+", "CD19": cd19, "CD45": cd45, "CD56": cd56}
            levels |= {"CD27": cd27, "CD81": cd81, "CD117": cd117, chain: "+"}
            stain = {a: _NORMAL[a, level] for a, level in levels.items() if level != "-"}
            yield share * s27 * s81 * s117 * s_chain, _shifted(stain, patient.brightness_ln)


def clone_stain(phenotype: str, light_chain: str, patient: Patient) -> Stain:
    """Antigens of a patient's clone of one of `PHENOTYPES`; it makes ``cyKappa`` or ``cyLambda``."""
    stain = _CLONE | PHENOTYPES[phenotype] | {light_chain: _NORMAL[light_chain, "+"]}
    return _shifted(_shifted(stain, patient.brightness_ln), patient.clone_ln)


def clone_variation_ln(phenotype: str, light_chain: str) -> dict[str, float]:
    """Spread of each stained antigen's median between clones of a phenotype, in ln units."""
    stained = _CLONE | PHENOTYPES[phenotype] | {light_chain: _NORMAL[light_chain, "+"]}
    return {antigen: _clone_spread(antigen) for antigen in stained}


def _clone_spread(antigen: str) -> float:
    return _CLONE_SPREAD_LN.get(antigen, _OTHER_CLONE_SPREAD_LN)


def _shifted(stain: Stain, shift_ln: Mapping[str, float]) -> Stain:
    return {a: (median * float(np.exp(shift_ln.get(a, 0.0))), s) for a, (median, s) in stain.items()}
