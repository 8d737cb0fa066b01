"""What the pages say of two methods: every pair counted once, none that is indeterminate as negative."""

from datetime import date

import pytest

from pipeline.concordance import comparison_rows, comparisons, pair_rows
from pipeline.model import Assay, Reason, Status
from pipeline.report import write_report
from pipeline.report.comparison import compared_methods, compared_pairs
from pipeline.report.data import Provenance, ReportData, TimepointLabel
from pipeline.report.wording import load_wording
from results import mrd_result

CELLS = {"euroflow": 8_000_000, "srl": 1_000_000}
COUNTS = {  # patient: events by EuroFlow and SRL-Flow; SRL-Flow's limit of detection is 2.8e-5
    "P1": (800, 100),
    "P2": (400, 30),
    "P3": (5, 0),
    "P4": (4000, 25),
}


def _results():
    for patient, counts in COUNTS.items():
        for (panel, cells), count in zip(CELLS.items(), counts, strict=True):
            seen = count >= 20
            yield mrd_result(
                patient_id=patient,
                panel=panel,
                assay=Assay.FLOW,
                collected_on=date(2026, 3, 1),
                numerator=float(count),
                denominator=float(cells),
                value=count / cells,
                ci_low=0.8 * count / cells,
                ci_high=1.2 * (count + 3) / cells,
                lod=27.88 / cells,
                loq=50 / cells,
                status=Status.DETECTED if seen else Status.NOT_DETECTED,
                reason=Reason.AT_OR_ABOVE_DECISION_COUNT if seen else Reason.BELOW_DECISION_COUNT,
            )


@pytest.fixture
def data():
    results = tuple(_results())
    found = comparisons(results)
    return ReportData(
        study_id="T1",
        title="Trial",
        timepoints=(TimepointLabel(code="ASCT", label="After transplant"),),
        thresholds=(1e-5,),
        results=results,
        comparisons=tuple(r for c in found for r in comparison_rows(c, [1e-5])),
        pairs=tuple(r for c in found for r in pair_rows(c, 1e-5)),
        provenance=Provenance(version="0", config_sha256="0" * 64, plan_sha256="0" * 64),
    )


def test_a_pair_with_a_limit_above_the_threshold_is_indeterminate(data):
    (found,) = compared_methods(data, load_wording())
    assert (found.x, found.y, found.pairs) == ("EuroFlow", "SRL-Flow", 4)
    assert found.cells == (3, 0, 0, 0)
    assert found.indeterminate == 1
    assert found.values == ()


def test_kappa_stands_beside_agreement_and_says_why_it_is_missing(data):
    (found,) = compared_methods(data, load_wording())
    shares = dict(found.shares)
    assert shares["overall"].startswith("100.0 % (")
    assert shares["kappa"] == "a method has one class only"


def test_a_patient_reads_whether_counting_explains_the_difference(data):
    notes = {p: compared_pairs(data, p, load_wording())[0].note for p in COUNTS}
    assert notes["P1"] == "Same reading; the intervals overlap."
    assert notes["P3"] == "Different readings; the intervals overlap, so counting alone can explain it."
    assert notes["P4"] == "Same reading; the values differ by more than counting explains."


def test_pages_show_the_comparison(data, tmp_path):
    write_report(data, tmp_path)
    cohort = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<h2 id="compared">Methods compared</h2>' in cohort
    assert "built-in method" not in cohort
    patient = (tmp_path / "patients" / "P3.html").read_text(encoding="utf-8")
    assert "counting alone can explain it" in patient
