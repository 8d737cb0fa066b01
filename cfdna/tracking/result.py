"""What is said of the tumour's DNA in one plasma."""

from dataclasses import dataclass

from cfdna.tracking.sites import SiteVerdict
from pipeline.model import MrdResult

__all__ = ["SiteRow", "Tracking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """A site as it stands in a result; ``weight`` is what one mutant molecule there counts."""

    variant: str
    gene: str
    molecule_class: str
    fate: str
    reason: str
    blood: str
    depth: int
    mutant: int
    shown: int
    informative: float
    error_rate: float
    error_basis: str
    weight: int

    @classmethod
    def of(cls, verdict: SiteVerdict, weight: int) -> "SiteRow":
        """The row of a judged site."""
        site = verdict.site
        return cls(
            variant=site.variant.name,
            gene=site.variant.gene,
            molecule_class=site.molecule_class,
            fate=verdict.fate.value,
            reason=verdict.reason,
            blood=verdict.blood.value,
            depth=site.depth,
            mutant=site.mutant,
            shown=site.observed,
            informative=site.informative,
            error_rate=site.error_rate,
            error_basis=site.error_basis,
            weight=weight,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """A result with the evidence behind it.

    ``mutant_molecules`` are different molecules, ``mutant_observations`` the sites at which they
    are mutant (more, where one molecule covers several). ``mutant_fraction`` is the share of
    informative molecules that are mutant above background;
    ``log_likelihood_ratio`` that of the most likely tumour fraction against none; ``p_value`` the
    probability of such a score without tumour. ``decision_score`` is in units of weight:
    where all weights are equal it is a count of molecules.
    """

    result: MrdResult
    sites: tuple[SiteRow, ...]
    informative_molecules: float
    mutant_molecules: int
    mutant_observations: int
    expected_background: float
    mutant_fraction: float | None
    score: int
    decision_score: int | None
    p_value: float | None
    log_likelihood_ratio: float | None
    assumption: str
    notes: tuple[str, ...]
