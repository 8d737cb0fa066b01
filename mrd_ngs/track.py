"""One marker in one library: its reads, what could be mistaken for them, its templates.

Only reads with the whole window unchanged count. Widening the match would count other
B cells' sequences; instead the share of reads that errors take away is cancelled by the
spike-ins, which are counted in windows of the same length.
"""

import math
from dataclasses import dataclass

from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.drift import Neighbourhood
from mrd_ngs.evidence import Library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import Calibration, calibrate
from mrd_ngs.window import WindowCount, count_window
from pipeline.detection import Interval, decision_count_above_background, garwood
from pipeline.detection.tails import student_t_quantile
from pipeline.model import Marker

__all__ = [
    "LOQ_RELATIVE_ERROR",
    "Track",
    "quantifiable_templates",
    "quasi_poisson_interval",
    "template_interval",
    "track_marker",
]

LOQ_RELATIVE_ERROR = 0.70
"""Relative total (root mean square) error at the limit of quantification: clonoSEQ technical
text; github.com/AdaptiveCompBio/EOS 945bbd6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What a library says of one marker, before cells enter.

    ``window`` counts reads with the marker's window exact and beside it with one and two
    mismatches (evidence, never added). ``background_reads`` is what errors in those
    neighbours are expected to turn into exact reads, with ``hopped_reads`` of other
    samples and ``shared_templates`` of unrelated cells that have the same window;
    ``decision_reads`` the smallest number of reads called the clone.
    ``calibration`` is None without spike-in reads. ``neighbourhood`` sorts the near sequences
    into the clone's errors and variants (`mrd_ngs.drift`); None where nobody looked.
    ``counted`` is what all these counts are: reads, or molecules by their UMIs.
    """

    marker: Marker
    window: WindowCount
    background_reads: float
    decision_reads: int
    calibration: Calibration | None
    hopped_reads: float = 0.0
    shared_templates: float = 0.0
    neighbourhood: Neighbourhood | None = None
    counted: str = "reads"

    @property
    def templates(self) -> float | None:
        """Estimated clonal templates: reads over reads per template."""
        return None if self.calibration is None else self.window.exact / self.calibration.reads_per_template

    @property
    def is_called(self) -> bool:
        """Whether the reads reach the decision count."""
        return self.window.exact >= self.decision_reads

    @property
    def recovered_reads(self) -> int:
        """Reads of a called clone, those with errors in the window included; evidence, never counted.

        What is counted is the exact window, here and in the spike-ins. 0 for a clone not called.
        """
        if not self.is_called or self.neighbourhood is None:
            return self.window.exact if self.is_called else 0
        return self.window.exact + self.neighbourhood.own_error_reads

    @property
    def has_foreign_neighbours(self) -> bool:
        """Whether more reads lie at one mismatch than errors in the clone's own reads give.

        By three standard deviations, those of the error rate included: it rests on the
        spike-ins' own errors, of which a shallow library has few.
        """
        own, variance = 0.0, 1.0
        if self.calibration is not None:
            window_nt, rate = len(self.marker.sequence), self.calibration.error_rate
            own = _own_errors(self.window.exact, window_nt, rate)
            spike_in_errors = _own_errors(self.calibration.reads, window_nt, rate)
            variance = max(1.0, own + own**2 / spike_in_errors)
        return self.window.one_mismatch > own + 3 * math.sqrt(variance)


def track_marker(
    library: Library, marker: Marker, settings: NgsSettings, *, markers: int = 1, hopped_reads: float = 0.0
) -> Track:
    """Count one marker in one library.

    Parameters
    ----------
    library
        Any sample of the patient.
    marker
        A marker with its window.
    settings
        The smallest number of reads, and the accepted probability of background.
    markers
        How many markers are looked for in this library. Each may be mistaken for the
        clone, so each gets its share of the accepted probability.
    hopped_reads
        Reads of this marker expected from other samples of the run (`run_control`).

    Returns
    -------
    Track

    Notes
    -----
    A neighbour at one mismatch becomes the clone by one error at one base to one of three
    bases: probability e/3 a read; at two mismatches (e/3)^2. Neighbours at one mismatch that
    errors in the clone's own reads explain are left out, so that an abundant clone does
    not raise the count by which it is called. Unrelated cells with the very same window
    (``background_fraction`` of the marker, times the cells) come in whole templates: as
    many as chance allows are taken at their mean reads before reads are tested.
    """
    window = count_window(library.reads, marker.sequence.encode())
    calibration = calibrate(
        library.spike_in_reads,
        library.spike_ins,
        window_nt=len(marker.sequence),
        settings=settings,
        counted=library.counted,
    )
    error_rate = settings.error_rate_min if calibration is None else calibration.error_rate
    per_base = error_rate / 3
    own = _own_errors(window.exact, len(marker.sequence), error_rate)
    foreign = max(0.0, window.one_mismatch - own)
    background = foreign * per_base + window.two_mismatches * per_base**2 + hopped_reads
    alpha = settings.background_alpha / markers
    shared, shared_most = _shared_templates(library, marker, alpha / 2)
    per_template = 0.0 if calibration is None else calibration.reads_per_template
    return Track(
        marker=marker,
        window=window,
        background_reads=background + shared * per_template,
        decision_reads=decision_count_above_background(
            background + shared_most * per_template,
            minimum=settings.min_reads,
            alpha=alpha / 2 if shared_most else alpha,
        ),
        calibration=calibration,
        hopped_reads=hopped_reads,
        shared_templates=shared,
        counted=library.counted,
    )


