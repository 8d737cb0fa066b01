"""Evidence of a patient's libraries to results; opens no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mrd_ngs.denoise import substitution_rate
from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.drift import Baseline, Surroundings, look_around, surroundings
from mrd_ngs.evidence import Library
from mrd_ngs.joint import Observation, estimate_clone
from mrd_ngs.settings import NgsSettings
from mrd_ngs.statement import (
    NO_MEASUREMENT,
    Statement,
    disagreement_in_words,
    hopping_in_words,
    list_flags,
    state_clone,
    state_marker,
)
from mrd_ngs.track import Track, track_marker
from pipeline.model import WHOLE_CLONE, DenominatorUnit, Marker, Material, MrdResult, Reason, Status

__all__ = [
    "METHOD_VERSION",
    "NgsCalls",
    "call_markers",
    "call_patient",
    "first_with_marker",
    "library_order",
]

METHOD_VERSION = "mrd_ngs 0.1.0"

_NO_TARGET = "none"


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
    ordered = sorted(libraries, key=library_order)
    baselines = [library for library in ordered if library.sample.timepoint == baseline]
    if not baselines:
        results = tuple(_no_marker(library, Reason.NO_BASELINE) for library in ordered)
        return NgsCalls(results=results, markers=(), tracks=())
    first, markers = first_with_marker(baselines, settings)
    return call_markers(ordered, markers, settings=settings, baseline=first)


def call_markers(
    libraries: Sequence[Library],
    markers: Sequence[Marker],
    *,
    settings: NgsSettings,
    hopped: Mapping[tuple[str, str], float] | None = None,
    baseline: Library | None = None,
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
        the marker's ``target_id``, as `mrd_ngs.run_control` finds them. A library not named here
        was not judged with its run: hopping is then suspected from ``libraries`` of its run alone.
    baseline
        The library in which the markers were found. Near sequences are looked up there, and
        told from the clone's descendants by the bases beyond the window. Without it the clone's
        own reads in each library serve, where it is called.

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
    at_baseline = _at_baseline(taken, baseline, settings)
    found = [
        [
            _with_neighbours(
                track_marker(
                    library,
                    marker,
                    settings,
                    markers=len(taken),
                    hopped_reads=(hopped or {}).get((library.input_sha256, marker.target_id), 0.0),
                ),
                library,
                known,
                settings,
            )
            for marker, known in zip(taken, at_baseline, strict=True)
        ]
        for library in libraries
    ]
    judged = {input_sha256 for input_sha256, _ in hopped or ()}
    for library, tracks in zip(libraries, found, strict=True):
        if not taken:
            results.append(_no_marker(library, Reason.NO_TRACKABLE_CLONE))
            continue
        donors = [] if library.input_sha256 in judged else _donors(library, libraries, found)
        results.extend(_results(library, tracks, donors, settings))
    return NgsCalls(
        results=tuple(results), markers=tuple(markers), tracks=tuple(track for one in found for track in one)
    )


def _donors(library: Library, libraries: Sequence[Library], found: Sequence[Sequence[Track]]) -> list[int]:
    """Reads of each marker in the other libraries of the same run; none where the run is not stated."""
    run_id = library.sample.run_id
    beside = [
        tracks
        for other, tracks in zip(libraries, found, strict=True)
        if run_id and other is not library and other.sample.run_id == run_id
    ]
    return [sum(track.window.exact for track in same) for same in zip(*beside, strict=True)]


def library_order(library: Library) -> tuple[object, ...]:
    """Sort key of a patient's libraries: by date, time point, marrow first."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _AtBaseline:
    """What the baseline library says of one marker; nothing where there is none."""

    clone: Surroundings | None = None
    baseline: Baseline | None = None


