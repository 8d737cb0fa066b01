"""``nadir flow``: arguments only."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mrd_flow.call import FlowCalls
    from mrd_flow.evidence import FlowEvidence

__all__ = ["app"]

app = typer.Typer(
    help="Flow cytometry MRD: from FCS files to aberrant plasma cells per nucleated cell.",
    no_args_is_help=True,
)

_NO_DATE = datetime(1900, 1, 1)

PanelName = Annotated[
    str,
    typer.Option(
        "--panel", metavar="NAME|P.toml", help="euroflow, srl, or your own template.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FCS 2.0 to 3.2, or LMD.", show_default=False)],
    json_output: Json = False,
) -> None:
    """Show what is in a file, and what is wrong with it."""
    from mrd_flow.inspection import inspect_file, show_inspection
    from pipeline.formats.atomic import canonical_json

    description = inspect_file(file)
    if json_output:
        typer.echo(canonical_json(description), nl=False)
        return
    from rich.console import Console

    show_inspection(description, Console(highlight=False))


@app.command()
def mrd(
    tubes: Annotated[
        list[Path],
        typer.Argument(
            metavar="TUBE...", help="One FCS file per tube, in the template's order.", show_default=False
        ),
    ],
    panel: PanelName,
    out: Annotated[
        Path, typer.Option("--out", metavar="result.json", help="Result with its limit of detection.")
    ],
    patient: Annotated[
        str, typer.Option("--patient", metavar="ID", help="Pseudonym written into the result.")
    ] = "P1",
    timepoint: Annotated[
        str, typer.Option("--timepoint", metavar="CODE", help="Code written into the result.")
    ] = "FU1",
    collected_on: Annotated[
        datetime,
        typer.Option(
            "--collected-on",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Date written into the result; 1900-01-01 stands for not given.",
        ),
    ] = _NO_DATE,
    material: Annotated[
        str,
        typer.Option(
            "--material", help="bone_marrow, peripheral_blood or stem_cell_product; written into the result."
        ),
    ] = "bone_marrow",
    json_output: Json = False,
) -> None:
    """Count aberrant plasma cells per nucleated cell and say what could have been seen."""
    from mrd_flow.call import call_patient
    from mrd_flow.evidence import FlowSettings
    from mrd_flow.panel import load_panel
    from mrd_flow.read import read_tubes
    from pipeline.formats.atomic import canonical_json, write_json
    from pipeline.formats.single_sample import single_sample
    from pipeline.model import Assay

    settings = FlowSettings()
    template = load_panel(panel)
    sample = single_sample(
        Assay.FLOW,
        tubes,
        panel=template.name,
        patient=patient,
        timepoint=timepoint,
        collected_on=collected_on.date().isoformat(),
        material=material,
    )
    evidence, _ = read_tubes(sample, template, settings)
    calls = call_patient([evidence], settings=settings)
    document = _document(evidence, calls)
    write_json(out, document)
    if json_output:
        typer.echo(canonical_json(document), nl=False)
    _show(evidence, calls, out)


@app.command()
def gate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An FCS file.", show_default=False)],
    gates: Annotated[
        Path, typer.Option("--gates", metavar="G.xml|W.wsp", help="Gating-ML 2.0 or a FlowJo workspace.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for counts.tsv, membership.parquet.")
    ],
) -> None:
    """Apply the gates of a Gating-ML file or FlowJo workspace; memberships are FlowKit's, event for event."""
    from mrd_flow.fcs import read_data_sets
    from mrd_flow.gatingml import apply_gates, write_gates

    found = apply_gates(file, gates)
    write_gates(found, out)
    for anomaly in read_data_sets(file)[0].anomalies:
        if anomaly.grave:
            typer.echo(f"grave {anomaly.code}: {anomaly.text}", err=True)
    typer.echo(f"{len(found)} gates; counts.tsv and membership.parquet written to {out}", err=True)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the tubes and truth.json.")],
    panel: PanelName = "euroflow",
    events: Annotated[int, typer.Option("--events", min=0, help="Events of each tube.")] = 1_000_000,
    aberrant_fraction: Annotated[
        float, typer.Option("--aberrant-fraction", min=0.0, max=1.0, help="The clone, of nucleated cells.")
    ] = 1e-4,
    plasma_cell_fraction: Annotated[
        float,
        typer.Option(
            "--plasma-cell-fraction", min=0.0, max=1.0, help="Normal plasma cells, of nucleated cells."
        ),
    ] = 0.0025,
    phenotype: Annotated[
        str, typer.Option("--phenotype", help="classic, cd56_negative, cd45_positive or cd27_positive.")
    ] = "classic",
    light_chain: Annotated[
        str, typer.Option("--light-chain", help="cyKappa or cyLambda, of the clone.")
    ] = "cyKappa",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 1,
    event_truth: Annotated[
        bool, typer.Option("--event-truth", help="Also write each event's kind as tube_N.truth.npy.")
    ] = False,
) -> None:
    """Write the tubes of a simulated marrow as FCS files, and the truth beside them."""
    from mrd_flow.panel import load_panel
    from mrd_flow.simulate import simulate_sample

    truths = simulate_sample(
        out,
        load_panel(panel),
        events=events,
        aberrant_fraction=aberrant_fraction,
        plasma_cell_fraction=plasma_cell_fraction,
        phenotype=phenotype,
        light_chain=light_chain,
        seed=seed,
        event_truth=event_truth,
    )
    for truth in truths:
        typer.echo(
            f"tube {truth.tube}: {truth.events} events, {truth.nucleated} nucleated cells, "
            f"{truth.plasma_cells} plasma cells, {truth.aberrant} of them aberrant",
            err=True,
        )
    typer.echo(f"{len(truths)} tube(s) and truth.json written to {out}", err=True)


