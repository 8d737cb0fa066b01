"""``nadir ngs annotate|index|track|clones``: one library at a time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrd_ngs.cli.options import (
    CellCount,
    ConfigFile,
    DnaNg,
    Germline,
    Mates,
    Reads,
    SpikeIns,
    preparation_of,
    sample_of,
    settings_of,
)
from pipeline.formats.sample_options import (
    NO_DATE,
    CollectedOn,
    Json,
    MaterialName,
    Patient,
    Timepoint,
    say,
    write_document,
)

if TYPE_CHECKING:
    from pipeline.model import MrdResult

__all__ = ["annotate", "clones", "index", "track"]


def annotate(
    reads: Reads,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="X.airr.tsv[.gz]", help="AIRR Rearrangement table.", show_default=False
        ),
    ],
    mates: Mates = None,
    config: ConfigFile = None,
    germline: Germline = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Batches annotated at once.")] = 1,
) -> None:
    """Annotate every read, on either strand: V, D, J, junction, alignments, as an AIRR table."""
    from mrd_ngs.annotate import write_airr
    from mrd_ngs.germline import germline_of
    from mrd_ngs.named_reads import NamedReads

    settings = settings_of(config, germline)
    named = NamedReads(reads, mates, settings)
    count = write_airr(out, named, germline_of(settings), threads=threads)
    if named.merging is not None:
        say(f"{named.merging.merged:,} of {named.merging.pairs:,} pairs of mates merged")
    say(
        f"{count.rearrangements:,} of {count.reads:,} reads carry a rearrangement, "
        f"{count.junctions:,} a junction; written to {out}"
    )


def index(
    reads: Reads,
    out: Annotated[
        Path, typer.Option("--out", metavar="markers.json", help="Every candidate, taken or not.")
    ],
    mates: Mates = None,
    spike_ins: SpikeIns = None,
    cells: CellCount = None,
    dna_ng: DnaNg = None,
    config: ConfigFile = None,
    germline: Germline = None,
    patient: Patient = "P1",
    timepoint: Timepoint = "BASE",
    collected_on: CollectedOn = NO_DATE,
    material: MaterialName = "bone_marrow",
    json_output: Json = False,
) -> None:
    """Find the rearrangements at diagnosis by which the clone can be followed."""
    from mrd_ngs.call import METHOD_VERSION
    from mrd_ngs.index_clone import index_markers
    from mrd_ngs.read import read_library
    from pipeline.formats.records import to_json

    sample = sample_of(reads, mates, spike_ins, cells, dna_ng, patient, timepoint, collected_on, material)
    settings = settings_of(config, germline)
    library = read_library(sample, settings)
    markers = index_markers(library, settings)
    document = {
        "method_version": METHOD_VERSION,
        "patient_id": patient,
        "input_sha256": library.input_sha256,
        "settings": to_json(settings),
        **preparation_of(library),
        "markers": [to_json(marker) for marker in markers],
    }
    write_document(out, document, json_output)
    taken = [marker for marker in markers if marker.taken]
    for marker in taken or markers[:1]:
        say(f"{marker.target_id}  {marker.genes}  {marker.reason}")
    say(f"{len(taken)} of {len(markers)} candidates can be followed; all, with reasons, in {out}")


def track(
    reads: Reads,
    markers: Annotated[
        Path, typer.Option("--markers", metavar="markers.json", help="What `nadir ngs index` wrote.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="result.json", help="Result with its limit of detection.")
    ],
    mates: Mates = None,
    spike_ins: SpikeIns = None,
    cells: CellCount = None,
    dna_ng: DnaNg = None,
    config: ConfigFile = None,
    germline: Germline = None,
    control: Annotated[
        Path | None,
        typer.Option(
            "--control",
            metavar="control.json",
            help="What `nadir ngs control` wrote of the run; what hopping explains is then not called.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            metavar="READS",
            help="Reads of diagnosis (merged or single): a subclone beside the clone is looked up there.",
        ),
    ] = None,
    timepoint: Timepoint = "FU1",
    collected_on: CollectedOn = NO_DATE,
    material: MaterialName = "bone_marrow",
    json_output: Json = False,
) -> None:
    """Look for the clone's markers in a later sample and say what could have been seen."""
    from mrd_ngs.base_quality import read_with_qualities
    from mrd_ngs.call import call_markers
    from mrd_ngs.germline import germline_of
    from mrd_ngs.marker_files import germline_note, read_hopped, read_markers
    from pipeline.formats.records import to_json

    known = read_markers(markers)
    patient = known[0].patient_id if known else "P1"
    sample = sample_of(reads, mates, spike_ins, cells, dna_ng, patient, timepoint, collected_on, material)
    settings = settings_of(config, germline)
    note = germline_note(known, germline_of(settings).version)
    if note is not None:
        say(note)
    library = read_with_qualities(sample, settings)
    hopped = None if control is None else read_hopped(control, patient, library.input_sha256)
    before = None
    if baseline is not None:
        given = (baseline, None, spike_ins, None, None, patient, "BASE", NO_DATE, material)
        before = read_with_qualities(sample_of(*given), settings)
    calls = call_markers([library], known, settings=settings, hopped=hopped, baseline=before)
    document = {
        **to_json(calls.results[-1]),  # the clone's, where there are several markers
        "targets": [to_json(result) for result in calls.results],
        "evidence": [to_json(found) for found in calls.tracks],
        "settings": to_json(settings),
        **preparation_of(library),
    }
    write_document(out, document, json_output)
    for result in calls.results:
        say(_in_words(result))


