"""``nadir cfdna fraction``: tumour fraction from copy number."""

from pathlib import Path
from typing import Annotated

import typer

from cfdna.cli.options import ConfigFile, Reference, settings_of
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

__all__ = ["fraction"]


def fraction(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="BAM|BINS.tsv",
            help="BAM aligned to GRCh38, or bins: chrom,start,end,count[,gc,mappability].",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="result.json", help="Result with its limit of detection.")
    ],
    karyotype: Annotated[
        Path | None,
        typer.Option(
            "--karyotype", metavar="K.bed", help="The tumour's segments: chrom, start, end, copies."
        ),
    ] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Without a karyotype.")] = False,
    reference: Reference = None,
    config: ConfigFile = None,
    patient: Patient = "P1",
    timepoint: Timepoint = "FU1",
    collected_on: CollectedOn = NO_DATE,
    material: MaterialName = "plasma",
    json_output: Json = False,
) -> None:
    """Tumour fraction from gains and losses: shallow WGS, or reads off a panel's targets."""
    from cfdna.copy_number.bin_files import count_bins, read_bins, read_karyotype
    from cfdna.copy_number.fraction import call_blind, call_informed
    from pipeline.errors import UsageError
    from pipeline.formats.digest import sha256_file
    from pipeline.formats.records import to_json
    from pipeline.formats.single_sample import single_sample
    from pipeline.model import Assay, format_fraction

    if blind == (karyotype is not None):
        raise UsageError("Expected: either --karyotype K.bed or --blind")
    settings = settings_of(config)
    sample = single_sample(
        Assay.CFDNA,
        [source],
        patient=patient,
        timepoint=timepoint,
        collected_on=collected_on,
        material=material,
    )
    if source.suffix.lower() in (".bam", ".cram"):
        quality = settings.mapping_quality_min
        bins = count_bins(source, bin_nt=settings.bin_nt, reference=reference, mapping_quality_min=quality)
    else:
        bins = read_bins(source)
    digest = sha256_file(source)
    document: dict[str, object] = {"settings": to_json(settings), "mode": "blind" if blind else "informed"}
    if karyotype is not None:
        informed = call_informed(sample, bins, read_karyotype(karyotype), settings, input_sha256=digest)
        result = informed.result
        document["estimate"] = None if informed.estimate is None else to_json(informed.estimate)
    else:
        found = call_blind(sample, bins, settings, input_sha256=digest)
        result = found.result
        states = found.explanation.states if found.explanation is not None else ()
        segments = found.levels.segments if found.levels is not None else ()
        document["segments"] = [
            {**to_json(s), "copies": state.copies} for s, state in zip(segments, states, strict=True)
        ]
    write_document(out, {**to_json(result), **document}, json_output)
    value = "" if result.value is None else f" tumour fraction {format_fraction(result.value)}"
    if result.ci_low is not None:
        value += f" (95 % {format_fraction(result.ci_low)} to {format_fraction(result.ci_high)})"
    limit = f"; limit of detection {format_fraction(result.lod)}" if result.lod is not None else ""
    say(f"{result.status}{value}{limit} [{result.reason}]\n  {result.lod_basis}")
