"""Learning a panel's normal plasma cells from the laboratory's own marrows without disease."""

from collections.abc import Sequence
from pathlib import Path

from mrd_flow.evidence import FlowSettings
from mrd_flow.gating.tube import GatedTube
from mrd_flow.panel.template import Panel
from mrd_flow.read import gate_sample, open_sample
from mrd_flow.reference.learning import learn_reference
from mrd_flow.reference.normal_reference import NormalReference
from pipeline.errors import InputRefused, UsageError
from pipeline.formats.single_sample import single_sample
from pipeline.model import Assay, Sample

__all__ = ["learn_panel_reference", "marrows_of"]

_FEWEST_MARROWS = 2
_UNVERIFIED = "learned from the files given; that these marrows are without disease is the user's word"


def marrows_of(files: Sequence[Path], panel: Panel) -> tuple[Sample, ...]:
    """Files in the order of marrows and their tubes, as samples.

    Raises
    ------
    UsageError
        If they are no whole number of marrows.
    """
    size = len(panel.tubes)
    if len(files) % size:
        raise UsageError(f"{len(files)} files are no whole number of marrows of {size} tubes each")
    return tuple(
        single_sample(
            Assay.FLOW,
            files[i : i + size],
            panel=panel.name,
            patient=f"N{i // size + 1}",
            timepoint="NORMAL",
            collected_on="1900-01-01",
            material="bone_marrow",
        )
        for i in range(0, len(files), size)
    )


def learn_panel_reference(
    marrows: Sequence[Sample], panel: Panel, settings: FlowSettings, *, version: str = "1", command: str = ""
) -> tuple[NormalReference, ...]:
    """Learn the normal plasma cells of every tube from marrows without disease.

    Parameters
    ----------
    marrows
        One sample each, its tubes in the template's order.
    panel
        The template.
    settings
        The run's choices.
    version, command
        What the reference says about itself.

    Raises
    ------
    UsageError
        If there are too few marrows, or too few plasma cells in them.
    InputRefused
        If a tube does not fit the panel or may not be counted.
    """
    if len(marrows) < _FEWEST_MARROWS:
        raise UsageError(f"a reference needs at least {_FEWEST_MARROWS} marrows without disease")
    gated_marrows = [_gated(m, panel, settings) for m in marrows]
    learned = []
    for number, tube in enumerate(panel.tubes, start=1):
        gated = [g[number - 1] for g in gated_marrows]
        try:
            learned.append(
                learn_reference(
                    [g.plasma_cells for g in gated],
                    gated[0].dimensions,
                    {marker: panel.logicle_of(marker) for marker in tube.markers},
                    panel=panel.name,
                    tube=number,
                    version=version,
                    command=command,
                    unverified=_UNVERIFIED,
                )
            )
        except ValueError as error:
            raise UsageError(f"tube {number}: {error}") from error
    return tuple(learned)


def _gated(marrow: Sample, panel: Panel, settings: FlowSettings) -> tuple[GatedTube, ...]:
    """The tubes of one marrow, all of them sound."""
    opened = open_sample(marrow, panel, settings)
    found = []
    for tube, gated in zip(opened.tubes, gate_sample(opened, settings), strict=True):
        grave = "; ".join(a.text for a in (*tube.anomalies, *tube.acquisition_anomalies) if a.grave)
        what = tube.mismatch or grave or ("" if tube.compensated else "not compensated")
        if what or gated is None:
            path = marrow.files[min(tube.tube, len(marrow.files)) - 1]
            raise InputRefused(f"cannot serve as tube {tube.tube} of a normal marrow: {what}", path=path)
        found.append(gated)
    return tuple(found)
