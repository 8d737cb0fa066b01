"""Several markers of one clone as one measurement: how much of it, and do they agree.

Every cell of the clone carries every marker, so the markers measure one and the same
fraction of cells. What they share is not learnt twice: they are looked for in the same
DNA, so a cell that was not drawn is missed by all of them, and they rest on the same
spike-ins. And they may part: a marker is lost by further mutation or with a subclone, and is
never gained, so where they disagree the highest is the nearest to the clone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import Calibration
from mrd_ngs.track import Track, quantifiable_templates, quasi_poisson_interval
from pipeline.detection import DETECTION_POWER, Interval, mean_count_for_detection
from pipeline.detection.tails import beta_lower, gamma_upper, poisson_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ClonalEstimate", "Observation", "disagreement", "estimate_clone", "lod_templates"]

_TEMPLATES_MAX = 100_000
_SEARCH_STEPS = 200  # halvings of a bracket of doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Reads of one marker, those that are background, and its calibration."""

    target_id: str
    reads: int
    background_reads: float
    calibration: Calibration

    @classmethod
    def of(cls, track: Track) -> "Observation":
        """What a track says, for a library with calibration.

        Raises
        ------
        ValueError
            If the library has no calibration.
        """
        if track.calibration is None:
            raise ValueError("markers cannot be combined without calibration")
        return cls(
            target_id=track.marker.target_id,
            reads=track.window.exact,
            background_reads=track.background_reads,
            calibration=track.calibration,
        )

    @property
    def templates(self) -> float:
        """Reads over reads per template."""
        return self.reads / self.calibration.reads_per_template


@dataclass(frozen=True, slots=True, kw_only=True)
class ClonalEstimate:
    """The clone's templates per marker in one library, by all markers together.

    ``interval`` bounds the expected number at 95 %. ``p_value`` is the probability of
    markers at least as far apart by chance, ``is_discordant`` whether it is below the
    accepted one. Discordant markers are not averaged: then ``templates`` and
    ``interval`` are those of ``basis`` alone, the marker with most templates.
    ``quantifiable_templates`` is the limit of quantification, None where it is out of reach.
    """

    templates: float
    interval: Interval
    p_value: float
    is_discordant: bool
    basis: tuple[str, ...]
    quantifiable_templates: float | None


def estimate_clone(observations: Sequence[Observation], settings: NgsSettings) -> ClonalEstimate:
    """Combine the markers of one library.

    Parameters
    ----------
    observations
        At least one marker, all of the same clone and library.
    settings
        ``marker_shared_sampling``, ``marker_amplification_sd`` and ``discordance_alpha``.

    Returns
    -------
    ClonalEstimate

    Raises
    ------
    ValueError
        Without observations.

    Notes
    -----
    A marker's estimated templates t_i have mean lambda and variance lambda D_i (D_i as in
    `Calibration.template_dispersion`). With a share p of the drawn DNA in the assay any
    two have covariance p lambda: a cell is drawn once, for all markers. The maximum of the joint
    (Gaussian quasi-) likelihood weighs t_i by 1 / (D_i - p), and its variance is lambda D with
    D = p + 1 / sum 1 / (D_i - p). D takes the place of D_i in the interval of one marker.
    The calibrations rest on the same spike-ins, so the largest of their errors enters, once.
    """
    if not observations:
        raise ValueError("no marker to combine")
    p_value = disagreement(observations, settings)
    discordant = p_value < settings.discordance_alpha
    used = [max(observations, key=lambda o: o.templates)] if discordant else list(observations)
    shared = settings.marker_shared_sampling
    weights = [1 / (o.calibration.template_dispersion - shared) for o in used]
    templates = math.fsum(w * o.templates for w, o in zip(weights, used, strict=True)) / math.fsum(weights)
    dispersion = shared + 1 / math.fsum(weights)
    surest = max(used, key=lambda o: o.calibration.relative_error).calibration
    efficiencies = [o.calibration.detection_efficiency(1) for o in used]
    return ClonalEstimate(
        templates=templates,
        interval=quasi_poisson_interval(
            templates,
            dispersion=dispersion,
            # Of one template, the share seen by any marker, as far as they share it.
            seen=_any_of(efficiencies, shared),
            relative_error=surest.relative_error,
            degrees_of_freedom=surest.degrees_of_freedom,
        ),
        p_value=p_value,
        is_discordant=discordant,
        basis=tuple(o.target_id for o in used),
        quantifiable_templates=quantifiable_templates(dispersion, surest.relative_error),
    )


def disagreement(observations: Sequence[Observation], settings: NgsSettings) -> float:
    """Probability that markers of one clone lie at least this far apart by chance.

    Likelihood-ratio test of one common number of templates against one for each marker, by
    quasi-Poisson deviance d(r, mu) = 2 (r ln(r/mu) - r + mu): the sum over markers of
    d_i / psi_i is taken as chi-square with one degree of freedom less than markers.
    The mean of marker i is mu_i = m_i lambda + b_i (b_i its background), and psi_i its variance over
    its mean, m_i + phi_i + m_i lambda s^2, where s is the spread of amplification
    between markers that spike-ins do not show. Sampling is taken as independent here: if the
    markers share it they lie closer, and the test errs on the side of agreement.

    Returns
    -------
    float
        1.0 for a single marker, or where none has a read.
    """
    if len(observations) < 2 or not any(o.reads for o in observations):
        return 1.0
    high = max(o.templates for o in observations)
    statistic = _least(lambda templates: _deviance(observations, templates, high, settings), high)
    return gamma_upper((len(observations) - 1) / 2, statistic / 2)


