"""What complete response asks for beyond the M-protein: immunofixation, DIRA, marrow, ratio, clonality."""

from pipeline.clinical.levels import Level
from pipeline.clinical.rules import ResponseRules
from pipeline.clinical.visits import Visit

__all__ = ["ife_is_negative", "ife_remark", "missing_and_failed"]

_DARATUMUMAB_BAND = "IgG-K"


def ife_is_negative(visit: Visit, test: str, isotype: str | None) -> bool | None:
    """Whether an immunofixation shows none of the patient's clone; nothing where it was not done.

    Daratumumab is itself an IgG kappa. In serum, for an IgG kappa clone a positive band counts as
    negative where the reflex assay (DIRA) shifted it wholly, and as positive where a band
    remained; for any other isotype an IgG kappa band alone is the drug.
    """
    seen = visit.words(test)
    if not seen:
        return None
    if test == "serum_ife":
        if isotype == _DARATUMUMAB_BAND:
            if visit.says("dira", "RESIDUAL"):
                return False
            if visit.says("dira", "SHIFTED"):
                return seen in (("NEG",), ("POS",), (_DARATUMUMAB_BAND,))
        elif isotype is not None and seen == (_DARATUMUMAB_BAND,):
            return True
    return seen == ("NEG",)


def ife_remark(visit: Visit, isotype: str | None) -> str:
    """A clause where a negative immunofixation needs one: the drug's band, or a measured M-protein."""
    remarks = []
    if ife_is_negative(visit, "serum_ife", isotype) and visit.words("serum_ife") != ("NEG",):
        shifted = isotype == _DARATUMUMAB_BAND
        remarks.append("band wholly shifted by DIRA" if shifted else "an IgG-K band alone is daratumumab")
    serum = visit.quantity("serum_m_protein")
    if serum is not None and serum.low > 0:
        remarks.append(f"although {serum.shown} serum M-protein is reported, to be looked at")
    return "".join(f" ({remark})" for remark in remarks)


def missing_and_failed(
    visit: Visit, baseline: Visit, isotype: str | None, *, flc_only: bool, rules: ResponseRules
) -> tuple[dict[Level, list[str]], dict[Level, list[str]]]:
    """Items of CR and of sCR that were not done, and those that are not met, by level.

    Parameters
    ----------
    visit, baseline
        The judged visit and what it is compared with.
    isotype
        The patient's clone.
    flc_only
        Whether free light chains are the only measurable quantity: CR then asks for a normal ratio.
    rules
        The thresholds.
    """
    items: list[tuple[Level, str, str, bool | None]] = [
        (Level.CR, f"{place} immunofixation", "positive", ife_is_negative(visit, f"{place}_ife", isotype))
        for place in ("serum", "urine")
    ]
    marrow = visit.quantity("bm_plasma_cell_percent")
    below = None if marrow is None else marrow.high < rules.complete_marrow_below_percent
    limit = f"{rules.complete_marrow_below_percent.normalize():f} %"
    items.append((Level.CR, "marrow plasma cells", f"not below {limit}", below))
    before, now = baseline.quantity("plasmacytoma_spd"), visit.quantity("plasmacytoma_spd")
    if now is not None or (before is not None and before.high > 0):
        gone = None if now is None else now.high == 0
        items.append((Level.CR, "plasmacytomas", "still there", gone))
    normal = visit.ratio_is_normal(rules.flc_ratio_low, rules.flc_ratio_high)
    items.append((Level.CR if flc_only else Level.SCR, "free light chain ratio", "abnormal", normal))
    clonal = visit.says("bm_clonal", "NO") if visit.words("bm_clonal") else None
    items.append((Level.SCR, "clonal plasma cells", "found", clonal))
    missing: dict[Level, list[str]] = {Level.CR: [], Level.SCR: []}
    failed: dict[Level, list[str]] = {Level.CR: [], Level.SCR: []}
    for level, name, fault, met in items:
        if met is None:
            missing[level].append(name)
        elif not met:
            failed[level].append(f"{name} {fault}")
    return missing, failed
