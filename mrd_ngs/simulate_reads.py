"""Simulated sequencing: inserts to reads or mates, with UMIs, errors and qualities."""

import gzip
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Inserts", "ReadLayout", "branch", "sequence_mates", "sequence_single", "stack"]

_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_COMPLEMENT = np.zeros(256, dtype=np.uint8)
_COMPLEMENT[_BASES] = np.frombuffer(b"TGCA", dtype=np.uint8)
_GZIP_LEVEL = 4
_BRANCHING_CYCLES = 10  # later cycles multiply everything alike: (1-p)/(1+p) (1 - (1+p)^-10) is the limit
_QUALITY_LOST = (10.0, 14.0)  # Phred units lost from the first to the last base of mates 1 and 2; own choice
_BEST_QUALITY, _WORST_QUALITY = 41, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLayout:
    """How molecules become reads.

    ``read_length`` nucleotides at the end of the last segment are the insert; where
    ``mates_nt`` is above 0 it is read from both ends, so many nucleotides each. Each template
    carries a random UMI of ``umi_nt`` (0: none): in the read's name behind the last ``:``
    (``umi_in`` ``name``), in front of the insert (``first``, read before it), or so many bases at
    either end (``both``), of which each mate reads one.
    ``error_rate`` substitutions a base; of mates at their first base.
    """

    read_length: int = 230
    error_rate: float = 0.001
    mates_nt: int = 0
    umi_nt: int = 0
    umi_in: str = "name"

    def __post_init__(self) -> None:
        if not 0 <= self.error_rate < 0.75:
            raise ValueError("error_rate must lie in [0, 0.75)")
        if self.umi_in not in ("name", "first", "both") or not 0 <= self.umi_nt <= 24:
            raise ValueError("umi_in must be name, first or both, and umi_nt lie in [0, 24]")
        if self.umi_in == "both" and not self.mates_nt:
            raise ValueError("umi_in both needs mates: mates_nt above 0")
        if self.mates_nt and self.mates_nt < 50:
            raise ValueError("mates_nt must be at least 50")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inserts:
    """What stands on the flow cell: one row a read, UMI first, without errors.

    ``bases``, shape (reads, umi_nt + read_length) uint8 (with a UMI at either end umi_nt more), holds
    letters; ``lengths``, shape
    (reads,), how many of each row are real, UMI included. ``origin``, shape (reads,), is an
    index into the library's kinds of template.
    """

    bases: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    origin: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Inserts":
        """Some reads, in the order given."""
        return Inserts(bases=self.bases[rows], lengths=self.lengths[rows], origin=self.origin[rows])

    def __len__(self) -> int:
        return len(self.lengths)


