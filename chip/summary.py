"""The result of one sample: what was found, and how far down the rest was seen."""

from collections.abc import Sequence

from chip.chrs import CAVEAT, BloodCounts, RiskScore, risk_score
from chip.evidence import GeneCoverage, GraftEvidence
from chip.rules.rule_set import RuleSet
from chip.settings import ChipSettings
from pipeline.detection.lod import mean_count_for_detection
from pipeline.model import Status
from pipeline.model.chip import ChipGene, ChipReason, ChipResult, ChipVariant, GeneStatus

__all__ = ["detectable_vaf", "gene_limits", "summarise"]


def detectable_vaf(molecules: float, decision_count: int) -> float | None:
    """VAF at which a call's count is reached with probability 0.95; None where no VAF would do.

    The depth is fixed and the supporting count Poisson, which asks for a little more than the binomial.

    >>> round(detectable_vaf(460, 5), 4), detectable_vaf(4, 5)
    (0.0199, None)
    """
    wanted = mean_count_for_detection(decision_count)
    return wanted / molecules if molecules >= wanted else None


def gene_limits(evidence: GraftEvidence, rule_set: RuleSet, settings: ChipSettings) -> tuple[ChipGene, ...]:
    """Every gene of the rule set or of the targets with what could have been seen in it."""
    by_gene = {coverage.gene: coverage for coverage in evidence.coverage}
    unknown = GeneStatus.NOT_COVERED if by_gene else GeneStatus.UNKNOWN
    patient = "" if evidence.sample is None else evidence.sample.patient_id
    timepoint = "" if evidence.sample is None else evidence.sample.timepoint
    found = []
    for gene in sorted(rule_set.own_genes | set(by_gene)):
        coverage = by_gene.get(gene)
        limit, status = (None, unknown) if coverage is None else _limit(coverage, evidence, settings)
        found.append(
            ChipGene(
                patient_id=patient,
                timepoint=timepoint,
                gene=gene,
                covered_fraction=None if coverage is None else coverage.covered_fraction,
                molecules_median=None if coverage is None else coverage.molecules_median,
                detectable_vaf=limit,
                status=status,
            )
        )
    return tuple(found)


def _limit(
    coverage: GeneCoverage, evidence: GraftEvidence, settings: ChipSettings
) -> tuple[float | None, GeneStatus]:
    limit = None
    if coverage.molecules_low >= settings.min_depth:
        limit = detectable_vaf(coverage.molecules_low, settings.min_alt(evidence.counted))
    if limit is None:
        return None, GeneStatus.NOT_COVERED
    return limit, GeneStatus.EVALUABLE if limit <= settings.chip_vaf else GeneStatus.SHALLOW


def summarise(
    evidence: GraftEvidence,
    variants: Sequence[ChipVariant],
    genes: Sequence[ChipGene],
    settings: ChipSettings,
    *,
    blood: BloodCounts,
    rule_set: str,
    method_version: str,
) -> ChipResult:
    """The sample's result: at the assay's own limit (``status``) and at the CHIP threshold."""
    drivers = [v for v in variants if v.verdict == "IN"]
    review = [v for v in variants if v.verdict == "REVIEW"]
    targeted = {coverage.gene for coverage in evidence.coverage}
    seen = [g for g in genes if g.detectable_vaf is not None]
    weak = [g.gene for g in genes if g.gene in targeted and g.status is not GeneStatus.EVALUABLE]
    lod = max((g.detectable_vaf for g in seen if g.detectable_vaf is not None), default=None)
    status, reason = _status(drivers, review, genes, seen, weak)
    threshold = _at_threshold(drivers, review, seen, weak)
    score = risk_score([(v.gene, v.vaf) for v in drivers if v.vaf is not None], blood, evidence.sex)
    sample = evidence.sample
    vafs = [v.vaf for v in drivers if v.vaf is not None]
    return ChipResult(
        patient_id="" if sample is None else sample.patient_id,
        timepoint="" if sample is None else sample.timepoint,
        collected_on=None if sample is None else sample.collected_on,
        panel="" if sample is None else sample.panel,
        status=status,
        reason=reason,
        at_threshold=threshold,
        threshold=settings.chip_vaf,
        variants_in=len(drivers),
        variants_at_threshold=sum(v.at_threshold == "POS" for v in drivers),
        variants_review=len(review),
        genes=";".join(sorted({v.gene for v in drivers})),
        vaf_max=max(vafs, default=None),
        lod=lod,
        lod_basis=_basis(evidence, settings, lod),
        genes_evaluable=sum(g.status is GeneStatus.EVALUABLE for g in genes),
        genes_shallow=";".join(weak),
        chrs_score=None if score is None else score.score,
        chrs_group="NOT_APPLICABLE" if score is None else score.group,
        chrs_missing="" if score is None else ";".join(score.missing),
        words=_words(drivers, review, threshold, lod, weak, score, settings),
        rule_set=rule_set,
        input_sha256=evidence.input_sha256,
        method_version=method_version,
    )


