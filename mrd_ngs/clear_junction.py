"""The junction of a few plain sequences, without the compiled annotator.

Loading the compiled kernels takes longer than all else that following a clone needs, and a
handful of spike-ins is no work. So what is beyond doubt is found here, by the same rules:
words vote for the place of Cys104 and of Trp/Phe118, and a V and a J fit there
without gaps. Whatever is short, clipped or dented is left to `mrd_ngs.annotate`.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.annotation import CERTAIN
from mrd_ngs.annotation_tables import CODE_OF_BYTE, WordTable, word_table
from mrd_ngs.evidence import reverse_complement
from mrd_ngs.germline import Gene, GermlineSet

__all__ = ["ClearJunction", "clear_junction"]

# Those of `mrd_ngs.annotate_kernels`, which cannot be imported without what is to be spared; a test
# holds them together.
V_K, J_K = 8, 7
MATCH, MISMATCH = 2, -3
CLIPPED, CLIPPED_NEAR_CYS, DEEP_FALL, CLIPPED_J = 12, 6, 14, 8
LONGEST_CDR3, MIN_J, TRP_AT = 200, 24, 64

_OTHER_STRAND_VOTES = 12  # more of them, and the other strand is not beyond doubt
_TAIL = 60  # score: more than what V bases behind Cys104 may add
_Codes = NDArray[np.uint8]


class ClearJunction(NamedTuple):
    """A sequence on its coding strand, and where its junction lies, 0-based and half-open."""

    coding: bytes
    start: int
    end: int


class _Stretch(NamedTuple):
    start: int
    end: int
    score: int
    fall: int  # the deepest fall of the score inside it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tables:
    """Words of V and J; V alleles laid so that their Cys104 codons end together (4: no base)."""

    v_words: WordTable
    v_laid: _Codes
    v_loci: NDArray[np.str_]
    j: tuple[tuple[Gene, _Codes], ...]
    j_words: WordTable


def clear_junction(sequence: bytes, germline: GermlineSet) -> ClearJunction | None:
    """Find the junction of a sequence in which it is beyond doubt.

    Parameters
    ----------
    sequence
        In ``ACGT``, on either strand.
    germline
        Alleles to look for.

    Returns
    -------
    ClearJunction or None
        What `mrd_ngs.annotate.annotate_sequences` finds; None where only that can tell.
    """
    tables = _tables(germline)
    forward, backward = _codes(sequence), _codes(reverse_complement(sequence))
    cys, most = _voted(forward, 0, len(forward), V_K, tables.v_words)
    if most > _OTHER_STRAND_VOTES:
        return _junction(sequence, forward, cys, tables)
    cys, most = _voted(backward, 0, len(backward), V_K, tables.v_words)
    if most > _OTHER_STRAND_VOTES:
        return _junction(reverse_complement(sequence), backward, cys, tables)
    return None


@cache
def _tables(germline: GermlineSet) -> _Tables:
    v = [gene for gene in germline.v if gene.anchor is not None]
    j = [gene for gene in germline.j if gene.anchor is not None]
    width = max(gene.anchor or 0 for gene in v) + 3
    laid = np.full((len(v), width), 4, dtype=np.uint8)
    for row, gene in zip(laid, v, strict=True):
        codes = _codes(gene.sequence[: (gene.anchor or 0) + 3].encode("ascii"))
        row[width - len(codes) :] = codes
    return _Tables(
        v_words=word_table(v, V_K),
        v_laid=laid,
        v_loci=np.array([gene.name[:3] for gene in v]),
        j=tuple((gene, _codes(gene.sequence.encode("ascii"))) for gene in j),
        j_words=word_table(j, J_K),
    )


def _codes(sequence: bytes) -> _Codes:
    return CODE_OF_BYTE[np.frombuffer(sequence, dtype=np.uint8)]


def _votes(read: _Codes, begin: int, end: int, k: int, words: WordTable) -> dict[int, int]:
    """Words in [begin, end) that put the anchor at each place."""
    if end - begin < k:
        return {}
    windows = np.lib.stride_tricks.sliding_window_view(read[begin:end].astype(np.int64), k)
    here = windows @ 4 ** np.arange(k - 1, -1, -1)
    first, many = words.starts[here], words.starts[here + 1] - words.starts[here]
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    anchors = np.repeat(np.arange(begin, begin + len(here)), many)
    anchors -= words.places[np.repeat(first, many) + within]
    places, votes = np.unique(anchors, return_counts=True)
    return dict(zip(places.tolist(), votes.tolist(), strict=True))


def _voted(read: _Codes, begin: int, end: int, k: int, words: WordTable) -> tuple[int, int]:
    """The place with most votes, and these; 0 votes where two places share them."""
    ranked = sorted(_votes(read, begin, end, k, words).items(), key=lambda item: -item[1])[:2]
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return 0, 0
    return ranked[0]


def _junction(coding: bytes, read: _Codes, cys: int, tables: _Tables) -> ClearJunction | None:
    locus = _locus(read, cys, tables)
    trp = None if locus is None else _trp(read, cys, locus, tables)
    return None if trp is None else ClearJunction(coding, cys, trp + 3)


def _locus(read: _Codes, cys: int, tables: _Tables) -> str | None:
    """The locus of V with Cys104 at a place; None where V is doubtful."""
    laid = tables.v_laid
    begin = cys + 3 - laid.shape[1]
    if cys < 0 or cys + 3 > len(read):
        return None
    part = np.full(laid.shape[1], 4, dtype=np.uint8)
    part[max(0, -begin) :] = read[max(0, begin) : cys + 3]
    known = (laid < 4) & (part < 4)
    wrong = np.count_nonzero(known & (laid != part), axis=1)
    compared = np.count_nonzero(known, axis=1)
    scores = MATCH * compared + (MISMATCH - MATCH) * wrong
    best = int(scores.argmax())
    first = int(np.flatnonzero(known[best])[0]) if compared[best] else 0
    found = _best_stretch(laid[best, first:], part[first:])
    length = laid.shape[1] - first
    doubtful = (
        found.start >= CLIPPED
        or length - found.end >= CLIPPED_NEAR_CYS
        or found.fall >= DEEP_FALL
        or scores[best] < max(CERTAIN, compared[best])
    )
    locus = str(tables.v_loci[best])
    rival = scores[tables.v_loci != locus].max(initial=0)
    return None if doubtful or rival > scores[best] - _TAIL else locus


def _trp(read: _Codes, cys: int, locus: str, tables: _Tables) -> int | None:
    """The place of Trp/Phe118 behind Cys104; None where J is doubtful."""
    begin, end = cys + 3, min(len(read), cys + LONGEST_CDR3 + 64)
    votes = _votes(read, begin, end, J_K, tables.j_words)
    enough = max(2, (max(votes.values(), default=0) + 1) // 2)
    best, trp, fits = 0, -1, False
    for place in sorted(p for p, many in votes.items() if many >= enough and begin - 30 <= p < end + 40):
        found = [
            _laid_j(read, place, begin, gene, codes) for gene, codes in tables.j if gene.name[:3] == locus
        ]
        here = max((score for score, _ in found), default=0)
        if here > best:
            best, trp = here, place
            fits = all(whole for score, whole in found if score == here)
    return trp if best >= MIN_J and fits and cys + 3 <= trp <= len(read) - 3 else None


def _laid_j(read: _Codes, trp: int, begin: int, gene: Gene, codes: _Codes) -> tuple[int, bool]:
    """Score of a J with its anchor at a place, and whether it reaches its anchor and its end."""
    shift = trp - (gene.anchor or 0)
    low, high = max(0, begin - shift, trp - TRP_AT - shift), min(len(codes), len(read) - shift)
    if low >= high:
        return 0, False
    found = _best_stretch(codes[low:high], read[low + shift : high + shift])
    start, end = low + found.start, low + found.end
    open_end = min(len(codes) - end, len(read) - shift - end)
    anchored = start <= (gene.anchor or 0) and end >= (gene.anchor or 0) + 3
    return found.score, anchored and open_end < CLIPPED_J


def _best_stretch(gene: _Codes, read: _Codes) -> _Stretch:
    """The stretch of two sequences laid upon each other that scores highest."""
    best = _Stretch(0, 0, 0, 0)
    run = peak = fall = begin = 0
    for place, (one, other) in enumerate(zip(gene.tolist(), read.tolist(), strict=True)):
        if one < 4 and other < 4:
            run += MATCH if one == other else MISMATCH
        if run <= 0:
            run = peak = fall = 0
            begin = place + 1
        elif one == other:
            peak = max(peak, run)
            if run > best.score:
                best = _Stretch(begin, place + 1, run, fall)
        else:
            fall = max(fall, peak - run)
    return best
