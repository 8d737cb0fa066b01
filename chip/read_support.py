"""Whether a candidate is seen often enough, on both strands, and away from the ends of fragments.

Damage sits on one strand of a molecule and most alignment artefacts at ends of reads; a clone's
variant is on both strands and anywhere. Each test asks only for what chance cannot explain, so that
few supporting molecules, which cannot be on every side, are not refused for it.
"""

from collections.abc import Sequence

from chip.evidence import Candidate, Counts, Strands
from chip.flags import Flag, Weight
from chip.settings import ChipSettings

__all__ = ["judge_support"]

# Filters of `nadir variants call` that say what the evidence is instead of a variant.
_EXPLAINING = frozenset({"background", "slippage", "damage", "not_detected", "no_coverage"})


def judge_support(candidate: Candidate, settings: ChipSettings) -> list[Flag]:
    """Flags on depth, count, strand, orientation, place in the fragment and the caller's own filters.

    Without counts there is one note that says so.
    """
    flags = []
    if candidate.filters:
        flags.append(_of_caller(candidate.filters))
    counts = candidate.counts
    if counts is None:
        text = "no read counts: evidence not tested"
        return [*flags, Flag(code="no_counts", weight=Weight.NOTE, text=text)]
    flags += _amount(counts, settings)
    if counts.strands is not None:
        flags += _sides(counts.strands, "strand", settings.strand_alpha)
    if counts.orientations is not None:
        flags += _sides(counts.orientations, "orientation", settings.strand_alpha)
    if counts.end_distance_nt is not None and counts.end_distance_nt < settings.end_distance_nt:
        text = f"supporting bases stand {counts.end_distance_nt:g} from the fragment's end (median)"
        flags.append(_fails("end_of_fragment", text))
    return flags


def _of_caller(filters: Sequence[str]) -> Flag:
    """The caller's own filters: some say what explains the evidence, others that it does not hold."""
    names = ", ".join(filters)
    weight = Weight.EXPLAINED if _EXPLAINING & set(filters) else Weight.FAILS
    return Flag(code="caller_filter", weight=weight, text=f"the caller's own filter: {names}")


def _amount(counts: Counts, settings: ChipSettings) -> list[Flag]:
    flags = []
    if counts.depth < settings.min_depth:
        text = f"depth {counts.depth} of {settings.min_depth} {counts.counted}"
        flags.append(_fails("depth_low", text))
    wanted = settings.min_alt(counts.counted)
    if counts.alt < wanted:
        flags.append(_fails("support_low", f"{counts.alt} of {wanted} supporting {counts.counted}"))
    if counts.background is not None and _background_reaches(counts) > settings.strand_alpha:
        text = f"errors alone ({counts.background:.2g} a {counts.counted.rstrip('s')}) reach {counts.alt}"
        flags.append(_fails("background", text))
    return flags


def _background_reaches(counts: Counts) -> float:
    """P(X >= alt) of errors alone."""
    from pipeline.detection.lod import detection_probability

    assert counts.background is not None
    return detection_probability(counts.depth * counts.background, max(1, counts.alt))


def _sides(found: Strands, what: str, alpha: float) -> list[Flag]:
    """One-sided support, or a share of the sides that is not the reference's (Fisher's exact test)."""
    import numpy as np
    from scipy.stats import fisher_exact

    alt, ref = found.alt_forward + found.alt_reverse, found.ref_forward + found.ref_reverse
    if alt == 0 or ref == 0:
        return []
    table = [[found.ref_forward, found.ref_reverse], [found.alt_forward, found.alt_reverse]]
    p = float(fisher_exact(np.array(table)).pvalue)
    if p >= alpha:
        return []
    seen = f"{found.alt_forward} forward, {found.alt_reverse} reverse; "
    seen += f"reference {found.ref_forward}, {found.ref_reverse}"
    if min(found.alt_forward, found.alt_reverse) == 0:
        return [_fails(f"one_{what}", f"one {what} alone shows it ({seen})")]
    text = f"its {what}s differ from the reference's ({seen})"
    return [Flag(code=f"{what}_bias", weight=Weight.DOUBT, text=text)]


def _fails(code: str, text: str) -> Flag:
    return Flag(code=code, weight=Weight.FAILS, text=text)
