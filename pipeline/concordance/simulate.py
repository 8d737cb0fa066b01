"""A trial measured by several assays, with its truth: pairs to try a comparison on.

Patients differ, fall with treatment from visit to visit, and each sample's true fraction is
known. An assay examines its own number of cells of the sample, each drawn at random
(Poisson), with a factor of its own per sample (log-normal error) and a constant bias.
Not modelled: haemodilution shared by the assays of one sample, clones that lose their
marker, failed samples other than at random, relapse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.concordance.pairs import Results
from pipeline.concordance.series import Floats
from pipeline.detection import mean_count_for_detection

__all__ = ["TRIAL_ASSAYS", "TRIAL_VISITS", "SimulatedAssay", "SimulatedTrial", "simulate_trial"]

TRIAL_VISITS: tuple[tuple[str, float], ...] = (
    ("IND", -3.6),
    ("ASCT", -4.4),
    ("CONS", -4.9),
    ("MNT1Y", -5.2),
    ("MNT2Y", -5.3),
)
"""Visits and mean log10 fractions at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAssay:
    """An assay: the median of examined cells and their spread, its decision count, error and bias.

    ``cells_log10_sd`` is that of the number of examined cells over samples, ``error_log10_sd`` that of
    values about the truth; ``not_evaluable`` is the share of samples that fail.
    """

    name: str
    cells: float
    cells_log10_sd: float
    decision_count: int
    error_log10_sd: float = 0.0
    bias_log10: float = 0.0
    not_evaluable: float = 0.0


TRIAL_ASSAYS: tuple[SimulatedAssay, ...] = (
    SimulatedAssay(
        name="flow:euroflow", cells=6e6, cells_log10_sd=0.2, decision_count=20, error_log10_sd=0.15,
        not_evaluable=0.02,
    ),
    SimulatedAssay(
        name="flow:srl", cells=3e6, cells_log10_sd=0.2, decision_count=20, error_log10_sd=0.15,
        bias_log10=-0.05, not_evaluable=0.02,
    ),
    SimulatedAssay(
        name="ngs", cells=1.5e6, cells_log10_sd=0.25, decision_count=1, error_log10_sd=0.2,
        bias_log10=0.1, not_evaluable=0.05,
    ),
)  # fmt: skip
"""EuroFlow, a single tube with fewer cells, and sequencing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTrial:
    """Samples by patient and visit, the true log10 fraction of each, and every assay's results."""

    patients: tuple[str, ...]
    visits: tuple[str, ...]
    true_log10: Floats
    results: dict[str, Results]


def simulate_trial(
    rng: np.random.Generator,
    *,
    patients: int = 172,
    assays: Sequence[SimulatedAssay] = TRIAL_ASSAYS,
    visits: Sequence[tuple[str, float]] = TRIAL_VISITS,
    between_sd: float = 0.8,
    within_sd: float = 0.4,
) -> SimulatedTrial:
    """Draw a trial.

    Parameters
    ----------
    rng
        The only source of randomness.
    patients
        How many; each is measured at every visit.
    assays, visits
        What measures, and when.
    between_sd, within_sd
        Standard deviations of log10 fractions between patients, and within one about the visit's mean.

    Returns
    -------
    SimulatedTrial
        One entry per patient and visit, by patient.
    """
    means = np.array([mean for _, mean in visits])
    levels = (
        rng.normal(0, between_sd, patients)[:, None]
        + means
        + rng.normal(0, within_sd, (patients, len(means)))
    )
    true = np.minimum(levels.ravel(), -0.5)
    return SimulatedTrial(
        patients=tuple(f"P{p + 1:04d}" for p in range(patients) for _ in visits),
        visits=tuple(code for _ in range(patients) for code, _ in visits),
        true_log10=true,
        results={assay.name: _measure(true, assay, rng) for assay in assays},
    )


def _measure(true_log10: Floats, assay: SimulatedAssay, rng: np.random.Generator) -> Results:
    size = len(true_log10)
    cells = np.round(10 ** (np.log10(assay.cells) + rng.normal(0, assay.cells_log10_sd, size)))
    shown = true_log10 + assay.bias_log10 + rng.normal(0, assay.error_log10_sd, size)
    counts = rng.poisson(cells * np.minimum(10**shown, 1.0)).astype(np.float64)
    evaluable = rng.random(size) >= assay.not_evaluable
    detected = evaluable & (counts >= assay.decision_count)
    return Results(
        evaluable=evaluable,
        detected=detected,
        value=np.where(detected, counts / cells, 0.0),
        lod=mean_count_for_detection(assay.decision_count) / cells,
        numerator=counts,
        denominator=cells,
        reason=tuple("" if e else "not_evaluable_result" for e in evaluable),
    )
