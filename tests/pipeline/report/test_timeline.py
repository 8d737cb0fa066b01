"""Where signs stand in a patient's figure: values at their height, negatives as bounds."""

import math
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_trial import SEVEN, trial

from pipeline.model import Status
from pipeline.report.rows import result_rows
from pipeline.report.timeline import PLOT_HEIGHT, TOP, spread, timeline
from pipeline.report.wording import load_wording

WORDING = load_wording()


def figure(patient="P01", data=None):
    data = data or trial()
    own = [r for r in result_rows(data, WORDING) if r.result.patient_id == patient]
    return timeline(own, data.thresholds)


def height(fraction):
    return TOP + PLOT_HEIGHT * math.log10(fraction) / -7


def test_detected_value_stands_at_its_logarithm_within_its_interval():
    marks = [m for m in figure().marks if m.kind == "value"]
    assert len(marks) == 9
    for mark in marks:
        assert mark.y == pytest.approx(height(mark.row.result.value), abs=0.01)
        assert mark.high_y <= mark.y <= mark.low_y  # y grows downwards


def test_negative_is_a_bound_at_its_limit_and_never_a_zero():
    marks = [m for m in figure().marks if m.row.result.status is Status.NOT_DETECTED]
    assert [m.kind for m in marks] == ["bound"] * 3
    for mark in marks:
        assert mark.y == pytest.approx(height(mark.row.result.lod), abs=0.01)
        assert mark.y < TOP + PLOT_HEIGHT


@pytest.mark.parametrize("patient", ["P01", "P02", "P03", "P04"])
def test_every_result_with_a_limit_shows_it(patient):
    marks = figure(patient).marks
    assert len(marks) == 12
    assert all((m.lod_y is None) == (m.row.result.lod is None) for m in marks)


def test_indeterminate_stands_at_its_limit_and_not_evaluable_below_the_axis():
    kinds = {m.row.result.status: m.kind for m in figure("P03").marks}
    assert kinds[Status.INDETERMINATE] == "unclear"
    assert kinds[Status.NOT_EVALUABLE] == "absent"
    assert all(m.y > TOP + PLOT_HEIGHT for m in figure("P03").marks if m.kind == "absent")


def test_values_of_one_visit_do_not_overlap():
    drawn = figure("P002", trial(172, visits=SEVEN))
    xs = sorted(m.x for m in drawn.marks)
    assert min(b - a for a, b in pairwise(xs)) > 14


def test_nothing_is_joined_across_materials_or_through_an_indeterminate_result():
    seven = figure("P002", trial(172, visits=SEVEN))
    harvest = {m.x for m in seven.marks if m.row.result.timepoint == "PBSC"}
    assert not harvest & {x for line in seven.lines for x in (line.x1, line.x2)}
    unclear = {m.x for m in figure("P04").marks if m.kind == "unclear"}
    assert unclear
    assert not unclear & {x for line in figure("P04").lines for x in (line.x1, line.x2)}


def test_line_to_a_bound_is_dashed():
    lines = figure("P01").lines
    assert [line.dashed for line in sorted(lines, key=lambda one: one.x1)] == [False] * 6 + [True] * 3


def test_material_other_than_marrow_is_named_at_its_visit():
    columns = figure("P002", trial(172, visits=SEVEN)).columns
    assert [c.material for c in columns] == ["", "", "stem-cell product", "", "", "", ""]


def test_visits_far_apart_stand_at_their_dates_and_close_ones_are_moved():
    for column in figure("P01").columns:
        assert column.x == column.ruler_x
    data = trial()
    near = tuple(
        replace(r, collected_on=data.results[0].collected_on + timedelta(days=i // 3))
        for i, r in enumerate(r for r in data.results if r.patient_id == "P01")
    )
    xs = [c.x for c in figure("P01", replace(data, results=near)).columns]
    assert min(b - a for a, b in pairwise(xs)) >= 84


def test_single_visit_and_single_day_are_drawn():
    data = trial()
    one = replace(data, results=data.results[:3])
    assert len(figure("P01", one).columns) == 1
    assert [t.text for t in figure("P01", one).ruler] == ["0"]


def test_limit_below_the_axis_lowers_the_axis():
    data = trial()
    deep = replace(data.results[9], lod=3e-8)
    drawn = figure("P01", replace(data, results=(deep,)))
    assert drawn.decades[0].text == "1e-8"
    assert drawn.plot_top <= drawn.marks[0].lod_y <= drawn.plot_bottom


def test_patient_without_results_has_no_figure():
    assert timeline([], (1e-5,)) is None


@given(
    st.lists(st.floats(0, 500), min_size=1, max_size=12).map(sorted),
    st.floats(1, 120),
)
def test_spread_keeps_order_gap_and_room(wanted, gap):
    placed = spread(wanted, gap, 0, 500)
    room = gap if len(wanted) == 1 else min(gap, 500 / (len(wanted) - 1))
    assert len(placed) == len(wanted)
    assert all(b - a >= room - 0.02 for a, b in pairwise(placed))
    assert placed[0] >= -0.02
    assert placed[-1] <= 500.02
