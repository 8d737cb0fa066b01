"""FASTQ in: plain or gzip, single or mates, and every damage named with file and record.

Parsing is dnaio's. Around it stands what a clinical intake needs: files that stop early are
found out (`pipeline.formats.read_stream`), a record cannot take gigabytes before it is
refused, and mates that do not belong together are refused at the first pair that shows it.
FASTA is read in its place where a file begins with ``>``.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from pipeline.errors import DamagedFile, InputRefused, printable
from pipeline.formats.fasta import read_fasta
from pipeline.formats.read_stream import (
    BASES_OF_LETTERS,
    REPLACE,
    UNPACKING_ERRORS,
    ReadStream,
    damaged,
    open_reads,
    unpacking_failed,
)

if TYPE_CHECKING:
    import dnaio

__all__ = ["FASTA_QUALITY", "MAX_READ_LENGTH", "Read", "check_reads", "read_fastq", "read_mates"]

MAX_READ_LENGTH = 100_000
"""Longest read accepted, in nucleotides: far above any amplicon, far below what exhausts memory."""

FASTA_QUALITY = b"?"
"""Quality given to every base of FASTA, which has none: Phred 30, so that all weigh alike. Own choice."""

_QUALITIES = bytes(range(33, 127))
_QUALITIES_AND_LINE_END = _QUALITIES + b"\n"
_BLOCK_READS, _BLOCK_NT = 1_000, 1_000_000  # checked together; bounds the memory of long reads


class Read(NamedTuple):
    """One read: its name line, bases in ``ACGTN`` and Phred+33 qualities, of equal length."""

    name: str
    sequence: bytes
    qualities: bytes


# Read._make takes twice as long.
_read_of = cast("Callable[[tuple[str, bytes, bytes]], Read]", partial(tuple.__new__, Read))


def read_fastq(path: Path, *, max_length: int = MAX_READ_LENGTH) -> Iterator[Read]:
    """Read a FASTQ or FASTA file, plain or gzip (told by content, not by name).

    Lower case becomes upper case, ambiguity codes and ``.`` become ``N``; line ends may be
    LF or CRLF. FASTQ records have four lines only, FASTA records any number.

    Parameters
    ----------
    path
        The file.
    max_length
        Longest read accepted, in nucleotides; also the longest line of FASTQ held in memory.

    Yields
    ------
    Read
        In the order of the file. All qualities of FASTA are ``FASTA_QUALITY``.

    Raises
    ------
    DamagedFile
        If the file is empty, truncated, corrupt, neither FASTQ nor FASTA, or a read is too long.
    InputRefused
        If it cannot be opened, is compressed in another way, or holds protein.

    Notes
    -----
    A plain file or a many-member gzip file cut exactly between two records or members cannot
    be told from a shorter one; only a digest stated in the sample sheet can.
    """
    return chain.from_iterable(_blocks(Path(path), max_length))


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
        If the same reads are given twice, or FASTA, which has no qualities to merge mates by.
    """
    import dnaio

    first, second = Path(first), Path(second)
    _refuse_same_file(first, second)
    _refuse_fasta(first, second)
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
        return sum(map(len, _blocks(Path(paths[0]), max_length)))
    if len(paths) == 2:
        return sum(1 for _ in read_mates(paths[0], paths[1], max_length=max_length))
    raise InputRefused(f"{len(paths)} read files", expected="one file of reads, or two of mates")


def _is_fasta(stream: ReadStream, path: Path) -> bool:
    try:
        return stream.begins_with(b">")
    except UNPACKING_ERRORS as error:
        raise unpacking_failed(error, path, 1, 1) from error


def _blocks(path: Path, max_length: int) -> Iterator[list[Read]]:
    """Reads of a file, some at once: a read by itself is passed from hand to hand too often."""
    with open_reads(path, max_line=max_length) as stream:
        if not _is_fasta(stream, path):
            yield from _fastq_blocks(stream, path, max_length)
            return
        for name, bases in read_fasta(stream, path, max_length=max_length):
            yield [Read(name, bases, FASTA_QUALITY * len(bases))]


