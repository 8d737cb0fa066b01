"""``nadir clinical stage``, ``eligibility`` and ``fish``: one table of patients or probes in, one out."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.notes import say
from pipeline.formats.csv_table import write_csv
from pipeline.workflow.clinical_tables import rule_set

__all__ = ["eligibility", "fish", "stage"]


def stage(
    baseline: Annotated[
        Path,
        typer.Argument(
            metavar="BASELINE.csv",
            help="One row a patient: laboratory values and FISH; an empty cell was not tested.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="STAGE.csv", help="Stage table.", show_default=False)],
) -> None:
    """ISS, R-ISS, R2-ISS and IMS 2025: a stage where every result of the missing tests gives it.

    Whatever had to be mended in the table is said on stderr.
    """
    from pipeline.clinical.baseline import BASELINE_COLUMNS, STAGE_COLUMNS, stages_from_table
    from pipeline.formats.delimited import read_table

    patients, notes = stages_from_table(read_table(baseline, BASELINE_COLUMNS), path=baseline)
    say(notes)
    rows = [
        (
            p.patient_id,
            p.staging.iss,
            p.staging.r_iss,
            p.staging.r2_iss,
            p.staging.ims_2025,
            ";".join(p.missing),
        )
        for p in patients
    ]
    write_csv(out, STAGE_COLUMNS, rows)


def eligibility(
    baseline: Annotated[
        Path,
        typer.Argument(
            metavar="BASELINE.csv",
            help="One row a patient: patient_id, and any of the columns of docs/methods/endpoints.md.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="ELIGIBILITY.csv", help="Table of answers.", show_default=False)
    ],
    rules: Annotated[
        str, typer.Option("--rules", metavar="NAME", help="Rule set that says what is measurable.")
    ] = "imwg2016",
) -> None:
    """Myeloma-defining events (CRAB, SLiM) and measurable disease: YES, NO or NOT_ASSESSABLE.

    What would decide an open answer is named as missing.
    """
    from pipeline.clinical.eligibility import (
        ELIGIBILITY_COLUMNS,
        ELIGIBILITY_INPUTS,
        baselines_from_table,
        judge_eligibility,
    )
    from pipeline.formats.delimited import read_table

    columns = ("patient_id", *ELIGIBILITY_INPUTS)
    read = baselines_from_table(read_table(baseline, columns), path=baseline)
    say(read.notes)
    chosen = rule_set(rules)
    write_csv(out, ELIGIBILITY_COLUMNS, [judge_eligibility(row, chosen).cells for row in read.rows])


def fish(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="FISH.csv",
            help="One row a probe: patient_id,date,probe,cells_scored,percent_positive,copies,cutoff.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FISH.csv", help="Table of calls.", show_default=False)
    ],
) -> None:
    """Every FISH probe by the laboratory's cut-off, with the exact interval of its percentage."""
    from pipeline.clinical.fish import FISH_COLUMNS, FISH_RESULT_COLUMNS, fish_from_table, judge_fish
    from pipeline.formats.delimited import read_table

    read = fish_from_table(read_table(table, FISH_COLUMNS), path=table)
    say(read.notes)
    ordered = sorted(read.rows, key=lambda i: (i.patient_id, i.day, i.probe))
    write_csv(out, FISH_RESULT_COLUMNS, [judge_fish(item).cells for item in ordered])
