"""Run choices of the cell-free DNA assay."""

from dataclasses import dataclass

__all__ = ["UNVERIFIED", "CfdnaSettings"]

UNVERIFIED = (
    "at least 2 mutant molecules (own choice; published assays ask for 2 of some 16 sites)",
    "own choices: noisy sites, outlying sites, blood depth, copy-number penalties",
)
"""Defaults in use here that no published text confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CfdnaSettings:
    """Run choices of the cell-free DNA assay; the defaults are those a batch without a table gets.

    Reads. Those below ``mapping_quality_min`` and bases below ``base_quality_min`` are not
    looked at; of plain reads (without consensus) the overlap of mates counts once, and so do, with
    ``fold_copies``, fragments of equal ends and orientation.

    Tracking. A sample is called where the evidence of its mutant molecules is reached by
    background alone with a probability of at most ``alpha``, and there are at least
    ``mutant_molecules_min``. ``allele_share`` is the share of the tumour's DNA molecules at a
    site that carry the variant: 0.5 for a heterozygous clonal one in two copies.
    ``background_confidence`` is the one-sided level at which a measured background rate is
    taken (its upper bound); ``error_rate_min`` the floor of that rate.

    Sites. One whose background exceeds ``site_error_rate_max`` is noisy. Without blood, one
    whose plasma fraction reaches ``germline_vaf_min`` is taken for germline if the others
    are far below. One that has more mutant molecules than the other sites explain
    (probability below ``outlier_alpha``, corrected for the number of sites) is an outlier.

    Blood. A variant is carried by blood cells where their mutant molecules reach the decision
    count of their own background (``blood_alpha``, at least ``blood_molecules_min``). Blood
    that would not show a variant at ``blood_vaf`` with probability ``blood_power`` is too shallow.

    Clonotype. ``clonotype_error_rate`` is the background of an immunoglobulin rearrangement
    per haploid genome looked at.

    Copy number. Bins of ``bin_nt``; those with a mappability below ``mappability_min`` are
    left out.

    Raises
    ------
    ValueError
        If a value is out of its range; the message names the key.
    """

    # reads
    mapping_quality_min: int = 20
    base_quality_min: int = 20
    fold_copies: bool = True
    # tracking
    alpha: float = 0.01
    mutant_molecules_min: int = 2
    allele_share: float = 0.5
    background_confidence: float = 0.95
    error_rate_min: float = 1e-7
    background_flank_nt: int = 40
    # sites
    site_error_rate_max: float = 5e-3
    germline_vaf_min: float = 0.25
    outlier_alpha: float = 1e-3
    # blood
    blood_alpha: float = 0.005
    blood_molecules_min: int = 2
    blood_vaf: float = 0.002
    blood_power: float = 0.99
    # clonotype
    clonotype_error_rate: float = 1e-7
    # copy number
    bin_nt: int = 1_000_000
    mappability_min: float = 0.8
    low_input_genomes: int = 1000

    def __post_init__(self) -> None:
        for key in (
            "alpha", "allele_share", "background_confidence", "site_error_rate_max", "germline_vaf_min",
            "outlier_alpha", "blood_alpha", "blood_vaf", "blood_power", "mappability_min",
        ):  # fmt: skip
            if not 0 < getattr(self, key) < 1:
                raise ValueError(f"{key} lies between 0 and 1")
        for key in ("mutant_molecules_min", "blood_molecules_min", "bin_nt", "background_flank_nt"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key} is at least 1")
        for key in ("error_rate_min", "clonotype_error_rate"):
            if not 0 < getattr(self, key) < 0.01:
                raise ValueError(f"{key} lies between 0 and 0.01")
        for key in ("mapping_quality_min", "base_quality_min", "low_input_genomes"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} is not negative")
