"""What a simulated library is."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipeline.errors import UsageError

__all__ = ["ErrorRates", "LibraryDesign", "UmiLayout"]

UmiLayout: TypeAlias = Literal["duplex", "single", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRates:
    """How often what goes wrong.

    Before the UMI, all copies of one strand share an error (``end_repair``: of both strands); in PCR a
    copy's descendants do; sequencing errors stand alone. Defaults lie within what is published for
    plasma and marrow libraries, and are assumptions.

    Attributes
    ----------
    deamination, oxidation
        Per C (read as T) and per G (read as T) of one strand.
    end_repair
        Per base of the first ``end_repair_nt`` of a fragment's either end, on both strands: C read as T
        at the left end, G as A at the right, as fill-in of damaged overhangs leaves them.
    pcr
        Per base and cycle, any base to any other.
    sequencing
        Factor on the errors that the qualities (Q37, Q25, Q11) stand for.
    umi
        Per base of a UMI.
    slippage_strand, slippage_copy
        Per run of eight equal bases, one base gained or lost by a whole strand (in the first copy) or by
        one copy; half of it for each base less, twice for each more, none below five bases.
    foreign
        Share of molecules that come from elsewhere, 3 % diverged, placed here by the aligner with
        mapping quality 0 to 29.
    """

    deamination: float = 1.0e-5
    oxidation: float = 1.0e-5
    end_repair: float = 2.0e-5
    end_repair_nt: int = 10
    pcr: float = 1.0e-6
    pcr_cycles: int = 15
    sequencing: float = 1.0
    umi: float = 1.0e-3
    slippage_strand: float = 2.0e-4
    slippage_copy: float = 2.0e-3
    foreign: float = 1.0e-3

    def __post_init__(self) -> None:
        for name in ("deamination", "oxidation", "end_repair", "pcr", "umi", "foreign"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise UsageError(f"{name} is a rate between 0 and 0.5, not {getattr(self, name)}")
        if min(self.sequencing, self.slippage_strand, self.slippage_copy) < 0 or self.sequencing > 6:
            raise UsageError("error rates are not negative, and sequencing is a factor of at most 6")
        if self.pcr_cycles < 1 or self.end_repair_nt < 0:
            raise UsageError("there is at least one cycle of PCR, and no end shorter than 0 bases")

    @classmethod
    def none(cls) -> "ErrorRates":
        """Nothing goes wrong."""
        return cls(
            deamination=0, oxidation=0, end_repair=0, pcr=0, sequencing=0, umi=0, slippage_strand=0,
            slippage_copy=0, foreign=0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDesign:
    """Molecules, families and reads of one library.

    Attributes
    ----------
    depth_molecules
        Mean number of sequenced molecules over a base of the targets.
    fragment_mean_nt, fragment_sd_nt
        Length of fragments, normal within 60 to 500 nucleotides.
    family_mean, family_shape
        Read pairs of each strand of a molecule, negative binomial; what gets none at all is not sequenced.
        The defaults give both strands to about half of the molecules.
    read_nt
        Longest read; fragments that are shorter are read to their end, without adapter.
    umi, umi_nt
        ``duplex``: a UMI on either end, which tells the strands apart; ``single``: one; ``none``.
    """

    depth_molecules: float = 2800.0
    fragment_mean_nt: float = 170.0
    fragment_sd_nt: float = 25.0
    family_mean: float = 2.0
    family_shape: float = 1.1
    read_nt: int = 100
    umi: UmiLayout = "duplex"
    umi_nt: int = 8
    rates: ErrorRates = field(default_factory=ErrorRates)

    def __post_init__(self) -> None:
        if not 0 < self.depth_molecules <= 1e6:
            raise UsageError("depth is above 0 and at most 1,000,000 molecules")
        if not 60 <= self.fragment_mean_nt <= 500 or not 0 <= self.fragment_sd_nt <= 200:
            raise UsageError("fragments are 60 to 500 nucleotides long, with a standard deviation up to 200")
        if not (0.1 <= self.family_mean <= 30_000 and self.family_shape >= 0.1):
            raise UsageError(
                "families have a mean of 0.1 to 30,000 read pairs a strand and a shape of at least 0.1"
            )
        if not 30 <= self.read_nt <= 300 or not 1 <= self.umi_nt <= 16:
            raise UsageError("reads are 30 to 300 nucleotides long and UMIs 1 to 16")
