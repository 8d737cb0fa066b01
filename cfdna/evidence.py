"""What is counted in one sample's cell-free DNA, before anything is concluded."""

from dataclasses import dataclass

from pipeline.model import Sample

__all__ = ["BloodCount", "ClonotypeCount", "Plasma", "SiteCount", "TumourVariant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TumourVariant:
    """A variant of the patient's tumour that is looked for in plasma.

    ``pos`` is 1-based. ``allele_share`` is the share of the tumour's DNA molecules at the
    site that carry it (None: the setting's, heterozygous); ``tumour_vaf`` its fraction in the
    tumour's own sample, where known.
    """

    chrom: str
    pos: int
    ref: str
    alt: str
    gene: str = ""
    allele_share: float | None = None
    tumour_vaf: float | None = None

    def __post_init__(self) -> None:
        if self.pos < 1:
            raise ValueError("positions count from 1")
        if not self.ref or not self.alt or self.ref == self.alt:
            raise ValueError("ref and alt are two different alleles")
        if set(self.ref + self.alt) - set("ACGT"):
            raise ValueError("alleles are written in A, C, G and T")
        if self.allele_share is not None and not 0 < self.allele_share <= 1:
            raise ValueError("allele_share lies above 0 and is at most 1")

    @property
    def key(self) -> tuple[str, int, str, str]:
        """chrom, 1-based pos, ref, alt."""
        return self.chrom, self.pos, self.ref, self.alt

    @property
    def name(self) -> str:
        """``chr1:100A>T``."""
        return f"{self.chrom}:{self.pos}{self.ref}>{self.alt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodCount:
    """Molecules of the same person's blood cells (or graft) at a site; ``error_rate`` per molecule."""

    depth: int
    mutant: int
    error_rate: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.mutant <= self.depth:
            raise ValueError("need 0 <= mutant <= depth in blood")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCount:
    """Molecules of one variant's site in plasma.

    ``depth`` molecules show either allele, ``mutant`` of them the variant; ``shown`` also counts
    those that were counted at a neighbouring site of the list. ``informative`` is the number of
    molecules a carrier of the variant could have been among: below the depth
    where one molecule covers several sites of the list and would be counted at each.
    ``error_rate`` is the expected share of molecules that show the variant without tumour,
    ``error_basis`` where that number comes from. ``reference_seen`` is the allele most molecules
    show at the site, empty where none does. ``blood`` is None where there is no blood control
    or it does not cover the site (``blood_given`` says which).
    """

    variant: TumourVariant
    depth: int
    mutant: int
    informative: float
    error_rate: float
    error_basis: str
    reference_seen: str = ""
    molecule_class: str = "fragment"
    shown: int | None = None
    blood: BloodCount | None = None
    blood_given: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.mutant <= self.depth:
            raise ValueError("need 0 <= mutant <= depth")
        if not 0 <= self.informative <= self.depth:
            raise ValueError("need 0 <= informative <= depth")
        if not 0 < self.error_rate < 1:
            raise ValueError("an error rate lies between 0 and 1")

    @property
    def observed(self) -> int:
        """Molecules that show the variant, those counted at another site too."""
        return self.mutant if self.shown is None else self.shown

    @property
    def vaf(self) -> float | None:
        """Share of molecules that show the variant; None without molecules."""
        return self.observed / self.depth if self.depth else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClonotypeCount:
    """An immunoglobulin rearrangement of the clone, counted among haploid genomes."""

    target_id: str
    genomes: float
    templates: float

    def __post_init__(self) -> None:
        if self.genomes < 0 or not 0 <= self.templates <= max(self.genomes, 0):
            raise ValueError("need 0 <= templates <= genomes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plasma:
    """One sample's evidence for tumour DNA.

    ``sites`` are those of the patient's variants, in genome order; ``counted`` says what was
    counted (``fragments``: plain reads by name; ``molecules``: consensus). ``mutant_fragments``
    is the number of different fragments behind all mutant counts, where known; ``genomes`` the
    haploid genomes put in. ``suspected_swap`` says why the sample may be another person's. ``notes`` are
    remarks on the input, such as that REF was taken from the list.
    """

    sample: Sample
    sites: tuple[SiteCount, ...]
    clonotypes: tuple[ClonotypeCount, ...] = ()
    counted: str = "fragments"
    mutant_fragments: int | None = None
    genomes: float | None = None
    suspected_swap: str = ""
    notes: tuple[str, ...] = ()
    input_sha256: str
