"""Reference tables that are not part of the product: read from beside the checkout, or skipped."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def reference(*parts: str) -> Path:
    """Path of a reference file; the test is skipped where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"reference data (../shared/data/{'/'.join(parts)}) are not beside this checkout")
    return path


def reference_rows(*parts: str) -> list[dict[str, str]]:
    """Rows of a reference CSV file."""
    with reference(*parts).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def cases(*parts: str) -> Any:
    """Rows or JSON of a reference file as parameters of a test, which is skipped where it is absent."""
    if not SHARED.joinpath(*parts).is_file():
        return {} if parts[-1].endswith(".json") else []
    return (
        json.loads(reference(*parts).read_text()) if parts[-1].endswith(".json") else reference_rows(*parts)
    )


def mgus2() -> tuple[list[float], list[int]]:
    """Months and events (1 progression, 2 death before it) of the MGUS cohort."""
    months, events = [], []
    for row in reference_rows("survival", "mgus2.csv"):
        progressed = row["pstat"] == "1"
        months.append(float(row["ptime"] if progressed else row["futime"]))
        events.append(1 if progressed else 2 * int(row["death"]))
    return months, events
