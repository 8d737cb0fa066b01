"""Error satellites and true neighbours: what folding does with and without qualities.

    python tests/bench/study_denoising.py [replicates]

A clone of 60 bases and a neighbour at one mismatch, read with qualities that are what they say;
"poor site" is one base whose qualities are low in many reads, or Phred 20 in all of them.
"""

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.denoise import fold_errors
from mrd_ngs.evidence import BaseQualities
from mrd_ngs.poor_bases import BaseQuality

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
LENGTH, PLACE = 60, 30  # where the neighbour differs
PCR_ERROR = 2e-5  # a base, which no quality shows
FOUR = (
    np.array([2, 12, 23, 37]),
    np.array([0.0005, 0.01, 0.06, 0.9295]),
    np.array([0.005, 0.08, 0.2, 0.715]),
)
FLAT = (np.array([20, 30]), np.array([0.0, 1.0]), np.array([1.0, 0.0]))
GOOD = 30


def read_out(
    rng: np.random.Generator, sequence: NDArray[np.uint8], reads: int, kind: tuple, site: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    values, usual, poor = kind
    scores = rng.choice(values, (reads, LENGTH), p=usual)
    if site is not None:
        scores[:, site] = rng.choice(values, reads, p=poor)
    made = np.tile(sequence, (reads, 1))
    wrong = rng.random(made.shape) < 10.0 ** (-scores / 10) + PCR_ERROR
    code = np.searchsorted(BASES, made[wrong])
    made[wrong] = BASES[(code + rng.integers(1, 4, code.size)) % 4]
    return made, scores


def library_of(kind: tuple) -> tuple[float, BaseQualities]:
    """Error rate and qualities of a library without the poor site."""
    values, usual, _ = kind
    errors, poor = usual * 10.0 ** (-values / 10), values < GOOD
    share = float(usual[poor].sum())
    return float(errors.sum()) + PCR_ERROR, BaseQualities(
        poor_shares=np.zeros(0, dtype=np.float32),
        sequences=0,
        good_error=float(errors[~poor].sum() / usual[~poor].sum()),
        poor_error=float(errors[poor].sum() / share) if share else float(10.0 ** (-values[poor].max() / 10)),
        poor_base_share=share,
    )


def replicate(
    rng: np.random.Generator, reads: int, ratio: int, kind: tuple, site: int | None
) -> Iterator[tuple[bool, int]]:
    """By counts and by qualities: whether the neighbour stays, and false sequences of two reads or more."""
    clone = rng.choice(BASES, LENGTH)
    neighbour = clone.copy()
    neighbour[PLACE] = BASES[(np.searchsorted(BASES, clone[PLACE]) + 1) % 4]
    parts = [read_out(rng, clone, reads, kind, site)]
    parts.append(read_out(rng, neighbour, int(rng.poisson(reads / ratio)), kind, site))
    made, scores = (np.vstack([part[i] for part in parts]) for i in range(2))
    rows: dict[bytes, list[int]] = {}
    for row, read in enumerate(made):
        rows.setdefault(read.tobytes(), []).append(row)
    sequences = sorted(rows)
    counts = np.array([len(rows[s]) for s in sequences])
    error_rate, library = library_of(kind)
    good, poor = library.error_rates(error_rate)
    quality = BaseQuality(
        poor_shares=[(scores[rows[s]] < GOOD).mean(axis=0) for s in sequences],
        good_error_rate=good,
        poor_error_rate=poor,
    )
    true = {clone.tobytes(), neighbour.tobytes()}
    for known in (None, quality):
        folding = fold_errors(sequences, counts, error_rate=error_rate, safety=3.0, alpha=0.01, quality=known)
        kept = {sequences[i]: int(counts[i]) for i in np.flatnonzero(folding.is_kept).tolist()}
        yield neighbour.tobytes() in kept, sum(n > 1 for s, n in kept.items() if s not in true)


def rows(replicates: int) -> Iterator[str]:
    yield "qualities  poor site      reads  neighbour  kept: counts  quality   false: counts  quality"
    for name, kind in (("four", FOUR), ("flat 30", FLAT)):
        for where, site in (("none", None), ("elsewhere", 45), ("the same base", PLACE)):
            for reads in (2_000, 20_000):
                for ratio in (50, 100, 300, 1000):
                    found = np.array([
                        list(replicate(np.random.default_rng([seed, reads, ratio]), reads, ratio, kind, site))
                        for seed in range(replicates)
                    ], dtype=np.float64).mean(axis=0)  # fmt: skip
                    (by_counts, false), (by_quality, false_by_quality) = found.tolist()
                    yield (
                        f"{name:9}  {where:13} {reads:6,}  1:{ratio:<8} {by_counts:13.2f} {by_quality:8.2f} "
                        f"{false:16.2f} {false_by_quality:8.2f}"
                    )


if __name__ == "__main__":
    for line in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
        sys.stdout.write(line + "\n")
