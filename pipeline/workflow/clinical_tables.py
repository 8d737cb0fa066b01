"""Clinical tables: found by name in a folder or named by a configuration."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import ConfigRefused, InputRefused, NadirError

if TYPE_CHECKING:
    from pipeline.clinical.laboratory import LabValue
    from pipeline.clinical.lesions import Lesion
    from pipeline.clinical.response_table import AssignedResponse
    from pipeline.clinical.rules import ResponseRules
    from pipeline.clinical.table_rows import Rows
    from pipeline.clinical.trial import MrdReading, Trial
    from pipeline.workflow.config import ClinicalTables

__all__ = ["configured_trial", "named_files", "read_trial", "rule_set"]

Row = TypeVar("Row")
_CONFIGURED = ("labs", "baseline", "treatment", "adverse_events", "outcome", "imaging", "fish")
_IN_FOLDER = (*_CONFIGURED, "harvest", "response", "time_to_event", "mrd", "lesions")
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


def configured_trial(configured: "ClinicalTables") -> "tuple[Trial | None, tuple[str, ...]]":
    """The trial of the tables a configuration names, for pages; None where it names no enrolled patients.

    A table that is refused does not cost a batch its pages: the reason comes back in place of a trial.
    """
    paths = {name: getattr(configured, name) for name in _CONFIGURED}
    files = {name: path for name, path in paths.items() if path is not None}
    if "baseline" not in files:
        return None, ()
    try:
        trial, _ = read_trial(files, rules="imwg2016")
    except NadirError as refused:
        return None, (f"The clinical tables cannot be shown: {refused}",)
    return trial, ()


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
    responses, labs = _responses(files, rules, notes)
    trial = Trial(
        patients=patients,
        courses=tuple(r for r in given if isinstance(r, Course)),
        harvests=tuple(r for r in (*given, *collected) if isinstance(r, Harvest)),
        events=_rows(files, "adverse_events", follow_up.EVENT_COLUMNS, follow_up.events_from_table, notes),
        outcomes=_rows(files, "outcome", follow_up.OUTCOME_COLUMNS, follow_up.outcomes_from_table, notes),
        imaging=_rows(files, "imaging", follow_up.IMAGING_COLUMNS, follow_up.imaging_from_table, notes),
        responses=responses,
        mrd=_mrd(files, notes),
        lesions=_lesions(files, notes),
        labs=labs,
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


def _responses(
    files: Mapping[str, Path], rules: str, notes: list[str]
) -> "tuple[tuple[AssignedResponse, ...], tuple[LabValue, ...]]":
    """Responses, and the laboratory values they were judged from."""
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
        return _rows(files, "response", RESPONSE_READ_COLUMNS, responses_from_table, notes), ()
    table = labs_from_table(read_table(files["labs"], LAB_COLUMNS), path=files["labs"])
    notes += [f"labs, {note}" for note in table.notes]
    chosen = rule_set(rules)
    visits = (r for history in histories(table.values) for r in respond(history, chosen))
    return responses_from_visits(visits), table.values


def _lesions(files: Mapping[str, Path], notes: list[str]) -> "tuple[Lesion, ...]":
    """Lesions of their own table; those of the FISH table where it does not name them."""
    from pipeline.clinical.fish import FISH_COLUMNS, fish_from_table, judge_fish
    from pipeline.clinical.lesions import LESION_COLUMNS, lesions_from_fish, lesions_from_table

    given = _rows(files, "lesions", LESION_COLUMNS, lesions_from_table, notes)
    probes = _rows(files, "fish", FISH_COLUMNS, fish_from_table, notes)
    named = {(x.patient_id, x.name) for x in given}
    judged = lesions_from_fish([judge_fish(item) for item in probes])
    return (*given, *(x for x in judged if (x.patient_id, x.name) not in named))


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