def _document(evidence: "FlowEvidence", calls: "FlowCalls") -> dict[str, Any]:
    """``result.json``: the result's fields, then tubes, gates and flags."""
    from pipeline.formats.records import to_json

    named = ("tube", "name", "events", "nucleated", "plasma_cells", "aberrant", "mismatch")
    return {
        **to_json(calls.results[0]),
        "panel_version": evidence.rules.version,
        "tubes": [
            {name: getattr(tube, name) for name in named}
            | {"anomalies": [to_json(a) for a in tube.anomalies]}
            for tube in evidence.tubes
        ],
        "gates": [to_json(g) | {"percent_parent": g.percent_parent} for g in calls.gates],
        "flags": [{"code": f.code, "text": f.text} for f in calls.flags],
    }


def _show(evidence: "FlowEvidence", calls: "FlowCalls", out: Path) -> None:
    """The result for people, on stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pipeline.model import format_fraction

    console = Console(stderr=True, highlight=False)
    result = calls.results[0]
    table = Table()
    for name in ("tube", "events", "nucleated cells", "plasma cells", "aberrant"):
        table.add_column(name, justify="left" if name == "tube" else "right")
    for tube in evidence.tubes:
        counts = (tube.events, tube.nucleated, tube.plasma_cells, tube.aberrant)
        table.add_row(escape(f"{tube.tube} {tube.name}"), *(f"{c:,}" for c in counts))
    console.print(table)
    console.print(f"[bold]{result.status}[/] ({result.reason})")
    if result.value is not None:
        interval = f"95 % interval {format_fraction(result.ci_low)} to {format_fraction(result.ci_high)}"
        console.print(f"{format_fraction(result.value)} of nucleated cells, {interval}")
    if result.lod is not None:
        limits = (format_fraction(result.lod), format_fraction(result.loq) or "none")
        console.print(f"limit of detection {limits[0]}, of quantification {limits[1]}")
    console.print(escape(result.lod_basis))
    for flag in calls.flags:
        console.print(escape(f"- {flag.code}: {flag.text}"))
    console.print(escape(f"written to {out}; research use, not for diagnosis"))
