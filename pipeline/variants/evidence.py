"""What molecules show at the sites of a target: the contract between consensus pileup and caller.

One `SiteEvidence` is one window: consecutive sites of one target. What agrees with the reference is
only counted; what differs is listed, molecule by molecule, so that a window costs what its errors and
variants cost, not its depth. ``pipeline.variants.molecules.read_evidence`` yields windows in the order
of contigs (as in the BAM header) and positions; every target site comes exactly once, covered or not.

Strands
-------
A molecule's *forward* strand is what was read with read 1 mapped forward (F1R2), its *reverse* strand
the one read with read 1 mapped reverse (F2R1). Damage before the library was made sits on one of them,
so a duplex molecule, seen on both, shows it as a disagreement. Bases are always those of the
reference's plus strand. Overlapping mates of one pair are one observation.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ALLELE_COLUMNS",
    "DELETED",
    "NO_CALL",
    "OBSERVATION",
    "Allele",
    "ObservationFlag",
    "SiteEvidence",
    "StrandClass",
]

ALLELE_COLUMNS = ("A", "C", "G", "T", "deleted", "no_call")
DELETED, NO_CALL = 4, 5


class StrandClass(IntEnum):
    """How well a molecule was seen at a site; the last axis of `SiteEvidence.counts`.

    Reads are pairs (or reads without a mate) of the molecule that cover the site. Without UMIs a
    molecule is all pairs of the same two fragment ends and orientation; it is never duplex.
    """

    SINGLE_FORWARD = 0  # one read of the forward strand alone
    SINGLE_REVERSE = 1
    FAMILY_FORWARD = 2  # two or more, of the forward strand alone
    FAMILY_REVERSE = 3
    DUPLEX = 4  # at least one read of each strand


class ObservationFlag(IntFlag):
    """What else is known of an observation; the column ``flags``."""

    CLIPPED = 1  # a supporting read is soft-clipped within 10 bases of the site
    NEAR_INDEL = 2  # the molecule has an insertion or deletion within 10 bases of the site (not itself)
    REALIGNED = 4  # the event was found by local realignment, not in the aligner's CIGAR
    MATES_DISAGREE = 8  # the two mates of a pair overlap here and differ
    NOT_PAIRED_WELL = 16  # mates on other contigs, in odd orientation, or a mate missing


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Allele:
    """A difference from the reference: VCF alleles, left-aligned; ``position`` is 0-based, of ``ref``.

    Substitutions have one base each (the caller merges those of one molecule into MNVs); insertions and
    deletions carry the base before them; where they touch substitutions of the same molecule they stay
    apart, joined by the molecule.
    """

    position: int
    ref: str
    alt: str


# One row a molecule and difference from the reference, sorted by (allele, molecule).
OBSERVATION = np.dtype(
    [
        ("allele", "<i4"),  # index into SiteEvidence.alleles
        ("molecule", "<i4"),  # number within the window, the same for every difference of one molecule
        ("strand_class", "u1"),  # StrandClass at this site
        ("flags", "u1"),  # ObservationFlag
        ("mapping_quality", "u1"),  # mean over supporting reads, rounded; 255 = unknown
        ("mismatches", "u1"),  # the molecule's other differences from the reference, at most 255
        ("reads_forward", "<u2"),  # reads of the forward strand that cover the site (at most 65535)
        ("reads_reverse", "<u2"),
        ("alt_forward", "<u2"),  # of these, the ones that show the allele
        ("alt_reverse", "<u2"),
        ("mapped_forward", "<u2"),  # supporting alignments mapped to the plus strand (mates counted apart)
        ("mapped_reverse", "<u2"),
        ("end_distance", "<i2"),  # bases from the site to the nearest end of the fragment (0 = the end)
        ("read_position", "<i2"),  # sequencing cycle of the site (0 = first after UMI), mean of supporting
        # Natural logarithm of P(reads of that strand | its template has the allele) / P(... | reference):
        # sequencing and late PCR (post-UMI error) alone. Damage and first-cycle error (pre-UMI) are the
        # background's, so the caller mixes: P(reads | molecule is reference) = product over strands seen
        # of (1 - e) + e exp(llr), relative to the reference. 0 where the strand has no read.
        ("llr_forward", "<f4"),
        ("llr_reverse", "<f4"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteEvidence:
    """Molecules over the consecutive sites ``start`` ≤ position < ``end`` (0-based) of one contig.

    Parameters
    ----------
    contig, start, end
        Where; ``sites`` = end - start.
    reference
        Bases of the window, upper case, ``N`` where unknown; ``len(reference) == sites``.
    counts
        Shape (sites, 6, 5) uint32: molecules by `ALLELE_COLUMNS` and `StrandClass`. A molecule counts
        under the base its reads favour by at least the consensus bound over every other; a duplex
        molecule under the base both strands favour. Otherwise it counts under ``no_call``. A deleted
        site counts under ``deleted``; an insertion changes nothing at its anchor.
    strand_disagreements
        Shape (sites, 4, 2) uint32: duplex molecules (counted under ``no_call``) of which one strand shows
        the reference and the other, forward (0) or reverse (1), this base: pre-UMI error, seen directly.
    reads
        Shape (sites,) uint32: reads (pairs count once) that cover the site.
    spanning
        Shape (sites, 5) uint32: molecules by `StrandClass` that could show an insertion or deletion
        anchored here, because they cover this site and the next with bases enough on both sides.
    low_mapping
        Shape (sites,) uint32: reads left out for their mapping quality (repeats, false duplications).
    alleles
        Every difference with at least one observation, sorted. Indels belong to the window of their anchor.
    observations
        Dtype `OBSERVATION`. Each of them is also in ``counts`` or ``spanning``.
    molecules
        Molecules that touch the window; ``observations["molecule"]`` is below it.
    has_umis
        Whether molecules were told apart by UMI; if not, duplex columns are 0.
    """

    contig: str
    start: int
    end: int
    reference: str
    counts: NDArray[np.uint32]
    strand_disagreements: NDArray[np.uint32]
    reads: NDArray[np.uint32]
    spanning: NDArray[np.uint32]
    low_mapping: NDArray[np.uint32]
    alleles: tuple[Allele, ...]
    observations: NDArray[np.void]
    molecules: int
    has_umis: bool

    @property
    def sites(self) -> int:
        """How many sites."""
        return self.end - self.start

    def depth_molecules(self) -> NDArray[np.int64]:
        """Molecules with a base or a deletion, shape (sites,): the denominator of a VAF.

        >>> SiteEvidence.empty("chr1", 5, 7, "AC", has_umis=True).depth_molecules().tolist()
        [0, 0]
        """
        depth: NDArray[np.int64] = self.counts[:, :NO_CALL, :].sum(axis=(1, 2), dtype=np.int64)
        return depth

    def observed(self, allele: int) -> NDArray[np.void]:
        """Observations of the allele of this index, by molecule."""
        first, last = np.searchsorted(self.observations["allele"], [allele, allele + 1])
        return self.observations[first:last]

    @classmethod
    def empty(cls, contig: str, start: int, end: int, reference: str, *, has_umis: bool) -> "SiteEvidence":
        """A window that no read covers."""
        sites = end - start
        return cls(
            contig=contig,
            start=start,
            end=end,
            reference=reference,
            counts=np.zeros((sites, len(ALLELE_COLUMNS), len(StrandClass)), dtype=np.uint32),
            strand_disagreements=np.zeros((sites, 4, 2), dtype=np.uint32),
            reads=np.zeros(sites, dtype=np.uint32),
            spanning=np.zeros((sites, len(StrandClass)), dtype=np.uint32),
            low_mapping=np.zeros(sites, dtype=np.uint32),
            alleles=(),
            observations=np.zeros(0, dtype=OBSERVATION),
            molecules=0,
            has_umis=has_umis,
        )
