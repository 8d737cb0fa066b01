"""``nadir flow``: arguments only."""

from pathlib import Path
from typing import Annotated

import typer

from mrd_flow.cytof.cli import cytof
from mrd_flow.export.cli import export
from pipeline.formats.sample_options import NO_DATE, CollectedOn, Json, MaterialName, Patient, Timepoint

__all__ = ["app"]

app = typer.Typer(
    help="Flow cytometry MRD: from FCS files to aberrant plasma cells per nucleated cell.",
    no_args_is_help=True,
)

app.command()(export)
app.command()(cytof)

PanelName = Annotated[
    str,
    typer.Option(
        "--panel", metavar="NAME|P.toml", help="euroflow, srl, or your own template.", show_default=False
    ),
]


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FCS 2.0 to 3.2, or LMD.", show_default=False)],
    json_output: Json = False,
) -> None:
    """Show what is in a file, and what is wrong with it."""
    from mrd_flow.fcs.inspection import inspect_file, show_inspection
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
    patient: Patient = "P1",
    timepoint: Timepoint = "FU1",
    collected_on: CollectedOn = NO_DATE,
    material: MaterialName = "bone_marrow",
    diagnosis: Annotated[
        Path | None,
        typer.Option("--diagnosis", metavar="D.json", help="Result of the sample at diagnosis, same panel."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="R.json",
            help="Normal plasma cells, of nadir flow reference; else shipped.",
        ),
    ] = None,
    overrides: Annotated[
        Path | None,
        typer.Option("--overrides", metavar="O.toml", help="Gates moved by hand; both results are kept."),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option("--events", metavar="X.parquet", help="Also write every plasma cell with its class."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures", metavar="DIR", help="Also draw every gate, the plasma cells and the acquisition."
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Count aberrant plasma cells per nucleated cell and say what could have been seen."""
    from rich.console import Console

    from mrd_flow.call import call_patient
    from mrd_flow.evidence import FlowSettings
    from mrd_flow.gating.override_file import read_overrides
    from mrd_flow.panel.template import load_panel
    from mrd_flow.plasma_cells.classification import knowledge_of
    from mrd_flow.plasma_cells.diagnosis import read_diagnosis
    from mrd_flow.plasma_cells.merged import merge_tubes, write_cells
    from mrd_flow.read import count_sample, open_sample
    from mrd_flow.result_document import result_document
    from mrd_flow.result_text import show_result
    from pipeline.formats.atomic import canonical_json, write_json
    from pipeline.formats.single_sample import single_sample
    from pipeline.model import Assay

    settings = FlowSettings(reference=reference)
    template = load_panel(panel)
    known = knowledge_of(template, settings, read_diagnosis(diagnosis, template) if diagnosis else None)
    corrections = read_overrides(overrides) if overrides else ()
    sample = single_sample(
        Assay.FLOW,
        tubes,
        panel=template.name,
        patient=patient,
        timepoint=timepoint,
        collected_on=collected_on,
        material=material,
    )
    opened = open_sample(sample, template, settings)
    counted = count_sample(opened, known, settings)
    calls = call_patient([counted.evidence], settings=settings)
    threshold = settings.wanted_lod
    document, automatic = result_document(counted.evidence, calls, threshold=threshold), None
    if corrections:
        automatic = calls
        counted = count_sample(opened, known, settings, overrides=corrections, before=counted)
        calls = call_patient([counted.evidence], settings=settings)
        document = result_document(counted.evidence, calls, threshold=threshold, automatic=document)
    write_json(out, document)
    if events is not None:
        write_cells(events, merge_tubes(counted.cells))
    if pictures is not None:
        from mrd_flow.pictures.sample import write_pictures

        write_pictures(
            pictures,
            opened.tubes,
            counted.gated,
            counted.classified,
            template,
            known.references,
            chunk_events=settings.chunk_events,
        )
    if json_output:
        typer.echo(canonical_json(document), nl=False)
    show_result(
        Console(stderr=True, highlight=False),
        counted.evidence,
        calls,
        threshold=threshold,
        automatic=automatic,
        written=[out, *(p for p in (events, pictures and pictures / "index.html") if p is not None)],
    )


@app.command()
def reference(
    tubes: Annotated[
        list[Path],
        typer.Argument(
            metavar="TUBE...",
            help="FCS files of marrows without disease: all tubes of the first marrow, of the second, ...",
            show_default=False,
        ),
    ],
    panel: PanelName,
    out: Annotated[Path, typer.Option("--out", metavar="R.json", help="For nadir flow mrd --reference.")],
    version: Annotated[str, typer.Option("--version", help="What the reference calls itself.")] = "1",
) -> None:
    """Learn normal plasma cells from the laboratory's own marrows without disease."""
    from mrd_flow.evidence import FlowSettings
    from mrd_flow.learn_panel import learn_panel_reference, marrows_of
    from mrd_flow.panel.template import load_panel
    from mrd_flow.reference.panel_reference import save_panel_reference

    template = load_panel(panel)
    marrows = marrows_of(tubes, template)
    learned = learn_panel_reference(marrows, template, FlowSettings(), version=version)
    save_panel_reference(out, learned)
    for found in learned:
        typer.echo(
            f"tube {found.tube}: {found.cells} plasma cells of {found.marrows} marrows, "
            f"{len(found.names)} kinds of them",
            err=True,
        )
    typer.echo(f"written to {out}", err=True)


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
    from mrd_flow.engine.gatingml import apply_gates, write_gates
    from mrd_flow.fcs.data_sets import read_data_sets

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
    from mrd_flow.panel.template import load_panel
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
