"""Each compiled kernel against a plain twin that says what it means, base by base."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from mrd_ngs import airr_kernels, annotate_kernels
from mrd_ngs.annotate_kernels import CYS_AT, GAP_EXTEND, GAP_OPEN, GENE, MATCH, MISMATCH, PAD, VOTE_PAD, WORDS
from mrd_ngs.annotation import Annotations, annotate_codes
from mrd_ngs.annotation_tables import GermlineTables, germline_tables
from mrd_ngs.germline import load_germline


@pytest.fixture(scope="module")
def tables() -> GermlineTables:
    return germline_tables(load_germline())


def random_codes(rng: np.random.Generator, length: int, *, unknown: float = 0.02) -> NDArray[np.uint8]:
    codes = rng.integers(0, 4, length)
    return np.where(rng.random(length) < unknown, 4, codes).astype(np.uint8)


def mutated_v(
    rng: np.random.Generator, tables: GermlineTables, number: int, rate: float
) -> NDArray[np.uint8]:
    codes = allele(tables, number).copy()
    hit = rng.random(len(codes)) < rate
    codes[hit] = rng.integers(0, 5, hit.sum())
    return codes


def allele(tables: GermlineTables, number: int) -> NDArray[np.uint8]:
    offset, length = tables.v.table[number, :2]
    return tables.v.codes[offset : offset + length]


def packed(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    bits = np.full((3, (len(codes) + 2 * PAD) // 64 + 3), 2**64 - 1, dtype=np.uint64)  # dirty on purpose
    annotate_kernels.pack(codes, bits)
    return bits


def bases_of(planes: NDArray[np.uint64]) -> list[int]:
    """Codes of a frame or packed read, bit by bit."""
    lo, hi, known = ([int(w) >> b & 1 for w in plane for b in range(64)] for plane in planes)
    return [a + 2 * b if k else 4 for a, b, k in zip(lo, hi, known, strict=True)]


def frame_of(codes: NDArray[np.uint8], place: int, words: int = WORDS) -> NDArray[np.uint64]:
    frame = np.zeros((3, words), dtype=np.uint64)
    annotate_kernels.lay_frame(packed(codes), place, frame)
    return frame


@pytest.mark.parametrize("length", [1, 63, 64, 65, 250])
@pytest.mark.parametrize("place", [-400, -65, -1, 0, 1, 17])
def test_a_frame_holds_the_read_from_its_place_on(rng: np.random.Generator, length: int, place: int) -> None:
    codes = random_codes(rng, length)
    expected = [int(codes[i]) if 0 <= i < length else 4 for i in range(place, place + 64 * WORDS)]
    assert bases_of(frame_of(codes, place)) == expected


def test_a_folded_frame_holds_the_read_along_its_path(rng: np.random.Generator) -> None:
    codes = random_codes(rng, 200)
    path = rng.integers(-1, 230, 64 * WORDS)
    frame = np.zeros((3, WORDS), dtype=np.uint64)
    annotate_kernels.fold(codes, path, frame)
    assert bases_of(frame) == [int(codes[i]) if 0 <= i < 200 else 4 for i in path]


@pytest.mark.parametrize("begin", [0, 30])
def test_votes_are_the_words_that_place_an_anchor(
    rng: np.random.Generator, tables: GermlineTables, begin: int
) -> None:
    codes = mutated_v(rng, tables, 7, 0.1)
    k = annotate_kernels.V_K
    expected: Counter[int] = Counter()
    anchored: dict[bytes, set[int]] = {}
    for number in range(len(tables.v.names) - 1):
        gene = allele(tables, number)
        for i in range(len(gene) - k + 1):
            anchored.setdefault(gene[i : i + k].tobytes(), set()).add(i - int(tables.v.table[number, 2]))
    for i in range(begin, len(codes) - k + 1):
        for place in anchored.get(codes[i : i + k].tobytes(), ()):
            expected[i - place] += 1
    votes = np.full(2000, 99, dtype=np.int32)
    words = tables.v.words
    place, most = annotate_kernels.vote(codes, begin, len(codes), k, words.starts, words.places, votes)
    size = len(codes) - begin + VOTE_PAD + annotate_kernels.VOTES_BEYOND
    found = {x + begin - VOTE_PAD: int(votes[x]) for x in range(size) if votes[x]}
    assert found == dict(expected)
    assert most == max(expected.values()) == expected[place]


def test_mismatches_with_all_alleles_are_counted_as_base_by_base(
    rng: np.random.Generator, tables: GermlineTables
) -> None:
    codes = mutated_v(rng, tables, 100, 0.1)
    frame = frame_of(codes, 5 - CYS_AT + int(tables.v.table[100, 2]))
    counts = np.zeros((2, len(tables.v.names)), dtype=np.int64)
    annotate_kernels.compare(frame, 40, 310, tables.v.bits, counts)
    read = bases_of(frame)
    for number in range(0, len(tables.v.names) - 1, 17):
        gene = bases_of(tables.v.bits[:, :, number])
        both = [(a, b) for a, b in zip(read[40:310], gene[40:310], strict=True) if a < 4 and b < 4]
        assert counts[:, number].tolist() == [sum(a != b for a, b in both), len(both)]


def total_of(read: Sequence[int], gene: Sequence[int], start: int, end: int) -> int:
    pairs = [(a, b) for a, b in zip(read[start:end], gene[start:end], strict=True) if a < 4 and b < 4]
    return sum(MATCH if a == b else MISMATCH for a, b in pairs)


def plain_stretch(read: Sequence[int], gene: Sequence[int], start: int, end: int) -> tuple[int, int]:
    """Best score of any stretch, by trying them all; and the score of the whole."""
    step = [
        0 if read[f] > 3 or gene[f] > 3 else MATCH if read[f] == gene[f] else MISMATCH
        for f in range(start, end)
    ]
    sums = list(itertools.accumulate(step, initial=0))
    best = max(after - min(sums[: i + 1]) for i, after in enumerate(sums))
    return best, sums[-1]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.8])
def test_the_best_stretch_is_that_of_trying_all(
    rng: np.random.Generator, tables: GermlineTables, rate: float
) -> None:
    for number in range(0, 340, 41):
        frame = frame_of(mutated_v(rng, tables, number, rate), int(tables.v.table[number, 2]) - CYS_AT)
        start, end = 90, CYS_AT + 3
        s, e, score, fall = annotate_kernels.best_stretch(tables.v.bits, number, frame, start, end)
        read, gene = bases_of(frame), bases_of(tables.v.bits[:, :, number])
        assert score == plain_stretch(read, gene, start, end)[0]
        assert score == plain_stretch(read, gene, s, e)[1]
        assert start <= s <= e <= end
        inside = [total_of(read, gene, s, x) for x in range(s, e + 1)]
        deepest = max((max(inside[: x + 1]) - inside[x] for x in range(len(inside))), default=0)
        assert fall == deepest
        matches, mismatches = annotate_kernels.matches_in(tables.v.bits, number, frame, s, e)
        assert MATCH * matches + MISMATCH * mismatches == score


def test_the_tail_ends_where_it_scores_most(rng: np.random.Generator, tables: GermlineTables) -> None:
    for number in range(0, 340, 13):
        frame = frame_of(mutated_v(rng, tables, number, 0.3), int(tables.v.table[number, 2]) - CYS_AT)
        read, gene = bases_of(frame)[CYS_AT + 3 :], bases_of(tables.v.bits[:, :, number])[CYS_AT + 3 :]
        scores = [0]
        for a, b in zip(read, gene, strict=True):
            if a > 3 or b > 3:
                break
            scores.append(scores[-1] + (MATCH if a == b else MISMATCH))
        best = max(scores)
        assert annotate_kernels.tail(tables.v.bits, number, frame) == (scores.index(best), best)


def test_ties_are_ordered_by_alleles_per_gene_then_place(rng: np.random.Generator) -> None:
    for _ in range(50):
        table = np.zeros((30, 4), dtype=np.int64)
        table[:, GENE] = np.sort(rng.integers(0, 9, 30))
        total = rng.integers(0, 2, 30)
        tied = [a for a in range(3, 28) if total[a] == 1]
        per_gene = Counter(table[a, GENE] for a in tied)
        ties = np.zeros(40, dtype=np.int32)
        count = annotate_kernels.order_ties(total, table, 3, 28, 1, ties)
        assert ties[:count].tolist() == sorted(tied, key=lambda a: (-per_gene[table[a, GENE]], a))


def test_ties_beyond_their_room_are_cut() -> None:
    table = np.zeros((30, 4), dtype=np.int64)
    ties = np.zeros(5, dtype=np.int32)
    assert annotate_kernels.order_ties(np.ones(30, dtype=np.int64), table, 0, 30, 1, ties) == 5


def plain_gotoh(read: Sequence[int], gene: Sequence[int], diagonal: int, bands: int) -> int:
    """Local score with affine gaps inside the band, cell by cell from the recurrences."""
    low = -(10**6)
    pair: dict[tuple[int, int], int] = {}
    insertion: dict[tuple[int, int], int] = {}
    deletion: dict[tuple[int, int], int] = {}
    best = 0
    for i in range(len(read)):
        for j in range(len(gene)):
            if not 0 <= i - j - diagonal < bands:
                continue
            above, left = (i - 1, j), (i, j - 1)
            insertion[i, j] = max(pair.get(above, low) + GAP_OPEN, insertion.get(above, low) + GAP_EXTEND)
            deletion[i, j] = max(pair.get(left, low) + GAP_OPEN, deletion.get(left, low) + GAP_EXTEND)
            same = 0 if read[i] > 3 or gene[j] > 3 else MATCH if read[i] == gene[j] else MISMATCH
            pair[i, j] = max(0, pair.get((i - 1, j - 1), 0) + same, insertion[i, j], deletion[i, j])
            best = max(best, pair[i, j])
    return best


def score_of_path(
    read: Sequence[int], gene: Sequence[int], path: NDArray[np.int64], first: int, last: int
) -> int:
    """What an alignment scores by its own path."""
    total, place, f = 0, -1, first
    while f <= last:
        if path[f] < 0:
            size = 1
            while path[f + size] < 0:
                size += 1
            total += GAP_OPEN + (size - 1) * GAP_EXTEND
            f += size
            continue
        skipped = int(path[f]) - place - 1
        if place >= 0 and skipped:
            total += GAP_OPEN + (skipped - 1) * GAP_EXTEND
        place = int(path[f])
        if read[place] < 4 and gene[f] < 4:
            total += MATCH if read[place] == gene[f] else MISMATCH
        f += 1
    return total


def test_the_banded_alignment_is_gotohs_and_its_path_scores_what_it_says(rng: np.random.Generator) -> None:
    for trial in range(40):
        gene = random_codes(rng, 60, unknown=0)
        cut, size = int(rng.integers(15, 45)), int(rng.integers(1, 7))
        parts = (
            (gene[:cut], random_codes(rng, size), gene[cut:])
            if trial % 2
            else (gene[:cut], gene[cut + size :])
        )
        read = np.concatenate([random_codes(rng, 5), *parts])
        hit = rng.random(len(read)) < 0.05
        read[hit] = rng.integers(0, 5, hit.sum())
        diagonal, bands = -4, 18
        scores = np.zeros((2, bands + 2), dtype=np.int64)
        trace = np.zeros((len(read), bands), dtype=np.uint8)
        best, i, b = annotate_kernels.band_align(read, 0, len(read), gene, diagonal, bands, scores, trace)
        assert best == plain_gotoh(read.tolist(), gene.tolist(), diagonal, bands)
        path = np.zeros(64, dtype=np.int64)
        first = annotate_kernels.follow(trace, 0, diagonal, i, b, 0, path)
        last = i - diagonal - b
        assert score_of_path(read.tolist(), gene.tolist(), path, first, last) == best
        steps = np.zeros(24, dtype=np.int64)
        count, columns, gaps = annotate_kernels.steps_of(path, first, last + 1, steps)
        kinds = [(int(step) >> 2, int(step) & 3) for step in steps[:count]]
        assert sum(length for length, _ in kinds) == columns
        assert sum(length for length, kind in kinds if kind != 1) == last + 1 - first
        assert sum(length for length, kind in kinds if kind != 2) == i + 1 - path[first]
        assert gaps == sum(GAP_OPEN + (length - 1) * GAP_EXTEND for length, kind in kinds if kind)


def test_more_gaps_than_steps_can_hold_are_given_up() -> None:
    path = np.arange(0, 600, 2, dtype=np.int64)
    assert annotate_kernels.steps_of(path, 0, 300, np.zeros(24, dtype=np.int64)) == (-1, 0, 0)


def test_pieces_are_scored_by_their_best_voted_diagonal(
    rng: np.random.Generator, tables: GermlineTables
) -> None:
    codes = mutated_v(rng, tables, 50, 0.1)
    cys = int(tables.v.table[50, 2])
    codes = np.delete(codes, [120, 121, 122])
    votes = np.zeros(len(codes) + 500, dtype=np.int32)
    voted = [cys - 3, cys]
    votes[np.array(voted) + VOTE_PAD] = 9
    alleles = len(tables.v.names)
    piece, total = np.zeros(alleles, dtype=np.int64), np.zeros(alleles, dtype=np.int64)
    annotate_kernels.sum_pieces(packed(codes), votes, cys - 3, cys, tables.v.bits, piece, total)
    frames = [bases_of(frame_of(codes, place - CYS_AT)) for place in voted]
    for number in range(0, alleles - 1, 37):
        gene = bases_of(tables.v.bits[:, :, number])
        expected = sum(
            max(0, *(plain_stretch(frame, gene, 64 * w, 64 * w + 64)[1] for frame in frames))
            for w in range(WORDS)
        )
        assert total[number] == expected


def plain_d(read: Sequence[int], gene: Sequence[int], begin: int, end: int) -> int:
    """Best ungapped score around any exact word of five, given up when it falls too far."""
    k, best = annotate_kernels.D_K, 0
    for i in range(begin, end - k + 1):
        for j in range(len(gene) - k + 1):
            if list(read[i : i + k]) != list(gene[j : j + k]):
                continue
            score = k * MATCH
            for step, x, y in ((1, i + k, j + k), (-1, i - 1, j - 1)):
                top = run = score
                while begin <= x < end and 0 <= y < len(gene) and run > top - annotate_kernels.FALL_D:
                    run += MATCH if read[x] == gene[y] else MISMATCH
                    top = max(top, run)
                    x, y = x + step, y + step
                score = top
            best = max(best, score)
    return best


def test_d_is_the_best_of_all_words_and_alleles(rng: np.random.Generator, tables: GermlineTables) -> None:
    d = tables.d
    for _ in range(12):
        number = int(rng.integers(len(d.names)))
        offset, length = d.table[number, :2]
        read = np.concatenate(
            [random_codes(rng, 12), d.codes[offset : offset + length], random_codes(rng, 9)]
        )
        hit = rng.random(len(read)) < 0.08
        read[hit] = rng.integers(0, 4, hit.sum())
        row = np.full(annotate_kernels.FIELDS, -1, dtype=np.int64)
        ties = np.zeros(16, dtype=np.int32)
        total, where = np.zeros(40, dtype=np.int64), np.zeros((40, 3), dtype=np.int64)
        score = annotate_kernels.find_d(
            read, row, 3, len(read) - 2, 10, ties, d.codes, d.table, d.words.starts, d.words.places,
            d.words.owners, total, where,
        )  # fmt: skip
        genes = [d.codes[o : o + n].tolist() for o, n in d.table[:, :2]]
        expected = [plain_d(read.tolist(), gene, 3, len(read) - 2) for gene in genes]
        assert total[: len(genes)].tolist() == expected
        assert score == max(expected)
        start, end = int(row[annotate_kernels.D_START]), int(row[annotate_kernels.D_END])
        gene = genes[ties[0]][row[annotate_kernels.DG_START] : row[annotate_kernels.DG_END]]
        pairs = list(zip(read[start:end].tolist(), gene, strict=True))
        assert sum(MATCH if a == b else MISMATCH for a, b in pairs) == score
        assert sum(a == b for a, b in pairs) == row[annotate_kernels.D_MATCHES]


def test_v_and_j_share_their_overlap_with_fewest_mismatches(rng: np.random.Generator) -> None:
    k = annotate_kernels
    for _ in range(100):
        v_gene, j_gene = random_codes(rng, 50, unknown=0), random_codes(rng, 50, unknown=0)
        read = np.concatenate([v_gene[:40], j_gene[10:]])
        v_end, j_start = 40 + int(rng.integers(-3, 8)), 40 - int(rng.integers(-3, 8))
        row = np.full(k.FIELDS, -1, dtype=np.int64)
        for column, value in (
            (k.V_START, 0), (k.V_END, v_end), (k.VG_START, 0), (k.VG_END, v_end), (k.V_COLUMNS, v_end),
            (k.J_START, j_start), (k.J_END, 80), (k.JG_START, j_start - 30), (k.JG_END, 50),
            (k.J_COLUMNS, 80 - j_start), (k.V_STEPS, 1), (k.J_STEPS, 1),
        ):  # fmt: skip
            row[column] = value
        row[k.V_MATCHES] = (read[:v_end] == v_gene[:v_end]).sum()
        row[k.J_MATCHES] = (read[j_start:] == j_gene[j_start - 30 :]).sum()
        row[k.V_SCORE] = MATCH * row[k.V_MATCHES] + MISMATCH * (v_end - row[k.V_MATCHES])
        row[k.J_SCORE] = MATCH * row[k.J_MATCHES] + MISMATCH * (80 - j_start - row[k.J_MATCHES])
        steps, j_steps = np.array([v_end << 2]), np.array([(80 - j_start) << 2])
        whole = np.array([0, 50, 0, 0])
        k.part(read, row, v_gene, whole, j_gene, whole, steps, j_steps)
        split = int(row[k.V_END])
        if v_end <= j_start:
            assert (split, row[k.J_START]) == (v_end, j_start)
            continue
        cost = {
            x: int(
                (read[j_start:x] != v_gene[j_start:x]).sum()
                + (read[x:v_end] != j_gene[x - 30 : v_end - 30]).sum()
            )
            for x in range(j_start, v_end + 1)
        }
        assert split == row[k.J_START] == min(cost, key=lambda x: (cost[x], x))
        assert row[k.V_MATCHES] == (read[:split] == v_gene[:split]).sum()
        assert row[k.J_MATCHES] == (read[split:] == j_gene[split - 30 :]).sum()
        assert row[k.V_SCORE] == MATCH * row[k.V_MATCHES] + MISMATCH * (split - row[k.V_MATCHES])
        assert row[k.J_SCORE] == MATCH * row[k.J_MATCHES] + MISMATCH * (80 - split - row[k.J_MATCHES])
        assert (steps[0] >> 2, j_steps[0] >> 2) == (split, 80 - split)


def test_an_element_is_found_with_its_best_stretch(rng: np.random.Generator, tables: GermlineTables) -> None:
    offset, length = tables.j.table[-1, :2]
    kde = tables.j.codes[offset : offset + length]
    read = np.concatenate([random_codes(rng, 70), kde[4:90]])
    read[100] = (read[100] + 1) % 4
    votes = np.zeros(2000, dtype=np.int32)
    words = tables.kde_words
    score, start, end, gene_start, matches = annotate_kernels.find_element(
        read, 0, len(read), kde, words.starts, words.places, votes
    )
    assert end == 156
    assert start - gene_start == 66
    assert matches == (read[start:end] == kde[gene_start : gene_start + end - start]).sum() >= 85
    assert score == MATCH * matches + MISMATCH * (end - start - matches)


@pytest.mark.parametrize(
    ("before", "expected"), [("CACTGTG", True), ("CACAGTG", True), ("CGCAGTG", False), ("ACTGTG", True)]
)
def test_a_heptamer_may_have_one_change(before: str, expected: bool) -> None:
    read = np.array(["ACGT".index(b) for b in before + "GGTA"], dtype=np.uint8)
    assert annotate_kernels.like_heptamer(read, len(before)) is expected


def test_the_complement_is_the_other_strand_of_every_read(rng: np.random.Generator) -> None:
    codes = random_codes(rng, 90)
    offsets = np.array([0, 1, 40, 40, 90])
    other = np.empty_like(codes)
    annotate_kernels.complement(codes, offsets, other)
    twin = [3 - c if c < 4 else 4 for a, b in itertools.pairwise(offsets) for c in codes[a:b][::-1]]
    assert other.tolist() == twin


@pytest.mark.parametrize("value", [0, 7, 10, 99, 100, 123456789, -1, -240])
def test_numbers_are_written_as_python_writes_them(value: int) -> None:
    out = np.zeros(20, dtype=np.uint8)
    end = airr_kernels.put_number(out, 3, value)
    assert out[3:end].tobytes().decode() == str(value)


@pytest.mark.parametrize(("part", "whole"), [(0, 7), (7, 7), (2, 3), (199, 200), (1, 64), (99_999, 100_000)])
def test_ratios_are_written_with_five_decimals(part: int, whole: int) -> None:
    out = np.zeros(20, dtype=np.uint8)
    end = airr_kernels.put_ratio(out, 0, part, whole)
    assert abs(float(out[:end].tobytes()) - part / whole) <= 0.5001e-5
    assert end == 7


def test_a_ratio_of_nothing_is_empty() -> None:
    assert airr_kernels.put_ratio(np.zeros(9, dtype=np.uint8), 2, 0, 0) == 2


def heavy_reads(rng: np.random.Generator, tables: GermlineTables, number: int) -> list[NDArray[np.uint8]]:
    """V cut and mutated, random bases, J; without gaps."""
    reads = []
    for _ in range(number):
        v = mutated_v(rng, tables, int(rng.integers(190)), 0.08)[int(rng.integers(0, 150)) :]
        offset, length = tables.j.table[rng.integers(7), :2]
        j = tables.j.codes[offset + rng.integers(0, 9) : offset + length]
        reads.append(np.concatenate([v, random_codes(rng, int(rng.integers(0, 30))), j]).astype(np.uint8))
    return reads


def annotated(reads: list[NDArray[np.uint8]]) -> Annotations:
    offsets = np.concatenate([[0], np.cumsum([len(read) for read in reads])]).astype(np.int64)
    return annotate_codes(np.concatenate(reads), offsets, load_germline())


def plain_v(read: Sequence[int], gene: Sequence[int], gene_cys: int, cys: int) -> int:
    """V's score at one place of Cys104: all bases up to its codon, and the best tail behind it."""
    step = [
        (g - gene_cys, MATCH if read[i] == base else MISMATCH)
        for g, base in enumerate(gene)
        if 0 <= (i := g - gene_cys + cys) < len(read) and read[i] < 4
    ]
    body = sum(score for place, score in step if place < 3)
    behind = dict(step)
    run = best = 0
    for place in range(3, 64):
        if place not in behind:
            break
        run += behind[place]
        best = max(best, run)
    return body + best


