"""MRD results for the endpoints: from a batch's result rows, or from a table of them."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from pipeline.clinical.table_rows import Cells, Rows, read_rows
from pipeline.clinical.trial import MrdReading
from pipeline.formats.delimited import Table
from pipeline.formats.sheet_cells import Refusal
from pipeline.model import Material, MrdResult, Status

__all__ = ["MRD_COLUMNS", "mrd_from_results", "mrd_from_table"]

MRD_COLUMNS = (
    "patient_id", "timepoint", "collected_on", "material", "assay", "panel", "target_id", "value", "lod",
    "status",
)  # fmt: skip


def mrd_from_results(results: Iterable[MrdResult]) -> tuple[MrdReading, ...]:
    """What the endpoints need of result rows."""
    return tuple(
        MrdReading(
            patient_id=r.patient_id,
            timepoint=r.timepoint,
            collected_on=r.collected_on,
            material=r.material,
            method=r.method,
            target_id=r.target_id,
            status=r.status,
            value=r.value,
            lod=r.lod,
        )
        for r in results
    )


def mrd_from_table(table: Table, *, path: Path | str) -> Rows[MrdReading]:
    """Check every row of a table with the columns of ``results/mrd.parquet`` that are needed.

    Raises
    ------
    SheetRefused
        With every problem: an unknown status or material, a fraction above 1, a result that was
        evaluable and has no value or no limit of detection.
    """
    return read_rows(
        table,
        MRD_COLUMNS,
        _reading,
        path=path,
        remedy=f"give the columns {','.join(MRD_COLUMNS)}, as `nadir export --as csv` writes mrd.csv",
    )


def _reading(cells: Cells) -> MrdReading:
    status = cells.choice("status", [*Status], required=True)
    material = cells.choice("material", [*Material], required=True)
    value, lod = _fraction(cells, "value"), _fraction(cells, "lod")
    if status in (Status.DETECTED, Status.NOT_DETECTED):
        for column, number in (("value", value), ("lod", lod)):
            if not cells.text(column) or (column == "lod" and number == 0):
                cause = f"a result that is {status} without it"
                remedy = "no result is negative without its limit of detection: give both numbers"
                cells.refuse(column, Refusal("number_missing", cause, remedy))
    assay, panel = cells.text("assay", required=True), cells.text("panel")
    return MrdReading(
        patient_id=cells.identifier("patient_id"),
        timepoint=cells.identifier("timepoint"),
        collected_on=cells.required_day("collected_on"),
        material=Material(material) if material else Material.BONE_MARROW,
        method=f"{assay}:{panel}" if panel else assay,
        target_id=cells.text("target_id", required=True),
        status=Status(status) if status else Status.NOT_EVALUABLE,
        value=value,
        lod=lod,
    )


def _fraction(cells: Cells, column: str) -> float | None:
    number: Decimal | None = cells.number(column, maximum=1)
    return None if number is None else float(number)
