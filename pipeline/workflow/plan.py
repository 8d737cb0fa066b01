"""From a sheet and a configuration to the tasks that must run, with every hash that decides it.

Planning reads no measurement: digests of inputs come in as an argument. A task's
fingerprint covers the content of its inputs, its parameters, its references and the
source code of the packages it uses; not where the files lie, and no clock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from pipeline.formats.digest import sha256_bytes, sha256_file
from pipeline.formats.records import to_json
from pipeline.model import Assay, Sample
from pipeline.workflow.config import Config
from pipeline.workflow.planned import Plan, Task
from pipeline.workflow.steps import Phase, Step, step_for, steps

__all__ = ["code_digest", "make_plan", "runnable"]


def make_plan(
    samples: Sequence[Sample],
    config: Config,
    digests: Mapping[Path, str],
) -> Plan:
    """Group samples into tasks of one patient and one assay, or of the run that patients share.

    Parameters
    ----------
    samples
        Checked rows of the sheet.
    config
        The batch's configuration.
    digests
        SHA-256 of every file that a sample names.
    """
    order = {code: i for i, code in enumerate(config.timepoint_codes)}
    groups: dict[tuple[str, Assay], list[Sample]] = {}
    controls = [sample for sample in runnable(samples) if sample.is_control]
    for sample in runnable(samples):
        if not sample.is_control:
            groups.setdefault((sample.patient_id, sample.assay), []).append(sample)
    for group in groups.values():
        group.sort(key=lambda s: (order.get(s.timepoint, len(order)), s.collected_on, s.panel, s.run_id))
    runs = _shared_runs(groups, controls)
    index, judge, last = [], [], []
    for (patient_id, assay), group in groups.items():
        maker = _Maker(step_for(assay), config, digests)
        own = sorted({s.run_id for s in group if (s.run_id, assay) in runs})
        if not own:
            last.append(maker.task(Phase.WHOLE, group, patient_id=patient_id))
            continue
        baselines = [s for s in group if s.timepoint == config.baseline]
        after = [_run_task(run_id, assay) for run_id in own]
        if baselines:
            index.append(maker.task(Phase.INDEX, baselines, patient_id=patient_id))
            after.insert(0, index[-1].task_id)
        last.append(maker.task(Phase.FOLLOW, group, patient_id=patient_id, after=after))
    for (run_id, assay), group in runs.items():
        patients = {s.patient_id for s in group if not s.is_control}
        after = [t.task_id for t in index if t.patient_id in patients and t.assay is assay]
        maker = _Maker(step_for(assay), config, digests)
        judge.append(maker.task(Phase.RUN, group, run_id=run_id, after=sorted(after)))
    return Plan(
        study_id=config.study_id,
        config_path=config.path,
        config_sha256=config.sha256,
        tasks=(*index, *judge, *last),
        left_out=(*_left_out(samples), *_idle_controls(controls, runs)),
    )


def _shared_runs(
    groups: Mapping[tuple[str, Assay], Sequence[Sample]], controls: Sequence[Sample]
) -> dict[tuple[str, Assay], list[Sample]]:
    """Samples of every run that several patients share or that has a control, by name and assay.

    Of assays that judge runs. By patient, then by the controls' names, not by the sheet's order, so
    that a run's control does not depend on it.
    """
    runs: dict[tuple[str, Assay], list[Sample]] = {}
    for (_, assay), group in sorted(groups.items()):
        if step_for(assay).together is None:
            continue
        for sample in group:
            if sample.run_id:
                runs.setdefault((sample.run_id, assay), []).append(sample)
    for control in sorted(controls, key=lambda c: c.patient_id):
        if (control.run_id, control.assay) in runs:
            runs[control.run_id, control.assay].append(control)
    return {key: found for key, found in sorted(runs.items()) if len({s.patient_id for s in found}) > 1}


def _idle_controls(
    controls: Sequence[Sample], runs: Mapping[tuple[str, Assay], Sequence[Sample]]
) -> tuple[str, ...]:
    return tuple(
        f"{control.role} {control.patient_id} left out: no patient's sample is in its run {control.run_id}"
        for control in controls
        if (control.run_id, control.assay) not in runs
    )


def _run_task(run_id: str, assay: Assay) -> str:
    return f"{run_id}.{assay}-{Phase.RUN}"


def runnable(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples whose assay has a step."""
    assays = {step.assay for step in steps()}
    return tuple(s for s in samples if s.assay in assays)


def _left_out(samples: Sequence[Sample]) -> tuple[str, ...]:
    counts = Counter(s.assay for s in samples)
    for sample in runnable(samples):
        counts[sample.assay] -= 1
    return tuple(
        f"{count} sample{'s' if count > 1 else ''} of {assay} left out: not analysed by this version yet"
        for assay, count in sorted(counts.items())
        if count
    )


class _Maker:
    """Makes tasks of one assay."""

    def __init__(self, step: Step, config: Config, digests: Mapping[Path, str]) -> None:
        self.step, self.config, self.digests = step, config, digests

    def task(
        self,
        phase: Phase,
        samples: Sequence[Sample],
        *,
        patient_id: str = "",
        run_id: str = "",
        after: Sequence[str] = (),
    ) -> Task:
        """One task; of a patient or of a run."""
        assay = self.step.assay
        settings = self.config.settings_for(assay)
        names = {Phase.INDEX: f"{patient_id}.{assay}-{phase}", Phase.RUN: _run_task(run_id, assay)}
        return Task(
            task_id=names.get(phase, f"{patient_id}.{assay}"),
            patient_id=patient_id,
            run_id=run_id,
            assay=assay,
            phase=phase,
            after=tuple(after),
            baseline=self.config.baseline,
            samples=tuple(samples),
            parameters=to_json(settings),
            inputs={
                f"{i + 1:04d}.{j + 1} {path.name}": self.digests[path]
                for i, sample in enumerate(samples)
                for j, path in enumerate(sample.files)
            },
            references={
                f"{i + 1:04d} {path.name}": sha256_file(path)  # two folders may hold files of one name
                for i, path in enumerate(self.step.references(samples, settings))
            },
            code=code_digest(self.step.packages),
        )


@cache
def code_digest(packages: tuple[str, ...]) -> str:
    """SHA-256 over the source of import packages: every module and data file, by name."""
    lines: list[str] = []
    for package in packages:
        folder = Path(import_module(package).__path__[0])
        sources = [p for p in sorted(folder.rglob("*")) if p.is_file() and "__pycache__" not in p.parts]
        lines += (f"{package}/{p.relative_to(folder).as_posix()} {sha256_file(p)}" for p in sources)
    return sha256_bytes("\n".join(lines).encode())
