"""Simulated cells to templates to PCR: what of a library lies on the flow cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import SpikeIn
from mrd_ngs.germline import GermlineSet
from mrd_ngs.simulate_reads import Inserts, ReadLayout, branch, stack
from mrd_ngs.simulate_rearrangements import KINDS, Clone, genes_of, look_alike, recombine, recombine_kind

__all__ = ["DrawnLibrary", "LibraryDesign", "draw_library"]

_ORIGINS = ("polyclonal", "clone", "near_1", "near_2", "spike_in")
_KAPPA_SHARE = 0.6  # of B cells; about 3 of 5 in human blood
_DJ_SHARE = 0.3  # of B cells with an incomplete DJ on the other allele; own choice


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDesign:
    """What one library is made of.

    ``cells`` nucleated cells, of which ``clone_cells`` belong to the clone, ``b_cells`` are
    polyclonal B cells and ``near_cells`` carry the clone's junction with one and with two
    substitutions. ``reads`` of ``read_length`` nucleotides, ending at the end of J, with
    ``error_rate`` substitutions a base; ``pcr_efficiency`` is the probability that a
    molecule is copied in a cycle (1 has no jackpots).

    ``kinds`` are the rearrangements amplified (`KINDS`), of polyclonal cells and, where it has
    them, of the clone; those without a V are shorter than a read, which then ends with
    them. ``fragment_mean_nt`` is the mean length to which the cells' DNA is broken: a
    template of n nucleotides is whole with probability exp(-n / fragment_mean_nt); 0 is
    unbroken, as spike-ins always are. ``mates_nt``, ``umi_nt`` and ``umi_in`` as in
    `mrd_ngs.simulate_reads.ReadLayout`.
    """

    cells: int
    clone_cells: int
    b_cells: int
    near_cells: tuple[int, int] = (0, 0)
    reads: int = 30_000
    read_length: int = 230
    error_rate: float = 0.001
    pcr_efficiency: float = 0.8
    kinds: tuple[str, ...] = ("IGH",)
    fragment_mean_nt: float = 0.0
    mates_nt: int = 0
    umi_nt: int = 0
    umi_in: str = "name"

    def __post_init__(self) -> None:
        if self.clone_cells + self.b_cells + sum(self.near_cells) > self.cells:
            raise ValueError("more B cells than nucleated cells")
        if not 0 <= self.error_rate < 0.75 or not 0 < self.pcr_efficiency <= 1:
            raise ValueError("error_rate must lie in [0, 0.75) and pcr_efficiency in (0, 1]")
        if "IGH" not in self.kinds or set(self.kinds) - set(KINDS):
            raise ValueError(f"kinds must hold IGH and others of {', '.join(KINDS)}")
        if self.fragment_mean_nt < 0:
            raise ValueError("fragment_mean_nt cannot be negative")
        _ = self.layout  # refuses what no read can be

    @property
    def layout(self) -> ReadLayout:
        """How its molecules become reads."""
        return ReadLayout(
            read_length=self.read_length,
            error_rate=self.error_rate,
            mates_nt=self.mates_nt,
            umi_nt=self.umi_nt,
            umi_in=self.umi_in,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnLibrary:
    """A library on the flow cell, before it is read: ``origins`` names what `Inserts.origin` counts."""

    inserts: Inserts
    origins: tuple[str, ...]
    truth: dict[str, Any]


def draw_library(
    design: LibraryDesign,
    clone: Clone,
    spike_ins: Sequence[SpikeIn],
    germline: GermlineSet,
    rng: np.random.Generator,
    *,
    others: Mapping[str, Clone] | None = None,
) -> DrawnLibrary:
    """All of `mrd_ngs.simulate.simulate_library` but the reading: what lies on the flow cell."""
    groups = _templates(design, clone, spike_ins, germline, rng, others or {})
    origins = tuple(groups)
    origin = np.repeat(np.arange(len(groups)), [len(group) for group in groups.values()])
    sequences = [sequence for group in groups.values() for sequence in group]
    truth: dict[str, Any] = {
        "cells": design.cells,
        "b_cells": design.b_cells,
        "clone_cells": design.clone_cells,
        "near_cells": list(design.near_cells),
        "true_mrd": design.clone_cells / design.cells,
        "reads": design.reads,
        "error_rate": design.error_rate,
        "pcr_efficiency": design.pcr_efficiency,
    }
    if design.fragment_mean_nt:
        whole = _unbroken(sequences, origin == origins.index("spike_in"), design.fragment_mean_nt, rng)
        truth["fragment_mean_nt"] = design.fragment_mean_nt
        truth["templates_by_origin"] = _by_origin(origins, origin)
        sequences, origin = [s for s, kept in zip(sequences, whole, strict=True) if kept], origin[whole]
        truth["whole_templates_by_origin"] = _by_origin(origins, origin)
    if not sequences:
        raise ValueError("no template is whole, so nothing can be sequenced")
    ends = [_end(s, design.read_length, origins[o]) for s, o in zip(sequences, origin.tolist(), strict=True)]
    molecules, lengths = stack(ends, design.layout, rng)
    amplified = branch(len(molecules), design.pcr_efficiency, rng)
    drawn = rng.multinomial(design.reads, amplified / amplified.sum())
    source = rng.permutation(np.repeat(np.arange(len(molecules)), drawn))
    truth["reads_by_origin"] = {kind: int(drawn[origin == i].sum()) for i, kind in enumerate(origins)}
    if design.umi_nt:
        truth["umi_nt"], truth["umi_in"] = design.umi_nt, design.umi_in
        truth["sequenced_templates_by_origin"] = _by_origin(origins, origin[drawn > 0])
    inserts = Inserts(bases=molecules[source], lengths=lengths[source], origin=origin[source])
    return DrawnLibrary(inserts=inserts, origins=origins, truth=truth)


def _templates(
    design: LibraryDesign,
    clone: Clone,
    spike_ins: Sequence[SpikeIn],
    germline: GermlineSet,
    rng: np.random.Generator,
    others: Mapping[str, Clone],
) -> dict[str, list[bytes]]:
    """Every template's sequence by its origin."""
    genes = genes_of(germline)
    mutated = rng.random(design.b_cells) < 0.5  # half naive, half memory
    rates = np.where(mutated, rng.exponential(0.05, design.b_cells), 0.0).clip(0, 0.2)
    normal = [recombine(genes, rng, float(rate)).sequence for rate in rates]
    near = [look_alike(clone, substitutions, rng) for substitutions in (1, 2)]
    added = [s.sequence for s in spike_ins for _ in range(round(s.copies))]
    clonal = [clone.sequence] * design.clone_cells
    near_1, near_2 = ([sequence] * cells for sequence, cells in zip(near, design.near_cells, strict=True))
    groups = dict(zip(_ORIGINS, (normal, clonal, near_1, near_2, added), strict=True))
    for kind in design.kinds:
        if kind == "IGH":
            continue
        groups[f"polyclonal_{kind}"] = []
        if kind in others:
            groups[f"clone_{kind}"] = [others[kind].sequence] * design.clone_cells
    for kind, sequence in _further(design, germline, rates, rng):
        groups[f"polyclonal_{kind}"].append(sequence)
    return groups


