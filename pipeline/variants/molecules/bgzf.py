"""BGZF read block by block, from any virtual offset, every checksum compared.

A virtual offset is the file offset of a block, times 65,536, plus the offset within what the block
holds (SAM specification 4.1.1). isal unpacks some two times faster than zlib and is used where it is
installed.
"""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from pipeline.errors import DamagedFile, InputRefused

__all__ = ["BgzfReader"]

_HEAD = b"\x1f\x8b\x08\x04"
_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 65_536
_AT_ONCE = 1 << 20
_REPLACE = "copy the file again from where it was made, or make it again"


class BgzfReader:
    """A BGZF file open for reading; refuses one that does not end in BGZF's last block.

    Raises
    ------
    InputRefused
        If the file is not BGZF.
    DamagedFile
        If it is cut short, or (while reading) a block is corrupt.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inflate, self._crc32, self._error = _codec()
        self._file = path.open("rb")
        try:
            self._check_ends()
        except BaseException:
            self._file.close()
            raise
        self._ahead = b""
        self._at = 0  # within _ahead
        self._skip = 0  # bytes of the next block that lie before the offset asked for

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def seek(self, virtual_offset: int) -> None:
        """Go to a virtual offset of an index."""
        self._file.seek(virtual_offset >> 16)
        self._ahead, self._at, self._skip = b"", 0, virtual_offset & 0xFFFF

    def blocks(self, least_bytes: int) -> Iterator[bytes]:
        """The next whole blocks that hold at least so many bytes; none at the end of the file."""
        size = 0
        while size < least_bytes and (block := self._next_block()) is not None:
            yield block
            size += len(block)

    def _next_block(self) -> bytes | None:
        if len(self._ahead) - self._at < _BLOCK:
            self._ahead = self._ahead[self._at :] + self._file.read(_AT_ONCE)
            self._at = 0
        data, at = self._ahead, self._at
        if at == len(data):
            return None
        if data[at : at + 4] != _HEAD or data[at + 12 : at + 16] != b"BC\x02\x00":
            raise self._damaged("a block does not begin where the one before ends")
        size = int.from_bytes(data[at + 16 : at + 18], "little") + 1
        end = at + size
        if end > len(data) or size < 26:
            raise self._damaged("the last block is cut short")
        try:
            block: bytes = self._inflate(data[at + 18 : end - 8])
        except self._error as error:
            raise self._damaged("a block cannot be unpacked") from error
        if self._crc32(block) != int.from_bytes(data[end - 8 : end - 4], "little"):
            raise self._damaged("a block does not have its checksum")
        self._at = end
        if self._skip:
            block, self._skip = block[self._skip :], 0
        return block

    def _check_ends(self) -> None:
        if self._file.read(4) != _HEAD:
            raise InputRefused("is not a BGZF file", path=self.path, expected="BAM as samtools writes it")
        size = self._file.seek(0, 2)
        self._file.seek(max(0, size - len(_END)))
        if self._file.read() != _END:
            raise self._damaged("the file is cut short: its last block is missing")
        self._file.seek(0)

    def _damaged(self, what: str) -> DamagedFile:
        return DamagedFile(what, path=self.path, remedy=_REPLACE)


def _codec() -> tuple[Callable[[bytes], bytes], Callable[[bytes], int], type[Exception]]:
    """How blocks are unpacked and checked, and what is raised for a bad one."""
    module: Any
    error: type[Exception]
    try:
        from isal import isal_zlib

        module, error = isal_zlib, cast("type[Exception]", isal_zlib.error)
    except ImportError:
        module, error = zlib, zlib.error

    def inflate(data: bytes) -> bytes:
        unpacked: bytes = module.decompress(data, wbits=-15, bufsize=_BLOCK)
        return unpacked

    return inflate, module.crc32, error
