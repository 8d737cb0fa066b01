"""M-protein and free light chain of each patient over time, with MRD beneath: small multiples.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.clinical.laboratory import LabValue
from pipeline.clinical.time_endpoints import DAYS_PER_MONTH
from pipeline.clinical.trial import Trial
from pipeline.detection import Call
from pipeline.model import Material
from pipeline.report.figure_style import INK, LINE, SERIES
from pipeline.report.figures.small_print import remark
from pipeline.report.wording import format_threshold

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PATIENTS_A_SHEET", "course_sheets", "courses_figure"]

PATIENTS_A_SHEET = 24
_COLUMNS = 4
_FLOOR = 0.5  # per cent of the first value; what is at or below it stands there
_READING: dict[str, Any] = {"markersize": 3.8, "markeredgecolor": INK, "markeredgewidth": 0.7}
_ROWS = (0.16, 0.075)  # where readings of methods stand, below the floor
_LOOKS: dict[str, tuple[str, Any, str]] = {
    "serum_m_protein": (SERIES[2], "-", "o"),
    "urine_m_protein_24h": (SERIES[3], "--", "s"),
    "involved_flc": (SERIES[0], "-.", "D"),
}
_CALLS = {
    Call.POSITIVE: ("s", INK, "positive"),
    Call.NEGATIVE: ("s", "white", "negative"),
    Call.INDETERMINATE: ("x", INK, "ind_reading"),
}


def course_sheets(trial: Trial) -> tuple[tuple[str, ...], ...]:
    """Patients with laboratory values, in sheets of `PATIENTS_A_SHEET`."""
    patients = sorted({v.patient_id for v in trial.labs if v.quantity is not None} & set(trial.enrolled))
    return tuple(tuple(patients[i : i + PATIENTS_A_SHEET]) for i in range(0, len(patients), PATIENTS_A_SHEET))


def courses_figure(
    trial: Trial, patients: Sequence[str], threshold: float, texts: Mapping[str, str]
) -> "Figure":
    """One panel a patient: values in per cent of the first one, and MRD readings of the marrow.

    A value reported as below a limit is an open sign at that limit; values at or below half a per cent
    stand at the foot.

    Parameters
    ----------
    trial
        Its laboratory values and MRD results.
    patients
        Of one sheet.
    threshold
        At which MRD is read.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    rows = max(-(-len(patients) // _COLUMNS), 1)
    figure = Figure(figsize=(2.3 * _COLUMNS, 1.35 * rows + 1.16))
    width, height = figure.get_size_inches()
    methods = sorted({r.method for r in trial.mrd if r.material is Material.BONE_MARROW})[: len(_ROWS)]
    for number, patient in enumerate(patients):
        axes = figure.add_subplot(rows, _COLUMNS, number + 1)
        _draw_patient(axes, trial, patient, threshold, methods)
        axes.tick_params(labelsize=6, labelleft=number % _COLUMNS == 0)
    title = texts["courses"].format(threshold=format_threshold(threshold))
    figure.suptitle(title, x=0.1 / width, y=1 - 0.08 / height, ha="left", va="top", fontsize=9)
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, marker=marker, markersize=3.5, label=texts[name])
        for name, (colour, dashes, marker) in _LOOKS.items()
    ]
    handles += [
        Line2D([], [], linestyle="none", marker=marker, color=face, label=texts[word], **_READING)
        for marker, face, word in _CALLS.values()
    ]
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.33 / height), ncols=3, fontsize=7
    )
    order = ", ".join(methods) if methods else "–"
    remark(figure, [texts["courses_order"].format(methods=order), texts["courses_note"]])
    figure.subplots_adjust(
        left=0.45 / width,
        right=1 - 0.08 / width,
        top=1 - 0.42 / height,
        bottom=0.94 / height,
        hspace=0.5,
        wspace=0.08,
    )
    return figure


def _draw_patient(axes: "Axes", trial: Trial, patient: str, threshold: float, methods: Sequence[str]) -> None:
    origin = next(p.enrolled_on for p in trial.patients if p.patient_id == patient)
    own = [v for v in trial.labs if v.patient_id == patient]
    isotype = next((v.words[0] for v in own if v.test == "isotype" and v.words), "")
    involved = {"K": "flc_kappa", "L": "flc_lambda"}.get(isotype.rpartition("-")[2], "")
    for name, (colour, dashes, marker) in _LOOKS.items():
        values = [v for v in own if v.test == (involved if name == "involved_flc" else name)]
        _draw_values(axes, values, origin, colour, dashes, marker)
    for row, method in zip(_ROWS, methods, strict=False):
        for reading in trial.mrd:
            own_sample = reading.patient_id == patient and reading.material is Material.BONE_MARROW
            if own_sample and reading.method == method:
                at = (reading.collected_on - origin).days / DAYS_PER_MONTH
                marker, face, _ = _CALLS[reading.call(threshold)]
                axes.plot(at, row, marker, color=face, **_READING)
    axes.set_yscale("log")
    axes.set_ylim(0.05, 300)
    axes.set_yticks([1, 10, 100], ["1 %", "10 %", "100 %"])
    axes.minorticks_off()
    axes.axhline(_FLOOR * 0.6, color=LINE, linewidth=0.6)
    axes.set_title(patient, fontsize=7, pad=2)
    axes.grid(visible=True, linewidth=0.4)


def _draw_values(
    axes: "Axes", values: Sequence[LabValue], origin: date, colour: str, dashes: str, marker: str
) -> None:
    ordered = sorted(values, key=lambda v: v.day)
    measured = [(v.day, v.quantity) for v in ordered if v.quantity is not None]
    if not measured or not measured[0][1].high:
        return
    first = float(measured[0][1].high)
    at = np.array([(day - origin).days / DAYS_PER_MONTH for day, _ in measured])
    percent = np.maximum([100 * float(q.high) / first for _, q in measured], _FLOOR)
    below = np.array([q.low < q.high for _, q in measured])
    axes.plot(at, percent, color=colour, linestyle=dashes, linewidth=0.8)
    for which, face in ((~below, colour), (below, "white")):
        axes.plot(
            at[which], percent[which], linestyle="none", marker=marker, color=colour, markerfacecolor=face,
            markersize=2.2, markeredgewidth=0.5,
        )  # fmt: skip