def _status(
    drivers: Sequence[ChipVariant],
    review: Sequence[ChipVariant],
    genes: Sequence[ChipGene],
    seen: Sequence[ChipGene],
    weak: Sequence[str],
) -> tuple[Status, ChipReason]:
    if drivers:
        return Status.DETECTED, ChipReason.DRIVER_FOUND
    if review:
        return Status.INDETERMINATE, ChipReason.AWAITS_REVIEW
    if all(g.status is GeneStatus.UNKNOWN for g in genes):
        return Status.INDETERMINATE, ChipReason.COVERAGE_UNKNOWN
    if not seen:
        return Status.NOT_EVALUABLE, ChipReason.NOTHING_COVERED
    if weak:
        return Status.INDETERMINATE, ChipReason.GENES_SHALLOW
    return Status.NOT_DETECTED, ChipReason.NONE_FOUND


def _at_threshold(
    drivers: Sequence[ChipVariant],
    review: Sequence[ChipVariant],
    seen: Sequence[ChipGene],
    weak: Sequence[str],
) -> str:
    """POS with a driver at the threshold; NEG only where nothing is open and every gene was seen to it."""
    if any(v.at_threshold == "POS" for v in drivers):
        return "POS"
    is_open = any(v.at_threshold != "NEG" for v in (*drivers, *review))
    return "NEG" if seen and not weak and not is_open else "IND"


def _basis(evidence: GraftEvidence, settings: ChipSettings, lod: float | None) -> str:
    if lod is None:
        return "coverage of the genes is not known: no limit of detection"
    return (
        f"{settings.min_alt(evidence.counted)} {evidence.counted} seen with probability 0.95 at the depth of "
        f"{100 * settings.gene_share:g} % of each gene's target bases; the least deep gene that was seen"
    )


def _words(
    drivers: Sequence[ChipVariant],
    review: Sequence[ChipVariant],
    threshold: str,
    lod: float | None,
    weak: Sequence[str],
    score: RiskScore | None,
    settings: ChipSettings,
) -> str:
    """The result in words; never a diagnosis."""
    at = f"{100 * settings.chip_vaf:g} %"
    limit = "its limit is not known" if lod is None else f"seen down to {100 * lod:.2g} %"
    parts = [
        {
            "POS": f"CH at the CHIP threshold ({at})",
            "NEG": f"no driver at or above {at}, {limit}",
            "IND": f"undecided at {at}, {limit}",
        }[threshold]
    ]
    if drivers:
        found = ", ".join(_named(v) for v in drivers)
        parts.append(f"drivers: {found}")
    if review:
        parts.append(f"{len(review)} to be looked at: {', '.join(_named(v) for v in review)}")
    if weak:
        parts.append(f"not seen to {at}: {', '.join(weak)}")
    if score is not None:
        shown = f"{score.low:g}" if score.low == score.high else f"{score.low:g} to {score.high:g}"
        lacking = f", missing: {', '.join(score.missing)}" if score.missing else ""
        parts.append(f"CHRS {shown} ({score.group.replace('_', ' ').lower()}{lacking}; {CAVEAT})")
    return "; ".join(parts) + ". Research use, not for diagnosis."


def _named(variant: ChipVariant) -> str:
    change = variant.hgvsp.rpartition("p.")[2] or variant.hgvsc.rpartition("c.")[2] or "?"
    vaf = "" if variant.vaf is None else f" {100 * variant.vaf:.2g} %"
    return f"{variant.gene} {change.strip('()')}{vaf}"
