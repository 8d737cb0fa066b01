"""Progression at one visit, counted from the lowest confirmed value.

A value is confirmed by the next sample: of two consecutive values the higher one is what both
show. The baseline stands by itself. Marrow and imaging need no second sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from pipeline.clinical.laboratory import LabValue, Quantity
from pipeline.clinical.rules import ResponseRules
from pipeline.clinical.visits import Visit

__all__ = ["Finding", "lowest_confirmed", "progression"]

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason for progression: a clause, its values, and what makes it stand alone (or nothing)."""

    text: str
    values: tuple[LabValue, ...]
    stands_alone: str = ""


def lowest_confirmed(
    earlier: Sequence[Visit], get: Callable[[Visit], Quantity | None], *, confirmed: bool = True
) -> tuple[Decimal, tuple[Visit, ...]] | None:
    """The lowest value that the visits before the judged one confirm, and those that show it.

    Parameters
    ----------
    earlier
        Baseline first, then the visits before the judged one, in order of date.
    get
        Gives the quantity of a visit.
    confirmed
        Whether a second sample is needed after the baseline.

    Returns
    -------
    tuple or None
        Value (the upper end of a range: an increase is then certain) and visits.
    """
    series = [(q.high, (visit,)) for visit in earlier if (q := get(visit)) is not None]
    if not series:
        return None
    if not confirmed:
        return min(series, key=lambda s: s[0])
    pairs = [(max(a[0], b[0]), (*a[1], *b[1])) for a, b in pairwise(series)]
    return min([series[0], *pairs], key=lambda s: s[0])


def progression(
    visit: Visit,
    earlier: Sequence[Visit],
    *,
    chain: str | None,
    measurable: Sequence[str],
    rules: ResponseRules,
) -> tuple[Finding, ...]:
    """Every reason for progression at a visit.

    Parameters
    ----------
    visit
        The judged visit.
    earlier
        Baseline first, then the visits before, in order of date.
    chain
        The involved light chain.
    measurable
        What was measurable at the baseline: of serum, urine, flc.
    rules
        The thresholds.
    """
    found = []
    if visit.says("death", "PD"):
        found.append(
            Finding(text="death from progression", values=(visit.values["death"],), stands_alone="death")
        )
    if visit.says("new_lesion", "YES"):
        found.append(
            Finding(text="a new lesion", values=(visit.values["new_lesion"],), stands_alone="imaging")
        )
    found += _lesions(visit, earlier, rules)
    found += _increase(
        visit,
        earlier,
        lambda v: v.quantity("serum_m_protein"),
        ("serum_m_protein",),
        "serum M-protein",
        lambda increase, nadir: _serum_progresses(increase, nadir, rules),
    )
    found += _increase(
        visit,
        earlier,
        lambda v: v.quantity("urine_m_protein_24h"),
        ("urine_m_protein_24h",),
        "urine M-protein",
        lambda increase, nadir: (
            increase >= rules.progression_urine_increase_mg_24h and _by_share(increase, nadir, rules)
        ),
    )
    if "serum" not in measurable and "urine" not in measurable:
        found += _increase(
            visit,
            earlier,
            lambda v: v.dflc(chain),
            ("flc_kappa", "flc_lambda"),
            "dFLC",
            lambda increase, nadir: (
                increase > rules.progression_dflc_increase_above_mg_l and _by_share(increase, nadir, rules)
            ),
        )
    if not measurable:
        found += _increase(
            visit,
            earlier,
            lambda v: v.quantity("bm_plasma_cell_percent"),
            ("bm_plasma_cell_percent",),
            "marrow plasma cells",
            lambda increase, nadir: (
                increase >= rules.progression_marrow_increase_points and _by_share(increase, nadir, rules)
            ),
            stands_alone="marrow",
        )
    return tuple(found)


def _by_share(increase: Decimal, nadir: Decimal, rules: ResponseRules) -> bool:
    # A dFLC below zero has no percentage: any increase from it counts.
    return increase * _HUNDRED >= rules.progression_increase_percent * max(nadir, Decimal(0))


def _serum_progresses(increase: Decimal, nadir: Decimal, rules: ResponseRules) -> bool:
    if (
        nadir >= rules.progression_serum_high_nadir_g_dl
        and increase >= rules.progression_serum_high_increase_g_dl
    ):
        return True
    return increase >= rules.progression_serum_increase_g_dl and _by_share(increase, nadir, rules)


def _increase(
    visit: Visit,
    earlier: Sequence[Visit],
    get: Callable[[Visit], Quantity | None],
    tests: tuple[str, ...],
    name: str,
    progresses: Callable[[Decimal, Decimal], bool],
    *,
    stands_alone: str = "",
) -> list[Finding]:
    now = get(visit)
    lowest = lowest_confirmed(earlier, get, confirmed=not stands_alone)
    if now is None or lowest is None:
        return []
    nadir, at = lowest
    if not progresses(now.low - nadir, nadir):
        return []
    lowest_is = "lowest value" if stands_alone else "lowest confirmed value"
    text = f"{name} rose from the {lowest_is} {nadir.normalize():f} to {now.shown}"
    values = tuple(v.values[t] for v in (*at, visit) for t in tests)
    return [Finding(text=text, values=values, stands_alone=stands_alone)]


def _lesions(visit: Visit, earlier: Sequence[Visit], rules: ResponseRules) -> list[Finding]:
    """Growth of the lesions measured before, or their return after they were gone."""

    def grows(increase: Decimal, nadir: Decimal) -> bool:
        return increase > 0 and increase * _HUNDRED >= rules.progression_plasmacytoma_increase_percent * nadir

    return _increase(
        visit,
        earlier,
        lambda v: v.quantity("plasmacytoma_spd"),
        ("plasmacytoma_spd",),
        "plasmacytomas (sum of products)",
        grows,
        stands_alone="imaging",
    )
