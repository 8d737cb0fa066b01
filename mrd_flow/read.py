"""Tubes of a sample as counts: FCS files through the gates of their panel template."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mrd_flow.acquisition.rare_event_guard import guard_rare_events
from mrd_flow.evidence import FlowEvidence, FlowSettings
from mrd_flow.gating.overrides import Override, check_fit, overrides_of
from mrd_flow.gating.tube import GatedTube, gate_tube
from mrd_flow.opened import OpenedTube, open_tube
from mrd_flow.panel.gates import ROOT_GATE
from mrd_flow.panel.template import CombinationGate, Panel, RectangleGate, load_panel
from mrd_flow.plasma_cells.classification import (
    Classified,
    Knowledge,
    classify_tubes,
    knowledge_of,
    tube_cells,
)
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype
from mrd_flow.plasma_cells.merged import TubeCells
from mrd_flow.tube_evidence import call_rules, counted_tube, distances_between, uncounted_tube
from pipeline.errors import InputRefused
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.model import Sample

__all__ = [
    "CountedSample",
    "OpenedSample",
    "Teller",
    "count_sample",
    "gate_sample",
    "gated_tube",
    "guarded_tube",
    "open_sample",
    "read_patient",
    "read_sample",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSample:
    """The tubes of one sample before their gates, ready to be counted more than once."""

    sample: Sample
    panel: Panel
    tubes: tuple[OpenedTube, ...]
    input_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSample:
    """Counts of one sample, and each tube's plasma cells; None where a tube does not fit."""

    evidence: FlowEvidence
    gated: tuple[GatedTube | None, ...]
    classified: Classified | None

    @property
    def cells(self) -> tuple[TubeCells, ...]:
        """Every plasma cell with what the classifier said of it, tube by tube."""
        if self.classified is None:
            return ()
        found = self.classified.tubes
        numbered = enumerate(self.gated, start=1)
        return tuple(tube_cells(n, g, found[n]) for n, g in numbered if g is not None)


def read_sample(
    sample: Sample, settings: FlowSettings, *, diagnosis: DiagnosticPhenotype | None = None
) -> FlowEvidence:
    """Count every tube of a sample by the template that ``sample.panel`` names.

    Parameters
    ----------
    sample
        ``files`` are the tubes in the template's order; ``panel`` is a shipped
        template's name or a ``.toml`` path.
    settings
        The run's choices.
    diagnosis
        The patient's clone at diagnosis, where it is known; of another panel it is not used.

    Returns
    -------
    FlowEvidence
        Counts per tube and gate. A tube that does not fit the template, is missing or
        is one too many carries a ``mismatch`` and no counts; it is not an error.

    Raises
    ------
    UsageError, ConfigRefused
        If the template is not known or not valid, or has no reference of normal plasma cells.
    DamagedFile, InputRefused
        If a file cannot be read.
    """
    panel = load_panel(sample.panel)
    known = knowledge_of(panel, settings, diagnosis)
    return count_sample(open_sample(sample, panel, settings), known, settings).evidence


def read_patient(
    samples: Sequence[Sample], settings: FlowSettings, *, baseline: str
) -> tuple[FlowEvidence, ...]:
    """Read all samples of a patient, diagnosis first, whose clone the others are told of.

    Parameters
    ----------
    samples
        In any order; the evidence has the same.
    settings
        The run's choices.
    baseline
        Code of the time point of diagnosis.

    Raises
    ------
    UsageError, ConfigRefused, DamagedFile, InputRefused
        As `read_sample`.
    """
    teller = Teller(baseline)
    found: dict[int, FlowEvidence] = {}
    for i in _diagnosis_first(samples, baseline):
        found[i] = read_sample(samples[i], settings, diagnosis=teller.known_of(samples[i]))
        teller.learn(found[i])
    return tuple(found[i] for i in range(len(samples)))


class Teller:
    """Tells later samples of a patient what the clone looked like at diagnosis, by panel."""

    def __init__(self, baseline: str) -> None:
        self.baseline = baseline
        self.phenotypes: dict[str, DiagnosticPhenotype] = {}

    def known_of(self, sample: Sample) -> DiagnosticPhenotype | None:
        """What a sample may be told; nothing at diagnosis itself."""
        return None if sample.timepoint == self.baseline else self.phenotypes.get(sample.panel)

    def learn(self, evidence: FlowEvidence) -> None:
        """Keep the phenotype of the first sample of diagnosis that shows it."""
        classified = evidence.classification
        at_diagnosis = evidence.sample.timepoint == self.baseline
        if at_diagnosis and classified is not None and classified.phenotype is not None:
            self.phenotypes.setdefault(evidence.sample.panel, classified.phenotype)


def _diagnosis_first(samples: Sequence[Sample], baseline: str) -> list[int]:
    return sorted(range(len(samples)), key=lambda i: samples[i].timepoint != baseline)


