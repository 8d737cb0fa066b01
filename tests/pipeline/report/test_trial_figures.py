"""Figures of a trial hold the numbers of its tables."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from clinical_tables import write_trial
from pipeline.clinical.levels import Level
from pipeline.clinical.phase_endpoints import phase_levels, phases_in_order
from pipeline.clinical.time_endpoints import observations
from pipeline.clinical.trial import Trial
from pipeline.report import Provenance, ReportData, TimepointLabel, write_report
from pipeline.report.figure_style import image_of
from pipeline.report.figures.response_flow import response_figure
from pipeline.report.figures.survival_curves import incidence_figure, survival_figure
from pipeline.report.figures.trial import trial_figures
from pipeline.report.figures.words import figure_words, worded_style
from pipeline.workflow.clinical_tables import configured_trial, named_files, read_trial
from pipeline.workflow.config import ClinicalTables
from results import mrd_result

WORDS = figure_words()


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    write_trial(folder, patients=14, visits=6, rng=np.random.default_rng(8))
    read, _ = read_trial(named_files(folder), rules="imwg2016")
    return read


@pytest.fixture(scope="module")
def drawn(trial):
    with worded_style():
        made = {name: make() for name, make in trial_figures(trial, 1e-5, WORDS).items()}
        return {name: image_of(figure).decode() for name, figure in made.items()}


def texts(svg):
    return re.findall(r"<(?:text|tspan)[^>]*>([^<]+)</", svg)


def test_every_figure_of_the_protocol_is_made_from_the_tables_that_are_there(trial, drawn):
    assert set(drawn) == {
        "survival", "first_event", "second_neoplasm", "swimmer", "response", "oncoprint", "courses_01",
    }  # fmt: skip
    assert trial_figures(Trial(patients=trial.patients), 1e-5, WORDS) == {}


def test_risk_table_counts_who_is_left_and_the_legend_who_had_the_event(trial, drawn):
    pfs = [o for o in observations(trial) if o.endpoint == "PFS"]
    shown = texts(drawn["survival"])
    assert f"PFS: 14 patients, {sum(o.event for o in pfs)} events" in shown
    for months in (0, 24, 36):
        assert str(sum(o.time >= months for o in pfs)) in shown


def test_alluvial_shows_every_enrolled_patient_in_every_phase(trial):
    phases, levels = phases_in_order(trial), phase_levels(trial)
    with worded_style():
        svg = image_of(response_figure(phases, levels, trial.enrolled, WORDS)).decode()
    expected = Counter()
    for phase in phases:
        column = Counter(levels[phase].get(p, Level.NE) for p in trial.enrolled)
        names = {level: "n/e" if level is Level.NE else level.label for level in column}
        expected.update(f"{names[level]} {count}" for level, count in column.items())
    assert Counter(t for t in texts(svg) if re.fullmatch(r"(sCR|CR|VGPR|PR|MR|SD|PD|n/e) \d+", t)) == expected


def test_swimmer_counts_its_signs(trial, drawn):
    progressed = sum(o.progressed_on is not None for o in trial.outcomes)
    died = sum(o.died_on is not None for o in trial.outcomes)
    shown = texts(drawn["swimmer"])
    assert f"progression ({progressed})" in shown
    assert f"followed ({14 - died})" in shown
    assert "Time on the trial, 14 patients" in shown


def test_lesions_not_evaluable_are_in_no_share(drawn):
    shown = texts(drawn["oncoprint"])
    assert "7/13  54%" in shown
    assert "3/13  23%" in shown


def test_courses_name_every_patient_and_the_methods_read(trial, drawn):
    shown = texts(drawn["courses_01"])
    assert set(trial.enrolled) <= set(shown)
    assert any(t.startswith("Below the line: MRD readings of ") for t in shown)


def test_incidences_end_at_their_aalen_johansen_estimates():
    times = np.array([1.0, 2, 3, 4, 5, 6])
    causes = np.array([1.0, 2, 0, 1, 0, 0])
    with worded_style():
        svg = image_of(incidence_figure(times, causes, ("a", "b"), "t", WORDS)).decode()
    assert "a: 38.9 % at the end" in svg  # 1/6 + 4/6 x 1/3
    assert "b: 16.7 % at the end" in svg


def test_nobody_and_no_event_give_figures_that_say_so():
    with worded_style():
        nobody = image_of(survival_figure({"PFS": []}, "t", WORDS)).decode()
        quiet = image_of(incidence_figure(np.array([5.0]), np.array([0.0]), ("a", "b"), "t", WORDS)).decode()
        unseen = image_of(response_figure(["ASCT"], {}, ["P1"], WORDS)).decode()
    assert "PFS: 0 patients, 0 events" in texts(nobody)
    assert "a: 0.0 % at the end" in texts(quiet)
    assert "n/e 1" in texts(unseen)


def test_cohort_page_shows_survival_and_responses_where_there_are_clinical_tables(trial, tmp_path):
    data = ReportData(
        study_id="T1",
        title="Trial",
        timepoints=(TimepointLabel(code="ASCT", label=""),),
        thresholds=(1e-5,),
        results=(mrd_result(patient_id="T001"),),
        provenance=Provenance(version="0", config_sha256="0" * 64, plan_sha256="0" * 64),
    )
    write_report(replace(data, trial=trial), tmp_path / "with")
    write_report(data, tmp_path / "without")
    page = (tmp_path / "with" / "index.html").read_text(encoding="utf-8")
    assert page.count('<figure><svg class="drawn"') == 2
    assert "PFS: 14 patients" in page
    assert 'id="clinical"' not in (tmp_path / "without" / "index.html").read_text(encoding="utf-8")


def test_refused_clinical_table_is_said_and_costs_no_page(tmp_path):
    path = tmp_path / "baseline.csv"
    path.write_text("patient_id\nP1\n")
    trial, notes = configured_trial(ClinicalTables(baseline=path))
    assert trial is None
    assert notes[0].startswith("The clinical tables cannot be shown: ")
    assert configured_trial(ClinicalTables()) == (None, ())
