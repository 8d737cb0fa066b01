"""The expected background of a window: against a plain sum, and against simulated repertoires."""

import dataclasses
import itertools

import numpy as np
import pytest

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.germline import Diversity, Gene, GermlineSet, load_germline
from mrd_ngs.rearrangement import Rearrangement
from mrd_ngs.simulate import simulate_clone
from mrd_ngs.uniqueness import BackgroundModel, estimate_background
from repertoires import NEUTRAL, one_allele_each, plainer_repertoire, recurrences, repertoire, window_of


def of_cells(read: str, model: BackgroundModel | None = None) -> float:
    (found,) = annotate_sequences([read], load_germline())
    assert found is not None
    window, start = window_of(found)
    return estimate_background(found, window, start, load_germline(), model or BackgroundModel()).of_cells


def kappa(added: str = "", *, v: str = "IGKV3-20*01", j: str = "IGKJ1*01", trimmed: int = 0) -> str:
    """A germline kappa rearrangement with the nucleotides given between V and J."""
    left = next(g.sequence for g in load_germline().v if g.name == v)
    right = next(g.sequence for g in load_germline().j if g.name == j)
    return left[-180:][: -trimmed or None] + added + right


# --- against a plain sum


TINY = GermlineSet(
    v=(
        Gene("IGHV1-1*01", "CATGTGCGA", 2),
        Gene("IGHV1-2*01", "CCTGTGAA", 2),
        Gene("IGHV1-2*02", "CCTGTGAC", 2),
    ),
    d=(Diversity("IGHD1-1*01", "GTAC"), Diversity("IGHD2-2*01", "AGG")),
    j=(Gene("IGHJ1*01", "CTACTGGGG", 4), Gene("IGHJ2*01", "ACTGGGC", 2)),
    elements=(),
    regions={},
    version="tiny",
    sha256="",
)
NO_READ = Rearrangement(
    **{field.name: "" for field in dataclasses.fields(Rearrangement)} | {"junction_start": -1}  # type: ignore[arg-type]
)


def geometric(lost: int, mean: float) -> float:
    return (1 / (1 + mean)) * (mean / (1 + mean)) ** lost


def plain_probability(window: str, cys: int, trp: int, model: BackgroundModel) -> float:
    """Every scenario written out, base by base; the likeliest allele is taken at each end of V."""
    total = 0.0
    length = len(window)
    for rate, weight in zip(*(x.tolist() for x in model.mutation_rates()), strict=True):

        def like(segment: str, first: int, places: range, rate: float = rate) -> float:
            """The bases of a segment, whose first is at ``first``, at these places of the window."""
            product = 1.0
            for place in places:
                same = segment[place - first] == window[place]
                product *= 1 - rate if same else model.hotspot * rate / 3
            return product

        def v_end(end: int) -> float:
            found: dict[str, float] = {}
            for name, sequence, anchor in TINY.v:
                first = cys - anchor
                if first + len(sequence) >= end:
                    loss = geometric(first + len(sequence) - end, model.heavy_v_trimmed)
                    gene = name.split("*")[0]
                    value = loss * like(sequence, first, range(max(0, first), end))
                    found[gene] = max(found.get(gene, 0.0), value)
            return sum(found.values()) / 2

        def j_start(start: int) -> float:
            value = 0.0
            for _, sequence, anchor in TINY.j:
                first = trp - anchor
                if first <= start:
                    loss = geometric(start - first, model.heavy_j_trimmed)
                    value += (
                        loss * like(sequence, first, range(start, min(length, first + len(sequence)))) / 2
                    )
            return value

        def d_between(start: int, end: int) -> float:
            value = 0.0
            for _, sequence in TINY.d:
                for left in range(len(sequence) - (end - start) + 1):
                    right = len(sequence) - left - (end - start)
                    loss = geometric(left, model.heavy_d_trimmed) * geometric(right, model.heavy_d_trimmed)
                    value += loss * like(sequence, start - left, range(start, end)) / 2
            return value

        def n(number: int) -> float:
            return geometric(number, model.heavy_added) / 4**number

        total += weight * sum(
            v_end(a) * n(c - a) * d_between(c, d) * n(b - d) * j_start(b)
            for a, c, d, b in itertools.combinations_with_replacement(range(length + 1), 4)
        )
    return total


@pytest.mark.parametrize("model", [NEUTRAL, dataclasses.replace(NEUTRAL, hotspot=2.0, naive_share=0.1)])
@pytest.mark.parametrize("window", ["TGTGCGGTACTACTGGGG", "TGTGAATTTCTGGGC", "ATGTGACTAGTACTGGGC"])
def test_every_way_to_make_a_window_is_summed_as_by_hand(window: str, model: BackgroundModel) -> None:
    cys, trp = window.index("TGTG"), window.index("TGGG")
    found = dataclasses.replace(
        NO_READ,
        locus="IGH",
        v_call="IGHV1-1*01",
        j_call="IGHJ1*01",
        junction=window[cys : trp + 3],
        junction_start=cys + 7,
        junction_end=trp + 10,
    )
    background = estimate_background(found, window.encode(), 7, TINY, model)
    assert background.per_rearrangement == pytest.approx(plain_probability(window, cys, trp, model), rel=1e-9)