def _at_baseline(
    taken: Sequence[Marker], baseline: Library | None, settings: NgsSettings
) -> list[_AtBaseline]:
    """What is compared with in every library, found once."""
    if baseline is None:
        return [_AtBaseline() for _ in taken]
    known = Baseline(reads=baseline.reads, error_rate=substitution_rate(baseline, settings))
    return [
        _AtBaseline(clone=surroundings(baseline.reads, marker.sequence.encode()), baseline=known)
        for marker in taken
    ]


def _with_neighbours(track: Track, library: Library, known: _AtBaseline, settings: NgsSettings) -> Track:
    """A track with the sequences near its marker sorted; none of them enters the result."""
    window = track.marker.sequence.encode()
    clone = known.clone
    if clone is None and track.is_called:
        clone = surroundings(library.reads, window)
    return replace(
        track,
        neighbourhood=look_around(
            library.reads,
            window,
            settings,
            calibration=track.calibration,
            clone=clone,
            baseline=known.baseline,
        ),
    )


def first_with_marker(
    baselines: Sequence[Library], settings: NgsSettings
) -> tuple[Library, tuple[Marker, ...]]:
    """The baseline library from which a patient's markers come, and its candidates.

    Parameters
    ----------
    baselines
        One patient's libraries of the baseline time point, at least one.
    settings
        Run choices.

    Returns
    -------
    library, markers
        Of the first library that has a clone to follow, marrow before other materials; of the
        first of all where none has.
    """
    from mrd_ngs.index_clone import index_markers  # and the marker rules, which a given marker does not need

    ranked = sorted(
        baselines, key=lambda b: (b.sample.material is not Material.BONE_MARROW, *library_order(b))
    )
    looked_at: list[tuple[Library, tuple[Marker, ...]]] = []
    for library in ranked:
        markers = index_markers(library, settings)
        if any(marker.taken for marker in markers):
            return library, markers
        looked_at.append((library, markers))
    return looked_at[0]


def _results(
    library: Library, tracks: Sequence[Track], donors: Sequence[int], settings: NgsSettings
) -> list[MrdResult]:
    """A row for each marker and, where there are several, one for the clone."""
    estimate = None
    if len(tracks) > 1 and all(track.calibration is not None for track in tracks):
        estimate = estimate_clone([Observation.of(track) for track in tracks], settings)
    disagreement = disagreement_in_words(tracks, estimate)
    hopping = [
        hopping_in_words(t, n, settings) for t, n in zip(tracks, donors or [0] * len(tracks), strict=True)
    ]
    flags = [
        list_flags(library, track, disagreement, hops) for track, hops in zip(tracks, hopping, strict=True)
    ]
    rows = [
        _row(
            library,
            track.marker.target_id,
            track.templates or 0.0,
            state_marker(library, track, own, settings),
        )
        for track, own in zip(tracks, flags, strict=True)
    ]
    if len(tracks) < 2:
        return rows
    highest = max(tracks, key=lambda track: track.templates or track.window.exact)
    statement = state_marker(
        library, highest, list(dict.fromkeys(flag for own in flags for flag in own)), settings
    )
    cells = nucleated_cells(library.sample)
    if estimate is None or cells is None or statement.reason in NO_MEASUREMENT:
        return [*rows, _row(library, WHOLE_CLONE, highest.templates or 0.0, statement)]
    together = state_clone(tracks, estimate, cells, statement, settings)
    return [*rows, _row(library, WHOLE_CLONE, estimate.templates, together)]


def _no_marker(library: Library, reason: Reason) -> MrdResult:
    why = (
        "there is no sample of the baseline time point"
        if reason is Reason.NO_BASELINE
        else "no rearrangement of the baseline met the marker rules"
    )
    basis = f"no limit: {why}, so nothing could be looked for"
    statement = Statement(status=Status.NOT_EVALUABLE, reason=reason, lod_basis=basis)
    return _row(library, _NO_TARGET, 0.0, statement)


def _row(library: Library, target_id: str, templates: float, statement: Statement) -> MrdResult:
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
