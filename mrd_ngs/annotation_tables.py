"""A germline set laid out for the kernels: bits in frames, words and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.germline import LOCI, Gene, GermlineSet

__all__ = ["CODE_OF_BYTE", "GermlineTables", "Segment", "WordTable", "germline_tables", "word_table"]

CODE_OF_BYTE = np.full(256, 4, dtype=np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"TtUu")):
    CODE_OF_BYTE[np.frombuffer(_letters, dtype=np.uint8)] = _code


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordTable:
    """Words of k bases: word w has the places ``places[starts[w]:starts[w + 1]]`` in alleles ``owners``.

    A place is relative to the anchor.
    """

    starts: NDArray[np.int32]
    places: NDArray[np.int32]
    owners: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """V, D or J alleles, by locus and name; behind V the intron's flank, behind J Kde.

    ``table``, shape (alleles, 4) int64: place in ``codes``, length, anchor, number of the
    gene. ``bits``, shape (3, words, alleles) uint64: low bit, high bit and known bases in
    the frame, without the elements. ``loci``: first allele of each locus, and the end.
    """

    names: tuple[str, ...]
    codes: NDArray[np.uint8]
    table: NDArray[np.int64]
    bits: NDArray[np.uint64]
    loci: NDArray[np.int64]
    words: WordTable


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GermlineTables:
    """What the kernels need of a germline set."""

    v: Segment
    d: Segment
    j: Segment
    kde_words: WordTable
    intron_words: WordTable


@cache
def germline_tables(germline: GermlineSet) -> GermlineTables:
    """Tables of a germline set; made once per set and process."""
    from mrd_ngs import annotate_kernels as kernels

    elements = {element.joins: element for element in germline.elements}
    intron = _as_gene(elements["end"].name, elements["end"].sequence)
    kde = _as_gene(elements["start"].name, elements["start"].sequence)
    v = _segment(germline.v, intron, kernels.WORDS, kernels.CYS_AT, kernels.V_K)
    j = _segment(germline.j, kde, kernels.J_WORDS, kernels.TRP_AT, kernels.J_K)
    d = _segment([_as_gene(*diversity) for diversity in germline.d], None, 0, 0, kernels.D_K)
    return GermlineTables(
        v=v,
        d=d,
        j=j,
        kde_words=word_table([kde], kernels.E_K),
        intron_words=word_table([intron], kernels.E_K),
    )


def _as_gene(name: str, sequence: str) -> Gene:
    return Gene(name, sequence, 0)


def _segment(genes: Sequence[Gene], element: Gene | None, words: int, anchor_at: int, k: int) -> Segment:
    placed = sorted((g for g in genes if g.anchor is not None), key=lambda g: (g.name[:3], g.name))
    everything = placed if element is None else [*placed, element]
    lengths = [len(g.sequence) for g in everything]
    table = np.zeros((len(everything), 4), dtype=np.int64)
    table[:, 0] = np.cumsum([0, *lengths])[:-1]
    table[:, 1] = lengths
    table[:, 2] = [g.anchor or 0 for g in everything]
    table[:, 3] = _gene_numbers(everything)
    loci = [g.name[:3] for g in placed]
    return Segment(
        names=tuple(g.name for g in everything),
        codes=_codes("".join(g.sequence for g in everything)),
        table=table,
        bits=_frames(placed, words, anchor_at),
        loci=np.array([sum(x < locus for x in loci) for locus in (*LOCI, "IGZ")], dtype=np.int64),
        words=word_table(placed, k, each_owner=words == 0),
    )


def _codes(sequence: str) -> NDArray[np.uint8]:
    return CODE_OF_BYTE[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


def _gene_numbers(genes: Sequence[Gene]) -> list[int]:
    """The same number for alleles of one gene, which stand side by side."""
    names = [g.name.split("*")[0] for g in genes]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


def _frames(genes: Sequence[Gene], words: int, anchor_at: int) -> NDArray[np.uint64]:
    """Low bits, high bits and known bases of each allele, shape (3, words, alleles)."""
    codes = np.full((len(genes), words * 64), 4, dtype=np.uint8)
    for row, gene in zip(codes, genes, strict=True) if words else ():
        start = anchor_at - (gene.anchor or 0)
        row[start : start + len(gene.sequence)] = _codes(gene.sequence)
    known = codes < 4
    planes = (known & (codes & 1 == 1), known & (codes & 2 == 2), known)
    packed = [np.packbits(plane, axis=1, bitorder="little").view("<u8").T for plane in planes]
    return np.ascontiguousarray(np.stack(packed))


def word_table(genes: Sequence[Gene], k: int, *, each_owner: bool = False) -> WordTable:
    """Index of all words; a place is kept once, or once for each allele that has it there."""
    words, places, owners = (
        [np.zeros(0, dtype=np.int64)],
        [np.zeros(0, dtype=np.int64)],
        [np.zeros(0, np.int64)],
    )
    for number, gene in enumerate(genes):
        if len(gene.sequence) < k:
            continue
        codes = np.lib.stride_tricks.sliding_window_view(_codes(gene.sequence).astype(np.int64), k)
        clean = np.flatnonzero((codes < 4).all(axis=1))
        words.append(codes[clean] @ 4 ** np.arange(k - 1, -1, -1))
        places.append(clean - (gene.anchor or 0))
        owners.append(np.full(len(clean), number))
    word, place, owner = np.concatenate(words), np.concatenate(places), np.concatenate(owners)
    keys = ((word * 2048 + place + 1024) << 20) + (owner if each_owner else 0)
    _, first = np.unique(keys, return_index=True)
    return WordTable(
        starts=np.searchsorted(word[first], np.arange(4**k + 1)).astype(np.int32),
        places=place[first].astype(np.int32),
        owners=owner[first].astype(np.int32),
    )
