"""V(D)J annotation of reads by the best ungapped diagonal of V and of J.

Words of eight bases vote for a gene and a diagonal; the winners are extended over their
whole overlap. V and J anchors give the junction. A read whose V has an insertion or
deletion near the junction is outside what an ungapped diagonal can place.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from mrd_ngs.germline import Gene, GermlineSet
from mrd_ngs.rearrangement import Rearrangement

__all__ = ["annotate_sequences"]

_WORD = 8
_MIN_V_MATCHES = 30
_MIN_J_MATCHES = 18
_MIN_IDENTITY = 0.70
_COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
_BASES = "TCAG"
_AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
_CODONS = {a + b + c: _AMINO_ACIDS[16 * i + 4 * j + k] for i, a in enumerate(_BASES)
           for j, b in enumerate(_BASES) for k, c in enumerate(_BASES)}  # fmt: skip

_Index = dict[str, list[tuple[int, int]]]


def annotate_sequences(sequences: Sequence[str], germline: GermlineSet) -> list[Rearrangement | None]:
    """Annotate sequences on either strand.

    Parameters
    ----------
    sequences
        Upper-case reads, A C G T N.
    germline
        V, D and J alleles.

    Returns
    -------
    list
        A `Rearrangement`, or None where V, J or an anchor is not found.
    """
    return [_annotate(sequence, germline) for sequence in sequences]


def _annotate(sequence: str, germline: GermlineSet) -> Rearrangement | None:
    forward = _on_strand(sequence, germline, rev_comp=False)
    if forward is not None:
        return forward
    return _on_strand(sequence.translate(_COMPLEMENT)[::-1], germline, rev_comp=True)


def _on_strand(sequence: str, germline: GermlineSet, *, rev_comp: bool) -> Rearrangement | None:
    v = _best(sequence, germline.v, _index(germline.v), _MIN_V_MATCHES)
    if v is None:
        return None
    v_genes, v_start = v
    locus = v_genes[0].name[:3]
    same_locus = tuple(g for g in germline.j if g.name.startswith(locus))
    j = _best(sequence, same_locus, _index(same_locus), _MIN_J_MATCHES)
    if j is None or v_genes[0].anchor is None or j[0][0].anchor is None:
        return None
    j_genes, j_start = j
    start = v_start + v_genes[0].anchor
    end = j_start + (j[0][0].anchor or 0) + 3
    if not 0 <= start < end - 5 or end > len(sequence):
        return None
    junction = sequence[start:end]
    amino_acids = "".join(_CODONS.get(junction[i : i + 3], "X") for i in range(0, len(junction) - 2, 3))
    in_frame = len(junction) % 3 == 0
    return Rearrangement(
        locus=locus,
        rev_comp=rev_comp,
        v_call=",".join(g.name for g in v_genes),
        d_call=_diversity(junction, germline) if locus == "IGH" else "",
        j_call=",".join(g.name for g in j_genes),
        junction=junction,
        junction_aa=amino_acids if in_frame else "",
        productive=in_frame and "*" not in amino_acids,
        junction_start=start,
        junction_end=end,
    )


def _best(
    sequence: str, genes: tuple[Gene, ...], index: _Index, min_matches: int
) -> tuple[tuple[Gene, ...], int] | None:
    """The genes with most matches less mismatches, and where the first of them starts in the read."""
    votes: dict[tuple[int, int], int] = defaultdict(int)
    for place in range(len(sequence) - _WORD + 1):
        for gene, offset in index.get(sequence[place : place + _WORD], ()):
            votes[gene, place - offset] += 1
    if not votes:
        return None
    most = max(votes.values())
    scored = []
    for (gene, diagonal), count in votes.items():
        if 2 * count >= most:
            matches, overlap = _matches(sequence, genes[gene].sequence, diagonal)
            scored.append((4 * matches - 3 * overlap, matches, overlap, gene, diagonal))
    score, matches, overlap, gene, diagonal = max(scored, key=lambda s: (s[0], -s[3]))
    if matches < min_matches or matches < _MIN_IDENTITY * overlap:
        return None
    tied = sorted((s[3] for s in scored if s[0] == score and s[4] == diagonal), key=lambda g: genes[g].name)
    first = next((g for g in tied if genes[g].anchor is not None), gene)
    ordered = [first, *(g for g in tied if g != first)]
    return tuple(genes[g] for g in ordered), diagonal


def _matches(sequence: str, gene: str, diagonal: int) -> tuple[int, int]:
    start, end = max(0, diagonal), min(len(sequence), diagonal + len(gene))
    pairs = zip(sequence[start:end], gene[start - diagonal : end - diagonal], strict=True)
    return sum(a == b for a, b in pairs), end - start


def _diversity(junction: str, germline: GermlineSet) -> str:
    """The D allele with the longest word in common with the junction, at least nine bases."""
    inner = junction[3:-3]
    for length in range(len(inner), 8, -1):
        words = {inner[i : i + length] for i in range(len(inner) - length + 1)}
        found = [d.name for d in germline.d if any(w in d.sequence for w in words)]
        if found:
            return ",".join(found)
    return ""


@cache
def _index(genes: tuple[Gene, ...]) -> _Index:
    index: _Index = defaultdict(list)
    for number, gene in enumerate(genes):
        for offset in range(len(gene.sequence) - _WORD + 1):
            index[gene.sequence[offset : offset + _WORD]].append((number, offset))
    return dict(index)
