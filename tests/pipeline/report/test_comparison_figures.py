"""Figures of comparisons: every pair is drawn as what it is, and none that says nothing."""

import re
from dataclasses import replace
from string import Formatter

import numpy as np
import pytest

from pipeline.concordance import Pairs, curve, pair_readings, tabulate
from pipeline.concordance.simulate import simulate_trial
from pipeline.concordance.variants import Observation, compare_variants
from pipeline.detection.study import run_study
from pipeline.detection.study_rows import StudyGoals, StudyResults
from pipeline.report.figure_style import image_of
from pipeline.report.figures.alleles import allele_figure
from pipeline.report.figures.assay_limits import hit_rate_figure, linearity_figure, precision_figure
from pipeline.report.figures.inline import inline_svg
from pipeline.report.figures.readings import agreement_curve_figure, mosaic_figure
from pipeline.report.figures.values import bland_altman_figure, comparison_figure
from pipeline.report.figures.words import figure_words, worded_style

WORDS = figure_words()


@pytest.fixture(scope="module")
def pairs():
    trial = simulate_trial(np.random.default_rng(4), patients=30)
    return Pairs(patients=trial.patients, x=trial.results["flow:srl"], y=trial.results["ngs"])


@pytest.fixture(scope="module")
def compared(pairs):
    with worded_style():
        return image_of(comparison_figure(pairs, "flow:srl", "ngs", WORDS)).decode()


def drawn(svg, gid):
    """Marks of a group."""
    match = re.search(rf'<g id="{gid}">(.*?)</g>\n', svg, flags=re.DOTALL)
    return 0 if match is None else match[1].count("<use")


def test_every_evaluable_pair_is_a_point_or_an_arrow_and_no_other_is_drawn(pairs, compared):
    both = pairs.x.evaluable & pairs.y.evaluable
    assert not both.all()
    x, y = pairs.x.detected[both], pairs.y.detected[both]
    counts = {"both_detected": x & y, "x_bound": ~x & y, "y_bound": x & ~y, "both_bound": ~x & ~y}
    assert {k: drawn(compared, k) for k in counts} == {k: int(v.sum()) for k, v in counts.items()}
    assert f"{int((~(x & y)).sum())} of {int(both.sum())} pairs left out" in compared


def test_three_lines_carry_their_slopes_and_limits_their_bands(compared):
    for gid in ("passing_bablok", "deming", "censored_mle", "lod_x", "lod_y"):
        assert f'id="{gid}"' in compared
    assert len(re.findall(r"slope \d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)", compared)) == 3


def test_same_pairs_same_bytes(pairs, compared):
    with worded_style():
        assert image_of(comparison_figure(pairs, "flow:srl", "ngs", WORDS)).decode() == compared


def test_mosaic_prints_every_count_and_the_indeterminate_beside_it(pairs):
    with worded_style():
        svg = image_of(mosaic_figure(pairs, "a", "b", (1e-5, 1e-6), WORDS)).decode()
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    for threshold in (1e-5, 1e-6):
        table = tabulate(pair_readings(pairs, threshold))
        cells = (table.both_pos, table.x_only, table.y_only, table.both_neg)
        assert all(str(n) in shown for n in cells if n)
        assert f"IND {table.indeterminate}" in shown


def test_pairs_that_say_nothing_give_a_figure_that_says_so(pairs):
    silent = replace(
        pairs.x, evaluable=np.zeros(len(pairs), np.bool_), detected=np.zeros(len(pairs), np.bool_)
    )
    nothing = Pairs(patients=pairs.patients, x=silent, y=pairs.y)
    with worded_style():
        svg = image_of(comparison_figure(nothing, "a", "b", WORDS)).decode()
        limits = image_of(bland_altman_figure(nothing, "a", "b", WORDS)).decode()
        along = image_of(agreement_curve_figure(curve(nothing), "a", "b", WORDS)).decode()
    assert WORDS["no_pair"] in svg
    assert "no limits: " in limits
    assert "no expected agreement: " in along


