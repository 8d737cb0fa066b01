"""Bytes of a file of reads: opened, unpacked, and every way in which that fails put into words.

Plain or gzip, told by content and not by name. A BGZF file cut between two blocks
decompresses without complaint and is found out by its missing last block.
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

from pipeline.errors import DamagedFile, InputRefused

__all__ = [
    "BASES_OF_LETTERS",
    "REPLACE",
    "UNPACKING_ERRORS",
    "ReadStream",
    "damaged",
    "open_reads",
    "unpacking_failed",
]

_bases = bytearray(b"?" * 256)
for _code in b"ACGT":
    _bases[_code] = _bases[_code + 32] = _code
for _code in b"NRYSWKMBDHVU":  # ambiguity codes say no more than N to anything downstream
    _bases[_code] = _bases[_code + 32] = ord("N")
_bases[ord(".")] = ord("N")  # N of early Illumina pipelines
_bases[ord("\n")] = ord("\n")  # between reads that are checked together
BASES_OF_LETTERS = bytes(_bases)
"""Letters of a sequence file to ``ACGTN``; ``?`` for what is no nucleotide code."""

_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSION = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
}
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every BGZF file (SAM specification 4.1.2)."""

REPLACE = "give a FASTQ file, or fetch this one again from the instrument or its archive"
"""What to do about a file that is damaged."""

_AHEAD = 65_536  # bytes looked at to tell FASTA from FASTQ


class ReadStream(io.RawIOBase):
    """The unpacked bytes of a file of reads.

    ``max_line`` bounds the lines: where one grows longer, reading gives up before a parser
    stores it. None leaves that to the parser.
    """

    def __init__(self, stream: IO[bytes], path: Path, max_line: int | None) -> None:
        self._stream = stream
        self._path = path
        self._max_line = max_line
        self._ahead: bytes | None = None
        self._open_line = 0  # bytes since the last line end
        self._lines = 0

    def readable(self) -> bool:
        """Whether it can be read, as a file says it."""
        return True

    def begins_with(self, letter: bytes) -> bool:
        """Whether the first thing that is not blank is this letter; nothing is consumed."""
        if self._ahead is None:
            self._ahead = self._stream.read(_AHEAD)
        return self._ahead.lstrip().startswith(letter)

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, at least one unless the file ends."""
        data = self._ahead or self._stream.read(size)
        self._ahead = None if len(data) <= size or size < 0 else data[size:]
        if self._ahead is not None:
            data = data[:size]
        if self._max_line is not None:
            self._bound(data, self._max_line)
        return data

    def unbounded(self) -> "ReadStream":
        """The same bytes for a parser that looks after long lines itself."""
        self._max_line = None
        return self

    def _bound(self, data: bytes, max_line: int) -> None:
        end = data.rfind(b"\n")
        self._open_line = self._open_line + len(data) if end < 0 else len(data) - end - 1
        self._lines += data.count(b"\n")
        if self._open_line > max_line:
            record = self._lines // 4 + 1
            what = f"a line is longer than any read accepted ({max_line:,} nucleotides)"
            raise damaged(self._path, record, what, line=4 * record - 3)


@contextmanager
def open_reads(path: Path, *, max_line: int | None = None) -> Iterator[ReadStream]:
    """Open a file of reads.

    Parameters
    ----------
    path
        Plain or gzip.
    max_line
        Longest line accepted, in bytes.

    Yields
    ------
    ReadStream
        Reading it raises ``UNPACKING_ERRORS`` where the file is damaged.

    Raises
    ------
    DamagedFile
        If it is BGZF and cut.
    InputRefused
        If it cannot be opened or is compressed in another way.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputRefused(f"cannot be opened ({error.strerror})", path=path) from error
    with file:
        try:
            head = file.read(18)
            file.seek(0)
        except OSError as error:
            raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error
        for magic, kind in _OTHER_COMPRESSION.items():
            if head.startswith(magic):
                raise InputRefused(
                    f"is {kind}-compressed", path=path, expected="FASTQ or FASTA, plain or gzip"
                )
        if not head.startswith(_GZIP):
            yield ReadStream(file, path, max_line)
            return
        _require_bgzf_end(file, head, path)
        with _inflater()(fileobj=file, mode="rb") as unpacked:
            yield ReadStream(cast("IO[bytes]", unpacked), path, max_line)


@cache
def _inflater() -> type[Any]:
    """The faster inflater where it is installed (it comes with dnaio on x86-64 and ARM64); same bytes."""
    try:
        from isal.igzip import IGzipFile
    except ImportError:
        return gzip.GzipFile
    return cast("type[Any]", IGzipFile)


def _inflating_errors() -> tuple[type[Exception], ...]:
    try:
        from isal.isal_zlib import error
    except ImportError:
        return (zlib.error,)
    return (zlib.error, cast("type[Exception]", error))


UNPACKING_ERRORS: tuple[type[Exception], ...] = (EOFError, OSError, *_inflating_errors())
"""What reading a `ReadStream` may raise beside what nadir itself refuses."""


def unpacking_failed(
    error: Exception, path: Path, record: int, line: int | None
) -> DamagedFile | InputRefused:
    """One of ``UNPACKING_ERRORS``, met at a record, in words."""
    failure: DamagedFile | InputRefused
    if isinstance(error, EOFError):
        failure = damaged(path, record, "the gzip stream ends early: the file is truncated", line=line)
    elif isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        failure = InputRefused(f"cannot be read ({error.strerror})", path=path)
    else:
        failure = damaged(path, record, f"the gzip stream is corrupt ({error})", line=line)
    failure.__cause__ = error
    return failure


def damaged(path: Path, record: int, what: str, *, line: int | None = None) -> DamagedFile:
    """A record of a file that cannot be used, 1-based."""
    return DamagedFile(f"record {record:,}: {what}", path=path, line=line, remedy=REPLACE)


def _require_bgzf_end(file: IO[bytes], head: bytes, path: Path) -> None:
    # A BGZF member has the extra-field flag and starts its extra field with 'BC', length 2.
    is_bgzf = len(head) >= 18 and bool(head[3] & 4) and head[12:16] == b"BC\x02\x00"
    if not is_bgzf:
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - len(_BGZF_END)))
    end = file.read()
    file.seek(0)
    if end != _BGZF_END:
        raise DamagedFile(
            "is block-compressed (BGZF) but its end-of-file block is missing: the file is truncated",
            path=path,
            remedy=REPLACE,
        )
