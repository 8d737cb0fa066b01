"""Alleles that molecules show, those that the same molecules join made one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.edits import moved, trimmed
from pipeline.variants.evidence import Allele, SiteEvidence
from pipeline.variants.reference import Reference

__all__ = ["Candidate", "find_candidates", "kind_of"]

_JOIN_NT = 2
_JOIN_SHARE = 0.8
_LOOK_BACK = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One allele; ``parts`` are the alleles of the evidence that it joins, one where it joins none.

    ``observations`` are rows of dtype `pipeline.variants.evidence.OBSERVATION`, one a molecule that has
    every part, as the first part shows it.
    """

    allele: Allele
    parts: tuple[int, ...]
    observations: NDArray[np.void]

    @property
    def by_strand_class(self) -> NDArray[np.int64]:
        """Molecules of each `pipeline.variants.evidence.StrandClass`."""
        return np.bincount(self.observations["strand_class"], minlength=5)[:5]


def kind_of(ref: str, alt: str) -> str:
    """Class of a VCF allele.

    >>> [kind_of(*a) for a in (("A", "C"), ("AC", "GT"), ("A", "AC"), ("AC", "A"), ("AC", "G"))]
    ['snv', 'mnv', 'insertion', 'deletion', 'complex']
    """
    if len(ref) == len(alt):
        return "snv" if len(ref) == 1 else "mnv"
    if ref[0] == alt[0] and min(len(ref), len(alt)) == 1:
        return "insertion" if len(alt) > len(ref) else "deletion"
    return "complex"


def find_candidates(evidence: SiteEvidence, wanted: Sequence[int], reference: Reference) -> list[Candidate]:
    """Candidates of the window from its alleles with these indices, sorted.

    Neighbours at most two bases apart become one where at least 80 % of the molecules of either have both.
    """
    parts = [_part(evidence, index, reference) for index in wanted]
    parts.sort(key=lambda part: _changed(part.allele))
    groups: list[list[_Part]] = []
    for part in parts:
        home = next((g for g in reversed(groups[-_LOOK_BACK:]) if all(_belongs(p, part) for p in g)), None)
        if home is None:
            groups.append([part])
        else:
            home.append(part)
    found = [_candidate(evidence.contig, group, reference) for group in groups]
    return sorted(found, key=lambda c: c.allele)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """An allele of the evidence; ``reach`` (half-open): where it may stand, since indels move in repeats."""

    index: int
    allele: Allele
    observations: NDArray[np.void]
    molecules: frozenset[int]
    reach: tuple[int, int]


def _part(evidence: SiteEvidence, index: int, reference: Reference) -> _Part:
    allele = evidence.alleles[index]
    start, end = _changed(allele)
    if len(allele.ref) != len(allele.alt):
        edit = trimmed(allele.position, allele.ref, allele.alt)
        end = max(end, moved(edit, reference, evidence.contig, 1).edit.end)
    rows = evidence.observed(index)
    return _Part(
        index=index,
        allele=allele,
        observations=rows,
        molecules=frozenset(rows["molecule"].tolist()),
        reach=(start, end),
    )


def _belongs(before: _Part, after: _Part) -> bool:
    """Whether two parts touch, or nearly, and the molecules of either are those of the other."""
    first, second = _changed(before.allele), _changed(after.allele)
    if second[0] < first[1] or first == second or after.reach[0] - before.reach[1] > _JOIN_NT:
        return False
    both = len(before.molecules & after.molecules)
    return both >= max(2, _JOIN_SHARE * max(len(before.molecules), len(after.molecules)))


def _changed(allele: Allele) -> tuple[int, int]:
    """Bases that the allele replaces, half-open; empty between two bases for an insertion."""
    if len(allele.ref) == len(allele.alt):
        return allele.position, allele.position + len(allele.ref)
    return allele.position + 1, allele.position + len(allele.ref)


def _candidate(contig: str, group: list[_Part], reference: Reference) -> Candidate:
    first = group[0]
    if len(group) == 1:
        return Candidate(allele=first.allele, parts=(first.index,), observations=first.observations)
    shared = frozenset.intersection(*(part.molecules for part in group))
    return Candidate(
        allele=_joined(contig, [part.allele for part in group], reference),
        parts=tuple(part.index for part in group),
        observations=first.observations[np.isin(first.observations["molecule"], sorted(shared))],
    )


def _joined(contig: str, alleles: list[Allele], reference: Reference) -> Allele:
    """One allele that does what these do, trimmed and left-aligned, anchored where it needs to be."""
    start, end = min(a.position for a in alleles), max(a.position + len(a.ref) for a in alleles)
    ref = reference.bases(contig, start, end)
    alt = ref
    for allele in reversed(alleles):
        first, last = _changed(allele)
        new = allele.alt if len(allele.ref) == len(allele.alt) else allele.alt[1:]
        alt = alt[: first - start] + new + alt[last - start :]
    edit = moved(trimmed(start, ref, alt), reference, contig, -1).edit
    if edit.ref and edit.alt:
        return Allele(position=edit.start, ref=edit.ref, alt=edit.alt)
    anchor = reference.bases(contig, edit.start - 1, edit.start)
    return Allele(position=edit.start - 1, ref=anchor + edit.ref, alt=anchor + edit.alt)
