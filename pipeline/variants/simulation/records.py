"""Reads as bytes of BAM records (SAM 1.6, section 4.2) and of FASTQ.

Rows are laid out side by side in one matrix, as wide as the longest, and a mask says which cells each
row has; what the mask keeps, row after row, is the file.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.simulation.read_kernels import Reads
from pipeline.variants.simulation.template_kernels import I64, U8

__all__ = ["AlignedRows", "bam_bytes", "fastq_bytes"]

_LETTERS = np.frombuffer(b"ACGTN-", np.uint8)
_NIBBLES = np.array([1, 2, 4, 8, 15], np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)
_FLAGS = np.array([[99, 147], [163, 83]], np.uint16)  # [strand][0 = the forward mate, 1 = the reverse one]
_OPERATIONS = "MIDNSHP=X"
_HEADER = np.dtype(
    [
        ("block_size", "<i4"), ("contig", "<i4"), ("position", "<i4"), ("name_nt", "u1"), ("mapq", "u1"),
        ("bin", "<u2"), ("operations", "<u2"), ("flag", "<u2"), ("bases", "<i4"), ("next_contig", "<i4"),
        ("next_position", "<i4"), ("template", "<i4"), ("name", "S19"),
    ]
)  # fmt: skip
_Pieces = list[tuple[U8, NDArray[np.bool_]]]


class AlignedRows:
    """Reads with all that their records need; rows can be chosen and joined.

    ``columns`` maps a name to an array with one row a read: those of
    `pipeline.variants.simulation.read_kernels.Reads`, and ``end``, ``mate_position``, ``mate_end``,
    ``mate_text`` (CIGAR of the mate), ``quality`` (mapping), ``contig``, ``umi`` (codes, 5 is a dash).
    Positions are the contig's.
    """

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        self.columns = columns

    @classmethod
    def of(
        cls, reads: Reads, *, contig: int, origin: int, first_molecule: int, quality: I64, umis: U8
    ) -> "AlignedRows":
        """Rows of one slab; ``quality`` by molecule, ``umis`` by pair."""
        rows = np.arange(len(reads.length))
        texts = cigar_texts(reads.cigar, reads.operations)
        position, end = reads.position + origin, reference_ends(reads) + origin
        columns = {
            "bases": reads.bases, "qualities": reads.qualities, "cigar": reads.cigar, "length": reads.length,
            "operations": reads.operations, "edits": reads.edits, "molecule": reads.molecule + first_molecule,
            "strand": reads.strand, "copy": reads.copy, "reverse": rows & 1, "position": position, "end": end,
            "mate_position": position[rows ^ 1], "mate_end": end[rows ^ 1], "mate_text": texts[rows ^ 1],
            "quality": quality[reads.molecule], "contig": np.full(len(rows), contig), "umi": umis[rows >> 1],
        }  # fmt: skip
        return cls(columns)

    def taken(self, order: I64) -> "AlignedRows":
        """These rows, in this order."""
        return AlignedRows({name: column[order] for name, column in self.columns.items()})

    def joined(self, other: "AlignedRows") -> "AlignedRows":
        """These rows and then those of another."""
        pairs = {name: (column, other.columns[name]) for name, column in self.columns.items()}
        return AlignedRows({name: np.concatenate(pair) for name, pair in pairs.items()})


def cigar_texts(cigar: NDArray[np.uint32], operations: I64) -> NDArray[np.bytes_]:
    """CIGARs as text, one a row."""
    simple = operations == 1
    texts = np.char.add((cigar[:, 0] >> 4).astype("S"), b"M").astype("S64")
    known: dict[bytes, str] = {}
    for row in np.flatnonzero(~simple):
        packed = cigar[row, : operations[row]]
        key = packed.tobytes()
        if key not in known:
            known[key] = "".join(f"{int(c) >> 4}{_OPERATIONS[int(c) & 15]}" for c in packed)
        texts[row] = known[key]
    return texts


def reference_ends(reads: Reads) -> I64:
    """Position after the last aligned base, in the window."""
    used = np.arange(reads.cigar.shape[1]) < reads.operations[:, None]
    kinds = reads.cigar & 15
    consumed = np.where(used & ((kinds == 0) | (kinds == 2)), reads.cigar >> 4, 0)
    ends: I64 = reads.position + consumed.sum(axis=1, dtype=np.int64)
    return ends


def bam_bytes(rows: AlignedRows) -> bytes:
    """Records of the rows, in their order."""
    c = rows.columns
    length = c["length"].astype(np.int64)
    widest = int(length.max(initial=0))
    here = np.arange(widest + widest % 2) < length[:, None]
    nibbles = np.zeros(here.shape, np.uint8)
    nibbles[:, :widest] = _NIBBLES[c["bases"][:, :widest].astype(np.uint8)]
    nibbles[~here] = 0
    packed = (nibbles[:, ::2] << 4 | nibbles[:, 1::2]).astype(np.uint8)
    operations = c["operations"].astype(np.int64)
    most = int(operations.max(initial=0))
    cigar = np.ascontiguousarray(c["cigar"][:, :most]).view(np.uint8).reshape(len(length), 4 * most)
    pieces: _Pieces = [
        (cigar, np.arange(4 * most) < 4 * operations[:, None]),
        (packed, here[:, ::2]),
        (c["qualities"][:, :widest].astype(np.uint8), here[:, :widest]),
        *_tags(c),
    ]
    sizes = sum(mask.sum(axis=1) for _, mask in pieces)
    header = _headers(c, sizes)
    return _flattened([_whole(header.view(np.uint8).reshape(len(length), -1)), *pieces])


def fastq_bytes(rows: AlignedRows, mate: int, *, umi: str) -> bytes:
    """First (0) or second (1) mates of all pairs as they were read.

    ``umi`` is ``name`` (behind the read's name), ``inline`` (before its bases) or ``none``.
    """
    c = rows.taken(np.flatnonzero((rows.columns["reverse"] ^ rows.columns["strand"]) == mate)).columns
    length, reverse = c["length"].astype(np.int64), c["reverse"] == 1
    widest = int(length.max(initial=0))
    cycle = np.arange(widest)
    here = cycle < length[:, None]
    place = np.where(reverse[:, None], np.maximum(length[:, None] - 1 - cycle, 0), cycle)
    codes = np.take_along_axis(c["bases"].astype(np.uint8), place, axis=1)
    codes = np.where(reverse[:, None], _COMPLEMENT[codes], codes)
    qualities = np.take_along_axis(c["qualities"].astype(np.uint8), place, axis=1) + 33
    codes_of_umi = c["umi"].astype(np.uint8)
    header, prefix = _umi_text(codes_of_umi, mate, umi)
    names = _names(c).view(np.uint8).reshape(len(length), -1)[:, :18]
    pieces: _Pieces = [
        _constant(b"@", len(length)), _whole(names), _whole(header), _constant(b"\n", len(length)),
        _whole(prefix), (_LETTERS[codes], here), _constant(b"\n+\n", len(length)),
        _whole(np.full(prefix.shape, 33 + 37, np.uint8)), (qualities, here), _constant(b"\n", len(length)),
    ]  # fmt: skip
    return _flattened(pieces)


def _umi_text(codes: U8, mate: int, umi: str) -> tuple[U8, U8]:
    """What stands behind the name, and before the bases."""
    none = np.zeros((len(codes), 0), np.uint8)
    if umi == "none" or not codes.shape[1]:
        return none, none
    dash = np.flatnonzero(codes[:1] == 5)
    if umi == "name":
        letters = _LETTERS[codes]
        letters[letters == ord("-")] = ord("+")
        return np.concatenate([np.full((len(codes), 1), ord(":"), np.uint8), letters], axis=1), none
    half = int(dash[0]) if len(dash) else codes.shape[1]
    return none, _LETTERS[codes[:, half + 1 :] if mate else codes[:, :half]]


def _tags(c: dict[str, NDArray[Any]]) -> _Pieces:
    """NM, MQ, RG, MC and, where there are UMIs, RX."""
    count = len(c["length"])
    edits = np.minimum(c["edits"].astype(np.int64), 255).astype(np.uint8)[:, None]
    text = np.ascontiguousarray(c["mate_text"])
    letters = text.view(np.uint8).reshape(count, -1)
    pieces = [
        _constant(b"NMC", count), _whole(edits), _constant(b"MQC", count),
        _whole(c["quality"].astype(np.uint8)[:, None]), _constant(b"RGZ1\0MCZ", count),
        (letters, letters > 0), _constant(b"\0", count),
    ]  # fmt: skip
    if c["umi"].shape[1]:
        pieces += [
            _constant(b"RXZ", count),
            _whole(_LETTERS[c["umi"].astype(np.uint8)]),
            _constant(b"\0", count),
        ]
    return pieces


def _headers(c: dict[str, NDArray[Any]], sizes: I64) -> NDArray[np.void]:
    header = np.zeros(len(sizes), _HEADER)
    position, end = c["position"].astype(np.int64), c["end"].astype(np.int64)
    left = np.minimum(position, c["mate_position"].astype(np.int64))
    right = np.maximum(end, c["mate_end"].astype(np.int64))
    header["block_size"] = sizes + _HEADER.itemsize - 4
    header["contig"] = header["next_contig"] = c["contig"]
    header["position"], header["next_position"] = position, c["mate_position"]
    header["name_nt"], header["mapq"] = 19, c["quality"]
    header["bin"], header["operations"] = _bins(position, end), c["operations"]
    header["flag"] = _FLAGS[c["strand"].astype(np.int64), c["reverse"].astype(np.int64)]
    header["bases"] = c["length"]
    header["template"] = np.where(c["reverse"] == 1, left - right, right - left)
    header["name"] = _names(c)
    return header


def _names(c: dict[str, NDArray[Any]]) -> NDArray[np.bytes_]:
    """``m``, nine digits of the molecule, strand ``A`` or ``B``, seven of the copy."""
    text = np.full((len(c["length"]), 19), 0, np.uint8)
    text[:, 0] = ord("m")
    text[:, 10] = ord("A") + c["strand"].astype(np.uint8)
    for name, first, digits in (("molecule", 1, 9), ("copy", 11, 7)):
        rest = c[name].astype(np.int64)
        for k in range(first + digits - 1, first - 1, -1):
            text[:, k] = 48 + rest % 10
            rest //= 10
    return text.reshape(-1).view("S19")


def _bins(start: I64, end: I64) -> I64:
    """Bins of the BAI index (SAM 1.6, section 5.3)."""
    bins = np.zeros(len(start), np.int64)
    for shift, first in ((26, 1), (23, 9), (20, 73), (17, 585), (14, 4681)):
        same = start >> shift == (end - 1) >> shift
        bins[same] = first + (start[same] >> shift)
    return bins


def _whole(matrix: U8) -> tuple[U8, NDArray[np.bool_]]:
    return matrix, np.ones(matrix.shape, np.bool_)


def _constant(text: bytes, count: int) -> tuple[U8, NDArray[np.bool_]]:
    return _whole(np.broadcast_to(np.frombuffer(text, np.uint8), (count, len(text))))


def _flattened(pieces: _Pieces) -> bytes:
    matrix = np.concatenate([piece for piece, _ in pieces], axis=1)
    mask = np.concatenate([mask for _, mask in pieces], axis=1)
    kept: U8 = matrix[mask]
    return kept.tobytes()
