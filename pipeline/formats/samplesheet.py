"""The sample sheet: rows of text to `Sample`, every problem in one pass.

One row is one sample of one assay. Encoding and delimiters are in `delimited`, the header
in `sheet_columns`, what a cell may say in `sheet_cells`, what a row must agree on with
itself in `sheet_row` and with other rows in `sheet_agreement`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Problem, SheetRefused
from pipeline.formats.delimited import read_table
from pipeline.formats.sheet_agreement import Row, between_rows
from pipeline.formats.sheet_cells import Refusal
from pipeline.formats.sheet_columns import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    Findings,
    find_columns,
    in_order,
    named_width,
)
from pipeline.formats.sheet_row import Rules, read_row
from pipeline.model import Sample

__all__ = ["COLUMNS", "OPTIONAL_COLUMNS", "SheetCheck", "check_sheet", "read_sheet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetCheck:
    """Everything that can be said of a sheet: ``samples`` are given where there is no problem."""

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def read_sheet(
    path: Path,
    *,
    study_id: str,
    timepoints: Sequence[str] | None,
    panels: Collection[str] | None,
    baseline: str | None = None,
) -> tuple[Sample, ...]:
    """Samples of a sheet that has no problem; see `check_sheet` for the parameters.

    Raises
    ------
    SheetRefused
        With every problem of the sheet, in the order of lines and columns.
    """
    check = check_sheet(path, study_id=study_id, timepoints=timepoints, panels=panels, baseline=baseline)
    if check.problems:
        raise SheetRefused(path, check.problems)
    return check.samples


def check_sheet(
    path: Path,
    *,
    study_id: str,
    timepoints: Sequence[str] | None,
    panels: Collection[str] | None,
    baseline: str | None = None,
) -> SheetCheck:
    """Read a sheet and find everything that is wrong with it; open no file that it names.

    Parameters
    ----------
    path
        CSV, TSV or semicolons; paths inside are relative to its folder.
    study_id
        The study all samples belong to.
    timepoints
        Known codes in the order of time; None where any may occur.
    panels
        Names of the flow panels that ship; a mapping gives the number of tubes of each
        besides. None where any may occur. A path of a TOML file is always accepted.
    baseline
        Code of the baseline; by default the first of ``timepoints``, else ``BASE``.

    Returns
    -------
    SheetCheck
        Problems, which refuse the sheet, and warnings, which do not.

    Notes
    -----
    Two rows are the same sample when patient, time point, material, assay, panel and
    run_id agree: replicates need different run_ids, two panels of one visit do not.
    One file may serve two assays of the same patient, time point and material (a marrow
    BAM for tumour and chip) and nothing else. A control (column ``role``) is named in
    ``patient_id`` and belongs to a run; it needs no time point.
    """
    path = Path(path)
    try:
        table = read_table(path, (*COLUMNS, *OPTIONAL_COLUMNS))
    except SheetRefused as refused:
        return SheetCheck(samples=(), problems=refused.problems, warnings=())
    found = Findings(list(table.problems))
    columns = find_columns(table.header, found)
    if columns is None:
        return _checked(found, ())
    if not table.records and not table.problems:
        found.problem(
            table.header.line, None, Refusal("no_samples", "has a header only", "add a row per sample")
        )
    rules = Rules(
        study_id=study_id,
        folder=path.parent,
        timepoints=timepoints,
        panels=panels,
        baseline=baseline or (timepoints[0] if timepoints else "BASE"),
    )
    width = named_width(table.header)
    rows = [read_row(record, columns, width, rules, found) for record in table.records]
    found.problems += between_rows(rows, baseline=rules.baseline, timepoints=timepoints)
    samples = () if found.problems else tuple(_sample(row, rules) for row in rows)
    return _checked(found, samples)


def _checked(found: Findings, samples: tuple[Sample, ...]) -> SheetCheck:
    return SheetCheck(
        samples=samples,
        problems=in_order(found.problems),
        warnings=in_order(found.warnings),
    )


def _sample(row: Row, rules: Rules) -> Sample:
    # Every required cell was read, or there would be a problem and no sample would be made.
    assert row.patient_id is not None
    assert row.timepoint is not None
    assert row.collected_on is not None
    assert row.material is not None
    assert row.assay is not None
    return Sample(
        study_id=rules.study_id,
        patient_id=row.patient_id,
        timepoint=row.timepoint,
        collected_on=row.collected_on,
        material=row.material,
        assay=row.assay,
        panel=row.panel,
        files=tuple(file.path for file in row.files),
        sha256=row.sha256[: len(row.files)],
        run_id=row.run_id,
        cells=row.cells,
        dna_ng=row.dna_ng,
        spike_ins=row.spike_ins,
        sex=row.sex,
        role=row.role,
        line=row.line,
    )
