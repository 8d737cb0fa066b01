"""The step registry: what each assay does with one patient's samples.

A step is a function with declared packages (whose source code is part of its
fingerprint), a check of each input file, and references (configuration files whose
content is). Where samples of several patients share a run and can disturb each other, an
assay has three steps instead: index each patient, judge the run, then follow. Both
engines run a step only through `execute`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile, InputRefused, UsageError
from pipeline.model import (
    Assay,
    Finding,
    GateCount,
    Marker,
    MrdResult,
    PopulationChange,
    PopulationShare,
    Sample,
)
from pipeline.model.chip import ChipGene, ChipResult, ChipVariant

__all__ = ["RESULT_TABLES", "Phase", "RunSteps", "Step", "StepOutput", "step_for", "steps"]


class Phase(StrEnum):
    """Which part of an assay's work a task is."""

    WHOLE = "whole"
    INDEX = "index"
    RUN = "run"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """Everything a step says of one patient.

    A step between others says, in ``document``, what only its assay reads, and in ``notes``
    what is to be seen on the cohort's page.
    """

    mrd: tuple[MrdResult, ...] = ()
    markers: tuple[Marker, ...] = ()
    gates: tuple[GateCount, ...] = ()
    findings: tuple[Finding, ...] = ()
    populations: tuple[PopulationShare, ...] = ()
    population_changes: tuple[PopulationChange, ...] = ()
    chip: tuple[ChipResult, ...] = ()
    chip_variants: tuple[ChipVariant, ...] = ()
    chip_genes: tuple[ChipGene, ...] = ()
    document: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


