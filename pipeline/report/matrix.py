"""Geometry of the cohort's overview: patients by time points and methods, a sign a call."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.data import ReportData
from pipeline.report.rows import MethodStyle, ResultRow, worst_call

__all__ = ["Matrix", "Panel", "matrix"]

PANEL_PATIENTS = 25  # fits an A4 page, and two panels stand side by side on a screen
CELL, ROW, GAP, HEAD = 19, 21, 11, 88
_LABEL_CHARACTER = 8.6  # px of a capital at 12 px, in the widest of the fonts the page asks for
_LABEL_LENGTH = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column's method, or a group's time point; ``end`` is the right edge of a group."""

    text: str
    full: str
    x: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Where one sign stands."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLine:
    """One patient's row; ``summary`` says its calls in words."""

    patient_id: str
    y: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Up to `PANEL_PATIENTS` patients, drawn as one figure so that a page break cuts none.

    ``signs`` are grouped by call, as the template draws each group as one path: a page
    with an element a sign takes seconds to load for a whole trial.
    """

    height: float
    patients: tuple[PatientLine, ...]
    signs: dict[str, tuple[Sign, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The whole overview; all panels share their columns."""

    width: float
    label_width: float
    groups: tuple[Head, ...]
    methods: tuple[Head, ...]
    panels: tuple[Panel, ...]


def matrix(rows: Sequence[ResultRow], data: ReportData) -> Matrix:
    """Lay out all calls at the headline threshold."""
    styles = sorted({r.style.method: r.style for r in rows}.values(), key=lambda s: s.number)
    seen = {r.result.timepoint for r in rows}
    codes = [c for c in data.timepoint_codes if c in seen]
    longest = max((len(p) for p in data.patients), default=4)
    left = round(longest * _LABEL_CHARACTER + 14, 1)
    group_width = len(styles) * CELL + GAP
    xs = {
        (code, style.method): left + g * group_width + m * CELL + CELL / 2
        for g, code in enumerate(codes)
        for m, style in enumerate(styles)
    }
    calls, labels = _calls(rows), {s.method: s.label for s in styles}
    panels = [data.patients[i : i + PANEL_PATIENTS] for i in range(0, len(data.patients), PANEL_PATIENTS)]
    return Matrix(
        width=left + len(codes) * group_width + 4,
        label_width=left,
        groups=tuple(_group(data, code, left + g * group_width, group_width) for g, code in enumerate(codes)),
        methods=tuple(_method(s, xs[code, s.method]) for code in codes for s in styles),
        panels=tuple(_panel(patients, calls, xs, labels) for patients in panels),
    )


def _calls(rows: Sequence[ResultRow]) -> dict[str, dict[tuple[str, str], str]]:
    """One call per patient, time point and method."""
    cells: dict[str, dict[tuple[str, str], list[str]]] = {}
    for row in rows:
        own = cells.setdefault(row.result.patient_id, {})
        own.setdefault((row.result.timepoint, row.style.method), []).append(row.calls[0].code)
    return {p: {key: worst_call(codes) for key, codes in own.items()} for p, own in cells.items()}


def _panel(
    patients: Sequence[str],
    calls: dict[str, dict[tuple[str, str], str]],
    xs: dict[tuple[str, str], float],
    labels: dict[str, str],
) -> Panel:
    ys = {p: HEAD + i * ROW + ROW / 2 for i, p in enumerate(patients)}
    signs: dict[str, list[Sign]] = {code: [] for code in ("POS", "NEG", "IND", "")}
    for patient, y in ys.items():
        for key, x in xs.items():
            signs[calls.get(patient, {}).get(key, "")].append(Sign(x=x, y=y))
    return Panel(
        height=HEAD + len(patients) * ROW + 6,
        patients=tuple(
            PatientLine(patient_id=p, y=y, summary=_summary(calls.get(p, {}), xs, labels))
            for p, y in ys.items()
        ),
        signs={code: tuple(found) for code, found in signs.items()},
    )


def _summary(
    calls: dict[tuple[str, str], str], xs: dict[tuple[str, str], float], labels: dict[str, str]
) -> str:
    return "; ".join(f"{key[0]} {labels[key[1]]} {calls[key]}" for key in xs if key in calls)


def _group(data: ReportData, code: str, x: float, width: float) -> Head:
    return Head(text=_short(code), full=data.timepoint_label(code), x=x, end=x + width - GAP)


def _method(style: MethodStyle, x: float) -> Head:
    return Head(text=_short(style.label), full=style.label, x=x, end=x)


def _short(text: str) -> str:
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 1] + "…"
