"""Repertoires of unrelated cells, and how often the windows of some of them recur."""

from collections.abc import Sequence

import numpy as np

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.germline import Gene, load_germline
from mrd_ngs.rearrangement import Rearrangement
from mrd_ngs.uniqueness import BackgroundModel, estimate_background
from rearrangements import BASES

NEUTRAL = BackgroundModel(usage_v=1, usage_d=1, usage_j=1, hotspot=1)
FLANK_NT, LEAST_NT = 10, 50


def window_of(found: Rearrangement) -> tuple[bytes, int]:
    """As index_clone lays it; around the join where there is no junction."""
    if found.junction:
        start, end = found.junction_start, found.junction_end
    else:
        start, end = max(found.v_end, found.d_end), found.j_start
    flank = max(FLANK_NT, -(-(LEAST_NT - (end - start)) // 2))
    return found.sequence[max(0, start - flank) : end + flank].encode(), max(0, start - flank)


def recurrences(
    reads: Sequence[str], looked_at: int, model: BackgroundModel
) -> tuple[int, float, list[tuple[int, float]]]:
    """Other cells with the windows of the first reads: counted, expected, and both of each."""
    found = [f for f in annotate_sequences(reads[:looked_at], load_germline()) if f is not None and f.j_call]
    assert len(found) > 0.9 * looked_at
    all_reads = "\n".join(reads).encode()
    each = []
    for one in found:
        window, start = window_of(one)
        probability = estimate_background(one, window, start, load_germline(), model).per_rearrangement
        each.append((all_reads.count(window) - 1, len(reads) * probability))
    return sum(n for n, _ in each), sum(expected for _, expected in each), each


def repertoire(
    rng: np.random.Generator,
    cells: int,
    lefts: Sequence[str],
    rights: Sequence[str],
    *,
    trimmed: tuple[float, float],
    added: float,
    naive_share: float = 0.5,
) -> list[str]:
    """Unrelated joins of a left and a right segment, as the model says they are made."""
    left, right = rng.integers(len(lefts), size=cells), rng.integers(len(rights), size=cells)
    losses = [rng.geometric(1 / (1 + mean), cells) - 1 for mean in trimmed]
    number = rng.geometric(1 / (1 + added), cells) - 1
    rates = np.where(rng.random(cells) < naive_share, 0.0, rng.exponential(0.05, cells))
    reads = []
    for i in range(cells):
        five, three = lefts[left[i]], rights[right[i]]
        if losses[0][i] > 12 or losses[1][i] > 12:
            continue  # the anchors are lost: no junction
        n = BASES[rng.integers(0, 4, number[i])].tobytes().decode()
        made = (five[: len(five) - losses[0][i]] + n + three[losses[1][i] :]).encode()
        bases = np.frombuffer(made, dtype=np.uint8).copy()
        hit = rng.random(len(bases)) < rates[i]
        bases[hit] = BASES[(np.searchsorted(BASES, bases[hit]) + rng.integers(1, 4, int(hit.sum()))) % 4]
        reads.append(bases.tobytes().decode())
    return reads


def one_allele_each(genes: Sequence[Gene], locus: str) -> list[str]:
    """What one person might carry: the first allele of each gene."""
    first: dict[str, str] = {}
    for gene in genes:
        if gene.name.startswith(locus):
            first.setdefault(gene.name.split("*")[0], gene.sequence)
    return list(first.values())


def plainer_repertoire(
    rng: np.random.Generator, cells: int, lefts: Sequence[str], rights: Sequence[str]
) -> list[str]:
    """Unmutated joins made in another way than the model's: uniform trimming, Poisson numbers of N."""
    reads = []
    for _ in range(cells):
        left, right = lefts[rng.integers(len(lefts))], rights[rng.integers(len(rights))]
        trims = rng.integers(0, [6, 8])
        n = BASES[rng.integers(0, 4, rng.poisson(2))].tobytes().decode()
        reads.append(left[-150:][: -trims[0] or None] + n + right[trims[1] :])
    return reads
