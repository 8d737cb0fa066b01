"""Tables of `nadir chip call` or `classify`, one a sample, to trajectories and back to a table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from chip.rules.genes import symbol
from chip.series import Point, Trajectory, fate_of, grow
from chip.tables import beside
from pipeline.errors import DamagedFile, InputRefused, Problem, SheetRefused
from pipeline.formats.csv_table import number_cell, write_csv
from pipeline.formats.delimited import Record, read_table
from pipeline.formats.named_cells import finite_number, named_cells, named_columns
from pipeline.formats.sheet_cells import Refusal

__all__ = ["CalledVariant", "SampleTable", "read_sample_table", "trajectories", "write_series"]

_COLUMNS = ("gene", "hgvsc", "hgvsp", "verdict", "at_threshold", "vaf", "depth", "alt_depth")
_REMEDY = "give a table that `nadir chip call` or `nadir chip classify` wrote with --collected-on"
_OUT = (
    "patient_id", "gene", "change", "timepoint", "collected_on", "vaf", "vaf_low", "vaf_high", "depth",
    "found", "growth_per_year", "growth_low", "growth_high", "growth_reason", "fate", "fate_reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledVariant:
    """One row: gene, its name for the change, verdict and counts (None where not known)."""

    gene: str
    change: str
    verdict: str
    at_threshold: str
    vaf: float | None
    depth: int | None
    alt: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """One sample's variants and call at the CHIP threshold, and the limit of each gene where it is known."""

    path: Path
    patient_id: str
    timepoint: str
    collected_on: date
    at_threshold: str
    variants: tuple[CalledVariant, ...]
    limits: dict[str, float]


def read_sample_table(path: Path) -> SampleTable:
    """Read ``chip.tsv`` with the ``chip.result.json`` and ``chip.genes.tsv`` beside it.

    Raises
    ------
    InputRefused
        If the files are not together, or the sample has no date.
    SheetRefused
        With every row that cannot be read.
    """
    result = _result(beside(path, "result.json"))
    table = read_table(path, _COLUMNS)
    names = named_columns(table, _COLUMNS, path=path, remedy=_REMEDY)
    rows = [_cells(record, names) for record in table.records]
    problems = [row for row in rows if isinstance(row, Problem)]
    if problems:
        raise SheetRefused(path, problems)
    return SampleTable(
        path=path,
        patient_id=result["patient_id"],
        timepoint=result["timepoint"],
        collected_on=date.fromisoformat(result["collected_on"]),
        at_threshold=result["at_threshold"],
        variants=tuple(_variant(row) for row in rows if isinstance(row, dict)),
        limits=_limits(beside(path, "genes.tsv")),
    )


