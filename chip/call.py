"""Evidence of a sample to its variants, genes and result; opens no file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from chip.chrs import BloodCounts
from chip.evidence import Candidate, GraftEvidence
from chip.flags import Flag, Weight
from chip.frequency_filter import judge_frequency
from chip.germline_filter import Balance, balance_of, judge_germline
from chip.read_support import judge_support
from chip.rules.change import Change, parse_change
from chip.rules.genes import gene_named
from chip.rules.rule_set import RuleSet, Verdict
from chip.rules.verdict import Classification, classify
from chip.settings import ChipSettings
from chip.slippage import judge_slippage
from chip.summary import gene_limits, summarise
from chip.tumour_origin import judge_origin
from pipeline.detection.intervals import clopper_pearson
from pipeline.model import Sex
from pipeline.model.chip import ChipGene, ChipResult, ChipVariant

__all__ = ["METHOD_VERSION", "ChipCalls", "call_graft", "call_patient", "call_variant"]

METHOD_VERSION = "chip 0.1.0"

_NOTES = {
    "one_copy": "U2AF1: its other copy in GRCh38 is not in the input, so the fraction may be wrong by half",
    "both_copies": "U2AF1: counted over both copies in GRCh38",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipCalls:
    """All that is said of a patient: a result a sample, and the variants and genes behind them."""

    results: tuple[ChipResult, ...]
    variants: tuple[ChipVariant, ...]
    genes: tuple[ChipGene, ...]


def call_patient(
    evidence: Sequence[GraftEvidence],
    rule_sets: Sequence[RuleSet],
    settings: ChipSettings,
    *,
    blood: BloodCounts | None = None,
) -> ChipCalls:
    """Call every sample of a patient; the first of ``rule_sets`` decides, the others are shown beside it.

    Raises
    ------
    ValueError
        If the samples are of several patients.
    """
    if len({e.sample.patient_id for e in evidence if e.sample is not None}) > 1:
        raise ValueError("the samples are of several patients")
    calls = [call_graft(e, rule_sets, settings, blood=blood) for e in evidence]
    return ChipCalls(
        results=tuple(c.results[0] for c in calls),
        variants=tuple(v for c in calls for v in c.variants),
        genes=tuple(g for c in calls for g in c.genes),
    )


def call_graft(
    evidence: GraftEvidence,
    rule_sets: Sequence[RuleSet],
    settings: ChipSettings,
    *,
    blood: BloodCounts | None = None,
) -> ChipCalls:
    """One sample's variants in the order of its candidates, its genes, and its result."""
    balance = balance_of(evidence.heterozygous, settings)
    variants = tuple(
        call_variant(candidate, evidence, rule_sets, settings, balance) for candidate in evidence.candidates
    )
    genes = gene_limits(evidence, rule_sets[0], settings)
    result = summarise(
        evidence,
        variants,
        genes,
        settings,
        blood=blood or BloodCounts(),
        rule_set=rule_sets[0].name,
        method_version=METHOD_VERSION,
    )
    return ChipCalls(results=(result,), variants=variants, genes=genes)


def call_variant(
    candidate: Candidate,
    evidence: GraftEvidence,
    rule_sets: Sequence[RuleSet],
    settings: ChipSettings,
    balance: Balance,
) -> ChipVariant:
    """One candidate held against rules and evidence.

    What the rules say is changed by the heaviest flag: evidence that fails makes an IN OUT (of a listed
    residue REVIEW), doubt makes it REVIEW, what inheritance or slippage explains is OUT. OUT by
    the rules stays OUT.
    """
    change = parse_change(candidate.gene, candidate.hgvsp, candidate.hgvsc, candidate.terms)
    said = classify(change, rule_sets[0], rule_sets[1:])
    listed = any(said.decided.rule_id in rule_set.listed_ids for rule_set in rule_sets)
    flags = _flags(candidate, evidence, change, said, settings, balance, listed=listed)
    verdict, reason = _settled(said, flags, listed=listed)
    threshold = _threshold(change.gene, evidence.sex, candidate.allele_fraction, settings)
    return _row(candidate, evidence, change, said, flags, verdict, reason, threshold)


