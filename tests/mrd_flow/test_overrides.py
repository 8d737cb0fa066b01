"""Overrides are appended, chained, and refused where they cannot mean anything."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mrd_flow.gating.override_file import append_override, read_overrides
from mrd_flow.gating.overrides import Override, check_fit, digest_of, overrides_of
from pipeline.errors import ConfigRefused, UsageError

FIRST = Override(
    tube=1,
    gate="by_CD38",
    dimension="CD38",
    min=0.6,
    author="A12",
    reason='CD38 is dim: "masked"? κ',
    made_on=datetime(2026, 3, 1, 9, 30),
)
POLYGON = Override(
    tube=2,
    gate="singlets",
    vertices=((0.0, 0.0), (3e5, 2.1e5), (3e5, 2.85e5)),
    author="A12",
    reason="doublets",
    made_on=datetime(2026, 3, 1, 9, 31, tzinfo=UTC),
)
BY_HAND = """[[overrides]]
tube = 1
gate = "by_CD38"
dimension = "CD38"
max = 1
author = "A12"
reason = "why"
made_on = "2026-03-01T09:30"
"""


def test_what_is_appended_is_read_back_and_chained(tmp_path):
    path = tmp_path / "o.toml"
    first, second = append_override(path, FIRST), append_override(path, POLYGON)
    assert read_overrides(path) == (first, second)
    assert replace(second, before="") == POLYGON
    assert second.before == digest_of(first)


def test_appending_keeps_every_byte_that_was_there(tmp_path):
    path = tmp_path / "o.toml"
    path.write_text("# by hand\n" + BY_HAND.rstrip("\n"))
    before = path.read_bytes()
    append_override(path, POLYGON)
    assert path.read_bytes().startswith(before)
    assert [o.before == "" for o in read_overrides(path)] == [True, False]


@pytest.mark.parametrize(("old", "new"), [("min = 0.6", "min = 0.5"), ('"A12"', '"A13"'), ("09:30", "09:29")])
def test_a_changed_earlier_entry_is_refused(tmp_path, old, new):
    path = tmp_path / "o.toml"
    append_override(path, FIRST)
    append_override(path, POLYGON)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigRefused, match="entry 2 does not follow from the one before"):
        read_overrides(path)


def test_a_removed_earlier_entry_is_refused(tmp_path):
    path = tmp_path / "o.toml"
    append_override(path, FIRST)
    append_override(path, POLYGON)
    path.write_text(path.read_text().split("\n\n", 1)[1])
    with pytest.raises(ConfigRefused, match="entry 1 does not follow"):
        read_overrides(path)


def test_a_time_may_be_text_or_a_date_of_toml(tmp_path):
    path = tmp_path / "o.toml"
    path.write_text(BY_HAND + BY_HAND.replace('"2026-03-01T09:30"', "2026-03-01T09:30:00"))
    first, second = read_overrides(path)
    assert first == second
    assert (first.min, first.max, first.boundary) == (None, 1.0, "CD38 < 1")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("tube = 1", "tube = true", "tube has a value of the wrong kind"),
        ("tube = 1", "tube = 0", "tube must be 1 or more"),
        ("max = 1", "max = nan", "min and max must be finite"),
        ("max = 1", "max = 1e300", "min and max must be finite"),
        ("max = 1", "max = '1'", "max has a value of the wrong kind"),
        ("max = 1", "max = 1\nmin = 2", "min must lie below max"),
        ("max = 1\n", "", "give a dimension with min or max"),
        ("max = 1", "max = 1\nvertices = [[0, 0], [1, 0], [1, 1]]", "give either vertices or a dimension"),
        ('dimension = "CD38"\nmax = 1', "vertices = [[0, 0], [1, inf], [1, 1]]", "must be finite numbers"),
        ('dimension = "CD38"\nmax = 1', "vertices = [[0, 0], [1, 1]]", "vertices must be 3 to 1000 points"),
        ('dimension = "CD38"\nmax = 1', "vertices = [[0, 0], [1], [1, 1]]", "value of the wrong kind"),
        ('"A12"', '"Taro Yamada"', "author must be a pseudonym"),
        ('"A12"', '"Yamada_Taro"', "author must be a pseudonym"),
        ('"why"', '""', "reason must be a text"),
        ('"why"', '"\\u001b[31m"', "reason must not hold control characters"),
        ('"2026-03-01T09:30"', '"yesterday"', "made_on must be a date and time"),
        ('"2026-03-01T09:30"', "7", "made_on must be a date and time"),
        ('author = "A12"\n', "", "lacks author"),
        ("max = 1", "max = 1\ncolour = 3", "has an unknown key"),
        ("max = 1", 'max = 1\nbefore = "x"', "before must be the SHA-256"),
        ("[[overrides]]", "[overrides]", r"something else than \[\[overrides\]\]"),
        ("[[overrides]]", "x = 1\n[[overrides]]", r"something else than \[\[overrides\]\]"),
    ],
)
def test_hostile_entries_are_refused(tmp_path, old, new, why):
    path = tmp_path / "o.toml"
    path.write_text(BY_HAND.replace(old, new, 1))
    with pytest.raises(ConfigRefused, match=why) as refused:
        read_overrides(path)
    assert "Yamada" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_a_file_that_is_no_list_of_overrides_is_refused(tmp_path):
    path = tmp_path / "o.toml"
    with pytest.raises(ConfigRefused, match="cannot be read"):
        read_overrides(path)
    path.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigRefused, match="is larger than"):
        read_overrides(path)
    with pytest.raises(ConfigRefused, match="is larger than"):
        append_override(path, FIRST)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"tube": 3}, "panel euroflow has 2 tube"),
        ({"gate": "nonesuch"}, "no such gate in tube 1; there are singlets"),
        ({"dimension": "CD19"}, "no such dimension; it has CD38"),
        ({"gate": "singlets"}, "is a polygon: it takes vertices"),
    ],
)
def test_overrides_of_what_the_panel_does_not_have_are_refused(euroflow, change, why):
    check_fit([FIRST, POLYGON], euroflow)
    with pytest.raises(UsageError, match=why):
        check_fit([replace(FIRST, **change)], euroflow)


def test_a_rectangle_takes_no_vertices(euroflow):
    with pytest.raises(UsageError, match="override 2: gate 'by_CD38' is a rectangle"):
        check_fit([FIRST, replace(POLYGON, gate="by_CD38")], euroflow)


def test_the_last_override_of_a_boundary_counts():
    later = replace(FIRST, min=0.7)
    other = replace(FIRST, dimension="CD138")
    assert overrides_of([FIRST, POLYGON, other, later], 1) == (later, other)
