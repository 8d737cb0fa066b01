"""``nadir clinical``: response, staging and endpoints from tables."""

import csv
import io
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.clinical.interval_kind import IntervalKind
from pipeline.errors import ConfigRefused
from pipeline.formats.atomic import write_text
from pipeline.formats.csv_table import number_cell, write_csv

if TYPE_CHECKING:
    from pipeline.clinical.rules import ResponseRules

__all__ = ["app"]

app = typer.Typer(
    help="Response, staging and endpoints from laboratory and follow-up tables.", no_args_is_help=True
)

_NOTES_SHOWN = 20


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

    rule_set = _rules(rules)
    table = labs_from_table(read_table(labs, LAB_COLUMNS), path=labs)
    _say(table.notes)
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
        for r in respond(history, rule_set)
    ]
    write_csv(out, RESPONSE_COLUMNS, rows)


@app.command()
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
    _say(notes)
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


@app.command()
def stratify(
    responses: Annotated[
        Path,
        typer.Argument(
            metavar="RESPONSE.csv",
            help="Table of `respond`; columns site_response, transplant_on and days_after_transplant are read.",
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
    _say(read.notes)
    transplanted = {}
    if treatment is not None:
        table = treatment_from_table(read_table(treatment, COURSE_COLUMNS), path=treatment)
        _say(table.notes)
        transplanted = transplants(r for r in table.rows if isinstance(r, Course))
    existing = strata_from_table(read_table(out, STRATA_COLUMNS), path=out) if out.exists() else ()
    added = added_rows(existing, candidates(read.rows, transplanted))
    _append(out, STRATA_COLUMNS, [row.cells for row in added])
    _say([f"{row.patient_id}: {row.queries}" for row in added if row.queries])


@app.command()
def endpoints(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder with time_to_event.csv: patient_id,endpoint,time,event,group "
            "(event 0 censored, 1 event, 2 competing).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for survival.csv.", show_default=False)
    ],
    interval: Annotated[
        IntervalKind, typer.Option("--interval", help="Scale of the intervals of curves.")
    ] = IntervalKind.LOG_LOG,
) -> None:
    """Kaplan-Meier or, with competing events, Aalen-Johansen curves; log-rank test and Cox's model.

    Groups are compared with the first of them in alphabetical order. A number that cannot be
    given is not in the table; the reason is said on stderr.
    """
    from pipeline.clinical.endpoints import (
        SURVIVAL_COLUMNS,
        TIME_COLUMNS,
        observations_from_table,
        survival_table,
    )
    from pipeline.formats.delimited import read_table

    path = folder / "time_to_event.csv"
    observations, mended = observations_from_table(read_table(path, TIME_COLUMNS), path=path)
    rows, absent = survival_table(observations, interval=interval)
    _say(mended)
    _say(absent)
    write_csv(
        out / "survival.csv",
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if path.exists():
        before = path.read_bytes().decode()
        text.write(before if before.endswith("\n") else before + "\n")
    else:
        writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _say(notes: Sequence[str]) -> None:
    """Notes on stderr; a table in another unit throughout has one per row, and the first tell it."""
    for note in notes[:_NOTES_SHOWN]:
        typer.echo(note, err=True)
    if len(notes) > _NOTES_SHOWN:
        typer.echo(f"and {len(notes) - _NOTES_SHOWN} more of the kind", err=True)


def _digits(value: float | None) -> str:
    """Twelve digits: more than any reference prints, fewer than rounding disturbs."""
    return number_cell(value, digits=12)


def _rules(name: str) -> "ResponseRules":
    from pipeline.clinical.rules import rule_set_path, rules_from

    path = rule_set_path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigRefused("the rule set cannot be read", path=path) from error
    return rules_from(content, path=path)
