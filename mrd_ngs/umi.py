"""UMIs to molecules: reads of one UMI to families, families to consensus sequences and their number.

Every template carries a random tag of L bases when it is copied first, so reads with one tag and
one sequence come from one template. Three things stand in the way, and each is met by what it
leaves behind: errors in the sequence (a consensus of the family), errors in the tag (a tag one base
from another of the same sequence, with as few reads as errors make), and templates that drew
the same tag (u of K tags seen stand for -K ln(1 - u/K) templates).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import UmiCounting, reverse_complement
from mrd_ngs.settings import NgsSettings
from mrd_ngs.umi_folding import collision_corrected, fold_umis

__all__ = ["Molecules", "UmiCollector"]

_BASES = b"ACGT"
_N = ord("N")
_MANY = np.uint16(np.iinfo(np.uint16).max)  # a sum of qualities stops here, at some 1,600 reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Molecules:
    """Molecules and reads of each consensus sequence (the smaller strand of the two).

    ``too_small`` are reads in families with fewer reads than asked for.
    """

    molecules: Mapping[bytes, int]
    reads: Mapping[bytes, int]
    too_small: int
    counting: UmiCounting


@dataclass(slots=True)
class _Member:
    """Equal reads of one UMI: how many, and their Phred scores added up base by base."""

    reads: int
    scores: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Laid:
    """Equal reads of a family, on the strand of its first member."""

    sequence: NDArray[np.uint8]
    scores: NDArray[np.uint16]
    reads: int


class UmiCollector:
    """Collects reads with their UMIs; the order in which they come changes nothing.

    Memory grows with the number of distinct pairs of UMI and sequence, some 1 kB each, not with
    the number of reads.
    """

    def __init__(self) -> None:
        self._members: dict[bytes, dict[bytes, _Member]] = {}
        self._abundance: Counter[bytes] = Counter()

    def add(self, umi: bytes, sequence: bytes, qualities: bytes) -> None:
        """One read: its UMI, its bases on either strand and its Phred scores, a byte each."""
        scores = np.frombuffer(qualities, dtype=np.uint8).astype(np.uint16)
        other = reverse_complement(sequence)
        if other < sequence:
            sequence, scores = other, scores[::-1]
        self._abundance[sequence] += 1
        family = self._members.setdefault(umi, {})
        member = family.get(sequence)
        if member is None:
            family[sequence] = _Member(1, np.ascontiguousarray(scores))
        else:
            member.reads += 1
            np.add(member.scores, np.minimum(scores, _MANY - member.scores), out=member.scores)

    def resolve(self, settings: NgsSettings) -> Molecules:
        """Molecules of all that was added.

        Returns
        -------
        Molecules

        Notes
        -----
        *Families.* Of the reads with one UMI the most abundant sequence leads; others join it
        if they differ in at most the stated share of bases (one gap of up to five bases allowed)
        and have, with c reads, no more than (lead + 1)/2 of them. A sequence that leads
        families of its own elsewhere (two reads each, two families) is another template's
        and joins only with a single read and one mismatch, which an error explains better.

        *Consensus.* At each base the letter with the largest sum of Phred scores wins, hence
        the majority where qualities are alike. Of tied letters that of the read whose whole
        sequence is the most abundant in the library is taken; if that ties too, N.

        *Folding.* A UMI one substitution from another of the same consensus sequence, with at
        most half its reads, may be a misreading of it. Its probability p is weighed from two
        sides: Poisson, for c misread reads of a parent with r at r e/3; and the chance that
        another template drew just this UMI and has c reads, by how full the UMIs of
        this sequence are and by the library's family sizes. As many are folded as the sum
        of p expects, the likeliest first, so that full UMIs are not merged away. e is the
        mismatch rate of reads within families, at least ``error_rate_assumed``. UMIs of
        different sequences are never compared, so true neighbours stay apart.

        *Number.* See `collision_corrected`; sequences are corrected one by one.
        """
        from mrd_ngs.umi_kernels import differences

        established = self._established()
        found: dict[bytes, Counter[bytes]] = {}
        corrected = wrong = bases = 0
        for umi in sorted(self._members):
            for family in self._families(umi, established, settings.umi_family_mismatch_rate):
                consensus, total = self._consensus(family), sum(one.reads for one in family)
                for one in family:
                    differs = differences(one.sequence, consensus, len(consensus))
                    corrected += one.reads * bool(differs)
                    if total > 2 and len(one.sequence) == len(consensus):
                        wrong += one.reads * differs
                        bases += one.reads * len(consensus)
                sequence = consensus.tobytes()
                canonical = min(sequence, reverse_complement(sequence))
                found.setdefault(canonical, Counter())[umi] += total
        possible = 4**settings.umi_total_nt
        error_rate = max(settings.error_rate_assumed, wrong / bases if bases else 0.0)
        folded = fold_umis(found, error_rate, possible)
        molecules: dict[bytes, int] = {}
        reads: dict[bytes, int] = {}
        families = too_small = saturated = 0
        for sequence, sizes in found.items():
            kept = [size for size in sizes.values() if size >= settings.umi_min_family_reads]
            too_small += sizes.total() - sum(kept)
            if kept:
                families += len(kept)
                saturated += len(kept) >= possible
                molecules[sequence] = round(collision_corrected(len(kept), possible))
                reads[sequence] = sum(kept)
        counting = UmiCounting(
            umis_possible=possible,
            families=families,
            umis_folded=folded,
            molecules=sum(molecules.values()),
            saturated_sequences=saturated,
            reads_corrected=corrected,
        )
        return Molecules(molecules=molecules, reads=reads, too_small=too_small, counting=counting)

    def _established(self) -> frozenset[bytes]:
        """Sequences that lead at least two families of two reads."""
        leads: Counter[bytes] = Counter()
        for members in self._members.values():
            lead = min(members, key=lambda s: (-members[s].reads, -self._abundance[s], s))
            leads[lead] += members[lead].reads > 1
        return frozenset(sequence for sequence, families in leads.items() if families > 1)

    def _families(self, umi: bytes, established: frozenset[bytes], rate: float) -> list[list[_Laid]]:
        from mrd_ngs.umi_kernels import group_members

        members = self._members[umi]
        ordered = sorted(members, key=lambda s: (-members[s].reads, -self._abundance[s], s))
        if len(ordered) == 1:
            member = members[ordered[0]]
            return [[_Laid(np.frombuffer(ordered[0], dtype=np.uint8), member.scores, member.reads)]]
        turned = [reverse_complement(sequence) for sequence in ordered]
        ends = np.cumsum([len(sequence) for sequence in ordered], dtype=np.int64)
        family, flipped = group_members(
            np.frombuffer(b"".join(ordered), dtype=np.uint8),
            np.frombuffer(b"".join(turned), dtype=np.uint8),
            np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1])),
            ends,
            np.array([members[sequence].reads for sequence in ordered], dtype=np.int64),
            np.array([sequence in established for sequence in ordered], dtype=np.bool_),
            rate,
        )
        families: list[list[_Laid]] = [[] for _ in range(int(family.max()) + 1)]
        for at, (number, flip) in enumerate(zip(family.tolist(), flipped.tolist(), strict=True)):
            member = members[ordered[at]]
            sequence = np.frombuffer(turned[at] if flip else ordered[at], dtype=np.uint8)
            scores = member.scores[::-1] if flip else member.scores
            families[number].append(_Laid(sequence, scores, member.reads))
        return families

    def _consensus(self, family: list[_Laid]) -> NDArray[np.uint8]:
        lead = family[0].sequence
        voters = [one for one in family if len(one.sequence) == len(lead)]
        if len(voters) == 1:
            return lead
        letters = np.stack([one.sequence for one in voters])
        scores = np.stack([one.scores for one in voters]).astype(np.int64)
        votes = np.stack([(scores * (letters == base)).sum(axis=0) for base in _BASES])
        best = votes.max(axis=0)
        consensus: NDArray[np.uint8] = np.frombuffer(_BASES, dtype=np.uint8)[votes.argmax(axis=0)]
        tied = np.flatnonzero((votes == best).sum(axis=0) > 1)
        if not len(tied):
            return consensus
        consensus = consensus.copy()
        abundance = np.array([self._abundance_of(one.sequence) for one in voters])
        for at in tied.tolist():
            support = [
                int(((letters[:, at] == base) * abundance).max()) if vote == best[at] else 0
                for base, vote in zip(_BASES, votes[:, at], strict=True)
            ]
            clear = best[at] and support.count(max(support)) == 1
            consensus[at] = _BASES[support.index(max(support))] if clear else _N
        return consensus

    def _abundance_of(self, laid: NDArray[np.uint8]) -> int:
        sequence = laid.tobytes()
        return self._abundance[min(sequence, reverse_complement(sequence))]
