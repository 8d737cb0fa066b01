"""Annotations of a batch of reads as arrays, and the stages that make them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.annotation_tables import CODE_OF_BYTE, GermlineTables, germline_tables
from mrd_ngs.germline import GermlineSet

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Annotations", "annotate_codes", "encode"]

CERTAIN = 150  # V score from which on the other strand is not tried: a random one stays below 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotations:
    """Results of a batch, one row a read; columns are those of `mrd_ngs.annotate_kernels`.

    ``codes`` are the reads on the coding strand (0-3 for A C G T, 4 for any other), cut at
    ``offsets``, shape (reads + 1,). ``rows``, shape (reads, FIELDS) int64. ``v_ties``,
    ``d_ties``, ``j_ties`` number the tied alleles; ``steps`` and ``j_steps``
    are the alignment steps of V and J.
    """

    codes: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]
    v_ties: NDArray[np.int32]
    d_ties: NDArray[np.int32]
    j_ties: NDArray[np.int32]
    steps: NDArray[np.int64]
    j_steps: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def subset(self, which: NDArray[np.int64]) -> "Annotations":
        """The reads ``which``, in that order."""
        places, offsets = self._places(which)
        return Annotations(
            codes=self.codes[places],
            offsets=offsets,
            rows=self.rows[which],
            v_ties=self.v_ties[which],
            d_ties=self.d_ties[which],
            j_ties=self.j_ties[which],
            steps=self.steps[which],
            j_steps=self.j_steps[which],
        )

    def take(self, which: NDArray[np.int64], other: "Annotations", theirs: NDArray[np.int64]) -> None:
        """Put reads ``theirs`` of ``other`` (of equal lengths) in place of reads ``which``, as reversed."""
        self.codes[self._places(which)[0]] = other.codes[other._places(theirs)[0]]
        for name in ("rows", "v_ties", "d_ties", "j_ties", "steps", "j_steps"):
            getattr(self, name)[which] = getattr(other, name)[theirs]

    def _places(self, which: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the bases of reads ``which`` stand in ``codes``, and offsets of these reads alone."""
        lengths = np.diff(self.offsets)[which]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return np.arange(offsets[-1]) + np.repeat(self.offsets[which] - offsets[:-1], lengths), offsets


