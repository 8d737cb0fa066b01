"""FISH on plasma cells: positive by the laboratory's own cut-off, with what could have been missed.

Without a cut-off of the laboratory the European Myeloma Network's stand in: 10 % for fusion and
break-apart probes, 20 % for numerical ones, of at least 100 plasma cells (Ross et al., Haematologica
2012;97:1272). A result below the cut-off on fewer cells is not evaluable rather than negative.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from pipeline.clinical.table_rows import Cells, Rows, read_rows
from pipeline.detection import clopper_pearson
from pipeline.formats.csv_table import number_cell
from pipeline.formats.delimited import Table
from pipeline.formats.sheet_cells import Refusal

__all__ = [
    "CELLS_SCORED_MIN",
    "FISH_COLUMNS",
    "FISH_RESULT_COLUMNS",
    "FishCall",
    "FishItem",
    "FishResult",
    "fish_from_table",
    "judge_fish",
]

FISH_COLUMNS = ("patient_id", "date", "probe", "cells_scored", "percent_positive", "copies", "cutoff")
FISH_RESULT_COLUMNS = (
    "patient_id", "date", "probe", "kind", "result", "copy_class", "cells_scored", "percent_positive",
    "ci_low_percent", "ci_high_percent", "cutoff_percent", "cutoff_basis", "reason",
)  # fmt: skip
CELLS_SCORED_MIN = 100
FUSION_CUTOFF_PERCENT, NUMERICAL_CUTOFF_PERCENT = Decimal(10), Decimal(20)
_FUSION = re.compile(r"\bt[(_]\d+[;_]\d+|igh|::|break|fusion|rearr", re.IGNORECASE)
_NUMERICAL = re.compile(
    r"(^|[^a-z])(del|gain|amp|dup|loss|mono|tri|hyperdiploid)|^[+-]?\d{1,2}[pq]|[+-]$|^cep", re.IGNORECASE
)


class FishCall(StrEnum):
    """What a probe shows."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    NOT_EVALUABLE = "NOT_EVALUABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class FishItem:
    """One probe of one sample, as the laboratory reports it; percentages are of scored plasma cells."""

    patient_id: str
    day: date
    probe: str
    cells_scored: int | None
    percent_positive: Decimal | None
    copies: int | None
    cutoff_percent: Decimal | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FishResult:
    """A probe with its call; ``copy_class`` is set where copies are; the interval is exact, in percent."""

    item: FishItem
    kind: str
    call: FishCall
    copy_class: str
    ci_percent: tuple[float, float] | None
    cutoff_percent: Decimal | None
    cutoff_basis: str
    reason: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row in the order of `FISH_RESULT_COLUMNS`."""
        low, high = self.ci_percent or (None, None)
        return (
            self.item.patient_id,
            self.item.day.isoformat(),
            self.item.probe,
            self.kind,
            self.call.value,
            self.copy_class,
            "" if self.item.cells_scored is None else str(self.item.cells_scored),
            "" if self.item.percent_positive is None else str(self.item.percent_positive),
            number_cell(low, digits=6),
            number_cell(high, digits=6),
            "" if self.cutoff_percent is None else str(self.cutoff_percent),
            self.cutoff_basis,
            self.reason,
        )


def fish_from_table(table: Table, *, path: Path | str) -> Rows[FishItem]:
    """Check every row of a FISH table.

    Raises
    ------
    SheetRefused
        With every problem: no date or probe, a probe twice on a day, a percentage above 100.
    """

    def read(cells: Cells) -> FishItem:
        cutoff = cells.number("cutoff", maximum=100)
        if cutoff is not None and cutoff == 0:
            cause = "a cut-off of 0, at which every result is positive"
            cells.refuse("cutoff", Refusal("impossible", cause, "give the laboratory's cut-off in percent"))
        return FishItem(
            patient_id=cells.identifier("patient_id"),
            day=cells.required_day("date"),
            probe=cells.text("probe", required=True),
            cells_scored=cells.whole("cells_scored", maximum=100_000),
            percent_positive=cells.number("percent_positive", maximum=100),
            copies=cells.whole("copies", maximum=100),
            cutoff_percent=cutoff,
            line=cells.line,
        )

    return read_rows(
        table,
        FISH_COLUMNS,
        read,
        path=path,
        remedy=f"give the columns {','.join(FISH_COLUMNS)} once each; a cell that is not known stays empty",
        key=lambda i: (i.patient_id, i.day, i.probe),
    )


def judge_fish(item: FishItem) -> FishResult:
    """Positive at or above the cut-off; negative below it on enough cells.

    Returns
    -------
    FishResult
        Without cells, percentage or cut-off it is not evaluable, and the reason says which is absent.
    """
    kind = _kind(item.probe)
    published = {"fusion": FUSION_CUTOFF_PERCENT, "numerical": NUMERICAL_CUTOFF_PERCENT}.get(kind)
    cutoff = item.cutoff_percent if item.cutoff_percent is not None else published
    basis = "laboratory" if item.cutoff_percent is not None else "EMN 2012" if published is not None else ""
    call, reason = _call(item, cutoff)
    return FishResult(
        item=item,
        kind=kind,
        call=call,
        copy_class=_copy_class(item.copies) if call is FishCall.POSITIVE else "",
        ci_percent=_interval(item),
        cutoff_percent=cutoff,
        cutoff_basis=basis,
        reason=reason,
    )


def _kind(probe: str) -> str:
    """``fusion`` (break-apart too), ``numerical``, or empty where the name does not tell."""
    if _FUSION.search(probe):
        return "fusion"
    return "numerical" if _NUMERICAL.search(probe) else ""


def _call(item: FishItem, cutoff: Decimal | None) -> tuple[FishCall, str]:
    if cutoff is None:
        return FishCall.NOT_EVALUABLE, "no cut-off of the laboratory, and none is published for such a probe"
    if item.percent_positive is None:
        return FishCall.NOT_EVALUABLE, "no percentage of positive cells"
    if not item.cells_scored:
        return FishCall.NOT_EVALUABLE, "the number of scored cells is not known"
    few = item.cells_scored < CELLS_SCORED_MIN
    if item.percent_positive >= cutoff:
        warning = f", on {item.cells_scored} cells of the {CELLS_SCORED_MIN} asked for" if few else ""
        return FishCall.POSITIVE, f"{item.percent_positive} % is at or above {cutoff} %{warning}"
    if few:
        return FishCall.NOT_EVALUABLE, (
            f"{item.percent_positive} % is below {cutoff} %, but only {item.cells_scored} cells were scored"
        )
    return FishCall.NEGATIVE, f"{item.percent_positive} % is below {cutoff} %"


def _copy_class(copies: int | None) -> str:
    """Copies as the reports name them: 3 a gain, 4 and more an amplification."""
    if copies is None or copies == 2:
        return ""
    if copies > 2:
        return "gain" if copies == 3 else "amplification"
    return "monoallelic loss" if copies == 1 else "biallelic loss"


def _interval(item: FishItem) -> tuple[float, float] | None:
    if item.percent_positive is None or not item.cells_scored:
        return None
    positive = round(item.percent_positive * item.cells_scored / 100)
    low, high = clopper_pearson(positive, item.cells_scored)
    return 100 * low, 100 * high
