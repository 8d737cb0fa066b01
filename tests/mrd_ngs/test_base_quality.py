"""Qualities of a library's bases: which reads have a poor one where, whatever their order and strand."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.base_quality import GOOD_PHRED, read_with_qualities, with_base_quality
from mrd_ngs.clonotype import find_clonotypes
from mrd_ngs.drift import look_around
from mrd_ngs.evidence import reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from rearrangements import recombine

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
PHRED = np.array([2, 12, 23, 37])
SETTINGS = NgsSettings(denoise_by_quality=True)
Pair = tuple[bytes, bytes]  # bases, and Phred scores as bytes


def read_out(rng: np.random.Generator, sequence: bytes, reads: int) -> list[Pair]:
    """Reads with qualities that are what they say."""
    scores = rng.choice(PHRED, (reads, len(sequence)), p=[0.0005, 0.01, 0.06, 0.9295])
    made = np.tile(np.frombuffer(sequence, dtype=np.uint8), (reads, 1))
    wrong = rng.random(made.shape) < 10.0 ** (-scores / 10)
    code = np.searchsorted(BASES, made[wrong])
    made[wrong] = BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return [(read.tobytes(), bytes(score.tolist())) for read, score in zip(made, scores, strict=True)]


def written(path: Path, reads: list[Pair]) -> Path:
    path.write_bytes(
        b"".join(
            b"@r%d\n%s\n+\n%s\n" % (i, bases, bytes(q + 33 for q in scores))
            for i, (bases, scores) in enumerate(reads)
        )
    )
    return path


def turned(read: Pair) -> Pair:
    return reverse_complement(read[0]), read[1][::-1]


def random_dna(rng: np.random.Generator, length: int) -> bytes:
    return rng.choice(BASES, length).tobytes()


def test_shares_are_those_counted_one_by_one(tmp_path: Path, make_sample, rng: np.random.Generator) -> None:
    sequences = [random_dna(rng, length) for length in (80, 80, 121)]
    reads = [read for s, n in zip(sequences, (40, 300, 90), strict=True) for read in read_out(rng, s, n)]
    library = read_with_qualities(make_sample(files=(written(tmp_path / "a.fastq", reads),)), SETTINGS)
    qualities = library.reads.qualities
    assert qualities is not None
    numbers = Counter(min(bases, reverse_complement(bases)) for bases, _ in reads)
    assert qualities.sequences == sum(number > 1 for number in numbers.values())
    for rank in range(qualities.sequences):
        sequence = library.reads.sequence(rank)
        own = [scores if bases == sequence else scores[::-1]
               for bases, scores in reads if sequence in (bases, reverse_complement(bases))]  # fmt: skip
        poor = np.mean([np.frombuffer(scores, dtype=np.uint8) < GOOD_PHRED for scores in own], axis=0)
        assert library.reads.poor_shares(rank) == pytest.approx(poor, abs=1e-6)
    assert library.reads.poor_shares(qualities.sequences) is None
    assert qualities.good_error == pytest.approx(10**-3.7)
    assert qualities.poor_base_share == pytest.approx(0.07, abs=0.01)


def test_order_and_strand_change_nothing(tmp_path: Path, make_sample, rng: np.random.Generator) -> None:
    reads = [read for n in (40, 300) for read in read_out(rng, random_dna(rng, 80), n)]
    mixed = [turned(reads[i]) if rng.random() < 0.5 else reads[i] for i in rng.permutation(len(reads))]
    shares = []
    for name, some in (("a", reads), ("b", mixed)):
        path = written(tmp_path / f"{name}.fastq", some)
        library = read_with_qualities(make_sample(files=(path,)), SETTINGS)
        assert library.reads.qualities is not None
        shares.append(library.reads.qualities.poor_shares)
    assert np.array_equal(*shares)


def test_counts_are_the_same_and_without_the_setting_there_are_no_qualities(
    tmp_path: Path, make_sample, rng: np.random.Generator
) -> None:
    sample = make_sample(files=(written(tmp_path / "a.fastq", read_out(rng, random_dna(rng, 80), 90)),))
    plain, known = (read_with_qualities(sample, s) for s in (NgsSettings(), SETTINGS))
    assert plain.reads.qualities is None
    assert plain.reads.blob == known.reads.blob
    assert np.array_equal(plain.reads.counts, known.reads.counts)
    assert plain.fates == known.fates


def test_mates_have_the_qualities_of_their_overlap(
    tmp_path: Path, make_sample, rng: np.random.Generator
) -> None:
    insert = random_dna(rng, 120)
    first, second = insert[:90], reverse_complement(insert)[:90]
    low = bytes([20] * 90)
    files = (written(tmp_path / "r1.fastq", [(first, low)] * 5),
             written(tmp_path / "r2.fastq", [(second, low)] * 5))  # fmt: skip
    library = read_with_qualities(make_sample(files=files), SETTINGS)
    shares = library.reads.poor_shares(0)
    assert shares is not None
    agreeing = np.zeros(120, dtype=bool)
    agreeing[30:90] = True  # read twice and alike: surer than either
    expected = agreeing if library.reads.sequence(0) == insert else agreeing[::-1]
    assert np.array_equal(shares < 0.5, expected)


def test_molecules_and_reads_seen_once_are_left_as_they_are(
    tmp_path: Path, make_sample, rng: np.random.Generator
) -> None:
    once = [(random_dna(rng, 80), bytes([37] * 80)) for _ in range(5)]
    sample = make_sample(files=(written(tmp_path / "a.fastq", once),))
    library = read_library(sample, SETTINGS)
    assert with_base_quality(library, SETTINGS) is library
    tagged = written(tmp_path / "b.fastq", [(b"ACGTACGT" + once[0][0], bytes([37] * 88))] * 3)
    settings = NgsSettings(denoise_by_quality=True, umi_source="first")
    assert read_with_qualities(make_sample(files=(tagged,)), settings).reads.qualities is None


def test_a_subclone_of_one_in_a_thousand_is_found_by_its_good_bases(
    tmp_path: Path, make_sample, rng: np.random.Generator
) -> None:
    clone = random_dna(rng, 120)
    window = clone[30:90]
    other = {65: b"C", 67: b"G", 71: b"T", 84: b"A"}[clone[60]]
    subclone = clone[:60] + other + clone[61:]
    reads = read_out(rng, clone, 20_000) + [r for r in read_out(rng, subclone, 40) if r[0] == subclone][:22]
    sample = make_sample(files=(written(tmp_path / "a.fastq", reads),))
    found = []
    for settings in (NgsSettings(), SETTINGS):
        library = read_with_qualities(sample, settings)
        around = look_around(library.reads, window, settings, calibration=None, clone=None, baseline=None)
        found.append([v.sequence.encode() for v in around.variants])
    assert found == [[], [subclone[30:90]]]


@pytest.mark.parametrize("is_turned", [False, True])
def test_clones_one_base_apart_are_told_by_their_good_bases(
    tmp_path: Path, make_sample, rng: np.random.Generator, is_turned: bool
) -> None:
    """Two junctions at one mismatch, one in a thousand: two clones with qualities, one without."""
    made = recombine(rng, load_germline(), lengths=(200, 201), rates=(0.0, 0.001), turned_share=0.0)
    read = made.read.encode()
    place = read.index(made.junction.encode()) + len(made.junction) // 2
    other = {65: b"C", 67: b"G", 71: b"T", 84: b"A"}[read[place]]
    neighbour = read[:place] + other + read[place + 1 :]
    reads = read_out(rng, read, 20_000)
    reads += [one for one in read_out(rng, neighbour, 40) if one[0] == neighbour][:22]
    if is_turned:
        reads = [turned(one) for one in reads]
    sample = make_sample(files=(written(tmp_path / "a.fastq", reads),))
    numbers = []
    for settings in (NgsSettings(), SETTINGS):
        clones = find_clonotypes(read_with_qualities(sample, settings), settings).clonotypes
        numbers.append([c.junction for c in clones if c.duplicate_count > 2])
    start = place - len(made.junction) // 2
    junctions = [s[start : start + len(made.junction)].decode() for s in (read, neighbour)]
    assert numbers == [junctions[:1], junctions]
