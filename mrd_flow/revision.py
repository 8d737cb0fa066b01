"""A patient's flow samples held open, so that an analyst can move a gate and see what comes of it.

Opening a sample reads its files and counts them once, as a run does. After that a moved gate
costs only the gates of its own tube and the classifier: what the rules saw is not looked at
again. What diagnosis tells the other samples stays what the run found.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mrd_flow.call import AtDiagnosis, call_sample, told_of
from mrd_flow.evidence import FlowEvidence, FlowSettings
from mrd_flow.gating.overrides import Override
from mrd_flow.panel.template import RectangleGate, load_panel
from mrd_flow.plasma_cells.classification import Knowledge, knowledge_of
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype, phenotype_from
from mrd_flow.read import CountedSample, OpenedSample, Teller, count_sample, open_sample
from pipeline.errors import DamagedFile, UsageError
from pipeline.formats.records import to_json
from pipeline.model import Change, MrdResult, Sample, SampleKey

__all__ = ["MovableBound", "RevisableFlow", "told_document"]

_HELD = 3  # samples at a time: each holds its plasma cells and a mask of its events


@dataclass(frozen=True, slots=True, kw_only=True)
class MovableBound:
    """A gate's range in one dimension as it is applied; None: open on that side.

    ``low_from`` and ``high_from`` say what placed it: fixed, a rule's name, or override.
    """

    tube: int
    gate: str
    dimension: str
    low: float | None
    high: float | None
    low_from: str
    high_from: str
    count: int
    parent_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What diagnosis says to the other samples of a panel."""

    at_diagnosis: AtDiagnosis
    phenotype: DiagnosticPhenotype | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """One sample, counted without changes."""

    opened: OpenedSample
    known: Knowledge
    counted: CountedSample


def told_document(evidence: Sequence[FlowEvidence], settings: FlowSettings, baseline: str) -> dict[str, Any]:
    """What diagnosis said to a patient's samples, by panel, for `RevisableFlow`."""
    teller = Teller(baseline)
    for sample in evidence:
        teller.learn(sample)
    found: dict[str, Any] = {}
    for sample in evidence:
        phenotype = teller.phenotypes.get(sample.sample.panel)
        found[sample.sample.panel] = {
            "at_diagnosis": str(told_of(sample, evidence, baseline, settings)),
            "phenotype": None if phenotype is None else to_json(phenotype),
        }
    return {"told": found}


