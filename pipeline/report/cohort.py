"""What the cohort's page and its JSON say."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.detection import Call
from pipeline.formats.records import to_json
from pipeline.report.compared_figures import compared_figures
from pipeline.report.comparison import compared_methods
from pipeline.report.data import ReportData
from pipeline.report.matrix import matrix
from pipeline.report.patient import method_versions, result_json
from pipeline.report.rows import MethodStyle, ResultRow
from pipeline.report.trial_figures import cohort_trial_figures
from pipeline.report.wording import Wording

__all__ = ["cohort_json", "cohort_page"]

FIRST_ROWS = 200  # in the page when it opens; the others are text until they are asked for, or printed
CALLS = tuple(c.value for c in (Call.POSITIVE, Call.NEGATIVE, Call.INDETERMINATE))


def cohort_page(data: ReportData, rows: Sequence[ResultRow], wording: Wording) -> dict[str, Any]:
    """The variables of ``cohort.html``."""
    methods = sorted({r.style.number: r.style for r in rows}.items())
    seen = {r.visit for r in rows}
    return {
        "rows": rows,
        "first_rows": FIRST_ROWS,
        "samples": _samples(rows),
        "compared": compared_methods(data, wording),
        "trial_figures": cohort_trial_figures(data.trial, data.thresholds[0]),
        "compared_figures": compared_figures(data.compared, data.thresholds, wording),
        "tallies": [_tally(rows, style) for _, style in methods],
        "matrix": matrix(rows, data) if rows else None,
        "methods": [style for _, style in methods],
        "visits": [(i, code) for i, code in enumerate(data.timepoint_codes) if i in seen],
        "statuses": list(dict.fromkeys((r.result.status.value, r.status) for r in rows)),
        "inputs": wording.counted("cohort", "inputs", len(data.provenance.inputs))
        if data.provenance.inputs
        else "",
        "versions": method_versions(rows),
        "all_notes": [*data.notes, *(f"{n.patient_id}: {n.text}" for n in data.patient_notes)],
    }


def cohort_json(data: ReportData, rows: Sequence[ResultRow]) -> dict[str, Any]:
    """All results with their readings, the counts of the page, and the input files."""
    return {
        "format": "nadir-cohort-1",
        "study_id": data.study_id,
        "title": data.title,
        "patients": list(data.patients),
        "samples": _samples(rows),
        "timepoints": [to_json(t) for t in data.timepoints],
        "thresholds": list(data.thresholds),
        "results": [result_json(r) for r in rows],
        "comparisons": [to_json(c) for c in data.comparisons],
        "provenance": to_json(data.provenance),
        "notes": list(data.notes),
        "patient_notes": [to_json(n) for n in data.patient_notes],
        "unverified": list(data.unverified),
    }


def _samples(rows: Sequence[ResultRow]) -> int:
    """Drawn samples: one patient, time point, day and material, however often measured."""
    results = [r.result for r in rows]
    return len({(r.patient_id, r.timepoint, r.collected_on, r.material) for r in results})


def _tally(rows: Sequence[ResultRow], style: MethodStyle) -> dict[str, Any]:
    """Calls of one method at the headline threshold, and why the indeterminate ones are."""
    own = [r for r in rows if r.style.number == style.number]
    counts = Counter(r.calls[0].code for r in own)
    why = Counter(r.calls[0].phrase for r in own if r.calls[0].code == Call.INDETERMINATE.value)
    return {
        "style": style,
        "total": len(own),
        "counts": [(code, counts[code]) for code in CALLS],
        "why": sorted(why.items(), key=lambda item: (-item[1], item[0])),
    }
