"""Clinical tables: found by name in a folder or named by a configuration; what was mended in them, said."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from pipeline.errors import ConfigRefused, InputRefused

if TYPE_CHECKING:
    from pipeline.clinical.response_table import AssignedResponse
    from pipeline.clinical.rules import ResponseRules
    from pipeline.clinical.table_rows import Rows
    from pipeline.clinical.trial import MrdReading, Trial
    from pipeline.workflow.config import ClinicalTables

__all__ = ["named_files", "read_trial", "rule_set", "say"]

Row = TypeVar("Row")
_NOTES_SHOWN = 20
_CONFIGURED = ("labs", "baseline", "treatment", "adverse_events", "outcome", "imaging")
_IN_FOLDER = (*_CONFIGURED, "harvest", "response", "time_to_event", "mrd")
_MRD_PARQUET = Path("results") / "mrd.parquet"


def named_files(folder: Path, configured: "ClinicalTables | None" = None) -> dict[str, Path]:
    """Files that are there, by name of the table; ``mrd`` is a batch's results before the folder's mrd.csv.

    A table that the configuration names is taken from there.
    """
    found = {name: folder / f"{name}.csv" for name in _IN_FOLDER if (folder / f"{name}.csv").is_file()}
    if (folder / _MRD_PARQUET).is_file():
        found["mrd"] = folder / _MRD_PARQUET
    if configured is not None:
        paths = {name: getattr(configured, name) for name in _CONFIGURED}
        found |= {name: path for name, path in paths.items() if path is not None}
    if not found:
        raise InputRefused(
            "there is no clinical table",
            path=folder,
            expected=", ".join(f"{name}.csv" for name in _IN_FOLDER),
            remedy="name the folder that holds them, or a batch with --config",
        )
    return found


def read_trial(files: Mapping[str, Path], *, rules: str) -> "tuple[Trial, tuple[str, ...]]":
    """Every table that is there, and one sentence per cell that was mended.

    Responses are judged from the laboratory table where there is one; else they are those assigned
    in the table of responses.
    """
    from pipeline.clinical import follow_up
    from pipeline.clinical.treatment import COURSE_COLUMNS, HARVEST_COLUMNS, Course, Harvest
    from pipeline.clinical.treatment import treatment_from_table as treatment_of
    from pipeline.clinical.trial import Trial

    notes: list[str] = []
    patients = _rows(files, "baseline", follow_up.PATIENT_COLUMNS, follow_up.patients_from_table, notes)
    given = _rows(files, "treatment", COURSE_COLUMNS, treatment_of, notes)
    collected = _rows(files, "harvest", HARVEST_COLUMNS, treatment_of, notes)
    trial = Trial(
        patients=patients,
        courses=tuple(r for r in given if isinstance(r, Course)),
        harvests=tuple(r for r in (*given, *collected) if isinstance(r, Harvest)),
        events=_rows(files, "adverse_events", follow_up.EVENT_COLUMNS, follow_up.events_from_table, notes),
        outcomes=_rows(files, "outcome", follow_up.OUTCOME_COLUMNS, follow_up.outcomes_from_table, notes),
        imaging=_rows(files, "imaging", follow_up.IMAGING_COLUMNS, follow_up.imaging_from_table, notes),
        responses=_responses(files, rules, notes),
        mrd=_mrd(files, notes),
    )
    return trial, tuple(notes)


def _rows(
    files: Mapping[str, Path],
    name: str,
    columns: Sequence[str],
    read: "Callable[..., Rows[Row]]",
    notes: list[str],
) -> tuple[Row, ...]:
    from pipeline.formats.delimited import read_table

    if name not in files:
        return ()
    table = read(read_table(files[name], columns), path=files[name])
    notes += [f"{name}, {note}" for note in table.notes]
    return table.rows


def _responses(files: Mapping[str, Path], rules: str, notes: list[str]) -> "tuple[AssignedResponse, ...]":
    from pipeline.clinical.confirmation import respond
    from pipeline.clinical.laboratory import LAB_COLUMNS, labs_from_table
    from pipeline.clinical.response_table import (
        RESPONSE_READ_COLUMNS,
        responses_from_table,
        responses_from_visits,
    )
    from pipeline.clinical.visits import histories
    from pipeline.formats.delimited import read_table

    if "labs" not in files:
        return _rows(files, "response", RESPONSE_READ_COLUMNS, responses_from_table, notes)
    table = labs_from_table(read_table(files["labs"], LAB_COLUMNS), path=files["labs"])
    notes += [f"labs, {note}" for note in table.notes]
    chosen = rule_set(rules)
    return responses_from_visits(r for history in histories(table.values) for r in respond(history, chosen))


def _mrd(files: Mapping[str, Path], notes: list[str]) -> "tuple[MrdReading, ...]":
    from pipeline.clinical.mrd_table import MRD_COLUMNS, mrd_from_results, mrd_from_table

    if files.get("mrd", Path()).suffix != ".parquet":
        return _rows(files, "mrd", MRD_COLUMNS, mrd_from_table, notes)
    from pipeline.formats.records import read_parquet
    from pipeline.model import MrdResult

    return mrd_from_results(read_parquet(files["mrd"], MrdResult))


def rule_set(name: str) -> "ResponseRules":
    """A rule set that ships with nadir."""
    from pipeline.clinical.rules import rule_set_path, rules_from

    path = rule_set_path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigRefused("the rule set cannot be read", path=path) from error
    return rules_from(content, path=path)


def say(notes: Sequence[str]) -> None:
    """Notes on stderr; a table in another unit throughout has one per row, and the first tell it."""
    for note in notes[:_NOTES_SHOWN]:
        typer.echo(note, err=True)
    if len(notes) > _NOTES_SHOWN:
        typer.echo(f"and {len(notes) - _NOTES_SHOWN} more of the kind", err=True)
