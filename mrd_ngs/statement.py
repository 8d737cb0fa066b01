"""What is said of a marker, or of all markers of a clone, in one library, and in which words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrd_ngs.denominator import Cells, nucleated_cells
from mrd_ngs.drift import Relation, Variant
from mrd_ngs.evidence import Library
from mrd_ngs.joint import ClonalEstimate, lod_templates
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import Calibration
from mrd_ngs.track import Track, quantifiable_templates, template_interval
from pipeline.detection import decision_count_above_background
from pipeline.model import Reason, Status

__all__ = [
    "NO_MEASUREMENT",
    "Statement",
    "disagreement_in_words",
    "drift_in_words",
    "hopping_in_words",
    "list_flags",
    "state_clone",
    "state_marker",
]

NO_MEASUREMENT = (
    Reason.SPIKE_INS_NOT_FOUND,
    Reason.CELLS_UNKNOWN,
    Reason.NO_CELLS,
    Reason.IMPLAUSIBLE_CALIBRATION,
)
"""Reasons for which neither a marker nor the clone has a value."""

_SHARED_TEMPLATES_TOLD = 0.05
"""Own choice: from one in twenty samples on, unrelated cells with the marker's window are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is said of one marker in one library; fractions of nucleated cells."""

    status: Status
    reason: Reason
    lod_basis: str
    flags: tuple[str, ...] = ()
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    lod: float | None = None
    loq: float | None = None


def state_marker(library: Library, track: Track, flags: Sequence[str], settings: NgsSettings) -> Statement:
    """What one marker says."""
    cells = nucleated_cells(library.sample)
    if track.calibration is None:
        return _uncounted(library, track, Reason.SPIKE_INS_NOT_FOUND, _without_spike_ins(library))
    if cells is None:
        return _uncounted(library, track, Reason.CELLS_UNKNOWN, "cells and DNA are not stated")
    if cells.count < 1:
        return _uncounted(library, track, Reason.NO_CELLS, f"no cells ({cells.basis})")
    return _measured(track, track.calibration, cells, flags, settings)


def state_clone(
    tracks: Sequence[Track],
    estimate: ClonalEstimate,
    cells: Cells,
    highest: Statement,
    settings: NgsSettings,
) -> Statement:
    """All markers together; ``highest`` is what the one with most templates says."""
    called = any(track.is_called for track in tracks)
    # Where markers contradict each other, no limit may lean on one that could be lost.
    used = [t for t in tracks if t.marker.target_id in estimate.basis]
    needed = lod_templates([(t.calibration, t.decision_reads) for t in used if t.calibration], settings)
    basis = _joint_lod_basis(cells, used)
    if needed is None or needed > cells.count:
        return Statement(
            status=Status.NOT_EVALUABLE,
            reason=Reason.TOO_FEW_CELLS,
            lod_basis=f"no limit within reach: {basis}",
            flags=highest.flags,
        )
    lod = needed / cells.count
    statement = Statement(
        status=Status.DETECTED if called else Status.NOT_DETECTED,
        reason=_joint_reason(tracks),
        value=estimate.templates / cells.count,
        ci_low=estimate.interval.low / cells.count,
        ci_high=min(1.0, estimate.interval.high / cells.count),
        lod=lod,
        loq=_loq(estimate.quantifiable_templates, cells, lod),
        lod_basis=basis,
        flags=highest.flags,
    )
    if not estimate.is_discordant:
        return statement
    status = Status.DETECTED if called else Status.INDETERMINATE
    return replace(statement, status=status, reason=Reason.DISCORDANT_MARKERS)


def _joint_reason(tracks: Sequence[Track]) -> Reason:
    reasons = {_reason(track) for track in tracks}
    order = (Reason.AT_OR_ABOVE_DECISION_COUNT, Reason.EXPLAINED_BY_BACKGROUND, Reason.BELOW_DECISION_COUNT)
    return next(reason for reason in order if reason in reasons)


def _joint_lod_basis(cells: Cells, tracks: Sequence[Track]) -> str:
    each = "; ".join(
        f"{track.marker.target_id}: {_sensitivity(track, track.calibration)}"
        for track in tracks
        if track.calibration is not None
    )
    return (
        f"1 of {len(tracks)} markers, 95 % power, {cells.count:,.0f} nucleated cells ({cells.basis}), {each}"
    )


