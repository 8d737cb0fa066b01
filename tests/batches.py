"""A small batch on disk, and the bytes that a run leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.workflow.run import RunSummary, run_batch

HEADER = (
    "patient_id,timepoint,collected_on,material,assay,file_1,file_2,run_id,cells,dna_ng,spike_ins,panel,sex\n"
)
"""Columns of a sample sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallBatch:
    """Where its parts lie."""

    folder: Path
    sheet: Path
    config: Path


def run(small_batch: SmallBatch, out: Path, **options: Any) -> RunSummary:
    return run_batch(small_batch.sheet, out, config_path=small_batch.config, jobs=1, **options)


def result_bytes(batch: Path) -> dict[str, bytes]:
    """Every file of results/ and report/, by name."""
    return {
        str(path.relative_to(batch)): path.read_bytes()
        for name in ("results", "report")
        for path in sorted((batch / name).rglob("*"))
        if path.is_file()
    }
