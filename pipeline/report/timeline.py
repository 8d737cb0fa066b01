"""Geometry of the figure of residual disease over time.

Where every sign of the patient's figure stands, in the units of its viewBox; the
template ``timeline.svg`` draws them. A value is a filled sign with its interval. What was
not detected is a hollow sign at the sample's limit of detection with an arrow downwards:
a bound, never a zero.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.model import Material, Status
from pipeline.report.rows import MethodStyle, ResultRow
from pipeline.report.wording import format_threshold

__all__ = ["Column", "Mark", "Timeline", "spread", "timeline"]

WIDTH, LEFT, RIGHT, TOP, PLOT_HEIGHT = 960, 66, 150, 14, 340
_FIRST_COLUMN, _LAST_COLUMN = LEFT + 118, WIDTH - RIGHT - 48
_LANE = 19.0  # between the signs of one visit
_LOWEST_DECADE = -7
_MONTH_DAYS = 30.4375
_LABEL_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One visit: where its signs stand, and where its date lies on the ruler below.

    ``material`` is named where it is not marrow.
    """

    timepoint: str
    collected_on: date
    x: float
    ruler_x: float
    material: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One result. ``kind``: value, bound, unclear (at the LoD) or absent (below the axis)."""

    kind: str
    row: ResultRow
    x: float
    y: float
    lod_y: float | None
    low_y: float | None
    high_y: float | None
    below_loq: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Between two visits of one series; dashed where an end is a bound."""

    style: MethodStyle
    x1: float
    y1: float
    x2: float
    y2: float
    dashed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text and where it stands."""

    text: str
    x: float
    y: float
    style: MethodStyle | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The whole figure; ``plot_bottom`` is the lowest decade, ``ruler_y`` the time axis."""

    width: int
    height: float
    left: float
    right: float
    plot_top: float
    plot_bottom: float
    absent_y: float | None
    code_y: float
    ruler_y: float
    decades: tuple[Label, ...]
    thresholds: tuple[Label, ...]
    columns: tuple[Column, ...]
    ruler: tuple[Label, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    series: tuple[Label, ...]


def timeline(rows: Sequence[ResultRow], thresholds: Sequence[float]) -> Timeline | None:
    """Lay out one patient's results; None where there is none.

    Visits stand at their dates. Where two lie closer than their signs need, they are
    moved apart and a leader joins each to its place on the ruler, which is to scale.
    """
    if not rows:
        return None
    floor = _floor_decade(rows)
    columns = _columns(rows)
    marks = _marks(rows, columns, floor)
    absent = any(m.kind == "absent" for m in marks)
    bottom = TOP + PLOT_HEIGHT
    code_y = bottom + (48 if absent else 24)
    ruler_y = code_y + (56 if any(c.material for c in columns) else 42)
    return Timeline(
        width=WIDTH,
        height=ruler_y + 30,
        left=LEFT,
        right=WIDTH - RIGHT,
        plot_top=TOP,
        plot_bottom=bottom,
        absent_y=bottom + 18 if absent else None,
        code_y=code_y,
        ruler_y=ruler_y,
        decades=tuple(
            Label(text="1" if d == 0 else f"1e{d}", x=LEFT, y=_y(10.0**d, floor)) for d in range(floor, 1)
        ),
        thresholds=tuple(
            Label(text=format_threshold(c), x=LEFT, y=_y(c, floor)) for c in thresholds if c >= 10.0**floor
        ),
        columns=columns,
        ruler=_ruler(columns),
        lines=_lines(marks),
        marks=marks,
        series=_series_labels(marks),
    )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions at least ``gap`` apart, as near to the wanted ones as least squares gets.

    Pooling adjacent violators on ``wanted - i * gap``. Where the room does not suffice,
    the gap shrinks to what fits.

    >>> spread([0.0, 1.0, 50.0], 10, 0, 100)
    [0.0, 10.0, 50.0]
    >>> spread([5.0, 5.0], 10, 0, 100)
    [0.0, 10.0]
    """
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    pools: list[tuple[float, int]] = []
    for i, position in enumerate(wanted):
        mean, size = position - i * gap, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    levels = [mean for mean, size in pools for _ in range(size)]
    top = high - (len(wanted) - 1) * gap
    return [round(float(min(max(level, low), top) + i * gap), 2) for i, level in enumerate(levels)]


def _floor_decade(rows: Sequence[ResultRow]) -> int:
    shown = [v for r in rows for v in (r.result.value, r.result.lod) if v]
    return min([_LOWEST_DECADE, *(math.floor(math.log10(v)) for v in shown)])


def _y(fraction: float, floor: int) -> float:
    decades = min(0.0, max(float(floor), math.log10(fraction))) if fraction > 0 else float(floor)
    return round(TOP + PLOT_HEIGHT * (decades / floor), 2)


def _columns(rows: Sequence[ResultRow]) -> tuple[Column, ...]:
    visits = sorted({(r.result.collected_on, r.visit, r.result.timepoint) for r in rows})
    lanes = max(sum((r.result.collected_on, r.visit) == v[:2] for r in rows) for v in visits)
    first, last = visits[0][0], visits[-1][0]
    scale = (_LAST_COLUMN - _FIRST_COLUMN) / max(1, (last - first).days)
    true = [_FIRST_COLUMN + (day - first).days * scale for day, _, _ in visits]
    placed = spread(true, max(84.0, lanes * _LANE + 14), _FIRST_COLUMN, _LAST_COLUMN)
    return tuple(
        Column(
            timepoint=code,
            collected_on=day,
            x=x,
            ruler_x=round(at, 2),
            material=_material(r for r in rows if (r.result.collected_on, r.visit) == (day, visit)),
        )
        for (day, visit, code), x, at in zip(visits, placed, true, strict=True)
    )


def _material(rows: Iterable[ResultRow]) -> str:
    """What was drawn, unless it was marrow alone."""
    drawn = {r.result.material: r.material for r in rows}
    return "" if set(drawn) == {Material.BONE_MARROW} else ", ".join(drawn[m] for m in sorted(drawn))


def _marks(rows: Sequence[ResultRow], columns: tuple[Column, ...], floor: int) -> tuple[Mark, ...]:
    room = min([b.x - a.x for a, b in itertools.pairwise(columns)], default=200.0)
    marks = []
    for column in columns:
        key = (column.timepoint, column.collected_on)
        here = [r for r in rows if (r.result.timepoint, r.result.collected_on) == key]
        lane = min(_LANE, (room - 8) / len(here))
        for i, row in enumerate(here):
            marks.append(_mark(row, round(column.x + (i - (len(here) - 1) / 2) * lane, 2), floor))
    return tuple(marks)


def _mark(row: ResultRow, x: float, floor: int) -> Mark:
    result = row.result
    lod_y = None if result.lod is None else _y(result.lod, floor)
    kind, y = "absent", TOP + PLOT_HEIGHT + 18.0
    low_y = high_y = None
    if result.status is Status.DETECTED and result.value is not None:
        kind, y = "value", _y(result.value, floor)
        low_y, high_y = _y(result.ci_low or 0.0, floor), _y(result.ci_high or 0.0, floor)
    elif lod_y is not None and result.status is Status.NOT_DETECTED:
        kind, y = "bound", lod_y
    elif lod_y is not None and result.status is Status.INDETERMINATE:
        kind, y = "unclear", lod_y
    below_loq = row.calls[0].reading.below_loq
    return Mark(kind=kind, row=row, x=x, y=y, lod_y=lod_y, low_y=low_y, high_y=high_y, below_loq=below_loq)


def _series(mark: Mark) -> tuple[int, str, str]:
    return (mark.row.style.number, mark.row.style.method, mark.row.result.target_id)


def _lines(marks: tuple[Mark, ...]) -> tuple[Line, ...]:
    """Within one method, target and material; nothing is drawn through what could not be called."""
    lines = []
    last: dict[tuple[object, ...], Mark] = {}
    for mark in marks:
        key = (*_series(mark), mark.row.result.material)
        before = last.get(key)
        last[key] = mark
        if before is None or not {before.kind, mark.kind} <= {"value", "bound"}:
            continue
        dashed = "bound" in (before.kind, mark.kind)
        ends = {"x1": before.x, "y1": before.y, "x2": mark.x, "y2": mark.y}
        lines.append(Line(style=mark.row.style, dashed=dashed, **ends))
    return tuple(lines)


def _series_labels(marks: tuple[Mark, ...]) -> tuple[Label, ...]:
    """Each series named at the height of its last sign."""
    last = {_series(m): m for m in marks}
    targets: dict[str, set[str]] = {}
    for _, method, target in last:
        targets.setdefault(method, set()).add(target)
    ordered = sorted(last.values(), key=lambda m: (m.y, _series(m)))
    heights = spread([m.y for m in ordered], 17, TOP + 6, TOP + PLOT_HEIGHT + 20)
    labels = []
    for mark, y in zip(ordered, heights, strict=True):
        style = mark.row.style
        many = len(targets[style.method]) > 1
        text = f"{style.label} {mark.row.target}" if many else style.label
        short = text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 1] + "…"
        labels.append(Label(text=short, x=WIDTH - RIGHT + 22, y=y, style=style))
    return tuple(labels)


def _ruler(columns: tuple[Column, ...]) -> tuple[Label, ...]:
    """Ticks of whole months since the first sample, at most ten."""
    days = (columns[-1].collected_on - columns[0].collected_on).days
    if days == 0:
        return (Label(text="0", x=columns[0].ruler_x, y=0),)
    months = days / _MONTH_DAYS
    step = next((s for s in (1, 3, 6, 12, 24, 60) if months / s <= 9), 120)
    scale = (columns[-1].ruler_x - columns[0].ruler_x) / days
    ticks = range(0, math.floor(months) + 1, step)
    return tuple(
        Label(text=str(t), x=round(columns[0].ruler_x + t * _MONTH_DAYS * scale, 2), y=0) for t in ticks
    )