# The result tables a step may fill: field of `StepOutput`, name of the file in results/, record.
RESULT_TABLES: dict[str, type] = {
    "mrd": MrdResult,
    "markers": Marker,
    "gates": GateCount,
    "findings": Finding,
    "populations": PopulationShare,
    "population_changes": PopulationChange,
    "chip": ChipResult,
    "chip_variants": ChipVariant,
    "chip_genes": ChipGene,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSteps:
    """An assay's work where several patients share a run, in three parts.

    ``index`` takes one patient's baseline samples and the settings. ``judge`` takes all
    samples of a run, the settings, the run's name, and by patient what indexing said: None
    where it failed; a patient without a baseline is not in it, nor is a control. ``follow`` takes all samples
    of one patient, the settings, the code of the baseline, what indexing said (None without a
    baseline), and what was said of the runs.
    """

    index: Callable[[Sequence[Sample], Any], StepOutput]
    judge: Callable[[Sequence[Sample], Any, str, Mapping[str, StepOutput | None]], StepOutput]
    follow: Callable[[Sequence[Sample], Any, str, StepOutput | None, Sequence[StepOutput]], StepOutput]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One assay's work on one patient.

    ``packages`` are import packages whose source enters the fingerprint, ``inspect``
    raises if a sample's files are damaged, ``references`` lists the configuration files
    a sample depends on, ``unverified`` names defaults among them that no published number
    confirms, ``run`` takes samples, the assay's settings and the code of the
    baseline time point. ``together`` is what it does instead where patients share a run.
    ``memory_mb`` is what one task asks a cluster for; after a kill it asks for twice as much.
    """

    assay: Assay
    packages: tuple[str, ...]
    inspect: Callable[[Sample], None]
    references: Callable[[Sequence[Sample], Any], tuple[Path, ...]]
    unverified: Callable[[Sequence[Sample], Any], tuple[str, ...]]
    run: Callable[[Sequence[Sample], Any, str], StepOutput]
    together: RunSteps | None = None
    memory_mb: int = 4096


def steps() -> tuple[Step, ...]:
    """The steps there are, in the order of `Assay`."""
    shared = ("pipeline.detection", "pipeline.formats", "pipeline.model")
    return (
        Step(
            assay=Assay.NGS,
            packages=("mrd_ngs", *shared),
            inspect=_inspect_ngs,
            references=_ngs_files,
            unverified=_unverified_ngs,
            run=_run_ngs,
            together=RunSteps(index=_index_ngs, judge=_judge_ngs, follow=_follow_ngs),
        ),
        Step(
            assay=Assay.FLOW,
            packages=("mrd_flow", *shared),
            inspect=_inspect_flow,
            references=_flow_files,
            unverified=_unverified_panels,
            run=_run_flow,
        ),
        Step(
            assay=Assay.CHIP,
            packages=("chip", "pipeline.variants", *shared),
            inspect=_inspect_chip,
            references=_chip_files,
            unverified=_unverified_chip,
            run=_run_chip,
        ),
        Step(
            assay=Assay.CYTOF,
            packages=("mrd_flow", *shared),
            inspect=_inspect_flow,
            references=_cytof_files,
            unverified=_unverified_cytof,
            run=_run_cytof,
        ),
    )


def step_for(assay: Assay) -> Step:
    """The step of an assay.

    Raises
    ------
    UsageError
        If nadir has no step for it yet.
    """
    for step in steps():
        if step.assay is assay:
            return step
    raise UsageError(f"assay '{assay}' cannot be run yet; there are: {', '.join(s.assay for s in steps())}")


def _ngs_files(samples: Sequence[Sample], settings: Any) -> tuple[Path, ...]:
    from mrd_ngs.germline import germline_files, germline_of
    from mrd_ngs.marker_rules import rules_of, rules_path

    rules_of(settings)  # refused here, before any work
    own: tuple[Path, ...] = ()
    if settings.germline:
        germline_of(settings)
        own = germline_files(Path(settings.germline))
    sheets = {s.spike_ins for s in samples if s.spike_ins is not None}
    return (rules_path(settings.marker_rules), *own, *sorted(sheets))


def _flow_files(samples: Sequence[Sample], settings: Any) -> tuple[Path, ...]:
    from mrd_flow.plasma_cells.classification import files_used

    used = [path for name in sorted({s.panel for s in samples}) for path in files_used(name, settings)]
    return tuple(dict.fromkeys(used))


def _unverified_ngs(samples: Sequence[Sample], settings: Any) -> tuple[str, ...]:  # noqa: ARG001
    from mrd_ngs.marker_rules import rules_of
    from mrd_ngs.settings import UNVERIFIED

    rules = rules_of(settings)
    named = tuple(f"marker rules {rules.name}: {rule}" for rule in rules.unverified)
    return (*UNVERIFIED, *named)


def _unverified_panels(samples: Sequence[Sample], settings: Any) -> tuple[str, ...]:  # noqa: ARG001
    from mrd_flow.panel.template import load_panel

    panels = [load_panel(name) for name in sorted({s.panel for s in samples})]
    return tuple(
        f"{panel.name} panel ({'; '.join(item.what for item in panel.unverified)})"
        for panel in panels
        if panel.unverified
    )


def _cytof_files(samples: Sequence[Sample], settings: Any) -> tuple[Path, ...]:  # noqa: ARG001
    from mrd_flow.cytof.panel import cytof_panel_path

    return tuple(cytof_panel_path(name) for name in sorted({s.panel for s in samples}))


def _unverified_cytof(samples: Sequence[Sample], settings: Any) -> tuple[str, ...]:  # noqa: ARG001
    from mrd_flow.cytof.panel import load_cytof_panel

    panels = [load_cytof_panel(name) for name in sorted({s.panel for s in samples})]
    return tuple(
        f"{panel.name} mass cytometry template ({'; '.join(item.what for item in panel.unverified)})"
        for panel in panels
        if panel.unverified
    )


def _inspect_ngs(sample: Sample) -> None:
    from mrd_ngs.controls import check_control
    from mrd_ngs.read import check_sample

    (check_control if sample.is_control else check_sample)(sample)


def _inspect_flow(sample: Sample) -> None:
    from mrd_flow.fcs.data_sets import read_data_sets

    for path in sample.files:
        if not any(data_set.events for data_set in read_data_sets(path)):
            raise DamagedFile("the file holds no events", path=path)


def _run_ngs(samples: Sequence[Sample], settings: Any, baseline: str) -> StepOutput:
    from mrd_ngs.base_quality import read_with_qualities
    from mrd_ngs.call import call_patient

    calls = call_patient(
        [read_with_qualities(s, settings) for s in samples], settings=settings, baseline=baseline
    )
    return StepOutput(mrd=calls.results, markers=calls.markers)


def _index_ngs(samples: Sequence[Sample], settings: Any) -> StepOutput:
    from mrd_ngs.read import read_library
    from mrd_ngs.shared_run import index_baselines

    found = index_baselines([read_library(s, settings) for s in samples], settings)
    return StepOutput(markers=found.markers, document={"baseline_sha256": found.baseline_sha256})


def _judge_ngs(
    samples: Sequence[Sample], settings: Any, run_id: str, indexed: Mapping[str, StepOutput | None]
) -> StepOutput:
    from mrd_ngs.controls import read_control
    from mrd_ngs.evidence import Library
    from mrd_ngs.judged_run import INDEXING_FAILED
    from mrd_ngs.read import read_library
    from mrd_ngs.shared_run import judge_samples, notes_of

    unread: list[Sample] = []

    def read() -> Iterator[Library]:
        for sample in samples:
            try:
                yield (read_control if sample.is_control else read_library)(sample, settings)
            except InputRefused:  # it stops its own patient, and is listed; not the run
                unread.append(sample)

    unknown = []
    for patient_id in sorted({s.patient_id for s in samples if not s.is_control}):
        found = indexed.get(patient_id)
        if patient_id not in indexed:
            unknown.append((patient_id, "no baseline sample"))
        elif found is None:
            unknown.append((patient_id, INDEXING_FAILED))
        elif not any(marker.taken for marker in found.markers):
            unknown.append((patient_id, "no trackable clone"))
    markers = [m for _, found in sorted(indexed.items()) if found is not None for m in found.markers]
    judged = judge_samples(read(), markers, settings, run_id=run_id, unknown=unknown, unread=unread)
    return StepOutput(document=judged, notes=notes_of(judged))


def _follow_ngs(
    samples: Sequence[Sample],
    settings: Any,
    baseline: str,
    indexed: StepOutput | None,
    runs: Sequence[StepOutput],
) -> StepOutput:
    from mrd_ngs.base_quality import read_with_qualities
    from mrd_ngs.judged_run import read_judged
    from mrd_ngs.shared_run import Indexed, follow_clone

    clone = None
    if indexed is not None:
        clone = Indexed(markers=indexed.markers, baseline_sha256=indexed.document["baseline_sha256"])
    results = follow_clone(
        [read_with_qualities(s, settings) for s in samples],
        clone,
        [read_judged(run.document, samples[0].patient_id) for run in runs],
        settings=settings,
        baseline=baseline,
    )
    return StepOutput(mrd=results, markers=() if clone is None else clone.markers)


def _run_flow(samples: Sequence[Sample], settings: Any, baseline: str) -> StepOutput:
    from mrd_flow.call import call_patient
    from mrd_flow.findings import findings_of
    from mrd_flow.read import read_patient
    from mrd_flow.revision import told_document

    evidence = read_patient(samples, settings, baseline=baseline)
    calls = call_patient(evidence, settings=settings, baseline=baseline)
    return StepOutput(
        mrd=calls.results,
        gates=calls.gates,
        findings=findings_of(evidence, calls),
        document=told_document(evidence, settings, baseline),
    )


def _inspect_chip(sample: Sample) -> None:
    from chip.read import check_sample

    check_sample(sample)


def _chip_files(samples: Sequence[Sample], settings: Any) -> tuple[Path, ...]:  # noqa: ARG001
    from chip.rules.rule_set import rule_set_files

    named = (settings.population, settings.reference, settings.genes, settings.targets, settings.background)
    return (*rule_set_files(settings.rules), *(Path(name) for name in named if name))


def _unverified_chip(samples: Sequence[Sample], settings: Any) -> tuple[str, ...]:  # noqa: ARG001
    from chip.settings import UNVERIFIED

    return UNVERIFIED


def _run_chip(samples: Sequence[Sample], settings: Any, baseline: str) -> StepOutput:  # noqa: ARG001
    from chip.call import call_patient
    from chip.read import read_patient
    from chip.rules.asked import rule_sets_asked

    evidence = read_patient(samples, settings)
    calls = call_patient(evidence, rule_sets_asked(settings.rules), settings)
    return StepOutput(chip=calls.results, chip_variants=calls.variants, chip_genes=calls.genes)


def _run_cytof(samples: Sequence[Sample], settings: Any, baseline: str) -> StepOutput:  # noqa: ARG001
    from mrd_flow.cytof.patient import count_patient

    counted = count_patient(samples, settings)
    return StepOutput(
        populations=counted.populations, population_changes=counted.changes, findings=counted.findings
    )