def _measured(
    track: Track, calibration: Calibration, cells: Cells, flags: Sequence[str], settings: NgsSettings
) -> Statement:
    needed = lod_templates([(calibration, track.decision_reads)], settings)
    lod = None if needed is None or needed > cells.count else needed / cells.count
    basis = _lod_basis(cells, track, calibration)
    templates = track.window.exact / calibration.reads_per_template
    if templates > cells.count:
        return Statement(
            status=Status.INDETERMINATE,
            reason=Reason.IMPLAUSIBLE_CALIBRATION,
            lod=lod,
            lod_basis=basis,
            flags=("more clonal templates than cells", *flags),
        )
    if lod is None:
        return Statement(
            status=Status.NOT_EVALUABLE,
            reason=Reason.TOO_FEW_CELLS,
            lod_basis=f"no limit within reach: {basis}",
            flags=tuple(flags),
        )
    interval = template_interval(track.window.exact, calibration)
    return Statement(
        status=Status.DETECTED if track.is_called else Status.NOT_DETECTED,
        reason=_reason(track),
        value=templates / cells.count,
        ci_low=interval.low / cells.count,
        ci_high=min(1.0, interval.high / cells.count),
        lod=lod,
        loq=_loq(
            quantifiable_templates(calibration.template_dispersion, calibration.relative_error), cells, lod
        ),
        lod_basis=basis,
        flags=tuple(flags),
    )


def _uncounted(library: Library, track: Track, reason: Reason, why: str) -> Statement:
    """Reads were seen, or not, but cannot be turned into cells."""
    of = f"{library.input_reads:,}" + ("" if track.counted == "reads" else " reads")
    seen = f"{track.window.exact:,} clone {track.counted} of {of}, not turned into cells"
    return Statement(
        status=Status.NOT_EVALUABLE,
        reason=reason,
        lod_basis=f"no limit: {why}",
        flags=(seen,) if track.window.exact else (),
    )


def _reason(track: Track) -> Reason:
    if track.is_called:
        return Reason.AT_OR_ABOVE_DECISION_COUNT
    # Below a count that only the background raised, the reads are what look-alikes' errors
    # and other samples of the run make.
    raised = track.window.exact > 0 and track.background_reads >= 0.5 * track.window.exact
    return Reason.EXPLAINED_BY_BACKGROUND if raised else Reason.BELOW_DECISION_COUNT


def _lod_basis(cells: Cells, track: Track, calibration: Calibration) -> str:
    # Where one template rarely gives the reads that are asked for, it is they that are counted.
    one_is_enough = calibration.detection_efficiency(track.decision_reads) >= 0.5
    what = "1 template" if one_is_enough else f"{track.decision_reads} {track.counted}"
    return (
        f"{what}, 95 % power, {cells.count:,.0f} nucleated cells ({cells.basis}), "
        f"{_sensitivity(track, calibration)}"
    )


def _sensitivity(track: Track, calibration: Calibration) -> str:
    return (
        f"efficiency {calibration.detection_efficiency(track.decision_reads):.3f} "
        f"(at least {track.decision_reads} {track.counted} of {calibration.reads_per_template:.2f} "
        f"a template, dispersion {calibration.dispersion:.2f})"
    )


def _loq(templates: float | None, cells: Cells, lod: float) -> float | None:
    """A quantity below the limit of detection is not quantified, so the greater of the two."""
    if templates is None or templates > cells.count:
        return None
    return max(lod, templates / cells.count)


