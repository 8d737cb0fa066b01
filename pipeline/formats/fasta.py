"""FASTA reads: records of any number of lines, none of which can grow beyond what memory holds."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.read_stream import (
    BASES_OF_LETTERS,
    UNPACKING_ERRORS,
    ReadStream,
    damaged,
    unpacking_failed,
)

__all__ = ["read_fasta"]

_AT_ONCE = 1 << 18  # bytes
_BLANK = b" \t\n\v\f"
_AMINO_ACIDS_ALONE = b"EFILPQZJOefilpqzjo*"  # no nucleotide code has these letters
_BASES = b"ACGTUNacgtun."


def read_fasta(stream: ReadStream, path: Path, *, max_length: int) -> Iterator[tuple[str, bytes]]:
    """Read the records of a FASTA file.

    Lower case becomes upper case, ambiguity codes, ``U`` and ``.`` become ``N``; line ends may
    be LF, CRLF, CR or a mixture.

    Parameters
    ----------
    stream
        The file's bytes.
    path
        Its name, for messages.
    max_length
        Longest read accepted, in nucleotides, on however many lines; also the longest header.

    Yields
    ------
    name, bases
        The header without ``>``, and ``ACGTN``.

    Raises
    ------
    DamagedFile
        If the file is truncated or corrupt, or a record is too long, empty or no sequence.
    InputRefused
        If it cannot be read, or holds protein: a letter that only amino acids have, or more
        ambiguity codes than bases.
    """
    record = 0
    for part in _whole_records(stream.unbounded(), path, max_length):
        for text in part.split(b"\n>"):
            record += 1
            header, _, lines = text.partition(b"\n")
            yield header.decode("utf-8", "replace"), _bases(lines, path, record, max_length)


def _whole_records(stream: ReadStream, path: Path, max_length: int) -> Iterator[bytes]:
    """Runs of whole records, without the ``>`` that begins them; memory holds one longest record more."""
    open_record = b""  # from its header on, so that it begins with '>'
    begun = 0
    while True:
        try:
            data = stream.read(_AT_ONCE)
        except UNPACKING_ERRORS as error:
            raise unpacking_failed(error, path, begun + 1, None) from error
        if not data:
            break
        # A CRLF parted here becomes two line ends, which is one empty line.
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        open_record = (open_record + data) if open_record else data.lstrip()
        end = open_record.rfind(b"\n>")
        if end >= 0:
            begun += open_record.count(b"\n>", 0, end) + 1
            yield open_record[1:end]
            open_record = open_record[end + 1 :]
        open_record = _bounded(open_record, path, begun + 1, max_length)
    if open_record:
        yield open_record[1:]


def _bounded(text: bytes, path: Path, record: int, max_length: int) -> bytes:
    """A record that may go on, without its line ends once it is long."""
    if len(text) <= max_length:
        return text
    header, line_end, lines = text.partition(b"\n")
    bases = lines.translate(None, _BLANK)
    if len(header) > max_length or len(bases) > max_length:
        raise _too_long(path, record, max_length)
    return header + line_end + bases + (b"\n" if lines.endswith(b"\n") else b"")


def _bases(lines: bytes, path: Path, record: int, max_length: int) -> bytes:
    letters = lines.translate(None, _BLANK)
    if len(letters) > max_length:
        raise _too_long(path, record, max_length)
    if not letters:
        raise damaged(path, record, "the read has no bases")
    rest = letters.translate(None, _BASES)
    if rest and (2 * len(rest) > len(letters) or rest.translate(None, _AMINO_ACIDS_ALONE) != rest):
        raise _protein(path, record)
    bases = letters.translate(BASES_OF_LETTERS)
    if b"?" in bases:
        raise damaged(path, record, "the sequence holds characters that are no nucleotide code")
    return bases


def _protein(path: Path, record: int) -> InputRefused:
    return InputRefused(
        f"record {record:,}: the sequence holds letters of amino acids",
        path=path,
        expected="nucleotide reads",
        remedy="give the reads themselves, not their translation",
    )


def _too_long(path: Path, record: int, max_length: int) -> DamagedFile:
    return damaged(path, record, f"longer than any read accepted ({max_length:,} nucleotides)")
