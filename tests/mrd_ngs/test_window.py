"""A window is found in every read that holds it, on either strand, and in no other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrd_ngs.evidence import DistinctReads, reverse_complement
from mrd_ngs.window import WindowCount, count_window, fewest_mismatches, window_mismatches

dna = st.text("ACGT", min_size=12, max_size=30).map(str.encode)


def naive_mismatches(sequence: bytes, window: bytes) -> int:
    """Fewest mismatches of the window laid anywhere on either strand, by looking everywhere."""
    return min(
        (
            sum(a != b for a, b in zip(strand[i : i + len(window)], window, strict=True))
            for strand in (sequence, reverse_complement(sequence))
            for i in range(len(sequence) - len(window) + 1)
        ),
        default=len(window),
    )


@given(st.dictionaries(st.text("ACGTN", min_size=1, max_size=40).map(str.encode), st.integers(1, 9)), dna)
def test_fast_search_equals_looking_everywhere(counts: dict[bytes, int], window: bytes) -> None:
    planted = b"AC" + window[:5] + b"T" + window[6:] + b"G"
    reads = DistinctReads.from_counts({**counts, planted: 1})
    indices, mismatches = window_mismatches(reads, window, max_mismatches=2)
    naive = [naive_mismatches(reads.sequence(i), window) for i in range(len(reads))]
    expected = {i: m for i, m in enumerate(naive) if m <= 2}
    assert dict(zip(indices.tolist(), mismatches.tolist(), strict=True)) == expected


@given(st.dictionaries(dna, st.integers(1, 9), min_size=1))
def test_strand_of_the_reads_changes_nothing(counts: dict[bytes, int]) -> None:
    there = DistinctReads.from_counts(counts)
    back: dict[bytes, int] = {}
    for sequence, count in counts.items():
        back[reverse_complement(sequence)] = count
    other = DistinctReads.from_counts(back)
    assert there.blob == other.blob
    assert np.array_equal(there.counts, other.counts)


def test_a_match_never_runs_over_two_reads() -> None:
    reads = DistinctReads.from_counts({b"AAAACCCC": 2, b"GGTTAACC": 1})
    assert not len(window_mismatches(reads, b"CCCCGGTT", max_mismatches=0)[0])


def test_look_alikes_stand_beside_the_exact_reads() -> None:
    window = b"ACGTTGCATGCCATTGACCA"
    one, two = b"ACGTTGCATGCCATTGACCT", b"TCGTTGCATGCCATTGACCT"
    reads = DistinctReads.from_counts({b"GG" + window: 7, b"GG" + one: 3, b"GG" + two: 2, b"A" * 22: 90})
    assert count_window(reads, window) == WindowCount(exact=7, one_mismatch=3, two_mismatches=2)


@pytest.mark.parametrize("window", [b"", b"AC", b"ACGTNACGT"])
def test_a_window_of_other_letters_or_too_short_is_refused(window: bytes) -> None:
    reads = DistinctReads.from_counts({b"ACGT": 1})
    with pytest.raises(ValueError, match="a window is a longer run of A, C, G and T"):
        window_mismatches(reads, window, max_mismatches=2)


@pytest.mark.parametrize("length", [30, 50, 83, 98])
@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_long_windows_are_found_wherever_their_mismatches_lie(length: int, allowed: int) -> None:
    """Real window lengths, where only some of the words of a read are looked at."""
    rng = np.random.default_rng(100 * length + allowed)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    window = rng.choice(letters, length)
    counts: dict[bytes, int] = {b"ACGTAC" * 30: 3, window[: length - 1].tobytes(): 2}
    for _ in range(300):
        planted = window.copy()
        places = rng.choice(length, rng.integers(0, allowed + 2), replace=False)
        planted[places] = letters[(np.searchsorted(letters, planted[places]) + 1) % 4]
        read = rng.choice(letters, 200)
        start = rng.integers(0, 200 - length + 1)
        read[start : start + length] = planted
        if rng.random() < 0.1:
            read[rng.integers(0, 200)] = ord("N")
        whole = read.tobytes()
        counts[whole if rng.random() < 0.5 else reverse_complement(whole)] = 1
    reads = DistinctReads.from_counts(counts)
    indices, mismatches = window_mismatches(reads, window.tobytes(), max_mismatches=allowed)
    naive = [naive_mismatches(reads.sequence(i), window.tobytes()) for i in range(len(reads))]
    expected = {i: m for i, m in enumerate(naive) if m <= allowed}
    assert len(expected) > 50
    assert dict(zip(indices.tolist(), mismatches.tolist(), strict=True)) == expected


@given(
    st.dictionaries(st.text("ACGTN", min_size=1, max_size=40).map(str.encode), st.integers(1, 9)),
    st.lists(dna, min_size=1, max_size=4),
)
def test_several_windows_together_equal_each_alone(counts: dict[bytes, int], windows: list[bytes]) -> None:
    planted = {b"AC" + w[:5] + b"T" + w[6:] + b"G": 1 for w in windows}
    reads = DistinctReads.from_counts({**counts, **planted})
    fewest = fewest_mismatches(reads, windows, max_mismatches=2)
    naive = [min(*(naive_mismatches(reads.sequence(i), w) for w in windows), 3) for i in range(len(reads))]
    assert fewest.tolist() == naive
