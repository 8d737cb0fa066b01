"""Evidence of a patient's plasma to results; opens no file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cfdna.evidence import Plasma, SiteCount, TumourVariant
from cfdna.settings import CfdnaSettings
from cfdna.tracking.estimate import most_likely_fraction
from cfdna.tracking.result import SiteRow, Tracking
from cfdna.tracking.sites import BloodVerdict, SiteFate, SiteVerdict, judge_sites
from cfdna.tracking.weighted_counts import Strata, WeightedTest, detection_limit, make_test
from pipeline.model import WHOLE_CLONE, DenominatorUnit, MrdResult, Reason, Status

__all__ = ["METHOD_VERSION", "CfdnaCalls", "call_patient", "call_plasma"]

METHOD_VERSION = "cfdna 0.1.0"
CLONOTYPE_CHROM = "clonotype"


@dataclass(frozen=True, slots=True, kw_only=True)
class CfdnaCalls:
    """All that is said of one patient by cell-free DNA, in the order of the samples."""

    results: tuple[MrdResult, ...]
    trackings: tuple[Tracking, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """The part of a result that says something; ``numerator`` in mutant molecules."""

    status: Status
    reason: Reason
    lod_basis: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    lod: float | None = None
    numerator: float = 0.0
    denominator: float = 0.0


def call_patient(plasmas: Sequence[Plasma], *, settings: CfdnaSettings) -> CfdnaCalls:
    """Call every plasma of one patient.

    Raises
    ------
    ValueError
        If the samples are of several patients.
    """
    if len({p.sample.patient_id for p in plasmas}) > 1:
        raise ValueError("samples of several patients")
    ordered = sorted(
        plasmas, key=lambda p: (p.sample.collected_on, p.sample.timepoint, p.sample.material, p.input_sha256)
    )
    trackings = tuple(call_plasma(plasma, settings) for plasma in ordered)
    return CfdnaCalls(results=tuple(t.result for t in trackings), trackings=trackings)


def call_plasma(plasma: Plasma, settings: CfdnaSettings) -> Tracking:
    """Say whether one plasma holds the tumour's DNA, how much, and what it could have shown.

    Parameters
    ----------
    plasma
        Counts at the sites of the tumour's variants, and of its clonotypes.
    settings
        Run choices.

    Returns
    -------
    Tracking
        NOT_EVALUABLE only without a usable site or molecule, or with so few that not even pure
        tumour DNA would be called. Where the only sites with mutant molecules contradict the
        others the result is INDETERMINATE, never negative.
    """
    verdicts = judge_sites((*plasma.sites, *_clonotype_sites(plasma, settings)), settings)
    used = [v for v in verdicts if v.fate is SiteFate.USED and v.site.informative > 0]
    notes = _notes(plasma, verdicts, settings)
    if not used:
        return _without_test(plasma, verdicts, notes, settings)
    sites = [v.site for v in used]
    test = make_test(
        _strata(sites, settings), alpha=settings.alpha, molecules_min=settings.mutant_molecules_min
    )
    return _tested(plasma, verdicts, used, test, notes, settings)


def _strata(sites: Sequence[SiteCount], settings: CfdnaSettings) -> Strata:
    shares = np.array([s.variant.allele_share or settings.allele_share for s in sites])
    return Strata(
        background=np.array([s.depth * s.error_rate for s in sites], dtype=np.float64),
        signal=np.array([s.informative for s in sites], dtype=np.float64) * shares,
    )


def _tested(
    plasma: Plasma,
    verdicts: Sequence[SiteVerdict],
    used: Sequence[SiteVerdict],
    test: WeightedTest,
    notes: list[str],
    settings: CfdnaSettings,
) -> Tracking:
    """The result of a test that could be made."""
    sites = [v.site for v in used]
    mutant = np.array([s.mutant for s in sites], dtype=np.int64)
    counted = test.weights > 0
    fraction, ratio = _estimate(sites, test)
    lod = detection_limit(test)
    molecules = int(mutant[counted].sum())
    informative = float(sum(s.informative for s, c in zip(sites, counted, strict=True) if c))
    background = float(test.strata.background[counted].sum())
    statement = _statement(plasma, verdicts, test, mutant, fraction, lod, notes)
    weights = {id(v): int(w) for v, w in zip(used, test.weights, strict=True)}
    rows = tuple(_row_of(v, weights.get(id(v))) for v in verdicts)
    basis = _lod_basis(test, sites, informative, background, settings)
    result = _result(
        plasma,
        _Statement(
            status=statement[0],
            reason=statement[1],
            lod_basis=basis if lod is not None else f"no limit below 1: {basis}",
            value=None if lod is None else fraction,
            interval=None if lod is None else _containing(test.interval(mutant), fraction),
            lod=lod,
            numerator=molecules,
            denominator=informative,
        ),
        notes,
    )
    return Tracking(
        result=result,
        sites=rows,
        informative_molecules=informative,
        mutant_molecules=molecules,
        mutant_observations=sum(s.observed for s in sites),
        expected_background=background,
        mutant_fraction=max(0.0, molecules - background) / informative,
        score=test.score(mutant),
        decision_score=test.decision_score,
        p_value=test.p_value(mutant),
        log_likelihood_ratio=ratio,
        assumption=_assumption(settings),
        notes=plasma.notes,
    )


def _statement(
    plasma: Plasma,
    verdicts: Sequence[SiteVerdict],
    test: WeightedTest,
    mutant: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    fraction: float,
    lod: float | None,
    notes: list[str],
) -> tuple[Status, Reason]:
    """Status and reason; what else is to be known goes to ``notes``."""
    if lod is None:
        return Status.NOT_EVALUABLE, Reason.TOO_FEW_MOLECULES
    if plasma.suspected_swap:
        notes.append(f"suspected_swap: {plasma.suspected_swap}")
        return Status.INDETERMINATE, Reason.SUSPECTED_SWAP
    enough_fragments = plasma.mutant_fragments is None or plasma.mutant_fragments >= test.molecules_min
    if test.is_called(mutant) and enough_fragments and fraction > 0:
        if (mutant[test.weights > 0] > 0).sum() == 1 and len(mutant) > 1:
            notes.append("single_site: all mutant molecules are at one site")
        return Status.DETECTED, Reason.AT_OR_ABOVE_DECISION_COUNT
    if any(v.fate is SiteFate.OUTLIER for v in verdicts):
        notes.append("discordant_sites: mutant molecules only at sites that contradict the others")
        return Status.INDETERMINATE, Reason.DISCORDANT_MARKERS
    if mutant.sum() > 0 and test.strata.background.sum() >= 1:
        return Status.NOT_DETECTED, Reason.EXPLAINED_BY_BACKGROUND
    return Status.NOT_DETECTED, Reason.BELOW_DECISION_COUNT


def _estimate(sites: Sequence[SiteCount], test: WeightedTest) -> tuple[float, float]:
    depth = np.array([s.depth for s in sites], dtype=np.float64)
    return most_likely_fraction(
        depth,
        np.array([s.mutant for s in sites], dtype=np.float64),
        np.array([s.error_rate for s in sites], dtype=np.float64),
        np.divide(test.strata.signal, depth, out=np.zeros_like(depth), where=depth > 0),
    )


def _containing(interval: tuple[float, float], value: float) -> tuple[float, float]:
    """The interval of the weighted score, widened to hold the likelihood's own value."""
    return min(interval[0], value), max(interval[1], value)


