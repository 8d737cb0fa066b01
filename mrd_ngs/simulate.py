"""Libraries with a known clone: cells to templates to PCR to reads, and the truth beside them.

A library is made molecule by molecule. Every B cell gives one template, a heavy-chain
rearrangement of its own (random V, D, J, trimming, N nucleotides, mutations), and one of
each further kind that is asked for and that it has; clonal cells give copies of the clone's
rearrangements, spike-ins a stated number of copies of each. Templates can be lost by
breaks of the DNA, get a UMI, branch through the early PCR cycles; reads or mates are drawn
from what comes out, and bases are misread. Libraries of several patients sequenced
together are in `mrd_ngs.simulate_run`.

Not modelled: primer bias between V genes, shared hotspots and selection of mutations,
gene usage, clonal families among the normal B cells, PCR errors and chimaeras,
insertions and deletions, adapters and primers, the loss of cells before PCR, and errors in
the stated numbers of cells and copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mrd_ngs.evidence import SpikeIn
from mrd_ngs.germline import GermlineSet, load_germline
from mrd_ngs.simulate_reads import ReadLayout, sequence_mates, sequence_single
from mrd_ngs.simulate_rearrangements import (
    KINDS,
    Clone,
    simulate_clone,
    simulate_rearrangement,
    simulate_spike_ins,
)
from mrd_ngs.simulate_templates import DrawnLibrary, LibraryDesign, draw_library
from pipeline.formats.atomic import write_bytes, write_json, write_text

__all__ = [
    "KINDS",
    "Clone",
    "DrawnLibrary",
    "LibraryDesign",
    "SimulatedLibrary",
    "draw_library",
    "sequence_library",
    "simulate_clone",
    "simulate_library",
    "simulate_rearrangement",
    "simulate_spike_ins",
    "spike_in_sheet",
    "truth_of_clone",
    "write_library",
    "write_series",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLibrary:
    """Reads as a FASTQ file's bytes (gzip), second mates where there are any, and what is true of them."""

    fastq_gz: bytes
    mates_gz: bytes | None = None
    truth: dict[str, Any]


def simulate_library(
    design: LibraryDesign,
    clone: Clone,
    spike_ins: Sequence[SpikeIn],
    germline: GermlineSet,
    rng: np.random.Generator,
    *,
    name: str,
    others: Mapping[str, Clone] | None = None,
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
    others
        Further rearrangements of the clone by kind; those that the design amplifies are there.

    Returns
    -------
    SimulatedLibrary
        ``truth`` holds the design, the true fraction, and reads by origin.
    """
    drawn = draw_library(design, clone, spike_ins, germline, rng, others=others)
    return sequence_library(drawn, design.layout, rng, name=name)


def sequence_library(
    drawn: DrawnLibrary, layout: ReadLayout, rng: np.random.Generator, *, name: str
) -> SimulatedLibrary:
    """Read what lies on the flow cell, as single reads or as mates."""
    if layout.mates_nt:
        first, second = sequence_mates(name, drawn.inserts, layout, rng)
        truth = {**drawn.truth, "mates_nt": layout.mates_nt}
        return SimulatedLibrary(fastq_gz=first, mates_gz=second, truth=truth)
    return SimulatedLibrary(fastq_gz=sequence_single(name, drawn.inserts, layout, rng), truth=drawn.truth)


def spike_in_sheet(spike_ins: Sequence[SpikeIn]) -> str:
    """The sheet that `nadir ngs --spike-ins` reads."""
    rows = "".join(f"{s.name}\t{s.sequence.decode()}\t{s.copies:g}\n" for s in spike_ins)
    return "name\tsequence\tcopies\n" + rows


def truth_of_clone(clone: Clone) -> dict[str, str]:
    """A rearrangement as truth.json states it."""
    return {
        "sequence": clone.sequence.decode(),
        "junction": clone.junction.decode(),
        "v_call": clone.v_call,
        "d_call": clone.d_call,
        "j_call": clone.j_call,
    }


def write_library(folder: Path, name: str, library: SimulatedLibrary) -> tuple[str, ...]:
    """Write ``NAME.fastq.gz``, or ``NAME_R1.fastq.gz`` and ``NAME_R2.fastq.gz``; the files' names."""
    if library.mates_gz is None:
        write_bytes(folder / f"{name}.fastq.gz", library.fastq_gz)
        return (f"{name}.fastq.gz",)
    write_bytes(folder / f"{name}_R1.fastq.gz", library.fastq_gz)
    write_bytes(folder / f"{name}_R2.fastq.gz", library.mates_gz)
    return (f"{name}_R1.fastq.gz", f"{name}_R2.fastq.gz")


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
    kinds: Sequence[str] = ("IGH",),
    fragment_mean_nt: float = 0.0,
    mates_nt: int = 0,
    umi_nt: int = 0,
    umi_in: str = "name",
) -> dict[str, Any]:
    """Write one patient's libraries, spike-in sheet and truth.

    ``baseline.fastq.gz`` (10 % clonal cells of a fiftieth of ``cells``), one library for
    each of ``fractions`` (the number of clonal cells is a Poisson draw) and
    ``neg_near.fastq.gz``: no clone, but 20 cells each at one and two substitutions. The
    clone has a rearrangement of each of ``kinds``; the other options are those of
    `LibraryDesign` and `mrd_ngs.simulate_reads.ReadLayout`.

    Returns
    -------
    dict
        What truth.json holds.
    """
    rng = np.random.default_rng(seed)
    germline = load_germline()
    clone = simulate_clone(rng, germline)
    spike_ins = simulate_spike_ins(rng, germline, copies=spike_copies, length=read_length)
    others = {k: simulate_rearrangement(rng, germline, kind=k) for k in kinds if k != "IGH"}
    shape: dict[str, Any] = {
        "reads": reads,
        "read_length": read_length,
        "kinds": tuple(kinds),
        "fragment_mean_nt": fragment_mean_nt,
        "mates_nt": mates_nt,
        "umi_nt": umi_nt,
        "umi_in": umi_in,
    }
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
    truth: dict[str, Any] = {"seed": seed, "clone": truth_of_clone(clone), "libraries": {}}
    if others:
        truth["further_rearrangements"] = {kind: truth_of_clone(other) for kind, other in others.items()}
    for name, design in designs.items():
        library = simulate_library(design, clone, spike_ins, germline, rng, name=name, others=others)
        write_library(folder, name, library)
        truth["libraries"][name] = library.truth
    write_text(folder / "spike_ins.tsv", spike_in_sheet(spike_ins))
    write_json(folder / "truth.json", truth)
    return truth


def _level(fraction: float) -> str:
    return f"mrd_{fraction:.0e}".replace("e-0", "e-") if fraction else "mrd_0"
