"""Mass cytometry in a batch: one patient's samples, each time point against the first.

A template without barcodes takes one file per sample, and so does any where the
configuration says ``debarcoded``. A template with a barcode key names a patient's samples
``PATIENT_TIMEPOINT``; the run's files then stand in the rows of all of its samples, and
each patient takes those that are theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrd_flow.cytof.comparison import Difference
from mrd_flow.cytof.panel import CytofPanel, load_cytof_panel
from mrd_flow.cytof.read import read_run
from mrd_flow.cytof.run import CytofResult, analyse_run, compare_samples
from mrd_flow.cytof.settings import CytofSettings
from pipeline.errors import InputRefused
from pipeline.model import Finding, PopulationChange, PopulationShare, Sample

__all__ = ["PatientCounts", "count_patient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientCounts:
    """Populations of every sample of a patient, their changes, and what else is to be known."""

    populations: tuple[PopulationShare, ...]
    changes: tuple[PopulationChange, ...]
    findings: tuple[Finding, ...]


def count_patient(samples: Sequence[Sample], settings: CytofSettings) -> PatientCounts:
    """Count the populations of one patient's samples.

    Parameters
    ----------
    samples
        Of one patient; ``panel`` names a template of mass cytometry.
    settings
        The run's choices.

    Raises
    ------
    InputRefused
        If a template has barcodes and its key does not name a sample as ``PATIENT_TIMEPOINT``.
    UsageError, ConfigRefused, DamagedFile
        If a template or a file cannot be read.
    """
    populations: list[PopulationShare] = []
    changes: list[PopulationChange] = []
    findings: list[Finding] = []
    for name in sorted({s.panel for s in samples}):
        own = sorted((s for s in samples if s.panel == name), key=lambda s: (s.collected_on, s.timepoint))
        panel = load_cytof_panel(name)
        if settings.debarcoded:
            panel = panel.model_copy(update={"barcodes": None})
        counted = _counted(own, panel)
        for sample, (result, sample_name) in zip(own, counted, strict=True):
            populations += _shares(sample, panel, result, sample_name)
            findings += _findings(sample, panel, result)
        if settings.compare_to_first:
            for sample, later in list(zip(own, counted, strict=True))[1:]:
                if sample.timepoint == own[0].timepoint:
                    continue
                changes += _changes(own[0], counted[0], sample, later, panel)
    return PatientCounts(populations=tuple(populations), changes=tuple(changes), findings=tuple(findings))


def _counted(samples: Sequence[Sample], panel: CytofPanel) -> list[tuple[CytofResult, str]]:
    """The run that each sample is in, and the sample's name there; a run is read once."""
    if panel.barcodes is None:
        return [
            (analyse_run(read_run(s.files, panel), panel, samples=("sample",)), "sample") for s in samples
        ]
    runs: dict[tuple[str, ...], CytofResult] = {}
    found = []
    for sample in samples:
        name = f"{sample.patient_id}_{sample.timepoint}"
        if name not in panel.barcodes.key:
            raise InputRefused(
                f"the barcode key of template '{panel.name}' has no code for this sample",
                remedy="name it PATIENT_TIMEPOINT in [barcodes.key], or say debarcoded = true in [cytof]",
            )
        files = tuple(str(path) for path in sample.files)
        if files not in runs:
            runs[files] = analyse_run(read_run(sample.files, panel), panel)
        found.append((runs[files], name))
    return found


def _shares(sample: Sample, panel: CytofPanel, result: CytofResult, name: str) -> list[PopulationShare]:
    doubts = {d.population: d for d in result.doubts if d.sample == name}
    return [
        PopulationShare(
            patient_id=sample.patient_id,
            timepoint=sample.timepoint,
            collected_on=sample.collected_on,
            material=sample.material,
            assay=sample.assay,
            panel=panel.name,
            population=p.population,
            path=p.path,
            count=p.count,
            denominator=p.denominator,
            fraction=p.fraction,
            ci_low=p.ci_low,
            ci_high=p.ci_high,
            doubt_low=doubts[p.population].ci_low,
            doubt_high=doubts[p.population].ci_high,
        )
        for p in result.populations
        if p.sample == name
    ]


def _findings(sample: Sample, panel: CytofPanel, result: CytofResult) -> list[Finding]:
    return [
        Finding(
            patient_id=sample.patient_id,
            timepoint=sample.timepoint,
            collected_on=sample.collected_on,
            material=sample.material,
            assay=sample.assay,
            panel=panel.name,
            topic="flag",
            code=f.code,
            text=f.text,
        )
        for f in result.flags
    ]


def _changes(
    first: Sample,
    at_first: tuple[CytofResult, str],
    sample: Sample,
    later: tuple[CytofResult, str],
    panel: CytofPanel,
) -> list[PopulationChange]:
    """Every share of a later sample minus the first's; each may come from a run of its own."""
    (early, early_name), (late, late_name) = at_first, later
    pair = (first.timepoint, sample.timepoint)
    populations = [
        replace(p, sample=timepoint)
        for result, name, timepoint in ((early, early_name, pair[0]), (late, late_name, pair[1]))
        for p in result.populations
        if p.sample == name
    ]
    masking = [
        replace(m, sample=timepoint)
        for result, name, timepoint in ((early, early_name, pair[0]), (late, late_name, pair[1]))
        for m in result.masking
        if m.sample == name
    ]
    return [_change(first, sample, panel, d) for d in compare_samples(populations, masking, pair)]


def _change(first: Sample, sample: Sample, panel: CytofPanel, found: Difference) -> PopulationChange:
    return PopulationChange(
        patient_id=sample.patient_id,
        timepoint=sample.timepoint,
        first_timepoint=first.timepoint,
        material=sample.material,
        assay=sample.assay,
        panel=panel.name,
        population=found.population,
        path=found.path,
        measure=found.measure,
        first_fraction=found.first_fraction,
        fraction=found.second_fraction,
        difference=found.difference,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
    )