def template_interval(reads: int, calibration: Calibration, *, confidence: float = 0.95) -> Interval:
    """Interval of the number of clonal templates expected in the sample.

    Quasi-Poisson: the estimated templates divided by their dispersion D are taken as a
    Poisson count, whose Garwood bounds are scaled back by D. Without a read the upper
    bound is exact instead: lambda P(a template is seen) = -ln(alpha/2). The error of the
    calibration is combined with it on the logarithmic scale, with Student's t because
    the dispersion is itself estimated from few spike-ins.

    Parameters
    ----------
    reads
        Reads of the clone, >= 0.
    calibration
        Of the same library, for a window of the same length.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Interval
        Bounds in templates.
    """
    return quasi_poisson_interval(
        reads / calibration.reads_per_template,
        dispersion=calibration.template_dispersion,
        seen=calibration.detection_efficiency(1),
        relative_error=calibration.relative_error,
        degrees_of_freedom=calibration.degrees_of_freedom,
        confidence=confidence,
    )


def quasi_poisson_interval(
    templates: float,
    *,
    dispersion: float,
    seen: float,
    relative_error: float,
    degrees_of_freedom: int,
    confidence: float = 0.95,
) -> Interval:
    """Interval of an expected number of templates, from an estimate and its dispersion.

    Parameters
    ----------
    templates
        Estimated templates, >= 0.
    dispersion
        Variance of the estimate relative to a Poisson count's, >= 1.
    seen
        Probability that one template gives any read, in (0, 1]; for no templates only.
    relative_error, degrees_of_freedom
        Of the calibration.
    confidence
        Two-sided coverage, in (0, 1).

    Returns
    -------
    Interval
        Bounds in templates, as `template_interval` describes them.
    """
    quantile = student_t_quantile(degrees_of_freedom, 1 - (1 - confidence) / 2)
    calibration_width = quantile * relative_error
    if not templates:
        # An unseen clone must not look surer than the dispersion of its reads allows.
        return Interval(0.0, garwood(0, confidence=confidence).high / seen * math.exp(calibration_width))
    low, high = (dispersion * bound for bound in garwood(templates / dispersion, confidence=confidence))
    return Interval(
        templates * math.exp(-_combined(low / templates, calibration_width)) if low > 0 else 0.0,
        templates * math.exp(_combined(high / templates, calibration_width)),
    )


def quantifiable_templates(dispersion: float, relative_error: float) -> float | None:
    """Fewest expected templates at which the relative total error is at most 70 %.

    With variance D lambda of the templates and relative error s of the calibration:
    sqrt(D / lambda + s^2) = 0.70, so lambda = D / (0.49 - s^2). The estimate is taken as
    unbiased. None where the calibration alone is worse.

    Examples
    --------
    >>> round(quantifiable_templates(1.1, 0.05), 2)
    2.26
    """
    room = LOQ_RELATIVE_ERROR**2 - relative_error**2
    return dispersion / room if room > 0 else None


def _shared_templates(library: Library, marker: Marker, alpha: float) -> tuple[float, int]:
    """Templates of unrelated cells with the marker's window: expected, and exceeded with ``alpha``."""
    cells = nucleated_cells(library.sample)
    if cells is None or not marker.background_fraction:
        return 0.0, 0
    expected = marker.background_fraction * cells.count
    return expected, decision_count_above_background(expected, minimum=1, alpha=alpha) - 1


def _own_errors(exact: int, window_nt: int, error_rate: float) -> float:
    """Expected reads at one mismatch that come from the template of ``exact`` unchanged reads."""
    return exact * window_nt * error_rate / (1 - error_rate)


def _combined(ratio: float, calibration_width: float) -> float:
    """Root of the sum of squares of two widths on the logarithmic scale."""
    return math.hypot(math.log(ratio), calibration_width)
