"""U2AF1 read over both of its copies in GRCh38.

The assembly holds chr21:43.10 Mb once more at chr21:6.49 Mb, where nothing is (a false duplication:
Miller et al. 2022). Reads of the gene fit both places, get mapping quality 0 and half go to each; a
caller that asks for quality sees nothing of S34F. All eight coding exons are identical, so what stands
at the copy is the gene's, and both are counted as one place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chip.evidence import Candidate, Counts, Strands

__all__ = ["U2AF1_GRCH38", "CopiedStretch", "at_home", "pooled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedStretch:
    """A stretch of a gene (1-based, both ends included) whose copy begins at ``copy_start``."""

    gene: str
    chrom: str
    start: int
    end: int
    copy_chrom: str
    copy_start: int

    @property
    def shift(self) -> int:
        """What leads from the copy to the gene."""
        return self.start - self.copy_start

    def home(self, chrom: str, pos: int) -> int | None:
        """The gene's position of one on the copy; None where it is not there."""
        inside = self.copy_start <= pos <= self.copy_start + self.end - self.start
        return pos + self.shift if inside and chrom == self.copy_chrom else None


_FLANK_NT = 10  # of each exon; the splice sites stand in it
_CODING_EXONS = (  # GRCh38 chr21, 1-based, and the shift from the copy to the gene
    (43_093_102, 43_093_249, 36_608_333),
    (43_094_471, 43_094_563, 36_608_333),
    (43_094_655, 43_094_788, 36_608_333),
    (43_095_438, 43_095_536, 36_608_331),
    (43_095_694, 43_095_743, 36_608_331),
    (43_100_453, 43_100_519, 36_608_322),
    (43_104_315, 43_104_402, 36_608_322),
    (43_107_451, 43_107_494, 36_608_322),
)
U2AF1_GRCH38 = tuple(
    CopiedStretch(
        gene="U2AF1",
        chrom="chr21",
        start=start - _FLANK_NT,
        end=end + _FLANK_NT,
        copy_chrom="chr21",
        copy_start=start - _FLANK_NT - shift,
    )
    for start, end, shift in _CODING_EXONS
)
"""Coding exons of U2AF1 on GRCh38; shifts measured on the sequences of both places."""


def at_home(
    chrom: str, pos: int, stretches: Sequence[CopiedStretch] = U2AF1_GRCH38
) -> tuple[str, int, str] | None:
    """Contig, position and gene of a place on a copy; None for every other place.

    >>> at_home("chr21", 6496024)
    ('chr21', 43104346, 'U2AF1')
    """
    prefixed = chrom if chrom.startswith("chr") or not chrom[:1].isdigit() else f"chr{chrom}"
    for stretch in stretches:
        home = stretch.home(prefixed, pos)
        if home is not None:
            back = stretch.chrom if chrom == prefixed else stretch.chrom.removeprefix("chr")
            return back, home, stretch.gene
    return None


def pooled(
    candidates: Sequence[Candidate], stretches: Sequence[CopiedStretch] = U2AF1_GRCH38
) -> tuple[Candidate, ...]:
    """Candidates with those of a copy moved to the gene, and the two halves of one variant counted as one.

    A half without its other one stays as it is, with a note: the depth of the other place is not known
    then, and the true fraction may be half of what is shown.
    """
    found: dict[tuple[str, int | None, str, str, str], Candidate] = {}
    for number, candidate in enumerate(candidates):
        moved = _moved(candidate, stretches)
        key = (moved.chrom, moved.pos, moved.ref, moved.alt, moved.gene)
        if moved.pos is None:
            key = (str(number), None, "", "", "")
        other = found.get(key)
        at_copy = moved is not candidate
        if other is not None and at_copy != bool("at_copy" in other.notes):
            found[key] = _joined(other, moved)
        elif other is None:
            found[key] = moved
        else:
            found[(f"{number}:{moved.chrom}", *key[1:])] = moved
    return tuple(_marked(c, stretches) for c in found.values())


def _moved(candidate: Candidate, stretches: Sequence[CopiedStretch]) -> Candidate:
    if candidate.pos is None:
        return candidate
    home = at_home(candidate.chrom, candidate.pos, stretches)
    if home is None:
        return candidate
    chrom, pos, gene = home
    return replace(candidate, chrom=chrom, pos=pos, gene=gene, notes=(*candidate.notes, "at_copy"))


def _joined(one: Candidate, other: Candidate) -> Candidate:
    notes = tuple(n for n in (*one.notes, *other.notes) if n != "at_copy")
    named = one if one.hgvsp or one.hgvsc else other
    if one.counts is None or other.counts is None:
        return replace(named, counts=None, notes=(*notes, "both_copies"))
    counts = Counts(
        depth=one.counts.depth + other.counts.depth,
        alt=one.counts.alt + other.counts.alt,
        counted=one.counts.counted,
        strands=_summed(one.counts.strands, other.counts.strands),
        orientations=_summed(one.counts.orientations, other.counts.orientations),
    )
    filters = tuple(dict.fromkeys((*one.filters, *other.filters)))
    return replace(named, counts=counts, filters=filters, notes=(*notes, "both_copies"))


def _summed(one: Strands | None, other: Strands | None) -> Strands | None:
    if one is None or other is None:
        return None
    return Strands(
        ref_forward=one.ref_forward + other.ref_forward,
        ref_reverse=one.ref_reverse + other.ref_reverse,
        alt_forward=one.alt_forward + other.alt_forward,
        alt_reverse=one.alt_reverse + other.alt_reverse,
    )


def _marked(candidate: Candidate, stretches: Sequence[CopiedStretch]) -> Candidate:
    """The candidate with a note where only one of its two places is known."""
    if "both_copies" in candidate.notes or candidate.pos is None:
        return candidate
    if "at_copy" in candidate.notes:
        kept = [note for note in candidate.notes if note != "at_copy"]
        return replace(candidate, notes=(*kept, "one_copy"))
    prefixed = candidate.chrom if candidate.chrom.startswith("chr") else f"chr{candidate.chrom}"
    inside = any(
        s.start <= candidate.pos <= s.end and s.chrom in (candidate.chrom, prefixed) for s in stretches
    )
    return replace(candidate, notes=(*candidate.notes, "one_copy")) if inside else candidate
