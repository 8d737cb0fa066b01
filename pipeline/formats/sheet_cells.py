"""What one cell of a sample sheet may say.

Every reader gives the value or a `Refusal`. A refusal never holds the cell's text: a
shifted column can put a person's name anywhere. It says what was expected instead; only
file names are shown, and those not where they look like a person's.
"""

import os
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pipeline.errors import Problem, printable
from pipeline.model import is_identifier, looks_personal

__all__ = [
    "CELL_MAX_CHARACTERS",
    "LocatedFile",
    "Refusal",
    "closest",
    "locate_file",
    "read_cells",
    "read_choice",
    "read_date",
    "read_dna_ng",
    "read_identifier",
    "read_sha256",
    "shown_name",
    "unreadable_text",
]

CELL_MAX_CHARACTERS = 4096
CELLS_MAX = 10**10  # ten times the cells of a whole marrow aspirate
DNA_MAX_NG = 1e6  # a milligram: no assay takes more
YEARS = range(1990, 2101)

_SHOWN_MAX = 80
_SPACES = re.compile("[\u00a0\u202f\u3000]")
_SEPARATORS = re.compile(r"[\s.,/]+")
_ISO_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_YEAR_FIRST = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(?:\d{2}|\d{4})", re.ASCII)
_WITH_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d.*", re.ASCII)
_EXCEL_DAY = re.compile(r"\d{5}(\.\d+)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}([ ,.'\u00a0\u202f]\d{3}){2,}|\d{1,3}[ '\u00a0\u202f]\d{3}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Illumina's name of a run folder: the date of the run, instrument, count, flow cell.
_SEQUENCER_RUN = re.compile(r"(?:20)?\d{6}_[A-Z]{1,2}\d{4,6}_\d{3,4}_[AB]?[A-Z0-9]{5,12}")

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a cell cannot be used: a stable code, the cause and the remedy."""

    code: str
    cause: str
    remedy: str

    def at(self, line: int, column: str | None) -> Problem:
        """The problem of a table that this is, there."""
        return Problem(line=line, column=column, code=self.code, cause=self.cause, remedy=self.remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedFile:
    """A file that is there: its path as the sheet means it, and what tells it from all others.

    ``identity`` is device and inode, the same through every spelling and every link.
    """

    path: Path
    identity: tuple[int, int]


def unreadable_text(text: str) -> Refusal | None:
    """Why no column can hold ``text``: too long, or with characters that cannot be seen."""
    if len(text) > CELL_MAX_CHARACTERS:
        return Refusal(
            "cell_too_long",
            f"longer than {CELL_MAX_CHARACTERS} characters",
            "is a quote left open on this line?",
        )
    if _SPACES.sub(" ", text).isprintable():
        return None
    breaks = "\n" in text or "\r" in text
    what = "a line break" if breaks else "a character that cannot be seen"
    return Refusal("control_character", f"holds {what}", "type the cell anew")


def read_identifier(text: str, *, sequencer_run: bool = False) -> str | Refusal:
    """A pseudonym or code.

    Parameters
    ----------
    text
        The cell.
    sequencer_run
        Whether the name of an Illumina run folder, which starts with a date, may pass.

    Examples
    --------
    >>> read_identifier("NDR-007")
    'NDR-007'
    >>> read_identifier("Yamada Taro").code
    'personal_identifier'
    """
    if sequencer_run and is_identifier(text) and _SEQUENCER_RUN.fullmatch(text):
        return text
    plain = unicodedata.normalize("NFKC", text)
    spellings = (plain, *(_SEPARATORS.sub(joint, plain) for joint in ("_", "-", "")))
    personal = next(filter(None, map(looks_personal, spellings)), None)
    if personal is not None:
        return Refusal(
            "personal_identifier",
            f"looks like {personal}; not repeated here",
            "use a study pseudonym that says nothing about the person",
        )
    if not is_identifier(text):
        return Refusal(
            "bad_identifier",
            "not an identifier; not repeated here",
            "use 1 to 32 of A-Z a-z 0-9 - _, starting with a letter or digit",
        )
    return text


def read_choice(text: str, choices: type[Choice], noun: str, aliases: Mapping[str, str]) -> Choice | Refusal:
    """One of a closed list of words, spelled exactly."""
    names = [str(c) for c in choices]
    if text in names:
        return choices(text)
    guess = closest(text, names, aliases)
    listed = f"write one of {', '.join(names)}"
    return Refusal(
        f"unknown_{noun}",
        f"not a known {noun}",
        f"did you mean '{guess}'? Else {listed}" if guess else listed,
    )


def closest(
    text: str, names: Collection[str], aliases: Mapping[str, str] | None = None, *, likeness: float = 0.6
) -> str | None:
    """The name that ``text`` was probably meant to be, or None.

    ``likeness`` is the smallest ratio of `difflib` that counts.

    >>> closest("Bone Marrow", ["bone_marrow", "plasma"])
    'bone_marrow'
    """
    from difflib import get_close_matches

    plain = re.sub(r"[\s-]+", "_", unicodedata.normalize("NFKC", text[:64]).strip().lower())
    known = {**(aliases or {}), **{name.lower(): name for name in names}}
    found = get_close_matches(plain, list(known), n=1, cutoff=likeness)
    return known[found[0]] if found else None


def read_date(text: str) -> date | Refusal:
    """A day, in ISO 8601's extended form only, from 1990 to 2100.

    >>> read_date("2024-03-12")
    datetime.date(2024, 3, 12)
    >>> read_date("12/03/2024").code
    'ambiguous_date'
    """
    iso = _ISO_DATE.fullmatch(text)
    if iso is None:
        return _not_iso(text)
    year, month, day = (int(part) for part in iso.groups())
    try:
        value = date(year, month, day)
    except ValueError:
        return Refusal("bad_date", "there is no such day", "write year-month-day, as in 2024-03-12")
    if value.year not in YEARS:
        return Refusal(
            "date_out_of_range", f"before {YEARS[0]} or after {YEARS[-1]}", "correct the year of the sampling"
        )
    return value


def _not_iso(text: str) -> Refusal:
    remedy = "write year-month-day, as in 2024-03-12"
    last = _YEAR_LAST.fullmatch(text)
    if last and int(last[1]) <= 12 and int(last[3]) <= 12 and last[1].zfill(2) != last[3].zfill(2):
        return Refusal(
            "ambiguous_date",
            "ambiguous: day and month cannot be told apart",
            f"{remedy}; format the spreadsheet's column as yyyy-mm-dd",
        )
    if _EXCEL_DAY.fullmatch(text):
        return Refusal(
            "bad_date", "a spreadsheet's day number", "format the column as yyyy-mm-dd and save it again"
        )
    if _WITH_TIME.fullmatch(text):
        return Refusal("bad_date", "a date with a time of day", "leave the time out: year-month-day")
    if _YEAR_FIRST.fullmatch(text):
        remedy = "use hyphens and two digits for month and day, as in 2024-03-12"
    return Refusal("bad_date", "not a date in ISO form", remedy)


def read_cells(text: str) -> int | Refusal:
    """Nucleated cells: a whole number from 1 to 1e10; ``1E+06``, as Excel writes it, is one.

    >>> read_cells("1E+06"), read_cells("1,5").code
    (1000000, 'decimal_comma')
    """
    value = _read_number(text)
    if isinstance(value, Refusal):
        return value
    if not 0 < value <= CELLS_MAX:
        return Refusal(
            "cells_out_of_range", "not between 1 and 1e10 cells", "give the number of nucleated cells"
        )
    if value != int(value):
        return Refusal("not_whole", "not a whole number of cells", "give the number of nucleated cells")
    return int(value)


def read_dna_ng(text: str) -> float | Refusal:
    """Nanograms of DNA, above 0 and at most a milligram."""
    value = _read_number(text)
    if isinstance(value, Refusal):
        return value
    if not 0 < value <= DNA_MAX_NG:
        return Refusal("dna_out_of_range", "not above 0 and at most 1e6 ng", "give the mass in nanograms")
    return value


def _read_number(text: str) -> float | Refusal:
    if _NUMBER.fullmatch(text):
        return float(text)
    if _GROUPED.fullmatch(text):
        return Refusal("thousands_separator", "digits are grouped", "write the digits without separators")
    if _DECIMAL_COMMA.fullmatch(text):
        return Refusal(
            "decimal_comma", "a comma in a number", "write a decimal point, and no thousands separator"
        )
    return Refusal("bad_number", "not a number", "write digits only, without a unit, or leave the cell empty")


def read_sha256(text: str) -> str | Refusal:
    """A SHA-256 in lower case."""
    if _SHA256.fullmatch(text):
        return text.lower()
    return Refusal(
        "bad_sha256", "not a SHA-256", "give its 64 hexadecimal digits, as sha256sum prints them, or none"
    )


def shown_name(text: str) -> str:
    """A file's name as a message may show it: escaped, cut, and not at all if it looks personal."""
    if any(looks_personal(re.sub(r"\s+", "_", part)) for part in re.split(r"[/\\]", text)):
        return "the file this cell names"
    cut = text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
    return f"'{printable(cut)}'"


def locate_file(text: str, folder: Path, suffixes: Collection[str]) -> LocatedFile | Refusal:
    """The file a cell names, relative to the sheet's ``folder``.

    Parameters
    ----------
    text
        A relative or absolute path, as written.
    folder
        Where the sheet lies.
    suffixes
        Endings the assay can read, lower case; none given: any.
    """
    name = shown_name(text)
    if "://" in text:
        return Refusal(
            "remote_file", f"{name} is an address", "copy the file to this machine and name the copy"
        )
    path = folder / text
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Refusal("file_missing", f"{name} is not there", _missing_remedy(text, path))
    except OSError as error:
        return Refusal("file_unreadable", f"{name} cannot be read ({error.strerror})", "check the path")
    refusal = _unusable(path, name, status.st_size)
    if refusal is not None:
        return refusal
    if suffixes and not text.lower().endswith(tuple(suffixes)):
        listed = ", ".join(sorted(suffixes))
        return Refusal(
            "wrong_file_type", f"{name} is no file of this assay", f"give a file ending in {listed}"
        )
    return LocatedFile(path=path, identity=(status.st_dev, status.st_ino))


def _unusable(path: Path, name: str, size: int) -> Refusal | None:
    if path.is_dir():
        return Refusal("file_is_folder", f"{name} is a folder", "name one file")
    if not path.is_file():
        return Refusal("file_unreadable", f"{name} is not a regular file", "name a file on disk")
    if not os.access(path, os.R_OK):
        return Refusal("file_unreadable", f"{name} cannot be read", "give yourself permission to read it")
    if size == 0:
        return Refusal("file_empty", f"{name} is empty (0 bytes)", "fetch it again from where it was made")
    return None


def _missing_remedy(text: str, path: Path) -> str:
    if "\\" in text and path.parent.joinpath(text.replace("\\", "/")).exists():
        return "write / instead of \\ in paths"
    if text.startswith("~"):
        return "write the home folder out in full"
    for other in (path.with_name(path.name + ".gz"), path.with_suffix("")):
        if path.suffix and other.is_file() and (other.suffix == ".gz" or path.suffix == ".gz"):
            return f"did you mean {shown_name(other.name)}, which lies there?"
    return "paths start at the sheet's folder; correct the name or fetch the file"
