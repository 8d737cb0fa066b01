"""How many unrelated B cells are expected to carry a marker's window: its generation probability.

A window of nucleotides marks a clone only if other B cells do not make the same one. The
probability that an unrelated rearrangement reads exactly like it is summed over every way to
make it: which gene on the left, how much was trimmed from it, how many nucleotides were
added, D and its two trimmed ends, J, and the mutations in all of them. Nothing of it is
taken from the annotation but the kind of rearrangement and where its anchors lie.

The model is nadir's own and **unverified**: see `BackgroundModel` for its numbers and
docs/methods/markers.md for what they were held against.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.germline import GermlineSet
from mrd_ngs.rearrangement import Rearrangement

__all__ = ["Background", "BackgroundModel", "estimate_background"]

_MUTATION_QUANTILES = 5  # of the exponential mutation rate of memory cells
_HEAVY = "IGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundModel:
    """How unrelated B cells rearrange and mutate; own numbers, on the side of more background.

    Trimmed and added nucleotides are geometric with the means given: 1.5 trimmed from VH, 5.5
    from either end of D and from JH, 7 added at each heavy-chain join agree with 2,171 and
    293 distinct real heavy chains of two donors; 3 trimmed and 1 added for light chains and
    kappa deletions are assumptions. Genes of a segment are equally frequent, times
    ``usage_v``, ``usage_d`` and ``usage_j``: the most used genes of those donors had 8, 5 and 3
    times the average. Of the alleles of a gene the likeliest counts, because the
    patient's other cells have the patient's alleles.

    ``naive_share`` of B cells are unmutated, the others have an exponential rate of mean
    ``mutation_mean`` per base; ``hotspot`` is how much likelier than average one given
    substitution may be. A B cell has up to ``rearrangements_per_cell`` rearrangements of a
    locus, and ``b_cell_share`` of nucleated cells are B cells.
    """

    heavy_v_trimmed: float = 1.5
    heavy_d_trimmed: float = 5.5
    heavy_j_trimmed: float = 5.5
    heavy_added: float = 7.0
    light_trimmed: float = 3.0
    light_added: float = 1.0
    usage_v: float = 8.0
    usage_d: float = 5.0
    usage_j: float = 3.0
    naive_share: float = 0.5
    mutation_mean: float = 0.05
    hotspot: float = 6.0
    rearrangements_per_cell: float = 2.0
    b_cell_share: float = 0.1

    def mutation_rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mutation rates per base, shape (rates,), and the share of B cells with each."""
        middles = (np.arange(_MUTATION_QUANTILES) + 0.5) / _MUTATION_QUANTILES
        rates = -self.mutation_mean * np.log1p(-middles)
        memory = np.full(_MUTATION_QUANTILES, (1 - self.naive_share) / _MUTATION_QUANTILES)
        return np.append(0.0, rates), np.append(self.naive_share, memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is expected of unrelated cells.

    ``per_rearrangement`` is the probability that a rearrangement of the same kind has the
    window, ``of_b_cells`` and ``of_cells`` the expected share of B cells and of nucleated cells
    that have it, each at most 1.
    """

    per_rearrangement: float
    of_b_cells: float
    of_cells: float

    @property
    def bits(self) -> float:
        """Information of the window, -log2 of its probability; infinite where the model cannot make it."""
        return -math.log2(self.per_rearrangement) if self.per_rearrangement else math.inf


_DEFAULT = BackgroundModel()


def estimate_background(
    rearrangement: Rearrangement,
    window: bytes,
    window_start: int,
    germline: GermlineSet,
    model: BackgroundModel = _DEFAULT,
) -> Background:
    """Expected share of unrelated cells whose rearrangement holds the same window.

    Parameters
    ----------
    rearrangement
        VDJ or VJ with a whole junction, DJ, V-Kde or intron-Kde.
    window
        In ``ACGT``, across the join.
    window_start
        0-based place of the window on the coding strand of the read.
    germline
        The alleles it was annotated with.
    model
        Numbers of the recombination.

    Returns
    -------
    Background

    Raises
    ------
    ValueError
        If the window holds anything but ``ACGT``, or the rearrangement has no join.

    Notes
    -----
    Not in the model, and so more background than estimated: clonal relatives, palindromic
    (P) nucleotides, selection for a public specificity. Bases of the window outside the
    germline segment (before D, behind J) count as shared by everybody.
    """
    if not window or window.translate(None, b"ACGT"):
        raise ValueError("a window is a run of A, C, G and T")
    rates, weights = model.mutation_rates()
    frame = _Frame(window=np.frombuffer(window, dtype=np.uint8), rates=rates, hotspot=model.hotspot)
    kind = rearrangement.kind
    if kind in ("VDJ", "VJ") and rearrangement.junction:
        by_rate = _anchored(rearrangement, window_start, germline, model, frame)
    elif kind in ("DJ", "V-Kde", "intron-Kde"):
        by_rate = _joined(rearrangement, window_start, germline, model, frame)
    else:
        raise ValueError("a rearrangement without a join has no window")
    probability = min(1.0, float(by_rate @ weights))
    of_b_cells = min(1.0, probability * model.rearrangements_per_cell)
    return Background(
        per_rearrangement=probability, of_b_cells=of_b_cells, of_cells=of_b_cells * model.b_cell_share
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frame:
    """The window as bytes, shape (length,), and the mutation rates, shape (rates,)."""

    window: NDArray[np.uint8]
    rates: NDArray[np.float64]
    hotspot: float

    def like(self, bases: NDArray[np.uint8], window: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probability of each window base given a germline base, for each rate; broadcasts."""
        miss = np.minimum(1.0, self.hotspot * self.rates / 3)
        return np.where((bases == window)[..., np.newaxis], 1 - self.rates, miss)

    def left(self, sequence: str, shift: int, trimmed: float) -> NDArray[np.float64]:
        """P(window up to a, segment ends at a), shape (length + 1, rates).

        Window place p is base p + ``shift`` of the segment; ``trimmed`` is the mean loss
        at its 3' end.
        """
        place = np.arange(len(self.window)) + shift
        bases = np.frombuffer(sequence.encode(), dtype=np.uint8)
        like = self.like(bases[place.clip(0, len(bases) - 1)], self.window)
        like[place < 0] = 1.0
        like[place >= len(bases)] = 0.0
        product = np.concatenate([np.ones((1, len(self.rates))), np.cumprod(like, axis=0)])
        ends = np.arange(len(self.window) + 1) + shift
        return product * _trimming(len(bases) - ends, len(bases), trimmed)[:, np.newaxis]

    def right(self, sequence: str, shift: int, trimmed: float) -> NDArray[np.float64]:
        """P(window from b on, segment starts at b), shape (length + 1, rates); loss at the 5' end."""
        mirrored = _Frame(window=self.window[::-1], rates=self.rates, hotspot=self.hotspot)
        mirrored_shift = len(sequence) - len(self.window) - shift
        return mirrored.left(sequence[::-1], mirrored_shift, trimmed)[::-1]

    def middle(self, sequence: str, trimmed: float) -> NDArray[np.float64]:
        """P(window from c to d, D lies there), shape (length + 1, length + 1, rates)."""
        bases = np.frombuffer(sequence.encode(), dtype=np.uint8)
        length, longest = len(self.window), len(bases)
        like = self.like(bases[:, np.newaxis], self.window[np.newaxis, :])
        loss = _trimming(np.arange(longest + 1), longest, trimmed)
        found = np.zeros((length + 1, length + 1, len(self.rates)))
        run = np.ones((longest + 1, length + 1, len(self.rates)))  # by first base of D, first place
        for taken in range(min(longest, length) + 1):
            if taken:
                rows, places = longest - taken + 1, length - taken + 1
                run = run[:rows, :places] * like[taken - 1 :, taken - 1 :][:rows, :places]
            lost = loss[: longest - taken + 1] * loss[: longest - taken + 1][::-1]
            starts = np.arange(length - taken + 1)
            found[starts, starts + taken] = np.einsum("i,ipr->pr", lost, run)
        return found


def _trimming(lost: NDArray[np.int64], longest: int, mean: float) -> NDArray[np.float64]:
    """Probability of a loss; geometric, 0 for what is impossible."""
    keep = 1 / (1 + mean)
    possible = (lost >= 0) & (lost <= longest)
    return np.where(possible, keep * (1 - keep) ** lost.clip(0, longest), 0.0)


def _addition(length: int, mean: float) -> NDArray[np.float64]:
    """P(the nucleotides from a to b were added, and are these), shape (length + 1, length + 1)."""
    keep = 1 / (1 + mean)
    number = np.subtract.outer(np.arange(length + 1), np.arange(length + 1)).T
    return np.where(number >= 0, keep * ((1 - keep) / 4) ** number.clip(0), 0.0)


def _by_gene(alleles: Iterable[tuple[str, NDArray[np.float64]]], usage: float) -> NDArray[np.float64]:
    """The likeliest allele of each gene, summed over equally frequent genes times ``usage``."""
    best: dict[str, NDArray[np.float64]] = {}
    for name, found in alleles:
        gene = name.split("*")[0]
        best[gene] = np.maximum(best[gene], found) if gene in best else found
    total: NDArray[np.float64] = np.sum(list(best.values()), axis=0) * min(1.0, usage / len(best))
    return total


def _anchored(
    rearrangement: Rearrangement,
    window_start: int,
    germline: GermlineSet,
    model: BackgroundModel,
    frame: _Frame,
) -> NDArray[np.float64]:
    """Probability of the window for each rate, over all V, D and J of the locus, laid by their anchors."""
    locus, heavy = rearrangement.locus, rearrangement.locus == _HEAVY
    cys = rearrangement.junction_start - window_start
    trp = rearrangement.junction_end - 3 - window_start
    v_trimmed = model.heavy_v_trimmed if heavy else model.light_trimmed
    j_trimmed = model.heavy_j_trimmed if heavy else model.light_trimmed
    added = _addition(len(frame.window), model.heavy_added if heavy else model.light_added)

    def v_ends() -> Iterator[tuple[str, NDArray[np.float64]]]:
        for name, sequence, anchor in germline.v:
            if name.startswith(locus) and anchor is not None:
                yield name, frame.left(sequence, anchor - cys, v_trimmed)

    def j_starts() -> Iterator[tuple[str, NDArray[np.float64]]]:
        for name, sequence, anchor in germline.j:
            if name.startswith(locus) and anchor is not None:
                yield name, frame.right(sequence, anchor - trp, j_trimmed)

    left = added.T @ _by_gene(v_ends(), model.usage_v)
    right = _by_gene(j_starts(), model.usage_j)
    if not heavy:
        return _sum_of(left * right)
    d_genes = ((d.name, frame.middle(d.sequence, model.heavy_d_trimmed)) for d in germline.d)
    middle = _by_gene(d_genes, model.usage_d)
    return _sum_of(np.einsum("cr,cdr->dr", left, middle) * (added @ right))


def _sum_of(by_place: NDArray[np.float64]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = by_place.sum(axis=0)
    return total


def _joined(
    rearrangement: Rearrangement,
    window_start: int,
    germline: GermlineSet,
    model: BackgroundModel,
    frame: _Frame,
) -> NDArray[np.float64]:
    """Probability of a DJ or kappa-deleting window for each rate, for the two segments annotated."""
    r = rearrangement
    sequences = {g.name: g.sequence for g in (*germline.v, *germline.j)}
    sequences |= {d.name: d.sequence for d in germline.d} | {e.name: e.sequence for e in germline.elements}
    is_dj = r.kind == "DJ"
    left_name = (r.d_call if is_dj else r.v_call).split(",")[0]
    right_name = r.j_call.split(",")[0]
    end, germline_end = (r.d_end, r.d_germline_end) if is_dj else (r.v_end, r.v_germline_end)
    left_trimmed = model.heavy_d_trimmed if is_dj else model.light_trimmed
    right_trimmed = model.heavy_j_trimmed if is_dj else model.light_trimmed
    left = frame.left(sequences[left_name], germline_end - (end - window_start), left_trimmed)
    right = frame.right(sequences[right_name], r.j_germline_start - (r.j_start - window_start), right_trimmed)
    added = _addition(len(frame.window), model.heavy_added if is_dj else model.light_added)
    share = _share(left_name, germline, model) * _share(right_name, germline, model)
    return _sum_of((added.T @ left) * right) * share


def _share(name: str, germline: GermlineSet, model: BackgroundModel) -> float:
    """Frequency of a gene among those of its segment and locus; 1 for the kappa deletion's elements."""
    if "*" not in name:
        return 1.0
    segment: dict[str, tuple[Iterable[str], float]] = {
        "V": ((gene.name for gene in germline.v), model.usage_v),
        "D": ((gene.name for gene in germline.d), model.usage_d),
        "J": ((gene.name for gene in germline.j), model.usage_j),
    }
    names, usage = segment[name[3]]
    genes = {allele.split("*")[0] for allele in names if allele[:4] == name[:4]}
    return min(1.0, usage / len(genes))