# --- against simulated repertoires


@pytest.mark.parametrize("locus", ["IGK", "IGL"])
def test_light_chain_windows_recur_as_often_as_expected(rng: np.random.Generator, locus: str) -> None:
    lefts = [sequence[-150:] for sequence in one_allele_each(load_germline().v, locus)]
    rights = one_allele_each(load_germline().j, locus)
    reads = repertoire(rng, 30_000, lefts, rights, trimmed=(3, 3), added=1)
    counted, expected, each = recurrences(reads, 120, NEUTRAL)
    assert counted > 50, "public windows are there"
    # these windows share their public ones, so the sum spreads more than a Poisson count
    assert counted == pytest.approx(expected, rel=0.3)
    rare = [n for n, windows in each if windows < 0.01]
    assert len(rare) > 20
    assert sum(rare) == 0, "less than 1 % of a recurrence is expected of each"


def test_kappa_deletions_recur_as_often_as_expected(rng: np.random.Generator) -> None:
    elements = {element.name: element.sequence for element in load_germline().elements}
    reads = repertoire(
        rng, 5_000, [elements["IGKintron"]], [elements["IGKKde"][:150]], trimmed=(3, 3), added=1
    )
    counted, expected, _ = recurrences(reads, 200, NEUTRAL)
    assert counted == pytest.approx(expected, rel=0.3)
    assert counted > 2_500, "few ways to join two elements"


def test_default_numbers_err_on_the_side_of_more_background(rng: np.random.Generator) -> None:
    """Another generator than the model's: uniform trimming, Poisson numbers of N."""
    lefts, rights = one_allele_each(load_germline().v, "IGK"), one_allele_each(load_germline().j, "IGK")
    reads = plainer_repertoire(rng, 10_000, lefts, rights)
    counted, expected, each = recurrences(reads, 150, BackgroundModel())
    assert 0 < counted < expected / 5
    model = BackgroundModel()
    per_window = 1e-6 / (model.b_cell_share * model.rearrangements_per_cell) * len(reads)
    unique = [n for n, windows in each if windows <= per_window]
    assert sum(unique) <= per_window * len(unique) + 3 * (per_window * len(unique)) ** 0.5


# --- what it says of single windows


def test_public_kappa_is_expected_in_many_cells_and_every_n_nucleotide_makes_it_rarer() -> None:
    by_added = [of_cells(kappa(added)) for added in ("", "GA", "GACA", "GACAGT", "GACAGTCA")]
    assert by_added[0] > 1e-4
    assert by_added[-1] < 1e-6
    assert all(more < fewer for fewer, more in itertools.pairwise(by_added))


def test_mutations_in_the_window_make_it_rarer() -> None:
    read = kappa()
    mutated = list(read)
    place = read.index("TGTCAGCAG") - 8
    assert place > 0
    found = [of_cells(read)]
    for offset in (0, 10, 20):
        mutated[place + offset] = "A" if mutated[place + offset] != "A" else "C"
        found.append(of_cells("".join(mutated)))
    assert all(more < fewer / 3 for fewer, more in itertools.pairwise(found))


def test_mutations_outside_the_window_say_nothing() -> None:
    read = kappa()
    assert of_cells("A" + ("C" if read[1] != "C" else "G") + read[2:]) == of_cells(read)


def test_heavy_chains_are_unique_enough(rng: np.random.Generator) -> None:
    clones = [simulate_clone(rng, load_germline(), mutation_rate=0.0) for _ in range(6)]
    assert max(of_cells(clone.sequence[-230:].decode()) for clone in clones) < 1e-6


def test_default_model_expects_more_than_the_neutral_one_and_shares_are_shares() -> None:
    read = kappa()
    assert of_cells(read) > 10 * of_cells(read, NEUTRAL)
    everybody = dataclasses.replace(BackgroundModel(), usage_v=1e6, usage_j=1e6, b_cell_share=1.0)
    assert 0 < of_cells(read, everybody) <= 1
    (found,) = annotate_sequences([read], load_germline())
    assert found is not None
    window, start = window_of(found)
    background = estimate_background(found, window, start, load_germline())
    assert background.of_cells == pytest.approx(0.1 * background.of_b_cells)
    assert background.bits == pytest.approx(-np.log2(background.per_rearrangement))


def test_windows_that_cannot_be_are_refused() -> None:
    (found,) = annotate_sequences([kappa("GA")], load_germline())
    assert found is not None
    window, start = window_of(found)
    for bad in (b"", window[:-1] + b"N", window.lower()):
        with pytest.raises(ValueError, match="a window is a run of A, C, G and T"):
            estimate_background(found, bad, start, load_germline())
    v_alone = dataclasses.replace(found, j_call="", junction="")
    with pytest.raises(ValueError, match="without a join has no window"):
        estimate_background(v_alone, window, start, load_germline())