def _further(
    design: LibraryDesign, germline: GermlineSet, rates: NDArray[np.float64], rng: np.random.Generator
) -> list[tuple[str, bytes]]:
    """What polyclonal B cells have besides their heavy chain, of the kinds that are amplified.

    A kappa cell has a kappa VJ; a lambda cell a lambda VJ and one kappa deletion; some have a DJ.
    """
    if set(design.kinds) == {"IGH"}:
        return []
    genes = {locus: genes_of(germline, locus) for locus in ("IGH", "IGK", "IGL")}
    found = []
    for rate in rates.tolist():
        is_kappa, has_dj, through_intron = rng.random(3) < (_KAPPA_SHARE, _DJ_SHARE, 0.5)
        kinds = ["IGK"] if is_kappa else ["IGL", "intron-Kde" if through_intron else "V-Kde"]
        for kind in [*kinds, *(["DJ"] if has_dj else [])]:
            if kind in design.kinds:
                locus = {"DJ": "IGH", "V-Kde": "IGK", "intron-Kde": "IGK"}.get(kind, kind)
                molecule = recombine_kind(genes[locus], germline, rng, kind, rate)
                found.append((kind, molecule.sequence))
    return found


def _unbroken(
    sequences: Sequence[bytes], is_added: NDArray[np.bool_], fragment_mean_nt: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Templates without a break between their ends; breaks fall at random."""
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.float64)
    return is_added | (rng.random(len(sequences)) < np.exp(-lengths / fragment_mean_nt))


def _by_origin(origins: Sequence[str], origin: NDArray[np.int64]) -> dict[str, int]:
    counts = np.bincount(origin, minlength=len(origins))
    return {kind: int(count) for kind, count in zip(origins, counts, strict=True)}


def _end(sequence: bytes, length: int, origin: str) -> bytes:
    if len(sequence) < length and origin in _ORIGINS:
        raise ValueError(f"a template of {len(sequence)} nucleotides is shorter than a read of {length}")
    return sequence[-length:]
