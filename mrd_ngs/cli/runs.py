"""``nadir ngs control|simulate``: the samples of a run together."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mrd_ngs.cli.options import ConfigFile, SpikeIns, sample_of, settings_of
from pipeline.formats.sample_options import NO_DATE, Json, say, write_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.model import Marker

__all__ = ["control", "simulate"]


def control(
    reads: Annotated[
        list[Path],
        typer.Argument(metavar="READS...", help="One file of each sample of the run.", show_default=False),
    ],
    markers: Annotated[
        list[Path],
        typer.Option("--markers", metavar="M.json", help="What `nadir ngs index` wrote, of every patient."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="control.json", help="The run, judged.")],
    patient: Annotated[
        list[str] | None,
        typer.Option(
            "--patient",
            metavar="ID",
            help="Whose sample each READS is, in their order; negative_control and polyclonal_control for "
            "controls. May be left out where READS and --markers are as many and in one order.",
        ),
    ] = None,
    spike_ins: SpikeIns = None,
    config: ConfigFile = None,
    hop_rate: Annotated[
        float | None,
        typer.Option(
            "--hop-rate",
            min=0.0,
            max=0.5,
            help="Share of a sample's reads expected in each other sample; else the run tells it.",
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Look for every marker in every sample of a run: contamination, index hopping, exchanged samples."""
    from mrd_ngs.call import METHOD_VERSION
    from mrd_ngs.controls import read_control
    from mrd_ngs.germline import germline_of
    from mrd_ngs.marker_files import germline_note, read_markers
    from mrd_ngs.read import read_library
    from mrd_ngs.run_control import judge_run, tally
    from pipeline.errors import GateFailed
    from pipeline.formats.records import to_json
    from pipeline.model import Role

    known = [read_markers(path) for path in markers]
    owners = _owners(reads, known, patient)
    settings = settings_of(config)
    note = germline_note([m for listed in known for m in listed], germline_of(settings).version)
    if note is not None:
        say(note)
    tracked = [marker for listed in known for marker in listed if marker.taken]
    tallies = []
    for path, owner in zip(reads, owners, strict=True):  # one library at a time is held
        role = Role(owner) if owner in (Role.NEGATIVE, Role.POLYCLONAL) else Role.PATIENT
        given = sample_of(path, None, spike_ins, None, None, owner, "RUN", NO_DATE, "bone_marrow")
        sample = dataclasses.replace(given, role=role)
        library = (read_control if sample.is_control else read_library)(sample, settings)
        tallies.append(tally(library, role, tracked, settings))
    judged = judge_run(tallies, tracked, settings, hop_rate=hop_rate)
    document = {"method_version": METHOD_VERSION, "settings": to_json(settings), **to_json(judged)}
    write_document(out, document, json_output)
    rate = judged.hop_rate
    say(f"hopping: {rate.rate:.2g} of a sample's reads in each other, up to {rate.high:.2g} ({rate.basis})")
    for verdict in judged.samples:
        name = f"sample {verdict.sample} ({verdict.patient_id or verdict.role})"
        say(f"{name}: {'passed' if verdict.passed else 'FAILED'}")
        for line in (*verdict.problems, *verdict.notes):
            say(f"  {line}")
    for one, other in judged.swapped:
        say(f"samples {one} and {other} hold each other's clone: exchanged?")
    if not judged.passed:
        failed = sum(not verdict.passed for verdict in judged.samples)
        raise GateFailed(
            f"{failed} of {len(judged.samples)} samples of the run failed its control; see {out}"
        )


def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for reads, spike-ins and truth.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 1,
    level: Annotated[
        list[float] | None,
        typer.Option(
            "--mrd",
            min=0.0,
            max=1.0,
            help="A follow-up's clonal fraction of cells; repeatable [1e-3 1e-5 0].",
        ),
    ] = None,
    reads: Annotated[int, typer.Option("--reads", min=1000, help="Reads of each library.")] = 30_000,
    cells: Annotated[
        int, typer.Option("--cells", min=1000, help="Nucleated cells of each follow-up.")
    ] = 1_000_000,
    b_cells: Annotated[int, typer.Option("--b-cells", min=0, help="Polyclonal B cells among them.")] = 4000,
    spike_copies: Annotated[
        int, typer.Option("--spike-copies", min=1, help="Copies of each of nine spike-ins.")
    ] = 40,
    read_length: Annotated[
        int, typer.Option("--read-length", min=150, max=300, help="In nucleotides.")
    ] = 230,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="A rearrangement of the clone beside IGH: IGK, IGL, DJ, V-Kde or intron-Kde; repeatable.",
        ),
    ] = None,
    mates_nt: Annotated[
        int, typer.Option("--mates-nt", min=0, help="Length of paired mates; 0 writes merged reads.")
    ] = 0,
    umi_nt: Annotated[int, typer.Option("--umi-nt", min=0, max=24, help="Length of UMIs; 0 for none.")] = 0,
    umi_in: Annotated[
        str,
        typer.Option(
            "--umi-in", help="Where a UMI stands: name (the read's), first, or both mates (at their start)."
        ),
    ] = "name",
    fragment_mean_nt: Annotated[
        float,
        typer.Option("--fragment-mean-nt", min=0.0, help="Mean length of degraded DNA; 0 for intact DNA."),
    ] = 0.0,
    json_output: Json = False,
) -> None:
    """Write a simulated patient's libraries: baseline, follow-ups, one of look-alikes only, and the truth."""
    from mrd_ngs.simulate import write_series
    from pipeline.errors import UsageError
    from pipeline.formats.atomic import canonical_json

    try:
        truth = write_series(
            out,
            seed=seed,
            fractions=tuple(level) if level else (1e-3, 1e-5, 0.0),
            reads=reads,
            cells=cells,
            b_cells=b_cells,
            spike_copies=spike_copies,
            read_length=read_length,
            kinds=("IGH", *dict.fromkeys(k for k in kind or () if k != "IGH")),
            mates_nt=mates_nt,
            umi_nt=umi_nt,
            umi_in=umi_in,
            fragment_mean_nt=fragment_mean_nt,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if json_output:
        typer.echo(canonical_json(truth), nl=False)
    say(f"{len(truth['libraries'])} libraries, spike_ins.tsv and truth.json written to {out}")


def _owners(
    reads: "Sequence[Path]", known: "Sequence[Sequence[Marker]]", patients: "Sequence[str] | None"
) -> list[str]:
    """Whose sample each file is."""
    from pipeline.errors import UsageError

    if patients is None:
        if len(reads) != len(known) or not all(known):
            raise UsageError(
                f"{len(reads)} samples and {len(known)} marker files, so whose sample is whose is not clear. "
                "Expected: --patient once for each READS, in their order"
            )
        return [listed[0].patient_id for listed in known]
    if len(patients) != len(reads):
        raise UsageError(f"{len(patients)} times --patient for {len(reads)} samples. Expected: one for each")
    return list(patients)
