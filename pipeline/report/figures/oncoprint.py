"""Lesions by patient: an oncoprint.

Figures are made in `pipeline.report.figures.words.worded_style`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.clinical.fish import FishCall
from pipeline.clinical.lesions import Lesion
from pipeline.report.figure_style import LINE, SERIES, SOFT
from pipeline.report.figures.small_print import lay_out
from pipeline.report.figures.words import named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["oncoprint_figure"]

_LOOKS = {
    FishCall.POSITIVE: (SERIES[2], "lesion_present"),
    FishCall.NEGATIVE: (LINE, "lesion_absent"),
    FishCall.NOT_EVALUABLE: ("white", "lesion_unknown"),
}


def oncoprint_figure(lesions: Sequence[Lesion], texts: Mapping[str, str]) -> "Figure":
    """A row per lesion, the most frequent on top; a column per patient, alike beside alike.

    Parameters
    ----------
    lesions
        Of every patient; a lesion that a patient has no row of counts as not evaluable.
    texts
        Of `pipeline.report.figures.words.figure_words`.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    results = {(x.name, x.patient_id): x.result for x in lesions}
    counts = {x.name: 0 for x in lesions}
    for lesion in lesions:
        counts[lesion.name] += lesion.result is FishCall.POSITIVE
    names = sorted(counts, key=lambda n: (-counts[n], n))
    patients = sorted(
        {x.patient_id for x in lesions},
        key=lambda p: ([results.get((n, p)) is not FishCall.POSITIVE for n in names], p),
    )
    figure = Figure(figsize=(7.2, 3.0))
    axes = figure.add_subplot()
    axes.set_title(texts["oncoprint"].format(patients=len(patients), lesions=len(names)))
    for row, name in enumerate(names):
        for call, (colour, _) in _LOOKS.items():
            at = [i for i, p in enumerate(patients) if results.get((name, p), FishCall.NOT_EVALUABLE) is call]
            axes.barh(
                [-row] * len(at), 0.9, left=[i + 0.05 for i in at], height=0.8, color=colour, linewidth=0
            )
        assessed = sum(
            results.get((name, p), FishCall.NOT_EVALUABLE) is not FishCall.NOT_EVALUABLE for p in patients
        )
        share = f"{counts[name]}/{assessed}" + (f"  {counts[name] / assessed:.0%}" if assessed else "")
        axes.text(len(patients) * 1.01, -row, share, va="center", fontsize=7.5, color=SOFT)
    axes.set_yticks([-i for i in range(len(names))], [named(n) for n in names])
    axes.set_xticks([])
    axes.set_xlabel(texts["patients_axis"])
    axes.set_xlim(0, max(len(patients), 1))
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    handles = [Patch(facecolor=c, edgecolor=SOFT, linewidth=0.5, label=texts[w]) for c, w in _LOOKS.values()]
    lay_out(figure, [(axes, max(0.6, 0.2 * len(names)))], [" "], left=1.5, right=0.9)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.012, 0.0), ncols=3)
    return figure