def _result(path: Path) -> dict[str, str]:
    """Who, when and the call; the result is there also where the sample has no variant."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = {k: document[k] for k in ("patient_id", "timepoint", "collected_on", "at_threshold")}
    except OSError as error:
        remedy = "keep the files of a sample together"
        raise InputRefused("is not beside its table", path=path, remedy=remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile("is no result of a CHIP command", path=path) from error
    if not all(isinstance(v, str) and v for v in found.values()):
        raise InputRefused("is of no dated sample", path=path, remedy=_REMEDY)
    if found["at_threshold"] not in ("POS", "NEG", "IND"):
        raise DamagedFile("holds an unknown call", path=path)
    return found


def _cells(record: Record, names: Sequence[str]) -> dict[str, str] | Problem:
    cells = named_cells(record, names)
    if isinstance(cells, Refusal):
        return cells.at(record.line, None)
    for column in ("vaf", "depth", "alt_depth"):
        if cells[column] and finite_number(cells[column]) is None:
            return Refusal("cell_impossible", "is no number", _REMEDY).at(record.line, column)
    return cells


def _variant(cells: dict[str, str]) -> CalledVariant:
    protein = cells["hgvsp"].rpartition("p.")[2].strip("()")
    coding = "c." + cells["hgvsc"].rpartition("c.")[2] if cells["hgvsc"] else ""
    name = coding if coding and protein in ("", "?") else protein
    vaf = finite_number(cells["vaf"])
    return CalledVariant(
        gene=symbol(cells["gene"]),
        change=name,
        verdict=cells["verdict"],
        at_threshold=cells["at_threshold"],
        vaf=vaf,
        depth=int(cells["depth"]) if cells["depth"] else None,
        alt=int(cells["alt_depth"]) if cells["alt_depth"] else None,
    )


def _limits(path: Path) -> dict[str, float]:
    if not path.is_file():
        return {}
    columns = ("gene", "detectable_vaf")
    table = read_table(path, columns)
    names = named_columns(table, columns, path=path, remedy=_REMEDY)
    found = {}
    for record in table.records:
        cells = named_cells(record, names)
        if isinstance(cells, dict) and (limit := finite_number(cells["detectable_vaf"])) is not None:
            found[cells["gene"]] = limit
    return found


def trajectories(tables: Sequence[SampleTable]) -> tuple[Trajectory, ...]:
    """Every variant that some sample calls IN or REVIEW, through all samples of its patient.

    Raises
    ------
    InputRefused
        If two tables are of one patient and date.
    """
    found = []
    for patient in sorted({t.patient_id for t in tables}):
        own = sorted((t for t in tables if t.patient_id == patient), key=lambda t: t.collected_on)
        for one, other in pairwise(own):
            if one.collected_on == other.collected_on:
                raise InputRefused(
                    "is of the same patient and day as another table",
                    path=other.path,
                    remedy="give one table a sample",
                )
        wanted = {(v.gene, v.change) for t in own for v in t.variants if v.verdict != "OUT"}
        found += [_trajectory(patient, gene, change, own) for gene, change in sorted(wanted)]
    return tuple(found)


def _trajectory(patient: str, gene: str, change: str, tables: Sequence[SampleTable]) -> Trajectory:
    points = tuple(_point(gene, change, table) for table in tables)
    fate, reason = fate_of(points)
    return Trajectory(
        patient_id=patient,
        gene=gene,
        change=change,
        points=points,
        growth=grow(points),
        fate=fate,
        fate_reason=reason,
    )


def _point(gene: str, change: str, table: SampleTable) -> Point:
    listed = next((v for v in table.variants if (v.gene, v.change) == (gene, change)), None)
    limit = table.limits.get(gene)
    has_counts = listed is not None and listed.depth is not None and listed.alt is not None
    return Point(
        timepoint=table.timepoint,
        collected_on=table.collected_on,
        alt=listed.alt if listed is not None and listed.alt is not None else 0,
        depth=listed.depth if listed is not None and has_counts else None,
        found=listed is not None and listed.verdict != "OUT",
        detectable_vaf=limit,
    )


def write_series(path: Path, found: Sequence[Trajectory]) -> None:
    """Write one row a variant and sample."""
    write_csv(path, _OUT, (row for t in found for row in _rows(t)))


def _rows(trajectory: Trajectory) -> list[list[str]]:
    from pipeline.detection.intervals import clopper_pearson

    growth = trajectory.growth
    numbers = [number_cell(v, digits=4) for v in (growth.per_year, growth.ci_low, growth.ci_high)]
    rows = []
    for point in trajectory.points:
        bounds = clopper_pearson(point.alt, point.depth) if point.depth else (None, None)
        shares = [number_cell(v, digits=6) for v in (point.vaf, *bounds)]
        rows.append(
            [
                trajectory.patient_id,
                trajectory.gene,
                trajectory.change,
                point.timepoint,
                point.collected_on.isoformat(),
                *shares,
                "" if point.depth is None else str(point.depth),
                "1" if point.found else "0",
                *numbers,
                growth.reason,
                trajectory.fate.value,
                trajectory.fate_reason,
            ]
        )
    return rows