def _fastq_blocks(stream: ReadStream, path: Path, max_length: int) -> Iterator[list[Read]]:
    import dnaio

    record = 0  # of those yielded
    block: list[dnaio.SequenceRecord] = []
    letters = 0
    failure: DamagedFile | InputRefused | None = None
    try:
        with dnaio.open(cast("BinaryIO", stream), fileformat="fastq") as reader:
            for parsed in reader:
                block.append(parsed)
                letters += len(parsed.sequence)
                if len(block) == _BLOCK_READS or letters >= _BLOCK_NT:
                    yield _checked(block, path, record, max_length)
                    record += len(block)
                    block, letters = [], 0
    except dnaio.FastqFormatError as error:
        number = record + len(block) + 1 if error.line is None else error.line // 4 + 1
        failure = _damaged(path, number, _first_clause(str(error)))
        failure.__cause__ = error
    except UNPACKING_ERRORS as error:
        number = record + len(block) + 1
        failure = unpacking_failed(error, path, number, 4 * number - 3)
    if block:
        yield _checked(block, path, record, max_length)
    if failure is not None:
        raise failure
    if not record and not block:
        raise DamagedFile(
            "holds no reads",
            path=path,
            expected="at least one record",
            remedy=REPLACE,
        )


def _checked(block: "Sequence[dnaio.SequenceRecord]", path: Path, before: int, max_length: int) -> list[Read]:
    """Reads of parsed records, checked together; one by one only where something is wrong."""
    letters = [parsed.sequence for parsed in block]
    if max(map(len, letters)) <= max_length:
        bases = "\n".join(letters).encode("ascii")
        if bases.translate(None, b"ACGTN\n"):
            bases = bases.translate(BASES_OF_LETTERS)
        qualities = "\n".join([parsed.qualities or "" for parsed in block]).encode("ascii")
        wrong = b"?" in bases or qualities.translate(None, _QUALITIES_AND_LINE_END)
        if not wrong and b"" not in (sequences := bases.split(b"\n")):
            names = [parsed.name for parsed in block]
            return list(map(_read_of, zip(names, sequences, qualities.split(b"\n"), strict=True)))
    return [
        _checked_alone(parsed.name, parsed.sequence, parsed.qualities, path, record, max_length)
        for record, parsed in enumerate(block, start=before + 1)
    ]


def _checked_alone(
    name: str, sequence: str, qualities: str | None, path: Path, record: int, max_length: int
) -> Read:
    if len(sequence) > max_length:
        raise _too_long(path, record, max_length)
    if not sequence:
        raise _damaged(path, record, "the read has no bases")
    bases = sequence.encode("ascii").translate(BASES_OF_LETTERS)
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


def _refuse_fasta(*paths: Path) -> None:
    for path in paths:
        with open_reads(path) as stream:
            if _is_fasta(stream, path):
                raise InputRefused(
                    "is FASTA, which holds no qualities by which mates are merged",
                    path=path,
                    expected="FASTQ of both mates",
                    remedy="give FASTQ, or one FASTA file of reads that are merged",
                )


def _twice(path: Path) -> InputRefused:
    return InputRefused(
        "the same reads are given as first and as second mates",
        path=path,
        expected="the file of second reads (often named R2)",
    )


def _too_long(path: Path, record: int, max_length: int) -> DamagedFile:
    return _damaged(path, record, f"a line is longer than any read accepted ({max_length:,} nucleotides)")


def _damaged(path: Path, record: int, what: str) -> DamagedFile:
    return damaged(path, record, what, line=4 * record - 3)


def _first_clause(message: str) -> str:
    """What the parser found, without the record it quotes, which may hold anything."""
    clause = message.split(": ", 1)[-1].split(". ")[0].split(" The incomplete")[0].split("('")[0]
    return f"not a whole FASTQ record ({printable(clause.strip().rstrip('.'))[:120]})"