def open_sample(sample: Sample, panel: Panel, settings: FlowSettings) -> OpenedSample:
    """Open every tube of a sample and look at how it was acquired.

    The plasma cells are gated once without the mask, so that it cannot remove them unseen.

    Raises
    ------
    DamagedFile, InputRefused
        If a file cannot be read.
    """
    digests = [_digest(path) for path in sample.files]
    tubes = [
        guarded_tube(open_tube(path, panel, number), panel, settings)
        for number, path in enumerate(sample.files, start=1)
    ]
    for index, digest in enumerate(digests):
        if digest in digests[:index]:
            twice = "the same file is given twice"
            tubes[index] = replace(tubes[index], mismatch=twice, data=None, columns=None, qc=None)
    tubes += [
        OpenedTube(
            tube=number,
            name=panel.tubes[number - 1].name,
            events=0,
            mismatch=f"tube {number} is missing",
            anomalies=(),
        )
        for number in range(len(tubes) + 1, len(panel.tubes) + 1)
    ]
    return OpenedSample(sample=sample, panel=panel, tubes=tuple(tubes), input_sha256=sha256_joined(digests))


def gate_sample(
    opened: OpenedSample,
    settings: FlowSettings,
    *,
    overrides: Sequence[Override] = (),
    before: Sequence[GatedTube | None] = (),
) -> tuple[GatedTube | None, ...]:
    """Put every tube through its gates; None where a tube does not fit.

    Parameters
    ----------
    opened
        The tubes.
    settings
        The run's choices.
    overrides
        Gates moved by an analyst.
    before
        The same tubes gated without overrides, by tube: rules do not look at the events
        again, and a tube without overrides is not gated again.

    Raises
    ------
    UsageError
        If an override does not fit the panel.
    DamagedFile
        If a file became shorter since it was opened.
    """
    check_fit(overrides, opened.panel)
    return tuple(
        gated_tube(tube, opened.panel, settings, overrides, before[i] if before else None)
        for i, tube in enumerate(opened.tubes)
    )


def count_sample(
    opened: OpenedSample,
    known: Knowledge,
    settings: FlowSettings,
    *,
    overrides: Sequence[Override] = (),
    before: CountedSample | None = None,
) -> CountedSample:
    """Gate every tube and classify the plasma cells of all of them together.

    Parameters
    ----------
    opened
        The tubes.
    known
        What the classifier knows beforehand.
    settings, overrides
        As in `gate_sample`.
    before
        An earlier count of the same tubes without overrides, which saves time.

    Raises
    ------
    UsageError, DamagedFile
        As `gate_sample`.
    """
    panel = opened.panel
    gated = gate_sample(opened, settings, overrides=overrides, before=() if before is None else before.gated)
    classified = classify_tubes(gated, panel, known)
    found = {} if classified is None else classified.tubes
    evidence = FlowEvidence(
        sample=opened.sample,
        rules=call_rules(panel),
        tubes=tuple(
            uncounted_tube(tube) if g is None else counted_tube(tube, g, found[tube.tube], panel)
            for tube, g in zip(opened.tubes, gated, strict=True)
        ),
        input_sha256=opened.input_sha256,
        classification=None if classified is None else classified.evidence,
        distances=distances_between(gated, found, panel),
        overrides=tuple(overrides),
    )
    return CountedSample(evidence=evidence, gated=gated, classified=classified)


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error


def guarded_tube(tube: OpenedTube, panel: Panel, settings: FlowSettings) -> OpenedTube:
    """The tube with a mask that does not remove the cells looked for."""
    if tube.data is None or tube.columns is None or tube.qc is None or tube.qc.removed == 0:
        return tube
    gated = gate_tube(
        tube.data, _to_plasma_cells(panel), tube.tube, tube.columns, chunk_events=settings.chunk_events
    )
    return tube.with_qc(guard_rare_events(tube.qc, gated.plasma_cell_events))


def _to_plasma_cells(panel: Panel) -> Panel:
    """The template with those gates only on which that of the plasma cells depends."""
    wanted = {panel.plasma_cell_gate, *(m.parent for m in panel.landmarks)}
    for gate in reversed(panel.gates):  # what a gate depends on stands before it
        if gate.name not in wanted:
            continue
        wanted.add(gate.parent)
        if isinstance(gate, CombinationGate):
            wanted.update(gate.gates)
        if isinstance(gate, RectangleGate):
            rules = [rule for bounds in gate.bounds.values() for _, rule, _ in bounds.ruled()]
            wanted.update(getattr(rule, "population", None) or ROOT_GATE for rule in rules)
    gates = tuple(g for g in panel.gates if g.name in wanted)
    return panel.model_copy(update={"gates": gates, "route_flags": ()})


def gated_tube(
    tube: OpenedTube,
    panel: Panel,
    settings: FlowSettings,
    overrides: Sequence[Override] = (),
    before: GatedTube | None = None,
) -> GatedTube | None:
    """One tube with its mask through its gates, as `gate_sample`; None where it does not fit."""
    if tube.data is None or tube.columns is None or tube.qc is None:
        return None
    if before is not None and not overrides_of(overrides, tube.tube):
        return before
    return gate_tube(
        tube.data,
        panel,
        tube.tube,
        tube.columns,
        kept=tube.qc.kept,
        boundaries=None if before is None else before.boundaries,
        overrides=overrides,
        chunk_events=settings.chunk_events,
    )
