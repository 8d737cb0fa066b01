"""A patient's samples on a flow cell with those of others: index, judge the run, then follow.

The three parts of `mrd_ngs.call.call_patient` for libraries of several patients sequenced
together: between indexing and following, the run is judged with every patient's markers,
and what it finds enters the results as reads not counted, as a flag, or as doubt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mrd_ngs.call import METHOD_VERSION, call_markers, call_patient, first_with_marker, library_order
from mrd_ngs.evidence import Library
from mrd_ngs.judged_run import INDEXING_FAILED, Judged, spelt, with_run
from mrd_ngs.run_control import hopped_reads, judge_run, tally
from mrd_ngs.settings import NgsSettings
from pipeline.formats.records import to_json
from pipeline.model import Marker, MrdResult, Role, Sample

__all__ = [
    "Indexed",
    "follow_clone",
    "index_baselines",
    "judge_samples",
    "notes_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """Candidates of a patient's baseline, and the ``input_sha256`` of the library they come from."""

    markers: tuple[Marker, ...]
    baseline_sha256: str


def index_baselines(baselines: Sequence[Library], settings: NgsSettings) -> Indexed:
    """Index a clone in the first baseline library that has one, marrow before other materials.

    Parameters
    ----------
    baselines
        One patient's libraries of the baseline time point, at least one.
    settings
        Run choices.

    Returns
    -------
    Indexed
        Of the first library in order where none has a clone to track.
    """
    library, markers = first_with_marker(baselines, settings)
    return Indexed(markers=markers, baseline_sha256=library.input_sha256)


def judge_samples(
    libraries: Iterable[Library],
    markers: Sequence[Marker],
    settings: NgsSettings,
    *,
    run_id: str,
    unknown: Sequence[tuple[str, str]] = (),
    unread: Sequence[Sample] = (),
) -> dict[str, Any]:
    """Judge a run; the document that `mrd_ngs.judged_run.read_judged` reads.

    Parameters
    ----------
    libraries
        Of all patients of the run, and its controls; each is let go before the next is taken.
    markers
        All candidates of these patients; those taken are looked for.
    settings
        Run choices.
    run_id
        Name of the run.
    unknown
        Patients without a tracked marker, and why.
    unread
        Samples of the run that could not be read; it may be filled while ``libraries`` are
        taken.

    Returns
    -------
    dict
        As `nadir ngs control` writes it, with the names of samples and what is missing.
    """
    tracked = [marker for marker in markers if marker.taken]
    tallies, names = [], []
    for library in libraries:
        tallies.append(tally(library, library.sample.role, tracked, settings))
        names.append({"sample": len(tallies), **_name(library.sample), "input_sha256": library.input_sha256})
    judged = judge_run(tallies, tracked, settings)
    return {
        "run_id": run_id,
        "method_version": METHOD_VERSION,
        "settings": to_json(settings),
        "sample_names": names,
        "samples_not_read": [_name(sample) for sample in unread],
        "patients_without_marker": [{"patient_id": patient, "why": why} for patient, why in unknown],
        **to_json(judged),
    }


def notes_of(document: dict[str, Any]) -> tuple[str, ...]:
    """What a document of `judge_samples` finds wrong with the run, in words; patients are named."""
    run = f"run {document['run_id']}"
    names = {n["sample"]: _in_words(n) for n in document["sample_names"]}
    notes = [
        f"{run}, sample {names[verdict['sample']]}: {problem}"
        for verdict in document["samples"]
        for problem in verdict["problems"]
    ]
    notes += [
        f"{run}: samples {names[one]} and {names[other]} hold each other's clone: exchanged?"
        for one, other in document["swapped"]
    ]
    notes += [f"{run}: {_in_words(sample)} could not be read" for sample in document["samples_not_read"]]
    notes += [
        f"{run}: the clone of {patient['patient_id']} is not known ({INDEXING_FAILED})"
        for patient in document["patients_without_marker"]
        if patient["why"] == INDEXING_FAILED
    ]
    return tuple(notes)


def follow_clone(
    libraries: Sequence[Library],
    indexed: Indexed | None,
    runs: Sequence[Judged],
    *,
    settings: NgsSettings,
    baseline: str,
) -> tuple[MrdResult, ...]:
    """Follow an indexed clone through all samples of a patient, with what their runs explain.

    Parameters
    ----------
    libraries
        Of one patient, in any order.
    indexed
        The clone; None where there is no baseline sample.
    runs
        The judged runs that hold some of them. A library in none of these is taken as
        sequenced without other patients.
    settings
        Run choices.
    baseline
        Code of the time point of diagnosis.

    Returns
    -------
    tuple of MrdResult
        In the order of `mrd_ngs.call.call_patient`, each with what its run's control says of it
        (`mrd_ngs.judged_run.with_run`).
    """
    ordered = sorted(libraries, key=library_order)
    by_run = {run.run_id: run for run in runs}
    if indexed is None:
        results = call_patient(ordered, settings=settings, baseline=baseline).results
    else:
        first = next((b for b in ordered if b.input_sha256 == indexed.baseline_sha256), None)
        hopped = hopped_reads(f for run in runs for f in run.findings)
        results = call_markers(
            ordered, indexed.markers, settings=settings, hopped=hopped, baseline=first
        ).results
    return tuple(with_run(r, by_run[r.run_id], settings) if r.run_id in by_run else r for r in results)


def _in_words(name: dict[str, Any]) -> str:
    """A sample of a run, for people who may know the patients."""
    is_patient = name["role"] == Role.PATIENT
    return f"{name['patient_id']} {name['timepoint'] if is_patient else spelt(Role(name['role']))}"


def _name(sample: Sample) -> dict[str, str]:
    return {
        "patient_id": sample.patient_id,
        "timepoint": sample.timepoint,
        "collected_on": sample.collected_on.isoformat(),
        "material": str(sample.material),
        "role": str(sample.role),
    }
