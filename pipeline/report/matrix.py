"""Geometry of the cohort's overview: patients by time points and methods, a sign a call."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.data import ReportData
from pipeline.report.rows import MethodStyle, ResultRow, worst_call

__all__ = ["Matrix", "Panel", "matrix"]

PANEL_PATIENTS = 25  # fits an A4 page, and two panels stand side by side on a screen
CELL, ROW, GAP, HEAD = 19, 21, 11, 88
_LABEL_CHARACTER, _LABEL_LENGTH = 7.2, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column's method, or a group's time point; ``end`` is the right edge of a group."""

    text: str
    full: str
    x: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One call; ``title`` says it in words."""

    code: str
    x: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientSigns:
    """One patient's row."""

    patient_id: str
    y: float
    signs: tuple[Sign, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Up to `PANEL_PATIENTS` patients, drawn as one figure so that a page break cuts none."""

    height: float
    patients: tuple[PatientSigns, ...]


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
    by_patient = _signs(rows, xs)
    panels = [data.patients[i : i + PANEL_PATIENTS] for i in range(0, len(data.patients), PANEL_PATIENTS)]
    return Matrix(
        width=left + len(codes) * group_width + 4,
        label_width=left,
        groups=tuple(_group(data, code, left + g * group_width, group_width) for g, code in enumerate(codes)),
        methods=tuple(_method(s, xs[code, s.method]) for code in codes for s in styles),
        panels=tuple(_panel(patients, by_patient) for patients in panels),
    )


def _signs(rows: Sequence[ResultRow], xs: dict[tuple[str, str], float]) -> dict[str, tuple[Sign, ...]]:
    cells: dict[tuple[str, str, str], list[ResultRow]] = {}
    for row in rows:
        key = (row.result.patient_id, row.result.timepoint, row.style.method)
        cells.setdefault(key, []).append(row)
    signs: dict[str, list[Sign]] = {}
    for (patient, code, method), here in cells.items():
        call = worst_call([r.calls[0].code for r in here])
        why = "; ".join(dict.fromkeys(r.calls[0].phrase for r in here))
        title = f"{patient} {code} {here[0].style.label}: {call}, {why}"
        signs.setdefault(patient, []).append(Sign(code=call, x=xs[code, method], title=title))
    return {patient: tuple(found) for patient, found in signs.items()}


def _panel(patients: Sequence[str], signs: dict[str, tuple[Sign, ...]]) -> Panel:
    return Panel(
        height=HEAD + len(patients) * ROW + 6,
        patients=tuple(
            PatientSigns(patient_id=p, y=HEAD + i * ROW + ROW / 2, signs=signs.get(p, ()))
            for i, p in enumerate(patients)
        ),
    )


def _group(data: ReportData, code: str, x: float, width: float) -> Head:
    return Head(text=_short(code), full=data.timepoint_label(code), x=x, end=x + width - GAP)


def _method(style: MethodStyle, x: float) -> Head:
    return Head(text=_short(style.label), full=style.label, x=x, end=x)


def _short(text: str) -> str:
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 1] + "…"
