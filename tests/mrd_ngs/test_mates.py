"""Mates are merged as a plain reading of the definition merges them; no pair is lost silently."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrd_ngs.evidence import reverse_complement
from mrd_ngs.mates import MergedPairs, MergeTally, ReadBatch, merge_mates
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from pipeline.formats.fastq import read_fastq, read_mates
from pipeline.model import Sample

SETTINGS = NgsSettings()
RNG = np.random.default_rng(8)
INSERT = RNG.choice(np.frombuffer(b"ACGT", dtype=np.uint8), 240).tobytes()
ADAPTER = b"AGATCGGAAGAGCACACGTCTGAACTCCAGTCA"


def merged(first: bytes, second: bytes, *, qa: bytes = b"", qb: bytes = b"") -> MergedPairs:
    one = ReadBatch.of([first], [qa or b"F" * len(first)])
    two = ReadBatch.of([second], [qb or b"F" * len(second)])
    return merge_mates(one, two, SETTINGS)


def plain_merge(first: bytes, qa: bytes, second: bytes, qb: bytes) -> tuple[bytes, bytes] | None:
    """The definition, column by column, with nothing shared with the kernel."""
    b, qb = reverse_complement(second), qb[::-1]

    def error(quality: int) -> float:
        return min(0.75, 10 ** (-(quality - 33) / 10))

    def bits(x: int, qx: int, y: int, qy: int) -> int:
        p, q = error(qx), error(qy)
        same = (1 - p) * (1 - q) + p * q / 3
        return round(1000 * math.log2(same / 0.25 if x == y else (1 - same) / 0.75))

    best = None
    for n in range(20, len(first) + len(b) - 19):
        laid = [(i, i + len(b) - n) for i in range(n)]
        both = [(i, j) for i, j in laid if i < len(first) and j >= 0 and b"N"[0] not in (first[i], b[j])]
        wrong = sum(first[i] != b[j] for i, j in both)
        if len(both) < 20 or wrong > int(0.2 * len(both)):
            continue
        score = sum(bits(first[i], qa[i], b[j], qb[j]) for i, j in both)
        if score >= 30_000 and (best is None or score >= best[0]):
            best = (score, laid)
    if best is None:
        return None
    bases, qualities = bytearray(), bytearray()
    for i, j in best[1]:
        x, qx = (first[i], qa[i] - 33) if i < len(first) else (78, 0)
        y, qy = (b[j], qb[j] - 33) if j >= 0 else (78, 0)
        if x == 78 or y == 78:
            base, score = (y, qy) if x == 78 else (x, qx)
            score = 2 if base == 78 else score
        else:
            p, q = sorted((error(qx + 33), error(qy + 33)))
            if x == y:
                wrong_share = p * q / 3 / (1 - p - q + 4 * p * q / 3)
            else:
                wrong_share = p * (1 - q / 3) / (p + q - 4 * p * q / 3)
            base, score = (x if qx >= qy else y), min(41, max(2, round(-10 * math.log10(wrong_share))))
        bases.append(base)
        qualities.append(score + 33)
    return bytes(bases), bytes(qualities)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, bytes]:
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    insert = rng.choice(list(b"ACGT"), draw(st.integers(15, 110))).astype(np.uint8)
    mates = []
    for strand in (insert.tobytes(), reverse_complement(insert.tobytes())):
        read = np.frombuffer((strand + ADAPTER)[: draw(st.integers(15, 60))], dtype=np.uint8).copy()
        hit = rng.random(len(read)) < draw(st.sampled_from([0.0, 0.02, 0.15]))
        read[hit] = rng.choice(list(b"ACGTN"), int(hit.sum()))
        mates += [read.tobytes(), (rng.integers(0, 42, len(read)) + 33).astype(np.uint8).tobytes()]
    return mates[0], mates[1], mates[2], mates[3]


@settings(max_examples=150, deadline=None)
@given(pairs())
def test_kernel_does_what_the_definition_says(pair: tuple[bytes, bytes, bytes, bytes]) -> None:
    first, qa, second, qb = pair
    expected = plain_merge(first, qa, second, qb)
    found = merged(first, second, qa=qa, qb=qb)
    assert found.merged.tolist() == [expected is not None]
    if expected is not None:
        assert found.reads.sequence(0) == expected[0]
        assert (found.reads.quality(0) + np.uint8(33)).tobytes() == expected[1]


def test_overlapping_mates_give_the_insert() -> None:
    found = merged(INSERT[:150], reverse_complement(INSERT[90:]))
    assert found.reads.sequence(0) == INSERT
    assert (int(found.overlaps[0]), int(found.mismatches[0]), bool(found.dovetailed[0])) == (60, 0, False)


def test_dovetailed_mates_lose_what_was_read_beyond_the_insert() -> None:
    insert = INSERT[:100]
    first, second = (insert + ADAPTER)[:130], (reverse_complement(insert) + ADAPTER)[:130]
    found = merged(first, second)
    assert found.reads.sequence(0) == insert
    assert found.dovetailed.tolist() == [True]


def test_the_better_base_wins_and_is_less_sure_than_before() -> None:
    first = bytearray(INSERT[:150])
    first[120] = ord("A") if first[120] != ord("A") else ord("C")
    qa, qb = bytearray(b"F" * 150), bytearray(b"F" * 150)
    qa[120] = ord("+")  # 10
    found = merged(bytes(first), reverse_complement(INSERT[90:]), qa=bytes(qa), qb=bytes(qb))
    assert found.reads.sequence(0) == INSERT
    assert found.mismatches.tolist() == [1]
    scores = found.reads.quality(0)
    assert scores[100] == 41
    assert 20 <= scores[120] < 37


def test_mates_without_overlap_are_not_merged() -> None:
    assert merged(INSERT[:110], reverse_complement(INSERT[130:])).merged.tolist() == [False]
    assert merged(INSERT[:110], reverse_complement(INSERT[95:])).merged.tolist() == [False]


def test_random_mates_are_not_merged() -> None:
    reads = [RNG.choice(list(b"ACGT"), 300).astype(np.uint8).tobytes() for _ in range(1000)]
    batch = ReadBatch.of(reads, [b"5" * 300] * 1000)
    other = ReadBatch.of(reads[::-1], [b"5" * 300] * 1000)
    assert int(merge_mates(batch, other, SETTINGS).merged.sum()) == 0


def test_tally_states_the_overlap() -> None:
    tally = MergeTally()
    assert tally.summary().mean_overlap_nt == 0
    for end in range(170, 190):  # overlaps of 80 to 99
        tally.add(merged(INSERT[:end], reverse_complement(INSERT[90:])))
    tally.add(merged(INSERT[:60], reverse_complement(INSERT[100:])))
    summary = tally.summary()
    assert (summary.pairs, summary.merged, summary.dovetailed) == (21, 20, 0)
    assert summary.mean_overlap_nt == pytest.approx(89.5)
    assert (summary.overlap_columns, summary.mismatches) == (20 * 80 + sum(range(20)), 0)


def write_mates(folder: Path, mates: list[tuple[bytes, bytes]]) -> tuple[Path, Path]:
    paths = (folder / "r1.fastq", folder / "r2.fastq")
    for which, path in enumerate(paths):
        records = [
            b"@r%d/%d\n%s\n+\n%s\n" % (i, which + 1, m[which], b"F" * len(m[which]))
            for i, m in enumerate(mates)
        ]
        path.write_bytes(b"".join(records))
    return paths


@pytest.mark.parametrize(
    ("choice", "kept", "dropped"),
    [
        ("drop", {INSERT}, 1),
        ("first", {INSERT, INSERT[:100]}, 0),
        ("second", {INSERT, INSERT[140:]}, 0),
    ],
)
def test_pairs_without_overlap_are_counted_or_one_mate_kept(
    choice: str, kept: set[bytes], dropped: int, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    overlapping = (INSERT[:150], reverse_complement(INSERT[90:]))
    apart = (INSERT[:100], reverse_complement(INSERT[140:]))
    files = write_mates(tmp_path, [overlapping, apart])
    library = read_library(make_sample(files=files), NgsSettings(mates_unmerged=choice))
    fates = {fate.fate: fate.reads for fate in library.fates}
    assert library.input_reads == sum(fates.values()) == 2
    assert fates.get("mates_do_not_overlap", 0) == dropped
    found = {library.reads.sequence(i) for i in range(len(library.reads))}
    assert found == {min(s, reverse_complement(s)) for s in kept}
    assert library.merging is not None
    assert (library.merging.pairs, library.merging.merged) == (2, 1)


def test_real_mates_merge_as_a_second_program_merged_them(shared_data: Path) -> None:
    """5,000 pairs of 2 x 300 nt; 3,402 were merged by another program, with other scores."""
    folder = shared_data / "ngs_real"
    given_reads = {r.name.split()[0]: r.sequence for r in read_fastq(folder / "sonar_merged.fastq.gz")}
    mates = list(read_mates(folder / "sonar_subsample_r1.fq.gz", folder / "sonar_subsample_r2.fq.gz"))
    found = merge_mates(
        ReadBatch.of([a.sequence for a, _ in mates], [a.qualities for a, _ in mates]),
        ReadBatch.of([b.sequence for _, b in mates], [b.qualities for _, b in mates]),
        SETTINGS,
    )
    ours = {
        mates[i][0].name.split()[0].rsplit("/", 1)[0]: found.reads.sequence(i)
        for i in np.flatnonzero(found.merged).tolist()
    }
    common = ours.keys() & given_reads.keys()
    same_length = sum(len(ours[name]) == len(given_reads[name]) for name in common)
    assert len(common) >= 0.97 * len(given_reads)
    assert same_length >= 0.995 * len(common)
