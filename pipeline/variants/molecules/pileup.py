"""Consensus pileup of the windows that one load of records completes."""

from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.evidence import OBSERVATION, Allele, SiteEvidence
from pipeline.variants.molecules.alignment_kernels import (
    ANCHOR,
    BASES,
    INDEL_COLUMNS,
    LENGTH,
    LONGEST_CODED_NT,
    NAME,
    find_indels,
    nibble,
    repeat_ends,
    sequence_of,
)
from pipeline.variants.molecules.grouping import Families
from pipeline.variants.molecules.pileup_kernels import (
    COUNT_SHIFT,
    O_ALT,
    O_ANCHOR,
    O_BASES,
    O_CLASS,
    O_CYCLE,
    O_END,
    O_EXAMPLE,
    O_FLAGS,
    O_INDEX,
    O_LENGTH,
    O_MAPPED,
    O_MISMATCHES,
    O_MOLECULE,
    O_QUALITY,
    O_RATIO,
    O_READS,
    O_ROTATION,
    UNIT,
    find_extents,
    pile_up,
)
from pipeline.variants.molecules.record_kernels import END, POS
from pipeline.variants.molecules.settings import MoleculeSettings
from pipeline.variants.reference import Reference

__all__ = ["Piles", "reference_bases", "vote_weights"]

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

_MARGIN_NT = 80  # around all records: room for ends that realignment moves
_NIBBLES = np.full(256, 15, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"ACGT", dtype=np.uint8)] = [1, 2, 4, 8]
_reading_reference = Lock()  # one handle serves all threads


class Piles:
    """Records of one load, their molecules and the reference under them, ready to be piled up.

    Parameters
    ----------
    data, table
        Records, see `pipeline.variants.molecules.record_kernels`; at least one.
    families
        Their molecules.
    sites
        Contig, first site and the one behind the last, within which `evidence` will be asked for.
    """

    def __init__(
        self,
        data: U8,
        table: I64,
        families: Families,
        sites: tuple[str, int, int],
        reference: Reference,
        settings: MoleculeSettings,
    ) -> None:
        self._data, self._table, self._families = data, table, families
        contig, first, last = sites
        self._contig, self._settings = contig, settings
        self._origin = min(int(table[:, POS].min()), first) - _MARGIN_NT
        end = max(int(table[:, END].max()), last) + _MARGIN_NT
        self._bases = reference_bases(reference, contig, self._origin, end)
        self._codes = _NIBBLES[np.frombuffer(self._bases.encode("ascii"), dtype=np.uint8)]
        self._repeat_end = np.empty(len(self._codes), dtype=np.int32)
        repeat_ends(self._codes, self._repeat_end)
        self._known = self._known_indels()
        self._extents = np.empty((families.molecules, 4), dtype=np.int64)
        find_extents(table, families.pairs, families.starts, self._origin, self._extents)
        anchors = self._known[:, ANCHOR]
        self._next_known = np.searchsorted(anchors, np.arange(len(self._codes))).astype(np.int32)

    def evidence(self, start: int, end: int) -> SiteEvidence:
        """Evidence of the sites [start, end)."""
        settings, families = self._settings, self._families
        empty = SiteEvidence.empty(
            self._contig,
            start,
            end,
            self._bases_of(start, end),
            has_umis=settings.umi.kind != "none",
        )
        inline = settings.umi.kind == "inline"
        rows, molecules = pile_up(
            self._data,
            self._table,
            families.pairs,
            families.strands,
            families.starts,
            self._extents,
            self._origin,
            self._codes,
            self._repeat_end,
            self._known,
            self._next_known,
            np.array([start - self._origin, end - self._origin], dtype=np.int64),
            _votes(settings.post_umi_error),
            np.array([settings.umi.first_nt, settings.umi.second_nt] if inline else [0, 0], dtype=np.int64),
            settings.min_mapping_quality,
            settings.min_base_quality,
            int(settings.min_consensus_llr * UNIT),
            settings.indel_flank_nt,
            empty.counts,
            empty.strand_disagreements,
            empty.reads,
            empty.spanning,
            empty.low_mapping,
        )
        alleles, observations = self._named(rows)
        return SiteEvidence(
            contig=empty.contig,
            start=start,
            end=end,
            reference=empty.reference,
            counts=empty.counts,
            strand_disagreements=empty.strand_disagreements,
            reads=empty.reads,
            spanning=empty.spanning,
            low_mapping=empty.low_mapping,
            alleles=alleles,
            observations=observations,
            molecules=molecules,
            has_umis=empty.has_umis,
        )

    def _known_indels(self) -> I64:
        """Indels that at least two fragments show, by anchor: what ends of other reads may hide."""
        found = np.empty((4096, INDEL_COLUMNS), dtype=np.int64)
        for _ in range(2):
            count = find_indels(
                self._data, self._table, self._origin, self._codes, self._settings.min_mapping_quality, found
            )
            if count <= len(found):
                break
            found = np.empty((count, INDEL_COLUMNS), dtype=np.int64)
        found = found[:count]
        found = found[found[:, LENGTH] <= LONGEST_CODED_NT]
        found = found[np.lexsort([found[:, key] for key in (NAME, BASES, LENGTH, ANCHOR)])]
        if len(found) == 0:
            return found
        same = (found[1:, [ANCHOR, LENGTH, BASES]] == found[:-1, [ANCHOR, LENGTH, BASES]]).all(axis=1)
        first = np.flatnonzero(np.r_[True, ~same])
        other_name = np.r_[False, same & (found[1:, NAME] != found[:-1, NAME])]
        return np.ascontiguousarray(found[first][np.add.reduceat(other_name, first) > 0])

    def _bases_of(self, start: int, end: int) -> str:
        return self._bases[start - self._origin : end - self._origin]

    def _named(self, rows: I64) -> tuple[tuple[Allele, ...], NDArray[np.void]]:
        """Alleles of the kernel's rows, sorted, and the rows as observations."""
        if len(rows) == 0:
            return (), np.zeros(0, dtype=OBSERVATION)
        keys = rows[:, [O_ANCHOR, O_LENGTH, O_BASES]]
        order = np.lexsort((rows[:, O_MOLECULE], keys[:, 2], keys[:, 1], keys[:, 0]))
        rows, keys = rows[order], keys[order]
        is_first = np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)]
        alleles = [self._allele(row) for row in rows[is_first].tolist()]
        rank = {allele: i for i, allele in enumerate(sorted(set(alleles)))}
        number = np.array([rank[allele] for allele in alleles], dtype=np.int64)[np.cumsum(is_first) - 1]
        order = np.lexsort((rows[:, O_MOLECULE], number))
        return tuple(rank), _observations(rows[order], number[order])

    def _allele(self, row: list[int]) -> Allele:
        x, length = row[O_ANCHOR], row[O_LENGTH]
        position, base = self._origin + x, self._bases[x]
        if length == 0:
            return Allele(position=position, ref=base, alt="ACGT"[row[O_BASES]])
        if length < 0:
            return Allele(position=position, ref=self._bases[x : x - length + 1], alt=base)
        return Allele(position=position, ref=base, alt=base + self._inserted(row))

    def _inserted(self, row: list[int]) -> str:
        length = row[O_LENGTH]
        if length <= LONGEST_CODED_NT:
            return "".join("ACGT"[row[O_BASES] >> (2 * (length - 1 - i)) & 3] for i in range(length))
        sequence = sequence_of(self._data, row[O_EXAMPLE])[0]
        turned = [row[O_INDEX] + (i - row[O_ROTATION]) % length for i in range(length)]
        return "".join("=ACMGRSVTWYHKDBN"[nibble(self._data, sequence, i)] for i in turned)


