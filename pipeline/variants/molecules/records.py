"""Alignments of one stretch of a contig, held only as long as sites ahead may need them."""

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DamagedFile, InputRefused
from pipeline.variants.molecules.bgzf import BgzfReader
from pipeline.variants.molecules.intake import AlignedReads
from pipeline.variants.molecules.record_kernels import (
    COLUMNS,
    END,
    FATE,
    HEADER,
    INLINE,
    KEPT,
    NO_SOURCE,
    POS,
    TAG,
    find_records,
    keep_records,
    read_records,
)
from pipeline.variants.molecules.settings import MoleculeSettings, UmiSource
from pipeline.variants.molecules.tally import ReadTally

__all__ = ["RecordStream"]

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

_AT_ONCE = 1 << 20  # bytes unpacked
_NONE: I64 = np.zeros((0, COLUMNS), dtype=np.int64)


class RecordStream:
    """Records of ``contig`` that begin in [start, end), in their order.

    ``data`` and ``table`` hold the records loaded and not dropped yet; all that begin before ``position``
    are loaded. ``umi_lengths`` are the lengths of UMI parts (first, second), 0 before any was seen.
    """

    def __init__(
        self,
        reads: AlignedReads,
        contig: str,
        start: int,
        end: int,
        settings: MoleculeSettings,
    ) -> None:
        self.data: U8 = np.empty(_AT_ONCE, dtype=np.uint8)
        self.table = _NONE
        self.position = start
        self.umi_lengths = (0, 0)
        self._path: Path = reads.source
        self._contig = reads.number(contig)
        self._start, self._end = start, end
        self._source = source_words(settings.umi)
        self._tally = ReadTally()
        self._filled = self._parsed = 0  # bytes of data that hold something, that were looked at
        self._lengths = np.array([99, 0, 99, 0], dtype=np.int64)
        offset = reads.index.offset_before(self._contig, max(start, 0))
        self._blocks = BgzfReader(reads.path)
        self.ended = offset is None
        if offset is None:
            self.position = end
        else:
            self._blocks.seek(offset)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._blocks.close()

    def load(self, records: int) -> None:
        """Read on until so many more records are there, or the stretch has ended."""
        tables, fetched = [self.table], 0
        while not self.ended and fetched < records:
            offsets, self.ended = self._next_records()
            table = np.zeros((len(offsets), COLUMNS), dtype=np.int64)
            read_records(self.data, offsets, self._source, table, self._lengths)
            table = table[table[:, POS] >= self._start]
            self._tally.add_alignments(table[:, FATE])
            if len(table):
                self.position = int(table[-1, POS])
                fetched += len(table)
                tables.append(table[table[:, FATE] == KEPT])
            elif len(self.table) == fetched == 0:
                self._move_rest(0)  # all before the stretch
            if self.ended:
                self.position = self._end
        self.table = np.concatenate(tables)
        self._check_umis()

    def take_tally(self) -> ReadTally:
        """What became of the alignments since it was last taken."""
        taken, self._tally = self._tally, ReadTally()
        return taken

    def drop_before(self, position: int) -> None:
        """Forget records that end at or before ``position``."""
        size, rows = keep_records(self.data, self.table, self.table[:, END] > position)
        self.table = self.table[:rows]
        self._move_rest(size)

    def _move_rest(self, at: int) -> None:
        """Move the bytes that were not parsed yet to ``at``."""
        rest = self.data[self._parsed : self._filled].copy()
        self.data[at : at + len(rest)] = rest
        self._parsed, self._filled = at, at + len(rest)

    def _next_records(self) -> tuple[I64, bool]:
        """Offsets in ``data`` of the records that more blocks complete, and whether they are the last."""
        before = self._filled
        for block in self._blocks.blocks(_AT_ONCE):
            end = self._filled + len(block)
            if end > len(self.data):
                self.data = np.concatenate([self.data, np.empty(max(len(self.data), end), dtype=np.uint8)])
            self.data[self._filled : end] = np.frombuffer(block, dtype=np.uint8)
            self._filled = end
        at_end = self._filled == before
        offsets = np.empty((self._filled - self._parsed) // 36 + 1, dtype=np.int64)
        count, at, ending = find_records(
            self.data[: self._filled], self._parsed, self._contig, self._end - 1, offsets
        )
        if ending >= 2 or (ending == 0 and at_end and at < self._filled):
            what = {2: "a record contradicts itself", 3: "it is not sorted as its header says"}
            raise DamagedFile(
                what.get(ending, "its last record is cut short"),
                path=self._path,
                remedy="sort it (samtools sort), or copy the file again from where it was made",
            )
        self._parsed = at
        return offsets[:count], ending == 1 or at_end

    def _check_umis(self) -> None:
        """Refuse UMIs of more than one length: they belong to another layout than the one given."""
        if self._source[0] == INLINE:
            self.umi_lengths = (int(self._source[1]), int(self._source[2]))
            return
        least_first, most_first, least_second, most_second = (int(n) for n in self._lengths)
        if most_first == 0:
            return
        if least_first != most_first or (least_second != most_second and most_second):
            raise InputRefused(
                f"UMIs have {least_first} to {most_first} and {least_second} to {most_second} bases",
                path=self._path,
                expected="UMIs of one length, or two parts of one length each",
                remedy="say where the UMIs are (--umi), or give reads of one library",
            )
        self.umi_lengths = (most_first, most_second)


def source_words(umi: UmiSource) -> I64:
    """The UMI source as kernels take it: kind, inline lengths, letters of the tag."""
    kind = {"none": NO_SOURCE, "tag": TAG, "header": HEADER, "inline": INLINE}[umi.kind]
    return np.array([kind, umi.first_nt, umi.second_nt, ord("R"), ord("X")], dtype=np.int64)
