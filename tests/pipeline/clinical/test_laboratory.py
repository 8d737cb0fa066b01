"""Laboratory tables: what is mended and said, what is refused with its line."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical.baseline import BASELINE_COLUMNS
from pipeline.clinical.catalogue import TESTS
from pipeline.clinical.endpoints import TIME_COLUMNS
from pipeline.clinical.laboratory import LAB_COLUMNS, labs_from_table
from pipeline.errors import SheetRefused
from pipeline.formats.delimited import Record, Table


def labs(*rows: tuple[str, ...], columns: tuple[str, ...] = LAB_COLUMNS):
    records = tuple(Record(i, row) for i, row in enumerate(rows, start=2))
    table = Table(delimiter=",", header=Record(1, columns), records=records, problems=())
    return labs_from_table(table, path="labs.csv")


def row(test: str, value: str, unit: str = "", day: str = "2024-01-02", patient: str = "P01"):
    return (patient, day, test, value, unit, "s:1")


@pytest.mark.parametrize(
    ("test", "value", "unit", "expected", "note"),
    [
        ("serum_m_protein", "40", "g/L", "4 g/dL", "converted to 4 g/dL"),
        ("serum_m_protein", "4000", "mg/dL", "4 g/dL", "converted to 4 g/dL"),
        ("serum_m_protein", "2000", "mg/L", "0.2 g/dL", "converted to 0.2 g/dL"),
        ("urine_m_protein_24h", "0.2", "g/24 h", "200 mg/24h", "converted to 200 mg/24h"),
        ("flc_kappa", "10", "mg/dL", "100 mg/L", "converted to 100 mg/L"),
        ("plasmacytoma_spd", "510", "mm2", "5.1 cm2", "converted to 5.1 cm2"),
        ("serum_m_protein", "0,7", "g/dL", "0.7 g/dL", "decimal comma, read as 0.7 g/dL"),
        ("serum_m_protein", "<0,03", "g/dL", "<0.03 g/dL", "decimal comma, read as <0.03 g/dL"),
    ],
)
def test_unit_and_decimal_comma_are_mended_and_said(test, value, unit, expected, note):
    table = labs(row(test, value, unit))
    quantity = table.values[0].quantity
    assert quantity is not None
    assert quantity.shown == expected
    assert table.notes == (f"line 2: {note}",)


def test_value_as_it_should_be_needs_no_note():
    table = labs(row("serum_m_protein", "< 0.03", "g/dL"), row("serum_ife", "igg-k; K"))
    assert table.notes == ()
    by_test = {v.test: v for v in table.values}
    quantity = by_test["serum_m_protein"].quantity
    assert quantity is not None
    assert (quantity.low, quantity.high) == (0, Decimal("0.03"))
    assert by_test["serum_ife"].words == ("IgG-K", "K")


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        (row("serum_m_protein", "-1", "g/dL"), "value", "negative"),
        (row("serum_m_protein", "1,234", "mg/dL"), "value", "ambiguous_comma"),
        (row("serum_m_protein", "", "g/dL"), "value", "value_missing"),
        (row("serum_m_protein", "trace", "g/dL"), "value", "not_a_number"),
        (row("serum_m_protein", ">20", "g/dL"), "value", "not_a_number"),
        (row("serum_m_protein", "NaN", "g/dL"), "value", "not_a_number"),
        (row("serum_m_protein", "40", "g/dL"), "value", "impossible"),
        (row("bm_plasma_cell_percent", "101", "%"), "value", "impossible"),
        (row("serum_m_protein", "4", ""), "unit", "unit_missing"),
        (row("serum_m_protein", "4", "U/L"), "unit", "unit_unknown"),
        (row("serum_ife", "faint"), "value", "unknown_answer"),
        (row("isotype", "IgG-K;K"), "value", "unknown_answer"),
        (row("new_lesion", "1"), "value", "unknown_answer"),
        (row("m_spike", "4", "g/dL"), "test", "unknown_test"),
        (row("serum_m_protein", "4", "g/dL", day=""), "date", "date_missing"),
        (row("serum_m_protein", "4", "g/dL", day="02/03/2024"), "date", "ambiguous_date"),
        (row("serum_m_protein", "4", "g/dL", patient="Yamada Taro"), "patient_id", "personal_identifier"),
        (("P01", "2024-01-02"), None, "cell_count"),
    ],
)
def test_bad_row_is_refused_with_line_and_remedy(cells, column, code):
    with pytest.raises(SheetRefused, match=r"labs\.csv, line 3") as refused:
        labs(row("ldh", "200", "U/L"), cells)
    (problem,) = refused.value.problems
    assert (problem.line, problem.column, problem.code) == (3, column, code)
    assert problem.remedy
    assert "Yamada" not in str(refused.value)


def test_two_values_on_a_day_are_one_where_they_are_the_same_and_refused_where_not():
    same = labs(row("serum_m_protein", "4.0", "g/dL"), row("serum_m_protein", "40", "g/L"))
    assert len(same.values) == 1
    assert "line 3: the same serum_m_protein as on line 2; counted once" in same.notes
    with pytest.raises(SheetRefused, match="stands on line 2"):
        labs(row("serum_m_protein", "4.0", "g/dL"), row("serum_m_protein", "4.1", "g/dL"))


def test_second_isotype_of_a_patient_is_refused():
    with pytest.raises(SheetRefused, match="another isotype"):
        labs(row("isotype", "IgG-K"), row("isotype", "IgA-L", day="2024-02-02"))


def test_every_problem_is_named_at_once():
    with pytest.raises(SheetRefused, match="1 more problem") as refused:
        labs(row("serum_m_protein", "-1", "g/dL"), row("new_lesion", "?"))
    assert [p.line for p in refused.value.problems] == [2, 3]


def test_absent_column_is_refused():
    with pytest.raises(SheetRefused, match="missing or stands twice"):
        labs(("P01",), columns=("patient_id",))


def test_dates_out_of_order_mean_nothing():
    rows = [row("ldh", "200", "U/L", day=f"2024-0{m}-01") for m in (3, 1, 2)]
    assert [v.day.month for v in labs(*rows).values] == [1, 2, 3]


def test_every_unit_of_the_catalogue_is_lower_case_and_its_own_unit_is_one():
    for test, kind in TESTS.items():
        if kind.factors is not None and kind.unit is not None:
            assert all(u == u.lower() for u in kind.factors), test
            assert kind.factors[kind.unit.lower()] == 1, test


def test_documentation_lists_every_test_and_every_column() -> None:
    page = (Path(__file__).parents[3] / "docs" / "methods" / "response.md").read_text(encoding="utf-8")
    tables = page[page.index("## Tables") : page.index("## Response")]
    named = set(re.findall(r"`([a-z0-9_]+)`", tables))
    assert set(TESTS) <= named
    assert set(BASELINE_COLUMNS) <= named
    assert f"`{','.join(LAB_COLUMNS)}`" in tables
    assert f"`{','.join(TIME_COLUMNS)}`" in tables
