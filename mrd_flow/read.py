"""Tubes of a sample as counts: FCS files through the gates of their panel template."""

from pathlib import Path

from mrd_flow.anomaly import Anomaly
from mrd_flow.detectors import Assignment, assign_detectors
from mrd_flow.evidence import CallRules, FlowEvidence, FlowSettings, TubeEvidence
from mrd_flow.fcs import DataSet, read_data_sets
from mrd_flow.gating import GatedTube, gate_tube
from mrd_flow.panel import Panel, load_panel
from pipeline.errors import InputRefused
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.model import Sample

__all__ = ["read_sample", "read_tubes"]


def read_sample(sample: Sample, settings: FlowSettings) -> FlowEvidence:
    """Gate every tube of a sample by the template that ``sample.panel`` names.

    Parameters
    ----------
    sample
        ``files`` are the tubes in the template's order; ``panel`` is a shipped
        template's name or a ``.toml`` path.
    settings
        The run's choices.

    Returns
    -------
    FlowEvidence
        Counts per tube and gate. A tube that does not fit the template, is missing or
        is one too many carries a ``mismatch`` and no counts; it is not an error.

    Raises
    ------
    UsageError, ConfigRefused
        If the template is not known or not valid.
    DamagedFile, InputRefused
        If a file cannot be read.
    """
    return read_tubes(sample, load_panel(sample.panel), settings)[0]


def read_tubes(
    sample: Sample, panel: Panel, settings: FlowSettings
) -> tuple[FlowEvidence, tuple[GatedTube | None, ...]]:
    """As `read_sample` for a template at hand, with each tube's plasma cells beside the counts.

    A tube with a ``mismatch`` has None there.
    """
    digests = [_digest(path) for path in sample.files]
    found = [_tube(path, panel, i, settings) for i, path in enumerate(sample.files, start=1)]
    repeated = {i for i, d in enumerate(digests) if d in digests[:i]}
    tubes = [
        _without_counts(evidence, "the same file is given twice") if i in repeated else evidence
        for i, (evidence, _) in enumerate(found)
    ]
    tubes += [
        _empty(number, panel.tubes[number - 1].name, f"tube {number} is missing")
        for number in range(len(found) + 1, len(panel.tubes) + 1)
    ]
    evidence = FlowEvidence(
        sample=sample,
        rules=CallRules(
            panel=panel.name,
            version=panel.version,
            phenotype=panel.phenotype,
            tubes=len(panel.tubes),
            decision_count=panel.decision_count,
            loq_count=panel.loq_count,
            unverified=tuple(u.what for u in panel.unverified),
        ),
        tubes=tuple(tubes),
        input_sha256=sha256_joined(digests),
    )
    return evidence, tuple(gated for _, gated in found)


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error


def _tube(
    path: Path, panel: Panel, tube: int, settings: FlowSettings
) -> tuple[TubeEvidence, GatedTube | None]:
    if tube > len(panel.tubes):
        return _empty(tube, "", f"the template has {len(panel.tubes)} tube(s)"), None
    name = panel.tubes[tube - 1].name
    data, assignment, anomalies = _chosen(read_data_sets(path), panel, tube)
    if assignment.mismatch:
        return _empty(tube, name, assignment.mismatch, data.events, anomalies), None
    gated = gate_tube(data, panel, tube, assignment.columns, chunk_events=settings.chunk_events)
    return _counted(gated, panel, tube, data, assignment, anomalies), gated


def _chosen(
    data_sets: tuple[DataSet, ...], panel: Panel, tube: int
) -> tuple[DataSet, Assignment, tuple[Anomaly, ...]]:
    """The last data set that fits: in an LMD file the later one has the full resolution."""
    options = [(d, assign_detectors(d.parameters, panel, tube)) for d in data_sets]
    fitting = [o for o in options if not o[1].mismatch]
    data, assignment = (fitting or options)[-1]
    anomalies = (*data.anomalies, *assignment.anomalies)
    if len(data_sets) > 1:
        number = next(i for i, d in enumerate(data_sets, start=1) if d is data)
        text = f"the file holds {len(data_sets)} data sets; number {number} is used"
        anomalies = (*anomalies, Anomaly(code="several_data_sets", text=text))
    return data, assignment, anomalies


def _counted(
    gated: GatedTube,
    panel: Panel,
    tube: int,
    data: DataSet,
    assignment: Assignment,
    anomalies: tuple[Anomaly, ...],
) -> TubeEvidence:
    template = panel.tubes[tube - 1]
    covered = set(data.spillover.columns) if data.spillover is not None else set()
    uncovered = [m for m in template.markers if assignment.columns[m] not in covered]
    if uncovered and data.spillover is not None:
        text = f"the spillover matrix leaves out {', '.join(uncovered)}"
        anomalies = (*anomalies, Anomaly(code="spillover_incomplete", text=text))
    plasma_cells, aberrant = gated.count(panel.plasma_cell_gate), gated.count(panel.aberrant_gate)
    # The template's background was measured at its own share of plasma cells. False
    # aberrant cells are plasma cells, so the number expected goes with those present.
    per_plasma_cell = (
        template.background_per_million_nucleated * 1e-6 / template.background_plasma_cell_fraction
    )
    return TubeEvidence(
        tube=tube,
        name=template.name,
        events=gated.events,
        nucleated=gated.count(panel.nucleated_gate),
        plasma_cells=plasma_cells,
        aberrant=aberrant,
        background_mean=per_plasma_cell * (plasma_cells - aberrant),
        efficiency=template.efficiency,
        compensated=not uncovered,
        gates=gated.tallies,
        anomalies=anomalies,
        mismatch="",
    )


def _empty(
    tube: int, name: str, mismatch: str, events: int = 0, anomalies: tuple[Anomaly, ...] = ()
) -> TubeEvidence:
    return TubeEvidence(
        tube=tube,
        name=name,
        events=events,
        nucleated=0,
        plasma_cells=0,
        aberrant=0,
        background_mean=0.0,
        efficiency=1.0,
        compensated=False,
        gates=(),
        anomalies=anomalies,
        mismatch=mismatch,
    )


def _without_counts(evidence: TubeEvidence, mismatch: str) -> TubeEvidence:
    return _empty(evidence.tube, evidence.name, mismatch, evidence.events, evidence.anomalies)
