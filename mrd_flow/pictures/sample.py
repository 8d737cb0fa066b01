"""Every picture of a sample, and a page on which an analyst walks through them gate by gate.

The pictures are SVG files with their text as text; the page holds copies of them, so
that it needs no other file, and nothing in it can run or be fetched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrd_flow.fcs.data_sets import DEFAULT_CHUNK_EVENTS
from mrd_flow.gating.tube import GatedTube
from mrd_flow.opened import OpenedTube
from mrd_flow.panel.template import Panel
from mrd_flow.pictures.axes import axis_of
from mrd_flow.pictures.contact_sheet import Shown, contact_sheet
from mrd_flow.pictures.gate_histograms import gate_histograms
from mrd_flow.pictures.gate_pictures import counts_in_words, gate_figure, sources_in_words
from mrd_flow.pictures.reference_picture import (
    classes_in_words,
    clonality_in_words,
    deviation_figure,
    light_chain_figure,
)
from mrd_flow.pictures.time_picture import time_figure
from mrd_flow.plasma_cells.classification import Classified
from mrd_flow.reference.normal_reference import NormalReference
from mrd_flow.reference.plasma_cell_features import LIGHT_CHAINS
from pipeline.formats.atomic import write_bytes, write_text
from pipeline.report.figure_style import house_style, image_of

__all__ = ["write_pictures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """What is drawn of one sample."""

    panel: Panel
    classified: Classified | None
    references: Mapping[int, NormalReference]
    chunk_events: int


def write_pictures(
    folder: Path,
    tubes: Sequence[OpenedTube],
    gated: Sequence[GatedTube | None],
    classified: Classified | None,
    panel: Panel,
    references: Mapping[int, NormalReference],
    *,
    chunk_events: int = DEFAULT_CHUNK_EVENTS,
) -> tuple[Path, ...]:
    """Write the pictures of one sample and the page that shows them.

    Parameters
    ----------
    folder
        Made if missing; files of these names are replaced, others left as they are.
    tubes, gated
        By tube, in order; ``gated`` None where a tube does not fit the panel.
    classified
        Of the plasma cells of all tubes; None where no tube was counted.
    panel
        The template.
    references
        Normal plasma cells by 1-based tube.
    chunk_events
        Events handled at a time; it bounds the memory, not the pictures.

    Returns
    -------
    tuple of Path
        ``index.html`` first, then ``tube_N_....svg``. Same data, same bytes.

    Raises
    ------
    DamagedFile
        If a file became shorter since it was opened.
    """
    sample = _Sample(panel=panel, classified=classified, references=references, chunk_events=chunk_events)
    shown: list[Shown] = []
    with house_style():
        for tube, gates in zip(tubes, gated, strict=True):
            shown += _shown(tube, gates, sample)
    for picture in shown:
        if picture.svg:
            write_bytes(folder / picture.file, picture.svg)
    index = folder / "index.html"
    write_text(index, contact_sheet(panel.title, shown))
    return (index, *(folder / p.file for p in shown if p.svg))


def _shown(tube: OpenedTube, gated: GatedTube | None, sample: _Sample) -> Iterator[Shown]:
    name = f"tube {tube.tube} {tube.name}".strip()
    if gated is None or tube.data is None or tube.columns is None or tube.qc is None:
        yield Shown(tube=name, title="not counted", file="", words=(tube.mismatch,), svg=b"")
        return
    prefix = f"tube_{tube.tube}"
    yield Shown(
        tube=name,
        title="acquisition",
        file=f"{prefix}_time.svg",
        words=(),
        svg=image_of(time_figure(tube.qc, name)),
        spoken=f"{tube.qc.removed:,} of {tube.qc.events:,} events removed before any gate",
    )
    histograms = gate_histograms(
        tube.data,
        gated,
        sample.panel,
        tube.tube,
        tube.columns,
        kept=tube.qc.kept,
        chunk_events=sample.chunk_events,
    )
    for histogram in histograms:
        gate = histogram.gate
        yield Shown(
            tube=name,
            title=gate.name,
            file=f"{prefix}_gate_{gate.name}.svg",
            words=(),
            svg=image_of(gate_figure(histogram, name)),
            spoken="; ".join((counts_in_words(histogram.tally, gate.parent), *sources_in_words(histogram))),
            flagged=histogram.tally.fell_back,
        )
    if sample.classified is not None:
        yield from _shown_cells(tube, gated, sample.classified, sample, name)


def _shown_cells(
    tube: OpenedTube, gated: GatedTube, classified: Classified, sample: _Sample, name: str
) -> Iterator[Shown]:
    found, panel = classified.tubes[tube.tube], sample.panel
    reference = sample.references[tube.tube]
    yield Shown(
        tube=name,
        title="plasma cells",
        file=f"tube_{tube.tube}_plasma_cells.svg",
        words=(f"normal plasma cells of {reference.panel} {reference.version}: {reference.unverified}",),
        svg=image_of(deviation_figure(gated, found, reference, panel, name)),
        spoken=classes_in_words(found),
    )
    assert tube.data is not None
    assert tube.columns is not None
    stained = [m for m in LIGHT_CHAINS if m in tube.columns]
    axes = {m: axis_of(m, panel, tube.tube, tube.data, tube.columns) for m in stained}
    test = classified.evidence.clonality
    figure = light_chain_figure(gated, found, axes, test, name)
    if figure is not None:
        yield Shown(
            tube=name,
            title="light chains",
            file=f"tube_{tube.tube}_light_chains.svg",
            words=(),
            svg=image_of(figure),
            spoken="; ".join(clonality_in_words(test)),
        )
