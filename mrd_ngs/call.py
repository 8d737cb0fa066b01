"""Evidence of a patient's libraries to results; opens no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mrd_ngs.denominator import Cells, nucleated_cells
from mrd_ngs.evidence import Library, NgsSettings
from mrd_ngs.index_clone import index_markers
from mrd_ngs.joint import ClonalEstimate, Observation, estimate_clone, lod_templates
from mrd_ngs.spike_ins import Calibration
from mrd_ngs.track import Track, quantifiable_templates, template_interval, track_marker
from pipeline.model import DenominatorUnit, Marker, Material, MrdResult, Reason, Status

__all__ = ["CLONE", "METHOD_VERSION", "NgsCalls", "call_markers", "call_patient"]

METHOD_VERSION = "mrd_ngs 0.1.0"

CLONE = "clone"
"""``target_id`` of the result of all markers of a patient together."""

_NO_TARGET = "none"
_NO_MEASUREMENT = (
    Reason.SPIKE_INS_NOT_FOUND,
    Reason.CELLS_UNKNOWN,
    Reason.NO_CELLS,
    Reason.IMPLAUSIBLE_CALIBRATION,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NgsCalls:
    """All that is said of one patient by sequencing.

    ``results`` hold one row per library and tracked marker and, where there are several
    markers, one more for the clone; ``markers`` every candidate of the baseline, taken or
    not; ``tracks`` the reads behind each marker's result, in the order of ``results``.
    """

    results: tuple[MrdResult, ...]
    markers: tuple[Marker, ...]
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
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


def call_patient(libraries: Sequence[Library], *, settings: NgsSettings, baseline: str) -> NgsCalls:
    """Index the clone in the baseline sample and follow it through all samples.

    Parameters
    ----------
    libraries
        Of one patient, in any order.
    settings
        Run choices.
    baseline
        Code of the time point of diagnosis.

    Returns
    -------
    NgsCalls
        The baseline has results too. Where there are several baseline libraries the
        markers come from the first that has any, marrow before other materials.

    Raises
    ------
    ValueError
        If the libraries are of several patients.

    Notes
    -----
    Markers are reported side by side and, as one clone, by joint likelihood; nothing is
    summed over them.
    """
    if len({library.sample.patient_id for library in libraries}) > 1:
        raise ValueError("libraries of several patients")
    ordered = sorted(libraries, key=_order)
    baselines = [library for library in ordered if library.sample.timepoint == baseline]
    if not baselines:
        results = tuple(_no_marker(library, Reason.NO_BASELINE) for library in ordered)
        return NgsCalls(results=results, markers=(), tracks=())
    markers = _first_with_taken(baselines, settings)
    return call_markers(ordered, markers, settings=settings)


def call_markers(
    libraries: Sequence[Library],
    markers: Sequence[Marker],
    *,
    settings: NgsSettings,
    hopped: Mapping[tuple[str, str], float] | None = None,
) -> NgsCalls:
    """Follow given markers, those that are taken, through libraries.

    Parameters
    ----------
    libraries
        Samples to look into; results keep their order.
    markers
        Candidates as `call_patient` returns them.
    settings
        Run choices.
    hopped
        Reads expected from other samples of the run, by the library's ``input_sha256`` and
        the marker's ``target_id``, as `mrd_ngs.run_control` finds them; 0 where not given.

    Returns
    -------
    NgsCalls
        With the markers as given.

    Notes
    -----
    The clone is called where any of its markers is. Markers that contradict each other
    (``DISCORDANT_MARKERS``) leave it detected, at the level of the highest, but make a
    negative indeterminate: one that is lost says nothing of the clone.
    """
    taken = [marker for marker in markers if marker.taken]
    results: list[MrdResult] = []
    tracks: list[Track] = []
    for library in libraries:
        if not taken:
            results.append(_no_marker(library, Reason.NO_TRACKABLE_CLONE))
        found = [
            track_marker(
                library,
                marker,
                settings,
                markers=len(taken),
                hopped_reads=(hopped or {}).get((library.input_sha256, marker.target_id), 0.0),
            )
            for marker in taken
        ]
        results.extend(_results(library, found, settings))
        tracks.extend(found)
    return NgsCalls(results=tuple(results), markers=tuple(markers), tracks=tuple(tracks))


def _order(library: Library) -> tuple[object, ...]:
    sample = library.sample
    marrow_first = sample.material is not Material.BONE_MARROW
    return (
        sample.collected_on,
        sample.timepoint,
        marrow_first,
        sample.material,
        sample.panel,
        library.input_sha256,
    )


def _first_with_taken(baselines: Sequence[Library], settings: NgsSettings) -> tuple[Marker, ...]:
    ranked = sorted(baselines, key=lambda b: b.sample.material is not Material.BONE_MARROW)
    looked_at = [index_markers(ranked[0], settings)]
    for library in ranked[1:]:
        if any(marker.taken for marker in looked_at[-1]):
            break
        looked_at.append(index_markers(library, settings))
    return next((m for m in looked_at if any(marker.taken for marker in m)), looked_at[0])


def _results(library: Library, tracks: Sequence[Track], settings: NgsSettings) -> list[MrdResult]:
    """A row for each marker and, where there are several, one for the clone."""
    estimate = None
    if len(tracks) > 1 and all(track.calibration is not None for track in tracks):
        estimate = estimate_clone([Observation.of(track) for track in tracks], settings)
    disagreement = _disagreement(tracks, estimate)
    flags = [_flags(library, track, disagreement) for track in tracks]
    rows = [
        _row(
            library, track.marker.target_id, track.templates or 0.0, _statement(library, track, own, settings)
        )
        for track, own in zip(tracks, flags, strict=True)
    ]
    if len(tracks) < 2:
        return rows
    highest = max(tracks, key=lambda track: track.templates or track.window.exact)
    statement = _statement(
        library, highest, list(dict.fromkeys(flag for own in flags for flag in own)), settings
    )
    cells = nucleated_cells(library.sample)
    if estimate is None or cells is None or statement.reason in _NO_MEASUREMENT:
        return [*rows, _row(library, CLONE, highest.templates or 0.0, statement)]
    together = _measured_clone(tracks, estimate, cells, statement, settings)
    return [*rows, _row(library, CLONE, estimate.templates, together)]


def _statement(library: Library, track: Track, flags: Sequence[str], settings: NgsSettings) -> _Statement:
    cells = nucleated_cells(library.sample)
    if track.calibration is None:
        return _uncounted(library, track, Reason.SPIKE_INS_NOT_FOUND, _without_spike_ins(library))
    if cells is None:
        return _uncounted(library, track, Reason.CELLS_UNKNOWN, "cells and DNA are not stated")
    if cells.count < 1:
        return _uncounted(library, track, Reason.NO_CELLS, f"no cells ({cells.basis})")
    return _measured(track, track.calibration, cells, flags, settings)


def _measured_clone(
    tracks: Sequence[Track],
    estimate: ClonalEstimate,
    cells: Cells,
    highest: _Statement,
    settings: NgsSettings,
) -> _Statement:
    """All markers together; ``highest`` is what the one with most templates says."""
    called = any(track.is_called for track in tracks)
    # Where markers contradict each other, no limit may lean on one that could be lost.
    used = [t for t in tracks if t.marker.target_id in estimate.basis]
    needed = lod_templates([(t.calibration, t.decision_reads) for t in used if t.calibration], settings)
    basis = _joint_lod_basis(cells, used)
    if needed is None or needed > cells.count:
        return _Statement(
            status=Status.NOT_EVALUABLE,
            reason=Reason.TOO_FEW_CELLS,
            lod_basis=f"no limit within reach: {basis}",
            flags=highest.flags,
        )
    lod = needed / cells.count
    statement = _Statement(
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
        f"{track.marker.target_id}: {_sensitivity(track.decision_reads, track.calibration)}"
        for track in tracks
        if track.calibration is not None
    )
    return (
        f"1 of {len(tracks)} markers, 95 % power, {cells.count:,.0f} nucleated cells ({cells.basis}), {each}"
    )


def _measured(
    track: Track, calibration: Calibration, cells: Cells, flags: Sequence[str], settings: NgsSettings
) -> _Statement:
    needed = lod_templates([(calibration, track.decision_reads)], settings)
    lod = None if needed is None or needed > cells.count else needed / cells.count
    basis = _lod_basis(cells, track.decision_reads, calibration)
    templates = track.window.exact / calibration.reads_per_template
    if templates > cells.count:
        return _Statement(
            status=Status.INDETERMINATE,
            reason=Reason.IMPLAUSIBLE_CALIBRATION,
            lod=lod,
            lod_basis=basis,
            flags=("more clonal templates than cells", *flags),
        )
    if lod is None:
        return _Statement(
            status=Status.NOT_EVALUABLE,
            reason=Reason.TOO_FEW_CELLS,
            lod_basis=f"no limit within reach: {basis}",
            flags=tuple(flags),
        )
    interval = template_interval(track.window.exact, calibration)
    return _Statement(
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


def _uncounted(library: Library, track: Track, reason: Reason, why: str) -> _Statement:
    """Reads were seen, or not, but cannot be turned into cells."""
    seen = f"{track.window.exact:,} clone reads of {library.input_reads:,}, not turned into cells"
    return _Statement(
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


def _lod_basis(cells: Cells, decision_reads: int, calibration: Calibration) -> str:
    # Where one template rarely gives the reads that are asked for, it is they that are counted.
    one_is_enough = calibration.detection_efficiency(decision_reads) >= 0.5
    what = "1 template" if one_is_enough else f"{decision_reads} reads"
    return (
        f"{what}, 95 % power, {cells.count:,.0f} nucleated cells ({cells.basis}), "
        f"{_sensitivity(decision_reads, calibration)}"
    )


def _sensitivity(decision_reads: int, calibration: Calibration) -> str:
    return (
        f"efficiency {calibration.detection_efficiency(decision_reads):.3f} (at least {decision_reads} reads "
        f"of {calibration.reads_per_template:.2f} a template, dispersion {calibration.dispersion:.2f})"
    )


def _loq(templates: float | None, cells: Cells, lod: float) -> float | None:
    """A quantity below the limit of detection is not quantified, so the greater of the two."""
    if templates is None or templates > cells.count:
        return None
    return max(lod, templates / cells.count)


def _flags(library: Library, track: Track, disagreement: str) -> list[str]:
    flags = []
    calibration = track.calibration
    if calibration is not None and calibration.missing:
        flags.append(f"{len(calibration.missing)} of {len(library.spike_ins)} spike-ins without a read")
    if calibration is not None and calibration.reads_per_template < 1:
        flags.append(f"shallow: {calibration.reads_per_template:.2f} reads a template")
    if track.has_foreign_neighbours:
        flags.append(
            f"look-alikes not counted: {track.window.one_mismatch} reads at 1 mismatch, "
            f"{track.window.two_mismatches} at 2"
        )
    if track.hopped_reads and track.window.exact:
        flags.append(
            f"{track.marker.target_id}: {track.hopped_reads:.1f} reads expected from other samples of the run"
        )
    return [*flags, disagreement] if disagreement else flags


def _disagreement(tracks: Sequence[Track], estimate: ClonalEstimate | None) -> str:
    """In words, how far apart markers are that should lie together."""
    if estimate is None or not estimate.is_discordant:
        return ""
    levels = ", ".join(f"{track.marker.target_id} {track.templates or 0.0:.3g}" for track in tracks)
    return f"markers disagree (templates {levels}; p {estimate.p_value:.1e}): one lost, or clonal evolution"


def _without_spike_ins(library: Library) -> str:
    if not library.spike_ins:
        return "no spike-ins are stated, so reads cannot be turned into templates"
    return f"none of {len(library.spike_ins)} spike-ins was found, so templates are unknown"


def _no_marker(library: Library, reason: Reason) -> MrdResult:
    why = (
        "there is no sample of the baseline time point"
        if reason is Reason.NO_BASELINE
        else "no rearrangement of the baseline met the marker rules"
    )
    basis = f"no limit: {why}, so nothing could be looked for"
    statement = _Statement(status=Status.NOT_EVALUABLE, reason=reason, lod_basis=basis)
    return _row(library, _NO_TARGET, 0.0, statement)


def _row(library: Library, target_id: str, templates: float, statement: _Statement) -> MrdResult:
    sample = library.sample
    cells = nucleated_cells(sample)
    return MrdResult(
        study_id=sample.study_id,
        patient_id=sample.patient_id,
        timepoint=sample.timepoint,
        collected_on=sample.collected_on,
        material=sample.material,
        assay=sample.assay,
        panel=sample.panel,
        target_id=target_id,
        value=statement.value,
        ci_low=statement.ci_low,
        ci_high=statement.ci_high,
        numerator=templates,
        denominator=0.0 if cells is None else cells.count,
        denominator_unit=DenominatorUnit.NUCLEATED_CELLS,
        lod=statement.lod,
        loq=statement.loq,
        lod_basis=statement.lod_basis,
        status=statement.status,
        reason=statement.reason,
        qc="; ".join(statement.flags) or "pass",
        run_id=sample.run_id,
        input_sha256=library.input_sha256,
        method_version=METHOD_VERSION,
    )
