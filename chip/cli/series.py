"""``nadir chip series``: clones of a patient over time."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError

__all__ = ["series"]


def series(
    tables: Annotated[
        list[Path], typer.Argument(metavar="CHIP.tsv…", help="One a sample, dated.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for series.csv and pictures.")],
) -> None:
    """Allele fractions over time with intervals, growth per year, new and lost clones.

    A clone is called new or lost only where the other sample could have shown it; the limits are read
    from the chip.genes.tsv beside each table.
    """
    from chip.series_tables import read_sample_table, trajectories, write_series
    from chip.trajectory_picture import trajectory_figure
    from pipeline.report.figure_style import house_style, write_figure

    if len(tables) < 2:
        raise UsageError("a series needs at least two tables")
    found = trajectories([read_sample_table(path) for path in tables])
    write_series(out / "series.csv", found)
    with house_style():
        for patient in sorted({t.patient_id for t in found}):
            own = [t for t in found if t.patient_id == patient]
            write_figure(out / f"{patient}.vaf.svg", trajectory_figure(own))
    fates = ", ".join(f"{t.gene} {t.change} {t.fate}" for t in found)
    typer.echo(f"{len(found)} clones: {fates or 'none'}; {out}; research use only", err=True)
