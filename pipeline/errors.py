"""Everything nadir refuses, in one tree.

::

    NadirError
    ├── UsageError          exit 2    the command cannot mean anything
    ├── InputRefused        exit 3    a file or table cannot be used as it is
    │   ├── DamagedFile               truncated, corrupt or inconsistent
    │   ├── SheetRefused              every problem of a table at once
    │   └── ConfigRefused             a configuration key or value is not known
    ├── TasksFailed         exit 4    some tasks of a batch failed
    ├── GateFailed          exit 5    a quality gate was not passed
    └── Interrupted         exit 130  stopped by the user; what is done is kept

A message says where, what, what was expected and how to mend it. A refused
identifier is never repeated: it may be a person's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ConfigRefused",
    "DamagedFile",
    "GateFailed",
    "InputRefused",
    "Interrupted",
    "NadirError",
    "Problem",
    "SheetRefused",
    "TasksFailed",
    "UsageError",
]


class NadirError(Exception):
    """Base of every error nadir raises on purpose; ``exit_code`` is the command's."""

    exit_code = 1


class UsageError(NadirError):
    """The command's arguments contradict each other or are out of range."""

    exit_code = 2


class InputRefused(NadirError):
    """A file cannot be used as it is.

    Parameters
    ----------
    what
        What is wrong, as one clause.
    path, line, column
        Where: the file, the 1-based line or record, the name of the column or key.
    expected, remedy
        What would have been accepted, and how to get there.

    Examples
    --------
    >>> print(InputRefused("unknown material", path="s.csv", line=4, column="material", expected="plasma"))
    s.csv, line 4, column 'material': unknown material. Expected: plasma.
    """

    exit_code = 3

    def __init__(
        self,
        what: str,
        *,
        path: Path | str | None = None,
        line: int | None = None,
        column: str | None = None,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.path = None if path is None else str(path)
        self.line = line
        self.column = column
        self.expected = expected
        self.remedy = remedy
        super().__init__(self._message())

    def _message(self) -> str:
        where = [] if self.path is None else [printable(self.path)]
        if self.line is not None:
            where.append(f"line {self.line}")
        if self.column is not None:
            where.append(f"column '{self.column}'")
        text = f"{', '.join(where)}: {self.what}" if where else self.what
        if self.expected:
            text += f". Expected: {self.expected}"
        if self.remedy:
            text += f". Remedy: {self.remedy}"
        return text + ("" if text.endswith(".") else ".")


class DamagedFile(InputRefused):
    """A file is truncated, corrupt, empty or contradicts itself."""


class ConfigRefused(InputRefused):
    """A configuration file has an unknown key or an impossible value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with one cell of a table.

    ``line`` is the 1-based line of the file (the header is line 1), ``column`` the
    column's name, ``cause`` and ``remedy`` sentences without the final stop.
    ``code`` is a stable word for machines, such as ``unknown_material``.
    """

    line: int | None
    column: str | None
    code: str
    cause: str
    remedy: str


class SheetRefused(InputRefused):
    """A table has problems; ``problems`` holds every one of them, in line order."""

    def __init__(self, path: Path | str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        first = self.problems[0]
        super().__init__(
            f"{first.cause}"
            + (f" (and {count - 1} more problem{'s' if count > 2 else ''})" if count > 1 else ""),
            path=path,
            line=first.line,
            column=first.column,
            remedy=first.remedy,
        )


class TasksFailed(NadirError):
    """Some tasks of a batch failed; the others are done and kept."""

    exit_code = 4


class GateFailed(NadirError):
    """A quality gate that the caller asked for was not passed."""

    exit_code = 5


class Interrupted(NadirError):
    """The user stopped the run; finished tasks are kept."""

    exit_code = 130


def printable(text: str) -> str:
    r"""``text`` with control characters escaped, so that no file name can steer a terminal.

    >>> printable("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
