"""A patient's samples on a flow cell with those of others: index, judge the run, then follow.

The three parts of `mrd_ngs.call.call_patient` for libraries of several patients sequenced
together: between indexing and following, the run is judged with every patient's markers,
and what it finds enters the results as reads not counted, as a flag, or as doubt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mrd_ngs.call import METHOD_VERSION, call_markers, call_patient, first_with_marker, library_order
from mrd_ngs.evidence import Library
from mrd_ngs.run_control import Finding, MarkerFinding, Role, hopped_reads, judge_run, tally
from mrd_ngs.settings import NgsSettings
from pipeline.errors import DamagedFile
from pipeline.formats.records import from_json, to_json
from pipeline.model import Marker, MrdResult, Reason, Sample, Status

__all__ = [
    "INDEXING_FAILED",
    "Indexed",
    "Judged",
    "follow_clone",
    "index_baselines",
    "judge_samples",
    "notes_of",
    "read_judged",
]

INDEXING_FAILED = "indexing failed"
"""Why a patient's markers are missing from a run's control where they need not be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """Candidates of a patient's baseline, and the ``input_sha256`` of the library they come from."""

    markers: tuple[Marker, ...]
    baseline_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What following a clone needs of one run's control.

    ``findings`` are those of one patient's samples; ``unknown_patients`` counts those whose
    markers could not be looked for because their indexing failed.
    """

    run_id: str
    findings: tuple[MarkerFinding, ...]
    unknown_patients: int


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
    """Judge a run; the document that `read_judged` reads.

    Parameters
    ----------
    libraries
        Of all patients of the run; each is let go before the next is taken.
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
        tallies.append(tally(library, Role.PATIENT, tracked, settings))
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
    names = {n["sample"]: f"{n['patient_id']} {n['timepoint']}" for n in document["sample_names"]}
    notes = [
        f"{run}, sample {names[verdict['sample']]}: {problem}"
        for verdict in document["samples"]
        for problem in verdict["problems"]
    ]
    notes += [
        f"{run}: samples {names[one]} and {names[other]} hold each other's clone: exchanged?"
        for one, other in document["swapped"]
    ]
    notes += [
        f"{run}: {sample['patient_id']} {sample['timepoint']} could not be read"
        for sample in document["samples_not_read"]
    ]
    notes += [
        f"{run}: the clone of {patient['patient_id']} is not known ({INDEXING_FAILED})"
        for patient in document["patients_without_marker"]
        if patient["why"] == INDEXING_FAILED
    ]
    return tuple(notes)


def read_judged(document: dict[str, Any], patient_id: str) -> Judged:
    """What one patient's samples need of a document of `judge_samples`.

    Raises
    ------
    DamagedFile
        If it is no such document.
    """
    try:
        findings = [f for f in document["findings"] if f["patient_id"] == patient_id]
        unknown = sum(u["why"] == INDEXING_FAILED for u in document["patients_without_marker"])
        return Judged(
            run_id=document["run_id"],
            findings=tuple(from_json(MarkerFinding, finding) for finding in findings),
            unknown_patients=unknown,
        )
    except (KeyError, TypeError) as error:
        raise DamagedFile(f"not a run's control ({error})") from error


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
        In the order of `mrd_ngs.call.call_patient`. A sample that another patient's clone
        dominates is neither positive nor negative: ``SUSPECTED_SWAP``.
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
    return tuple(_with_run(r, by_run[r.run_id]) if r.run_id in by_run else r for r in results)


def _with_run(result: MrdResult, run: Judged) -> MrdResult:
    """A result with what its run's control says of its sample; other patients are not named."""
    own = [f for f in run.findings if f.input_sha256 == result.input_sha256]
    foreign = [f for f in own if f.patient_id != f.marker_patient_id]
    swaps = [f for f in foreign if f.finding is Finding.SWAP]
    flags = [
        f"run control: {_reads(f)} of another patient's clone: exchanged sample suspected" for f in swaps
    ]
    flags += [
        f"run control: {_reads(f)} of another patient's clone, {f.hopped_reads:.1f} expected by hopping: "
        "contamination suspected"
        for f in foreign
        if f.finding is Finding.CONTAMINATION
    ]
    if run.unknown_patients:
        flags.append(
            f"run control incomplete: the clone of {run.unknown_patients} of the run's patients is not known"
        )
    if not flags:
        return result
    qc = "; ".join([*([] if result.qc == "pass" else [result.qc]), *flags])
    if not swaps or result.status is Status.NOT_EVALUABLE:
        return replace(result, qc=qc)
    return replace(result, qc=qc, status=Status.INDETERMINATE, reason=Reason.SUSPECTED_SWAP)


def _reads(finding: MarkerFinding) -> str:
    return f"{finding.reads:,} reads"


def _name(sample: Sample) -> dict[str, str]:
    return {
        "patient_id": sample.patient_id,
        "timepoint": sample.timepoint,
        "collected_on": sample.collected_on.isoformat(),
        "material": str(sample.material),
    }
