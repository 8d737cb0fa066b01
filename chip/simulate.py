"""A simulated sample: known clones, inherited variants and slippage, as counts; truth beside it.

Not modelled: reads and their alignment (`pipeline.variants` simulates those), copy number, and
clones that share cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chip.evidence import Candidate, Counts, GeneCoverage, GraftEvidence, Strands
from pipeline.model import Sample, Sex

__all__ = ["GraftTruth", "TrueVariant", "simulate_graft", "simulate_series_fractions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueVariant:
    """A variant at its true fraction; ``slippage`` adds false molecules where it is in a homopolymer."""

    gene: str
    hgvsp: str
    hgvsc: str = ""
    vaf: float
    run_length_nt: int | None = None
    slippage: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraftTruth:
    """What a simulated sample holds.

    ``molecules`` is the mean depth, ``depth_spread`` the log-normal spread of depths between sites,
    ``heterozygous`` the number of inherited heterozygous variants used for balance, ``bias_sd`` the
    spread of their fractions around one half.
    """

    variants: tuple[TrueVariant, ...]
    genes: tuple[str, ...]
    molecules: int = 1000
    depth_spread: float = 0.2
    heterozygous: int = 25
    bias_sd: float = 0.02
    sex: Sex | None = None


def simulate_graft(
    truth: GraftTruth, rng: np.random.Generator, *, sample: Sample | None = None
) -> GraftEvidence:
    """Draw one sample's evidence.

    Every variant of the truth is a candidate, also where chance left it without a supporting
    molecule, so that what was missed can be counted.
    """
    return GraftEvidence(
        candidates=tuple(_draw(v, truth, rng) for v in truth.variants),
        coverage=tuple(_coverage(gene, truth, rng) for gene in truth.genes),
        heterozygous=tuple(_heterozygous(truth, rng) for _ in range(truth.heterozygous)),
        sex=truth.sex,
        counted="molecules",
        sample=sample,
    )


def _depth(truth: GraftTruth, rng: np.random.Generator) -> int:
    return max(1, int(rng.poisson(truth.molecules * rng.lognormal(0.0, truth.depth_spread))))


def _draw(variant: TrueVariant, truth: GraftTruth, rng: np.random.Generator) -> Candidate:
    depth = _depth(truth, rng)
    share = variant.vaf + (1 - variant.vaf) * (variant.slippage or 0.0)
    alt = int(rng.binomial(depth, share))
    forward = int(rng.binomial(alt, 0.5))
    ref_forward = int(rng.binomial(depth - alt, 0.5))
    strands = Strands(
        ref_forward=ref_forward,
        ref_reverse=depth - alt - ref_forward,
        alt_forward=forward,
        alt_reverse=alt - forward,
    )
    return Candidate(
        gene=variant.gene,
        hgvsp=variant.hgvsp,
        hgvsc=variant.hgvsc,
        counts=Counts(depth=depth, alt=alt, counted="molecules", strands=strands),
        run_length_nt=variant.run_length_nt,
        slippage=variant.slippage,
    )


def _coverage(gene: str, truth: GraftTruth, rng: np.random.Generator) -> GeneCoverage:
    depths = np.sort([_depth(truth, rng) for _ in range(200)])
    return GeneCoverage(
        gene=gene,
        target_nt=len(depths),
        covered_fraction=float((depths >= 20).mean()),
        molecules_median=float(np.median(depths)),
        molecules_low=float(depths[len(depths) // 20]),
    )


def _heterozygous(truth: GraftTruth, rng: np.random.Generator) -> tuple[int, int]:
    depth = _depth(truth, rng)
    share = min(max(rng.normal(0.5, truth.bias_sd), 0.05), 0.95)
    return int(rng.binomial(depth, share)), depth


def simulate_series_fractions(start: float, growth_per_year: float, years: Sequence[float]) -> list[float]:
    """Fractions of a clone that grows logistically towards one half.

    >>> [round(v, 4) for v in simulate_series_fractions(0.02, 0.5, [0.0, 1.0, 2.0])]
    [0.02, 0.0294, 0.0429]
    """
    odds = 2 * start / (1 - 2 * start)
    return [0.5 * x / (1 + x) for x in (odds * (1 + growth_per_year) ** t for t in years)]
