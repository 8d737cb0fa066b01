"""Counts and shapes of the CHIP assay: candidates, coverage of genes, one graft or blood sample."""

from dataclasses import dataclass

from pipeline.model import Sample, Sex

__all__ = ["Candidate", "Counts", "GeneCoverage", "GraftEvidence", "Strands"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strands:
    """Reference and alternative counts by direction (or by orientation, F1R2 and F2R1)."""

    ref_forward: int
    ref_reverse: int
    alt_forward: int
    alt_reverse: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What reads show of one allele.

    ``alt`` of ``depth`` are ``counted`` (``molecules`` or ``reads``) and show it. ``strands`` and
    ``orientations`` are None where they are not known, ``end_distance_nt`` is the median distance of
    supporting bases from the end of their fragment, ``background`` the error probability at the site.
    """

    depth: int
    alt: int
    counted: str = "reads"
    strands: Strands | None = None
    orientations: Strands | None = None
    end_distance_nt: float | None = None
    background: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.alt <= self.depth:
            raise ValueError(f"{self.alt} of {self.depth} cannot show an allele")

    @property
    def vaf(self) -> float | None:
        """Share of the depth; None without depth."""
        return self.alt / self.depth if self.depth else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One alternative allele on one gene, as a caller or a table gives it.

    ``chrom`` and ``pos`` (1-based) may be missing, ``counts`` too. ``filters`` are those of the caller
    that it fails. ``in_tumour`` is None where no tumour was looked at; ``tumour_vaf`` where it is not
    known. ``run_length_nt`` is the length of the homopolymer that an insertion or deletion changes,
    ``slippage`` the share of molecules that slip there, each None where not known.
    """

    chrom: str = ""
    pos: int | None = None
    ref: str = ""
    alt: str = ""
    gene: str
    hgvsc: str = ""
    hgvsp: str = ""
    terms: tuple[str, ...] = ()
    counts: Counts | None = None
    vaf: float | None = None
    filters: tuple[str, ...] = ()
    in_tumour: bool | None = None
    tumour_vaf: float | None = None
    population_frequency: float | None = None
    run_length_nt: int | None = None
    slippage: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def allele_fraction(self) -> float | None:
        """From the counts, else as stated."""
        return self.counts.vaf if self.counts is not None else self.vaf


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneCoverage:
    """How deep a gene's target bases were seen.

    ``target_nt`` bases, ``covered_fraction`` of them at the least depth of a call;
    ``molecules_median`` over all, ``molecules_low`` reached by the share of bases the settings ask for.
    """

    gene: str
    target_nt: int
    covered_fraction: float
    molecules_median: float
    molecules_low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GraftEvidence:
    """One sample reduced to what calling needs.

    ``coverage`` is empty where it is not known (a list of variants says nothing of what was not
    found). ``heterozygous`` holds (alternative, depth) of the sample's own inherited variants.
    ``plasma_cell_fraction`` is flow's, None where not measured. ``notes`` are what reading had to say.
    """

    candidates: tuple[Candidate, ...]
    coverage: tuple[GeneCoverage, ...] = ()
    heterozygous: tuple[tuple[int, int], ...] = ()
    sex: Sex | None = None
    plasma_cell_fraction: float | None = None
    has_tumour: bool = False
    counted: str = "reads"
    sample: Sample | None = None
    input_sha256: str = ""
    notes: tuple[str, ...] = ()
