"""Pairs of methods of a batch: who is paired with whom, and that nothing is lost or pooled."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.concordance import comparison_rows, comparisons, pair_rows
from pipeline.model import Assay, Material, Reason, Status
from results import mrd_result


def one(patient, timepoint, assay, panel="", count=50, *, material=Material.BONE_MARROW, target="clone"):
    """A result of 5 million cells; below 20 events not detected."""
    detected = count >= 20
    return mrd_result(
        patient_id=patient,
        timepoint=timepoint,
        assay=assay,
        panel=panel,
        material=material,
        target_id=target,
        numerator=float(count),
        denominator=5e6,
        value=count / 5e6,
        ci_low=0.5 * count / 5e6,
        ci_high=2 * (count + 1) / 5e6,
        lod=5.6e-6,
        loq=1e-5,
        status=Status.DETECTED if detected else Status.NOT_DETECTED,
        reason=Reason.AT_OR_ABOVE_DECISION_COUNT if detected else Reason.BELOW_DECISION_COUNT,
    )


def test_each_two_methods_are_paired_within_a_material_and_across_only_where_they_must():
    found = comparisons(
        [
            one("P1", "IND", Assay.FLOW, "euroflow"),
            one("P1", "IND", Assay.FLOW, "srl"),
            one("P1", "IND", Assay.NGS),
            one("P1", "IND", Assay.CFDNA, material=Material.PLASMA),
            one("P1", "PBSC", Assay.NGS, material=Material.STEM_CELL_PRODUCT),
            one("P1", "PBSC", Assay.FLOW, "euroflow", material=Material.STEM_CELL_PRODUCT),
        ]
    )
    named = {(c.x, c.x_material.value, c.y, c.y_material.value): len(c.pairs) for c in found}
    marrow, graft = "bone_marrow", "stem_cell_product"
    assert named == {
        ("flow:euroflow", marrow, "flow:srl", marrow): 1,
        ("flow:euroflow", marrow, "ngs", marrow): 1,
        ("flow:srl", marrow, "ngs", marrow): 1,
        ("flow:euroflow", marrow, "cfdna", "plasma"): 1,
        ("flow:srl", marrow, "cfdna", "plasma"): 1,
        ("ngs", marrow, "cfdna", "plasma"): 1,
        ("flow:euroflow", graft, "ngs", graft): 1,
    }


def test_the_clone_stands_for_a_sample_with_several_markers():
    rows = [
        one("P1", "IND", Assay.NGS, count=c, target=t) for t, c in (("IGH", 90), ("clone", 60), ("IGK", 30))
    ]
    (found,) = comparisons([*rows, one("P1", "IND", Assay.FLOW, "srl")])
    assert found.pairs.y.numerator.tolist() == [60.0]


def test_a_result_that_says_nothing_is_never_negative():
    silent = replace(
        one("P1", "IND", Assay.NGS),
        status=Status.NOT_EVALUABLE,
        reason=Reason.NO_TRACKABLE_CLONE,
        value=None,
        ci_low=None,
        ci_high=None,
        lod=None,
        loq=None,
    )
    (found,) = comparisons([silent, one("P1", "IND", Assay.FLOW, "srl", count=3)])
    (row,) = pair_rows(found, 1e-5)
    assert (row.x_call, row.y_call) == ("NEG", "IND")
    assert (row.y_value, row.y_lod, row.sampling_compatible) == (None, None, None)
    counts = {r.parameter: r.estimate for r in comparison_rows(found, [1e-5]) if r.population == "all_pairs"}
    assert (counts["ind_pairs"], counts["both_neg"]) == (1, 0)


def test_overlapping_intervals_are_compatible_with_sampling():
    near, far = one("P1", "IND", Assay.NGS, count=60), one("P2", "IND", Assay.NGS, count=5000)
    flow = [one(p, "IND", Assay.FLOW, "srl", count=30) for p in ("P1", "P2")]
    (found,) = comparisons([near, far, *flow])
    assert [r.sampling_compatible for r in pair_rows(found, 1e-5)] == [True, False]


def test_values_are_compared_from_ten_pairs_on():
    rng = np.random.default_rng(1)

    def cohort(patients):
        counts = rng.integers(30, 3000, patients)
        return [
            one(f"P{i}", "IND", *method, count=int(c * f))
            for i, c in enumerate(counts)
            for method, f in (((Assay.FLOW, "srl"), 1.0), ((Assay.NGS, ""), rng.uniform(0.8, 1.25)))
        ]

    few, many = (comparisons(cohort(n))[0] for n in (9, 10))
    assert "passing_bablok" not in {r.method for r in comparison_rows(few, [1e-5])}
    rows = comparison_rows(many, [1e-5])
    assert {"passing_bablok", "censored_mle", "at_threshold", "common_depth"} <= {r.method for r in rows}
    slope = next(r for r in rows if (r.method, r.parameter) == ("passing_bablok", "slope"))
    assert slope.estimate == pytest.approx(1.0, abs=0.25)
    assert (slope.x, slope.y) == ("flow:srl", "ngs")
