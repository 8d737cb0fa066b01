"""Tables people keep in spreadsheets: encoding, delimiter, records with their line numbers.

Reads what Excel, LibreOffice, R and pandas write (CSV, TSV, semicolons, byte-order mark,
any line end) and names what they write by mistake (workbooks, UTF-16, legacy encodings).
"""

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.errors import Problem, SheetRefused

__all__ = ["SIZE_MAX_BYTES", "Record", "Table", "read_table"]

SIZE_MAX_BYTES = 32 << 20  # two hundred thousand rows: anything larger is not a sheet
_QUOTING_PROBLEMS_MAX = 50  # each costs a new start of the parser
_DELIMITERS = ",\t;|"
_FRAME = " \r\n\"'"  # what may stand around a column's name
_SAVE_AS = "save it as 'CSV UTF-8 (comma delimited)'"
_EXPORT = f"export the sheet: {_SAVE_AS}"
_SIGNATURES = (
    (b"PK\x03\x04", "workbook", "is a workbook or zip archive, not a text table", _EXPORT),
    (b"\xd0\xcf\x11\xe0", "workbook", "is an old Excel workbook, not a text table", _EXPORT),
    (b"\x1f\x8b", "compressed", "is compressed", "unpack it with gunzip"),
    (b"%PDF", "not_text", "is a PDF, not a text table", "export the sheet as CSV from its program"),
    (b"FCS3.", "not_text", "is a flow cytometry file, not a sample sheet", "name FCS files in a sheet"),
    (b"@", "not_text", "looks like sequencing reads, not a sample sheet", "name FASTQ files in a sheet"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """Cells of one record and the 1-based physical line on which it starts."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header, the records below it that are not empty, and lines that could not be split."""

    delimiter: str
    header: Record
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


def read_table(path: Path, known_columns: Collection[str]) -> Table:
    """Read a delimited text file.

    The delimiter (comma, tab, semicolon or bar) is the one that splits the header into most
    of ``known_columns``; the file's suffix decides nothing. Records of empty cells only are
    dropped. A line whose quoting is broken becomes a problem and the next line is read as
    if it were not there.

    Raises
    ------
    SheetRefused
        If there is no such file, or it is not text in UTF-8, or holds no header.
    """
    lines = list(io.StringIO(_decoded(path, _bytes_of(path)), newline=""))
    first = next((i for i, line in enumerate(lines) if line.strip(_DELIMITERS + _FRAME)), None)
    if first is None:
        raise _refused(path, None, "empty_sheet", "is empty", "give a header and one row per sample")
    stated = _stated_delimiter(lines[first])
    start = first if stated is None else first + 1
    delimiter = stated or _delimiter_of(lines[first], known_columns)
    records: list[Record] = []
    problems: list[Problem] = []
    for item in _split(lines, start, delimiter):
        if isinstance(item, Problem):
            problems.append(item)
        elif any(cell.strip() for cell in item.cells):
            records.append(item)
    if not records or (problems and problems[0].line == start + 1):
        absent = _problem(start + 1, "no_header", "there is no header", "start with one line of column names")
        raise SheetRefused(path, problems or [absent])
    return Table(delimiter=delimiter, header=records[0], records=tuple(records[1:]), problems=tuple(problems))


def _bytes_of(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise _refused(path, None, "sheet_is_folder", "is a folder", "name the sheet itself")
        if path.exists() and not path.is_file():
            raise _refused(path, None, "sheet_unreadable", "is not a regular file", "name a CSV file")
        with path.open("rb") as file:
            data = file.read(SIZE_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _refused(path, None, "sheet_missing", "there is no such sheet", "check its name") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "impossible name"
        remedy = "check the sheet and its permissions"
        raise _refused(path, None, "sheet_unreadable", f"cannot be read ({reason})", remedy) from error
    if len(data) > SIZE_MAX_BYTES:
        cause = f"is larger than {SIZE_MAX_BYTES >> 20} MiB"
        raise _refused(path, None, "sheet_too_large", cause, "give one row per sample")
    return data


def _decoded(path: Path, data: bytes) -> str:
    for signature, code, cause, remedy in _SIGNATURES:
        if data.startswith(signature):
            raise _refused(path, None, code, cause, remedy)
    head = data[:4096]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(0) > len(head) // 4:
        raise _refused(path, None, "not_utf8", "is in UTF-16 (Excel's 'Unicode text')", _SAVE_AS)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # error.object lacks the byte-order mark, if there was one; it holds no line end.
        line = len((bytes(error.object[: error.start]) + b"x").splitlines())
        cause = "is not in UTF-8 but in an older encoding (Latin-1, Windows, Shift-JIS)"
        raise _refused(path, line, "not_utf8", cause, _SAVE_AS) from error


def _stated_delimiter(line: str) -> str | None:
    """The delimiter of Excel's own first line ``sep=;``."""
    text = line.strip("\r\n\"'")
    return text[4] if len(text) == 5 and text.lower().startswith("sep=") and text[4] in _DELIMITERS else None


def _delimiter_of(header_line: str, known_columns: Collection[str]) -> str:
    def quality(delimiter: str) -> tuple[int, int]:
        names = header_line.split(delimiter)
        return sum(name.strip(_FRAME).lower() in known_columns for name in names), len(names)

    return max(_DELIMITERS, key=quality)


def _split(lines: list[str], start: int, delimiter: str) -> Iterator[Record | Problem]:
    failures = 0
    while start < len(lines) and failures < _QUOTING_PROBLEMS_MAX:
        reader = csv.reader(islice(lines, start, None), delimiter=delimiter, strict=True)
        consumed = 0
        try:
            for cells in reader:
                yield Record(start + consumed + 1, tuple(cells))
                consumed = reader.line_num
        except csv.Error as error:
            yield _quoting_problem(start + consumed + 1, str(error))
            start += consumed + 1
            failures += 1
            continue
        return


def _quoting_problem(line: int, message: str) -> Problem:
    if "field larger" in message:
        return _problem(line, "cell_too_long", "a cell is longer than 128 kB", "is a quote left open here?")
    return _problem(
        line,
        "broken_quoting",
        "a quoted cell is never closed, or text follows its closing quote",
        "close the quote, or write a quote inside a quoted cell twice",
    )


def _problem(line: int | None, code: str, cause: str, remedy: str) -> Problem:
    return Problem(line=line, column=None, code=code, cause=cause, remedy=remedy)


def _refused(path: Path, line: int | None, code: str, cause: str, remedy: str) -> SheetRefused:
    return SheetRefused(path, [_problem(line, code, cause, remedy)])