def test_tied_v_are_the_alleles_of_the_best_plain_score(
    rng: np.random.Generator, tables: GermlineTables
) -> None:
    k = annotate_kernels
    reads = heavy_reads(rng, tables, 25)
    found = annotated(reads)
    compared = 0
    for r, read in enumerate(reads):
        row = found.rows[r]
        whole_overlap = row[k.V_START] < k.CLIPPED or row[k.VG_START] < k.CLIPPED
        if row[k.REV] or row[k.V_STEPS] != 1 or not whole_overlap:
            continue
        scores = [
            plain_v(read.tolist(), allele(tables, a).tolist(), int(tables.v.table[a, 2]), int(row[k.CYS]))
            for a in range(len(tables.v.names) - 1)
        ]
        best = [a for a, score in enumerate(scores) if score == max(scores)]
        assert sorted(found.v_ties[r, : row[k.V_TIES]].tolist()) == best
        compared += 1
    assert compared >= 20


def test_j_is_the_best_stretch_of_all_alleles_and_places(
    rng: np.random.Generator, tables: GermlineTables
) -> None:
    k = annotate_kernels
    reads = heavy_reads(rng, tables, 25)
    found = annotated(reads)
    genes = [tables.j.codes[o : o + n].tolist() for o, n in tables.j.table[:7, :2]]
    for r, read in enumerate(reads):
        row = found.rows[r]
        assert (row[k.KIND], row[k.J_STEPS]) == (k.V_J, 1)
        begin = max(int(row[k.CYS]) + 3, int(row[k.V_START]) + 1)
        tail_of_read = read[begin:].tolist()
        scores = []
        for gene in genes:
            padded = [4] * len(gene) + tail_of_read + [4] * len(gene)
            diagonals = (padded[x : x + len(gene)] for x in range(len(padded) - len(gene) + 1))
            scores.append(max(plain_stretch(part, gene, 0, len(gene))[0] for part in diagonals))
        ties = sorted(found.j_ties[r, : row[k.J_TIES]].tolist())
        assert ties == [a for a, score in enumerate(scores) if score == max(scores)]


def test_stop_frame_and_productive_are_those_of_the_translated_read(
    rng: np.random.Generator, tables: GermlineTables
) -> None:
    k = annotate_kernels
    reads = heavy_reads(rng, tables, 150)
    found = annotated(reads)
    seen = Counter()
    for r in range(len(reads)):
        row = found.rows[r]
        read = "".join("ACGTN"[c] for c in found.codes[found.offsets[r] : found.offsets[r + 1]])
        if row[k.KIND] != k.V_J or row[k.V_STEPS] != 1 or row[k.JUNCTION_START] < 0:
            continue
        start = int(row[k.V_START]) + (int(row[k.CYS]) - int(row[k.V_START])) % 3
        codons = [read[i : i + 3] for i in range(start, int(row[k.J_END]) - 2, 3)]
        stop = any(codon in {"TAA", "TAG", "TGA"} for codon in codons)
        in_frame = (row[k.JUNCTION_END] - row[k.JUNCTION_START]) % 3 == 0
        assert (row[k.STOP], row[k.IN_FRAME], row[k.FRAMESHIFT]) == (stop, in_frame, 0)
        assert row[k.PRODUCTIVE] == (in_frame and not stop)
        seen[stop, bool(in_frame)] += 1
    assert len(seen) == 4
