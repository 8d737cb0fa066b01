"""Substitutions of one haplotype that together change one codon, taken as one."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.variants.effect import Annotator

__all__ = ["Substitution", "belong_together", "joined", "substitution"]

_CODON_REACH_NT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """Bases exchanged on known haplotypes; ``position`` is 1-based, ``haplotypes`` are places in GT."""

    contig: str
    position: int
    ref: str
    alt: str
    phase_set: str
    haplotypes: frozenset[int]

    @property
    def end(self) -> int:
        """1-based position of the last base."""
        return self.position + len(self.ref) - 1


def substitution(cells: Sequence[str]) -> Substitution | None:
    """The substitution of a record with one ALT and one sample, if its genotype is phased.

    Without ``PS``, all phased genotypes of the file are one phase set (VCF 4.4, section 1.6.2).
    """
    ref, alt = cells[3].upper(), cells[4].upper()
    if len(cells) != 10 or len(ref) != len(alt) or ref.strip("ACGT") or alt.strip("ACGT"):
        return None
    sample = dict(zip(cells[8].split(":"), cells[9].split(":"), strict=False))
    alleles = sample.get("GT", "").split("|")
    haplotypes = frozenset(place for place, allele in enumerate(alleles) if allele == "1")
    if len(alleles) < 2 or not haplotypes:
        return None
    return Substitution(
        contig=cells[0],
        position=int(cells[1]),
        ref=ref,
        alt=alt,
        phase_set=sample.get("PS", "."),
        haplotypes=haplotypes,
    )


def belong_together(before: Substitution, after: Substitution, annotator: Annotator) -> bool:
    """Whether two substitutions of one haplotype touch, or lie in one codon."""
    if (before.contig, before.phase_set, before.haplotypes) != (
        after.contig,
        after.phase_set,
        after.haplotypes,
    ):
        return False
    distance = after.position - before.end
    if distance == 1:
        return True
    return 1 < distance <= _CODON_REACH_NT and _in_one_codon(before, after, annotator)


def joined(group: Sequence[Substitution], annotator: Annotator) -> Substitution:
    """One substitution from the first base to the last, unchanged bases between them included."""
    first, last = group[0], group[-1]
    begin = first.position - 1
    ref = annotator.reference.bases(first.contig, begin, last.end)
    alt = list(ref)
    for part in group:
        alt[part.position - 1 - begin : part.end - begin] = part.alt
    return Substitution(
        contig=first.contig,
        position=first.position,
        ref=ref,
        alt="".join(alt),
        phase_set=first.phase_set,
        haplotypes=first.haplotypes,
    )


def _in_one_codon(before: Substitution, after: Substitution, annotator: Annotator) -> bool:
    left, right = before.end - 1, after.position - 1
    for transcript in annotator.models.overlapping(before.contig, left, right + 1):
        if transcript.coding is None or not transcript.frame_known:
            continue
        begin, end = transcript.coding
        places = [transcript.place(left), transcript.place(right)]
        codons = {
            (place.position - begin) // 3
            for place in places
            if place is not None and not place.distance_nt and begin <= place.position < end
        }
        if len(codons) == 1 and all(p is not None and not p.distance_nt for p in places):
            return True
    return False
