"""Where in a BAM file the alignments of a region begin: the BAI index (SAM specification 5.2)."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DamagedFile

__all__ = ["BamIndex"]

_TILE_SHIFT = 14  # the linear index has one offset for 16,384 bases
_PSEUDO_BIN = 37450


class BamIndex:
    """The linear index of a BAI file, and of each contig where its alignments begin.

    ``end_offset`` is the largest virtual offset it names, 0 where there are no alignments.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        data = path.read_bytes()
        try:
            self._tiles, self._first, self.end_offset = _parsed(data)
        except (struct.error, ValueError) as error:
            raise DamagedFile(
                "cannot be read as an index", path=path, remedy="run `samtools index` on the BAM file"
            ) from error

    def alignments(self) -> bool:
        """Whether any contig has one."""
        return any(begin is not None for begin in self._first)

    def offset_before(self, contig_number: int, start: int) -> int | None:
        """A virtual offset at or before the first alignment that overlaps ``start`` or begins after it.

        None where the contig has no alignments.
        """
        if contig_number >= len(self._tiles) or self._first[contig_number] is None:
            return None
        tiles = self._tiles[contig_number]
        tile = start >> _TILE_SHIFT
        if tile >= len(tiles):
            return int(tiles[-1]) if len(tiles) else self._first[contig_number]
        # Tiles without alignments hold 0 in some writers; the next before them is early enough.
        filled = np.flatnonzero(tiles[: tile + 1])
        return int(tiles[filled[-1]]) if len(filled) else self._first[contig_number]


def _parsed(data: bytes) -> tuple[list[NDArray[np.uint64]], list[int | None], int]:
    if data[:4] != b"BAI\1":
        raise ValueError("magic")
    (contigs,) = struct.unpack_from("<i", data, 4)
    at = 8
    tiles, first, end = [], [], 0
    for _ in range(contigs):
        (bins,) = struct.unpack_from("<i", data, at)
        at += 4
        begins: list[int] = []
        for _ in range(bins):
            number, chunks = struct.unpack_from("<Ii", data, at)
            at += 8
            if number != _PSEUDO_BIN:
                offsets = struct.unpack_from(f"<{2 * chunks}Q", data, at)
                begins += offsets[::2]
                end = max(end, *offsets)
            at += 16 * chunks
        (count,) = struct.unpack_from("<i", data, at)
        tiles.append(np.frombuffer(data, dtype="<u8", count=count, offset=at + 4))
        at += 4 + 8 * count
        first.append(min(begins) if begins else None)
    return tiles, first, end
