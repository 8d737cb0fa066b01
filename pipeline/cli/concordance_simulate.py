"""``nadir concordance simulate``: a trial measured by three assays, with its truth."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.formats.csv_table import number_cell, write_csv

if TYPE_CHECKING:
    from pipeline.concordance.simulate import SimulatedTrial

__all__ = ["simulate"]

_COLUMNS = ("value", "lod", "detected", "numerator", "denominator", "reason")


def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for pairs.csv and truth.csv.")],
    patients: Annotated[int, typer.Option("--patients", min=1, help="Each at five marrow visits.")] = 172,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 1,
) -> None:
    """A trial measured by flow:euroflow, flow:srl and ngs: DIR/pairs.csv, and the truth beside it.

    pairs.csv is what `quantitative` and `agreement` read; truth.csv has each sample's fraction.
    """
    import numpy as np

    from pipeline.concordance.simulate import simulate_trial

    trial = simulate_trial(np.random.default_rng(seed), patients=patients)
    columns = [f"{name}_{column}" for name in trial.results for column in _COLUMNS]
    write_csv(out / "pairs.csv", ("patient_id", "timepoint", *columns), _pairs(trial))
    truth = zip(trial.patients, trial.visits, trial.true_log10.tolist(), strict=True)
    write_csv(
        out / "truth.csv",
        ("patient_id", "timepoint", "true_fraction"),
        ((patient, visit, number_cell(10**level)) for patient, visit, level in truth),
    )
    typer.echo(f"wrote {out / 'pairs.csv'} and {out / 'truth.csv'}", err=True)


def _pairs(trial: "SimulatedTrial") -> Iterator[list[str]]:
    for row, (patient, visit) in enumerate(zip(trial.patients, trial.visits, strict=True)):
        cells = [patient, visit]
        for found in trial.results.values():
            if found.evaluable[row]:
                numbers = [number_cell(float(v[row])) for v in (found.value, found.lod)]
                counts = [f"{v[row]:.0f}" for v in (found.numerator, found.denominator)]
                cells += [*numbers, "true" if found.detected[row] else "false", *counts, ""]
            else:
                cells += ["", "", "", "", "", found.reason[row]]
        yield cells