def _row_of(verdict: SiteVerdict, weight: int | None) -> SiteRow:
    if weight == 0:
        verdict = SiteVerdict(
            site=verdict.site,
            fate=SiteFate.UNINFORMATIVE,
            reason="background so high that a mutant molecule proves nothing beside the other sites",
            blood=verdict.blood,
        )
    return SiteRow.of(verdict, weight or 0)


def _clonotype_sites(plasma: Plasma, settings: CfdnaSettings) -> list[SiteCount]:
    """Immunoglobulin rearrangements as sites: one of two alleles, counted in haploid genomes."""
    return [
        SiteCount(
            variant=TumourVariant(
                chrom=f"{CLONOTYPE_CHROM} {count.target_id}", pos=1, ref="C", alt="T", gene="IG"
            ),
            depth=round(count.genomes),
            mutant=min(round(count.templates), round(count.genomes)),
            informative=float(round(count.genomes)),
            error_rate=settings.clonotype_error_rate,
            error_basis="setting clonotype_error_rate (unverified)",
            molecule_class="clonotype",
        )
        for count in plasma.clonotypes
    ]


def _notes(plasma: Plasma, verdicts: Sequence[SiteVerdict], settings: CfdnaSettings) -> list[str]:
    """Flags of the sample, each a code and its words."""
    notes = []
    variants = [v for v in verdicts if v.site.molecule_class != "clonotype"]
    used = [v for v in variants if v.fate is SiteFate.USED]
    if variants and all(v.blood is BloodVerdict.NOT_GIVEN for v in variants):
        notes.append("no_blood_control: clonal haematopoiesis cannot be excluded at any site")
    for verdict, code in (
        (BloodVerdict.TOO_SHALLOW, "blood_too_shallow"),
        (BloodVerdict.UNCOVERED, "not_covered_in_blood"),
    ):
        count = len({v.site.variant.key for v in used if v.blood is verdict})
        if count and not any(n.startswith("no_blood_control") for n in notes):
            notes.append(f"{code}: clonal haematopoiesis cannot be excluded at {count} of the sites used")
    if plasma.genomes is not None and plasma.genomes < settings.low_input_genomes:
        notes.append(f"low_input: {plasma.genomes:.0f} haploid genomes")
    return notes


