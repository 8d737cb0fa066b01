"""Alleles that molecules show, those that the same molecules join made one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.edits import Edit, moved, trimmed
from pipeline.variants.evidence import Allele, SiteEvidence
from pipeline.variants.reference import Reference

__all__ = ["Candidate", "anchored", "find_candidates", "kind_of"]

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
    found = [c for group in groups for c in _candidates(evidence.contig, group, reference)]
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
    fixed = before.reach == first and after.reach == second
    if first == second or (fixed and second[0] < first[1]) or after.reach[0] - before.reach[1] > _JOIN_NT:
        return False
    both = len(before.molecules & after.molecules)
    return both >= max(2, _JOIN_SHARE * max(len(before.molecules), len(after.molecules)))


def _changed(allele: Allele) -> tuple[int, int]:
    """Bases that the allele replaces, half-open; empty between two bases for an insertion."""
    if len(allele.ref) == len(allele.alt):
        return allele.position, allele.position + len(allele.ref)
    return allele.position + 1, allele.position + len(allele.ref)


def _candidates(contig: str, group: list[_Part], reference: Reference) -> list[Candidate]:
    """The group as one candidate, or each part for itself where it is alone or they cannot be joined."""
    joined = _joined(contig, group, reference) if len(group) > 1 else None
    if joined is None:
        return [
            Candidate(allele=part.allele, parts=(part.index,), observations=part.observations)
            for part in group
        ]
    shared = frozenset.intersection(*(part.molecules for part in group))
    rows = group[0].observations
    kept = rows[np.isin(rows["molecule"], sorted(shared))]
    return [Candidate(allele=joined, parts=tuple(part.index for part in group), observations=kept)]


def _joined(contig: str, group: list[_Part], reference: Reference) -> Allele | None:
    """One allele that does what all parts do, trimmed, left-aligned, anchored where it needs to be."""
    edits = _placed(group)
    if edits is None:
        return None
    start, end = min(e.start for e in edits), max(e.end for e in edits)
    ref = alt = reference.bases(contig, start, end)
    for edit in reversed(edits):
        alt = alt[: edit.start - start] + edit.alt + alt[edit.end - start :]
    whole = trimmed(start, ref, alt)
    if not whole.ref and not whole.alt:
        return None
    return anchored(moved(whole, reference, contig, -1).edit, contig, reference)


def _placed(group: list[_Part]) -> list[Edit] | None:
    """Edits that do not overlap, by rising start; None if there is no such place for one.

    Alleles stand at their leftmost places. There, one that lies in a repeat may overlap a substitution of the
    same molecules, which in truth stands before it: it moves right, within its reach.
    """
    placed = [
        Edit(p.allele.position, p.allele.ref, p.allele.alt)
        for p in group
        if len(p.allele.ref) == len(p.allele.alt)
    ]
    for part in group:
        if len(part.allele.ref) != len(part.allele.alt):
            first = trimmed(part.allele.position, part.allele.ref, part.allele.alt)
            steps = range(part.reach[1] - first.end + 1)
            free = (e for e in (_shifted(first, n) for n in steps) if not any(_overlap(e, o) for o in placed))
            edit = next(free, None)
            if edit is None:
                return None
            placed.append(edit)
    return sorted(placed, key=lambda e: (e.start, e.end))


def _shifted(edit: Edit, steps: int) -> Edit:
    """The same indel so many bases further right in its repeat; the bases it removes are not needed."""
    turn = steps % max(1, len(edit.alt))
    return Edit(edit.start + steps, edit.ref, edit.alt[turn:] + edit.alt[:turn])


def _overlap(one: Edit, other: Edit) -> bool:
    return one.start < other.end and other.start < one.end


def anchored(edit: Edit, contig: str, reference: Reference) -> Allele:
    """The edit as VCF writes it: with the base before it where it would otherwise be empty."""
    if edit.ref and edit.alt:
        return Allele(position=edit.start, ref=edit.ref, alt=edit.alt)
    before = reference.bases(contig, edit.start - 1, edit.start)
    return Allele(position=edit.start - 1, ref=before + edit.ref, alt=before + edit.alt)
