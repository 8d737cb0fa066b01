"""Run choices of the CHIP assay."""

from dataclasses import dataclass

__all__ = ["UNVERIFIED", "ChipSettings"]

UNVERIFIED = (
    "X-linked threshold of 4 % in males and blood counts of CCUS (read in secondary sources only)",
    "points of the CHRS (read in secondary sources only)",
    "own choices: spread of inherited heterozygous variants, tests of strand, orientation and slippage",
)
"""Defaults in use here that no published text confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipSettings:
    """Run choices; the defaults are those a batch without a table gets.

    Rules. ``rules`` is the name of a set that ships or a path; ``population`` the path of a table of
    allele frequencies, empty for none; at ``population_max`` and above a change that no rule lists by
    its residue is taken as inherited.

    Thresholds. ``chip_vaf`` counts as CHIP (WHO 2022: 2 %), ``chip_vaf_x_male`` for X-linked genes in
    males (4 %).

    Evidence. A call needs ``min_depth`` and ``min_alt_reads``, or with UMIs ``min_alt_molecules``.
    ``strand_alpha`` is the probability below which support by one strand or orientation alone, or
    another share of it than the reference's, is no chance; ``end_distance_nt`` how far the median
    supporting base must stand from the end of its fragment.

    Inherited. ``germline_alpha`` is the two-sided level at which an allele fraction differs from 0.5
    or 1; ``germline_dispersion`` the beta-binomial's intra-class correlation of heterozygous variants
    where the sample shows fewer than ``germline_snps_min`` of them.

    Homopolymers. ``slippage_alpha`` is the level of the test against slippage; without a measured
    background an insertion or deletion in a run needs ``homopolymer_vaf_min`` (ArCH: 5 %).

    Files, as absolute paths, where samples are BAM files: ``reference`` (FASTA), ``genes`` (GFF3),
    ``targets`` (BED), ``background`` of controls (empty: the sample's own); ``umi`` says where reads have
    their UMIs (tag, header, none, inline:4+4).

    Coverage. A gene's limit is that of ``gene_share`` of its target bases.
    """

    rules: str = "topmed_2022"
    population: str = ""
    reference: str = ""
    genes: str = ""
    targets: str = ""
    background: str = ""
    umi: str = "tag"
    population_max: float = 0.001
    chip_vaf: float = 0.02
    chip_vaf_x_male: float = 0.04
    min_depth: int = 20
    min_alt_reads: int = 5
    min_alt_molecules: int = 3
    strand_alpha: float = 1e-4
    end_distance_nt: int = 4
    germline_alpha: float = 0.001
    germline_dispersion: float = 0.01
    germline_snps_min: int = 10
    slippage_alpha: float = 1e-4
    homopolymer_vaf_min: float = 0.05
    gene_share: float = 0.95

    def __post_init__(self) -> None:
        shares = (
            "population_max", "chip_vaf", "chip_vaf_x_male", "strand_alpha", "germline_alpha",
            "germline_dispersion", "slippage_alpha", "homopolymer_vaf_min", "gene_share",
        )  # fmt: skip
        for name in shares:
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        for name in ("min_depth", "min_alt_reads", "min_alt_molecules", "germline_snps_min"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.end_distance_nt < 0:
            raise ValueError("end_distance_nt cannot be negative")

    def min_alt(self, counted: str) -> int:
        """Supporting molecules or reads that a call needs."""
        return self.min_alt_molecules if counted == "molecules" else self.min_alt_reads