def lod_templates(markers: Sequence[tuple[Calibration, int]], settings: NgsSettings) -> float | None:
    """Expected templates at which at least one marker is called in 95 % of samples.

    Parameters
    ----------
    markers
        Of each marker, its calibration and the smallest number of reads called.
    settings
        ``marker_shared_sampling``, p.

    Returns
    -------
    float or None
        Expected templates per marker; None above 100,000.

    Notes
    -----
    Of the lambda/p clonal genomes drawn (Poisson), each marker's template reaches the
    assay with probability p, independently. The reads of j templates are negative
    binomial with mean j m and variance phi j m. With p = 1, all that was drawn is in the
    assay, and a second marker helps only where the first is missed. Background reads
    would add to the clone's; they are left out, on the safe side.

    Examples
    --------
    >>> fit = Calibration(reads_per_template=5.0, dispersion=1.0, relative_error=0.05,
    ...                   degrees_of_freedom=8, error_rate=0.001, reads=1800, copies=360.0, missing=())
    >>> [round(lod_templates([(fit, 2)] * n, NgsSettings()), 3) for n in (1, 2)]
    [3.117, 3.001]
    """
    # One marker's templates are Poisson whatever share of the drawn genomes reached the assay.
    shared = settings.marker_shared_sampling if len(markers) > 1 else 1.0
    misses = [_Misses(calibration, decision_reads) for calibration, decision_reads in markers]
    low, high = 0.0, mean_count_for_detection(1)
    while _power(misses, high, shared) < DETECTION_POWER:
        low, high = high, 2 * high
        if high > _TEMPLATES_MAX:
            return None
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if _power(misses, middle, shared) < DETECTION_POWER:
            low = middle
        else:
            high = middle
    return high


class _Misses:
    """Probabilities that so many templates in the assay leave a marker below its decision count."""

    def __init__(self, calibration: Calibration, decision_reads: int) -> None:
        self._calibration, self._decision_reads = calibration, decision_reads
        self._known = [1.0]

    def up_to(self, templates_max: int) -> "NDArray[np.float64]":
        """Shape (templates_max + 1,), of 0 templates and more."""
        import numpy as np

        self._known += [self._of(templates) for templates in range(len(self._known), templates_max + 1)]
        return np.array(self._known[: templates_max + 1])

    def _of(self, templates: int) -> float:
        mean, dispersion = templates * self._calibration.reads_per_template, self._calibration.dispersion
        if dispersion <= 1.0 + 1e-9:
            return gamma_upper(self._decision_reads, mean)
        return beta_lower(mean / (dispersion - 1.0), self._decision_reads, 1.0 / dispersion)


def _power(markers: Sequence[_Misses], templates: float, shared: float) -> float:
    """Probability that any marker is called at this number of expected templates."""
    import numpy as np

    drawn = templates / shared
    genomes = np.arange(poisson_quantile(drawn, 1 - 1e-9) + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(genomes[1:]))])
    missed = np.ones(len(genomes))
    reached = _reached(log_factorials, shared) if shared < 1 else None
    for marker in markers:
        missed *= (
            marker.up_to(len(genomes) - 1) if reached is None else reached @ marker.up_to(len(genomes) - 1)
        )
    probabilities = np.exp(genomes * math.log(drawn) - drawn - log_factorials)
    return float(1 - (probabilities * missed).sum())


def _reached(log_factorials: "NDArray[np.float64]", shared: float) -> "NDArray[np.float64]":
    """Binomial probability, shape (genomes, templates), that of so many genomes so many are in the assay."""
    import numpy as np

    genomes = np.arange(len(log_factorials))[:, np.newaxis]
    templates = np.arange(len(log_factorials))[np.newaxis]
    others = np.maximum(genomes - templates, 0)
    logarithms = log_factorials[genomes] - log_factorials[templates] - log_factorials[others]
    logarithms += templates * math.log(shared) + others * math.log1p(-shared)
    return np.where(templates <= genomes, np.exp(logarithms), 0.0)


def _any_of(efficiencies: Sequence[float], shared: float) -> float:
    return (1 - math.prod(1 - shared * efficiency for efficiency in efficiencies)) / shared


def _deviance(
    observations: Sequence[Observation], templates: float, scale: float, settings: NgsSettings
) -> float:
    total = 0.0
    spread = settings.marker_amplification_sd**2
    for o in observations:
        per_template = o.calibration.reads_per_template
        mean = per_template * templates + o.background_reads
        if not o.reads and not mean:
            continue
        if not mean:
            return math.inf
        deviance = 2 * ((o.reads * math.log(o.reads / mean) if o.reads else 0.0) - o.reads + mean)
        # The spread is fixed at the highest marker's level, so that the deviance stays convex.
        total += max(0.0, deviance) / (per_template * (1 + scale * spread) + o.calibration.dispersion)
    return total


def _least(function: Callable[[float], float], high: float) -> float:
    """Minimum of a convex function over [0, high], by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    low = 0.0
    for _ in range(_SEARCH_STEPS):
        one, other = high - ratio * (high - low), low + ratio * (high - low)
        if function(one) <= function(other):
            high = other
        else:
            low = one
    return function((low + high) / 2)
