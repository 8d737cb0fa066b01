"""Genomic lesions against response: exact tests, with the share of false discoveries held.

A lesion is what a table of lesions, or the FISH table, says of a patient. A lesion that was not
assessed in a patient leaves the patient out of its own test, never in the group without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.clinical.fish import FishCall, FishResult
from pipeline.clinical.levels import Level
from pipeline.clinical.table_rows import Cells as TableCells
from pipeline.clinical.table_rows import Rows, read_rows
from pipeline.clinical.trial import Cells, EndpointTable, Trial, shown
from pipeline.formats.delimited import Table

__all__ = [
    "LESION_COLUMNS",
    "Lesion",
    "benjamini_hochberg",
    "lesion_response_table",
    "lesions_from_fish",
    "lesions_from_table",
]

LESION_COLUMNS = ("patient_id", "lesion", "result")
_AT_LEAST = {"VGPR": Level.VGPR, "CR": Level.CR}
_FDR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion of one patient at diagnosis: there, not there, or not evaluable."""

    patient_id: str
    name: str
    result: FishCall


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """A lesion against a response after a phase: patients and responders with it and without it."""

    lesion: str
    phase: str
    at_least: str
    counts: tuple[int, int, int, int]
    p: float | None = None
    q: float | None = None


def lesions_from_table(table: Table, *, path: Path | str) -> Rows[Lesion]:
    """Check every row of a table of lesions.

    Raises
    ------
    SheetRefused
        With every problem: no lesion, a lesion twice in a patient, a result that is not POSITIVE,
        NEGATIVE or NOT_EVALUABLE.
    """

    def read(cells: TableCells) -> Lesion:
        result = cells.choice("result", [*FishCall], required=True)
        return Lesion(
            patient_id=cells.identifier("patient_id"),
            name=cells.text("lesion", required=True),
            result=FishCall(result) if result else FishCall.NOT_EVALUABLE,
        )

    remedy = f"give the columns {','.join(LESION_COLUMNS)} once each"
    key = lambda row: (row.patient_id, row.name)  # noqa: E731
    return read_rows(table, LESION_COLUMNS, read, path=path, remedy=remedy, key=key)


def lesions_from_fish(results: Sequence[FishResult]) -> tuple[Lesion, ...]:
    """Probes as lesions; of several samples of a patient the first day's result that can be evaluated."""
    found: dict[tuple[str, str], Lesion] = {}
    for result in sorted(results, key=lambda r: (r.item.patient_id, r.item.probe, r.item.day)):
        key = (result.item.patient_id, result.item.probe)
        if key not in found or found[key].result is FishCall.NOT_EVALUABLE:
            found[key] = Lesion(patient_id=key[0], name=key[1], result=result.call)
    return tuple(found.values())


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values: the smallest share of false discoveries at which each test is one.

    References
    ----------
    Benjamini and Hochberg, J R Stat Soc B 1995;57:289.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5])
    (0.04, 0.05333333333333334, 0.05333333333333334, 0.5)
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i], reverse=True)
    found, lowest = [0.0] * len(p_values), 1.0
    for rank, i in zip(range(len(p_values), 0, -1), order, strict=True):
        lowest = min(lowest, p_values[i] * len(p_values) / rank)
        found[i] = lowest
    return tuple(found)


def lesion_response_table(trial: Trial, levels: Mapping[str, Mapping[str, Level]]) -> EndpointTable:
    """Every lesion against VGPR or better and CR or better after every phase.

    Patients evaluable for the phase in whom the lesion was assessed. Fisher's exact test, two-sided;
    ``q`` is the p-value adjusted over all tests of the table, ``discovery`` says q <= 0.05. The
    difference of shares has Newcombe's interval.
    """
    tests = _adjusted([_counted(trial, levels, *key) for key in _keys(trial, levels)])
    columns = (
        "lesion", "phase", "at_least", "with_lesion", "responders_with", "without_lesion",
        "responders_without", "difference", "ci_low", "ci_high", "p", "q", "discovery", "reason",
    )  # fmt: skip
    return EndpointTable(name="lesion_response", columns=columns, rows=tuple(map(_cells, tests)))


def _keys(trial: Trial, levels: Mapping[str, Mapping[str, Level]]) -> list[tuple[str, str, str]]:
    names = sorted({x.name for x in trial.lesions})
    return [(name, phase, level) for name in names for phase in levels for level in _AT_LEAST]


def _counted(
    trial: Trial, levels: Mapping[str, Mapping[str, Level]], name: str, phase: str, at_least: str
) -> _Test:
    import numpy as np
    from scipy.stats import fisher_exact

    enrolled, counts = set(trial.enrolled), [0, 0, 0, 0]
    for lesion in trial.lesions:
        level = levels[phase].get(lesion.patient_id)
        if lesion.name != name or level is None or lesion.patient_id not in enrolled:
            continue
        if lesion.result is FishCall.NOT_EVALUABLE:
            continue
        side = 0 if lesion.result is FishCall.POSITIVE else 2
        counts[side] += 1
        counts[side + 1] += _AT_LEAST[at_least] <= level < Level.PD
    test = _Test(
        lesion=name, phase=phase, at_least=at_least, counts=(counts[0], counts[1], counts[2], counts[3])
    )
    have, yes, lack, without = test.counts
    if not have or not lack or yes + without in (0, have + lack):
        return test
    return replace(test, p=float(fisher_exact(np.array([[yes, have - yes], [without, lack - without]]))[1]))


def _adjusted(tests: Sequence[_Test]) -> list[_Test]:
    """Tests that could be made share the correction; the others have no p and take no part."""
    made = [i for i, t in enumerate(tests) if t.p is not None]
    q = dict(zip(made, benjamini_hochberg([tests[i].p or 0.0 for i in made]), strict=True))
    return [replace(t, q=q.get(i)) for i, t in enumerate(tests)]


def _cells(test: _Test) -> Cells:
    have, yes, lack, without = test.counts
    head = (test.lesion, test.phase, test.at_least, *map(str, (have, yes, lack, without)))
    if not have or not lack:
        return *head, "", "", "", "", "", "", "nobody is in one of the groups"
    numbers = [shown(x) for x in _newcombe(yes, have, without, lack)]
    if test.p is None or test.q is None:
        return *head, *numbers, "", "", "", "everybody responded alike"
    return *head, *numbers, shown(test.p), shown(test.q), "YES" if test.q <= _FDR else "NO", ""


def _newcombe(yes: int, have: int, without: int, lack: int) -> tuple[float, float, float]:
    """Difference of two shares and its interval (Newcombe, Stat Med 1998;17:873, method 10)."""
    from pipeline.detection import wilson

    one, other = yes / have, without / lack
    low, high = wilson(yes, have), wilson(without, lack)
    down = ((one - low[0]) ** 2 + (high[1] - other) ** 2) ** 0.5
    up = ((low[1] - one) ** 2 + (other - high[0]) ** 2) ** 0.5
    return one - other, one - other - down, one - other + up
