"""Choices of the caller."""

from dataclasses import dataclass

from pipeline.errors import UsageError

__all__ = ["CallSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings:
    """When a candidate is called; defaults are own choices, tried on simulated libraries.

    Attributes
    ----------
    false_calls_per_mb
        Calls by error alone per million bases of targets that are accepted: each of the three
        alternative bases of a site is tested at a third of it.
    min_molecules
        Fewest molecules of a call.
    candidate_p
        Alleles whose p-value is above it are not listed at all.
    max_vaf_error
        Share of molecules above which an allele is no error and teaches the background nothing.
    min_mapping_quality, max_low_mapping
        Of the supporting molecules on average; share of the site's reads that map poorly.
    fragment_end_nt
        What molecules show nearer to an end of their fragment is no evidence, in samples and in controls:
        end repair copies damage of overhangs to both strands there.
    max_mismatches
        Mean number of other differences of supporting molecules, above which they are from elsewhere.
    strand_p
        Probability of so uneven strands by chance below which they are a reason.
    """

    false_calls_per_mb: float = 0.5
    min_molecules: int = 2
    candidate_p: float = 1e-4
    max_vaf_error: float = 0.02
    min_mapping_quality: float = 30.0
    max_low_mapping: float = 0.5
    fragment_end_nt: int = 10
    max_mismatches: float = 3.5
    strand_p: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.false_calls_per_mb <= 1e4:
            raise UsageError("false calls per Mb are above 0 and at most 10,000")
        if self.min_molecules < 1:
            raise UsageError("a call has at least one molecule")

    @property
    def alpha(self) -> float:
        """Accepted probability of a false call, per allele.

        >>> CallSettings(false_calls_per_mb=0.3).alpha
        1e-07
        """
        return self.false_calls_per_mb / 3e6
