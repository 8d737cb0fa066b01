"""Molecules are counted as they were made: simulated families against their truth."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mrd_ngs.evidence import reverse_complement
from mrd_ngs.preparation import umi_of_name, umi_of_tag
from mrd_ngs.settings import NgsSettings
from mrd_ngs.umi import Molecules, UmiCollector
from mrd_ngs.umi_folding import collision_corrected

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
Rows = list[tuple[bytes, bytes, bytes]]


def dna(rng: np.random.Generator, length: int) -> NDArray[np.uint8]:
    return rng.choice(BASES, length)


def neighbour_of(sequence: NDArray[np.uint8], at: int) -> NDArray[np.uint8]:
    other = sequence.copy()
    other[at] = BASES[(list(BASES).index(other[at]) + 1) % 4]
    return other


def misread(rng: np.random.Generator, sequence: NDArray[np.uint8], rate: float) -> NDArray[np.uint8]:
    read = sequence.copy()
    for at in np.flatnonzero(rng.random(len(read)) < rate).tolist():
        read[at] = rng.choice(BASES[read[at] != BASES])
    return read


def families(
    rng: np.random.Generator,
    sequences: Sequence[NDArray[np.uint8]],
    numbers: Sequence[int],
    *,
    length_nt: int,
    sizes: tuple[int, float],
    rate: float,
) -> Rows:
    """Reads of so many molecules of each sequence; families have a smallest size and Poisson more."""
    rows: Rows = []
    for sequence, number in zip(sequences, numbers, strict=True):
        for _ in range(number):
            umi = dna(rng, length_nt)
            for _ in range(sizes[0] + int(rng.poisson(sizes[1]))):
                read = misread(rng, sequence, rate)
                scores = np.full(len(read), 37, dtype=np.uint8)
                wrong = read != sequence  # four of five errors are called with a poor quality
                scores[wrong] = np.where(rng.random(int(wrong.sum())) < 0.8, 12, 37)
                rows.append((misread(rng, umi, rate).tobytes(), read.tobytes(), scores.tobytes()))
    return rows


def resolved(rows: Rows, **changes: object) -> Molecules:
    collector = UmiCollector()
    for row in rows:
        collector.add(*row)
    return collector.resolve(NgsSettings(umi_source="name", **changes))


def canonical(sequence: NDArray[np.uint8]) -> bytes:
    return min(sequence.tobytes(), reverse_complement(sequence.tobytes()))


def of(found: Molecules, sequence: NDArray[np.uint8]) -> int:
    return found.molecules.get(canonical(sequence), 0)


@pytest.mark.parametrize(
    ("length_nt", "number"), [(4, 200), (5, 800), (6, 3000), (8, 500)], ids=lambda value: str(value)
)
def test_collisions_are_corrected_within_5_percent(
    rng: np.random.Generator, length_nt: int, number: int
) -> None:
    """-K ln(1 - u/K), means over draws; K is 4^length."""
    seen = [len({dna(rng, length_nt).tobytes() for _ in range(number)}) for _ in range(20)]
    estimates = [collision_corrected(u, 4**length_nt) for u in seen]
    assert np.mean(estimates) == pytest.approx(number, rel=0.05)
    assert estimates[0] >= seen[0]


def test_a_full_set_of_umis_gives_a_lower_bound() -> None:
    assert collision_corrected(256, 256) == pytest.approx(256 * np.log(512))
    assert collision_corrected(255, 256) < collision_corrected(256, 256)


@pytest.mark.parametrize(
    ("length_nt", "numbers", "rate"),
    [(8, (1000, 60), 0.001), (6, (2000, 60), 0.001), (8, (1200, 60), 0.003), (10, (400, 60), 0.003)],
)
def test_molecules_of_a_clone_are_counted_within_5_percent(
    rng: np.random.Generator, length_nt: int, numbers: tuple[int, int], rate: float
) -> None:
    """Misread UMIs, collisions and errors together; the second clone is the first's true neighbour."""
    clone = dna(rng, 150)
    sequences = (clone, neighbour_of(clone, 70))
    rows = families(rng, sequences, numbers, length_nt=length_nt, sizes=(1, 5.0), rate=rate)
    found = resolved(rows, umi_length_nt=length_nt)
    for sequence, number in zip(sequences, numbers, strict=True):
        assert of(found, sequence) == pytest.approx(number, rel=0.05)
    assert found.counting.umis_folded > 0


def test_999_of_1000_errors_are_corrected_in_families_of_three_and_more(rng: np.random.Generator) -> None:
    clone = dna(rng, 200)
    rows = families(rng, [clone], [1500], length_nt=16, sizes=(3, 1.0), rate=0.002)
    errors = sum(int((np.frombuffer(read, dtype=np.uint8) != clone).sum()) for _, read, _ in rows)
    found = resolved(rows, umi_length_nt=16, umi_min_family_reads=3)
    left = sum(
        number * min(int((np.frombuffer(s, dtype=np.uint8) != clone).sum()) for s in (one, turned))
        for one, number in found.molecules.items()
        for turned in [reverse_complement(one)]
    )
    assert errors > 2000
    assert left <= 0.001 * errors


def test_the_better_quality_wins_over_the_majority_of_poor_ones() -> None:
    clone = dna(np.random.default_rng(5), 60)
    wrong = neighbour_of(clone, 30)
    poor, good = np.full(60, 30, dtype=np.uint8), np.full(60, 30, dtype=np.uint8)
    poor[30], good[30] = 8, 37
    rows = [(b"ACGTACGT", wrong.tobytes(), poor.tobytes())] * 2
    rows += [(b"ACGTACGT", clone.tobytes(), good.tobytes())]
    assert resolved(rows).molecules == {canonical(clone): 1}


