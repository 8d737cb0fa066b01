"""Errors fold into their parent; a true neighbour stays apart, however near."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from mrd_ngs.denoise import Folding, fold_errors
from mrd_ngs.evidence import BaseQualities
from mrd_ngs.poor_bases import BaseQuality

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
RATE = 0.001


def random_dna(rng: np.random.Generator, length: int) -> NDArray[np.uint8]:
    return rng.choice(BASES, length)


def misread(rng: np.random.Generator, sequence: NDArray[np.uint8], reads: int) -> Counter[bytes]:
    """Reads of one sequence at the error rate."""
    made = np.tile(sequence, (reads, 1))
    wrong = rng.random(made.shape) < RATE
    code = np.searchsorted(BASES, made[wrong])
    made[wrong] = BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return Counter(row.tobytes() for row in made)


def changed(sequence: NDArray[np.uint8], *places: int) -> NDArray[np.uint8]:
    other = sequence.copy()
    for place in places:
        other[place] = BASES[(np.searchsorted(BASES, other[place]) + 1) % 4]
    return other


def fold(counts: Counter[bytes], **changes: float) -> tuple[list[bytes], Folding]:
    sequences = sorted(counts)
    settings = {"error_rate": RATE, "safety": 3.0, "alpha": 0.01, **changes}
    return sequences, fold_errors(sequences, np.array([counts[s] for s in sequences]), **settings)


def kept(counts: Counter[bytes], **changes: float) -> dict[bytes, int]:
    sequences, folding = fold(counts, **changes)
    return {s: int(folding.reads[i]) for i, s in enumerate(sequences) if folding.is_kept[i]}


def test_all_errors_of_one_sequence_fold_into_it(rng: np.random.Generator) -> None:
    for reads in (30, 1000, 40_000):
        sequence = random_dna(rng, 60)
        counts = misread(rng, sequence, reads)
        left = kept(counts)
        # Three mismatches are out of reach: 60 of 1,000,000 reads; 40,000 give one or two.
        assert left[sequence.tobytes()] >= reads - 5
        assert len(left) <= 6


@pytest.mark.parametrize("places", [(30,), (30, 40)])
def test_true_neighbours_stay_apart(rng: np.random.Generator, places: tuple[int, ...]) -> None:
    clone = random_dna(rng, 60)
    neighbour = changed(clone, *places)
    left = kept(misread(rng, clone, 20_000) + misread(rng, neighbour, 200))
    # 20,000 reads make some 7 of one neighbour by error, up to 3 times that where misread often
    assert left[neighbour.tobytes()] == pytest.approx(200, abs=30)
    assert left[clone.tobytes()] == pytest.approx(20_000, abs=40)


def test_a_neighbour_that_errors_explain_is_folded(rng: np.random.Generator) -> None:
    clone = random_dna(rng, 60)
    near, far = changed(clone, 30).tobytes(), changed(clone, 30, 31, 32).tobytes()
    counts = Counter({clone.tobytes(): 20_000, near: 12, far: 12})
    assert set(kept(counts)) == {clone.tobytes(), far}
    assert set(kept(counts, safety=1.0)) == {clone.tobytes(), far}


def test_errors_of_errors_go_to_the_root(rng: np.random.Generator) -> None:
    clone = random_dna(rng, 60)
    chain = [changed(clone, *range(10, 10 + n)).tobytes() for n in range(3)]
    sequences, folding = fold(Counter(dict(zip(chain, (9000, 15, 1), strict=True))))
    roots = {sequences[int(p)] for p in folding.parent}
    assert roots == {chain[0]}
    assert folding.reads.sum() == 9016


BINS = np.array([2, 12, 23, 37])  # as sequencers with four qualities give them


def read_out(
    rng: np.random.Generator, sequence: NDArray[np.uint8], reads: int, poor_site: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Reads of one sequence with qualities that are what they say; a site at which they are low."""
    qualities = rng.choice(BINS, (reads, len(sequence)), p=[0.0005, 0.01, 0.06, 0.9295])
    if poor_site is not None:
        qualities[:, poor_site] = rng.choice(BINS, reads, p=[0.005, 0.08, 0.2, 0.715])
    made = np.tile(sequence, (reads, 1))
    wrong = rng.random(made.shape) < 10.0 ** (-qualities / 10)
    code = np.searchsorted(BASES, made[wrong])
    made[wrong] = BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return made, qualities


