"""Steps whose input file says what they do; a process with this folder on PYTHONPATH has them, and no others.

So engines are tested with tasks that take no time, or too much memory, and are otherwise run, killed,
recorded and collected like any. A file holds words and values, one pair a line::

    fraction 0.01      what the task finds
    seconds 2          how long it takes
    memory_mb 900      how much it holds meanwhile
    refuse no reads    what it refuses its input for
    crash 7            an exit without a word
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile
from pipeline.model import Assay, Sample
from pipeline.workflow import steps as registry
from pipeline.workflow.steps import RunSteps, Step, StepOutput


def script_of(path: Path) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in path.read_text().splitlines())


def follow_script(samples: Sequence[Sample]) -> None:
    for sample in samples:
        script = script_of(sample.files[0])
        if "refuse" in script:
            raise DamagedFile(script["refuse"], path=sample.files[0].name)
        if "crash" in script:
            os._exit(int(script["crash"]))
        held = bytearray(int(script.get("memory_mb", 0)) << 20)
        held[::4096] = b"x" * len(held[::4096])  # touched, so that it counts
        time.sleep(float(script.get("seconds", 0)))


def results(samples: Sequence[Sample]) -> StepOutput:
    from datetime import date

    from pipeline.model import DenominatorUnit, MrdResult, Reason, Status

    follow_script(samples)
    return StepOutput(
        mrd=tuple(
            MrdResult(
                study_id=s.study_id, patient_id=s.patient_id, timepoint=s.timepoint,
                collected_on=date(2026, 3, 1), material=s.material, assay=s.assay, panel=s.panel,
                target_id="scripted", value=float(script_of(s.files[0]).get("fraction", "0.01")),
                ci_low=1e-6, ci_high=0.99, numerator=100, denominator=3_000_000,
                denominator_unit=DenominatorUnit.NUCLEATED_CELLS, lod=9.3e-6, loq=1.67e-5,
                lod_basis="scripted", status=Status.DETECTED,
                reason=Reason.AT_OR_ABOVE_DECISION_COUNT, qc="pass",
                run_id=s.run_id, input_sha256="0" * 64, method_version="scripted 1",
            )
            for s in samples
        )
    )  # fmt: skip


def index(samples: Sequence[Sample], settings: Any) -> StepOutput:
    follow_script(samples)
    return StepOutput(document={"indexed": [s.patient_id for s in samples]})


def judge(
    samples: Sequence[Sample], settings: Any, run_id: str, indexed: Mapping[str, StepOutput | None]
) -> StepOutput:
    found = {patient: None if said is None else said.document for patient, said in sorted(indexed.items())}
    return StepOutput(document={"run": run_id, "indexed": found})


def follow(
    samples: Sequence[Sample],
    settings: Any,
    baseline: str,
    indexed: StepOutput | None,
    runs: Sequence[StepOutput],
) -> StepOutput:
    return results(samples)


def scripted(assay: Assay, together: RunSteps | None = None) -> Step:
    return Step(
        assay=assay,
        packages=("pipeline.model",),
        inspect=lambda sample: None,
        references=lambda samples, settings: (),
        unverified=lambda samples, settings: (),
        run=lambda samples, settings, baseline: results(samples),
        together=together,
        memory_mb=300,
    )


_STEPS = (scripted(Assay.NGS, RunSteps(index=index, judge=judge, follow=follow)), scripted(Assay.FLOW))
registry.steps = lambda: _STEPS