def list_flags(library: Library, track: Track, *others: str) -> list[str]:
    """What a reader of the result should know, with what is said of it elsewhere (empty: nothing)."""
    flags = []
    calibration = track.calibration
    if calibration is not None and calibration.missing:
        flags.append(f"{len(calibration.missing)} of {len(library.spike_ins)} spike-ins without a read")
    # Of molecules a template gives at most one, so that only reads say how deep a library is.
    if calibration is not None and calibration.reads_per_template < 1 and track.counted == "reads":
        flags.append(f"shallow: {calibration.reads_per_template:.2f} reads a template")
    if track.has_foreign_neighbours and not _are_all_subclones(track):
        flags.append(
            f"look-alikes not counted: {track.window.one_mismatch} reads at 1 mismatch, "
            f"{track.window.two_mismatches} at 2"
        )
    if track.shared_templates >= _SHARED_TEMPLATES_TOLD:
        flags.append(
            f"{track.marker.target_id}: {track.shared_templates:.2g} templates expected of unrelated cells "
            "with the same window"
        )
    if track.hopped_reads and track.window.exact:
        flags.append(
            f"{track.marker.target_id}: {track.hopped_reads:.1f} reads expected from other samples of the run"
        )
    return [*flags, *filter(None, (drift_in_words(track), *others))]


def drift_in_words(track: Track) -> str:
    """In words, which sequences near the marker may have descended from the clone; empty: none."""
    if track.neighbourhood is None or not track.neighbourhood.subclones:
        return ""
    found = track.neighbourhood.subclones
    target, several = track.marker.target_id, len(found) > 1
    distances = sorted({v.mismatches for v in found})
    distance = f"{distances[0]} to {distances[-1]}" if len(distances) > 1 else f"{distances[0]}"
    reads = sum(v.reads for v in found)
    noun = f"{len(found)} sequences, " if several else ""
    counted = f"{noun}{distance} mismatch{'' if distance == '1' else 'es'}, {reads:,} {track.counted}"
    known = _baseline_in_words(found)
    if not track.is_called:
        return (
            f"near {target} without the clone itself (not counted): {counted}, {known}, "
            "descendant or another cell's"
        )
    told = "" if all(v.relation is Relation.DESCENDANT for v in found) else ", or of other cells"
    share = 100 * reads / (reads + track.window.exact)
    return (
        f"possible subclone{'s' if several else ''} of {target} (not counted){told}: {counted}, "
        f"{share:.2g} % of the clone with {'them' if several else 'it'}, {known}"
    )


def _baseline_in_words(found: Sequence[Variant]) -> str:
    if found[0].in_baseline is None:
        return "baseline not known"
    present = sum(bool(v.in_baseline) for v in found)
    if present in (0, len(found)):
        return "present at baseline" if present else "not seen at baseline"
    return f"{present} of {len(found)} present at baseline"


def _are_all_subclones(track: Track) -> bool:
    """Whether every variant of a called clone may be the clone's, so that none is a look-alike."""
    variants = track.neighbourhood.variants if track.neighbourhood else ()
    return track.is_called and bool(variants) and all(v.relation is Relation.DESCENDANT for v in variants)


def hopping_in_words(track: Track, donor_reads: int, settings: NgsSettings) -> str:
    """In words, that a called marker could have hopped from other samples of its run.

    For runs that were not judged by `run_control`: nothing is taken from the result, but
    a reader must know that ``donor_reads`` of the same marker were on the flow cell.
    """
    hopped = settings.hop_rate_assumed * donor_reads
    explained = decision_count_above_background(
        hopped + track.background_reads, minimum=settings.min_reads, alpha=settings.background_alpha
    )
    if not track.is_called or track.hopped_reads or track.window.exact >= explained:
        return ""
    return (
        f"{track.marker.target_id}: {track.window.exact} reads could be hopping, {hopped:.0f} expected at "
        f"{100 * settings.hop_rate_assumed:g} % of {donor_reads:,} in the same run (see run control)"
    )


def disagreement_in_words(tracks: Sequence[Track], estimate: ClonalEstimate | None) -> str:
    """In words, how far apart markers are that should lie together."""
    if estimate is None or not estimate.is_discordant:
        return ""
    levels = ", ".join(f"{track.marker.target_id} {track.templates or 0.0:.3g}" for track in tracks)
    return f"markers disagree (templates {levels}; p {estimate.p_value:.1e}): one lost, or clonal evolution"


def _without_spike_ins(library: Library) -> str:
    if not library.spike_ins:
        return "no spike-ins are stated, so reads cannot be turned into templates"
    return f"none of {len(library.spike_ins)} spike-ins was found, so templates are unknown"
