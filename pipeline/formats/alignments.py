"""BAM and CRAM files found undamaged, or refused with where and why; no reference is needed.

BAM is read through to its last record. CRAM is walked block by block and every checksum of
version 3 is compared (CRAM 3.1 specification, sections 7 and 8), as decoding would need the
reference. Either must hold the block that ends it, at least one record, and an index that is
not older than itself where a caller will ask for regions.
"""

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import DamagedFile

__all__ = ["check_alignments"]

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_REMEDY = "fetch the file again from where it was aligned"
_INDEXES = {".bam": (".bai", ".csi"), ".cram": (".crai",)}
_MAX_BLOCK = 1 << 30  # bytes; no writer makes containers or blocks near that


def check_alignments(path: Path, *, indexed: bool = True) -> int:
    """Test a BAM or CRAM file from its first to its last byte; the number of its records.

    Parameters
    ----------
    path
        The file; its content decides what it is, not its name.
    indexed
        Whether it must be sorted by coordinate and have an index.

    Returns
    -------
    int
        Records, mapped or not.

    Raises
    ------
    DamagedFile
        If it is neither, truncated, corrupt, without records, or its index is missing or stale.

    Notes
    -----
    CRAM versions 3.0 and 3.1; in older ones nothing but the length could be checked. Damage that a
    checksum cannot show is damage to the uncompressed file before it was written.
    """
    with path.open("rb") as file:
        start = file.read(4)
        if start == b"CRAM":
            records = _check_cram(file, path)
            kind = ".cram"
        elif start[:2] == b"\x1f\x8b":
            records = _check_bam(file, path, sorted_by_coordinate=indexed)
            kind = ".bam"
        else:
            raise DamagedFile("neither BAM nor CRAM", path=path, expected="aligned reads", remedy=_REMEDY)
    if records == 0:
        raise DamagedFile("it holds no reads", path=path, remedy=_REMEDY)
    if indexed:
        _check_index(path, _INDEXES[kind])
    return records


def _check_index(path: Path, suffixes: tuple[str, ...]) -> None:
    places = [p for s in suffixes for p in (path.with_name(path.name + s), path.with_suffix(s))]
    found = next((p for p in places if p.is_file()), None)
    if found is None:
        raise DamagedFile(
            f"it has no index ({' or '.join(suffixes)})", path=path, remedy="make one: samtools index FILE"
        )
    if found.stat().st_mtime < path.stat().st_mtime:
        raise DamagedFile(
            f"its index {found.name} is older than the file", path=path, remedy="make it anew: samtools index"
        )


def _check_bam(file: BinaryIO, path: Path, *, sorted_by_coordinate: bool) -> int:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - len(_BGZF_END)))
    if file.read() != _BGZF_END:
        raise DamagedFile(
            "truncated: the block that ends every BAM file is missing", path=path, remedy=_REMEDY
        )
    import pysam

    before = pysam.set_verbosity(0)  # its library prints on its own
    try:
        with pysam.AlignmentFile(str(path), "rb", check_sq=False) as alignments:
            header = alignments.header.to_dict()
            records = sum(1 for _ in alignments.fetch(until_eof=True))
    except (OSError, ValueError) as error:  # also FileNotFoundError, for a block whose checksum is wrong
        raise DamagedFile(
            f"corrupt: it cannot be read to its end ({type(error).__name__})", path=path, remedy=_REMEDY
        ) from error
    finally:
        pysam.set_verbosity(before)
    if sorted_by_coordinate and header.get("HD", {}).get("SO") != "coordinate":
        raise DamagedFile("not sorted by coordinate", path=path, remedy="sort it: samtools sort")
    return records


def _check_cram(file: BinaryIO, path: Path) -> int:
    """Walk the containers; the records they state. The last one must be the end marker."""
    file.seek(0)
    head = file.read(26)
    if len(head) < 26 or head[4] != 3:
        raise DamagedFile("not a CRAM file of version 3", path=path, remedy="convert it: samtools view -C")
    records, ended = 0, False
    try:
        while chunk := file.read(4):
            if ended:
                raise _Broken("bytes after its end")
            (length,) = struct.unpack("<i", chunk)
            header = _Bytes(file, chunk)
            values = [header.itf8() for _ in range(4)]  # reference, start, span, records
            header.ltf8()  # record counter
            header.ltf8()  # bases
            blocks = header.itf8()
            for _ in range(header.itf8()):
                header.itf8()  # landmarks
            header.compare()
            if not 0 <= length <= _MAX_BLOCK:
                raise _Broken("a container states an impossible length")
            # Its end marker states no reads, one block, and a start that no reference has.
            ended = values == [-1, 4542278, 0, 0] and blocks == 1
            records += values[3]
            stop = file.tell() + length
            for _ in range(blocks):
                _check_block(file)
            if file.tell() > stop:
                raise _Broken("its blocks are longer than their container")
            file.seek(stop)
    except (_Broken, struct.error) as error:
        raise DamagedFile(f"corrupt or truncated: {error}", path=path, remedy=_REMEDY) from error
    if not ended:
        raise DamagedFile(
            "truncated: the container that ends every CRAM file is missing", path=path, remedy=_REMEDY
        )
    return records


def _check_block(file: BinaryIO) -> None:
    block = _Bytes(file, b"")
    block.take(2)  # method, content type
    block.itf8()  # content identifier
    size = block.itf8()
    block.itf8()  # size unpacked
    if not 0 <= size <= _MAX_BLOCK:
        raise _Broken("a block states an impossible size")
    block.take(size)
    block.compare()


class _Broken(Exception):
    """What is wrong, as a clause."""


class _Bytes:
    """Reads numbers of a CRAM header and keeps the checksum of what it has read."""

    def __init__(self, file: BinaryIO, before: bytes) -> None:
        self._file = file
        self._crc = zlib.crc32(before)

    def take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise _Broken("it ends in the middle")
        self._crc = zlib.crc32(data, self._crc)
        return data

    def itf8(self) -> int:
        """A 32-bit integer whose leading ones tell how many bytes follow (section 2.3)."""
        first = self.take(1)[0]
        extra = min(4, 8 - (first ^ 0xFF).bit_length())
        data = self.take(extra)
        value = first & (0x0F if extra == 4 else 0xFF >> (extra + 1))
        for byte in data[:3]:
            value = value << 8 | byte
        if extra == 4:  # the fifth byte gives its lower half only
            value = value << 4 | data[3] & 0x0F
        return value - (1 << 32) if value >= 1 << 31 else value

    def ltf8(self) -> None:
        """A 64-bit integer of the same kind; its value is not needed."""
        first = self.take(1)[0]
        self.take(8 - (first ^ 0xFF).bit_length())

    def compare(self) -> None:
        """The next four bytes are the checksum of all before."""
        expected = self._crc
        if struct.unpack("<I", self.take(4))[0] != expected:
            raise _Broken("a checksum is wrong")