def kept_by_quality(
    rng: np.random.Generator, clone: NDArray[np.uint8], neighbour: NDArray[np.uint8], reads: int, ratio: int,
    poor_site: int | None,
) -> tuple[dict[bytes, int], dict[bytes, int]]:  # fmt: skip
    """What stays of a clone and its neighbour, by counts alone and with qualities."""
    parts = [read_out(rng, clone, reads, poor_site), read_out(rng, neighbour, reads // ratio, poor_site)]
    made, qualities = (np.vstack([part[i] for part in parts]) for i in range(2))
    rows: dict[bytes, list[int]] = {}
    for row, read in enumerate(made):
        rows.setdefault(read.tobytes(), []).append(row)
    sequences = sorted(rows)
    counts = np.array([len(rows[s]) for s in sequences])
    # what the library's other reads say, which have no such site: the mean of the four qualities
    errors = np.array([0.0005, 0.01, 0.06, 0.9295]) * 10.0 ** (-BINS / 10)
    library = BaseQualities(
        poor_shares=np.zeros(0, dtype=np.float32), sequences=0, good_error=10**-3.7,
        poor_error=errors[:3].sum() / 0.0705, poor_base_share=0.0705,
    )  # fmt: skip
    good, poor = library.error_rates(float(errors.sum()))
    quality = BaseQuality(
        poor_shares=[(qualities[rows[s]] < 30).mean(axis=0) for s in sequences],
        good_error_rate=good, poor_error_rate=poor,
    )  # fmt: skip
    left = []
    for known in (None, quality):
        folding = fold_errors(
            sequences, counts, error_rate=float(errors.sum()), safety=3.0, alpha=0.01, quality=known
        )
        left.append({s: int(folding.reads[i]) for i, s in enumerate(sequences) if folding.is_kept[i]})
    return left[0], left[1]


def test_a_neighbour_of_one_in_a_thousand_is_told_by_its_good_bases(rng: np.random.Generator) -> None:
    clone = random_dna(rng, 60)
    neighbour = changed(clone, 30)
    by_counts, by_quality = kept_by_quality(rng, clone, neighbour, 20_000, 1000, None)
    assert neighbour.tobytes() not in by_counts  # 20 reads; errors give some 10, three-fold safety 29
    assert by_quality[neighbour.tobytes()] >= 20


def test_satellites_of_a_poorly_read_base_are_folded_and_its_neighbours_are_not(
    rng: np.random.Generator,
) -> None:
    clone = random_dna(rng, 60)
    neighbour = changed(clone, 30)
    by_counts, by_quality = kept_by_quality(rng, clone, neighbour, 20_000, 300, 45)
    several = [{s for s, n in left.items() if n > 1} for left in (by_counts, by_quality)]
    assert len(several[0]) > 2  # some of the three that differ at the base read badly
    assert several[1] == {clone.tobytes(), neighbour.tobytes()}


def test_where_nearly_all_bases_are_poor_all_reads_decide(rng: np.random.Generator) -> None:
    clone = random_dna(rng, 60)
    sequences = [clone.tobytes(), changed(clone, 30).tobytes()]
    poor = np.zeros(60)
    poor[30] = 1.0  # Phred 20 in every read
    quality = BaseQuality(poor_shares=[poor, poor], good_error_rate=3e-4, poor_error_rate=0.01)
    for reads, apart in ((60, False), (400, True)):  # errors: 33 of 10,000, with safety 100
        folding = fold_errors(
            sequences, np.array([10_000, reads]), error_rate=RATE, safety=3.0, alpha=0.01, quality=quality
        )
        assert folding.is_kept[1] == apart
        assert folding.expected_errors[1] == pytest.approx(100)


def test_sequences_of_unknown_quality_are_judged_by_their_reads(rng: np.random.Generator) -> None:
    counts = misread(rng, random_dna(rng, 60), 5000)
    sequences = sorted(counts)
    quality = BaseQuality(poor_shares=[None] * len(sequences), good_error_rate=1e-4, poor_error_rate=0.01)
    numbers = np.array([counts[s] for s in sequences])
    known, unknown = (
        fold_errors(sequences, numbers, error_rate=RATE, safety=3.0, alpha=0.01, quality=q)
        for q in (None, quality)
    )
    assert known.parent.tolist() == unknown.parent.tolist()


def test_order_of_sequences_changes_nothing(rng: np.random.Generator) -> None:
    counts = misread(rng, random_dna(rng, 50), 3000) + misread(rng, random_dna(rng, 50), 40)
    sequences = sorted(counts)
    shuffled = [sequences[i] for i in rng.permutation(len(sequences))]
    results = []
    for order in (sequences, shuffled):
        folding = fold_errors(
            order, np.array([counts[s] for s in order]), error_rate=RATE, safety=3.0, alpha=0.01
        )
        results.append({s: order[int(folding.parent[i])] for i, s in enumerate(order)})
    assert results[0] == results[1]


def test_a_satellite_is_found_wherever_it_differs(rng: np.random.Generator) -> None:
    for length in (1, 2, 33, 60):
        clone = random_dna(rng, length)
        counts = Counter({changed(clone, at).tobytes(): 1 for at in range(length)})
        counts[clone.tobytes()] = 300  # below the count from which all sequences are compared
        assert kept(counts) == {clone.tobytes(): 300 + length}


def test_no_read_is_lost(rng: np.random.Generator) -> None:
    counts = misread(rng, random_dna(rng, 50), 5000)
    _, folding = fold(counts)
    assert folding.reads.sum() == sum(counts.values())
    assert not folding.reads[~folding.is_kept].any()


def test_equals_and_strangers_are_left_alone(rng: np.random.Generator) -> None:
    one = random_dna(rng, 60)
    equals = Counter({one.tobytes(): 1, changed(one, 5).tobytes(): 1, one[:59].tobytes(): 1})
    assert kept(equals) == equals


def test_nothing_folds_to_nothing() -> None:
    folding = fold_errors([], np.array([], dtype=np.int64), error_rate=RATE, safety=3.0, alpha=0.01)
    assert len(folding.parent) == 0


def test_counts_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="1 sequences and 2 counts"):
        fold_errors([b"ACGT"], np.array([1, 2]), error_rate=RATE, safety=3.0, alpha=0.01)
