"""``nadir ngs``: arguments only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mrd_ngs.evidence import Library
    from pipeline.model import Marker, MrdResult, Sample

__all__ = ["app"]

app = typer.Typer(
    help="Sequencing MRD: find the clone at diagnosis, follow it as cells per million.", no_args_is_help=True
)

_NO_DATE = "1900-01-01"

Reads = Annotated[
    Path,
    typer.Argument(metavar="READS", help="FASTQ, plain or gzip: merged or single reads.", show_default=False),
]
Mates = Annotated[
    Path | None,
    typer.Argument(metavar="[MATES]", help="Refused for now: merge paired reads first.", show_default=False),
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
Patient = Annotated[str, typer.Option("--patient", metavar="ID", help="Pseudonym written into the result.")]
Timepoint = Annotated[str, typer.Option("--timepoint", metavar="CODE", help="Code written into the result.")]
CollectedOn = Annotated[
    str,
    typer.Option(
        "--collected-on",
        metavar="YYYY-MM-DD",
        help="Date written into the result; 1900-01-01 stands for not given.",
    ),
]
MaterialName = Annotated[
    str,
    typer.Option(
        "--material",
        help="bone_marrow, peripheral_blood, plasma or stem_cell_product; written into the result.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]


@app.command()
def annotate(
    reads: Reads,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="X.airr.tsv[.gz]", help="AIRR Rearrangement table.", show_default=False
        ),
    ],
    threads: Annotated[int, typer.Option("--threads", min=1, help="Batches annotated at once.")] = 1,
) -> None:
    """Annotate every read, on either strand: V, D, J, junction, alignments, as an AIRR table."""
    from mrd_ngs.annotate import write_airr
    from mrd_ngs.germline import load_germline
    from pipeline.formats.fastq import read_fastq

    named = ((read.name, read.sequence) for read in read_fastq(reads))
    count = write_airr(out, named, load_germline(), threads=threads)
    _say(
        f"{count.rearrangements:,} of {count.reads:,} reads carry a rearrangement, "
        f"{count.junctions:,} a junction; written to {out}"
    )


@app.command()
def index(
    reads: Reads,
    out: Annotated[
        Path, typer.Option("--out", metavar="markers.json", help="Every candidate, taken or not.")
    ],
    mates: Mates = None,
    spike_ins: SpikeIns = None,
    cells: CellCount = None,
    dna_ng: DnaNg = None,
    patient: Patient = "P1",
    timepoint: Timepoint = "BASE",
    collected_on: CollectedOn = _NO_DATE,
    material: MaterialName = "bone_marrow",
    json_output: Json = False,
) -> None:
    """Find the rearrangements at diagnosis by which the clone can be followed."""
    from mrd_ngs.call import METHOD_VERSION
    from mrd_ngs.evidence import NgsSettings
    from mrd_ngs.index_clone import index_markers
    from mrd_ngs.read import read_library
    from pipeline.formats.records import to_json

    sample = _sample(reads, mates, spike_ins, cells, dna_ng, patient, timepoint, collected_on, material)
    settings = NgsSettings()
    library = read_library(sample, settings)
    markers = index_markers(library, settings)
    document = {
        "method_version": METHOD_VERSION,
        "patient_id": patient,
        "input_sha256": library.input_sha256,
        "settings": to_json(settings),
        "reads": _reads_of(library),
        "markers": [to_json(marker) for marker in markers],
    }
    _write(out, document, json_output)
    taken = [marker for marker in markers if marker.taken]
    for marker in taken or markers[:1]:
        genes = f"{marker.v_call.split(',')[0]} {marker.j_call.split(',')[0]}"
        _say(f"{marker.target_id}  {genes}  {marker.reason}")
    _say(f"{len(taken)} of {len(markers)} candidates can be followed; all, with reasons, in {out}")


@app.command()
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
    control: Annotated[
        Path | None,
        typer.Option(
            "--control",
            metavar="control.json",
            help="What `nadir ngs control` wrote of the run; what hopping explains is then not called.",
        ),
    ] = None,
    timepoint: Timepoint = "FU1",
    collected_on: CollectedOn = _NO_DATE,
    material: MaterialName = "bone_marrow",
    json_output: Json = False,
) -> None:
    """Look for the clone's markers in a later sample and say what could have been seen."""
    from mrd_ngs.call import call_markers
    from mrd_ngs.evidence import NgsSettings
    from mrd_ngs.marker_files import read_hopped, read_markers
    from mrd_ngs.read import read_library
    from pipeline.formats.records import to_json

    known = read_markers(markers)
    patient = known[0].patient_id if known else "P1"
    sample = _sample(reads, mates, spike_ins, cells, dna_ng, patient, timepoint, collected_on, material)
    settings = NgsSettings()
    library = read_library(sample, settings)
    hopped = None if control is None else read_hopped(control, patient, library.input_sha256)
    calls = call_markers([library], known, settings=settings, hopped=hopped)
    document = {
        **to_json(calls.results[-1]),  # the clone's, where there are several markers
        "targets": [to_json(result) for result in calls.results],
        "evidence": [to_json(found) for found in calls.tracks],
        "settings": to_json(settings),
        "reads": _reads_of(library),
    }
    _write(out, document, json_output)
    for result in calls.results:
        _say(_in_words(result))