def test_expected_agreement_is_drawn_with_its_band(pairs):
    with worded_style():
        svg = image_of(agreement_curve_figure(curve(pairs), "a", "b", WORDS)).decode()
    assert 'id="expected"' in svg
    assert WORDS["expected_band"] in svg


def test_a_name_from_the_data_is_text_and_never_markup(pairs):
    with worded_style():
        figure = bland_altman_figure(pairs, "<script>", "b\n\x1b", WORDS)
        svg = inline_svg(figure, "one", 'a "b" <c>')
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert 'aria-label="a &#34;b&#34; &lt;c&gt;"' in svg


def test_inline_figures_need_no_style_and_share_no_id(pairs):
    with worded_style():
        made = [inline_svg(bland_altman_figure(pairs, "a", "b", WORDS), n, n) for n in ("one", "two")]
    assert not any("style=" in svg or "<style" in svg or "<metadata" in svg for svg in made)
    first, second = (set(re.findall(r'\bid="([^"]+)"', svg)) for svg in made)
    assert not first & second
    for svg, ids in zip(made, (first, second), strict=True):
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= ids
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        inline_svg(None, "a b", "")


def test_variants_are_points_of_their_class_and_those_without_depth_are_counted():
    def seen(depth, alt):
        return Observation(depth=depth, alt=alt, called=alt > 1)

    marrow = {("chr1", i, "A", "G"): seen(500, 200) for i in range(5)}
    plasma = {key: seen(900, 0 if key[1] == 4 else 90) for key in marrow if key[1] != 3}
    rows = compare_variants(marrow, plasma)
    with worded_style():
        svg = image_of(allele_figure(rows, marrow, plasma, 0.25, WORDS)).decode()
    assert "shared (3)" in svg
    assert "marrow only, plasma would have shown it (1)" in svg
    assert "1 of 5 variants not shown" in svg


def test_limits_of_a_study_stand_in_its_figures():
    rng = np.random.default_rng(5)
    levels = np.repeat([0.0, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 1e-3], 30)
    values = rng.poisson(levels * 1e6) / 1e6
    size = len(levels)
    results = StudyResults(
        level=levels,
        value=values,
        detected=(values > 0).astype(np.int8),
        lot=("",) * size,
        sample=("",) * size,
    )
    goals = StudyGoals(resamples=100)
    study = run_study(results, goals, rng=rng)
    with worded_style():
        profile = image_of(precision_figure(results, study, goals, WORDS)).decode()
        hits = image_of(hit_rate_figure(study, WORDS)).decode()
        line = image_of(linearity_figure(results, study, goals, WORDS)).decode()
    assert WORDS["cv_line"] in profile
    assert "limit of quantification" in profile
    assert "limit of detection, one target suffices: 3" in hits
    assert WORDS["results"] in line


def test_both_languages_have_the_same_words_with_the_same_places():
    english, japanese = WORDS, figure_words("ja")
    assert english.keys() == japanese.keys()
    for key in english:
        places = [
            {field for _, field, _, _ in Formatter().parse(w[key]) if field} for w in (english, japanese)
        ]
        assert places[0] == places[1], key
    with pytest.raises(ValueError, match="figures speak en and ja"):
        figure_words("xx")


def test_japanese_words_are_drawn_without_a_font_for_them(pairs):
    with worded_style():
        svg = image_of(mosaic_figure(pairs, "a", "b", (1e-5,), figure_words("ja"))).decode()
    assert "判定不能" in svg


def test_a_cloud_of_points_is_one_element_of_a_page_and_loses_none(pairs):
    seen = pairs.x.evaluable & pairs.y.evaluable & pairs.x.detected & pairs.y.detected
    with worded_style():
        svg = inline_svg(bland_altman_figure(pairs, "a", "b", WORDS), "one", "one")
    cloud = re.search(r'<g id="one-pairs">(.*?)</g>\n', svg, flags=re.DOTALL)
    assert cloud[1].count("h0") == int(seen.sum())
    assert cloud[1].count("<path") == 1 + 1  # the dot's own shape, and the cloud
