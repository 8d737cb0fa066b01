"""The step registry: what each assay does with one patient's samples.

A step is a function with declared packages (whose source code is part of its
fingerprint), a check of each input file, and references (configuration files whose
content is). Both engines run a step only through `execute`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.model import Assay, GateCount, Marker, MrdResult, Sample

__all__ = ["Step", "StepOutput", "step_for", "steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutput:
    """Everything a step says of one patient."""

    mrd: tuple[MrdResult, ...] = ()
    markers: tuple[Marker, ...] = ()
    gates: tuple[GateCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One assay's work on one patient.

    ``packages`` are import packages whose source enters the fingerprint, ``inspect``
    raises if a sample's files are damaged, ``references`` lists the configuration files
    a sample depends on, ``unverified`` names defaults among them that no published number
    confirms, ``run`` takes samples, the assay's settings and the code of the
    baseline time point.
    """

    assay: Assay
    packages: tuple[str, ...]
    inspect: Callable[[Sample], None]
    references: Callable[[Sequence[Sample]], tuple[Path, ...]]
    unverified: Callable[[Sequence[Sample]], tuple[str, ...]]
    run: Callable[[Sequence[Sample], Any, str], StepOutput]


def steps() -> tuple[Step, ...]:
    """The steps there are, in the order of `Assay`."""
    shared = ("pipeline.detection", "pipeline.formats", "pipeline.model")
    return (
        Step(
            assay=Assay.NGS,
            packages=("mrd_ngs", *shared),
            inspect=_inspect_ngs,
            references=_spike_in_sheets,
            unverified=_unverified_ngs,
            run=_run_ngs,
        ),
        Step(
            assay=Assay.FLOW,
            packages=("mrd_flow", *shared),
            inspect=_inspect_flow,
            references=_panels,
            unverified=_unverified_panels,
            run=_run_flow,
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


def _spike_in_sheets(samples: Sequence[Sample]) -> tuple[Path, ...]:
    return tuple(sorted({s.spike_ins for s in samples if s.spike_ins is not None}))


def _panels(samples: Sequence[Sample]) -> tuple[Path, ...]:
    from mrd_flow.panel import panel_path

    return tuple(panel_path(name) for name in sorted({s.panel for s in samples}))


def _unverified_ngs(samples: Sequence[Sample]) -> tuple[str, ...]:  # noqa: ARG001
    from mrd_ngs.evidence import UNVERIFIED

    return UNVERIFIED


def _unverified_panels(samples: Sequence[Sample]) -> tuple[str, ...]:
    from mrd_flow.panel import load_panel

    panels = [load_panel(name) for name in sorted({s.panel for s in samples})]
    return tuple(
        f"{panel.name} panel ({'; '.join(item.what for item in panel.unverified)})"
        for panel in panels
        if panel.unverified
    )


def _inspect_ngs(sample: Sample) -> None:
    from mrd_ngs.read import check_sample

    check_sample(sample)


def _inspect_flow(sample: Sample) -> None:
    from mrd_flow.fcs import check_file

    for path in sample.files:
        check_file(path)


def _run_ngs(samples: Sequence[Sample], settings: Any, baseline: str) -> StepOutput:
    from mrd_ngs.call import call_patient
    from mrd_ngs.read import read_library

    calls = call_patient([read_library(s, settings) for s in samples], settings=settings, baseline=baseline)
    return StepOutput(mrd=calls.results, markers=calls.markers)


def _run_flow(samples: Sequence[Sample], settings: Any, baseline: str) -> StepOutput:
    from mrd_flow.call import call_patient
    from mrd_flow.read import read_sample

    calls = call_patient([read_sample(s, settings) for s in samples], settings=settings, baseline=baseline)
    return StepOutput(mrd=calls.results, gates=calls.gates)
