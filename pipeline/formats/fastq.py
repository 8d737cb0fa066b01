"""FASTQ in: plain or gzip, single or mates, and every damage named with file and record.

Parsing is dnaio's. Around it stands what a clinical intake needs: compressed files that
stop early are found out (also a BGZF file cut between two blocks, which decompresses
without complaint), a record cannot take gigabytes before it is refused, and mates that
do not belong together are refused at the first pair that shows it.
"""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

from pipeline.errors import DamagedFile, InputRefused, printable

if TYPE_CHECKING:
    import dnaio

__all__ = ["MAX_READ_LENGTH", "Read", "check_reads", "read_fastq", "read_mates"]

MAX_READ_LENGTH = 100_000
"""Longest read accepted, in nucleotides: far above any amplicon, far below what exhausts memory."""

_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSION = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
}
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every BGZF file (SAM specification 4.1.2)."""

_REPLACE = "give a FASTQ file, or fetch this one again from the instrument or its archive"

_SEQUENCE = bytearray(b"?" * 256)
for _code in b"ACGT":
    _SEQUENCE[_code] = _SEQUENCE[_code + 32] = _code
for _code in b"NRYSWKMBDHVU":  # ambiguity codes say no more than N to anything downstream
    _SEQUENCE[_code] = _SEQUENCE[_code + 32] = ord("N")
_SEQUENCE[ord(".")] = ord("N")  # N of early Illumina pipelines
_SEQUENCE[ord("\n")] = ord("\n")  # between reads that are checked together
_SEQUENCE_TABLE = bytes(_SEQUENCE)
_QUALITIES = bytes(range(33, 127))
_QUALITIES_AND_LINE_END = _QUALITIES + b"\n"
_BLOCK_READS, _BLOCK_NT = 1_000, 1_000_000  # checked together; bounds the memory of long reads


class Read(NamedTuple):
    """One read: its name line, bases in ``ACGTN`` and Phred+33 qualities, of equal length."""

    name: str
    sequence: bytes
    qualities: bytes


def read_fastq(path: Path, *, max_length: int = MAX_READ_LENGTH) -> Iterator[Read]:
    """Read a FASTQ file, plain or gzip (told by content, not by name).

    Lower case becomes upper case, ambiguity codes and ``.`` become ``N``; line ends may be
    LF or CRLF. Records of four lines only.

    Parameters
    ----------
    path
        The file.
    max_length
        Longest read accepted, in nucleotides; also the longest line held in memory.

    Yields
    ------
    Read
        In the order of the file.

    Raises
    ------
    DamagedFile
        If the file is empty, truncated, corrupt, no FASTQ, or a read is too long.
    InputRefused
        If it cannot be opened or is compressed in another way.

    Notes
    -----
    A plain file or a many-member gzip file cut exactly between two records or members cannot
    be told from a shorter one; only a digest stated in the sample sheet can.
    """
    import dnaio

    path = Path(path)
    record = 0  # of those yielded
    block: list[dnaio.SequenceRecord] = []
    letters = 0
    failure: DamagedFile | InputRefused | None = None
    with _bytes_of(path, max_length) as stream:
        try:
            with dnaio.open(stream, fileformat="fastq") as reader:
                for parsed in reader:
                    block.append(parsed)
                    letters += len(parsed.sequence)
                    if len(block) == _BLOCK_READS or letters >= _BLOCK_NT:
                        yield from _checked(block, path, record, max_length)
                        record += len(block)
                        block, letters = [], 0
        except dnaio.FastqFormatError as error:
            number = record + len(block) + 1 if error.line is None else error.line // 4 + 1
            failure = _damaged(path, number, _first_clause(str(error)))
            failure.__cause__ = error
        except EOFError as error:
            failure = _damaged(
                path, record + len(block) + 1, "the gzip stream ends early: the file is truncated"
            )
            failure.__cause__ = error
        except (zlib.error, gzip.BadGzipFile) as error:
            failure = _damaged(path, record + len(block) + 1, f"the gzip stream is corrupt ({error})")
            failure.__cause__ = error
        except OSError as error:
            failure = InputRefused(f"cannot be read ({error.strerror})", path=path)
            failure.__cause__ = error
    yield from _checked(block, path, record, max_length)
    if failure is not None:
        raise failure
    record += len(block)
    if not record:
        raise DamagedFile("holds no reads", path=path, expected="at least one record", remedy=_REPLACE)


def read_mates(
    first: Path, second: Path, *, max_length: int = MAX_READ_LENGTH
) -> Iterator[tuple[Read, Read]]:
    """Read two FASTQ files as pairs.

    Parameters
    ----------
    first, second
        Files of first and second reads, in the same order.
    max_length
        As in `read_fastq`.

    Yields
    ------
    tuple of Read
        Pairs whose names agree up to a final ``/1`` and ``/2`` and the comment.

    Raises
    ------
    DamagedFile
        If either file is damaged, their lengths differ, or the names of a pair differ.
    InputRefused
        If the same reads are given twice.
    """
    import dnaio

    first, second = Path(first), Path(second)
    _refuse_same_file(first, second)
    identical = True
    mates = zip_longest(read_fastq(first, max_length=max_length), read_fastq(second, max_length=max_length))
    for record, (one, two) in enumerate(mates, start=1):
        if one is None or two is None:
            short, long = (first, second) if one is None else (second, first)
            raise _damaged(short, record, f"ends here, but its mates in {printable(long.name)} go on")
        if not dnaio.record_names_match(one.name, two.name):  # type: ignore[attr-defined]
            raise _damaged(second, record, f"its name is not that of its mate in {printable(first.name)}")
        identical = identical and one.sequence == two.sequence
        yield one, two
    if identical:
        raise _twice(second)


def check_reads(*paths: Path, max_length: int = MAX_READ_LENGTH) -> int:
    """Read one FASTQ file, or two files of mates, to the end and find them undamaged.

    Returns
    -------
    int
        Number of reads (of pairs, for mates).

    Raises
    ------
    DamagedFile, InputRefused
        As `read_fastq` and `read_mates`; also for any other number of files.
    """
    if len(paths) == 1:
        return sum(1 for _ in read_fastq(paths[0], max_length=max_length))
    if len(paths) == 2:
        return sum(1 for _ in read_mates(paths[0], paths[1], max_length=max_length))
    raise InputRefused(f"{len(paths)} read files", expected="one file of reads, or two of mates")


class _Bounded(io.RawIOBase):
    """A stream that gives up when one line grows beyond all reads, before a parser stores it."""

    def __init__(self, stream: IO[bytes], path: Path, max_line: int) -> None:
        self._stream = stream
        self._path = path
        self._max_line = max_line
        self._open_line = 0  # bytes since the last line end
        self._lines = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        end = data.rfind(b"\n")
        self._open_line = self._open_line + len(data) if end < 0 else len(data) - end - 1
        self._lines += data.count(b"\n")
        if self._open_line > self._max_line:
            raise _too_long(self._path, self._lines // 4 + 1, self._max_line)
        return data


@contextmanager
def _bytes_of(path: Path, max_length: int) -> Iterator[BinaryIO]:
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
                raise InputRefused(f"is {kind}-compressed", path=path, expected="FASTQ, plain or gzip")
        if not head.startswith(_GZIP):
            yield cast("BinaryIO", _Bounded(file, path, max_length))
            return
        _require_bgzf_end(file, head, path)
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield cast("BinaryIO", _Bounded(cast("IO[bytes]", unpacked), path, max_length))


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
            remedy=_REPLACE,
        )


def _checked(block: "list[dnaio.SequenceRecord]", path: Path, before: int, max_length: int) -> Iterator[Read]:
    """Reads of parsed records, checked together; one by one only where something is wrong."""
    if all(len(parsed.sequence) <= max_length for parsed in block):
        bases = "\n".join(parsed.sequence for parsed in block).encode("ascii").translate(_SEQUENCE_TABLE)
        qualities = "\n".join(parsed.qualities or "" for parsed in block).encode("ascii")
        wrong = b"?" in bases or qualities.translate(None, _QUALITIES_AND_LINE_END)
        if not wrong and b"" not in (sequences := bases.split(b"\n")):
            names = (parsed.name for parsed in block)
            yield from map(Read, names, sequences, qualities.split(b"\n"))
            return
    for record, parsed in enumerate(block, start=before + 1):
        yield _checked_alone(parsed.name, parsed.sequence, parsed.qualities, path, record, max_length)


def _checked_alone(
    name: str, sequence: str, qualities: str | None, path: Path, record: int, max_length: int
) -> Read:
    if len(sequence) > max_length:
        raise _too_long(path, record, max_length)
    if not sequence:
        raise _damaged(path, record, "the read has no bases")
    bases = sequence.encode("ascii").translate(_SEQUENCE_TABLE)
    if b"?" in bases:
        raise _damaged(path, record, "the sequence holds characters that are no nucleotide code")
    quality = (qualities or "").encode("ascii")
    if quality.translate(None, _QUALITIES):
        raise _damaged(path, record, "the qualities hold characters outside Phred+33")
    return Read(name, bases, quality)


def _refuse_same_file(first: Path, second: Path) -> None:
    try:
        same = first.samefile(second)
    except OSError:
        return  # a missing file is reported where it is opened
    if same:
        raise _twice(second)


def _twice(path: Path) -> InputRefused:
    return InputRefused(
        "the same reads are given as first and as second mates",
        path=path,
        expected="the file of second reads (often named R2)",
    )


def _too_long(path: Path, record: int, max_length: int) -> DamagedFile:
    return _damaged(path, record, f"a line is longer than any read accepted ({max_length:,} nucleotides)")


def _damaged(path: Path, record: int, what: str) -> DamagedFile:
    return DamagedFile(f"record {record:,}: {what}", path=path, line=4 * record - 3, remedy=_REPLACE)


def _first_clause(message: str) -> str:
    """What the parser found, without the record it quotes, which may hold anything."""
    clause = message.split(": ", 1)[-1].split(". ")[0].split(" The incomplete")[0].split("('")[0]
    return f"not a whole FASTQ record ({printable(clause.strip().rstrip('.'))[:120]})"
