"""Primers and adapters are found where a plain search finds them, and cut there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrd_ngs.mates import ReadBatch
from mrd_ngs.settings import NgsSettings
from mrd_ngs.trimming import Trimmer, mismatches_at

CODES = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "N": "ACGT", "W": "AT"}
codes = st.text("ACGTRYNW", min_size=5, max_size=12)
bases = st.text("ACGTN", min_size=1, max_size=40)


def trimmed(trimmer: Trimmer, *reads: str) -> tuple[list[str], list[bool]]:
    batch = ReadBatch.of([r.encode() for r in reads], [b"F" * len(r) for r in reads])
    found = trimmer.trim(batch)
    return [cut.decode() for cut in found.reads.sequences()], found.has_primer.tolist()


def trimmer_of(**changes: object) -> Trimmer:
    return Trimmer.of(NgsSettings(**changes), "first")


def mismatches(read: str, pattern: str) -> int:
    return sum(base not in CODES[code] for base, code in zip(read, pattern, strict=False))


def plain_trim(
    read: str, primers: list[str], adapters: list[str], offset: int, rate: float
) -> tuple[str, bool]:
    places = [
        (mismatches(read[o:], p), o, i, o + len(p))
        for o in range(offset + 1)
        for i, p in enumerate(primers)
        if o + len(p) <= len(read) and mismatches(read[o:], p) <= int(rate * len(p))
    ]
    start = min(places)[3] if places else 0
    end = len(read)
    for place in range(start, len(read)):
        for adapter in adapters:
            length = min(len(adapter), len(read) - place)
            if length >= min(5, len(adapter)) and mismatches(read[place:], adapter) <= int(rate * length):
                end = min(end, place)
    return read[start:end], bool(places)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(bases, min_size=1, max_size=4),
    st.lists(codes, min_size=1, max_size=3),
    st.lists(codes, min_size=1, max_size=3),
    st.integers(0, 4),
    st.sampled_from([0.0, 0.1, 0.25]),
    st.data(),
)
def test_kernel_finds_what_a_plain_search_finds(
    reads: list[str], primers: list[str], adapters: list[str], offset: int, rate: float, data: st.DataObject
) -> None:
    built = [
        data.draw(st.sampled_from(["", "T", "GA"]))
        + data.draw(st.sampled_from(primers)).translate(str.maketrans("RYNW", "ACGT"))
        + read
        + data.draw(st.sampled_from(adapters)).translate(str.maketrans("RYNW", "GTAA"))[
            : data.draw(st.integers(0, 12))
        ]
        for read in reads
    ]
    trimmer = trimmer_of(
        primers_first=",".join(primers),
        adapters_first=",".join(adapters),
        primer_max_offset_nt=offset,
        trim_max_mismatch_rate=rate,
    )
    expected = [plain_trim(read, primers, adapters, offset, rate) for read in built]
    assert trimmed(trimmer, *built) == ([cut for cut, _ in expected], [found for _, found in expected])


def test_primer_is_cut_where_found() -> None:
    reads = ("ACGTACGTACTTTTGGGG", "CCCCCCCCCCTTTTGGGG")
    assert trimmed(trimmer_of(primers_first="ACGTACGTAC"), *reads) == (["TTTTGGGG", reads[1]], [True, False])


def test_adapter_cut_off_by_the_end_of_the_read_is_found() -> None:
    trimmer = trimmer_of(adapters_first="AGATCGGAAGAGC")
    assert trimmed(trimmer, "TTTTTTAGATCGGAAGAGCACAC", "TTTTTTAGATCG", "TTTTTTAGAT")[0] == [
        "TTTTTT",
        "TTTTTT",
        "TTTTTTAGAT",  # four bases occur by chance
    ]


def test_a_read_that_is_all_adapter_is_left_empty() -> None:
    assert trimmed(trimmer_of(adapters_first="AGATCGGAAGAGC"), "AGATCGGAAGAGCAC") == ([""], [False])


def test_each_mate_has_its_own_lists() -> None:
    given_settings = NgsSettings(primers_second="ACGTACGT")
    assert Trimmer.of(given_settings, "first").primers == ()
    assert Trimmer.of(given_settings, "second").primers == ("ACGTACGT",)


@pytest.mark.parametrize(
    "changes",
    [
        {"primers_first": "ACGT,"},
        {"adapters_second": "AC-GT"},
        {"primer_action": "cut"},
        {"primer_action": "require"},
        {"primer_max_offset_nt": -1},
        {"adapter_min_overlap_nt": 0},
        {"trim_max_mismatch_rate": 0.5},
    ],
)
def test_impossible_lists_are_refused_by_key(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        NgsSettings(**changes)


def test_qualities_stay_with_their_bases() -> None:
    batch = ReadBatch.of([b"ACGTACGTTTT"], [b"ABCDEFGHIJK"])
    cut = trimmer_of(primers_first="ACGTACGT").trim(batch).reads
    assert (cut.quality(0) + np.uint8(33)).tobytes() == b"IJK"
    turned = cut.reverse_complement()
    assert turned.sequences() == [b"AAA"]
    assert turned.qualities() == [bytes(c - 33 for c in b"KJI")]


def test_pattern_is_compared_at_its_place() -> None:
    batch = ReadBatch.of([b"TTACGTA", b"TTNCGT"], [b"F" * 7, b"F" * 6])
    assert mismatches_at(batch, 2, "RCGT").tolist() == [0, 1]


def test_no_reads_are_no_trouble() -> None:
    assert len(trimmer_of(primers_first="ACGT", adapters_first="ACGT").trim(ReadBatch.of([], [])).reads) == 0
