"""Which candidates the paired tumour has too: by place and bases where both have them, else by name."""

import re
from collections.abc import Sequence
from dataclasses import replace

from chip.evidence import Candidate
from chip.population import AlleleKey, allele_key
from chip.rules.genes import symbol

__all__ = ["with_tumour"]

_BASES_BEHIND = re.compile(r"(del|dup)[ACGTN]+")
_IS_BASES = re.compile(r"[ACGTN]+").fullmatch


def with_tumour(candidates: Sequence[Candidate], tumour: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Candidates with ``in_tumour`` and the tumour's fraction.

    A tumour's candidate counts unless its caller filtered it, or it has counts and none that support it.
    """
    present = [c for c in tumour if not c.filters and (c.counts is None or c.counts.alt > 0)]
    places = {key: c for c in present if (key := _place(c)) is not None}
    names = {name: c for c in present for name in _names(c)}
    return tuple(_matched(candidate, places, names) for candidate in candidates)


def _matched(
    candidate: Candidate, places: dict[AlleleKey, Candidate], names: dict[tuple[str, str], Candidate]
) -> Candidate:
    place = _place(candidate)
    found = places.get(place) if place is not None else None
    if found is None:
        found = next((names[name] for name in _names(candidate) if name in names), None)
    if found is None:
        return replace(candidate, in_tumour=candidate.in_tumour or False)
    return replace(candidate, in_tumour=True, tumour_vaf=found.allele_fraction)


def _place(candidate: Candidate) -> AlleleKey | None:
    bases = _IS_BASES(candidate.ref) and _IS_BASES(candidate.alt)
    if candidate.pos is None or not candidate.chrom or not bases:
        return None
    return allele_key(candidate.chrom, candidate.pos, candidate.ref, candidate.alt)


def _names(candidate: Candidate) -> list[tuple[str, str]]:
    """Names under which a candidate may stand in another file: its c. name, else its p. name."""
    gene = symbol(candidate.gene)
    if candidate.hgvsc:
        bare = candidate.hgvsc.rpartition("c.")[2]
        return [(gene, "c." + _BASES_BEHIND.sub(r"\1", bare))]
    bare = candidate.hgvsp.rpartition("p.")[2].strip("()")
    return [(gene, "p." + bare)] if bare else []
