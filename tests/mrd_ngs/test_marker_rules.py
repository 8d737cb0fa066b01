"""Marker rules come from a versioned file, each with its citation, and say what they could not test."""

from pathlib import Path

import pytest

from mrd_ngs.marker_rules import Figures, MarkerRules, load_rules, rules_of, rules_path
from mrd_ngs.settings import NgsSettings
from pipeline.errors import ConfigRefused, UsageError
from pipeline.formats.shipped import shipped_names

RULES = ("share_of_locus", "fraction_of_cells", "templates", "next_decade", "background")
DEFAULT = rules_path("nadir_default").read_text()

# Second transcription, from the notes on the sources and not from the files: threshold, verified.
PUBLISHED = {
    "nadir_default": [(0.05, False), (0.002, True), (40, True), (5, True), (1e-6, False)],
    "clonoseq_like": [(0.03, True), (0.002, True), (40, True), (5, True), None],
    "euroclonality_like": [(0.05, False), None, None, None, None],
}


def figures(**changes: float | None) -> Figures:
    at_the_threshold = {
        "share_of_locus": 0.05,
        "fraction_of_cells": 0.002,
        "templates": 40.0,
        "next_decade": 5,
        "background": 1e-6,
    }
    return Figures(**{**at_the_threshold, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_rules_are_the_published_numbers_each_with_a_citation(name: str) -> None:
    rules = load_rules(name)
    found = [getattr(rules, rule) for rule in RULES]
    assert [r and (r.threshold, r.verified) for r in found] == PUBLISHED[name]
    assert all(len(r.citation) > 20 for r in found if r)
    assert rules.id == name
    assert rules.name == f"{name} 1"


def test_every_shipped_file_is_transcribed_here() -> None:
    assert shipped_names("marker_rules") == tuple(sorted(PUBLISHED))


def test_what_lies_on_every_threshold_is_taken() -> None:
    verdict = load_rules("nadir_default").judge(figures())
    assert verdict.failed == ()
    assert verdict.untested == ()
    assert len(verdict.passed) == 5
    assert verdict.passed[0] == "5 % of its locus' reads (rule: at least 5 %, unverified)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"share_of_locus": 0.0499}, "5 % of its locus' reads (rule: at least 5 %, unverified)"),
        ({"fraction_of_cells": 0.001}, "0.1 % of nucleated cells (rule: at least 0.2 %)"),
        ({"templates": 39.0}, "39 templates (rule: at least 40)"),
        ({"next_decade": 6}, "6 other sequences in the next decade of frequency (rule: at most 5)"),
        (
            {"background": 2e-6},
            "other clones expected to share its window: 2e-06 of nucleated cells "
            "(rule: at most 1e-06, unverified)",
        ),
    ],
)
def test_each_rule_fails_by_itself_and_says_why(change: dict[str, float], words: str) -> None:
    assert load_rules("nadir_default").judge(figures(**change)).failed == (words,)


def test_what_is_not_known_is_not_tested_and_named() -> None:
    unknown = figures(templates=None, fraction_of_cells=None, background=None)
    verdict = load_rules("nadir_default").judge(unknown)
    assert verdict.untested == ("templates", "cells", "other clones with its window")
    assert verdict.failed == ()


def test_background_without_a_rule_is_said_and_refuses_nothing() -> None:
    verdict = load_rules("clonoseq_like").judge(figures(background=0.01))
    assert verdict.failed == ()
    assert verdict.passed[-1] == (
        "other clones expected to share its window: 1e-02 of nucleated cells "
        "(own model, unverified; no rule in this set)"
    )


def test_three_percent_are_enough_for_one_set_only() -> None:
    assert load_rules("clonoseq_like").judge(figures(share_of_locus=0.03)).failed == ()
    assert load_rules("euroclonality_like").judge(figures(share_of_locus=0.03)).failed


def test_settings_name_the_rule_set() -> None:
    assert rules_of(NgsSettings()) == load_rules("nadir_default")
    assert rules_of(NgsSettings(marker_rules="clonoseq_like")).name == "clonoseq_like 1"
    with pytest.raises(UsageError, match="no marker rules of that name"):
        rules_of(NgsSettings(marker_rules="strictest"))


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(DEFAULT.replace('"nadir_default"', '"laboratory"').replace("= 0.05", "= 0.1"))
    rules: MarkerRules = load_rules(path)
    assert (rules.id, rules.share_of_locus.threshold) == ("laboratory", 0.1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("threshold = 0.05", "threshold = 5", r"'share_of_locus.threshold': Input should be less than 1"),
        ("threshold = 0.05", "threshold = nan", r"'share_of_locus.threshold'.*finite"),
        ("threshold = 0.05", "", r"'share_of_locus.threshold': Field required"),
        ("threshold = 40", 'threshold = "40"', r"'templates.threshold'.*valid number.*Remedy"),
        ("threshold = 40", "threshold = -1", r"'templates.threshold'.*greater than or equal to 0"),
        ("[templates]", "[molecules]", r"'molecules': unknown key"),
        ('id = "nadir_default"', 'id = "N D"', r"'id': String should match pattern"),
        ("date = 2026-11-25", 'date = "soon"', r"'date'.*valid date"),
        ("date = 2026-11-25", "date = soon", r"not TOML"),
        ("verified = false", 'verified = "yes"', r"verified'.*valid boolean"),
    ],
)
def test_hostile_files_are_refused_with_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(DEFAULT.replace(old, new))
    with pytest.raises(ConfigRefused, match=message):
        load_rules(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match=r"absent\.toml: cannot be read"):
        load_rules(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigRefused, match="is not UTF-8 text"):
        load_rules(binary)


@pytest.mark.parametrize("name", ["", "strictest", "../nadir_default", "nadir_default.json"])
def test_unknown_names_are_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="clonoseq_like, euroclonality_like, nadir_default; or give a file"):
        load_rules(name)
