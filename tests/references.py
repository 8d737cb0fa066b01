"""Reference tables that are not part of the product: read from beside the checkout, or skipped."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.formats.fastq import read_fastq

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


def packed_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a gzip-packed, tab-separated table."""
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def packed_reads(path: Path) -> list[tuple[str, str]]:
    """Names and bases of a gzip-packed FASTQ or FASTA file of one line a sequence."""
    if ".fastq" in path.name:
        return [(read.name.split()[0], read.sequence.decode()) for read in read_fastq(path)]
    with gzip.open(path, "rt") as file:
        lines = file.read().split("\n")
    return [(name[1:], bases) for name, bases in zip(lines[0:-1:2], lines[1::2], strict=True)]
