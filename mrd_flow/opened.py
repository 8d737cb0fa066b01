"""A tube's file opened: which data set, which column holds which marker, which events are sound."""

from dataclasses import dataclass, replace
from pathlib import Path

from mrd_flow.acquisition.check import acquisition_qc
from mrd_flow.acquisition.result import AcquisitionQc
from mrd_flow.evidence import Acquisition
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.data_sets import DataSet, read_data_sets
from mrd_flow.panel.detectors import Assignment, assign_detectors
from mrd_flow.panel.template import Panel

__all__ = ["OpenedTube", "open_tube"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedTube:
    """One tube (1-based) before its gates.

    ``mismatch`` is empty, or says why the file cannot be this tube; then ``data``,
    ``columns`` and ``qc`` are None or empty. ``anomalies`` are those of the file.
    """

    tube: int
    name: str
    events: int
    mismatch: str
    anomalies: tuple[Anomaly, ...]
    data: DataSet | None = None
    columns: dict[str, int] | None = None
    qc: AcquisitionQc | None = None

    @property
    def compensated(self) -> bool:
        """Whether the file's matrix covers every marker."""
        codes = {a.code for a in self.anomalies}
        return (
            self.data is not None and self.data.spillover is not None and "spillover_incomplete" not in codes
        )

    @property
    def acquisition_anomalies(self) -> tuple[Anomaly, ...]:
        """What the check of the acquisition found.

        A file too short to be judged is flagged, not refused a call: its counts say how little it shows.
        """
        found = self.qc.anomalies if self.qc is not None else ()
        return tuple(replace(a, grave=False) if a.code == "acquisition_not_checked" else a for a in found)

    def with_qc(self, qc: AcquisitionQc) -> "OpenedTube":
        """The same tube with another mask."""
        return replace(self, qc=qc)

    @property
    def acquisition(self) -> Acquisition | None:
        """What the check of the acquisition did, as evidence."""
        if self.qc is None:
            return None
        return Acquisition(
            removed=self.qc.removed,
            runs=self.qc.runs,
            margins=self.qc.margins,
            not_checked=self.qc.not_checked,
        )


def open_tube(path: Path, panel: Panel, tube: int) -> OpenedTube:
    """Open a file as one tube (1-based) of a panel, and look at how it was acquired.

    Raises
    ------
    DamagedFile, InputRefused
        If the file cannot be read.
    """
    data_sets = read_data_sets(path)
    if tube > len(panel.tubes):
        return _misfit(tube, "", f"the template has {len(panel.tubes)} tube(s)", data_sets[-1], ())
    name = panel.tubes[tube - 1].name
    data, assignment, anomalies = _chosen(data_sets, panel, tube)
    if assignment.mismatch:
        return _misfit(tube, name, assignment.mismatch, data, anomalies)
    return OpenedTube(
        tube=tube,
        name=name,
        events=data.events,
        mismatch="",
        anomalies=(*anomalies, *_uncovered(data, panel, tube, assignment.columns)),
        data=data,
        columns=assignment.columns,
        qc=acquisition_qc(data, assignment.columns),
    )


def _misfit(tube: int, name: str, mismatch: str, data: DataSet, anomalies: tuple[Anomaly, ...]) -> OpenedTube:
    return OpenedTube(tube=tube, name=name, events=data.events, mismatch=mismatch, anomalies=anomalies)


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


def _uncovered(data: DataSet, panel: Panel, tube: int, columns: dict[str, int]) -> tuple[Anomaly, ...]:
    """Markers that the file's matrix leaves out; without any matrix the file itself says so."""
    if data.spillover is None:
        return ()
    covered = set(data.spillover.columns)
    missing = [m for m in panel.tubes[tube - 1].markers if columns[m] not in covered]
    text = f"the spillover matrix leaves out {', '.join(missing)}"
    return (Anomaly(code="spillover_incomplete", text=text),) if missing else ()