class RevisableFlow:
    """The flow samples of one patient; each is opened when it is first looked at.

    Parameters
    ----------
    samples
        Of one patient.
    settings
        The run's choices.
    baseline
        Code of the time point of diagnosis.
    document
        What the run kept, as `told_document` gives it.

    Raises
    ------
    DamagedFile
        If ``document`` is something else.
    """

    markers = ()

    def __init__(
        self, samples: Sequence[Sample], settings: FlowSettings, baseline: str, document: Mapping[str, Any]
    ) -> None:
        self._samples, self._settings, self._baseline = tuple(samples), settings, baseline
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._lock = threading.RLock()  # two people may look at one patient
        self._latest: tuple[tuple[int, tuple[Override, ...]], CountedSample] | None = None
        try:
            self._told = {
                panel: _Told(
                    at_diagnosis=AtDiagnosis(told["at_diagnosis"]),
                    phenotype=None if told["phenotype"] is None else phenotype_from(told["phenotype"]),
                )
                for panel, told in document["told"].items()
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedFile(f"not what a run keeps of flow samples ({error})") from error

    def results(self, sample: SampleKey, changes: Sequence[Change]) -> tuple[MrdResult, ...]:
        """Results of a sample after changes; without any, the automatic ones.

        Raises
        ------
        UsageError
            If a change names a tube, gate or dimension that there is not, or leaves no room
            between low and high.
        """
        counted = self._counted(sample, changes)
        own = self._samples[self._place(sample)]
        told = self._told[own.panel].at_diagnosis
        return call_sample(counted.evidence, self._settings, told).results

    def bounds(self, sample: SampleKey, changes: Sequence[Change]) -> tuple[MovableBound, ...]:
        """Every boundary of a sample that can be moved, as it is after changes."""
        found = []
        for number, gated in enumerate(self._counted(sample, changes).gated, start=1):
            if gated is None:
                continue
            tallies = {t.gate: t for t in gated.tallies}
            for gate in gated.gates:
                if not isinstance(gate, RectangleGate):
                    continue
                tally = tallies[gate.name]
                used = {(b.dimension, b.side): b.rule for b in tally.boundaries}
                found += [
                    MovableBound(
                        tube=number,
                        gate=gate.name,
                        dimension=name,
                        low=bounds.min,
                        high=bounds.max,
                        low_from=used.get((name, "min"), "fixed") if bounds.min is not None else "",
                        high_from=used.get((name, "max"), "fixed") if bounds.max is not None else "",
                        count=tally.count,
                        parent_count=tally.parent_count,
                    )
                    for name, bounds in gate.bounds.items()
                ]
        return tuple(found)

    def picture(self, sample: SampleKey, tube: int, gate: str, changes: Sequence[Change]) -> bytes:
        """One gate of one tube after changes, as SVG.

        Raises
        ------
        UsageError
            If there is no such tube or gate.
        """
        from mrd_flow.pictures.gate_histograms import gate_histograms
        from mrd_flow.pictures.gate_pictures import gate_figure
        from pipeline.report.figure_style import house_style, image_of

        counted = self._counted(sample, changes)
        with self._lock:
            opened = self._hold(self._place(sample)).opened
        if not 1 <= tube <= len(opened.tubes) or counted.gated[tube - 1] is None:
            raise UsageError("there is no such tube, or it was not counted")
        file, gated = opened.tubes[tube - 1], counted.gated[tube - 1]
        assert gated is not None
        assert file.data is not None
        assert file.columns is not None
        assert file.qc is not None
        for histogram in gate_histograms(
            file.data, gated, opened.panel, tube, file.columns, kept=file.qc.kept
        ):
            if histogram.gate.name == gate:
                with house_style():
                    return image_of(gate_figure(histogram, f"tube {tube} {file.name}".strip()))
        raise UsageError("there is no such gate")

    def _counted(self, sample: SampleKey, changes: Sequence[Change]) -> CountedSample:
        place, overrides = self._place(sample), _overrides(changes)
        with self._lock:
            held = self._hold(place)
            if not overrides:
                return held.counted
            if self._latest is None or self._latest[0] != (place, overrides):
                counted = count_sample(
                    held.opened, held.known, self._settings, overrides=overrides, before=held.counted
                )
                self._latest = ((place, overrides), counted)
            return self._latest[1]

    def _hold(self, place: int) -> _Held:
        if place not in self._held:
            sample = self._samples[place]
            panel = load_panel(sample.panel)
            phenotype = None if sample.timepoint == self._baseline else self._told[sample.panel].phenotype
            known = knowledge_of(panel, self._settings, phenotype)
            opened = open_sample(sample, panel, self._settings)
            counted = count_sample(opened, known, self._settings)
            self._held[place] = _Held(opened=opened, known=known, counted=counted)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return self._held[place]

    def _place(self, key: SampleKey) -> int:
        for place, sample in enumerate(self._samples):
            own = (sample.patient_id, sample.timepoint, str(sample.material), sample.run_id)
            if own == (key.patient_id, key.timepoint, key.material, key.run_id) and key.panel == (
                load_panel(sample.panel).name
            ):
                return place
        raise UsageError("this patient has no such flow sample")


def _overrides(changes: Sequence[Change]) -> tuple[Override, ...]:
    for change in changes:
        if not change.gate:
            raise UsageError("a flow sample has gates to change, no markers")
    try:
        return tuple(
            Override(
                tube=c.tube,
                gate=c.gate,
                author=c.reviewer,
                reason=c.reason,
                made_on=c.made_at,
                dimension=c.dimension,
                min=c.low,
                max=c.high,
            )
            for c in changes
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
