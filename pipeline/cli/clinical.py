"""``nadir clinical``: response, staging and endpoints from tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.clinical_patients import eligibility, fish, stage
from pipeline.cli.figures import Language, words_of, write_figures
from pipeline.cli.notes import say
from pipeline.clinical.interval_kind import IntervalKind
from pipeline.formats.atomic import write_text
from pipeline.formats.csv_table import csv_text, number_cell, write_csv

__all__ = ["app"]

app = typer.Typer(
    help="Response, staging and endpoints from laboratory and follow-up tables.", no_args_is_help=True
)
app.command()(stage)
app.command()(eligibility)
app.command()(fish)


@app.command()
def respond(
    labs: Annotated[
        Path,
        typer.Argument(
            metavar="LABS.csv",
            help="One row a value: patient_id,date,test,value,unit,source_row.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="RESPONSE.csv", help="Response table.", show_default=False)
    ],
    rules: Annotated[
        str, typer.Option("--rules", metavar="NAME", help="Rule set that ships with nadir.")
    ] = "imwg2016",
) -> None:
    """IMWG response of every visit: unconfirmed, confirmed, best so far, with reason and evidence.

    Whatever had to be mended in the table is said on stderr.
    """
    from pipeline.clinical.confirmation import RESPONSE_COLUMNS, respond
    from pipeline.clinical.laboratory import LAB_COLUMNS, labs_from_table
    from pipeline.clinical.visits import histories
    from pipeline.formats.delimited import read_table
    from pipeline.workflow.clinical_tables import rule_set

    chosen = rule_set(rules)
    table = labs_from_table(read_table(labs, LAB_COLUMNS), path=labs)
    say(table.notes)
    rows = [
        (
            r.patient_id,
            r.day.isoformat(),
            r.response.label,
            r.confirmed.label,
            r.best_confirmed.label,
            r.confirmed_by,
            r.reason,
            ";".join(r.rows),
        )
        for history in histories(table.values)
        for r in respond(history, chosen)
    ]
    write_csv(out, RESPONSE_COLUMNS, rows)


@app.command()
def stratify(
    responses: Annotated[
        Path,
        typer.Argument(
            metavar="RESPONSE.csv",
            help="Table of `respond`; also reads site_response, transplant_on, days_after_transplant.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="STRATA.csv", help="Table of allocations.", show_default=False),
    ],
    treatment: Annotated[
        Path | None,
        typer.Option(
            "--treatment", metavar="TREATMENT.csv", help="Day of transplant: the start of the phase ASCT."
        ),
    ] = None,
) -> None:
    """The arm by the response of day 60 to 90 after transplant.

    An allocation once written is never edited: rows are appended to STRATA.csv, and a response that
    would now lead elsewhere is one more row and a sentence on stderr.
    """
    from pipeline.clinical.allocation_log import (
        STRATA_COLUMNS,
        added_rows,
        candidates,
        strata_from_table,
    )
    from pipeline.clinical.response_table import RESPONSE_READ_COLUMNS, responses_from_table
    from pipeline.clinical.treatment import COURSE_COLUMNS, Course, transplants, treatment_from_table
    from pipeline.formats.delimited import read_table

    read = responses_from_table(read_table(responses, RESPONSE_READ_COLUMNS), path=responses)
    say(read.notes)
    transplanted = {}
    if treatment is not None:
        table = treatment_from_table(read_table(treatment, COURSE_COLUMNS), path=treatment)
        say(table.notes)
        transplanted = transplants(r for r in table.rows if isinstance(r, Course))
    existing = strata_from_table(read_table(out, STRATA_COLUMNS), path=out) if out.exists() else ()
    added = added_rows(existing, candidates(read.rows, transplanted))
    _append(out, STRATA_COLUMNS, [row.cells for row in added])
    say([f"{row.patient_id}: {row.queries}" for row in added if row.queries])


@app.command()
def endpoints(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Batch, or folder with any of time_to_event, labs or response, baseline, treatment, "
            "harvest, adverse_events, outcome, imaging, mrd, lesions, fish (.csv).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the tables.", show_default=False)
    ],
    interval: Annotated[
        IntervalKind, typer.Option("--interval", help="Scale of the intervals of survival.csv.")
    ] = IntervalKind.LOG_LOG,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="CONFIG.toml", help="Names the clinical tables of a batch, and thresholds."
        ),
    ] = None,
    rules: Annotated[
        str, typer.Option("--rules", metavar="NAME", help="Rule set by which labs.csv is judged.")
    ] = "imwg2016",
    language: Language = "en",
) -> None:
    """One table per endpoint, with intervals; a number that cannot be given has a reason instead.

    time_to_event.csv (patient_id,endpoint,time,event,group; event 0 censored, 1 event, 2 competing)
    gives survival.csv: Kaplan-Meier or, with competing events, Aalen-Johansen curves, log-rank test and
    Cox's model. baseline.csv names the patients of the intention-to-treat set and gives the others, and
    DIR/figures. What is left out is said on stderr.
    """
    from pipeline.clinical.mrd_endpoints import THRESHOLDS
    from pipeline.clinical.trial_endpoints import endpoint_tables
    from pipeline.workflow.clinical_tables import named_files, read_trial

    texts = words_of(language)
    files, thresholds = named_files(folder), THRESHOLDS
    if config is not None:
        from pipeline.workflow.config import load_config

        loaded = load_config(config)
        files, thresholds = named_files(folder, loaded.clinical), loaded.thresholds
    trial, notes = read_trial(files, rules=rules)
    say(notes)
    if trial.patients:
        tables, left_out = endpoint_tables(trial, thresholds=thresholds)
    elif "time_to_event" in files and len(files) == 1:
        tables, left_out = (), ()
    else:
        tables, left_out = (), ("no baseline.csv names the enrolled patients: no endpoint of them is made",)
    if "time_to_event" in files:
        _write_survival(files["time_to_event"], out / "survival.csv", interval)
    for table in tables:
        write_csv(out / f"{table.name}.csv", table.columns, table.rows)
    say(left_out)
    if trial.patients:
        from pipeline.report.figures.trial import trial_figures

        threshold = 1e-5 if 1e-5 in thresholds else thresholds[0]
        write_figures(out / "figures", trial_figures(trial, threshold, texts))


def _write_survival(path: Path, out: Path, interval: IntervalKind) -> None:
    from pipeline.clinical.endpoints import (
        SURVIVAL_COLUMNS,
        TIME_COLUMNS,
        observations_from_table,
        survival_table,
    )
    from pipeline.formats.delimited import read_table

    observed, mended = observations_from_table(read_table(path, TIME_COLUMNS), path=path)
    rows, absent = survival_table(observed, interval=interval)
    say(mended)
    say(absent)
    write_csv(
        out,
        SURVIVAL_COLUMNS,
        [
            (
                r.endpoint,
                r.group,
                r.statistic,
                _digits(r.time),
                _digits(r.estimate),
                _digits(r.ci_low),
                _digits(r.ci_high),
                r.interval,
            )
            for r in rows
        ],
    )


def _append(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows at the end of a table; what stands in it keeps its bytes."""
    before = path.read_bytes().decode() if path.exists() else csv_text([columns])
    write_text(path, before + ("" if before.endswith("\n") else "\n") + csv_text(rows))


def _digits(value: float | None) -> str:
    """Twelve digits: more than any reference prints, fewer than rounding disturbs."""
    return number_cell(value, digits=12)
