"""Variants of marrow and plasma (or graft) compared, each with what the other material could have shown.

A variant that one material lacks says something only if that material had enough molecules
to show it: power is the probability of the decision count at the expected allele fraction.
What blood cells carry is germline or suspected of clonal haematopoiesis, and is no part of
the tumour's concordance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.concordance.difference import Estimate
from pipeline.detection import Interval, wilson

__all__ = [
    "Observation",
    "VariantClass",
    "VariantKey",
    "VariantRow",
    "VariantRules",
    "VariantSummary",
    "compare_variants",
    "fraction_line",
    "summarise",
]

VariantKey = tuple[str, int, str, str]
"""chrom, 1-based pos, ref, alt."""


class VariantClass(StrEnum):
    """What is said of a variant."""

    SHARED = "shared"
    MARROW_ONLY = "marrow_only"
    PLASMA_ONLY = "plasma_only"
    NOT_EVALUABLE = "not_evaluable"
    CHIP_SUSPECTED = "chip_suspected"
    GERMLINE = "germline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One allele in one material: molecules that show it, of ``depth``; ``called`` by its caller."""

    depth: int
    alt: int
    called: bool
    gene: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.alt <= self.depth:
            raise ValueError("need 0 <= alt <= depth")

    @property
    def vaf(self) -> float | None:
        """Variant allele fraction; None without molecules."""
        return self.alt / self.depth if self.depth else None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRules:
    """Choices of the comparison.

    ``decision_count`` molecules make a call; ``power`` is asked of the material that lacks
    a variant. ``ratio`` is the plasma's allele fraction over the marrow's: None takes the
    median of shared variants where there are ``ratio_variants_min``, else 1.
    ``germline_p`` is the two-sided p above which a blood fraction is compatible with one half.
    """

    decision_count: int = 2
    power: float = 0.95
    ratio: float | None = None
    ratio_variants_min: int = 3
    germline_p: float = 0.01
    homozygous_vaf: float = 0.9

    def __post_init__(self) -> None:
        if self.decision_count < 1 or not 0 < self.power < 1 or not 0 < self.germline_p < 1:
            raise ValueError("decision_count is at least 1, power and germline_p lie between 0 and 1")
        if self.ratio is not None and not self.ratio > 0:
            raise ValueError("the ratio of allele fractions lies above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """A variant, its class, and what each material could have shown."""

    chrom: str
    pos: int
    ref: str
    alt: str
    gene: str
    variant_class: VariantClass
    marrow_vaf: float | None
    plasma_vaf: float | None
    power_marrow: float | None
    power_plasma: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSummary:
    """Counts by class, share of evaluable tumour variants that are shared, and the ratio used."""

    counts: dict[VariantClass, int]
    shared_share: Estimate | None
    ratio: float
    ratio_source: str


def compare_variants(
    marrow: Mapping[VariantKey, Observation],
    plasma: Mapping[VariantKey, Observation],
    blood: Mapping[VariantKey, Observation] | None = None,
    rules: VariantRules | None = None,
) -> tuple[VariantRow, ...]:
    """Classify every variant that marrow or plasma calls.

    Parameters
    ----------
    marrow, plasma, blood
        Alleles of each material, uncalled ones with their depth where it is known. Without
        blood, clonal haematopoiesis and germline cannot be told, and every row says so.
    rules
        By default `VariantRules`.

    Returns
    -------
    tuple of VariantRow
        By chromosome, position and alleles.
    """
    rules = rules or VariantRules()
    ratio, source = expected_ratio(marrow, plasma, blood, rules)
    keys = sorted({k for side in (marrow, plasma) for k, o in side.items() if o.called}, key=_order)
    return tuple(_row(key, marrow.get(key), plasma.get(key), blood, (ratio, source), rules) for key in keys)


def expected_ratio(
    marrow: Mapping[VariantKey, Observation],
    plasma: Mapping[VariantKey, Observation],
    blood: Mapping[VariantKey, Observation] | None,
    rules: VariantRules,
) -> tuple[float, str]:
    """Plasma's allele fraction over marrow's, and where the number comes from."""
    if rules.ratio is not None:
        return rules.ratio, "given"
    ratios = sorted(
        plasma[key].alt / plasma[key].depth / (seen.alt / seen.depth)
        for key, seen in marrow.items()
        if seen.called
        and key in plasma
        and plasma[key].called
        and not _in_blood(None if blood is None else blood.get(key), rules)
    )
    if len(ratios) < max(rules.ratio_variants_min, 1):
        return 1.0, f"assumed, {len(ratios)} shared variants"
    middle = len(ratios) // 2
    median = ratios[middle] if len(ratios) % 2 else (ratios[middle - 1] + ratios[middle]) / 2
    return median, f"median of {len(ratios)} shared variants"


def summarise(rows: Sequence[VariantRow], ratio: tuple[float, str]) -> VariantSummary:
    """Counts by class and the share of evaluable tumour variants that both materials show."""
    counts = {c: sum(r.variant_class is c for r in rows) for c in VariantClass}
    only = counts[VariantClass.MARROW_ONLY] + counts[VariantClass.PLASMA_ONLY]
    shared = counts[VariantClass.SHARED]
    share = None
    if shared + only:
        share = Estimate(
            value=shared / (shared + only), ci=wilson(shared, shared + only), pairs=shared + only
        )
    return VariantSummary(counts=counts, shared_share=share, ratio=ratio[0], ratio_source=ratio[1])


def fraction_line(marrow: Sequence[Observation], plasma: Sequence[Observation]) -> tuple[Estimate, Estimate]:
    """Line plasma = intercept + slope x marrow through allele fractions, errors in both.

    Each fraction has the binomial variance of its own molecules (add-one estimate).

    Parameters
    ----------
    marrow, plasma
        Shared variants, in the same order, at least three.

    Returns
    -------
    slope, intercept
        With intervals at t of n - 2.

    Raises
    ------
    ValueError
        If there are fewer than three variants or the marrow's fractions do not differ.

    References
    ----------
    York, Evensen, Martinez, De Basabe Delgado, Am J Phys 2004;72:367, equations 13.
    """
    import numpy as np
    from scipy.special import stdtrit

    if len(marrow) < 3:
        raise ValueError("a line needs at least three shared variants")
    x, y = (np.array([o.alt / o.depth for o in side]) for side in (marrow, plasma))
    if np.ptp(x) == 0:
        raise ValueError("the allele fractions of the marrow do not differ")
    of_x, of_y = (1 / np.array([_variance(o) for o in side]) for side in (marrow, plasma))
    slope = float(np.polyfit(x, y, 1)[0])
    for _ in range(200):
        weight = of_x * of_y / (of_x + slope**2 * of_y)
        u, v = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
        beta = weight * (u / of_y + slope * v / of_x)
        before, slope = slope, float((weight * beta * v).sum() / (weight * beta * u).sum())
        if math.isclose(slope, before, rel_tol=1e-12, abs_tol=1e-15):
            break
    x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
    adjusted = x_mean + beta
    centre = float(np.average(adjusted, weights=weight))
    slope_se = float((weight * (adjusted - centre) ** 2).sum() ** -0.5)
    intercept = float(y_mean - slope * x_mean)
    intercept_se = math.sqrt(1 / float(weight.sum()) + centre**2 * slope_se**2)
    t = float(stdtrit(len(x) - 2, 0.975))
    return tuple(  # type: ignore[return-value]
        Estimate(value=value, ci=Interval(value - t * se, value + t * se), pairs=len(x))
        for value, se in ((slope, slope_se), (intercept, intercept_se))
    )


def _variance(seen: Observation) -> float:
    share = (seen.alt + 1) / (seen.depth + 2)
    return share * (1 - share) / seen.depth


def _row(
    key: VariantKey,
    marrow: Observation | None,
    plasma: Observation | None,
    blood: Mapping[VariantKey, Observation] | None,
    ratio: tuple[float, str],
    rules: VariantRules,
) -> VariantRow:
    in_marrow, in_plasma = (o is not None and o.called for o in (marrow, plasma))
    marrow_vaf, plasma_vaf = (None if o is None else o.vaf for o in (marrow, plasma))
    power_marrow = _power(marrow, None if not in_plasma else plasma_vaf, 1 / ratio[0], rules)
    power_plasma = _power(plasma, None if not in_marrow else marrow_vaf, ratio[0], rules)
    found, reason = _judged(
        in_marrow, in_plasma, (marrow, power_marrow), (plasma, power_plasma), ratio, rules
    )
    seen = None if blood is None else blood.get(key)
    if _in_blood(seen, rules) and seen is not None:
        found, reason = _of_blood(seen, rules)
    elif blood is None:
        reason += "; no blood: germline and clonal haematopoiesis cannot be excluded"
    elif seen is None:
        reason += "; not covered in blood"
    gene = next((o.gene for o in (marrow, plasma, seen) if o is not None and o.gene), "")
    return VariantRow(
        chrom=key[0],
        pos=key[1],
        ref=key[2],
        alt=key[3],
        gene=gene,
        variant_class=found,
        marrow_vaf=marrow_vaf,
        plasma_vaf=plasma_vaf,
        power_marrow=power_marrow,
        power_plasma=power_plasma,
        reason=reason,
    )


def _judged(
    in_marrow: bool,
    in_plasma: bool,
    marrow: tuple[Observation | None, float | None],
    plasma: tuple[Observation | None, float | None],
    ratio: tuple[float, str],
    rules: VariantRules,
) -> tuple[VariantClass, str]:
    if in_marrow and in_plasma:
        return VariantClass.SHARED, "called in both"
    name, (seen, power) = ("plasma", plasma) if in_marrow else ("marrow", marrow)
    if seen is None or power is None:
        return VariantClass.NOT_EVALUABLE, f"uncovered in {name}: no depth is known there"
    basis = (
        f"{seen.depth} molecules in {name}, power {power:.3f}, ratio of fractions {ratio[0]:.3g} ({ratio[1]})"
    )
    if power < rules.power:
        return VariantClass.NOT_EVALUABLE, f"undetected, and could have been missed: {basis}"
    only = VariantClass.MARROW_ONLY if in_marrow else VariantClass.PLASMA_ONLY
    return only, f"undetected where it would have shown: {basis}"


def _power(
    seen: Observation | None, other_vaf: float | None, factor: float, rules: VariantRules
) -> float | None:
    """P(at least the decision count) at the other material's fraction times the factor."""
    from scipy.special import bdtrc

    if seen is None or other_vaf is None:
        return None
    if seen.depth < rules.decision_count:
        return 0.0
    return float(bdtrc(rules.decision_count - 1, seen.depth, min(1.0, other_vaf * factor)))


def _in_blood(seen: Observation | None, rules: VariantRules) -> bool:
    return seen is not None and (seen.called or seen.alt >= rules.decision_count)


def _of_blood(seen: Observation, rules: VariantRules) -> tuple[VariantClass, str]:
    from scipy.stats import binomtest

    vaf = seen.alt / seen.depth
    half = float(binomtest(seen.alt, seen.depth, 0.5).pvalue)
    basis = f"{seen.alt} of {seen.depth} molecules in blood"
    if vaf >= rules.homozygous_vaf or half >= rules.germline_p:
        return VariantClass.GERMLINE, f"{basis}: compatible with a germline allele"
    return VariantClass.CHIP_SUSPECTED, f"{basis}: carried by blood cells"


def _order(key: VariantKey) -> tuple[int, str, int, str, str]:
    name = key[0].removeprefix("chr")
    return (int(name) if name.isdigit() else 99, name, *key[1:])
