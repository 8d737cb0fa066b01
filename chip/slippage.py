"""Whether an insertion or deletion in a run of one base is more than the polymerase's slippage.

ASXL1 c.1934dup, the most frequent truncation of the gene, changes a run of eight G, where one to two
molecules in a hundred slip. It is tested against that, never dropped for it and never believed
without.
"""

from chip.evidence import Candidate
from chip.flags import Flag, Weight
from chip.overdispersion import beta_binomial_tails
from chip.settings import ChipSettings

__all__ = ["RUN_LENGTH_MIN_NT", "judge_slippage"]

RUN_LENGTH_MIN_NT = 6
"""Runs from here on are tested (own choice, unverified)."""

_DISPERSION = 0.002  # between samples, of a share of slipped molecules; own choice
_HOMOPOLYMER = "homopolymer"  # caution of rules on such changes


def judge_slippage(candidate: Candidate, caution: str, settings: ChipSettings) -> list[Flag]:
    """Flags of a change in a homopolymer; none for others.

    Parameters
    ----------
    candidate
        With ``slippage`` where a background was measured; else the fraction alone decides.
    caution
        Of the rule that applies: ``homopolymer`` where the change is known to be in a run.

    Notes
    -----
    With a background s the count is tested by P(X >= alt) for a beta-binomial of mean s. Without, the
    fraction must reach ``homopolymer_vaf_min`` (ArCH accepts ASXL1 G646 from 5 % on).
    """
    in_run = caution == _HOMOPOLYMER or (candidate.run_length_nt or 0) >= RUN_LENGTH_MIN_NT
    if not in_run or len(candidate.ref) == len(candidate.alt) > 0:
        return []
    run = f"run of {candidate.run_length_nt}" if candidate.run_length_nt else "homopolymer"
    counts, fraction = candidate.counts, candidate.allele_fraction
    if fraction is None:
        text = f"in a {run}: without counts it cannot be told from slippage"
        return [Flag(code="slippage_untested", weight=Weight.DOUBT, text=text)]
    if counts is None or candidate.slippage is None:
        if fraction >= settings.homopolymer_vaf_min:
            return []
        text = f"in a {run}, below {100 * settings.homopolymer_vaf_min:g} % and without a background"
        return [Flag(code="slippage_untested", weight=Weight.DOUBT, text=text)]
    slipped = max(candidate.slippage, 1e-6)
    _, p = beta_binomial_tails(counts.alt, counts.depth, slipped, _DISPERSION)
    said = f"slippage of {100 * candidate.slippage:.2g} % in a {run}"
    if p >= settings.slippage_alpha:
        return [
            Flag(code="slippage", weight=Weight.EXPLAINED, text=f"{said} explains {100 * fraction:.2g} %")
        ]
    text = f"{said} reaches {100 * fraction:.2g} % with p = {p:.1g}"
    return [Flag(code="above_slippage", weight=Weight.NOTE, text=text)]