def _flags(
    candidate: Candidate,
    evidence: GraftEvidence,
    change: Change,
    said: Classification,
    settings: ChipSettings,
    balance: Balance,
    *,
    listed: bool,
) -> list[Flag]:
    gene = gene_named(change.gene)
    flags = judge_support(candidate, settings)
    flags += judge_slippage(candidate, said.decided.caution, settings)
    flags += judge_frequency(candidate.population_frequency, listed=listed, settings=settings)
    flags += judge_germline(
        candidate.counts,
        x_linked=gene is not None and gene.x_linked,
        sex=evidence.sex,
        balance=balance,
        settings=settings,
    )
    flags += judge_origin(candidate, evidence.plasma_cell_fraction)
    for note in candidate.notes:
        weight = Weight.DOUBT if note == "one_copy" and candidate.counts is not None else Weight.NOTE
        flags.append(Flag(code=note, weight=weight, text=_NOTES.get(note, note)))
    return flags


def _settled(said: Classification, flags: Sequence[Flag], *, listed: bool) -> tuple[Verdict, str]:
    """Verdict and the reasons for it, the one that decided first."""
    verdict, reason = said.decided.verdict, said.decided.reason
    weights = {flag.weight for flag in flags}
    if verdict is Verdict.OUT:
        return verdict, reason
    if Weight.EXPLAINED in weights:
        return Verdict.OUT, _joined(flags, Weight.EXPLAINED, reason)
    if Weight.FAILS in weights:
        kept = listed or verdict is Verdict.REVIEW
        return (Verdict.REVIEW if kept else Verdict.OUT), _joined(flags, Weight.FAILS, reason)
    if Weight.DOUBT in weights:
        return Verdict.REVIEW, _joined(flags, Weight.DOUBT, reason)
    return verdict, reason


def _joined(flags: Sequence[Flag], weight: Weight, reason: str) -> str:
    return "; ".join([*(flag.text for flag in flags if flag.weight is weight), reason])


def _threshold(gene: str, sex: Sex | None, vaf: float | None, settings: ChipSettings) -> str:
    """POS, NEG or IND at the CHIP threshold; where the sex is not known both thresholds must agree."""
    if vaf is None:
        return "IND"
    known = gene_named(gene)
    limits = {settings.chip_vaf}
    if known is not None and known.x_linked:
        limits = {settings.chip_vaf_x_male} if sex is Sex.MALE else limits
        if sex is None:
            limits.add(settings.chip_vaf_x_male)
    reached = {vaf >= limit for limit in limits}
    return "IND" if len(reached) > 1 else ("POS" if reached.pop() else "NEG")


def _row(
    candidate: Candidate,
    evidence: GraftEvidence,
    change: Change,
    said: Classification,
    flags: Sequence[Flag],
    verdict: Verdict,
    reason: str,
    threshold: str,
) -> ChipVariant:
    counts, sample = candidate.counts, evidence.sample
    low, high = clopper_pearson(counts.alt, counts.depth) if counts and counts.depth else (None, None)
    if threshold == "IND" and candidate.allele_fraction is not None and verdict is not Verdict.OUT:
        reason += "; X-linked and the sex is not known: the threshold is 2 or 4 %"
    day: date | None = None if sample is None else sample.collected_on
    return ChipVariant(
        patient_id="" if sample is None else sample.patient_id,
        timepoint="" if sample is None else sample.timepoint,
        collected_on=day,
        chrom=candidate.chrom,
        pos=candidate.pos,
        ref=candidate.ref,
        alt=candidate.alt,
        gene=change.gene,
        hgvsc=candidate.hgvsc,
        hgvsp=candidate.hgvsp,
        kind=change.kind.value,
        vaf=candidate.allele_fraction,
        vaf_low=low,
        vaf_high=high,
        depth=None if counts is None else counts.depth,
        alt_depth=None if counts is None else counts.alt,
        counted="" if counts is None else counts.counted,
        verdict=verdict.value,
        rule_id=said.decided.rule_id,
        reason=reason,
        citation=said.decided.citation,
        caution=said.decided.caution,
        flags=";".join(flag.code for flag in flags),
        at_threshold=threshold,
        in_tumour=candidate.in_tumour,
        by_set=";".join(f"{v.rule_set}={v.verdict.value}" for v in said.by_set),
    )
