"""The columns of a sample sheet: which there are, in what order, and where a sheet has them."""

from collections.abc import Sequence

from pipeline.errors import Problem
from pipeline.formats.delimited import Record
from pipeline.formats.sheet_cells import Refusal, closest
from pipeline.model import is_identifier, looks_personal

__all__ = [
    "COLUMNS",
    "FILLED_COLUMNS",
    "OPTIONAL_COLUMNS",
    "Findings",
    "find_columns",
    "in_order",
    "named_width",
]

COLUMNS = (
    "patient_id", "timepoint", "collected_on", "material", "assay", "file_1", "file_2", "run_id", "cells",
    "dna_ng", "spike_ins", "panel", "sex",
)  # fmt: skip
OPTIONAL_COLUMNS = ("sha256_1", "sha256_2", "role")
FILLED_COLUMNS = ("patient_id", "timepoint", "collected_on", "material", "assay", "file_1")
_RANK = {name: i for i, name in enumerate((*COLUMNS, *OPTIONAL_COLUMNS))}


class Findings:
    """Problems and warnings as they are found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.warnings: list[Problem] = []

    def problem(self, line: int, column: str | None, refusal: Refusal) -> None:
        """Add what refuses the sheet."""
        self.problems.append(refusal.at(line, column))

    def warn(self, line: int, column: str | None, refusal: Refusal) -> None:
        """Add what a person should know and need not mend."""
        self.warnings.append(refusal.at(line, column))


def in_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Sort by line, then by the order of `COLUMNS`; what concerns the whole sheet or row comes first."""

    def key(problem: Problem) -> tuple[int, int, str, str]:
        column = problem.column
        rank = -1 if column is None else _RANK.get(column, len(_RANK))
        return (problem.line or 0, rank, column or "", problem.code)

    return tuple(sorted(problems, key=key))


def named_width(header: Record) -> int:
    """Columns up to the last one that has a name."""
    return max(i for i, name in enumerate(header.cells, start=1) if name.strip())


def find_columns(header: Record, found: Findings) -> dict[str, int] | None:
    """Place of each column, or None where there is no header.

    A misspelled name is a problem, but stands for the column it resembles, so that the
    rows below it are checked in the same pass.
    """
    names = [cell.strip().strip("\ufeff") for cell in header.cells]
    if sum(name.lower() in _RANK for name in names) < 2:
        found.problem(
            header.line,
            None,
            Refusal("no_header", "no column names on the first line", f"start with {','.join(COLUMNS)}"),
        )
        return None
    columns: dict[str, int] = {}
    strangers: list[tuple[int, str]] = []
    for place, name in enumerate(names):
        if name in columns:
            found.problem(
                header.line,
                name,
                Refusal("duplicate_column", "the column is there twice", "keep one of the two"),
            )
        elif name in _RANK:
            columns[name] = place
        elif name or any(names[place:]):
            strangers.append((place, name))
    for place, name in strangers:
        _stranger(header.line, place, name, columns, found)
    for name in COLUMNS:
        if name not in columns:
            remedy = "add it" if name in FILLED_COLUMNS else "add it; its cells may be empty"
            found.problem(header.line, name, Refusal("missing_column", "the column is missing", remedy))
    return columns


def _stranger(line: int, place: int, name: str, columns: dict[str, int], found: Findings) -> None:
    guess = closest(name, [known for known in _RANK if known not in columns], likeness=0.75) if name else None
    shown = name if _harmless(name) else f"column {place + 1}"
    if guess is not None:
        columns[guess] = place
        remedy = f"did you mean '{guess}'?"
    else:
        remedy = "remove the column or correct its name"
    code, cause = ("unknown_column", "not a known column") if name else ("unnamed_column", "has no name")
    found.problem(line, shown, Refusal(code, cause, remedy))


def _harmless(name: str) -> bool:
    plain = "_".join(name.split())
    return is_identifier(plain) and looks_personal(plain) is None
