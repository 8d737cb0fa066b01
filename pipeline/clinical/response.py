"""The response of one visit by itself, from the values of that visit and those before.

The level is the lowest that any measurable quantity allows; an item that a level asks for and
that was not done lowers it, and is never guessed; progression overrides everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from pipeline.clinical.complete import ife_is_negative, ife_remark, missing_and_failed
from pipeline.clinical.laboratory import Quantity
from pipeline.clinical.levels import Judgement, Level
from pipeline.clinical.progression import progression
from pipeline.clinical.rules import ResponseRules
from pipeline.clinical.visits import History, Visit

__all__ = ["judge", "measurable"]

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class _Ceiling:
    """The best level below CR that one quantity allows, why, and the tests it rests on."""

    level: Level
    text: str
    tests: tuple[str, ...]


def measurable(baseline: Visit | None, chain: str | None, rules: ResponseRules) -> tuple[str, ...]:
    """What is measurable at the baseline, of ``serum``, ``urine``, ``flc``.

    A value below its assay's limit counts as its lower end: measurable is what is so for certain.
    Without an isotype the involved chain is the higher one.
    """
    if baseline is None:
        return ()
    serum, urine = baseline.quantity("serum_m_protein"), baseline.quantity("urine_m_protein_24h")
    found = []
    if serum is not None and serum.low >= rules.measurable_serum_m_g_dl:
        found.append("serum")
    if urine is not None and urine.low >= rules.measurable_urine_m_mg_24h:
        found.append("urine")
    chains = {"K": baseline.quantity("flc_kappa"), "L": baseline.quantity("flc_lambda")}
    involved = [q.low for c, q in chains.items() if q is not None and chain in (c, None)]
    if (
        baseline.ratio_is_abnormal(rules.flc_ratio_low, rules.flc_ratio_high)
        and involved
        and max(involved) >= rules.measurable_involved_flc_mg_l
    ):
        found.append("flc")
    return tuple(found)


def judge(visit: Visit, earlier: Sequence[Visit], history: History, rules: ResponseRules) -> Judgement:
    """The level of one visit.

    Parameters
    ----------
    visit
        The visit to judge.
    earlier
        The baseline, where there is one, then the visits before this one in order of date.
    history
        The patient: isotype and baseline.
    rules
        The thresholds.
    """
    by = measurable(history.baseline, history.chain, rules)
    found = progression(visit, earlier, chain=history.chain, measurable=by, rules=rules)
    if found:
        rows = tuple(dict.fromkeys(v.source_row for f in found for v in f.values))
        alone = next((f.stands_alone for f in found if f.stands_alone), "")
        reason = f"PD: {'; '.join(f.text for f in found)} ({rules.id})."
        return Judgement(level=Level.PD, reason=reason, rows=rows, stands_alone=alone)
    if not visit.is_measured:
        return _reported(visit)
    if history.baseline is None:
        return _not_evaluable(visit, "there is no baseline")
    return _by_values(visit, history.baseline, history, by, rules)


def _reported(visit: Visit) -> Judgement:
    reported = visit.values.get("response_reported")
    if reported is None:
        return _not_evaluable(visit, "no test that response is judged by was done")
    level = Level[reported.words[0].upper()]
    basis = visit.values.get("pd_basis") if level is Level.PD else None
    rows = (reported.source_row, *(() if basis is None else (basis.source_row,)))
    alone = "imaging" if basis is not None and basis.words == ("IMAGING",) else ""
    reason = f"{level.label}: as reported, no value was measured at this visit."
    return Judgement(level=level, reason=reason, rows=rows, stands_alone=alone)


def _not_evaluable(visit: Visit, why: str) -> Judgement:
    rows = tuple(v.source_row for _, v in sorted(visit.values.items()))
    return Judgement(level=Level.NE, reason=f"NE: {why}.", rows=rows)


def _by_values(
    visit: Visit, baseline: Visit, history: History, by: tuple[str, ...], rules: ResponseRules
) -> Judgement:
    ceilings, lacking = _ceilings(visit, baseline, history, by, rules)
    missing, failed = missing_and_failed(
        visit, baseline, history.isotype, flc_only=by == ("flc",), rules=rules
    )
    if not by and not missing[Level.CR] and not failed[Level.CR]:
        ceilings = []  # a marrow that is emptied is no limit to CR
    if not ceilings:
        if missing[Level.CR] or failed[Level.CR]:
            why = "nothing is measurable at the baseline, and CR is not shown"
            return _not_evaluable(visit, f"{', '.join(lacking)} not measured" if by else why)
        ceilings = [_Ceiling(Level.VGPR, "nothing was measurable at the baseline", ())]
    ladder = min(c.level for c in ceilings)
    decisive = [c for c in ceilings if c.level == ladder]
    tests = [t for c in decisive for t in c.tests]
    text = " and ".join(c.text for c in decisive)
    level = ladder
    # Lesions that were not measured again cost CR itself, not CR and the level below it as well.
    other = [m for m in missing[Level.CR] if m != "plasmacytomas"]
    if ladder == Level.VGPR and not failed[Level.CR] and not other and lacking in ([], ["plasmacytomas"]):
        if lacking:
            text += "; CR lowered one level because plasmacytomas were not measured"
        else:
            level, text = _complete(missing, failed)
            text += ife_remark(visit, history.isotype)
        tests += ["isotype", "serum_ife", "urine_ife", "dira", "bm_plasma_cell_percent"]
        tests += ["plasmacytoma_spd", "bm_clonal", "flc_kappa", "flc_lambda"]
    elif lacking:
        level = Level(max(ladder - int(rules.missing_levels_lost), Level.SD))
        text += f"; {'lowered' if level < ladder else 'also'}: {', '.join(lacking)} not measured"
    elif ladder == Level.VGPR:
        text += f"; not CR: {', '.join([*failed[Level.CR], *(f'{m} not done' for m in missing[Level.CR])])}"
        tests += ["isotype", "serum_ife", "urine_ife", "dira", "bm_plasma_cell_percent"]
    rows = [v.values[t].source_row for v in (baseline, visit) for t in tests if t in v.values]
    reason = f"{level.label}: {text} ({rules.id})."
    return Judgement(level=level, reason=reason, rows=tuple(dict.fromkeys(rows)))


def _complete(missing: dict[Level, list[str]], failed: dict[Level, list[str]]) -> tuple[Level, str]:
    text = "immunofixation of serum and urine negative, plasma cells below the limit, no plasmacytoma"
    if not missing[Level.SCR] and not failed[Level.SCR]:
        return Level.SCR, f"{text}, free light chain ratio normal, no clonal plasma cell"
    why = [*failed[Level.SCR], *(f"{m} not done" for m in missing[Level.SCR])]
    return Level.CR, f"{text}; not sCR: {', '.join(why)}"


def _ceilings(
    visit: Visit, baseline: Visit, history: History, by: tuple[str, ...], rules: ResponseRules
) -> tuple[list[_Ceiling], list[str]]:
    """What the quantities allow, and what was asked for but not done."""
    found: list[_Ceiling | None] = []
    lacking = []
    if "serum" in by:
        found.append(_serum(visit, baseline, history.isotype, rules))
        lacking += ["serum M-protein"] if found[-1] is None else []
    if "serum" in by or "urine" in by:
        urine = _urine(visit, baseline, rules)
        # Urine that was never measurable is asked for from VGPR on only.
        if urine is None and ("urine" in by or all(c and c.level >= Level.VGPR for c in found)):
            lacking.append("urine M-protein")
        if urine is not None and ("urine" in by or any(found)):
            found.append(urine)
    elif by:
        found.append(_dflc(visit, baseline, history.chain, rules))
        if found[-1] is None:
            lacking.append(
                "free light chains" if history.chain else "isotype, which names the involved chain,"
            )
    else:
        found.append(_marrow(visit, baseline, rules))
    ceilings = [c for c in found if c is not None]
    before = baseline.quantity("plasmacytoma_spd")
    if ceilings and before is not None and before.low > 0:
        now = visit.quantity("plasmacytoma_spd")
        if now is None:
            lacking.append("plasmacytomas")
        else:
            steps = ((rules.partial_plasmacytoma_reduction_percent, Level.VGPR),)
            ceilings.append(_fallen("plasmacytomas", before, now, steps, ("plasmacytoma_spd",)))
    return ceilings, lacking


def _serum(visit: Visit, baseline: Visit, isotype: str | None, rules: ResponseRules) -> _Ceiling | None:
    before, now = baseline.quantity("serum_m_protein"), visit.quantity("serum_m_protein")
    assert before is not None  # measurable
    if now is None:
        # Immunofixation sees less than electrophoresis: where it is negative there is nothing to measure.
        if not ife_is_negative(visit, "serum_ife", isotype):
            return None
        return _Ceiling(Level.VGPR, "serum immunofixation negative", ("serum_m_protein", "serum_ife"))
    steps = (
        (rules.very_good_serum_reduction_percent, Level.VGPR),
        (rules.partial_serum_reduction_percent, Level.PR),
        (rules.minimal_serum_reduction_percent, Level.MR),
    )
    return _fallen("serum M-protein", before, now, steps, ("serum_m_protein",))


def _urine(visit: Visit, baseline: Visit, rules: ResponseRules) -> _Ceiling | None:
    before, now = baseline.quantity("urine_m_protein_24h"), visit.quantity("urine_m_protein_24h")
    tests = ("urine_m_protein_24h",)
    if now is None:
        if not visit.says("urine_ife", "NEG"):
            return None
        return _Ceiling(Level.VGPR, "urine immunofixation negative", (*tests, "urine_ife"))
    very_good, partial = rules.very_good_urine_below_mg_24h, rules.partial_urine_below_mg_24h
    high, low = rules.partial_urine_reduction_percent, rules.minimal_urine_reduction_percent
    if now.high < very_good:
        level, rule = Level.VGPR, f"below {very_good.normalize():f}"
    elif now.high < partial or (before is not None and _is_down(before, now, high)):
        level, rule = Level.PR, f"below {partial.normalize():f} or at least {high.normalize():f} % down"
    elif before is not None and _is_down(before, now, low):
        level, rule = Level.MR, f"at least {low.normalize():f} % down, not below {partial.normalize():f}"
    else:
        level, rule = Level.SD, f"less than {low.normalize():f} % down, not below {partial.normalize():f}"
    shown = "not measured" if before is None else before.shown
    return _Ceiling(level, f"urine M-protein {shown} to {now.shown} ({rule})", tests)


def _dflc(visit: Visit, baseline: Visit, chain: str | None, rules: ResponseRules) -> _Ceiling | None:
    before, now = baseline.dflc(chain), visit.dflc(chain)
    if before is None or now is None:
        return None
    steps = (
        (rules.very_good_dflc_reduction_percent, Level.VGPR),
        (rules.partial_dflc_reduction_percent, Level.PR),
    )
    return _fallen("dFLC", before, now, steps, ("flc_kappa", "flc_lambda"))


def _marrow(visit: Visit, baseline: Visit, rules: ResponseRules) -> _Ceiling | None:
    test = "bm_plasma_cell_percent"
    before, now = baseline.quantity(test), visit.quantity(test)
    if before is None or now is None or before.low < rules.partial_marrow_baseline_percent:
        return None
    steps = ((rules.partial_marrow_reduction_percent, Level.PR),)
    return _fallen("marrow plasma cells", before, now, steps, (test,))


def _fallen(
    name: str,
    before: Quantity,
    now: Quantity,
    steps: Sequence[tuple[Decimal, Level]],
    tests: tuple[str, ...],
) -> _Ceiling:
    """The level of the first step, given from the highest, by whose percentage the value fell."""
    reached = next((step for step in steps if _is_down(before, now, step[0])), None)
    asked, level = (steps[-1][0], Level.SD) if reached is None else reached
    rule = f"{'less than' if reached is None else 'at least'} {asked.normalize():f} % down"
    return _Ceiling(level, f"{name} {before.shown} to {now.shown} ({_change(before, now)}, {rule})", tests)


def _is_down(before: Quantity, now: Quantity, percent: Decimal) -> bool:
    """Whether the value fell by at least ``percent`` for certain; products, so that nothing is rounded."""
    return (before.low - now.high) * _HUNDRED >= percent * before.low


def _change(before: Quantity, now: Quantity) -> str:
    if before.low <= 0:
        return "no percentage"
    # Cut, not rounded: a fall of 89.996 % must not read as the 90 % it is not.
    change = ((now.high - before.low) * _HUNDRED / before.low).quantize(Decimal("0.01"), ROUND_DOWN)
    return f"{change:+.2f} %"