@app.command()
def clones(
    reads: Reads,
    out: Annotated[
        Path, typer.Option("--out", metavar="clones.airr.tsv", help="AIRR table, one row a clone.")
    ],
    mates: Mates = None,
    spike_ins: SpikeIns = None,
    cells: CellCount = None,
    dna_ng: DnaNg = None,
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

    from mrd_ngs.clonotype import find_clonotypes, write_clonotypes
    from mrd_ngs.diversity import measure_loci
    from mrd_ngs.evidence import NgsSettings
    from mrd_ngs.read import read_library
    from pipeline.formats.atomic import canonical_json
    from pipeline.formats.records import to_json

    sample = _sample(reads, mates, spike_ins, cells, dna_ng, "P1", "CLONES", _NO_DATE, "bone_marrow")
    settings = NgsSettings()
    library = read_library(sample, settings)
    repertoire = find_clonotypes(library, settings)
    write_clonotypes(out, repertoire.clonotypes)
    loci = measure_loci(repertoire.clonotypes, rarefied_to=rarefy, rng=np.random.default_rng(seed))
    document = {
        "input_sha256": library.input_sha256,
        "reads": _reads_of(library),
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
        _say(
            f"{locus.locus}: {locus.clones:,} clones of {locus.individuals:,} {locus.counted}, the largest "
            f"{100 * locus.largest_share:.2g} %; Shannon {locus.shannon:.2f} nats, Gini-Simpson "
            f"{locus.gini_simpson:.4f}, Chao1 {locus.chao1:,.0f}; {rarefied}"
        )
    _say(f"{len(repertoire.clonotypes):,} clones written to {out}")


@app.command()
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
    from mrd_ngs.evidence import NgsSettings
    from mrd_ngs.marker_files import read_markers
    from mrd_ngs.read import read_library
    from mrd_ngs.run_control import Role, judge_run, tally
    from pipeline.errors import GateFailed
    from pipeline.formats.records import to_json

    known = [read_markers(path) for path in markers]
    owners = _owners(reads, known, patient)
    settings = NgsSettings()
    tracked = [marker for listed in known for marker in listed if marker.taken]
    tallies = []
    for path, owner in zip(reads, owners, strict=True):  # one library at a time is held
        role = Role(owner) if owner in (Role.NEGATIVE, Role.POLYCLONAL) else Role.PATIENT
        sample = _sample(path, None, spike_ins, None, None, owner, "RUN", _NO_DATE, "bone_marrow")
        tallies.append(tally(read_library(sample, settings), role, tracked, settings))
    judged = judge_run(tallies, tracked, settings, hop_rate=hop_rate)
    document = {"method_version": METHOD_VERSION, "settings": to_json(settings), **to_json(judged)}
    _write(out, document, json_output)
    rate = judged.hop_rate
    _say(f"hopping: {rate.rate:.2g} of a sample's reads in each other, up to {rate.high:.2g} ({rate.basis})")
    for verdict in judged.samples:
        name = f"sample {verdict.sample} ({verdict.patient_id or verdict.role})"
        _say(f"{name}: {'passed' if verdict.passed else 'FAILED'}")
        for line in (*verdict.problems, *verdict.notes):
            _say(f"  {line}")
    for one, other in judged.swapped:
        _say(f"samples {one} and {other} hold each other's clone: exchanged?")
    if not judged.passed:
        failed = sum(not verdict.passed for verdict in judged.samples)
        raise GateFailed(
            f"{failed} of {len(judged.samples)} samples of the run failed its control; see {out}"
        )


@app.command()
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
    json_output: Json = False,
) -> None:
    """Write a simulated patient's libraries: baseline, follow-ups, one of look-alikes only, and the truth."""
    from mrd_ngs.simulate import write_series
    from pipeline.formats.atomic import canonical_json

    truth = write_series(
        out,
        seed=seed,
        fractions=tuple(level) if level else (1e-3, 1e-5, 0.0),
        reads=reads,
        cells=cells,
        b_cells=b_cells,
        spike_copies=spike_copies,
        read_length=read_length,
    )
    if json_output:
        typer.echo(canonical_json(truth), nl=False)
    _say(f"{len(truth['libraries'])} libraries, spike_ins.tsv and truth.json written to {out}")


def _sample(
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


def _reads_of(library: "Library") -> dict[str, int]:
    return {"input": library.input_reads, **{fate.fate: fate.reads for fate in library.fates}}


def _write(out: Path, document: dict[str, Any], json_output: bool) -> None:
    from pipeline.formats.atomic import canonical_json, write_json

    write_json(out, document)
    if json_output:
        typer.echo(canonical_json(document), nl=False)


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


def _say(text: str) -> None:
    typer.echo(text, err=True)
