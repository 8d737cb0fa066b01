"""Simulated evidence of plasma and blood with its truth; files of reads are made by `cfdna.simulation`."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from cfdna.evidence import BloodCount, Plasma, SiteCount, TumourVariant
from pipeline.model import Assay, Material, Sample

__all__ = ["SiteOrigin", "TrackingTruth", "simulate_plasma"]

SiteOrigin = str
_SUBSTITUTIONS = (("C", "T"), ("G", "A"), ("A", "G"), ("T", "C"), ("C", "A"), ("G", "T"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingTruth:
    """What a simulated plasma holds.

    ``tumour_fraction`` is the share of its DNA that is the tumour's; sites are heterozygous and
    clonal. ``error_rate`` per molecule, drawn anew for each site around its mean where
    ``error_spread`` (relative standard deviation, gamma) is above 0. The first ``chip_sites``
    variants come from blood cells at ``chip_vaf`` of plasma and blood alike, the next
    ``germline_sites`` are heterozygous in every cell. ``blood_depth`` molecules of blood (0: no
    control); ``blood_error_rate`` their errors.
    """

    tumour_fraction: float
    sites: int
    depth_molecules: float
    error_rate: float
    error_spread: float = 0.0
    depth_spread: float = 0.3
    chip_sites: int = 0
    chip_vaf: float = 0.002
    germline_sites: int = 0
    blood_depth: int = 0
    blood_error_rate: float = 1e-5


def simulate_plasma(
    truth: TrackingTruth,
    rng: np.random.Generator,
    *,
    patient_id: str = "SIM-1",
    timepoint: str = "FU1",
    collected_on: date = date(2026, 1, 1),
) -> Plasma:
    """Counts at a tumour's sites in one plasma.

    Not modelled: fragments over several sites, copy number, subclones, errors that depend on the
    base around; the simulator of reads does the first.

    Parameters
    ----------
    truth
        What the plasma holds.
    rng
        Source of randomness.
    patient_id, timepoint, collected_on
        Written into the sample.

    Returns
    -------
    Plasma
        The mean error rate is what the evidence states, whatever each site's own is.
    """
    depth = rng.poisson(
        truth.depth_molecules * _around_one(rng, truth.depth_spread, truth.sites), truth.sites
    )
    errors = truth.error_rate * _around_one(rng, truth.error_spread, truth.sites)
    vaf = np.full(truth.sites, truth.tumour_fraction / 2)
    first, second = truth.chip_sites, truth.chip_sites + truth.germline_sites
    vaf[:first], vaf[first:second] = truth.chip_vaf, 0.5
    mutant = rng.binomial(depth, np.minimum(1.0, vaf + errors))
    in_blood = np.zeros(truth.sites)
    in_blood[:first], in_blood[first:second] = truth.chip_vaf, 0.5
    blood = rng.binomial(truth.blood_depth, np.minimum(1.0, in_blood + truth.blood_error_rate), truth.sites)
    sites = tuple(
        SiteCount(
            variant=_variant(number),
            depth=int(depth[number]),
            mutant=int(mutant[number]),
            informative=float(depth[number]),
            error_rate=truth.error_rate,
            error_basis="simulated",
            blood=_blood(truth, int(blood[number])),
            blood_given=truth.blood_depth > 0,
        )
        for number in range(truth.sites)
    )
    sample = Sample(
        study_id="single",
        patient_id=patient_id,
        timepoint=timepoint,
        collected_on=collected_on,
        material=Material.PLASMA,
        assay=Assay.CFDNA,
        files=(Path("simulated"),),
    )
    return Plasma(sample=sample, sites=sites, counted="molecules", input_sha256="0" * 64)


def _around_one(
    rng: np.random.Generator, spread: float, size: int
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    if spread == 0:
        return np.ones(size)
    shape = 1 / spread**2
    return rng.gamma(shape, 1 / shape, size)


def _variant(number: int) -> TumourVariant:
    ref, alt = _SUBSTITUTIONS[number % len(_SUBSTITUTIONS)]
    return TumourVariant(chrom=f"chr{1 + number % 22}", pos=1000 + 500 * number, ref=ref, alt=alt)


def _blood(truth: TrackingTruth, mutant: int) -> BloodCount | None:
    if truth.blood_depth == 0:
        return None
    return BloodCount(depth=truth.blood_depth, mutant=mutant, error_rate=truth.blood_error_rate)
