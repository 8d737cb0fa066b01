"""GFF3 features of transcripts, line by line."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pipeline.errors import DamagedFile, InputRefused

__all__ = ["Feature", "read_features"]

_LINE_MAX = 1 << 20
_WANTED_PARTS = frozenset({"exon", "CDS"})
_FORMAT = "nine tab-separated columns of GFF3 (GTF is another format)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One line: ``start`` and ``end`` are 0-based half-open, ``strand`` is 1, -1 or 0 (none given)."""

    line: int
    contig: str
    kind: str
    start: int
    end: int
    strand: int
    phase: int | None
    attributes: dict[str, str]

    @property
    def parents(self) -> list[str]:
        """IDs of the features that this one is part of."""
        return [p for p in self.attributes.get("Parent", "").split(",") if p]


def read_features(path: Path) -> Iterator[Feature]:
    """Every feature of a GFF3 file, plain or gzip-packed, that has an ID or is an exon or CDS.

    Raises
    ------
    InputRefused
        If the file cannot be opened.
    DamagedFile
        If a line is not GFF3, or the file is truncated or no UTF-8 text.
    """
    for number, line in _lines(path):
        if line.startswith(("##FASTA", ">")):
            return
        if line and not line.startswith("#"):
            feature = _feature(path, number, line)
            if feature is not None:
                yield feature


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            while data := file.readline(_LINE_MAX):
                number += 1
                if len(data) == _LINE_MAX:
                    raise DamagedFile("a line is longer than 1 MiB", path=path, line=number, expected=_FORMAT)
                yield number, data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DamagedFile("is not UTF-8 text", path=path, line=number, expected=_FORMAT) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFile("is truncated or corrupt", path=path, line=number + 1) from error
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error


def _feature(path: Path, number: int, line: str) -> Feature | None:
    cells = line.split("\t")
    if len(cells) != 9:
        raise _damaged(path, number, f"has {len(cells)} columns", _FORMAT)
    contig, _, kind, start, end, _, strand, phase, attributes = cells
    if not (start.isascii() and start.isdigit() and end.isascii() and end.isdigit() and len(end) < 11):
        raise _damaged(path, number, "start or end is no whole number", "positions counted from 1")
    if not 1 <= int(start) <= int(end):
        raise _damaged(path, number, "start and end are out of order", "1 <= start <= end")
    if strand not in "+-.?" or phase not in ("0", "1", "2", "."):
        raise _damaged(path, number, "strand or phase is not one of GFF3's", "+ - . ? and 0 1 2 .")
    found = _attributes(path, number, attributes)
    if "ID" not in found and kind not in _WANTED_PARTS:
        return None
    return Feature(
        line=number,
        contig=unquote(contig),
        kind=kind,
        start=int(start) - 1,
        end=int(end),
        strand={"+": 1, "-": -1}.get(strand, 0),
        phase=None if phase == "." else int(phase),
        attributes=found,
    )


def _attributes(path: Path, number: int, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(";"):
        part = part.strip()
        if not part or part == ".":
            continue
        key, equals, value = part.partition("=")
        if not equals:
            raise _damaged(path, number, "an attribute has no =", "KEY=VALUE;... as in GFF3, not GTF")
        found[unquote(key)] = value if key == "Parent" else unquote(value)
    return found


def _damaged(path: Path, number: int, what: str, expected: str) -> DamagedFile:
    return DamagedFile(what, path=path, line=number, expected=expected)
