"""Sample sheets made for tests, with the files they name."""

import csv
import io
from pathlib import Path

from pipeline.formats.samplesheet import COLUMNS, OPTIONAL_COLUMNS, SheetCheck, check_sheet

TIMEPOINTS = ("BASE", "IND", "ASCT")
PANELS = {"euroflow": 2, "srl": 1}
DATES = {"BASE": "2024-01-10", "IND": "2024-05-10", "ASCT": "2024-09-10"}


def row(folder: Path, name: str, **cells: str) -> dict[str, str]:
    """A good ngs row whose file is written as ``name``."""
    (folder / name).write_bytes(name.encode())
    timepoint = cells.get("timepoint", "BASE")
    good = {
        "patient_id": "P01", "timepoint": timepoint, "collected_on": DATES.get(timepoint, "2024-01-10"),
        "material": "bone_marrow", "assay": "ngs", "file_1": name, "cells": "1000000",
    }  # fmt: skip
    return {**good, **cells}


def flow(folder: Path, name: str, **cells: str) -> dict[str, str]:
    return row(folder, name, **{"assay": "flow", "panel": "srl", "cells": "", **cells})


def text_of(rows: list[dict[str, str]], *, delimiter: str = ",", end: str = "\n") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(
        text, (*COLUMNS, *OPTIONAL_COLUMNS), restval="", delimiter=delimiter, lineterminator=end
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def check(folder: Path, content: str | bytes | list[dict[str, str]], name: str = "sheet.csv") -> SheetCheck:
    if isinstance(content, list):
        content = text_of(content)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return check_sheet(folder / name, study_id="S", timepoints=TIMEPOINTS, panels=PANELS)


def codes(found: SheetCheck) -> list[tuple[int | None, str | None, str]]:
    return [(p.line, p.column, p.code) for p in found.problems]
