"""``nadir chip cohort``: samples of many patients, and what CH goes with."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["cohort"]


def cohort(
    tables: Annotated[
        list[Path], typer.Argument(metavar="CHIP.tsv…", help="One a patient, dated.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for tables and pictures.")],
    outcomes: Annotated[
        Path | None,
        typer.Option(
            "--outcomes",
            metavar="O.csv",
            help="patient_id and columns of 0, 1 or nothing; smn_time and smn_event for incidence.",
        ),
    ] = None,
) -> None:
    """Oncoprint, lollipops, and CH against outcomes: risks, exact tests, false discovery rate.

    Patients whose CH is undecided are counted, and are in no group.
    """
    from chip import cohort as c
    from chip.pictures import lollipop, oncoprint
    from chip.rules.genes import gene_named
    from chip.rules.rule_set import load_rule_set, windows_by_gene
    from chip.series_tables import read_sample_table
    from pipeline.report.figure_style import house_style, write_figure

    samples = [read_sample_table(path) for path in tables]
    decided = c.decided_by_patient(samples)
    marks = c.marks_of(samples)
    windows = windows_by_gene(load_rule_set("topmed_2022"))
    with house_style():
        write_figure(out / "oncoprint.svg", oncoprint(marks, sorted(decided), decided))
        for gene in sorted({m.gene for m in marks}):
            known = gene_named(gene)
            if known is not None and known.protein is not None:
                own = [m for m in marks if m.gene == gene]
                write_figure(out / f"{gene}.lollipop.svg", lollipop(gene, own, windows.get(gene, ())))
    if outcomes is not None:
        yes_no, follow_up = c.read_outcomes(outcomes)
        exposed = c.exposures(samples, decided)
        c.write_associations(out / "associations.csv", exposed, yes_no)
        if follow_up:
            c.write_incidence(out / "incidence.csv", exposed["CH"], follow_up)
    counts = ", ".join(f"{sum(v == k for v in decided.values())} {k}" for k in ("POS", "NEG", "IND"))
    typer.echo(f"{len(decided)} patients: {counts} at the CHIP threshold; {out}; research use only", err=True)