def branch(templates: int, efficiency: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Molecules of each template after the PCR cycles in which chance matters."""
    molecules = np.ones(templates, dtype=np.int64)
    for _ in range(_BRANCHING_CYCLES):
        molecules += rng.binomial(molecules, efficiency)
    return molecules


def stack(
    ends: list[bytes], layout: ReadLayout, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Templates' ends as rows, each behind a UMI of its own or between two parts of it, and their lengths."""
    width = layout.read_length
    if layout.umi_nt and layout.umi_in == "both":
        behind = _BASES[rng.integers(0, 4, (len(ends), layout.umi_nt))]
        ends = [end + umi.tobytes() for end, umi in zip(ends, behind, strict=True)]
        width += layout.umi_nt
    lengths = np.array([len(end) for end in ends], dtype=np.int64)
    rows = np.frombuffer(b"".join(end.ljust(width, b"A") for end in ends), dtype=np.uint8).reshape(-1, width)
    if not layout.umi_nt:
        return rows, lengths
    umis = _BASES[rng.integers(0, 4, (len(ends), layout.umi_nt))]
    return np.hstack([umis, rows]), lengths + layout.umi_nt


def sequence_single(name: str, inserts: Inserts, layout: ReadLayout, rng: np.random.Generator) -> bytes:
    """A library's single reads as a FASTQ file's bytes (gzip)."""
    bases, qualities = _misread(inserts.bases, layout.error_rate, rng)
    in_name = layout.umi_nt if layout.umi_in == "name" else 0
    umis = bases[:, :in_name]
    return _fastq(name, umis, bases[:, in_name:], qualities[:, in_name:], inserts.lengths - in_name)


def sequence_mates(
    name: str, inserts: Inserts, layout: ReadLayout, rng: np.random.Generator
) -> tuple[bytes, bytes]:
    """A library's first and second mates as two FASTQ files' bytes (gzip).

    Qualities fall with the square of the place in the read and are true: each base is
    wrong with the probability its quality states. A UMI of the name is read without an error.
    """
    in_name = layout.umi_nt if layout.umi_in == "name" else 0
    umis, rows = inserts.bases[:, :in_name], inserts.bases[:, in_name:]
    lengths = inserts.lengths - in_name
    mate_lengths = np.minimum(lengths, layout.mates_nt)
    places = np.arange(layout.mates_nt)
    first = rows[:, np.minimum(places, rows.shape[1] - 1)]
    backwards = np.maximum(lengths[:, None] - 1 - places, 0)
    second = _COMPLEMENT[np.take_along_axis(rows, backwards, axis=1)]
    files = []
    for mate, lost in zip((first, second), _QUALITY_LOST, strict=True):
        bases, qualities = _misread_falling(mate, layout.error_rate, lost, rng)
        files.append(_fastq(name, umis, bases, qualities, mate_lengths))
    return files[0], files[1]


def _misread(
    reads: NDArray[np.uint8], error_rate: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Misread bases at the error rate; most errors, and a few good bases, have a low quality."""
    bases = reads.copy()
    flat = bases.reshape(-1)
    wrong = np.unique(rng.integers(0, flat.size, rng.binomial(flat.size, error_rate)))
    _substitute(flat, wrong, rng)
    qualities = np.full(bases.size, ord("F"), dtype=np.uint8)
    doubtful = rng.integers(0, flat.size, rng.binomial(flat.size, error_rate))
    qualities[doubtful] = ord(":")
    qualities[wrong[rng.random(wrong.size) < 0.7]] = ord(",")
    return bases, qualities.reshape(bases.shape)


def _misread_falling(
    reads: NDArray[np.uint8], error_rate: float, lost: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Misread bases as their qualities say, which fall by ``lost`` Phred units along the read."""
    length = reads.shape[1]
    first = -10 * np.log10(error_rate) if error_rate else float(_BEST_QUALITY)
    fallen = first - lost * (np.arange(length) / max(1, length - 1)) ** 2
    phred = np.clip(np.round(fallen), _WORST_QUALITY, _BEST_QUALITY)
    bases = reads.copy()
    if error_rate:
        wrong = np.flatnonzero(rng.random(bases.shape) < 10 ** (-phred / 10.0))
        _substitute(bases.reshape(-1), wrong, rng)
    return bases, np.broadcast_to((phred + 33).astype(np.uint8), bases.shape)


def _substitute(flat: NDArray[np.uint8], wrong: NDArray[np.int64], rng: np.random.Generator) -> None:
    code = np.searchsorted(_BASES, flat[wrong])
    flat[wrong] = _BASES[(code + rng.integers(1, 4, wrong.size)) % 4]


def _fastq(
    name: str,
    umis: NDArray[np.uint8],
    bases: NDArray[np.uint8],
    qualities: NDArray[np.uint8],
    lengths: NDArray[np.int64],
) -> bytes:
    prefix = f"@{name}:".encode()
    tags = [b":" + umi.tobytes() for umi in umis] if umis.shape[1] else [b""] * len(umis)
    text = b"".join(
        b"%s%d%s\n%s\n+\n%s\n" % (prefix, number, tag, row[:length].tobytes(), quality[:length].tobytes())
        for number, (tag, row, quality, length) in enumerate(
            zip(tags, bases, qualities, lengths.tolist(), strict=True), start=1
        )
    )
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=_GZIP_LEVEL, mtime=0) as packed:
        packed.write(text)
    return buffer.getvalue()