def encode(sequences: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Reads as one flat array of codes, and where each begins.

    >>> codes, offsets = encode([b"ACgN", b"T"])
    >>> codes.tolist(), offsets.tolist()
    ([0, 1, 2, 4, 3], [0, 4, 5])
    """
    offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
    np.cumsum([len(s) for s in sequences], out=offsets[1:])
    return CODE_OF_BYTE[np.frombuffer(b"".join(sequences), dtype=np.uint8)], offsets


def annotate_codes(
    codes: NDArray[np.uint8], offsets: NDArray[np.int64], germline: GermlineSet
) -> Annotations:
    """Annotate a batch of reads on whichever strand explains them better.

    Parameters
    ----------
    codes
        Reads, flat; not changed.
    offsets
        Where each begins, shape (reads + 1,).
    germline
        Alleles to annotate with.

    Returns
    -------
    Annotations
        A read without a rearrangement has KIND 0.
    """
    from mrd_ngs import annotate_kernels as kernels

    stages = _Stages(kernels, germline_tables(germline), int(np.diff(offsets).max(initial=1)))
    found = stages.straight_v(codes.copy(), offsets)
    unsure = np.flatnonzero(found.rows[:, kernels.V_SCORE] < CERTAIN)
    backward = _turned(stages, kernels, found, unsure)
    clear = backward.rows[:, kernels.V_SCORE] >= CERTAIN
    found.take(unsure[clear], backward, np.flatnonzero(clear))
    stages.folded_v(found)
    unsure, backward = unsure[~clear], backward.subset(np.flatnonzero(~clear))
    still = found.rows[unsure, kernels.V_SCORE] < CERTAIN
    unsure, backward = unsure[still], backward.subset(np.flatnonzero(still))
    stages.join(found)
    if len(unsure):
        stages.folded_v(backward)
        stages.join(backward)
        better = np.flatnonzero(_scores(kernels, backward) > _scores(kernels, found.subset(unsure)))
        backward.rows[:, kernels.REV] = 1
        found.take(unsure[better], backward, better)
    return found


def _turned(
    stages: "_Stages", kernels: "ModuleType", found: Annotations, which: NDArray[np.int64]
) -> Annotations:
    """The straight V of reads ``which`` on their other strand."""
    mates = found.subset(which)
    turned = np.empty_like(mates.codes)
    kernels.complement(mates.codes, mates.offsets, turned)
    backward = stages.straight_v(turned, mates.offsets)
    backward.rows[:, kernels.REV] = 1
    return backward


def _scores(kernels: "ModuleType", found: Annotations) -> NDArray[np.int64]:
    """What speaks for the strand a read was annotated on; 0 where nothing was found."""
    rows = found.rows
    total = rows[:, kernels.V_SCORE].clip(0) + rows[:, kernels.J_SCORE].clip(0)
    total += np.where(rows[:, kernels.KIND] == kernels.D_J, rows[:, kernels.D_SCORE], 0)
    return np.asarray(np.where(rows[:, kernels.KIND] == kernels.NONE, 0, total))


class _Stages:
    """The kernels with their tables and working memory."""

    def __init__(self, kernels: "ModuleType", tables: GermlineTables, longest: int) -> None:
        self._kernels = kernels
        self._tables = tables
        alleles = max(len(tables.v.names), len(tables.d.names), len(tables.j.names))
        self._bits = np.zeros((3, (longest + 2 * kernels.PAD) // 64 + 3), dtype=np.uint64)
        self._votes = np.zeros(longest + kernels.VOTE_PAD + kernels.VOTES_BEYOND, dtype=np.int32)
        self._counts = np.zeros((2, alleles), dtype=np.int64)
        self._totals = np.zeros((2, alleles), dtype=np.int64)
        self._where = np.zeros((alleles, 3), dtype=np.int64)

    def straight_v(self, codes: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Annotations:
        kernels, v = self._kernels, self._tables.v
        reads = len(offsets) - 1
        found = Annotations(
            codes=codes,
            offsets=offsets,
            rows=np.empty((reads, kernels.FIELDS), dtype=np.int64),
            v_ties=np.zeros((reads, kernels.MAX_V_TIES), dtype=np.int32),
            d_ties=np.zeros((reads, kernels.MAX_D_TIES), dtype=np.int32),
            j_ties=np.zeros((reads, kernels.MAX_J_TIES), dtype=np.int32),
            steps=np.zeros((reads, kernels.MAX_STEPS), dtype=np.int64),
            j_steps=np.zeros((reads, kernels.MAX_J_STEPS), dtype=np.int64),
        )
        kernels.straight_v(
            codes, offsets, found.rows, found.v_ties, found.steps, v.bits, v.table, v.loci, *self._v_work()
        )
        return found

    def folded_v(self, found: Annotations) -> None:
        v = self._tables.v
        self._kernels.folded_v(
            found.codes, found.offsets, found.rows, found.v_ties, found.steps, v.bits, v.table, v.loci,
            v.codes, *self._v_work(),
        )  # fmt: skip

    def _v_work(self) -> tuple[NDArray[Any], ...]:
        words = self._tables.v.words
        return words.starts, words.places, self._bits, self._votes, self._counts, self._totals[0]

    def join(self, found: Annotations) -> None:
        kernels, tables = self._kernels, self._tables
        v, d, j = tables.v, tables.d, tables.j
        reads = (found.codes, found.offsets, found.rows)
        j_work = (j.words.starts, j.words.places, self._bits, self._votes, self._totals[0], self._totals[1])
        d_words = (d.words.starts, d.words.places, d.words.owners)
        kernels.join_vj(
            *reads, found.v_ties, found.j_ties, found.steps, found.j_steps, v.codes, v.table, j.bits,
            j.table, j.loci,
            j.codes, *j_work,
        )  # fmt: skip
        kernels.join_kde(
            *reads, found.v_ties, found.j_ties, found.steps, found.j_steps, v.codes, v.table, j.codes,
            j.table,
            tables.intron_words.starts, tables.intron_words.places,
            tables.kde_words.starts, tables.kde_words.places, self._votes,
        )  # fmt: skip
        kernels.join_d(
            *reads, found.d_ties, found.j_ties, found.j_steps, d.codes, d.table, *d_words, j.bits, j.table,
            j.loci, *j_work,
            self._where,
        )  # fmt: skip
        kernels.judge(*reads, found.j_ties, found.steps, j.table)
