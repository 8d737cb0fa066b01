"""What the commands of ``nadir ngs`` have in common: arguments, the sample they make."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mrd_ngs.evidence import Library
    from mrd_ngs.settings import NgsSettings
    from pipeline.model import Sample

__all__ = [
    "CellCount",
    "ConfigFile",
    "DnaNg",
    "Germline",
    "Mates",
    "Reads",
    "SpikeIns",
    "preparation_of",
    "sample_of",
    "settings_of",
]

Reads = Annotated[
    Path,
    typer.Argument(
        metavar="READS",
        help="FASTQ or FASTA, plain or gzip: merged or single reads, or first mates.",
        show_default=False,
    ),
]
Mates = Annotated[
    Path | None,
    typer.Argument(
        metavar="[MATES]",
        help="Second mates, in the order of READS; merged with them where they overlap.",
        show_default=False,
    ),
]
SpikeIns = Annotated[
    Path | None,
    typer.Option(
        "--spike-ins",
        metavar="S.tsv",
        help="Known templates in the sample, tab-separated: name, sequence, copies. "
        "Without them reads cannot be turned into cells.",
    ),
]
CellCount = Annotated[
    int | None, typer.Option("--cells", min=1, metavar="N", help="Nucleated cells put into the assay.")
]
DnaNg = Annotated[
    float | None,
    typer.Option(
        "--dna-ng", min=0.0, metavar="NG", help="DNA put into the assay; used where cells are unknown."
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="C.toml", help="A study's configuration; its table 'ngs' is read."),
]

Germline = Annotated[
    Path | None,
    typer.Option(
        "--germline",
        metavar="DIR",
        help="Your own V, D and J alleles as FASTA files, with or without IMGT gaps; else OGRDB's.",
    ),
]


def settings_of(config: Path | None, germline: Path | None = None) -> "NgsSettings":
    """The run choices of a configuration, or the defaults; a germline given beside them counts."""
    from mrd_ngs.settings import NgsSettings
    from pipeline.formats.toml_tables import read_settings

    settings = read_settings(config, "ngs", NgsSettings)
    return settings if germline is None else dataclasses.replace(settings, germline=str(germline.resolve()))


def sample_of(
    reads: Path,
    mates: Path | None,
    spike_ins: Path | None,
    cells: int | None,
    dna_ng: float | None,
    patient: str,
    timepoint: str,
    collected_on: str,
    material: str,
) -> "Sample":
    """A sample outside a batch."""
    from pipeline.formats.single_sample import single_sample
    from pipeline.model import Assay

    return single_sample(
        Assay.NGS,
        [reads] if mates is None else [reads, mates],
        patient=patient,
        timepoint=timepoint,
        collected_on=collected_on,
        material=material,
        cells=cells,
        dna_ng=dna_ng,
        spike_ins=spike_ins,
    )


def preparation_of(library: "Library") -> dict[str, Any]:
    """What became of the reads, what the counts are, and how mates, primers and UMIs went."""
    from pipeline.formats.records import to_json

    parts = {"merging": library.merging, "trimming": library.trimming, "umis": library.umis}
    return {
        "reads": {"input": library.input_reads, **{fate.fate: fate.reads for fate in library.fates}},
        "counted": library.counted,
        **{name: None if part is None else to_json(part) for name, part in parts.items()},
    }
