"""Bases of an indexed FASTA file, read in pieces that are kept."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import InputRefused, printable

__all__ = ["Reference"]

_PIECE_NT = 1 << 16
_PIECES_KEPT = 256
_LETTERS = str.maketrans("acgtnACGTNRYSWKMBDHVUryswkmbdhvu", "ACGTNACGTN" + "N" * 22)
_INDEX = "run `samtools faidx` on it (bgzip it first, if it is to stay compressed)"


class Reference:
    """An indexed FASTA file; upper case, ambiguity codes read as ``N``.

    Parameters
    ----------
    path
        FASTA with ``.fai`` beside it (and ``.gzi`` where bgzipped).

    Raises
    ------
    InputRefused
        If it cannot be opened or has no index.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        self.lengths_nt: dict[str, int] = dict(
            zip(self._file.references, (int(n) for n in self._file.lengths), strict=True)
        )
        self._pieces: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._md5: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def bases(self, contig: str, start: int, end: int) -> str:
        """Bases of the 0-based half-open interval, which must lie inside the contig."""
        if start >= end:
            return ""
        number, within = divmod(start, _PIECE_NT)
        piece = self._piece(contig, number)
        if within + end - start <= _PIECE_NT:
            return piece[within : within + end - start]
        parts = [piece[within:]]
        following = range(number + 1, (end - 1) // _PIECE_NT + 1)
        parts += [self._piece(contig, n)[: end - n * _PIECE_NT] for n in following]
        return "".join(parts)

    def require(self, contig: str, *, length_nt: int | None = None, md5: str | None = None) -> None:
        """Refuse a contig that the file lacks, or has in another length or with other bases.

        Raises
        ------
        InputRefused
            Naming what differs: the spelling of the name, the build, or the bases.
        """
        if contig not in self.lengths_nt:
            raise self._missing(contig)
        found = self.lengths_nt[contig]
        if length_nt is not None and length_nt != found:
            raise InputRefused(
                f"contig {printable(contig)} is {found:,} nucleotides long",
                path=self.path,
                expected=f"{length_nt:,} nucleotides, as the other file says",
                remedy="give the reference of the same genome build",
            )
        if md5 is not None and md5.lower() != self.md5(contig):
            raise InputRefused(
                f"contig {printable(contig)} has MD5 {self.md5(contig)}",
                path=self.path,
                expected=f"{printable(md5)}, as the other file says",
                remedy="give the reference of the same genome build and masking",
            )

    def md5(self, contig: str) -> str:
        """MD5 of the contig's bases in upper case, as SAM's ``M5`` (ambiguity codes kept)."""
        if contig not in self._md5:
            text = str(self._file.fetch(contig)).upper()
            self._md5[contig] = hashlib.md5(text.encode("ascii"), usedforsecurity=False).hexdigest()
        return self._md5[contig]

    def _piece(self, contig: str, number: int) -> str:
        key = (contig, number)
        piece = self._pieces.get(key)
        if piece is None:
            begin = number * _PIECE_NT
            piece = str(self._file.fetch(contig, begin, begin + _PIECE_NT)).translate(_LETTERS)
            self._pieces[key] = piece
            if len(self._pieces) > _PIECES_KEPT:
                self._pieces.popitem(last=False)
        return piece

    def _missing(self, contig: str) -> InputRefused:
        other = contig[3:] if contig.startswith("chr") else f"chr{contig}"
        if other in self.lengths_nt:
            cause = (
                f"has contig {printable(other)} but not {printable(contig)}: the names are spelled otherwise"
            )
        else:
            cause = f"has no contig {printable(contig)}"
        return InputRefused(
            cause,
            path=self.path,
            expected=f"one such as {printable(next(iter(self.lengths_nt)))} ({len(self.lengths_nt)} in all)",
            remedy="give the reference that the variants were called on",
        )


def _opened(path: Path) -> Any:
    import pysam

    if not path.is_file():
        raise InputRefused("there is no such file", path=path, remedy="give an indexed FASTA file")
    if not Path(f"{path}.fai").is_file():
        raise InputRefused("has no index (.fai)", path=path, remedy=_INDEX)
    before = pysam.set_verbosity(0)  # htslib's own messages would go to stderr beside ours
    try:
        return pysam.FastaFile(str(path))
    except (OSError, ValueError) as error:
        raise InputRefused("cannot be read as indexed FASTA", path=path, remedy=_INDEX) from error
    finally:
        pysam.set_verbosity(before)
