"""Libraries with a known clone: cells to templates to PCR to reads, and the truth beside them.

A library is made molecule by molecule. Every B cell gives one template, a heavy-chain
rearrangement of its own (random V, D, J, trimming, N nucleotides, mutations); clonal
cells give copies of the clone, spike-ins a stated number of copies of each. Templates
branch through the early PCR cycles, reads are drawn from what comes out, and bases are
misread.

Not modelled: primer bias between V genes, shared hotspots and selection of mutations,
gene usage, clonal families among the normal B cells, light chains and DJ, PCR errors and
chimaeras, insertions and deletions, hopping between libraries, mates, adapters, read
lengths other than one, the loss of cells or DNA before PCR, and errors in the stated
numbers of cells and copies.
"""

import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import SpikeIn
from mrd_ngs.germline import GermlineSet, load_germline
from pipeline.formats.atomic import write_bytes, write_json, write_text

__all__ = [
    "Clone",
    "LibraryDesign",
    "SimulatedLibrary",
    "simulate_clone",
    "simulate_library",
    "simulate_spike_ins",
    "spike_in_sheet",
    "write_series",
]

_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
_STOPS = (b"TAA", b"TAG", b"TGA")
_GZIP_LEVEL = 4
_ORIGINS = ("polyclonal", "clone", "near_1", "near_2", "spike_in")
_N_MAX = 20  # N nucleotides at one join
_BRANCHING_CYCLES = 10  # later cycles multiply everything alike: (1-p)/(1+p) (1 - (1+p)^-10) is the limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A productive heavy-chain rearrangement: V to J on the coding strand, and its junction."""

    sequence: bytes
    v_call: str
    d_call: str
    j_call: str
    junction: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDesign:
    """What one library is made of.

    ``cells`` nucleated cells, of which ``clone_cells`` belong to the clone, ``b_cells`` are
    polyclonal B cells and ``near_cells`` carry the clone's junction with one and with two
    substitutions. ``reads`` of ``read_length`` nucleotides, ending at the end of J, with
    ``error_rate`` substitutions a base; ``pcr_efficiency`` is the probability that a
    molecule is copied in a cycle (1 has no jackpots).
    """

    cells: int
    clone_cells: int
    b_cells: int
    near_cells: tuple[int, int] = (0, 0)
    reads: int = 30_000
    read_length: int = 230
    error_rate: float = 0.001
    pcr_efficiency: float = 0.8

    def __post_init__(self) -> None:
        if self.clone_cells + self.b_cells + sum(self.near_cells) > self.cells:
            raise ValueError("more B cells than nucleated cells")
        if not 0 <= self.error_rate < 0.75 or not 0 < self.pcr_efficiency <= 1:
            raise ValueError("error_rate must lie in [0, 0.75) and pcr_efficiency in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLibrary:
    """Reads as a FASTQ file's bytes (gzip), and what is true of them."""

    fastq_gz: bytes
    truth: dict[str, Any]


def simulate_clone(rng: np.random.Generator, germline: GermlineSet, *, mutation_rate: float = 0.06) -> Clone:
    """One productive clone, to be followed through a patient's libraries.

    Parameters
    ----------
    rng
        Source of randomness.
    germline
        With heavy-chain V, D and J genes.
    mutation_rate
        Share of bases mutated, anywhere but in the codons of Cys104 and Trp118.
    """
    genes = _genes(germline)
    while True:
        clone = _recombine(genes, rng, mutation_rate)
        if _is_productive(clone.junction):
            return clone


def simulate_spike_ins(
    rng: np.random.Generator, germline: GermlineSet, *, count: int = 9, copies: int = 40, length: int = 230
) -> tuple[SpikeIn, ...]:
    """Synthetic rearrangements of ``length`` nucleotides, ``copies`` of each."""
    genes = _genes(germline)
    spike_ins = []
    for number in range(1, count + 1):
        molecule = _recombine(genes, rng, 0.05)
        sequence = molecule.sequence[-length:]
        centre = sequence.rindex(molecule.junction) + len(molecule.junction) // 2
        spike_ins.append(SpikeIn(name=f"SPK{number}", sequence=sequence, copies=copies, centre=centre))
    return tuple(spike_ins)


def simulate_library(
    design: LibraryDesign,
    clone: Clone,
    spike_ins: Sequence[SpikeIn],
    germline: GermlineSet,
    rng: np.random.Generator,
    *,
    name: str,
) -> SimulatedLibrary:
    """Simulate one library.

    Parameters
    ----------
    design
        Cells, reads and error rates.
    clone
        The patient's clone.
    spike_ins
        Templates added to the sample.
    germline
        For the polyclonal B cells.
    rng
        Source of randomness; the same state gives the same bytes.
    name
        Prefix of the reads' names.

    Returns
    -------
    SimulatedLibrary
        ``truth`` holds the design, the true fraction, and reads by origin.
    """
    molecules, origin = _templates(design, clone, spike_ins, germline, rng)
    amplified = _branch(len(molecules), design.pcr_efficiency, rng)
    drawn = rng.multinomial(design.reads, amplified / amplified.sum())
    source = rng.permutation(np.repeat(np.arange(len(molecules)), drawn))
    bases, qualities = _sequence(molecules[source], design.error_rate, rng)
    kinds = {kind: int(drawn[origin == i].sum()) for i, kind in enumerate(_ORIGINS)}
    truth = {
        "cells": design.cells,
        "b_cells": design.b_cells,
        "clone_cells": design.clone_cells,
        "near_cells": list(design.near_cells),
        "true_mrd": design.clone_cells / design.cells,
        "reads": design.reads,
        "reads_by_origin": kinds,
        "error_rate": design.error_rate,
        "pcr_efficiency": design.pcr_efficiency,
    }
    return SimulatedLibrary(fastq_gz=_fastq(name, bases, qualities), truth=truth)


def spike_in_sheet(spike_ins: Sequence[SpikeIn]) -> str:
    """The sheet that `nadir ngs --spike-ins` reads."""
    rows = "".join(f"{s.name}\t{s.sequence.decode()}\t{s.copies:g}\n" for s in spike_ins)
    return "name\tsequence\tcopies\n" + rows


def write_series(
    folder: Path,
    *,
    seed: int,
    fractions: Sequence[float],
    reads: int,
    cells: int,
    b_cells: int,
    spike_copies: int,
    read_length: int,
) -> dict[str, Any]:
    """Write one patient's libraries, spike-in sheet and truth.

    ``baseline.fastq.gz`` (10 % clonal cells of a fiftieth of ``cells``), one library for
    each of ``fractions`` (the number of clonal cells is a Poisson draw) and
    ``neg_near.fastq.gz``: no clone, but 20 cells each at one and two substitutions.

    Returns
    -------
    dict
        What truth.json holds.
    """
    rng = np.random.default_rng(seed)
    germline = load_germline()
    clone = simulate_clone(rng, germline)
    spike_ins = simulate_spike_ins(rng, germline, copies=spike_copies, length=read_length)
    shape: dict[str, Any] = {"reads": reads, "read_length": read_length}
    few = max(1000, cells // 50)
    designs = {
        "baseline": LibraryDesign(cells=few, clone_cells=few // 10, b_cells=min(b_cells, few // 20), **shape)
    }
    for fraction in fractions:
        found = int(rng.poisson(fraction * cells))
        designs[_level(fraction)] = LibraryDesign(cells=cells, clone_cells=found, b_cells=b_cells, **shape)
    designs["neg_near"] = LibraryDesign(
        cells=cells, clone_cells=0, b_cells=b_cells, near_cells=(20, 20), **shape
    )
    truth: dict[str, Any] = {
        "seed": seed,
        "clone": {
            "sequence": clone.sequence.decode(),
            "junction": clone.junction.decode(),
            "v_call": clone.v_call,
            "d_call": clone.d_call,
            "j_call": clone.j_call,
        },
        "libraries": {},
    }
    for name, design in designs.items():
        library = simulate_library(design, clone, spike_ins, germline, rng, name=name)
        write_bytes(folder / f"{name}.fastq.gz", library.fastq_gz)
        truth["libraries"][name] = library.truth
    write_text(folder / "spike_ins.tsv", spike_in_sheet(spike_ins))
    write_json(folder / "truth.json", truth)
    return truth


def _templates(
    design: LibraryDesign,
    clone: Clone,
    spike_ins: Sequence[SpikeIn],
    germline: GermlineSet,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Every template's last ``read_length`` bases, shape (templates, read_length), and its origin."""
    genes = _genes(germline)
    length = design.read_length
    mutated = rng.random(design.b_cells) < 0.5  # half naive, half memory
    rates = np.where(mutated, rng.exponential(0.05, design.b_cells), 0.0).clip(0, 0.2)
    normal = [_recombine(genes, rng, float(rate)).sequence for rate in rates]
    near = [_look_alike(clone, substitutions, rng) for substitutions in (1, 2)]
    groups = [
        normal,
        [clone.sequence] * design.clone_cells,
        [near[0]] * design.near_cells[0],
        [near[1]] * design.near_cells[1],
        [s.sequence for s in spike_ins for _ in range(round(s.copies))],
    ]
    ends = b"".join(_end(sequence, length) for group in groups for sequence in group)
    origin = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return np.frombuffer(ends, dtype=np.uint8).reshape(-1, length), origin


def _end(sequence: bytes, length: int) -> bytes:
    if len(sequence) < length:
        raise ValueError(f"a template of {len(sequence)} nucleotides is shorter than a read of {length}")
    return sequence[-length:]


def _look_alike(clone: Clone, substitutions: int, rng: np.random.Generator) -> bytes:
    """The clone with some bases of its junction changed, the two anchor codons kept."""
    sequence = bytearray(clone.sequence)
    start = clone.sequence.rindex(clone.junction)
    inner = np.arange(start + 3, start + len(clone.junction) - 3)
    for place in rng.choice(inner, substitutions, replace=False):
        sequence[place] = rng.choice([b for b in b"ACGT" if b != sequence[place]])
    return bytes(sequence)


def _branch(templates: int, efficiency: float, rng: np.random.Generator) -> NDArray[np.int64]:
    molecules = np.ones(templates, dtype=np.int64)
    for _ in range(_BRANCHING_CYCLES):
        molecules += rng.binomial(molecules, efficiency)
    return molecules


def _sequence(
    reads: NDArray[np.uint8], error_rate: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Misread bases at the error rate; most errors, and a few good bases, have a low quality."""
    bases = reads.copy()
    flat = bases.reshape(-1)
    wrong = np.unique(rng.integers(0, flat.size, rng.binomial(flat.size, error_rate)))
    code = np.searchsorted(_BASES, flat[wrong])
    flat[wrong] = _BASES[(code + rng.integers(1, 4, wrong.size)) % 4]
    qualities = np.full(bases.size, ord("F"), dtype=np.uint8)
    doubtful = rng.integers(0, flat.size, rng.binomial(flat.size, error_rate))
    qualities[doubtful] = ord(":")
    qualities[wrong[rng.random(wrong.size) < 0.7]] = ord(",")
    return bases, qualities.reshape(bases.shape)


def _fastq(name: str, bases: NDArray[np.uint8], qualities: NDArray[np.uint8]) -> bytes:
    prefix = f"@{name}:".encode()
    text = b"".join(
        b"%s%d\n%s\n+\n%s\n" % (prefix, number, row.tobytes(), quality.tobytes())
        for number, (row, quality) in enumerate(zip(bases, qualities, strict=True), start=1)
    )
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=_GZIP_LEVEL, mtime=0) as packed:
        packed.write(text)
    return buffer.getvalue()


def _level(fraction: float) -> str:
    return f"mrd_{fraction:.0e}".replace("e-0", "e-") if fraction else "mrd_0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Genes:
    """Heavy-chain genes: (name, sequence, place of the anchor codon); D without an anchor."""

    v: tuple[tuple[str, bytes, int], ...]
    d: tuple[tuple[str, bytes], ...]
    j: tuple[tuple[str, bytes, int], ...]


def _recombine(genes: _Genes, rng: np.random.Generator, mutation_rate: float) -> Clone:
    """One rearrangement: genes at random, ends trimmed, N nucleotides between, bases mutated."""
    v_name, v, cys = genes.v[rng.integers(len(genes.v))]
    d_name, d = genes.d[rng.integers(len(genes.d))]
    j_name, j, trp = genes.j[rng.integers(len(genes.j))]
    v_trim, d_left, d_right, j_trim = rng.integers(0, 7, 4).tolist()
    n1, n2 = rng.poisson(6, 2).clip(0, _N_MAX).tolist()
    added = _BASES[rng.integers(0, 4, 2 * _N_MAX)].tobytes()
    v_part = v[: max(cys + 3, len(v) - v_trim)]
    d_part = d[d_left : max(d_left + 3, len(d) - d_right)]
    j_start = min(j_trim, trp)
    before_j = v_part + added[:n1] + d_part + added[_N_MAX : _N_MAX + n2]
    sequence = before_j + j[j_start:]
    end = len(before_j) + trp - j_start + 3
    mutated = _mutated(sequence, mutation_rate, (cys, end - 3), rng) if mutation_rate else sequence
    return Clone(sequence=mutated, v_call=v_name, d_call=d_name, j_call=j_name, junction=mutated[cys:end])


def _mutated(sequence: bytes, rate: float, anchors: tuple[int, int], rng: np.random.Generator) -> bytes:
    """Substitutions anywhere but in the two anchor codons."""
    bases = np.frombuffer(sequence, dtype=np.uint8).copy()
    hit = rng.random(len(bases)) < rate
    for anchor in anchors:
        hit[anchor : anchor + 3] = False
    code = np.searchsorted(_BASES, bases[hit])
    bases[hit] = _BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return bases.tobytes()


def _is_productive(junction: bytes) -> bool:
    """In frame, without a stop codon, and of a length that heavy chains have."""
    codons = {junction[i : i + 3] for i in range(0, len(junction), 3)}
    return len(junction) % 3 == 0 and 36 <= len(junction) <= 90 and not codons & set(_STOPS)


def _genes(germline: GermlineSet) -> _Genes:
    """The heavy-chain genes that have their anchor."""
    return _Genes(
        v=tuple(
            (g.name, g.sequence.encode(), g.anchor)
            for g in germline.v
            if g.name.startswith("IGH") and g.anchor is not None
        ),
        d=tuple((g.name, g.sequence.encode()) for g in germline.d if g.name.startswith("IGHD")),
        j=tuple(
            (g.name, g.sequence.encode(), g.anchor)
            for g in germline.j
            if g.name.startswith("IGH") and g.anchor is not None
        ),
    )