def clones(
    reads: Reads,
    out: Annotated[
        Path, typer.Option("--out", metavar="clones.airr.tsv", help="AIRR table, one row a clone.")
    ],
    mates: Mates = None,
    spike_ins: SpikeIns = None,
    cells: CellCount = None,
    dna_ng: DnaNg = None,
    config: ConfigFile = None,
    germline: Germline = None,
    rarefy: Annotated[
        int,
        typer.Option("--rarefy", min=1, metavar="N", help="Diversity is also given at this many templates."),
    ] = 1000,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the rarefaction: same seed, same values.")
    ] = 1,
    json_output: Json = False,
) -> None:
    """List the clones of a library and the diversity of each locus."""
    import numpy as np

    from mrd_ngs.base_quality import read_with_qualities
    from mrd_ngs.clonotype import find_clonotypes, write_clonotypes
    from mrd_ngs.diversity import measure_loci
    from pipeline.formats.atomic import canonical_json
    from pipeline.formats.records import to_json

    sample = sample_of(reads, mates, spike_ins, cells, dna_ng, "P1", "CLONES", NO_DATE, "bone_marrow")
    settings = settings_of(config, germline)
    library = read_with_qualities(sample, settings)
    repertoire = find_clonotypes(library, settings)
    write_clonotypes(out, repertoire.clonotypes)
    loci = measure_loci(repertoire.clonotypes, rarefied_to=rarefy, rng=np.random.default_rng(seed))
    document = {
        "input_sha256": library.input_sha256,
        **preparation_of(library),
        "kept_reads": {fate.fate: fate.reads for fate in repertoire.fates},
        "clones": len(repertoire.clonotypes),
        "diversity": [to_json(locus) for locus in loci],
    }
    if json_output:
        typer.echo(canonical_json(document), nl=False)
    for locus in loci:
        rarefied = (
            "too few to rarefy"
            if locus.rarefied_clones is None
            else f"{locus.rarefied_clones:.0f} clones in {locus.rarefied_to:,}"
        )
        say(
            f"{locus.locus}: {locus.clones:,} clones of {locus.individuals:,} {locus.counted}, the largest "
            f"{100 * locus.largest_share:.2g} %; Shannon {locus.shannon:.2f} nats, Gini-Simpson "
            f"{locus.gini_simpson:.4f}, Chao1 {locus.chao1:,.0f}; {rarefied}"
        )
    say(f"{len(repertoire.clonotypes):,} clones written to {out}")


def _in_words(result: "MrdResult") -> str:
    from pipeline.model import format_fraction

    value = "" if result.value is None else f" {format_fraction(result.value)}"
    interval = (
        ""
        if result.ci_low is None
        else f" (95 % {format_fraction(result.ci_low)} to {format_fraction(result.ci_high)})"
    )
    limit = f"; limit of detection {format_fraction(result.lod)}" if result.lod is not None else ""
    return (
        f"{result.target_id}: {result.status}{value}{interval}{limit} [{result.reason}]\n"
        f"  {result.lod_basis}\n  qc: {result.qc}"
    )
