"""What ``nadir flow cytof`` leaves: tables as CSV, and ``result.json``."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mrd_flow.cytof.bead_drift import BeadDrift
from mrd_flow.cytof.comparison import Difference
from mrd_flow.cytof.counts import GateDoubt, MaskingCount, PopulationCount
from mrd_flow.cytof.panel import CytofPanel
from mrd_flow.cytof.populations import CleanUpStep
from mrd_flow.cytof.read import CytofRun
from mrd_flow.cytof.run import CytofResult, SampleYield
from pipeline.formats.atomic import write_json
from pipeline.formats.csv_table import write_csv
from pipeline.formats.records import to_json

__all__ = ["write_result"]


def write_result(result: CytofResult, run: CytofRun, panel: CytofPanel, out: Path) -> tuple[Path, ...]:
    """Write every table into a folder, ``result.json`` last.

    ``populations.csv``, ``gate_doubt.csv``, ``masking.csv``, ``debarcoding.csv``,
    ``bead_drift.csv``, ``clean_up.csv`` and, where samples are compared,
    ``comparison.csv``. A cell is empty where there is no number.
    """
    tables: list[tuple[str, type, Sequence[Any]]] = [
        ("populations", PopulationCount, result.populations),
        ("gate_doubt", GateDoubt, result.doubts),
        ("masking", MaskingCount, result.masking),
        ("debarcoding", SampleYield, result.yields),
        ("bead_drift", BeadDrift, result.drifts),
        ("clean_up", CleanUpStep, result.steps),
    ]
    if result.differences:
        tables.append(("comparison", Difference, result.differences))
    paths = [out / f"{name}.csv" for name, _, _ in tables]
    for path, (_, record, rows) in zip(paths, tables, strict=True):
        columns = [f.name for f in dataclasses.fields(record)]
        write_csv(path, columns, ([_cell(getattr(row, c)) for c in columns] for row in rows))
    if not result.differences:
        (out / "comparison.csv").unlink(missing_ok=True)  # of an earlier run into the same folder
    write_json(out / "result.json", _document(result, run, panel))
    return (*paths, out / "result.json")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _document(result: CytofResult, run: CytofRun, panel: CytofPanel) -> dict[str, Any]:
    return {
        "panel": panel.name,
        "panel_version": panel.version,
        "panel_title": panel.title,
        "inputs_sha256": list(run.sha256),
        "samples": list(result.samples),
        "events": result.events,
        "bead_events": result.beads,
        "live_cells": result.live_cells,
        "assigned": result.assigned,
        "yield": result.assigned / result.live_cells if result.live_cells else None,
        "separation": None if result.separation_cut is None else to_json(result.separation_cut),
        "cuts": {marker: to_json(cut) for marker, cut in result.cuts.items()},
        "flags": [to_json(f) for f in result.flags],
    }
