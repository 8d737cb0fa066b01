"""A made-up reference, for work without a genome."""

import numpy as np

from pipeline.formats.bed import Target

__all__ = ["MADE_UP_CONTIGS", "draw_contigs", "targets_of"]

MADE_UP_CONTIGS = {"made_up_1": 12_000, "made_up_2": 8_000}
_TARGET_NT = 500
_EVERY_NT = 2_000


def draw_contigs(rng: np.random.Generator, lengths_nt: dict[str, int] | None = None) -> dict[str, str]:
    """Random bases with runs of equal bases about as frequent as in genomes.

    Every fiftieth base begins a run of 4 to 9, which random bases alone would hardly have.
    """
    contigs = {}
    for name, length in (lengths_nt or MADE_UP_CONTIGS).items():
        codes = rng.integers(0, 4, length)
        for start in np.flatnonzero(rng.random(length) < 0.02):
            codes[start : start + int(rng.integers(4, 10))] = codes[start]
        contigs[name] = "".join("ACGT"[c] for c in codes)
    return contigs


def targets_of(lengths_nt: dict[str, int]) -> tuple[Target, ...]:
    """A target of 500 bases in every 2,000."""
    return tuple(
        Target(name, start, start + _TARGET_NT)
        for name, length in lengths_nt.items()
        for start in range(_EVERY_NT // 2, length - _TARGET_NT - 500, _EVERY_NT)
    )