def vote_weights(post_umi_error: float) -> NDArray[np.float64]:
    """Weight of a base by its quality (0 to 255): ln((1 - e) / (e / 3)).

    >>> float(vote_weights(1e-4)[20].round(2))
    5.68
    """
    error = np.minimum(10.0 ** (-np.arange(256) / 10) + post_umi_error, 0.75)
    weights: NDArray[np.float64] = np.log((1 - error) / (error / 3))
    return weights


def _votes(post_umi_error: float) -> I64:
    """One vote by quality, number and weight in one word."""
    weights = np.rint(vote_weights(post_umi_error) * UNIT).astype(np.int64)
    return weights + (1 << COUNT_SHIFT)


def reference_bases(reference: Reference, contig: str, start: int, end: int) -> str:
    """Reference bases, N beyond the contig's ends."""
    length = reference.lengths_nt[contig]
    first, last = max(start, 0), min(end, length)
    with _reading_reference:
        bases = reference.bases(contig, first, last)
    return "N" * (first - start) + bases + "N" * (end - last)


def _observations(rows: I64, number: I64) -> NDArray[np.void]:
    observations = np.zeros(len(rows), dtype=OBSERVATION)
    observations["allele"] = number
    for name, column, most in (
        ("molecule", O_MOLECULE, None),
        ("strand_class", O_CLASS, None),
        ("flags", O_FLAGS, None),
        ("mapping_quality", O_QUALITY, 255),
        ("mismatches", O_MISMATCHES, 255),
        ("reads_forward", O_READS, 65_535),
        ("reads_reverse", O_READS + 1, 65_535),
        ("alt_forward", O_ALT, 65_535),
        ("alt_reverse", O_ALT + 1, 65_535),
        ("mapped_forward", O_MAPPED, 65_535),
        ("mapped_reverse", O_MAPPED + 1, 65_535),
        ("end_distance", O_END, 32_767),
        ("read_position", O_CYCLE, 32_767),
    ):
        values = rows[:, column]
        observations[name] = values if most is None else np.minimum(values, most)
    observations["llr_forward"], observations["llr_reverse"] = (rows[:, O_RATIO : O_RATIO + 2] / UNIT).T
    return cast("NDArray[np.void]", observations)
