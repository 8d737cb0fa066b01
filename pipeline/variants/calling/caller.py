"""Windows of evidence → calls, each with its limit, and a limit for every site."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.detection.intervals import Interval, wilson
from pipeline.variants.calling.background import Background, indel_kind
from pipeline.variants.calling.candidates import Candidate, find_candidates, kind_of
from pipeline.variants.calling.contexts import Surroundings, context_name, surroundings
from pipeline.variants.calling.filters import SiteNumbers, reasons_against
from pipeline.variants.calling.scoring import (
    Rates,
    limits_of,
    p_values,
    rates_of_alleles,
    rates_of_sites,
)
from pipeline.variants.calling.settings import CallSettings
from pipeline.variants.evidence import Allele, SiteEvidence
from pipeline.variants.reference import Reference

__all__ = ["Call", "WindowCalls", "call_windows"]

_HOMOZYGOUS_LOW = 0.75


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """A candidate, called (no ``reasons``) or rejected, or a site that was asked for.

    ``molecules``, ``alt_molecules``, ``ref_molecules`` by `pipeline.variants.evidence.StrandClass`, (5,)
    int64; ``lod`` is the smallest VAF that would be called here with probability 0.95, None where none would.
    """

    contig: str
    allele: Allele
    reasons: tuple[str, ...]
    molecules: NDArray[np.int64]
    alt_molecules: NDArray[np.int64]
    ref_molecules: NDArray[np.int64]
    reads: int
    vaf: float | None
    interval: Interval | None
    lod: float | None
    error_rate: float
    p_value: float
    log10_ratio: float
    context: str
    run_nt: int
    mapping_quality: float | None
    end_distance: float | None
    mismatches: float | None

    @property
    def kind(self) -> str:
        """Class of the allele."""
        return kind_of(self.allele.ref, self.allele.alt)

    @property
    def genotype(self) -> str:
        """``0/0`` where looked for and not found, ``./.`` where there was nothing to look at."""
        if "no_coverage" in self.reasons:
            return "./."
        if "not_detected" in self.reasons:
            return "0/0"
        return "1/1" if self.interval is not None and self.interval.low > _HOMOZYGOUS_LOW else "0/1"

    def depth(self, strands: Sequence[int] = (0, 1, 2, 3, 4)) -> int:
        """Molecules of these strand classes that could show the allele."""
        return int(self.molecules[list(strands)].sum())

    def alt_depth(self, strands: Sequence[int] = (0, 1, 2, 3, 4)) -> int:
        """Molecules of these strand classes that show it."""
        return int(self.alt_molecules[list(strands)].sum())

    def ref_depth(self, strands: Sequence[int] = (0, 1, 2, 3, 4)) -> int:
        """Molecules of these strand classes that show the reference."""
        return int(self.ref_molecules[list(strands)].sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowCalls:
    """Calls of a window, by position, and of every site depth, duplex depth and limit (nan: none)."""

    contig: str
    start: int
    reference: str
    calls: tuple[Call, ...]
    depth: NDArray[np.int64]
    duplex: NDArray[np.int64]
    limits: NDArray[np.float64]


def call_windows(
    windows: Iterable[SiteEvidence],
    reference: Reference,
    background: Background,
    settings: CallSettings | None = None,
    *,
    asked: Mapping[str, Sequence[Allele]] | None = None,
    with_limits: bool = True,
) -> Iterator[WindowCalls]:
    """Call each window.

    Parameters
    ----------
    windows
        Evidence, as `pipeline.variants.molecules.read_evidence` gives it.
    reference
        The same as that of the evidence.
    background
        Errors, of controls or of the sample itself.
    settings
        Choices of the caller.
    asked
        Alleles by contig, left-aligned, that get a record whatever is seen, if they lie in a window.
    with_limits
        Compute the limit of every site; that of each record is always there.
    """
    chosen = settings or CallSettings()
    for evidence in windows:
        around = surroundings(reference, evidence.contig, evidence.start, evidence.end)
        wanted = [
            a for a in (asked or {}).get(evidence.contig, ()) if evidence.start <= a.position < evidence.end
        ]
        calls = _calls(evidence, around, reference, background, chosen, wanted)
        limits = np.full(evidence.sites, np.nan)
        if with_limits:
            limits = limits_of(rates_of_sites(evidence, around, background), alpha=chosen.alpha)
        yield WindowCalls(
            contig=evidence.contig,
            start=evidence.start,
            reference=evidence.reference,
            calls=tuple(calls),
            depth=evidence.depth_molecules(),
            duplex=evidence.counts[:, :5, 4].sum(axis=1, dtype=np.int64),
            limits=limits,
        )


def _calls(
    evidence: SiteEvidence,
    around: Surroundings,
    reference: Reference,
    background: Background,
    settings: CallSettings,
    asked: Sequence[Allele],
) -> list[Call]:
    counts = _counts_by_allele(evidence, settings)
    shown = np.bincount(evidence.observations["allele"], minlength=len(evidence.alleles))
    enough = np.flatnonzero((shown >= 2) | (counts[:, 4] > 0)).tolist()
    candidates = find_candidates(evidence, enough, reference)
    found = {}
    parts = sorted({part for c in candidates for part in c.parts})
    row_of = {part: row for row, part in enumerate(parts)}
    rates = rates_of_alleles(evidence, around, background, [evidence.alleles[p] for p in parts])
    p_of_parts = p_values(rates, counts[parts])
    limits = limits_of(rates, alpha=settings.alpha)
    for candidate in candidates:
        rows = [row_of[part] for part in candidate.parts]
        best = min(rows, key=lambda r: float(p_of_parts[r]))
        p = float(p_of_parts[best])
        if p <= settings.candidate_p or candidate.allele in asked or _at_ends(candidate, settings):
            site = _site(evidence, around, candidate, rates, best, p)
            reasons = reasons_against(candidate, site, settings)
            found[candidate.allele] = _call(evidence, around, candidate, rates, best, p, limits, reasons)
    missing = [allele for allele in asked if allele not in found]
    for call in _asked(evidence, around, background, settings, missing):
        found[call.allele] = call
    for allele in asked:
        if found[allele].reasons and "no_coverage" not in found[allele].reasons:
            found[allele] = _marked(found[allele])
    return [found[allele] for allele in sorted(found)]


def _counts_by_allele(evidence: SiteEvidence, settings: CallSettings) -> NDArray[np.int64]:
    """Molecules with each allele, (alleles, 5), but for those that show it at an end of their fragment."""
    rows = evidence.observations[evidence.observations["end_distance"] >= settings.fragment_end_nt]
    flat = rows["allele"].astype(np.int64) * 5 + rows["strand_class"]
    return np.bincount(flat, minlength=5 * len(evidence.alleles)).reshape(-1, 5)


def _at_ends(candidate: Candidate, settings: CallSettings) -> bool:
    """Whether several duplex molecules show it at fragment ends, which is worth saying."""
    rows = candidate.observations
    return int(candidate.by_strand_class[4]) >= 2 and bool(
        np.median(rows["end_distance"]) < settings.fragment_end_nt
    )


def _site(
    evidence: SiteEvidence, around: Surroundings, candidate: Candidate, rates: Rates, row: int, p: float
) -> SiteNumbers:
    allele, site = candidate.allele, candidate.allele.position - evidence.start
    inside = 0 <= site < evidence.sites
    site = min(max(site, 0), evidence.sites - 1)
    kind = None
    if inside and len(allele.ref) != len(allele.alt) and len(candidate.parts) == 1:
        kind = indel_kind(allele.ref, allele.alt, int(around.run_after[site]), around.next_base(site))
    return SiteNumbers(
        molecules=rates.molecules[row],
        p_value=p,
        reads=int(evidence.reads[site]),
        low_mapping=int(evidence.low_mapping[site]),
        indel_kind=kind,
    )


def _call(
    evidence: SiteEvidence,
    around: Surroundings,
    candidate: Candidate,
    rates: Rates,
    row: int,
    p: float,
    limits: NDArray[np.float64],
    reasons: tuple[str, ...],
) -> Call:
    rows = candidate.observations
    known = rows["mapping_quality"][rows["mapping_quality"] < 255]
    return _filled(
        evidence,
        around,
        candidate.allele,
        rates,
        row,
        reasons=reasons,
        counts=candidate.by_strand_class,
        p=p,
        limit=float(limits[row]),
        quality=float(known.mean()) if len(known) else None,
        end_distance=float(np.median(rows["end_distance"])),
        mismatches=float(rows["mismatches"].mean()),
    )


def _asked(
    evidence: SiteEvidence,
    around: Surroundings,
    background: Background,
    settings: CallSettings,
    alleles: Sequence[Allele],
) -> Iterator[Call]:
    """Alleles that no molecule shows, or too few: an allele of several bases by its first difference."""
    simple = [_first_part(allele) for allele in alleles]
    rates = rates_of_alleles(evidence, around, background, simple)
    limits = limits_of(rates, alpha=settings.alpha)
    for row, (allele, part) in enumerate(zip(alleles, simple, strict=True)):
        counts = np.zeros(5, np.int64)
        if part in evidence.alleles and part == allele:
            seen = evidence.observed(evidence.alleles.index(part))["strand_class"]
            counts = np.bincount(seen, minlength=5)[:5]
        covered = rates.molecules[row].sum() > 0
        p = float(p_values(rates, np.tile(counts, (len(simple), 1)))[row]) if counts.any() else 1.0
        yield _filled(
            evidence, around, allele, rates, row, reasons=("not_detected",) if covered else ("no_coverage",),
            counts=counts, p=p, limit=float(limits[row]), quality=None, end_distance=None, mismatches=None,
        )  # fmt: skip


def _first_part(allele: Allele) -> Allele:
    if len(allele.ref) == len(allele.alt):
        k = next(k for k, (r, a) in enumerate(zip(allele.ref, allele.alt, strict=True)) if r != a)
        return Allele(position=allele.position + k, ref=allele.ref[k], alt=allele.alt[k])
    return allele


def _marked(call: Call) -> Call:
    """A site that was asked for and is not called: not detected comes first, other reasons stay."""
    kept = tuple(r for r in call.reasons if r != "not_detected")
    return replace(call, reasons=("not_detected", *kept))


def _filled(
    evidence: SiteEvidence,
    around: Surroundings,
    allele: Allele,
    rates: Rates,
    row: int,
    *,
    reasons: tuple[str, ...],
    counts: NDArray[np.int64],
    p: float,
    limit: float,
    quality: float | None,
    end_distance: float | None,
    mismatches: float | None,
) -> Call:
    site = min(max(allele.position - evidence.start, 0), evidence.sites - 1)
    molecules = rates.molecules[row].astype(np.int64)
    depth, alt = int(molecules.sum()), int(counts.sum())
    base = "ACGT".find(evidence.reference[site])
    shown = evidence.counts[site, base].astype(np.int64) if base >= 0 else np.zeros(5, np.int64)
    reference_molecules = shown if len(allele.ref) == len(allele.alt) else np.maximum(molecules - counts, 0)
    context = around.context[site]
    return Call(
        contig=evidence.contig,
        allele=allele,
        reasons=reasons,
        molecules=molecules,
        alt_molecules=counts,
        ref_molecules=reference_molecules,
        reads=int(evidence.reads[site]),
        vaf=min(1.0, alt / depth) if depth else None,
        interval=wilson(min(alt, depth), depth) if depth else None,
        lod=None if np.isnan(limit) else limit,
        error_rate=float(rates.means[row].sum() / depth) if depth else float(rates.errors[row].max()),
        p_value=p,
        log10_ratio=_log10_ratio(rates, row, counts),
        context=context_name(int(context)) if context >= 0 else "N",
        run_nt=int(around.run_near[site]),
        mapping_quality=quality,
        end_distance=end_distance,
        mismatches=mismatches,
    )


def _log10_ratio(rates: Rates, row: int, counts: NDArray[np.int64]) -> float:
    """log10 of the likelihood of the counts at their own VAF, against error alone (Poisson)."""
    depth, alt = rates.molecules[row].sum(), counts.sum()
    if not depth or not alt:
        return 0.0
    vaf = min(1.0, alt / depth)
    errors = np.maximum(rates.errors[row] * rates.factor[row], 1e-12)
    gain = counts * np.log((vaf + errors) / errors) - rates.molecules[row] * vaf
    return float(max(0.0, gain.sum()) / np.log(10))
