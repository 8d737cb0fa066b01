"""Background of a sample from itself: what its molecules show beside the tumour's sites."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.counting.fragment_pileup import WindowPileup
from pipeline.detection import garwood

__all__ = ["INDEL", "BackgroundTally", "substitution_class"]

INDEL = "indel"
_BASES = "ACGT"
_COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
_POLYMORPHIC_SHARE = 0.05
_POLYMORPHIC_FRAGMENTS = 3


def substitution_class(ref: str, alt: str) -> str:
    """One of six strand-symmetric classes, named from the pyrimidine.

    >>> substitution_class("G", "A"), substitution_class("T", "C")
    ('C>T', 'T>C')
    """
    if ref in "AG":
        ref, alt = _COMPLEMENT[ref], _COMPLEMENT[alt]
    return f"{ref}>{alt}"


@dataclass(slots=True)
class BackgroundTally:
    """Errors and bases looked at, by class of substitution; indels apart."""

    errors: dict[str, int]
    bases: dict[str, int]

    @classmethod
    def empty(cls) -> "BackgroundTally":
        """Nothing looked at yet."""
        return cls({}, {})

    def add(self, window: WindowPileup, left_out: frozenset[int]) -> None:
        """Count a window; ``left_out`` are 0-based positions of the tumour's own variants.

        A position where another base has a share of 5 % or more, in at least three fragments, is a
        polymorphism or a variant of its own and is left out too.
        """
        counts = window.counts()
        depth = counts.sum(axis=1)
        for site in np.flatnonzero(depth > 0):
            if window.start + int(site) in left_out:
                continue
            self._add_site(counts[site], int(depth[site]))
        for (anchor, _), rows in window.indels.items():
            seen = int(depth[anchor - window.start])
            if anchor not in left_out and not _polymorphic(len(rows), seen):
                self.errors[INDEL] = self.errors.get(INDEL, 0) + len(rows)
        self.bases[INDEL] = self.bases.get(INDEL, 0) + int(depth.sum())

    def _add_site(self, counts: NDArray[np.int64], depth: int) -> None:
        reference = int(counts.argmax())
        others = [b for b in range(4) if b != reference]
        if any(_polymorphic(int(counts[b]), depth) for b in others):
            return
        for base in others:
            name = substitution_class(_BASES[reference], _BASES[base])
            self.errors[name] = self.errors.get(name, 0) + int(counts[base])
            self.bases[name] = self.bases.get(name, 0) + int(counts[reference])

    def rate(self, name: str, *, confidence: float, floor: float) -> tuple[float, str]:
        """Upper bound of a class's rate per molecule, and what it rests on.

        Parameters
        ----------
        name
            A class, or `INDEL`.
        confidence
            One-sided level of the bound (Garwood's).
        floor
            Smallest rate ever assumed.
        """
        errors, bases = self.errors.get(name, 0), self.bases.get(name, 0)
        if not bases:
            return 0.01, f"{name}: nothing beside the sites to learn from, 1 % assumed"
        bound = garwood(errors, confidence=2 * confidence - 1).high / bases
        basis = f"{name}: {errors} of {bases:,} in this sample beside the sites, upper {confidence:.0%} bound"
        return min(0.5, max(floor, bound)), basis


def _polymorphic(fragments: int, depth: int) -> bool:
    return fragments >= _POLYMORPHIC_FRAGMENTS and fragments >= _POLYMORPHIC_SHARE * depth
