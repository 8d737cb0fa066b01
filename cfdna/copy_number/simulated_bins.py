"""Simulated bins: depth, GC and mappability, a tumour's copy number, and noise unlike what is fitted.

Counts are negative binomial with an overdispersion that differs from bin to bin; a sample has a wave
over GC (sum of sines of random phase, no spline) and a slow wave along each chromosome. Not modelled: bins
that are odd in every sample, germline copy-number variants, the tumour's subclones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfdna.copy_number.bins import Bins, genome_bins
from cfdna.copy_number.informed import Segment, copies_of_bins

__all__ = ["BinNoise", "genome_covariates", "simulate_bins"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BinNoise:
    """Relative sizes: ``extra_cv`` of a bin alone, waves over GC, and along chromosomes."""

    extra_cv: float = 0.012
    gc_slope: float = 0.15
    gc_wave: float = 0.02
    slow_wave: float = 0.001


def genome_covariates(bin_nt: int, *, seed: int = 38) -> tuple[Floats, Floats]:
    """GC and mappability of made-up bins: smooth along the genome, as variable as human megabases.

    The seed stands for the genome: the same for all samples.
    """
    rng = np.random.default_rng(seed)
    size = len(genome_bins(bin_nt)[0])
    gc = np.clip(0.41 + 0.05 * _smooth(rng, size, 4.0) + 0.008 * rng.standard_normal(size), 0.33, 0.6)
    low = rng.random(size) < 0.06
    mappability = np.where(low, rng.uniform(0.3, 0.9, size), rng.uniform(0.93, 1.0, size))
    return gc, mappability


def simulate_bins(
    karyotype: Sequence[Segment],
    fraction: float,
    rng: np.random.Generator,
    *,
    coverage: float,
    bin_nt: int = 1_000_000,
    fragment_nt: float = 167.0,
    noise: BinNoise | None = None,
) -> Bins:
    """Fragments in the bins of one plasma.

    Parameters
    ----------
    karyotype
        The tumour's altered segments.
    fraction
        Tumour fraction by cells, in [0, 1].
    rng
        Source of randomness.
    coverage
        Mean depth of the genome by fragments, such as 0.1.
    bin_nt, fragment_nt
        Sizes in nucleotides.
    noise
        By default `BinNoise`.
    """
    kind = noise or BinNoise()
    chroms, starts, ends = genome_bins(bin_nt)
    gc, mappability = genome_covariates(bin_nt)
    size = len(chroms)
    empty = Bins(
        chroms=chroms, starts=starts, ends=ends, counts=np.zeros(size), gc=gc, mappability=mappability
    )
    growth = 1 + fraction * (copies_of_bins(empty, karyotype) - 2) / 2
    waves = sum(
        np.sin(2 * np.pi * (gc / period + rng.random())) * rng.normal(0, kind.gc_wave / np.sqrt(2))
        for period in (0.07, 0.12, 0.2)
    )
    slope = rng.normal(0, kind.gc_slope) * (gc - gc.mean()) / 0.05
    slow = kind.slow_wave * _smooth(rng, size, 8.0)
    depth = coverage * bin_nt / fragment_nt * growth * mappability * np.exp(waves + 0.3 * slope + slow)
    spread = kind.extra_cv * rng.gamma(4.0, 0.25, size) + 1e-6
    counts = rng.poisson(depth * rng.gamma(1 / spread**2, spread**2))
    return Bins(
        chroms=chroms,
        starts=starts,
        ends=ends,
        counts=counts.astype(np.float64),
        gc=gc,
        mappability=mappability,
    )


def _smooth(rng: np.random.Generator, size: int, width: float) -> Floats:
    """White noise smoothed over ``width`` neighbours, of unit variance."""
    reach = int(4 * width)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    values = np.convolve(rng.standard_normal(size + 2 * reach), kernel, mode="valid")
    smooth: Floats = values / np.sqrt((kernel**2).sum())
    return smooth
