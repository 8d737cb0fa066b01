"""What the classifier of plasma cells takes and gives, as records."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ClassifiedSample",
    "ClassifiedTube",
    "ClassifierSettings",
    "Expectation",
    "PlasmaCellTable",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlasmaCellTable:
    """Plasma cells of one tube (1-based), float64 (n_cells, n_dimensions), as the gates give them."""

    tube: int
    dimensions: tuple[str, ...]
    cells: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSettings:
    """Choices of the classifier.

    ``posterior`` a called cell must have; ``deviation_p`` the median of the called cells
    may have at most and ``cohesion_p`` the last of them; ``least_evidence`` is the log
    evidence ratio a clone needs over all tubes together, ``known_evidence`` that of the
    clone known from diagnosis and ``further_evidence`` that of one beside another;
    ``decision_events`` the size at which a clone not found is held to be detectable.
    """

    posterior: float = 0.5
    deviation_p: float = 0.2
    cohesion_p: float = 0.05
    least_evidence: float = 10.0
    known_evidence: float = 4.0
    further_evidence: float = 25.0
    most_clones: int = 2
    decision_events: float = 20.0

    def __post_init__(self) -> None:
        for name in ("posterior", "deviation_p", "cohesion_p"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if (
            not 0 < self.known_evidence <= self.least_evidence <= self.further_evidence
            or self.most_clones < 1
            or not self.decision_events > 0
        ):
            raise ValueError("evidence, clones and decision events must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a clone of one phenotype with ``clone_events`` events in the gate would give, all tubes together.

    ``lob_events`` is the number of false events that 95 % of samples without disease
    stay at or below, were this phenotype looked for at this threshold.
    """

    phenotype: str
    clone_events: float
    recall: float
    precision: float
    false_events: float
    lob_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedTube:
    """One tube's cells, all arrays (n_cells,).

    ``deviation_p`` is the share of normal cells at least as far out; ``log_ratio`` the
    natural log likelihood ratio of clone to normal (of the likeliest template where no
    clone was found); ``cohesion`` cells seen over normal cells expected at or above that
    ratio, ``cohesion_p`` its Poisson tail; ``posterior`` the probability of being the
    clone's. ``cluster`` are the cells called without looking at light chains, for
    `mrd_flow.plasma_cells.clonality`; all False where the tube does not have both.
    ``kappa`` and ``lambda_`` say which chain a cell makes, where it makes one.
    ``shift_at_limit`` names markers that lie further from the reference than it may follow.
    """

    tube: int
    aberrant: Mask
    not_plasma_cell: Mask
    posterior: Floats
    deviation_p: Floats
    log_ratio: Floats
    cohesion: Floats
    cohesion_p: Floats
    cluster: Mask
    kappa: Mask
    lambda_: Mask
    shift_at_limit: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedSample:
    """The tubes of one sample and what was found in them together.

    ``evidence`` is the log evidence ratio of a clone against none, summed over tubes;
    ``origin`` diagnosis, archetype or empty; ``antigens`` pairs of marker and reduced,
    normal or increased against the sample's normal plasma cells. ``estimated_events`` is
    the number of the clone's events in the gate by the mixture, called or not, with its
    standard deviation (counting and misclassification together). ``expectations`` has
    the clone found, or each phenotype looked for at the decision size;
    ``expected_precision`` and ``expected_recall`` are the found clone's by the posteriors
    of this sample's cells, or the lowest of those looked for; ``expected_false_events``
    is the sum of 1 - posterior over called cells.
    """

    tubes: tuple[ClassifiedTube, ...]
    aberrant_events: int
    evidence: float
    origin: str
    archetype: str
    light_chain: str
    clusters: int
    antigens: tuple[tuple[str, str], ...]
    estimated_events: float
    estimated_events_sd: float
    expected_false_events: float
    expected_precision: float
    expected_recall: float
    expectations: tuple[Expectation, ...]