def test_a_tie_goes_to_what_the_library_knows_and_else_is_n() -> None:
    clone = dna(np.random.default_rng(6), 60)
    wrong = neighbour_of(clone, 30)
    scores = bytes([30] * 60)
    tied = [(b"ACGTACGT", one.tobytes(), scores) for one in (clone, wrong)]
    assert list(resolved(tied).molecules) == [min(s, reverse_complement(s)) for s in [canonical_n(clone, 30)]]
    known = [*tied, (b"TTTTTTTT", clone.tobytes(), scores)]
    assert resolved(known).molecules == {canonical(clone): 2}


def canonical_n(sequence: NDArray[np.uint8], at: int) -> bytes:
    unclear = sequence.copy()
    unclear[at] = ord("N")
    return unclear.tobytes()


def test_neighbours_with_umis_one_apart_stay_two_molecules() -> None:
    """The case in which folding by UMI alone would lose a clone's relative."""
    clone = dna(np.random.default_rng(7), 80)
    near, scores = neighbour_of(clone, 40), bytes([30] * 80)
    rows = [(b"ACGTACGT", clone.tobytes(), scores)] * 20 + [(b"ACGTACGA", near.tobytes(), scores)] * 2
    found = resolved(rows)
    assert (of(found, clone), of(found, near)) == (1, 1)
    same = [(b"ACGTACGT", clone.tobytes(), scores)] * 20 + [(b"ACGTACGA", clone.tobytes(), scores)]
    assert (of(resolved(same), clone), resolved(same).counting.umis_folded) == (1, 1)


def test_neighbours_that_drew_one_umi_stay_apart_where_each_is_known() -> None:
    clone = dna(np.random.default_rng(8), 80)
    near, scores = neighbour_of(clone, 40), bytes([30] * 80)
    rows = [(b"ACGTACGT", clone.tobytes(), scores)] * 8 + [(b"ACGTACGT", near.tobytes(), scores)] * 2
    assert of(resolved(rows), near) == 0  # nothing else speaks for it
    elsewhere = [(umi, near.tobytes(), scores) for umi in (b"GGGGAAAA", b"CCCCAAAA") for _ in range(3)]
    assert of(resolved(rows + elsewhere), near) == 3


def test_unlike_sequences_of_one_umi_are_molecules_each() -> None:
    rng = np.random.default_rng(9)
    one, other = dna(rng, 90), dna(rng, 90)
    rows = [(b"ACGTACGT", one.tobytes(), bytes([30] * 90))] * 3
    rows += [(b"ACGTACGT", other.tobytes(), bytes([30] * 90))]
    assert resolved(rows).molecules == {canonical(one): 1, canonical(other): 1}


def test_an_insertion_of_the_sequencer_joins_its_family() -> None:
    clone = dna(np.random.default_rng(10), 90)
    longer = np.insert(clone, 45, clone[44])
    rows = [(b"ACGTACGT", clone.tobytes(), bytes([30] * 90))] * 3
    rows += [(b"ACGTACGT", longer.tobytes(), bytes([30] * 91))]
    found = resolved(rows)
    assert found.molecules == {canonical(clone): 1}
    assert (found.reads[canonical(clone)], found.counting.reads_corrected) == (4, 1)


def test_order_and_strand_of_reads_change_nothing(rng: np.random.Generator) -> None:
    clone = dna(rng, 100)
    rows = families(rng, [clone, neighbour_of(clone, 9)], [150, 40], length_nt=5, sizes=(1, 2.0), rate=0.01)
    shuffled = [rows[i] for i in rng.permutation(len(rows)).tolist()]
    turned = [(umi, reverse_complement(read), scores[::-1]) for umi, read, scores in shuffled]
    first = resolved(rows, umi_length_nt=5)
    for other in (resolved(shuffled, umi_length_nt=5), resolved(turned, umi_length_nt=5)):
        assert other == first


@pytest.mark.parametrize("smallest", [1, 2, 4])
def test_every_read_is_in_a_molecule_or_in_a_family_too_small(
    rng: np.random.Generator, smallest: int
) -> None:
    sequences = [dna(rng, 100) for _ in range(3)]
    rows = families(rng, sequences, [60, 30, 9], length_nt=4, sizes=(1, 1.5), rate=0.01)
    found = resolved(rows, umi_length_nt=4, umi_min_family_reads=smallest)
    assert sum(found.reads.values()) + found.too_small == len(rows)
    assert found.molecules.keys() == found.reads.keys()


@pytest.mark.parametrize(
    ("name", "delimiter", "umi"),
    [
        ("M1:7:FC:1:1101:5:9:ACGTNACG 1:N:0:TTTT", ":", b"ACGTNACG"),
        ("r7_acgtacgt", "_", b"ACGTACGT"),
        ("r7_ACGTACGT/1", "_", b"ACGTACGT"),
        ("r7:AC+GT", ":", b"ACGT"),
        ("r7:12", ":", b""),
        ("ACGTACGT", ":", b""),
        ("", ":", b""),
    ],
)
def test_umi_in_the_name(name: str, delimiter: str, umi: bytes) -> None:
    assert umi_of_name(name, delimiter) == umi


@pytest.mark.parametrize(
    ("name", "umi"), [("r\tRX:Z:ACGT", b"ACGT"), ("r 1:N:0 RX:Z:AC-GT\tQX:Z:FF", b"ACGT"), ("RX:Z:ACGT", b"")]
)
def test_umi_in_a_tag(name: str, umi: bytes) -> None:
    assert umi_of_tag(name) == umi