def _without_test(
    plasma: Plasma, verdicts: Sequence[SiteVerdict], notes: list[str], settings: CfdnaSettings
) -> Tracking:
    """The result of a plasma in which nothing could be counted."""
    if not verdicts:
        reason, why = Reason.NO_TUMOUR_VARIANT, "the tumour has no variant to look for"
    elif all(v.site.depth == 0 for v in verdicts):
        reason, why = Reason.NO_MOLECULES, "no molecule covers any of the tumour's sites"
    else:
        fates = sorted({v.fate.value for v in verdicts if v.fate is not SiteFate.USED})
        reason, why = Reason.NO_USABLE_SITE, f"no site can be used ({', '.join(fates)})"
    statement = _Statement(
        status=Status.NOT_EVALUABLE, reason=reason, lod_basis=f"no limit: {why}, so nothing could be counted"
    )
    return Tracking(
        result=_result(plasma, statement, notes),
        sites=tuple(SiteRow.of(v, 0) for v in verdicts),
        informative_molecules=0.0,
        mutant_molecules=0,
        mutant_observations=0,
        expected_background=0.0,
        mutant_fraction=None,
        score=0,
        decision_score=None,
        p_value=None,
        log_likelihood_ratio=None,
        assumption=_assumption(settings),
        notes=plasma.notes,
    )


def _lod_basis(
    test: WeightedTest,
    sites: Sequence[SiteCount],
    informative: float,
    background: float,
    settings: CfdnaSettings,
) -> str:
    heaviest = int(test.weights.max())
    if test.is_plain_count:
        needed = max(-(-test.decision_score // heaviest), test.molecules_min)
        decided = f"{needed} mutant molecules decide"
    else:
        decided = (
            f"a score of {test.decision_score} decides (molecules count 0 to {heaviest} by background), "
            f"at least {test.molecules_min} molecules"
        )
    variants = len({s.variant.key for s in sites})
    return (
        f"95 % power, {informative:,.0f} informative molecules at {variants} sites, "
        f"expected background {background:.3g}, {decided} (false positives <= {settings.alpha:.2g}); "
        f"{_assumption(settings)}"
    )


def _assumption(settings: CfdnaSettings) -> str:
    return (
        f"share of the tumour's molecules that are mutant: {settings.allele_share:g} where not stated "
        "(heterozygous, clonal, two copies)"
    )


def _result(plasma: Plasma, statement: _Statement, notes: Sequence[str]) -> MrdResult:
    sample = plasma.sample
    low, high = statement.interval or (None, None)
    return MrdResult(
        study_id=sample.study_id,
        patient_id=sample.patient_id,
        timepoint=sample.timepoint,
        collected_on=sample.collected_on,
        material=sample.material,
        assay=sample.assay,
        panel=sample.panel,
        target_id=WHOLE_CLONE,
        value=statement.value,
        ci_low=low,
        ci_high=high,
        unit="tumour_fraction",
        numerator=statement.numerator,
        denominator=statement.denominator,
        denominator_unit=DenominatorUnit.MOLECULES,
        lod=statement.lod,
        loq=None,
        lod_basis=statement.lod_basis,
        status=statement.status,
        reason=statement.reason,
        qc="; ".join(notes) or "pass",
        run_id=sample.run_id,
        input_sha256=plasma.input_sha256,
        method_version=METHOD_VERSION,
    )
