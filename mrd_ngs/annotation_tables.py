"""A germline set laid out for the kernels: bits in frames, words and where they stand."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.annotate_kernels import (
    CYS_AT,
    D_K,
    E_K,
    J_K,
    J_WORDS,
    TRP_AT,
    V_K,
    WORDS,
    Tables,
)
from mrd_ngs.germline import LOCI, Gene, GermlineSet

__all__ = ["CODE_OF_BYTE", "kernel_tables", "placed"]

CODE_OF_BYTE = np.full(256, 4, dtype=np.uint8)
for _code, _letters in enumerate((b"Aa", b"Cc", b"Gg", b"TtUu")):
    CODE_OF_BYTE[np.frombuffer(_letters, dtype=np.uint8)] = _code


def placed(genes: Sequence[Gene]) -> tuple[Gene, ...]:
    """The alleles that have an anchor, by locus and name: the order of the kernels' tables."""
    return tuple(sorted((g for g in genes if g.anchor is not None), key=lambda g: (g.name[:3], g.name)))


@cache
def kernel_tables(germline: GermlineSet) -> Tables:
    """Tables of a germline set; made once per set and process."""
    v, j = placed(germline.v), placed(germline.j)
    elements = {element.joins: element.sequence for element in germline.elements}
    intron, kde = elements.get("end", ""), elements.get("start", "")
    v_lo, v_hi, v_ok = _frames(v, WORDS, CYS_AT)
    j_lo, j_hi, j_ok = _frames(j, J_WORDS, TRP_AT)
    v_codes, v_offsets = _flat([*(g.sequence for g in v), intron])
    j_codes, j_offsets = _flat([*(g.sequence for g in j), kde])
    d_codes, d_offsets = _flat([d.sequence for d in germline.d])
    v_starts, v_places, _ = _seeds([(g.sequence, g.anchor or 0) for g in v], V_K, distinct=True)
    j_starts, j_places, _ = _seeds([(g.sequence, g.anchor or 0) for g in j], J_K, distinct=True)
    d_starts, d_places, d_alleles = _seeds([(d.sequence, 0) for d in germline.d], D_K, distinct=False)
    e_starts, e_places, _ = _seeds([(kde, 0)], E_K, distinct=True)
    i_starts, i_places, _ = _seeds([(intron, 0)], E_K, distinct=True)
    return Tables(
        v_lo=v_lo,
        v_hi=v_hi,
        v_ok=v_ok,
        v_codes=v_codes,
        v_offsets=v_offsets,
        v_cys=np.array([g.anchor for g in v], dtype=np.int32),
        v_gene=_gene_numbers([g.name for g in v]),
        v_range=_locus_range(v),
        v_seed_starts=v_starts,
        v_seed_places=v_places,
        j_lo=j_lo,
        j_hi=j_hi,
        j_ok=j_ok,
        j_codes=j_codes,
        j_offsets=j_offsets,
        j_trp=np.array([g.anchor for g in j], dtype=np.int32),
        j_gene=_gene_numbers([g.name for g in j]),
        j_range=_locus_range(j),
        j_seed_starts=j_starts,
        j_seed_places=j_places,
        d_codes=d_codes,
        d_offsets=d_offsets,
        d_seed_starts=d_starts,
        d_seed_allele=d_alleles,
        d_seed_places=d_places,
        d_gene=_gene_numbers([d.name for d in germline.d]),
        e_seed_starts=e_starts,
        e_seed_places=e_places,
        i_seed_starts=i_starts,
        i_seed_places=i_places,
    )


def _codes(sequence: str) -> NDArray[np.uint8]:
    return CODE_OF_BYTE[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


def _flat(sequences: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
    np.cumsum([len(s) for s in sequences], out=offsets[1:])
    return _codes("".join(sequences)), offsets


def _frames(genes: Sequence[Gene], words: int, anchor_at: int) -> tuple[NDArray[np.uint64], ...]:
    """Low bits, high bits and known bases of each allele, shape (words, alleles)."""
    codes = np.full((len(genes), words * 64), 4, dtype=np.uint8)
    for row, gene in zip(codes, genes, strict=True):
        start = anchor_at - (gene.anchor or 0)
        row[start : start + len(gene.sequence)] = _codes(gene.sequence)
    known = codes < 4
    planes = (known & (codes & 1 == 1), known & (codes & 2 == 2), known)
    return tuple(
        np.ascontiguousarray(np.packbits(plane, axis=1, bitorder="little").view("<u8").T) for plane in planes
    )


def _seeds(
    sequences: Sequence[tuple[str, int]], k: int, *, distinct: bool
) -> tuple[NDArray[np.int32], NDArray[np.int16], NDArray[np.int16]]:
    """Words of ``k`` bases: per word its places relative to the anchor, and their alleles.

    ``distinct`` keeps each place of a word once, whichever allele has it.
    """
    words, places, alleles = [], [], []
    for number, (sequence, anchor) in enumerate(sequences):
        if len(sequence) < k:
            continue
        codes = np.lib.stride_tricks.sliding_window_view(_codes(sequence).astype(np.int64), k)
        clean = (codes < 4).all(axis=1)
        words.append((codes @ 4 ** np.arange(k - 1, -1, -1))[clean])
        places.append(np.flatnonzero(clean) - anchor)
        alleles.append(np.full(int(clean.sum()), number))
    empty = [np.zeros(0, dtype=np.int64)]
    word, place, allele = (np.concatenate(part or empty) for part in (words, places, alleles))
    keys = (word * 4096 + place + 2048) * 1024 + (0 if distinct else allele)
    _, first = np.unique(keys, return_index=True)
    starts = np.searchsorted(word[first], np.arange(4**k + 1)).astype(np.int32)
    return starts, place[first].astype(np.int16), allele[first].astype(np.int16)


def _gene_numbers(names: Sequence[str]) -> NDArray[np.int32]:
    """The same number for alleles of one gene, which stand side by side."""
    genes = [name.split("*")[0] for name in names]
    numbers = {gene: number for number, gene in enumerate(dict.fromkeys(genes))}
    return np.array([numbers[gene] for gene in genes], dtype=np.int32)


def _locus_range(genes: Sequence[Gene]) -> NDArray[np.int32]:
    loci = [g.name[:3] for g in genes]
    return np.array([sum(x < locus for x in loci) for locus in (*LOCI, "IGZ")], dtype=np.int32)
