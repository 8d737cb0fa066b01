"""Errors say where, what and how to mend it, and keep a terminal safe."""

from pipeline.errors import (
    InputRefused,
    NadirError,
    Problem,
    SheetRefused,
    TasksFailed,
    UsageError,
    printable,
)


def test_message_names_place_cause_expectation_and_remedy():
    error = InputRefused(
        "unknown material",
        path="s.csv",
        line=14,
        column="material",
        expected="plasma",
        remedy="correct the cell",
    )
    assert str(error) == (
        "s.csv, line 14, column 'material': unknown material. Expected: plasma. Remedy: correct the cell."
    )


def test_table_error_counts_what_it_holds():
    problem = Problem(line=2, column="sex", code="bad_sex", cause="sex must be F or M", remedy="correct it")
    assert "and 1 more problem)" in str(SheetRefused("s.csv", [problem, problem]))
    assert "and 2 more problems)" in str(SheetRefused("s.csv", [problem] * 3))
    assert "more problem" not in str(SheetRefused("s.csv", [problem]))


def test_exit_codes_are_the_documented_ones():
    assert UsageError("x").exit_code == 2
    assert InputRefused("x").exit_code == 3
    assert TasksFailed("x").exit_code == 4
    assert all(issubclass(t, NadirError) for t in (UsageError, InputRefused, TasksFailed))


def test_file_name_cannot_steer_the_terminal():
    assert "\x1b" not in str(InputRefused("damaged", path="a\x1b[2J.fastq"))
    assert printable("a\r\nb") == "a\\r\\nb"
